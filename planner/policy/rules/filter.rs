//! Only a `filter` column decides which rows count (WHERE, HAVING on keys, FILTER, join conditions
//! other than equality).

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    unless(*usage != Usage::Filter || roles.filter, "filter", "the role filter")
}
