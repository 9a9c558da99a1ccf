//! Only a `group_by` column makes groups, and DISTINCT and UNION are groups. The keys of groups may
//! be shown.

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    unless(*usage != Usage::GroupBy || roles.group_by, "group_by", "the role group_by")
}
