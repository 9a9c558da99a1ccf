//! Addition, subtraction, negation: one AND gate per bit, by carries c' = c ⊕ (x ⊕ c)(y ⊕ c).

use crate::{Builder, Goal, PlaneId, Word};

impl Builder {
    /// x + y modulo 2^w, w the larger width. w − 1 ANDs.
    pub fn add(&mut self, x: &Word, y: &Word) -> Word {
        let width = x.width().max(y.width());
        self.add_to_width(x, y, width)
    }

    /// x + y exactly, in one bit more than the larger width. w ANDs.
    pub fn add_wide(&mut self, x: &Word, y: &Word) -> Word {
        let width = x.width().max(y.width()) + 1;
        self.add_to_width(x, y, width)
    }

    /// x + y modulo 2^width. An AND per bit but the last; none where a summand has no bits left
    /// and no carry can come.
    pub fn add_to_width(&mut self, x: &Word, y: &Word, width: usize) -> Word {
        let carry = self.constant(false, x.lanes);
        self.add_with_carry(x, y, carry, width)
    }

    /// x − y modulo 2^w, w the larger width. w − 1 ANDs.
    pub fn subtract(&mut self, x: &Word, y: &Word) -> Word {
        let width = x.width().max(y.width());
        let y = self.resize(y, width);
        let y = self.not_word(&y);
        let carry = self.constant(true, x.lanes);
        self.add_with_carry(x, &y, carry, width)
    }

    /// −x modulo 2^w. w − 2 ANDs.
    pub fn negate(&mut self, x: &Word) -> Word {
        let zero = self.constant_word(0, x.width(), x.lanes);
        self.subtract(&zero, x)
    }

    /// x + 1 where `carry`, else x, modulo 2^w. w − 1 ANDs.
    pub fn increment_if(&mut self, x: &Word, carry: PlaneId) -> Word {
        let none = Word::new(Vec::new(), x.lanes);
        self.add_with_carry(x, &none, carry, x.width())
    }

    /// Exactly x + y + carry, modulo 2^width.
    pub fn add_with_carry(&mut self, x: &Word, y: &Word, carry: PlaneId, width: usize) -> Word {
        let (x, y) = (self.resize(x, width), self.resize(y, width));
        if self.goal() == Goal::Depth {
            let carries = self.carries_by_prefix(&x, &y, carry);
            let half = self.xor_words(&x, &y);
            return self.xor_words(&half, &Word::new(carries, x.lanes));
        }
        let mut carry = carry;
        let mut bits = Vec::with_capacity(width);
        for (at, (x, y)) in x.bits.iter().zip(&y.bits).enumerate() {
            let half = self.xor(*x, *y);
            bits.push(self.xor(half, carry));
            if at + 1 < width {
                carry = self.majority(*x, *y, carry);
            }
        }
        Word::new(bits, x.lanes)
    }

    /// 1 where at least two of three are. One AND.
    pub(crate) fn majority(&mut self, x: PlaneId, y: PlaneId, z: PlaneId) -> PlaneId {
        let (xz, yz) = (self.xor(x, z), self.xor(y, z));
        let both = self.and(xz, yz);
        self.xor(z, both)
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{binary, mask, unary, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        for w in 1..9 {
            assert_eq!(binary(w, w, &[], |b, x, y| b.add(x, y)).ands, w as u64 - 1);
            assert_eq!(binary(w, w, &[], |b, x, y| b.add_wide(x, y)).ands, w as u64);
            assert_eq!(binary(w, w, &[], |b, x, y| b.subtract(x, y)).ands, w as u64 - 1);
            let expected = (w as u64).saturating_sub(2);
            assert_eq!(unary(w, &[], |b, x| b.negate(x)).ands, expected);
        }
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, v, pairs) in words(16)) {
            let m = mask(w.max(v));
            let sum = binary(w, v, &pairs, |b, x, y| b.add(x, y));
            let wide = binary(w, v, &pairs, |b, x, y| b.add_wide(x, y));
            let difference = binary(w, v, &pairs, |b, x, y| b.subtract(x, y));
            let negated = unary(w, &pairs, |b, x| b.negate(x));
            for (lane, (x, y)) in pairs.iter().enumerate() {
                prop_assert_eq!(sum.value(lane), (x + y) & m);
                prop_assert_eq!(wide.value(lane), x + y);
                prop_assert_eq!(difference.value(lane), x.wrapping_sub(*y) & m);
                prop_assert_eq!(negated.value(lane), x.wrapping_neg() & mask(w));
            }
        }
    }
}
