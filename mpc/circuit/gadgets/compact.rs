//! Order-preserving compaction with N/2 exchanges per layer ([Sasy, Johnson, Goldberg, CCS 2022]
//! ORCompact, the compress operation of an inverse butterfly).
//!
//! In a block of 2^k rows each kept row stands at its final place modulo 2^k. Two halves are joined
//! by exchanging rows at equal places, and the number of rows kept before the second half decides
//! all these exchanges. Any N is a sum of powers of two, smallest part first; parts are joined in
//! the same way.

use crate::{Builder, Lanes, PlaneId, Word};

impl Builder {
    /// The rows (one plane per bit) whose `keep` is 1, in order, then all-zero rows; `limit` rows in
    /// all, and rows past it are lost. Also the flags of the kept rows. For N rows of w planes
    /// N/2·log N·(w + 1) ANDs to move, 3N to count, `limit`·w to mask; less where `limit` is small.
    pub fn compact(
        &mut self,
        keep: PlaneId,
        rows: &[PlaneId],
        limit: Lanes,
    ) -> (PlaneId, Vec<PlaneId>) {
        let lanes = self.lanes_of(keep);
        let limit = limit.min(lanes);
        if limit == 0 {
            let none = self.range(0, 0);
            return (self.gather(keep, none), self.gather_all(rows, none));
        }
        let masked: Vec<_> = rows.iter().map(|row| self.is_masked_by(*row, keep)).collect();
        let order = self.map(largest_part_first(lanes));
        let kept = self.gather(keep, order);
        let counts = Counts::new(self, &Word::bit(kept, lanes));
        let middles = counts.middles(self);
        let mut blocks = Blocks { places: limit.min(1), count: lanes };
        let mut planes = self.gather_all(rows, order);
        let mut parts = Vec::new();
        for (half, middle) in (0..).map(|level| 1 << level).zip(&middles) {
            parts.extend(blocks.last_part(self, &planes));
            blocks = blocks.joined(self, &mut planes, (middle, half), limit);
        }
        parts.push(planes);
        let planes = counts.join_parts(self, parts, limit);
        let past = self.at_least(&counts.total, limit);
        let valid = self.not(past);
        let planes = planes.iter().zip(masked);
        let planes = planes.map(|(row, done)| if done { *row } else { self.and(valid, *row) });
        (valid, planes.collect())
    }

    /// `rows` with lane `low[i]` and `high[i]` exchanged where `swap` is 1: all of the former, and
    /// the first `wanted` of the latter.
    fn join_places(
        &mut self,
        [low, high]: [PlaneId; 2],
        swap: PlaneId,
        wanted: Lanes,
    ) -> [PlaneId; 2] {
        let differ = self.xor(low, high);
        let change = self.and(swap, differ);
        let high = self.xor(high, change);
        [self.xor(low, change), self.slice(high, 0, wanted)]
    }
}

/// How the lanes of a plane lie while blocks are joined: the first `places` places of each block,
/// place i of block b in lane i·count + b.
struct Blocks {
    places: Lanes,
    count: Lanes,
}

impl Blocks {
    /// The last block alone, where there is no other to join it with.
    fn last_part(&self, b: &mut Builder, planes: &[PlaneId]) -> Option<Vec<PlaneId>> {
        let last = self.count.checked_sub(1).filter(|last| last % 2 == 0)?;
        let map = b.map((0..self.places).map(|i| i * self.count + last).collect());
        Some(b.gather_all(planes, map))
    }

    /// Pairs of blocks of `half` rows joined; `middle` says how many rows are kept before each
    /// pair's second block, modulo the rows of both.
    fn joined(
        &self,
        b: &mut Builder,
        planes: &mut [PlaneId],
        (middle, half): (&Word, Lanes),
        limit: Lanes,
    ) -> Self {
        let count = self.count / 2;
        let places = (0..self.places).map(|i| i * self.count);
        let side = |side: Lanes| {
            places.clone().flat_map(move |i| (0..count).map(move |c| i + 2 * c + side))
        };
        let (low, high) = (b.map(side(0).collect()), b.map(side(1).collect()));
        let width = middle.width().saturating_sub(1);
        let past = b.at_least(&middle.bits_at(0, width), self.places);
        let turned = b.map((0..self.places).flat_map(|_| 0..count).collect());
        let turned = b.gather_word(&middle.bits_at(width, 1), turned);
        let swap = turned.bits.iter().fold(past, |swap, bit| b.xor(swap, *bit));
        let more = limit.min(2 * half).saturating_sub(half);
        for plane in planes {
            let sides = [b.gather(*plane, low), b.gather(*plane, high)];
            let sides = b.join_places(sides, swap, more * count);
            *plane = b.concat(&sides);
        }
        Self { places: self.places + more, count }
    }
}

/// Numbers of kept rows.
struct Counts {
    /// Per level, of the first blocks of the pairs that it joins.
    firsts: Vec<Word>,
    /// Per part, smallest first: its rows, and how many rows are kept before it.
    before: Vec<(Lanes, Word)>,
    /// All.
    total: Word,
}

impl Counts {
    fn new(b: &mut Builder, kept: &Word) -> Self {
        let mut counts =
            Self { firsts: Vec::new(), before: Vec::new(), total: Word::new(Vec::new(), 1) };
        let (mut blocks, mut rows, mut size) = (kept.clone(), 0u32, 1u32);
        while blocks.lanes > 0 {
            let pairs = blocks.lanes / 2;
            if blocks.lanes % 2 == 1 {
                let own = b.slice_word(&blocks, blocks.lanes - 1, 1);
                counts.before.push((size, counts.total.clone()));
                rows = rows.saturating_add(size);
                let width = (Lanes::BITS - rows.leading_zeros()) as usize;
                counts.total = b.add_to_width(&counts.total, &own, width);
            }
            let side = |side: Lanes| (0..pairs).map(|pair| 2 * pair + side).collect();
            let (first, second) = (b.map(side(0)), b.map(side(1)));
            let first = b.gather_word(&blocks, first);
            let second = b.gather_word(&blocks, second);
            if pairs > 0 {
                counts.firsts.push(first.clone());
            }
            blocks = b.add_wide(&first, &second);
            size = size.saturating_mul(2);
        }
        counts
    }

    /// Per level and pair of blocks: how many rows are kept before the second one, modulo the rows
    /// of both.
    fn middles(&self, b: &mut Builder) -> Vec<Word> {
        let mut middles = Vec::with_capacity(self.firsts.len());
        let mut parts = self.before.iter().rev();
        // Rows kept before each block of a level, modulo its rows.
        let mut starts = match parts.next() {
            Some((_, before)) => b.resize(before, self.firsts.len()),
            None => Word::new(Vec::new(), 0),
        };
        let mut parts = parts.peekable();
        for (level, first) in self.firsts.iter().enumerate().rev() {
            let middle = b.add_to_width(&starts, first, level + 1);
            let halves = [starts.bits_at(0, level), middle.bits_at(0, level)];
            let pairs = b.concat_words(&[&halves[0], &halves[1]]);
            let order = (0..first.lanes).flat_map(|pair| [pair, pair + first.lanes]);
            let order = b.map(order.collect());
            starts = b.gather_word(&pairs, order);
            if let Some((_, before)) = parts.next_if(|(rows, _)| *rows == 1 << level) {
                let before = b.resize(before, level);
                starts = b.concat_words(&[&starts, &before]);
            }
            middles.push(middle);
        }
        middles.reverse();
        middles
    }

    /// The first `limit` rows of all parts, smallest part first.
    fn join_parts(&self, b: &mut Builder, parts: Vec<Vec<PlaneId>>, limit: Lanes) -> Vec<PlaneId> {
        let mut parts = parts.into_iter().zip(&self.before);
        let Some((mut front, &(mut rows, _))) = parts.next() else { return Vec::new() };
        for (mut part, (size, before)) in parts {
            let pairs = rows.min(limit);
            let swap = b.at_least(before, pairs);
            let past = pairs.min(limit.saturating_sub(*size));
            for (front, part) in front.iter_mut().zip(&mut part) {
                let low = b.slice(*part, 0, pairs);
                let [low, high] = b.join_places([*front, low], swap, past);
                let rest = limit.min(*size).saturating_sub(pairs);
                let rest = b.slice(*part, pairs, rest);
                *front = b.concat(&[low, rest, high]);
            }
            rows = rows.saturating_add(*size);
        }
        front
    }
}

/// Lanes of the parts of N rows, the last and largest part first.
fn largest_part_first(lanes: Lanes) -> Vec<Lanes> {
    let sizes = (0..Lanes::BITS).rev().map(|k| 1 << k).filter(|size| lanes & size != 0);
    let mut end = lanes;
    let part = |size: Lanes| {
        end -= size;
        end..end + size
    };
    sizes.flat_map(part).collect()
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
                for limit in [n as usize, 2, 0] {
                    let run = binary(4, 1, &pairs, |b, x, y| compacted(b, x, y, limit as u32));
                    for (lane, value) in expected(&pairs, 4, limit).into_iter().enumerate() {
                        assert_eq!(run.value(lane), value, "{n} {pattern:b}");
                    }
                }
            }
        }
    }

    #[test]
    fn and_counts() {
        let cost = |n: u64, w: usize, limit: u32| {
            let pairs = vec![(0, 0); n as usize];
            binary(w, 1, &pairs, |b, x, y| compacted(b, x, y, limit)).total_ands
        };
        for log in 1..8u64 {
            let n = 1 << log;
            // Each plane: N/2 exchanges per layer, and the mask.
            assert_eq!(cost(n, 5, n as u32) - cost(n, 4, n as u32), n / 2 * log + n);
            assert!(cost(n, 0, n as u32) <= n / 2 * log + 4 * n);
        }
        for n in 2..70u64 {
            let each = cost(n, 5, n as u32) - cost(n, 4, n as u32);
            assert!(each as f64 <= n as f64 / 2.0 * (n as f64).log2() + n as f64, "{n}: {each}");
        }
        // Ten of 1 024: all rows in blocks of up to 16, then ten exchanges per pair of blocks.
        assert_eq!(cost(1024, 5, 10) - cost(1024, 4, 10), 512 * 4 + 10 * 63 + 10);
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
