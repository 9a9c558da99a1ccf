//! Multiplication by rows of partial products.

use crate::{Builder, Goal, Word};

impl Builder {
    /// x · y exactly, in width(x) + width(y) bits. w·v ANDs for the partial products and w·(v − 1)
    /// to add them, w and v the larger and smaller width; rows of a public factor's zeros are free.
    pub fn multiply(&mut self, x: &Word, y: &Word) -> Word {
        let width = x.width() + y.width();
        self.multiply_to_width(x, y, width)
    }

    /// x · y modulo 2^width, without the gates that only higher bits need.
    pub fn multiply_to_width(&mut self, x: &Word, y: &Word, width: usize) -> Word {
        let (x, y) = if x.width() < y.width() { (y, x) } else { (x, y) };
        if self.goal() == Goal::Depth {
            return self.multiply_by_weights(x, y, width);
        }
        let mut low = Vec::with_capacity(width);
        let mut rest = Word::new(Vec::new(), x.lanes);
        for (row, bit) in y.bits.iter().enumerate().take(width) {
            let left = width - row;
            let partial = self.mask_word(*bit, &x.bits_at(0, left));
            let sum_width = left.min(x.width() + 1);
            rest = if row == 0 { partial } else { self.add_to_width(&rest, &partial, sum_width) };
            low.extend(rest.plane(0));
            rest = rest.bits_at(1, left);
        }
        let product = Word::new(low, x.lanes).with_high(&rest);
        self.resize(&product, width)
    }

    fn multiply_by_weights(&mut self, x: &Word, y: &Word, width: usize) -> Word {
        let mut weights = vec![Vec::new(); width];
        for (row, bit) in y.bits.iter().enumerate() {
            let partial = self.mask_word(*bit, &x.bits_at(0, width.saturating_sub(row)));
            for (bits, plane) in weights.iter_mut().skip(row).zip(partial.bits) {
                bits.push(plane);
            }
        }
        self.sum_of_weights(weights, x.lanes)
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{binary, mask, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        for (w, v) in [(1, 1), (4, 4), (8, 5), (5, 8)] {
            let (long, short) = (w.max(v) as u64, w.min(v) as u64);
            let ands = binary(w, v, &[], |b, x, y| b.multiply(x, y)).ands;
            assert!(ands <= long * short + long * (short - 1), "{w}x{v}: {ands}");
        }
        let shift = binary(8, 8, &[], |b, x, _| {
            let four = b.constant_word(4, 3, x.lanes);
            b.multiply(x, &four)
        });
        assert_eq!(shift.ands, 0);
    }

    proptest! {
        #[test]
        fn agree_with_integers((w, v, pairs) in words(10), width in 0usize..24) {
            let full = binary(w, v, &pairs, |b, x, y| b.multiply(x, y));
            let cut = binary(w, v, &pairs, |b, x, y| b.multiply_to_width(x, y, width));
            for (lane, (x, y)) in pairs.iter().enumerate() {
                prop_assert_eq!(full.value(lane), x * y);
                prop_assert_eq!(cut.value(lane), (x * y) & mask(width));
            }
        }
    }
}
