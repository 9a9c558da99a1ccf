//! The same words in fewer layers of AND gates, for a builder whose goal is depth: comparisons in a
//! tree, carries by parallel prefix [Sklansky], products by carry-save addition [Dadda], scans
//! in ⌈log N⌉ layers of operations. More gates than the forms that these stand in for.

use crate::{Builder, PlaneId, Word};

/// What two numbers' digits say about their order, for some consecutive digits.
#[derive(Clone, Copy)]
struct Order {
    less: PlaneId,
    same: PlaneId,
}

/// Whether consecutive digits of a sum make a carry, and whether they pass one on.
#[derive(Clone, Copy)]
struct Carry {
    made: PlaneId,
    passed: PlaneId,
}

impl Builder {
    /// 1 where x < y, words of one width w: about 5/2·w ANDs in 1 + ⌈log w⌉ layers.
    pub(super) fn less_than_in_tree(&mut self, x: &Word, y: &Word) -> PlaneId {
        let digits: Vec<_> = x.bits.iter().copied().zip(y.bits.iter().copied()).collect();
        let mut orders: Vec<_> =
            digits.chunks(2).map(|pair| self.order_of(pair, x.lanes)).collect();
        while orders.len() > 1 {
            let join = |pair: &[Order]| match pair {
                [low, high] => {
                    let decided_below = self.and(high.same, low.less);
                    let less = self.xor(high.less, decided_below);
                    Order { less, same: self.and(high.same, low.same) }
                }
                [only, ..] => *only,
                [] => self.order_of(&[], x.lanes),
            };
            orders = orders.chunks(2).map(join).collect();
        }
        match orders.first() {
            Some(order) => order.less,
            None => self.constant(false, x.lanes),
        }
    }

    /// Two digits, the lower one first, in two layers; or one in one.
    fn order_of(&mut self, digits: &[(PlaneId, PlaneId)], lanes: u32) -> Order {
        let mut less = self.constant(false, lanes);
        let mut same = Vec::new();
        for (x, y) in digits {
            let not_x = self.not(*x);
            less = self.majority(not_x, *y, less);
            same.push(self.xor(not_x, *y));
        }
        Order { less, same: self.all(&same, lanes) }
    }

    /// Carries into every digit of x + y + `carry`, words of one width w: about w·(log w + 1) ANDs
    /// in 1 + ⌈log w⌉ layers.
    pub(super) fn carries_by_prefix(&mut self, x: &Word, y: &Word, carry: PlaneId) -> Vec<PlaneId> {
        // No carry passes the first digit: what comes in is in what it makes.
        let none = self.constant(false, x.lanes);
        let digits = x.bits.iter().zip(&y.bits).enumerate();
        let mut prefixes: Vec<Carry> = digits
            .map(|(at, (x, y))| match at {
                0 => Carry { made: self.majority(*x, *y, carry), passed: none },
                _ => Carry { made: self.and(*x, *y), passed: self.xor(*x, *y) },
            })
            .collect();
        let mut span = 1;
        while span < prefixes.len() {
            let before = prefixes.clone();
            for (at, digit) in prefixes.iter_mut().enumerate().filter(|(at, _)| at / span % 2 == 1)
            {
                let Some(low) = before.get(at / span * span - 1) else { continue };
                let below = self.and(digit.passed, low.made);
                digit.made = self.xor(digit.made, below);
                digit.passed = self.and(digit.passed, low.passed);
            }
            span *= 2;
        }
        let into = std::iter::once(carry).chain(prefixes.into_iter().map(|prefix| prefix.made));
        into.take(x.width()).collect()
    }

    /// The sum of bits by their weight, modulo 2^width [Dadda]: layers of adders that leave at most
    /// 2, 3, 4, 6, 9, … bits of each weight, from the largest such number down, then one addition.
    pub(super) fn sum_of_weights(&mut self, mut weights: Vec<Vec<PlaneId>>, lanes: u32) -> Word {
        let most = weights.iter().map(Vec::len).max().unwrap_or(0);
        let heights = std::iter::successors(Some(2usize), |height| Some(height * 3 / 2));
        let heights: Vec<_> = heights.take_while(|height| *height < most).collect();
        for height in heights.into_iter().rev() {
            weights = self.layer_of_adders(&weights, height);
        }
        let word = |b: &mut Self, which: usize| {
            let zero = b.constant(false, lanes);
            let bits = weights.iter().map(|bits| bits.get(which).copied().unwrap_or(zero));
            Word::new(bits.collect(), lanes)
        };
        let (x, y) = (word(self, 0), word(self, 1));
        self.add(&x, &y)
    }

    /// The same sum with at most `height` bits of each weight, in one layer.
    fn layer_of_adders(&mut self, weights: &[Vec<PlaneId>], height: usize) -> Vec<Vec<PlaneId>> {
        let mut reduced = Vec::with_capacity(weights.len());
        let mut carried: Vec<PlaneId> = Vec::new();
        for bits in weights {
            // What is there already is what the weight below carries.
            let (mut done, mut carries) = (carried, Vec::new());
            let mut rest = bits.as_slice();
            loop {
                let excess = (rest.len() + done.len()).saturating_sub(height);
                let (sum, carry) = match rest {
                    [x, y, z, tail @ ..] if excess > 1 => {
                        rest = tail;
                        let half = self.xor(*x, *y);
                        (self.xor(half, *z), self.majority(*x, *y, *z))
                    }
                    [x, y, tail @ ..] if excess > 0 => {
                        rest = tail;
                        (self.xor(*x, *y), self.and(*x, *y))
                    }
                    _ => break,
                };
                done.push(sum);
                carries.push(carry);
            }
            done.extend_from_slice(rest);
            reduced.push(done);
            carried = carries;
        }
        reduced
    }

    /// As [`Builder::scan`]: N/2·⌈log N⌉ operations in ⌈log N⌉ layers of them.
    pub(super) fn scan_by_halves(
        &mut self,
        word: &Word,
        operation: &mut dyn FnMut(&mut Self, &Word, &Word) -> Word,
    ) -> Word {
        let lanes = word.lanes;
        let mut word = word.clone();
        let mut span = 1u32;
        while span < lanes {
            // The second half of every block of 2·span lanes adds what its first half ends with.
            let later: Vec<u32> = (0..lanes).filter(|i| i / span % 2 == 1).collect();
            let ends = later.iter().map(|i| i / span * span - 1).collect();
            let (later_map, ends) = (self.map(later), self.map(ends));
            let (own, before) = (self.gather_word(&word, later_map), self.gather_word(&word, ends));
            let summed = operation(self, &before, &own);
            let width = word.width().max(summed.width());
            let parts = [self.resize(&word, width), self.resize(&summed, width)];
            let joined = self.concat_words(&[&parts[0], &parts[1]]);
            let mut next = lanes;
            let back = (0..lanes).map(|i| {
                let second = i / span % 2 == 1;
                next += u32::from(second);
                if second { next - 1 } else { i }
            });
            let back = back.collect();
            let back = self.map(back);
            word = self.gather_word(&joined, back);
            span = span.saturating_mul(2);
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{mask, pack, words};
    use crate::{Builder, PlaneId, Word};
    use proptest::prelude::*;

    /// One gadget for two builders.
    type Gadget = fn(&mut Builder, &Word, &Word) -> Word;

    fn bit(plane: PlaneId, word: &Word) -> Word {
        Word::bit(plane, word.lanes)
    }

    /// Every gadget that depends on the goal, by name.
    const GADGETS: [(&str, Gadget); 13] = [
        ("less than", |b, x, y| bit(b.less_than(x, y), x)),
        ("less or equal", |b, x, y| bit(b.less_or_equal(x, y), x)),
        ("equal", |b, x, y| bit(b.equal(x, y), x)),
        ("min", |b, x, y| b.min(x, y)),
        ("add", Builder::add),
        ("add wide", Builder::add_wide),
        ("subtract", Builder::subtract),
        ("negate", |b, x, _| b.negate(x)),
        ("multiply", Builder::multiply),
        ("divide", |b, x, y| b.divide(x, y).0),
        ("ones", |b, x, _| b.popcount(&x.bits, x.lanes)),
        ("prefix sums", |b, x, _| b.prefix_sums(x, 9)),
        ("largest so far", |b, x, y| match y.bits.first() {
            Some(start) => b.segmented_scan(*start, x, Builder::max),
            None => b.scan(x, &mut Builder::max),
        }),
    ];

    /// A gadget's output, its AND gates and its depth.
    fn run(
        mut b: Builder,
        gadget: Gadget,
        (w, v): (usize, usize),
        pairs: &[(u128, u128)],
    ) -> (Vec<bool>, u64, u32) {
        let lanes = pairs.len() as u32;
        let (x, y) = (b.input_word(w, lanes), b.input_word(v, lanes));
        let out = gadget(&mut b, &x, &y);
        b.output(&out.bits);
        let program = b.finish().unwrap();
        let (xs, ys): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let result = program.evaluate(&[pack(&xs, w), pack(&ys, v)]).unwrap();
        (result[0].iter().collect(), program.ands(), program.stats().and_depth)
    }

    #[test]
    fn depths_are_logarithmic() {
        let log = |n: usize| n.next_power_of_two().ilog2();
        let depth = |gadget: usize, w: usize, lanes: usize| {
            run(Builder::shallow(), GADGETS[gadget].1, (w, w), &vec![(0, 0); lanes]).2
        };
        for w in [1, 2, 3, 8, 17, 32, 64] {
            assert!(depth(0, w, 1) <= 1 + log(w), "less than {w}");
            assert!(depth(4, w, 1) <= 1 + log(w), "add {w}");
            assert!(depth(6, w, 1) <= 1 + log(w), "subtract {w}");
            assert!(depth(8, w, 1) <= 3 + 3 * log(w), "multiply {w}");
        }
        for lanes in [2, 9, 64, 100] {
            assert!(depth(12, 8, lanes) <= 6 * log(lanes), "scan of {lanes}");
        }
    }

    #[test]
    fn gates_stay_below_the_documented_numbers() {
        for w in 2..65usize {
            let ands =
                |gadget: usize| run(Builder::shallow(), GADGETS[gadget].1, (w, w), &[(0, 0)]).1;
            let log = u64::from(w.next_power_of_two().ilog2());
            assert!(ands(0) <= (5 * w as u64).div_ceil(2), "less than {w}: {}", ands(0));
            assert!(ands(4) <= w as u64 * (log + 1), "add {w}: {}", ands(4));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn both_goals_compute_the_same((w, v, pairs) in words(11)) {
            // Selections want words of one width.
            let w = w.max(1);
            for (name, gadget) in GADGETS {
                let v = if name == "min" { w } else { v };
                let pairs: Vec<_> =
                    pairs.iter().map(|(x, y)| (*x & mask(w), *y & mask(v))).collect();
                let gates = run(Builder::new(), gadget, (w, v), &pairs);
                let depth = run(Builder::shallow(), gadget, (w, v), &pairs);
                prop_assert_eq!(&gates.0, &depth.0, "{} of {} and {} bits", name, w, v);
            }
        }
    }
}
