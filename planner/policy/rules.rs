//! The rules about columns, one per file. Each says of one use of a column whether it forbids it;
//! the first that does is reported.

mod aggregate;
mod filter;
mod group_by;
mod join_key;
mod never;
mod output;

use super::roles::Roles;
use super::usage::Usage;

/// Whether the rule forbids this use; `None` when it has nothing against it.
type Rule = fn(&Usage, &Roles) -> Option<Forbidden>;

/// A use that a rule forbids.
pub(super) struct Forbidden {
    /// Name of the rule.
    pub(super) rule: &'static str,
    /// What would allow it.
    pub(super) needs: String,
}

const RULES: [Rule; 6] = [
    never::forbids,
    join_key::forbids,
    group_by::forbids,
    filter::forbids,
    aggregate::forbids,
    output::forbids,
];

/// The first rule that forbids the use. Every use is the subject of exactly one rule besides
/// `never`, so a use that nobody thought of cannot pass.
pub(super) fn forbidden(usage: &Usage, roles: &Roles) -> Option<Forbidden> {
    RULES.iter().find_map(|rule| rule(usage, roles))
}

fn unless(allowed: bool, rule: &'static str, needs: &str) -> Option<Forbidden> {
    (!allowed).then(|| Forbidden { rule, needs: needs.to_owned() })
}
