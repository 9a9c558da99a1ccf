//! A column that is `never` read takes part in nothing.

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(_: &Usage, roles: &Roles) -> Option<Forbidden> {
    unless(!roles.never, "never", "another query: this column is never read")
}
