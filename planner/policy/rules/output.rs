//! Only an `output` column is shown row by row, and only its values may decide an order of rows:
//! positions tell as much as values do.

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    let shows = matches!(usage, Usage::Output | Usage::Order);
    unless(!shows || roles.output, "output", "the role output")
}
