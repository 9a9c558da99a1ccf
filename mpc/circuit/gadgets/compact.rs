//! Order-preserving compaction: each kept row moves up by the number of dropped rows before it, by
//! 1, 2, 4, … in turn, which never makes two kept rows meet.

use crate::{Builder, Lanes, PlaneId, Word};

impl Builder {
    /// The rows (one plane per bit) whose `keep` is 1, in order, then all-zero rows; `limit` rows in
    /// all, and rows past it are lost. Also the flags of the kept rows. For N rows of w planes
    /// about N·(w + 1)·(log N − 1) ANDs to move, N·w to mask and 2N·log N to count.
    pub fn compact(
        &mut self,
        keep: PlaneId,
        rows: &[PlaneId],
        limit: Lanes,
    ) -> (PlaneId, Vec<PlaneId>) {
        let lanes = self.lanes_of(keep);
        let steps = if lanes < 2 { 0 } else { (lanes - 1).ilog2() as usize + 1 };
        let dropped = self.not(keep);
        let distance = self.prefix_sums(&Word::bit(dropped, lanes), steps);
        let mut planes = vec![keep];
        planes.extend(rows.iter().map(|row| self.and(keep, *row)));
        // Distances come last, so that the step just done can be popped: highest first.
        planes.extend(distance.bits.iter().rev().map(|bit| self.and(keep, *bit)));
        for (step, wanted) in wanted_after(lanes, steps, limit).into_iter().enumerate() {
            let Some(moves) = planes.pop() else { break };
            for plane in &mut planes {
                *plane = self.move_up(*plane, moves, 1 << step, wanted);
            }
        }
        let kept: Vec<_> =
            planes.iter().map(|plane| self.slice(*plane, 0, limit.min(lanes))).collect();
        match kept.split_first() {
            Some((keep, rows)) => (*keep, rows.to_vec()),
            None => (keep, Vec::new()),
        }
    }

    /// Moves the lanes where `moves` is 1 up by `by`, onto lanes that are 0 or leave themselves;
    /// keeps the first `wanted` lanes. Lanes below `by` never move.
    fn move_up(&mut self, plane: PlaneId, moves: PlaneId, by: Lanes, wanted: Lanes) -> PlaneId {
        let lanes = self.lanes_of(plane);
        let movable = lanes.saturating_sub(by);
        let (source, moves) = (self.slice(plane, by, movable), self.slice(moves, by, movable));
        let moved = self.and(source, moves);
        let left = self.xor(source, moved);
        let head = self.slice(plane, 0, lanes.min(by));
        let stay = self.concat(&[head, left]);
        let stay = self.slice(stay, 0, wanted);
        let arriving = self.slice(moved, 0, movable.min(wanted));
        let none = self.constant(false, wanted.saturating_sub(movable));
        let arriving = self.concat(&[arriving, none]);
        self.xor(stay, arriving)
    }
}

/// Lanes that matter after each step when only `limit` do at the end: a later step can fetch a row
/// from as far behind as it moves.
fn wanted_after(lanes: Lanes, steps: usize, limit: Lanes) -> Vec<Lanes> {
    let mut wanted = limit.min(lanes);
    let mut after: Vec<Lanes> = (0..steps)
        .rev()
        .map(|step| {
            let now = wanted;
            wanted = wanted.saturating_add(1 << step).min(lanes);
            now
        })
        .collect();
    after.reverse();
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::check::{binary, words};
    use proptest::prelude::*;

    fn compacted(b: &mut Builder, x: &Word, keep: &Word, limit: Lanes) -> Word {
        let (keep, rows) = b.compact(keep.bits[0], &x.bits, limit);
        Word::new(rows, limit.min(x.lanes)).with_high(&Word::bit(keep, limit.min(x.lanes)))
    }

    fn expected(pairs: &[(u128, u128)], w: usize, limit: usize) -> Vec<u128> {
        let kept = pairs.iter().filter(|(_, keep)| *keep == 1).map(|(x, _)| x | 1 << w);
        kept.chain(std::iter::repeat(0)).take(limit.min(pairs.len())).collect()
    }

    #[test]
    fn all_patterns_of_up_to_nine_rows() {
        for n in 1..10u128 {
            for pattern in 0..1u128 << n {
                let pairs: Vec<_> = (0..n).map(|i| (i + 3, pattern >> i & 1)).collect();
                for limit in [n as usize, 2] {
                    let run = binary(4, 1, &pairs, |b, x, y| compacted(b, x, y, limit as u32));
                    for (lane, value) in expected(&pairs, 4, limit).into_iter().enumerate() {
                        assert_eq!(run.value(lane), value, "{n} {pattern:b}");
                    }
                }
            }
        }
    }

    #[test]
    fn and_count_for_powers_of_two() {
        for log in 1..7u64 {
            let n = 1 << log;
            let pairs = vec![(0, 0); n as usize];
            let cost =
                |w: usize| binary(w, 1, &pairs, |b, x, y| compacted(b, x, y, n as u32)).total_ands;
            // Masking, then steps of N − 2^k lanes for each plane of a row.
            assert_eq!(cost(5) - cost(4), n + n * log - (n - 1));
        }
    }

    proptest! {
        #[test]
        fn keeps_the_order((w, _, pairs) in words(8), limit in 0usize..80) {
            let pairs: Vec<_> = pairs.iter().map(|(x, y)| (*x, (y ^ x) & 1)).collect();
            let run = binary(w, 1, &pairs, |b, x, y| compacted(b, x, y, limit as u32));
            for (lane, value) in expected(&pairs, w, limit).into_iter().enumerate() {
                prop_assert_eq!(run.value(lane), value);
            }
        }
    }
}
