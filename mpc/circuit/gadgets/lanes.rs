//! Operations across lanes: folding all lanes to one, and shifting.

use crate::{Builder, PlaneId, Word};

impl Builder {
    /// One lane: the conjunction of all lanes, 1 of no lanes. N − 1 ANDs in log N layers.
    pub fn all_lanes(&mut self, plane: PlaneId) -> PlaneId {
        let lanes = self.lanes_of(plane);
        if lanes == 0 {
            return self.constant(true, 1);
        }
        let word = Word::bit(plane, lanes);
        let all = self.fold_lanes(&word, |b, x, y| b.each_bit(x, y, Self::and));
        all.plane(0).unwrap_or_else(|| self.constant(true, 1))
    }

    /// One lane: the disjunction of all lanes, 0 of no lanes. N − 1 ANDs in log N layers.
    pub fn any_lane(&mut self, plane: PlaneId) -> PlaneId {
        let none = self.not(plane);
        let none = self.all_lanes(none);
        self.not(none)
    }

    /// One lane: the sum of all lanes, exactly; as wide as the largest sum of N such integers.
    pub fn sum_lanes(&mut self, word: &Word) -> Word {
        let width = word.width() + (word.lanes.max(1).next_power_of_two().ilog2() as usize);
        if word.lanes == 0 {
            return self.constant_word(0, width, 1);
        }
        let sum = self.fold_lanes(word, |b, x, y| b.add_wide(x, y));
        self.resize(&sum, width)
    }

    /// Folds all lanes to one by an associative and commutative operation on words, halving N each
    /// time: N − 1 lanes of operations in ⌈log N⌉ layers. The operation may widen its result; a
    /// word left over by an odd N is widened with zeros. Nothing is done to fewer than two lanes.
    pub fn fold_lanes(
        &mut self,
        word: &Word,
        mut operation: impl FnMut(&mut Self, &Word, &Word) -> Word,
    ) -> Word {
        let mut word = word.clone();
        while word.lanes > 1 {
            let half = word.lanes / 2;
            let low = self.slice_word(&word, 0, half);
            let high = self.slice_word(&word, half, half);
            let folded = operation(self, &low, &high);
            let odd = self.slice_word(&word, 2 * half, word.lanes % 2);
            let width = folded.width().max(odd.width());
            let (folded, odd) = (self.resize(&folded, width), self.resize(&odd, width));
            word = self.concat_words(&[&folded, &odd]);
        }
        word
    }

    /// Lanes `start .. start + len` of a word. Free.
    pub fn slice_word(&mut self, word: &Word, start: u32, len: u32) -> Word {
        let map = self.range(start, start.saturating_add(len));
        self.gather_word(word, map)
    }

    /// Lane i of the result is lane i − `by`; the first `by` lanes are `fill`. Free.
    pub fn shift_later(&mut self, plane: PlaneId, by: u32, fill: bool) -> PlaneId {
        let lanes = self.lanes_of(plane);
        let by = by.min(lanes);
        let (fill, kept) = (self.constant(fill, by), self.slice(plane, 0, lanes - by));
        self.concat(&[fill, kept])
    }

    /// Lane i of the result is lane i + `by`; the last `by` lanes are `fill`. Free.
    pub fn shift_earlier(&mut self, plane: PlaneId, by: u32, fill: bool) -> PlaneId {
        let lanes = self.lanes_of(plane);
        let by = by.min(lanes);
        let (fill, kept) = (self.constant(fill, by), self.slice(plane, by, lanes - by));
        self.concat(&[kept, fill])
    }
}

#[cfg(test)]
mod tests {
    use crate::Word;
    use crate::gadgets::check::{unary, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        for n in [1usize, 2, 3, 8, 13] {
            let pairs = vec![(0, 0); n];
            let run = unary(1, &pairs, |b, x| Word::bit(b.all_lanes(x.bits[0]), 1));
            assert_eq!(run.total_ands, n as u64 - 1);
        }
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, _, pairs) in words(10)) {
            let w = w.max(1);
            let last = |x: &Word| *x.bits.last().unwrap();
            let sum = unary(w, &pairs, |b, x| b.sum_lanes(x));
            let all = unary(w, &pairs, |b, x| Word::bit(b.all_lanes(last(x)), 1));
            let any = unary(w, &pairs, |b, x| Word::bit(b.any_lane(last(x)), 1));
            let late = unary(w, &pairs, |b, x| Word::bit(b.shift_later(last(x), 3, true), x.lanes));
            let soon =
                unary(w, &pairs, |b, x| Word::bit(b.shift_earlier(last(x), 2, false), x.lanes));
            let tops: Vec<bool> = pairs.iter().map(|(x, _)| x >> (w - 1) & 1 == 1).collect();
            prop_assert_eq!(sum.value(0), pairs.iter().map(|(x, _)| x).sum::<u128>());
            prop_assert_eq!(all.value(0), u128::from(tops.iter().all(|top| *top)));
            prop_assert_eq!(any.value(0), u128::from(tops.iter().any(|top| *top)));
            for lane in 0..tops.len() {
                let before = if lane < 3 { true } else { tops[lane - 3] };
                prop_assert_eq!(late.value(lane), u128::from(before));
                let after = tops.get(lane + 2).copied().unwrap_or(false);
                prop_assert_eq!(soon.value(lane), u128::from(after));
            }
        }
    }
}
