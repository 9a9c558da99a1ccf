//! What a daemon knows of everybody, for `senate doctor`.

use super::{Standing, fault_text, own};
use senate_circuit::PartyId;
use senate_control::{Catalog, Digest, Topic};
use senate_planner::catalog::Federation;
use serde::{Deserialize, Serialize};

/// A daemon's knowledge of its epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct CatalogReport {
    /// The epoch.
    pub(crate) epoch: u32,
    /// Every party, in the federation's order.
    pub(crate) entries: Vec<Entry>,
    /// Plans that all of them have approved.
    pub(crate) approved: u32,
    /// Who cannot be relied on, and why.
    pub(crate) faults: Vec<String>,
    /// What else is not as it should be.
    pub(crate) notes: Vec<String>,
}

/// What is known of one party.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) party: String,
    /// Whether it has sealed the federation file of this epoch.
    pub(crate) is_heard: bool,
    /// Tables of which it has published a part.
    pub(crate) tables: Vec<String>,
    /// Highest version of its policy; 0 before any.
    pub(crate) policy: u32,
}

impl CatalogReport {
    /// Of what is known, with further notes.
    pub(crate) fn new(catalog: &Catalog, federation: &Federation, notes: Vec<String>) -> Self {
        let name = |party| federation.party_name(party);
        let entry = |party: PartyId| {
            let held = federation.tables.iter().filter(|table| {
                let topic = Topic::Table(own::table_name(&table.name));
                matches!(catalog.stated(party, topic), Ok(Some(_)))
            });
            let sealed = catalog.stated(party, Topic::Roster);
            Entry {
                party: name(party),
                is_heard: sealed == Ok(Some(Digest(federation.digest))),
                tables: held.map(|table| table.name.clone()).collect(),
                policy: catalog.policy(party).ok().flatten().map_or(0, |(version, _)| version),
            }
        };
        Self {
            epoch: catalog.epoch(),
            entries: catalog.parties().iter().map(entry).collect(),
            approved: u32::try_from(catalog.approved(catalog.parties())).unwrap_or(u32::MAX),
            faults: catalog.faults().map(|fault| fault_text(&fault, &name)).collect(),
            notes,
        }
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let heard = self.entries.iter().filter(|entry| entry.is_heard).count();
        let of = |entry: &Entry| {
            format!("{}: {} tables, policy {}", entry.party, entry.tables.len(), entry.policy)
        };
        let entries: Vec<String> = self.entries.iter().map(of).collect();
        let (epoch, all, approved) = (self.epoch, self.entries.len(), self.approved);
        let entries = entries.join("; ");
        format!("epoch {epoch}, sealed by {heard} of {all} ({entries}); {approved} plans approved")
    }

    /// Parties of whom nothing has been heard.
    pub(crate) fn silent(&self) -> Vec<&str> {
        let silent = self.entries.iter().filter(|entry| !entry.is_heard);
        silent.map(|entry| entry.party.as_str()).collect()
    }
}

/// What a topic is, in words.
pub(crate) fn topic_name(topic: &Topic) -> String {
    match topic {
        Topic::Roster => "federation.toml".to_owned(),
        Topic::Release => "release of senate".to_owned(),
        Topic::Table(_) => "a table".to_owned(),
        Topic::Policy(version) => format!("version {version} of its policy"),
        Topic::Approval(Digest(plan)) => format!("plan {}", crate::messages::short(plan)),
    }
}

/// What a party runs, in words.
impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}, policy version {}", self.epoch, self.policy)
    }
}
