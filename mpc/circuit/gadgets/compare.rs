//! Comparisons. Order: one AND gate per bit; equality: one less than bits.

use crate::{Builder, Goal, PlaneId, Word};

impl Builder {
    /// 1 where x < y as unsigned integers: the borrow of x − y. w ANDs, w the larger width.
    pub fn less_than(&mut self, x: &Word, y: &Word) -> PlaneId {
        let width = x.width().max(y.width());
        let (x, y) = (self.resize(x, width), self.resize(y, width));
        if self.goal() == Goal::Depth {
            return self.less_than_in_tree(&x, &y);
        }
        let mut borrow = self.constant(false, x.lanes);
        for (x, y) in x.bits.iter().zip(&y.bits) {
            let not_x = self.not(*x);
            borrow = self.majority(not_x, *y, borrow);
        }
        borrow
    }

    /// 1 where x ≤ y as unsigned integers. w ANDs.
    pub fn less_or_equal(&mut self, x: &Word, y: &Word) -> PlaneId {
        let greater = self.less_than(y, x);
        self.not(greater)
    }

    /// 1 where x < y as two's complement integers of one width. w ANDs.
    pub fn less_than_signed(&mut self, x: &Word, y: &Word) -> PlaneId {
        let (x, y) = (self.sign_flipped(x), self.sign_flipped(y));
        self.less_than(&x, &y)
    }

    /// 1 where x = y. w − 1 ANDs, w the larger width, in a tree.
    pub fn equal(&mut self, x: &Word, y: &Word) -> PlaneId {
        let width = x.width().max(y.width());
        let (x, y) = (self.resize(x, width), self.resize(y, width));
        let differ = self.xor_words(&x, &y);
        self.is_zero(&differ)
    }

    /// 1 where x = 0. w − 1 ANDs.
    pub fn is_zero(&mut self, x: &Word) -> PlaneId {
        let same = self.not_word(x);
        self.all(&same.bits, x.lanes)
    }

    /// The conjunction of planes of `lanes` lanes, in a tree; 1 of no planes.
    pub fn all(&mut self, planes: &[PlaneId], lanes: u32) -> PlaneId {
        let mut layer = planes.to_vec();
        while layer.len() > 1 {
            let pair = |pair: &[PlaneId]| match pair {
                [x, y] => self.and(*x, *y),
                [x, ..] => *x,
                [] => self.constant(true, lanes),
            };
            layer = layer.chunks(2).map(pair).collect();
        }
        layer.first().copied().unwrap_or_else(|| self.constant(true, lanes))
    }

    /// The disjunction of planes of `lanes` lanes, in a tree; 0 of no planes.
    pub fn any(&mut self, planes: &[PlaneId], lanes: u32) -> PlaneId {
        let none: Vec<_> = planes.iter().map(|plane| self.not(*plane)).collect();
        let none = self.all(&none, lanes);
        self.not(none)
    }

    fn sign_flipped(&mut self, word: &Word) -> Word {
        let mut flipped = word.clone();
        if let Some(sign) = flipped.bits.last_mut() {
            *sign = self.not(*sign);
        }
        flipped
    }
}

#[cfg(test)]
mod tests {
    use crate::Word;
    use crate::gadgets::check::{binary, mask, unary, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        for w in 1..9 {
            let bit = |plane| Word::bit(plane, 0);
            assert_eq!(binary(w, w, &[], |b, x, y| bit(b.less_than(x, y))).ands, w as u64);
            assert_eq!(binary(w, w, &[], |b, x, y| bit(b.less_or_equal(x, y))).ands, w as u64);
            assert_eq!(binary(w, w, &[], |b, x, y| bit(b.less_than_signed(x, y))).ands, w as u64);
            assert_eq!(binary(w, w, &[], |b, x, y| bit(b.equal(x, y))).ands, w as u64 - 1);
        }
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, v, pairs) in words(10)) {
            let bit = |plane| Word::bit(plane, 0);
            let less = binary(w, v, &pairs, |b, x, y| bit(b.less_than(x, y)));
            let most = binary(w, v, &pairs, |b, x, y| bit(b.less_or_equal(x, y)));
            let equal = binary(w, v, &pairs, |b, x, y| bit(b.equal(x, y)));
            let zero = unary(w, &pairs, |b, x| bit(b.is_zero(x)));
            for (lane, (x, y)) in pairs.iter().enumerate() {
                prop_assert_eq!(less.value(lane), u128::from(x < y));
                prop_assert_eq!(most.value(lane), u128::from(x <= y));
                prop_assert_eq!(equal.value(lane), u128::from(x == y));
                prop_assert_eq!(zero.value(lane), u128::from(*x == 0));
            }
        }

        #[test]
        fn signed_order((w, _, pairs) in words(10)) {
            let pairs: Vec<_> = pairs.iter().map(|(x, y)| (*x, y & mask(w))).collect();
            let less =
                binary(w, w, &pairs, |b, x, y| Word::bit(b.less_than_signed(x, y), 0));
            let signed = |x: u128| if w == 0 { 0 } else { (x << (128 - w)) as i128 };
            for (lane, (x, y)) in pairs.iter().enumerate() {
                prop_assert_eq!(less.value(lane), u128::from(signed(*x) < signed(*y)));
            }
        }
    }
}
