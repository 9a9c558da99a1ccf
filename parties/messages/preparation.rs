//! Sessions that are opened before there is a query for them, as parties propose them.

use super::SessionId;
use crate::failure::{Failure, Outcome};
use senate_circuit::PartySet;
use senate_mpc::pre::stock::{Provision, Provisions};
use senate_planner::catalog::Federation;
use serde::{Deserialize, Serialize};

/// A session to be opened ahead of its query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Preparation {
    /// The session.
    pub(crate) session: SessionId,
    /// Everybody in it, as a mask of positions in the federation.
    participants: u64,
    /// What is made in it.
    stock: Vec<StockEntry>,
}

/// What a session makes ahead for one party set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct StockEntry {
    /// The set, as a mask.
    set: u64,
    /// Authenticated random bits.
    masks: u64,
    /// Triples.
    triples: u64,
}

impl Preparation {
    /// The proposal to open `session` with these provisions.
    pub(crate) fn new(session: SessionId, provisions: &Provisions) -> Self {
        let entry = |entry: &Provision| StockEntry {
            set: entry.set.mask(),
            masks: entry.masks as u64,
            triples: entry.triples as u64,
        };
        let stock = provisions.entries().iter().map(entry).collect();
        Self { session, participants: provisions.parties().mask(), stock }
    }

    /// What is to be made, by parties of this federation.
    ///
    /// # Errors
    /// Usage when it does not make sense.
    pub(crate) fn provisions(&self, federation: &Federation) -> Outcome<Provisions> {
        let everybody = PartySet::first(federation.parties.len());
        let participants = PartySet::from_mask(self.participants);
        let entry = |entry: &StockEntry| {
            let (masks, triples) = (entry.masks.try_into().ok()?, entry.triples.try_into().ok()?);
            Some(Provision { set: PartySet::from_mask(entry.set), masks, triples })
        };
        let entries: Option<Vec<_>> = self.stock.iter().map(entry).collect();
        entries
            .filter(|_| participants.is_subset(everybody))
            .and_then(|entries| Provisions::new(participants, entries).ok())
            .ok_or_else(|| Failure::usage("a session that does not make sense"))
    }
}
