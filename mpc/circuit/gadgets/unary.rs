//! Integers in unary.

use crate::{Builder, Lanes, PlaneId, Word};

impl Builder {
    /// Whether place i is at or past the integer, for the places i = 0 .. `places`: lane
    /// i·lanes + l for the integer in lane l. By doubling: of the places modulo 2^j the last one is
    /// always reached. At most two ANDs per place, and one per bit that no place has.
    pub(crate) fn at_least(&mut self, word: &Word, places: Lanes) -> PlaneId {
        let lanes = word.lanes;
        // Places modulo `each` whose bit is not known to be 1, and how many they are.
        let (mut open, mut known, mut each) = (self.constant(false, 0), 0, 1u32);
        let needed = (Lanes::BITS - places.saturating_sub(1).leading_zeros()) as usize;
        let mut bits = word.bits_at(0, needed).bits;
        if word.width() > needed {
            bits.push(self.any(&word.bits_at(needed, word.width()).bits, lanes));
        }
        for bit in &bits {
            let spread = self.map((0..known).flat_map(|_| 0..lanes).collect());
            let spread = self.gather(*bit, spread);
            let both = self.and(spread, open);
            let low = self.xor(open, both);
            let last = self.not(*bit);
            let last = self.slice(last, 0, if places >= each { lanes } else { 0 });
            let high = self.xor(spread, both);
            let high = self.not(high);
            let more = known.min(places.saturating_sub(each));
            let high = self.slice(high, 0, more * lanes);
            open = self.concat(&[low, last, high]);
            known = places.min(known.saturating_add(1).saturating_add(more));
            each = each.saturating_mul(2);
        }
        let rest = self.constant(true, (places - known) * lanes);
        self.concat(&[open, rest])
    }
}

#[cfg(test)]
mod tests {
    use crate::Word;
    use crate::gadgets::check::unary;

    #[test]
    fn every_place_of_every_integer() {
        for width in 0..5 {
            let values: Vec<_> = (0..1u128 << width).map(|value| (value, 0)).collect();
            for places in 0..20 {
                let run = unary(width, &values, |b, x| Word::bit(b.at_least(x, places), 0));
                for place in 0..places as usize {
                    for (lane, (value, _)) in values.iter().enumerate() {
                        let at = place * values.len() + lane;
                        assert_eq!(run.value(at), u128::from(place as u128 >= *value));
                    }
                }
                let most = 2 * u64::from(places) + width as u64;
                assert!(run.total_ands <= most * values.len() as u64);
            }
        }
    }
}
