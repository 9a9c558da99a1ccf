//! Prefixes over lanes under an associative operation [Brent-Kung]: fewer than 2N operations in
//! 2·log N layers.

use crate::{Builder, Goal, PlaneId, Word};

impl Builder {
    /// Lane i of the result is x_0 ∘ … ∘ x_i for an associative `operation`, which gets the earlier
    /// operand first. Results may be wider than operands; narrower ones are extended with zeros.
    pub fn scan(
        &mut self,
        word: &Word,
        operation: &mut dyn FnMut(&mut Self, &Word, &Word) -> Word,
    ) -> Word {
        let lanes = word.lanes;
        if lanes < 2 {
            return word.clone();
        }
        if self.goal() == Goal::Depth {
            return self.scan_by_halves(word, operation);
        }
        let half = lanes / 2;
        let evens = self.map((0..half).map(|i| 2 * i).collect());
        let odds = self.map((0..half).map(|i| 2 * i + 1).collect());
        let (even, odd) = (self.gather_word(word, evens), self.gather_word(word, odds));
        let pairs = operation(self, &even, &odd);
        // Prefixes that end at odd lanes; an even lane adds itself to the one before.
        let at_odd = self.scan(&pairs, operation);
        let fixes = lanes.div_ceil(2) - 1;
        let before = self.slice_word(&at_odd, 0, fixes);
        let later_evens = self.map((1..=fixes).map(|i| 2 * i).collect());
        let own = self.gather_word(word, later_evens);
        let at_even = operation(self, &before, &own);
        let first = self.slice_word(word, 0, 1);
        let width = first.width().max(at_even.width()).max(at_odd.width());
        let parts = [first, at_even, at_odd].map(|part| self.resize(&part, width));
        let [first, at_even, at_odd] = &parts;
        let joined = self.concat_words(&[first, at_even, at_odd]);
        let even_count = lanes.div_ceil(2);
        let order = (0..lanes).map(|i| if i % 2 == 0 { i / 2 } else { even_count + i / 2 });
        let order = self.map(order.collect());
        self.gather_word(&joined, order)
    }

    /// A scan that starts anew at each lane where `starts` is 1 (and at lane 0): the group
    /// aggregates so far of rows sorted by group. Below 2N·(cost + w + 1) ANDs. The operation
    /// keeps the width.
    pub fn segmented_scan(
        &mut self,
        starts: PlaneId,
        word: &Word,
        mut operation: impl FnMut(&mut Self, &Word, &Word) -> Word,
    ) -> Word {
        let width = word.width();
        let flagged = word.clone().with_high(&Word::bit(starts, word.lanes));
        let scanned = self.scan(&flagged, &mut |b, left, right| {
            let (left_value, right_value) = (left.bits_at(0, width), right.bits_at(0, width));
            let joined = operation(b, &left_value, &right_value);
            let joined = b.resize(&joined, width);
            let (left_flag, right_flag) = (b.top(left), b.top(right));
            let value = b.select(right_flag, &right_value, &joined);
            let flag = b.or(left_flag, right_flag);
            value.with_high(&Word::bit(flag, left.lanes))
        });
        scanned.bits_at(0, width)
    }

    /// Per lane the word of the nearest lane at or before it where `present` is 1, and whether
    /// there is one; lanes before the first one get lane 0's word. Below 2N·(w + 1) ANDs.
    pub fn copy_down(&mut self, present: PlaneId, word: &Word) -> (PlaneId, Word) {
        let width = word.width();
        let flagged = word.clone().with_high(&Word::bit(present, word.lanes));
        let scanned = self.scan(&flagged, &mut |b, left, right| {
            let (left_flag, right_flag) = (b.top(left), b.top(right));
            let value = b.select(right_flag, &right.bits_at(0, width), &left.bits_at(0, width));
            let flag = b.or(left_flag, right_flag);
            value.with_high(&Word::bit(flag, left.lanes))
        });
        (self.top(&scanned), scanned.bits_at(0, width))
    }

    /// Lane i: the conjunction of lanes 0..=i. Below 2N ANDs.
    pub fn prefix_and(&mut self, plane: PlaneId) -> PlaneId {
        let lanes = self.lanes_of(plane);
        let word = Word::bit(plane, lanes);
        let scanned = self.scan(&word, &mut |b, left, right| b.each_bit(left, right, Self::and));
        self.top(&scanned)
    }

    /// Lane i: the disjunction of lanes 0..=i. Below 2N ANDs.
    pub fn prefix_or(&mut self, plane: PlaneId) -> PlaneId {
        let none = self.not(plane);
        let none = self.prefix_and(none);
        self.not(none)
    }

    /// Lane i: the sum of lanes 0..=i, modulo 2^width. About N·(width + 2) ANDs for one-bit words.
    pub fn prefix_sums(&mut self, word: &Word, width: usize) -> Word {
        let word = word.bits_at(0, width);
        let sums = self.scan(&word, &mut |b, left, right| {
            let sum_width = (left.width().max(right.width()) + 1).min(width);
            b.add_to_width(left, right, sum_width)
        });
        self.resize(&sums, width)
    }

    /// The lanes in reverse, which turns a scan from the front into one from the back. Free.
    pub fn reversed(&mut self, word: &Word) -> Word {
        let map = self.map((0..word.lanes).rev().collect());
        self.gather_word(word, map)
    }

    fn top(&mut self, word: &Word) -> PlaneId {
        match word.bits.last() {
            Some(plane) => *plane,
            None => self.constant(false, word.lanes),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{binary, mask, unary, words};
    use crate::{Builder, Word};
    use proptest::prelude::*;

    #[test]
    fn operation_counts_stay_below_twice_the_lanes() {
        for n in 1..70usize {
            let pairs = vec![(0, 0); n];
            let run = unary(1, &pairs, |b, x| Word::bit(b.prefix_and(x.bits[0]), x.lanes));
            assert!(run.total_ands < 2 * n as u64);
            if n.is_power_of_two() {
                assert_eq!(run.total_ands, (2 * n - n.ilog2() as usize - 2) as u64);
            }
        }
    }

    proptest! {
        #[test]
        fn prefixes((w, _, pairs) in words(8)) {
            let w = w.max(1);
            let sums = unary(w, &pairs, |b, x| b.prefix_sums(x, 12));
            let cut = unary(w, &pairs, |b, x| b.prefix_sums(x, 3));
            let ands = unary(w, &pairs, |b, x| Word::bit(b.prefix_and(x.bits[0]), 0));
            let ors = unary(w, &pairs, |b, x| Word::bit(b.prefix_or(x.bits[0]), 0));
            let (mut sum, mut all, mut any) = (0, true, false);
            for (lane, (x, _)) in pairs.iter().enumerate() {
                sum += x;
                all &= x & 1 == 1;
                any |= x & 1 == 1;
                prop_assert_eq!(sums.value(lane), sum & mask(12));
                prop_assert_eq!(cut.value(lane), sum & mask(3));
                prop_assert_eq!(ands.value(lane), u128::from(all));
                prop_assert_eq!(ors.value(lane), u128::from(any));
            }
        }

        #[test]
        fn segments((w, _, pairs) in words(8)) {
            let flag = |y: &Word| y.bits[0];
            let pairs: Vec<_> = pairs.iter().map(|(x, y)| (*x, y.wrapping_add(*x) % 3 / 2)).collect();
            let sums = binary(w, 1, &pairs, |b, x, y| b.segmented_scan(flag(y), x, Builder::add));
            let max = binary(w, 1, &pairs, |b, x, y| b.segmented_scan(flag(y), x, Builder::max));
            let copy = binary(w, 1, &pairs, |b, x, y| b.copy_down(flag(y), x).1);
            let found = binary(w, 1, &pairs, |b, x, y| Word::bit(b.copy_down(flag(y), x).0, 0));
            let (mut sum, mut most, mut kept, mut seen) = (0, 0, pairs[0].0, false);
            for (lane, (x, start)) in pairs.iter().enumerate() {
                (sum, most) = if *start == 1 { (0, 0) } else { (sum, most) };
                kept = if *start == 1 { *x } else { kept };
                seen |= *start == 1;
                sum = (sum + x) & mask(w);
                most = most.max(*x);
                prop_assert_eq!(sums.value(lane), sum);
                prop_assert_eq!(max.value(lane), most);
                prop_assert_eq!(copy.value(lane), kept);
                prop_assert_eq!(found.value(lane), u128::from(seen));
            }
        }
    }
}
