//! Counting ones.

use crate::{Builder, Goal, PlaneId, Word};

impl Builder {
    /// Per lane the number of ones among `planes`. Fewer than k ANDs for k planes: a tree of
    /// full adders, each taking three bits of one weight to one of it and one of the next.
    pub fn popcount(&mut self, planes: &[PlaneId], lanes: u32) -> Word {
        if self.goal() == Goal::Depth {
            let width = (usize::BITS - planes.len().leading_zeros()) as usize;
            let mut weights = vec![Vec::new(); width];
            weights.first_mut().into_iter().for_each(|ones| ones.extend_from_slice(planes));
            return self.sum_of_weights(weights, lanes);
        }
        let mut weight = planes.to_vec();
        let mut bits = Vec::new();
        while !weight.is_empty() {
            let mut next = Vec::with_capacity(weight.len() / 2);
            while weight.len() > 1 {
                // A pair is left as it is until nothing else of this weight remains.
                let mut sums = Vec::with_capacity(weight.len() / 3 + 2);
                let alone = weight.len() == 2;
                for group in weight.chunks(3) {
                    if group.len() == 3 || alone {
                        let (sum, carry) = self.full_adder(group, lanes);
                        sums.push(sum);
                        next.extend(carry);
                    } else {
                        sums.extend_from_slice(group);
                    }
                }
                weight = sums;
            }
            bits.append(&mut weight);
            weight = next;
        }
        Word::new(bits, lanes)
    }

    fn full_adder(&mut self, bits: &[PlaneId], lanes: u32) -> (PlaneId, Option<PlaneId>) {
        match bits {
            [x, y, z] => {
                let half = self.xor(*x, *y);
                (self.xor(half, *z), Some(self.majority(*x, *y, *z)))
            }
            [x, y] => (self.xor(*x, *y), Some(self.and(*x, *y))),
            [x, ..] => (*x, None),
            [] => (self.constant(false, lanes), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::gadgets::check::{unary, words};
    use proptest::prelude::*;

    #[test]
    fn and_counts() {
        for k in 1..40 {
            assert!(unary(k, &[], |b, x| b.popcount(&x.bits, x.lanes)).ands < k as u64);
        }
        assert_eq!(unary(7, &[], |b, x| b.popcount(&x.bits, x.lanes)).ands, 4);
    }

    proptest! {
        #[test]
        fn agrees_with_integers((w, _, pairs) in words(40)) {
            let ones = unary(w, &pairs, |b, x| b.popcount(&x.bits, x.lanes));
            for (lane, (x, _)) in pairs.iter().enumerate() {
                prop_assert_eq!(ones.value(lane), u128::from(x.count_ones()));
            }
        }
    }
}
