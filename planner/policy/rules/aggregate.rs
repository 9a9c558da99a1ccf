//! A column enters only the aggregate functions that its policy lists; what comes out is then free.

use super::{Forbidden, unless};
use crate::policy::roles::Roles;
use crate::policy::usage::Usage;

pub(super) fn forbids(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    let Usage::Aggregate(function) = usage else { return None };
    let needs = format!("the role aggregate({function})");
    unless(roles.aggregates.contains(function), "aggregate", &needs)
}
