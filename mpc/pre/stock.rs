//! What a session that is opened ahead makes before its query is known (PROTOCOL.md §1, §5): masks
//! and triples for the party sets that recent plans used. A plan takes them first.

use super::Triples;
use super::batch::{mask_batch, triple_batch};
use super::distributed::split;
use crate::auth::AuthBits;
use crate::error::Error;
use crate::mesh::Lane;
use crate::session::Session;
use senate_block::Block;
use senate_circuit::{PartySet, Sharing};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Masks per batch made ahead: small, so that a party can pause between batches.
const BATCH_MASKS: usize = 1 << 17;
/// Most masks or triples of one provision.
const COUNT_MAX: usize = 1 << 30;

/// What one party set is to have in stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provision {
    /// S.
    pub set: PartySet,
    /// Authenticated random bits.
    pub masks: usize,
    /// Triples.
    pub triples: usize,
}

impl Provision {
    /// Bytes that each member keeps for it.
    pub fn bytes(&self) -> usize {
        let bits = self.masks.saturating_add(self.triples.saturating_mul(3));
        bits.saturating_mul(size_of::<Block>() * self.set.len())
    }
}

/// What all parties of a session agree to make ahead, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisions {
    parties: PartySet,
    entries: Vec<Provision>,
}

impl Provisions {
    /// For a session of `parties`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a set occurs twice, has fewer than two members or a stranger, or a
    /// count is beyond 2^30.
    pub fn new(parties: PartySet, entries: Vec<Provision>) -> Result<Self, Error> {
        let sets: BTreeSet<PartySet> = entries.iter().map(|entry| entry.set).collect();
        let fits = |entry: &Provision| {
            entry.set.len() >= 2
                && entry.set.is_subset(parties)
                && entry.masks.max(entry.triples) <= COUNT_MAX
        };
        match sets.len() == entries.len() && entries.iter().all(fits) {
            true => Ok(Self { parties, entries }),
            false => Err(Error::Misuse("one provision for each of a session's party sets")),
        }
    }

    /// Everybody in the session.
    pub fn parties(&self) -> PartySet {
        self.parties
    }

    /// Set by set.
    pub fn entries(&self) -> &[Provision] {
        &self.entries
    }

    /// Bytes that the party which keeps most has to keep.
    pub fn bytes(&self) -> usize {
        let kept = |party| {
            let mine = self.entries.iter().filter(|entry| entry.set.contains(party));
            mine.fold(0, |sum: usize, entry| sum.saturating_add(entry.bytes()))
        };
        self.parties.iter().map(kept).max().unwrap_or(0)
    }

    /// As much of it, in proportion, as nobody needs more than `bytes_max` for.
    #[must_use]
    pub fn within(mut self, bytes_max: usize) -> Self {
        let bytes = self.bytes();
        if bytes > bytes_max {
            let scale = |count: usize| {
                let scaled = count as u128 * bytes_max as u128 / bytes as u128;
                usize::try_from(scaled).unwrap_or(0)
            };
            for entry in &mut self.entries {
                (entry.masks, entry.triples) = (scale(entry.masks), scale(entry.triples));
            }
        }
        self
    }

    /// What the parties of the session compare when they open it.
    pub(crate) fn digest(&self, federation: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("senate 2026-11 session opened ahead");
        hasher.update(federation).update(&self.parties.mask().to_le_bytes());
        for Provision { set, masks, triples } in &self.entries {
            hasher.update(&set.mask().to_le_bytes());
            hasher.update(&(*masks as u64).to_le_bytes());
            hasher.update(&(*triples as u64).to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// Masks and triples made ahead, in memory only; they serve the one plan of their session and are
/// zeroised when dropped.
#[derive(Debug)]
pub struct Stock {
    session: Session,
    provisions: Provisions,
    shelves: BTreeMap<u64, Stocked>,
}

/// What is there for one party set.
#[derive(Debug, Default)]
pub(crate) struct Stocked {
    /// Batches with the part of the set's sequence of masks that each serves.
    pub(super) masks: Vec<(Range<usize>, AuthBits)>,
    /// The same of triples.
    pub(super) triples: Vec<(Range<usize>, Triples)>,
    /// How many batch numbers of the set have been used.
    pub(super) numbers: u32,
}

impl Stock {
    /// Makes everything that the parties agreed on when they opened `session`, which is not bound
    /// yet, batch by batch in one order; `pause` is awaited before each batch, and may hold this
    /// party (and so the others) back.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the session was opened with other provisions, is bound, or has been
    /// stocked; those of the protocols that make the batches, which end the session. Dropping the
    /// future ends it too.
    pub async fn make(
        session: &Session,
        provisions: Provisions,
        pause: impl AsyncFn(),
    ) -> Result<Self, Error> {
        session.take_for_stock(&provisions)?;
        let making = shelves(session, &provisions, pause);
        let shelves = session.mesh().or_fail(making).await?;
        Ok(Self { session: session.clone(), provisions, shelves })
    }

    /// What is there.
    pub fn provisions(&self) -> &Provisions {
        &self.provisions
    }

    /// Hands everything to the plan of `session`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when it was made in another session.
    pub(crate) fn open(self, session: &Session) -> Result<BTreeMap<u64, Stocked>, Error> {
        match self.session.is_same(session) {
            true => Ok(self.shelves),
            false => Err(Error::Misuse("a stock serves the session that made it")),
        }
    }
}

async fn shelves(
    session: &Session,
    provisions: &Provisions,
    pause: impl AsyncFn(),
) -> Result<BTreeMap<u64, Stocked>, Error> {
    let sets = provisions.entries.iter().map(|entry| (entry.set.len(), entry.triples));
    let sharing = Sharing::ahead(session.params().rho_bits(), sets);
    let mut shelves = BTreeMap::new();
    for (index, entry) in provisions.entries.iter().enumerate() {
        if !entry.set.contains(session.me()) {
            continue;
        }
        let index = u16::try_from(index).map_err(|_| Error::Misuse("too many party sets"))?;
        let bench = |number| session.workbench(entry.set, Lane::ahead(index, number));
        let mut stocked = Stocked::default();
        for span in split(entry.masks, BATCH_MASKS) {
            pause().await;
            let number = stocked.next_number();
            let made = mask_batch(&bench(number)?, number, span.len()).await?;
            stocked.masks.push((span, made));
        }
        for (span, shape) in sharing.batches(entry.set.len(), entry.triples) {
            pause().await;
            let number = stocked.next_number();
            let made = triple_batch(&bench(number)?, number, shape).await?;
            stocked.triples.push((span, made));
        }
        // A session opened ahead keeps what it has made, and no more.
        session.release_spare();
        shelves.insert(entry.set.mask(), stocked);
    }
    Ok(shelves)
}

impl Stocked {
    fn next_number(&mut self) -> u32 {
        let number = self.numbers;
        self.numbers = number.saturating_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provision(parties: usize, masks: usize, triples: usize) -> Provision {
        Provision { set: PartySet::first(parties), masks, triples }
    }

    #[test]
    fn provisions_name_each_set_of_the_session_once() {
        let parties = PartySet::first(3);
        let refused = |entries| Provisions::new(parties, entries).is_err();
        assert!(refused(vec![provision(2, 1, 1), provision(2, 2, 2)]));
        assert!(refused(vec![provision(1, 1, 1)]));
        assert!(refused(vec![provision(4, 1, 1)]));
        assert!(refused(vec![provision(2, COUNT_MAX + 1, 1)]));
        assert!(!refused(vec![provision(2, COUNT_MAX, 1), provision(3, 0, 0)]));
    }

    #[test]
    fn provisions_shrink_to_the_memory_that_there_is() {
        let parties = PartySet::first(3);
        let entries = vec![provision(2, 1000, 2000), provision(3, 500, 100)];
        let provisions = Provisions::new(parties, entries).unwrap();
        // 7 000 bits of two blocks each, and 800 of three.
        assert_eq!(provisions.bytes(), (7_000 * 2 + 800 * 3) * 16);
        assert_eq!(provisions.clone().within(1 << 20), provisions);
        let half = provisions.clone().within(provisions.bytes() / 2);
        assert_eq!(half.entries(), [provision(2, 500, 1000), provision(3, 250, 50)]);
        assert_ne!(half.digest(&[1; 32]), provisions.digest(&[1; 32]));
        assert_eq!(provisions.within(0).bytes(), 0);
    }
}
