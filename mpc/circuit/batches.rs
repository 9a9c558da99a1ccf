//! How the triples of a session are cut into batches (PROTOCOL.md §5): a function of public sizes,
//! the same at every party, from which a plan's price follows before anything runs.

use std::ops::Range;

/// Fewest leaky triples from which a batch makes one in a plan.
const BUCKET_MIN: u32 = 3;
/// The leaky triples of such a batch take so many bytes at most at each party unless asked otherwise, …
pub const LEAKY_BYTES: usize = 3 << 29;
/// … in sets of up to so many parties: those of larger sets need more leaky triples than that.
const PARTIES_OF_LARGE: usize = 10;
/// Leaky triples of a batch that takes one more of them each: so many bytes at each party, …
const LEAKY_BYTES_USUAL: usize = 1 << 27;
/// … for so many triples at least, and for more where plans are so large that one more leaky triple
/// does not do otherwise.
const BATCH_MANY: usize = 1 << 15;
/// Masks of a batch at most, …
const MASKS_MAX: usize = 1 << 19;
/// … in so many bytes at each party.
const MASKS_BYTES: usize = 1 << 25;
/// Triples of a batch made ahead of a query: small, so that a party can pause between batches.
const BATCH_AHEAD: usize = 1 << 16;
/// What batches that take one more leaky triple leak together is so small a part of the allowance
/// where others take [`BUCKET_MIN`].
const REST: u64 = 64;
/// Leakage is added up in units of 2^-`UNIT_BITS`.
const UNIT_BITS: u32 = 126;
/// No [`Cut::Fewest`] scale is larger: no memory holds such a batch.
const SCALE_MAX: u64 = 1 << 42;

/// The leakage that a batch may have: 2^-`rho_bits` / `shares`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Statistical security of all that shares it.
    pub rho_bits: u32,
    /// Number of equal shares.
    pub shares: u64,
}

impl Allowance {
    /// All of 2^-`rho_bits` for one batch.
    pub fn whole(rho_bits: u32) -> Self {
        Self { rho_bits, shares: 1 }
    }

    /// The least ℓ with 2^-B·ℓ^-(B−1) within the allowance, B being `bucket`.
    fn least_batch(self, bucket: u32) -> usize {
        let power = 1u128.checked_shl(self.rho_bits.saturating_sub(bucket));
        let goal = power.and_then(|power| power.checked_mul(u128::from(self.shares)));
        let Some(goal) = goal else { return usize::MAX };
        let enough = |len: u64| u128::from(len).saturating_pow(bucket.saturating_sub(1)) >= goal;
        usize::try_from(least(1 << 63, enough)).unwrap_or(usize::MAX)
    }
}

/// How many triples a batch makes, and from how many leaky ones each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// ℓ: triples of the batch.
    pub triples: usize,
    /// B: leaky triples per triple.
    pub bucket: usize,
}

impl BatchShape {
    /// The cheapest shape with at least `triples` triples that leaks no more than `allowance`.
    pub fn cheapest(triples: usize, allowance: Allowance) -> Self {
        Self::cheapest_from(2, triples, allowance)
    }

    /// As [`BatchShape::cheapest`], of `bucket_min` leaky triples or more.
    fn cheapest_from(bucket_min: u32, triples: usize, allowance: Allowance) -> Self {
        let most = allowance.rho_bits.max(bucket_min);
        let mut cheapest = Self::of(bucket_min, triples, allowance);
        for bucket in bucket_min + 1..=most {
            // All further ones take more.
            if triples.saturating_mul(bucket as usize) >= cheapest.leaky() {
                break;
            }
            let shape = Self::of(bucket, triples, allowance);
            if shape.leaky() < cheapest.leaky() {
                cheapest = shape;
            }
        }
        cheapest
    }

    /// At least `triples` triples from `bucket` leaky ones each.
    fn of(bucket: u32, triples: usize, allowance: Allowance) -> Self {
        let triples = triples.max(allowance.least_batch(bucket)).max(1);
        Self { triples, bucket: bucket as usize }
    }

    /// Leaky triples of the batch.
    pub fn leaky(&self) -> usize {
        self.triples.saturating_mul(self.bucket)
    }
}

/// How the triples of a whole session are cut into batches, so that its statistical security holds
/// for all of them together: a cheater who is caught in one batch may have attacked others that run
/// beside it, so the leakage of all batches of all party sets adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    rho_bits: u32,
    /// What the leaky triples of a batch of [`BUCKET_MIN`] may take at each party.
    leaky_bytes: usize,
    cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Batches of one size, each with one of so many shares of the allowance.
    Even { batch: usize, shares: u64 },
    /// As few leaky triples as memory allows. A batch of n parties that takes [`BUCKET_MIN`] has at
    /// least `scale`/∛(n(n−1)) triples; one that takes more has one of `shares` of the allowance.
    Fewest { scale: u64, shares: u64 },
}

/// The batches of one set.
struct Batches {
    /// Triples of each, but for the last.
    len: usize,
    /// Whether each triple takes no more than [`BUCKET_MIN`].
    fewest: bool,
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
        let sets: Vec<_> = sets.into_iter().filter(|(_, triples)| *triples > 0).collect();
        let usual = |(parties, triples): &(usize, usize)| triples.div_ceil(usual(*parties));
        let others = sets.iter().map(usual).sum::<usize>().max(1) as u64;
        let with =
            |scale, shares| Self { rho_bits, leaky_bytes, cut: Cut::Fewest { scale, shares } };
        let shares = others.saturating_mul(REST);
        // A larger scale makes larger batches, and fewer of them that take the fewest.
        let scale = least(SCALE_MAX, |scale| with(scale, shares).fits(&sets));
        let sharing = with(scale, shares);
        match sets.iter().any(|(parties, triples)| sharing.cut(*parties, *triples).fewest) {
            true => sharing,
            false => with(SCALE_MAX, others),
        }
    }

    /// Whether the batches of `sets` that take [`BUCKET_MIN`] leave [`REST`] of the allowance, if any
    /// takes more. All of one session add up: 2^-3·ℓ^-2 each, [`Allowance`].
    fn fits(self, sets: &[(usize, usize)]) -> bool {
        let leak = |shape: BatchShape| {
            let triples = shape.triples as u128;
            (1u128 << (UNIT_BITS - BUCKET_MIN)).div_ceil(triples.saturating_mul(triples).max(1))
        };
        let (mut leaked, mut more) = (0u128, false);
        for (parties, triples) in sets {
            let fewest = self.cut(*parties, *triples).fewest;
            more |= !fewest;
            if fewest {
                let shapes = self.batches(*parties, *triples);
                leaked = shapes.fold(leaked, |sum, (_, shape)| sum.saturating_add(leak(shape)));
            }
        }
        let whole = UNIT_BITS.checked_sub(self.rho_bits).map_or(0, |bits| 1u128 << bits);
        leaked <= if more { whole - whole.div_ceil(u128::from(REST)) } else { whole }
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
        Self { rho_bits, leaky_bytes: LEAKY_BYTES, cut: Cut::Even { batch, shares } }
    }

    /// The shapes of the batches of a set of `parties` that needs `triples`, in order, with what each
    /// serves.
    pub fn batches(
        self,
        parties: usize,
        triples: usize,
    ) -> impl Iterator<Item = (Range<usize>, BatchShape)> {
        let Batches { len, fewest } = self.cut(parties, triples);
        let spans = (0..triples).step_by(len).map(move |start| start..triples.min(start + len));
        // All but the last have one shape.
        let shape = move |triples| self.shape(parties, triples, fewest);
        let full = shape(len);
        spans.map(move |span| {
            let shape = if span.len() == len { full } else { shape(span.len()) };
            (span, shape)
        })
    }

    fn shape(self, parties: usize, triples: usize, fewest: bool) -> BatchShape {
        let rho_bits = self.rho_bits;
        match self.cut {
            Cut::Even { shares, .. } => {
                BatchShape::cheapest(triples, Allowance { rho_bits, shares })
            }
            Cut::Fewest { scale, .. } if fewest => BatchShape {
                triples: triples.max(least_fewest(scale, parties)),
                bucket: BUCKET_MIN as usize,
            },
            Cut::Fewest { shares, .. } => {
                BatchShape::cheapest_from(BUCKET_MIN + 1, triples, Allowance { rho_bits, shares })
            }
        }
    }

    fn cut(self, parties: usize, triples: usize) -> Batches {
        let even = |count: usize| triples.div_ceil(count.max(1)).max(1);
        let rho_bits = self.rho_bits;
        let (scale, shares) = match self.cut {
            Cut::Even { batch, .. } => return Batches { len: batch, fewest: false },
            Cut::Fewest { scale, shares } => (scale, shares),
        };
        // The smallest batches that [`BUCKET_MIN`] allows, the least memory.
        let least = least_fewest(scale, parties);
        let most = self.most(parties);
        let fewest = even((triples / least).max(triples.div_ceil(most.max(1))));
        let enough = Allowance { rho_bits, shares }.least_batch(BUCKET_MIN + 1);
        let more = even(triples.div_ceil(usual(parties)).min(triples / enough));
        let cost = |len: usize, fewest| {
            self.shape(parties, len, fewest).leaky().saturating_mul(triples.div_ceil(len))
        };
        let fits = fewest.max(least) <= most;
        match fits && cost(fewest, true) <= cost(more, false) {
            true => Batches { len: fewest, fewest: true },
            false => Batches { len: more, fewest: false },
        }
    }

    /// Triples of the largest batch of so many parties that takes [`BUCKET_MIN`] leaky ones each; 0
    /// where there is none.
    fn most(self, parties: usize) -> usize {
        if parties > PARTIES_OF_LARGE {
            return 0;
        }
        self.leaky_bytes / (BUCKET_MIN as usize * 3 * share_bytes(parties))
    }
}

/// Masks per batch of a set of so many parties.
pub fn masks_per_batch(parties: usize) -> usize {
    (MASKS_BYTES / share_bytes(parties)).clamp(1, MASKS_MAX)
}

/// Triples of a batch of so many parties that takes more.
fn usual(parties: usize) -> usize {
    let fits = LEAKY_BYTES_USUAL / ((BUCKET_MIN as usize + 1) * 3 * share_bytes(parties));
    fits.max(BATCH_MANY)
}

/// Triples that a batch of so many parties at [`Cut::Fewest`] `scale` has at least: of batches that
/// have to be larger than their set needs, those of many parties, whose bytes and hashes grow with
/// n(n−1), the least; ∛ because leakage falls with the square of the size.
fn least_fewest(scale: u64, parties: usize) -> usize {
    let pairs = (parties * parties.saturating_sub(1)).max(1) as u128;
    let cubed = |len: u64| u128::from(len).saturating_pow(3);
    let enough = |len: u64| cubed(len).saturating_mul(pairs) >= cubed(scale);
    usize::try_from(least(scale.max(1), enough)).unwrap_or(usize::MAX)
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

/// Bytes of a share of one bit: D, and a MAC for each peer.
fn share_bytes(parties: usize) -> usize {
    16 * parties.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartySet;

    /// The bound on the leakage of one batch.
    fn leakage(shape: BatchShape) -> f64 {
        let bucket = shape.bucket as f64;
        (-bucket - (bucket - 1.0) * (shape.triples as f64).log2()).exp2()
    }

    /// Sets of two, eleven and forty parties in turn.
    fn sets(counts: &[usize]) -> impl Iterator<Item = (usize, usize)> + Clone {
        [2, 11, 40].into_iter().cycle().zip(counts.iter().copied())
    }

    #[test]
    fn bucket_sizes_are_those_of_the_bound() {
        for (bucket, least) in [(3, 370_728), (4, 4_096), (5, 431), (6, 112), (7, 46)] {
            assert_eq!(Allowance::whole(40).least_batch(bucket), least);
        }
        assert_eq!(Allowance { rho_bits: 40, shares: 4 }.least_batch(3), 741_456);
        let shape = |triples| BatchShape::cheapest(triples, Allowance::whole(40));
        assert_eq!(shape(400_000), BatchShape { triples: 400_000, bucket: 3 });
        assert_eq!(shape(300_000), BatchShape { triples: 370_728, bucket: 3 });
        assert_eq!(shape(5_000), BatchShape { triples: 5_000, bucket: 4 });
        for triples in [0, 1, 2, 10, 100, 1_000, 1 << 19] {
            for rho in [40, 64, 80] {
                let made = BatchShape::cheapest(triples, Allowance::whole(rho));
                let bound = (1.0 + 1e-9) * (-f64::from(rho)).exp2();
                assert!(made.triples >= triples && leakage(made) <= bound, "{made:?}");
            }
        }
    }

    #[test]
    fn the_leakage_of_all_batches_of_a_session_together_is_bounded() {
        let big = 3 * usual(2) + 1;
        let plans: [&[usize]; 10] = [
            &[],
            &[5],
            &[400_000],
            &[1, 1, 1],
            &[big],
            &[big, 1 << 24, 7],
            &[100; 1000],
            &[1 << 19, 1 << 19, 1 << 19, 1 << 20],
            &[1_087_000, 1_300_000, 0, 1_087_000],
            &[1 << 26, 1 << 22],
        ];
        for (rho, plan) in plans.iter().flat_map(|plan| [(40, plan), (62, plan)]) {
            let sharing = Sharing::new(rho, sets(plan));
            let shapes = sets(plan).flat_map(|(n, triples)| sharing.batches(n, triples));
            let total: f64 = shapes.map(|(_, shape)| leakage(shape)).sum();
            assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {plan:?}");
        }
    }

    #[test]
    fn what_is_made_ahead_and_what_a_plan_needs_beyond_it_share_the_bound() {
        let stocks: [&[usize]; 4] = [&[1], &[300_000, 9], &[1 << 20; 5], &[40; 64]];
        let rests: [&[usize]; 4] = [&[0], &[5, 700_000], &[1 << 22, 1], &[100; 300]];
        for (stock, rest) in stocks.iter().flat_map(|stock| rests.map(|rest| (*stock, rest))) {
            for rho in [40, 62] {
                let (ahead, after) = (
                    Sharing::ahead(rho, sets(stock)),
                    Sharing::after(rho, LEAKY_BYTES, sets(rest)),
                );
                let made = sets(stock).flat_map(|(n, triples)| ahead.batches(n, triples));
                let more = sets(rest).flat_map(|(n, triples)| after.batches(n, triples));
                let total: f64 = made.chain(more).map(|(_, shape)| leakage(shape)).sum();
                assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {stock:?}");
            }
        }
    }

    /// What a plan with these sets takes, in leaky triples per triple.
    fn price(sets: &[(usize, usize)]) -> f64 {
        let sharing = Sharing::new(40, sets.iter().copied());
        let shapes = sets.iter().flat_map(|(n, triples)| sharing.batches(*n, *triples));
        let leaky: usize = shapes.map(|(_, shape)| shape.leaky()).sum();
        leaky as f64 / sets.iter().map(|(_, triples)| *triples).sum::<usize>() as f64
    }

    #[test]
    fn batches_serve_every_lane_once_and_take_three_leaky_triples_where_they_can() {
        for triples in [
            1, 400_000, 741_457, 1_087_000, 1_541_309, 4_000_000, 7_700_160, 30_000_001, 78_118_911,
        ] {
            let sharing = Sharing::new(40, [(2, triples)]);
            let mut next = 0;
            for (span, shape) in sharing.batches(2, triples) {
                assert_eq!(span.start, next);
                assert!(span.len() <= sharing.most(2) && shape.triples >= span.len());
                next = span.end;
            }
            assert_eq!(next, triples);
            assert!(triples < 400_000 || price(&[(2, triples)]) < 3.0001, "{triples}");
        }
        // Three stages of a tree of four parties; seven of a tree of eight.
        assert!(price(&[(2, 1_087_000), (2, 1_087_000), (4, 1_280_000)]) < 3.0001);
        assert!(price(&[(2, 1_087_000); 6]) < 3.1);
        // Many small sets beside a large one share what one batch may leak.
        assert!(price(&[[(2, 540_000); 1].as_slice(), &[(3, 200); 40]].concat()) < 3.2);
        let one = Sharing::new(40, [(10, 400_000)]).batches(10, 400_000).collect::<Vec<_>>();
        assert_eq!(one, [(0..400_000, BatchShape { triples: 400_000, bucket: 3 })]);
    }

    #[test]
    fn memory_of_leaky_triples_and_masks_is_bounded() {
        for parties in 2..=PartySet::MAX {
            let bytes = masks_per_batch(parties) * share_bytes(parties);
            assert!(bytes <= MASKS_BYTES && bytes > MASKS_BYTES / 3, "{parties}: {bytes}");
        }
        for (parties, triples) in
            (2..=PartySet::MAX).flat_map(|parties| [(parties, 1 << 20), (parties, 1 << 24)])
        {
            let sharing = Sharing::new(40, [(parties, triples)]);
            let many = BATCH_MANY * 4 * 3 * share_bytes(parties);
            for (_, shape) in sharing.batches(parties, triples) {
                let most = if parties <= PARTIES_OF_LARGE {
                    LEAKY_BYTES
                } else {
                    // Where a batch has to be larger for the bound, hardly more than it has to.
                    LEAKY_BYTES_USUAL.max(many) * 5 / 4
                };
                assert!(shape.leaky() * 48 * parties <= most, "{parties}: {shape:?}");
                assert!(shape.bucket <= 4);
            }
        }
    }

    #[test]
    fn a_bound_on_memory_holds_and_costs_leaky_triples() {
        let sets = [(8, 2_115_263), (8, 2_115_263), (4, 978_431)];
        for leaky_bytes in [LEAKY_BYTES, 3 << 28, 1 << 28] {
            let sharing = Sharing::within(40, leaky_bytes, sets);
            for (parties, triples) in sets {
                for (_, shape) in sharing.batches(parties, triples) {
                    assert!(
                        shape.leaky() * 48 * parties <= leaky_bytes,
                        "{leaky_bytes}: {shape:?}"
                    );
                    let fewest =
                        leaky_bytes == LEAKY_BYTES || parties == 4 && leaky_bytes == 3 << 28;
                    assert_eq!(shape.bucket, if fewest { 3 } else { 4 }, "{leaky_bytes} {parties}");
                }
            }
        }
    }

    /// The tree of sixteen parties' sorted keys, 600 rows each: what the many pairs of a large set make
    /// beyond their need costs most, so they make nothing beyond it.
    #[test]
    fn large_sets_leave_the_allowance_to_small_ones() {
        let sets = [(16, 4_537_727), (8, 1_956_863), (8, 1_956_863), (4, 899_231), (4, 899_231)];
        let sharing = Sharing::new(40, sets.into_iter().chain([(4, 899_231), (4, 899_231)]));
        let made = |parties, triples| {
            let shapes = sharing.batches(parties, triples).map(|(_, shape)| shape);
            shapes.fold((0, 0), |(sum, most), BatchShape { triples, bucket }| {
                (sum + triples, bucket.max(most))
            })
        };
        assert_eq!(made(8, 1_956_863), (1_956_863, 3));
        let (four, bucket) = made(4, 899_231);
        assert!(bucket == 3 && four < 899_231 * 4 / 3, "{four}");
        assert_eq!(made(16, 4_537_727).1, 4);
    }

    /// The tree of sixteen parties' sorted keys, 1 000 rows each: many batches share the bound.
    #[test]
    fn large_trees_take_four_leaky_triples_at_most() {
        let mut sets = vec![(16, 7_939_327)];
        for (parties, triples) in [(8, 3_705_663), (4, 1_720_831), (2, 794_415)] {
            sets.extend(vec![(parties, triples); 16 / parties]);
        }
        let sharing = Sharing::new(40, sets.iter().copied());
        for (parties, triples) in sets {
            let shapes = sharing.batches(parties, triples).map(|(_, shape)| shape.bucket);
            assert!(shapes.max().unwrap_or(0) <= 4, "{parties}");
        }
    }
}
