//! The cheapest division of a session's allowance among the batches of its party sets.
//!
//! A batch of ℓ triples leaks 2^-B·ℓ^-(B−1), and costs n(n−1)·B·ℓ between n parties. Batches of B = 3
//! share nearly all of the allowance: each has at least s/∛(n(n−1)) triples, since what a batch makes
//! beyond its set's need is paid for by all pairs while leakage falls with the square of ℓ, and s is the
//! smallest with which the sum holds. Which sets take three, in how large batches, and what is left to
//! the others is tried out; the cheapest wins.

use super::shape::{Allowance, BatchShape};
use super::{least, share_bytes};
use std::collections::{BTreeMap, BTreeSet};

/// Fewest leaky triples from which a batch makes one in a plan.
pub(super) const FEWEST: u32 = 3;
/// Sets of more parties take more, for memory.
pub(super) const PARTIES_OF_FEWEST: usize = 10;
/// Leaky triples of a batch that takes more of them each: so many bytes at each party, …
pub(super) const LEAKY_BYTES_USUAL: usize = 1 << 27;
/// … for so many triples at least, and for more where one more leaky triple costs more than that.
pub(super) const BATCH_MANY: usize = 1 << 15;
/// Part of the allowance that is left to batches that take more, where others take [`FEWEST`].
const RESTS: [u64; 2] = [64, 4];
/// Batches of [`FEWEST`] have so many times the triples that they must have, where their set needs
/// them: larger ones leave more of the allowance to others, and take more memory.
const SPREADS: [usize; 3] = [1, 2, usize::MAX];
/// So many weights are tried as the lightest and as the heaviest of sets that take [`FEWEST`], …
const CHOICES: usize = 8;
/// … fewer where there are so many kinds of sets that trying takes long.
const KINDS_MANY: usize = 32;
/// Where little memory may be used, batches that take so many leaky triples each, or fewer, fit.
const BUCKET_USUAL: usize = 8;
/// Leakage is added up in units of 2^-`UNIT_BITS`.
const UNIT_BITS: u32 = 126;
/// No scale is larger: no memory holds such a batch.
const SCALE_MAX: u64 = 1 << 42;
/// Fixed point of 1/∛(n(n−1)).
const ROOT_BITS: u32 = 20;

/// How sets are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    rho_bits: u32,
    /// Most that the leaky triples of a batch take at each party.
    leaky_bytes: usize,
    /// Sets of these weights take [`FEWEST`], …
    lightest: u128,
    heaviest: u128,
    /// … those of so many parties at most.
    parties_max: usize,
    /// s.
    scale: u64,
    spread: usize,
    /// Each batch that takes more has one of so many shares of the allowance.
    shares: u64,
}

/// The batches of one set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batches {
    /// Triples that each serves, but for the last.
    pub(super) len: usize,
    /// Triples that each makes at least.
    least: usize,
    bucket: u32,
}

/// Sets of one size, and how many of them: (parties, triples) → sets.
type Kinds = BTreeMap<(usize, usize), u64>;

impl Batches {
    /// Of a batch that serves so many.
    pub(super) fn shape(self, triples: usize) -> BatchShape {
        BatchShape { triples: triples.max(self.least), bucket: self.bucket as usize }
    }
}

impl Division {
    /// Of the sets of a session with security `rho_bits`.
    pub(super) fn cheapest(
        rho_bits: u32,
        leaky_bytes: usize,
        sets: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut kinds = Kinds::new();
        for kind in sets.into_iter().filter(|(_, triples)| *triples > 0) {
            *kinds.entry(kind).or_insert(0) += 1;
        }
        let none = Self {
            rho_bits,
            leaky_bytes,
            lightest: u128::MAX,
            heaviest: 0,
            parties_max: 0,
            scale: SCALE_MAX,
            spread: 1,
            shares: 1,
        };
        let none = none.with_shares(&kinds, 1);
        let (mut best, mut cost) = (none, none.cost(&kinds));
        for (lightest, heaviest, parties_max) in choices(&kinds, rho_bits) {
            for (rest, spread) in
                RESTS.iter().flat_map(|rest| SPREADS.map(|spread| (*rest, spread)))
            {
                let division = Self { lightest, heaviest, parties_max, spread, ..none };
                let Some(division) = division.with_shares(&kinds, rest).scaled(&kinds, rest) else {
                    continue;
                };
                let other = division.cost(&kinds);
                if other < cost {
                    (best, cost) = (division, other);
                }
            }
        }
        best
    }

    /// How the set is cut.
    pub(super) fn of(self, parties: usize, triples: usize) -> Batches {
        let even = |count: usize| triples.div_ceil(count.max(1)).max(1);
        let room = self.leaky_bytes / (3 * share_bytes(parties));
        if self.takes_fewest(parties, triples) {
            let (least, most) = (self.least(parties), (room / FEWEST as usize).max(1));
            let many = triples / least.saturating_mul(self.spread);
            let len = even(many.max(triples.div_ceil(most)));
            return Batches { len, least, bucket: FEWEST };
        }
        let with = |bucket: u32| {
            let allowance = Allowance { rho_bits: self.rho_bits, shares: self.shares };
            let least = allowance.least_batch(bucket);
            let batches = triples.div_ceil(self.usual(parties)).min(triples / least);
            Batches { len: even(batches), least, bucket }
        };
        // By memory as far as it is too much, then by leaky triples.
        let price = |batches: Batches| {
            let leaky = batches.shape(batches.len).leaky();
            let all = leaky.saturating_mul(triples.div_ceil(batches.len));
            (leaky.saturating_sub(room), all)
        };
        let mut best = with(FEWEST + 1);
        for bucket in FEWEST + 2..=self.rho_bits {
            // All further ones take more.
            if price(best).0 == 0 && triples.saturating_mul(bucket as usize) >= price(best).1 {
                break;
            }
            let other = with(bucket);
            if price(other) < price(best) {
                best = other;
            }
        }
        best
    }

    /// Triples of a batch that takes more.
    fn usual(self, parties: usize) -> usize {
        let room = self.leaky_bytes / (3 * share_bytes(parties));
        usual(parties).min(room / BUCKET_USUAL).max(1)
    }

    fn takes_fewest(self, parties: usize, triples: usize) -> bool {
        let weight = weight(parties, triples);
        parties <= self.parties_max && self.lightest <= weight && weight <= self.heaviest
    }

    /// Triples of a batch that takes [`FEWEST`] at least.
    fn least(self, parties: usize) -> usize {
        let root = u128::from(ROOTS.get(parties).copied().unwrap_or(1 << ROOT_BITS));
        let least = (u128::from(self.scale) * root).div_ceil(1 << ROOT_BITS).max(1);
        usize::try_from(least).unwrap_or(usize::MAX)
    }

    /// With an equal share of a `rest`th of the allowance for each batch that takes more.
    fn with_shares(self, kinds: &Kinds, rest: u64) -> Self {
        let others = kinds.iter().filter(|((n, triples), _)| !self.takes_fewest(*n, *triples));
        let most = |((n, triples), sets): (&(usize, usize), &u64)| {
            sets.saturating_mul(triples.div_ceil(self.usual(*n)) as u64)
        };
        let others = others.map(most).fold(0, u64::saturating_add);
        Self { shares: others.max(1).saturating_mul(rest), ..self }
    }

    /// With the smallest scale with which the batches of [`FEWEST`] leave a `rest`th of the allowance
    /// to the others, if there are any; none if a batch does not fit.
    fn scaled(self, kinds: &Kinds, rest: u64) -> Option<Self> {
        let fewest: Vec<_> =
            kinds.iter().filter(|((n, triples), _)| self.takes_fewest(*n, *triples)).collect();
        let whole = UNIT_BITS.checked_sub(self.rho_bits).map_or(0, |bits| 1u128 << bits);
        let others = fewest.len() < kinds.len();
        let allowed = if others { whole - whole.div_ceil(u128::from(rest)) } else { whole };
        let leak = |triples: usize| {
            let triples = triples as u128;
            (1u128 << (UNIT_BITS - FEWEST)).div_ceil(triples.saturating_mul(triples).max(1))
        };
        let leaked = |scale| {
            let division = Self { scale, ..self };
            fewest.iter().fold(0u128, |sum, ((n, triples), sets)| {
                let batches = division.of(*n, *triples);
                let made = |serves: usize| batches.shape(serves).triples;
                let (full, last) = (triples / batches.len, triples % batches.len);
                let of_full = leak(made(batches.len)).saturating_mul(full as u128);
                let of_last = if last > 0 { leak(made(last)) } else { 0 };
                let of_set = of_full.saturating_add(of_last);
                sum.saturating_add(of_set.saturating_mul(u128::from(**sets)))
            })
        };
        let scale = least(SCALE_MAX, |scale| leaked(scale) <= allowed);
        let division = Self { scale, ..self };
        let fits = |((n, triples), _): &(&(usize, usize), &u64)| {
            let batches = division.of(*n, *triples);
            batches.shape(batches.len).leaky() <= self.leaky_bytes / (3 * share_bytes(*n))
        };
        (leaked(scale) <= allowed && fewest.iter().all(fits)).then_some(division)
    }

    /// Σ n(n−1)·B·ℓ, half a hundredth more for each time that the largest batch takes twice the memory.
    fn cost(self, kinds: &Kinds) -> u128 {
        let (mut cost, mut bytes) = (0u128, 1);
        for ((n, triples), sets) in kinds {
            let batches = self.of(*n, *triples);
            let leaky = batches.shape(batches.len).leaky();
            let (full, last) = (triples / batches.len, triples % batches.len);
            let of_last = if last > 0 { batches.shape(last).leaky() } else { 0 };
            let all = (leaky as u128).saturating_mul(full as u128).saturating_add(of_last as u128);
            let pairs = u128::from(*sets).saturating_mul((n * n.saturating_sub(1)) as u128);
            cost = cost.saturating_add(all.saturating_mul(pairs));
            bytes = bytes.max(leaky.saturating_mul(3 * share_bytes(*n)));
        }
        cost.saturating_mul(u128::from(200 + bytes.ilog2()))
    }
}

/// Which sets may take [`FEWEST`], of those that could at all: lightest, heaviest, most parties.
fn choices(kinds: &Kinds, rho_bits: u32) -> Vec<(u128, u128, usize)> {
    let least = Allowance::whole(rho_bits).least_batch(FEWEST);
    let could = |(n, triples): &&(usize, usize)| {
        let (three, four) = (FEWEST as usize, FEWEST as usize + 1);
        let cheaper = least.saturating_mul(three) < triples.saturating_mul(four);
        *n <= PARTIES_OF_FEWEST && cheaper
    };
    let able = kinds.keys().filter(could);
    let parties: BTreeSet<_> = able.clone().map(|(n, _)| *n).collect();
    let weights: BTreeSet<_> = able.map(|(n, triples)| weight(*n, *triples)).collect();
    let weights: Vec<_> = weights.into_iter().collect();
    // Every so many of them, from one end and from the other.
    let choices = if kinds.len() > KINDS_MANY { CHOICES / 3 } else { CHOICES };
    let step = weights.len().div_ceil(choices).max(1);
    let from: Vec<_> = weights.iter().step_by(step).copied().collect();
    let to: Vec<_> = weights.iter().rev().step_by(step).copied().collect();
    let ranges = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
    let ranges = ranges.filter(|(from, to)| from <= to);
    ranges.flat_map(|(from, to)| parties.iter().map(move |n| (from, to, *n))).collect()
}

/// How well a set of n parties can do without making more than it needs: t³·n(n−1).
fn weight(parties: usize, triples: usize) -> u128 {
    let pairs = (parties * parties.saturating_sub(1)) as u128;
    (triples as u128).saturating_pow(3).saturating_mul(pairs)
}

/// 1/∛(n(n−1)) by n, rounded up, in [`ROOT_BITS`] fixed point.
const ROOTS: [u64; PARTIES_OF_FEWEST + 1] = {
    let mut roots = [1 << ROOT_BITS; PARTIES_OF_FEWEST + 1];
    let mut parties = 2;
    while parties <= PARTIES_OF_FEWEST {
        let pairs = (parties * (parties - 1)) as u128;
        let (mut low, mut high) = (1u128, 1 << ROOT_BITS);
        while low < high {
            let middle = (low + high) / 2;
            if middle.pow(3) * pairs >= 1 << (3 * ROOT_BITS) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        roots[parties] = low as u64;
        parties += 1;
    }
    roots
};

/// Triples of a batch of so many parties that takes more, unless memory is short.
pub(super) fn usual(parties: usize) -> usize {
    let fits = LEAKY_BYTES_USUAL / ((FEWEST as usize + 1) * 3 * share_bytes(parties));
    fits.max(BATCH_MANY)
}
