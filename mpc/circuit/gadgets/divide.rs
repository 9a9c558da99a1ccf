//! Division of unsigned integers, restoring: one subtraction and one selection per quotient bit.

use crate::{Builder, Word};

impl Builder {
    /// Quotient (width of x) and remainder (width of y) of unsigned integers. About 2·w·v ANDs. By
    /// zero: all ones, and x modulo 2^v.
    pub fn divide(&mut self, x: &Word, y: &Word) -> (Word, Word) {
        let mut remainder = Word::new(Vec::new(), x.lanes);
        let mut quotient = Vec::with_capacity(x.width());
        for bit in x.bits.iter().rev() {
            let shifted = Word::bit(*bit, x.lanes).with_high(&remainder);
            let too_small = self.less_than(&shifted, y);
            quotient.push(self.not(too_small));
            let width = shifted.width().min(y.width());
            // Where the quotient bit is 1 the difference is below y, so `width` bits hold it.
            let (low, subtrahend) = (shifted.bits_at(0, width), y.bits_at(0, width));
            let difference = self.subtract(&low, &subtrahend);
            remainder = self.select(too_small, &low, &difference);
        }
        quotient.reverse();
        let remainder = self.resize(&remainder, y.width());
        (Word::new(quotient, x.lanes), remainder)
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{binary, mask, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        let ands = binary(16, 8, &[], |b, x, y| b.divide(x, y).0).ands;
        assert!(ands <= 16 * (9 + 8), "{ands}");
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, v, pairs) in words(9)) {
            let quotient = binary(w, v, &pairs, |b, x, y| b.divide(x, y).0);
            let remainder = binary(w, v, &pairs, |b, x, y| b.divide(x, y).1);
            for (lane, (x, y)) in pairs.iter().enumerate() {
                let by_zero = (mask(w), x & mask(v));
                let (q, r) = if *y == 0 { by_zero } else { (x / y, x % y) };
                prop_assert_eq!(quotient.value(lane), q);
                prop_assert_eq!(remainder.value(lane), r);
            }
        }
    }
}
