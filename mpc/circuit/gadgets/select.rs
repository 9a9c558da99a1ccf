//! Choosing between words.

use crate::{Builder, PlaneId, Word};

impl Builder {
    /// `then` where `condition` is 1, else `otherwise`; words of one width. w ANDs.
    pub fn select(&mut self, condition: PlaneId, then: &Word, otherwise: &Word) -> Word {
        self.each_bit(then, otherwise, |b, then, otherwise| b.mux(condition, then, otherwise))
    }

    /// The word where `condition` is 1, else 0. w ANDs, none for what is masked by it already.
    pub fn mask_word(&mut self, condition: PlaneId, word: &Word) -> Word {
        Word::new(word.bits.iter().map(|bit| self.and(condition, *bit)).collect(), word.lanes)
    }

    /// The smaller of two unsigned integers of one width. 2w ANDs.
    pub fn min(&mut self, x: &Word, y: &Word) -> Word {
        let less = self.less_than(x, y);
        self.select(less, x, y)
    }

    /// The larger of two unsigned integers of one width. 2w ANDs.
    pub fn max(&mut self, x: &Word, y: &Word) -> Word {
        let less = self.less_than(x, y);
        self.select(less, y, x)
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{binary, mask, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        assert_eq!(binary(7, 7, &[], |b, x, y| b.min(x, y)).ands, 14);
        assert_eq!(binary(7, 7, &[], |b, x, y| b.select(x.bits[0], x, y)).ands, 7);
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, _, pairs) in words(10)) {
            let pairs: Vec<_> = pairs.iter().map(|(x, y)| (*x, y & mask(w))).collect();
            let min = binary(w, w, &pairs, |b, x, y| b.min(x, y));
            let max = binary(w, w, &pairs, |b, x, y| b.max(x, y));
            for (lane, (x, y)) in pairs.iter().enumerate() {
                prop_assert_eq!(min.value(lane), *x.min(y));
                prop_assert_eq!(max.value(lane), *x.max(y));
            }
        }
    }
}
