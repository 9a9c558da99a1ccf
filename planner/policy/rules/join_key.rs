//! Only a `join_key` is compared with columns of other tables, semi-joins (IN, EXISTS) included.

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    unless(*usage != Usage::JoinKey || roles.join_key, "join_key", "the role join_key")
}
