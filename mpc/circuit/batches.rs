//! How the triples of a session are cut into batches (PROTOCOL.md §5): a function of public sizes,
//! the same at every party, from which a plan's price follows before anything runs.

mod division;
mod shape;

pub use shape::{Allowance, BatchShape};

use division::Division;
use std::ops::Range;

/// The leaky triples of a large batch take so many bytes at most at each party unless asked otherwise.
pub const LEAKY_BYTES: usize = 3 << 29;
/// Masks of a batch at most, …
const MASKS_MAX: usize = 1 << 19;
/// … in so many bytes at each party.
const MASKS_BYTES: usize = 1 << 25;
/// Triples of a batch made ahead of a query: small, so that a party can pause between batches.
const BATCH_AHEAD: usize = 1 << 16;

/// How the triples of a whole session are cut into batches, so that its statistical security holds
/// for all of them together: a cheater who is caught in one batch may have attacked others that run
/// beside it, so the leakage of all batches of all party sets adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Batches of one size, each with an equal share of the allowance.
    Even { batch: usize, allowance: Allowance },
    /// As few leaky triples as memory allows.
    Fewest(Division),
}

impl Sharing {
    /// For a session with security `rho_bits` whose party sets, of so many parties each, need so many
    /// triples, those of sets that this party is not in included: all parties take the same numbers.
    pub fn new(rho_bits: u32, sets: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self::within(rho_bits, LEAKY_BYTES, sets)
    }

    /// As [`Sharing::new`], where the leaky triples of a large batch take no more than `leaky_bytes` at
    /// each party: smaller batches take more of them, and more time.
    pub fn within(
        rho_bits: u32,
        leaky_bytes: usize,
        sets: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        Self { cut: Cut::Fewest(Division::cheapest(rho_bits, leaky_bytes, sets)) }
    }

    /// For what a session makes ahead of its query: half of the allowance of a session with security
    /// `rho_bits`, whatever its query will need.
    pub fn ahead(rho_bits: u32, sets: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self::even(rho_bits + 1, BATCH_AHEAD, sets)
    }

    /// For what the plan of such a session needs beyond it: the other half; otherwise as
    /// [`Sharing::within`].
    pub fn after(
        rho_bits: u32,
        leaky_bytes: usize,
        sets: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        Self::within(rho_bits + 1, leaky_bytes, sets)
    }

    /// As [`Sharing::new`] for the same sets, in batches of `batch` triples.
    pub fn even(
        rho_bits: u32,
        batch: usize,
        sets: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let batch = batch.max(1);
        let batches = sets.into_iter().map(|(_, triples)| triples.div_ceil(batch));
        let shares = batches.sum::<usize>().max(1) as u64;
        Self { cut: Cut::Even { batch, allowance: Allowance { rho_bits, shares } } }
    }

    /// The shapes of the batches of a set of `parties` that needs `triples`, in order, with what each
    /// serves.
    pub fn batches(
        self,
        parties: usize,
        triples: usize,
    ) -> impl Iterator<Item = (Range<usize>, BatchShape)> {
        let (len, full, last) = match self.cut {
            Cut::Even { batch, allowance } => {
                let shape = |triples| BatchShape::cheapest(triples, allowance);
                (batch, shape(batch), shape(triples % batch))
            }
            Cut::Fewest(division) => {
                let batches = division.of(parties, triples);
                let shape = |triples: usize| batches.shape(triples);
                (batches.len, shape(batches.len), shape(triples % batches.len))
            }
        };
        let spans = (0..triples).step_by(len).map(move |start| start..triples.min(start + len));
        // All but the last have one shape.
        spans.map(move |span| if span.len() == len { (span, full) } else { (span, last) })
    }
}

/// Masks per batch of a set of so many parties.
pub fn masks_per_batch(parties: usize) -> usize {
    (MASKS_BYTES / share_bytes(parties)).clamp(1, MASKS_MAX)
}

/// Bytes of a share of one bit: D, and a MAC for each peer.
fn share_bytes(parties: usize) -> usize {
    16 * parties.max(1)
}

/// The least number from 1 to `most` that is `enough`, as all larger ones are, or `most`.
fn least(most: u64, enough: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests;
