//! What owners allow others to learn from their tables, and what a query makes of each column.
//!
//! A policy is public to the collaborators and part of every query's digest. It is judged by the
//! provenance of values in the optimized plan, not by the text: whatever a column is called on its
//! way, every place where it decides something is found, and the most restrictive owner wins. What
//! a policy does not allow is denied.

mod apply;
mod flow;
mod parse;
mod roles;
mod rules;
mod suppress;
mod usage;
mod verdict;

pub use parse::PolicyError;
pub use roles::Roles;
pub use suppress::SmallestGroup;
pub(crate) use suppress::{GroupRule, Guarded, guard, threshold};
pub use usage::Usage;
pub use verdict::{Finding, Refusal, Ruling, Verdict};

pub(crate) use apply::{group_rules, judge};

use senate_circuit::{PartyId, PartySet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version tag of the digest's encoding.
const DIGEST_CONTEXT: &str = "senate policy 1";

/// One owner's rules. Without an entry a table is not for others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Who may learn answers made of this party's rows, besides the party itself.
    pub recipients: BTreeSet<String>,
    /// How often others may ask; no limit without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// By table name.
    #[serde(default, rename = "table")]
    pub tables: BTreeMap<String, TablePolicy>,
}

/// Rules of one table. COUNT(*) reads no column: it is allowed on every table that is listed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePolicy {
    /// Groups of fewer entities are suppressed; then only groups may be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_group: Option<MinGroup>,
    /// By column name; a column that is not listed has no role.
    #[serde(default)]
    pub columns: BTreeMap<String, Roles>,
}

/// The smallest group that may be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinGroup {
    /// The column whose distinct values are counted.
    pub entity: String,
    /// At least so many.
    pub size: u32,
}

/// How many queries of others may take this party's rows; counted by its daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Queries within a period.
    pub queries: u32,
    /// The period.
    pub per: Period,
    /// Of these, queries that differ in constants only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_template: Option<u32>,
}

/// How long a query counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// 3 600 seconds.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// For good.
    Forever,
}

impl Period {
    /// Seconds; `None` for ever.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::Hour => Some(3_600),
            Self::Day => Some(24 * 3_600),
            Self::Week => Some(7 * 24 * 3_600),
            Self::Forever => None,
        }
    }
}

impl Policy {
    /// Recipient that stands for every party of the federation.
    pub const ANYONE: &str = "*";

    /// The one text form that is signed, sent and hashed.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// BLAKE3 of the canonical form.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
        hash.update(self.canonical().as_bytes());
        *hash.finalize().as_bytes()
    }

    /// Whether the party of this name may learn an answer.
    pub fn allows_recipient(&self, name: &str) -> bool {
        self.recipients.contains(Self::ANYONE) || self.recipients.contains(name)
    }
}

/// What is known of the owners' policies.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policies {
    declared: BTreeMap<PartyId, Policy>,
    undeclared: Undeclared,
}

/// What holds for an owner without a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Undeclared {
    /// Its tables are not for others.
    #[default]
    Denied,
    /// Whoever plans holds all the data anyway: all parties run inside one process.
    InOneProcess,
}

impl Policies {
    /// These policies.
    pub fn new(declared: BTreeMap<PartyId, Policy>, undeclared: Undeclared) -> Self {
        Self { declared, undeclared }
    }

    /// No policy counts, because one process holds everybody's data: for embedded runs and tests.
    pub fn in_one_process() -> Self {
        Self::new(BTreeMap::new(), Undeclared::InOneProcess)
    }

    /// What `owner` declares.
    pub fn of(&self, owner: PartyId) -> Option<&Policy> {
        self.declared.get(&owner)
    }

    /// H(every declared policy of `owners`, and what holds without one).
    pub fn digest(&self, owners: PartySet) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
        hash.update(format!("{:?}", self.undeclared).as_bytes());
        for owner in owners.iter() {
            hash.update(&owner.index().to_le_bytes());
            let digest = self.of(owner).map_or([0; 32], Policy::digest);
            hash.update(&digest);
        }
        *hash.finalize().as_bytes()
    }
}

/// Under which policies a query is planned, and who is to learn its answer.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// The owners' rules.
    pub policies: &'a Policies,
    /// Who learns the answer.
    pub recipients: PartySet,
    /// Who asks, and learns whether there is one.
    pub asker: PartyId,
}

impl Consent<'_> {
    /// Whether `owner`'s rules have a say: a question that only the owner asks and only the owner
    /// learns the answer to is its own affair.
    fn concerns(&self, owner: PartyId) -> bool {
        self.recipients.union(PartySet::only(self.asker)) != PartySet::only(owner)
    }
}

#[cfg(test)]
mod tests;
