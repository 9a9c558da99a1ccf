//! Running a comparator network over rows.

use super::Network;
use crate::{BuildError, Builder, MapId, PlaneId, Word};

/// Marks wires that carry no row any more.
const GONE: u32 = u32::MAX;

/// One bit of a sort key: a plane of the rows, as it is or negated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyBit {
    /// Position among the planes of the rows.
    pub plane: usize,
    /// Whether 1 comes before 0.
    pub negated: bool,
}

impl Builder {
    /// The rows (one plane per bit, one lane per row) in the order that `network` gives them, by
    /// the unsigned integer of the `key` bits, least significant first.
    ///
    /// Per comparator σ ANDs for a key of σ bits and one per plane.
    pub fn apply_network(
        &mut self,
        rows: &[PlaneId],
        network: &Network,
        key: &[KeyBit],
    ) -> Vec<PlaneId> {
        let mut rows = rows.to_vec();
        let last = last_layers(network);
        let mut lane_of: Vec<u32> = (0..network.wires).collect();
        for (at, layer) in network.layers.iter().enumerate() {
            let plan = LayerPlan::new(at, layer, &last, &lane_of);
            let maps = plan.lanes.map(|lanes| self.map(lanes));
            let [low, high, ..] = maps;
            let (low, high) = (self.key_of(&rows, low, key), self.key_of(&rows, high, key));
            let swap = self.less_than(&high, &low);
            for row in &mut rows {
                *row = self.exchange(*row, swap, maps);
            }
            lane_of = plan.lane_of;
        }
        let lanes = network.output.iter().map(|wire| at(&lane_of, *wire)).collect();
        let order = self.map(lanes);
        self.gather_all(&rows, order)
    }

    /// The key of some of the rows.
    fn key_of(&mut self, rows: &[PlaneId], map: MapId, key: &[KeyBit]) -> Word {
        let mut bits = Vec::with_capacity(key.len());
        for bit in key {
            let Some(plane) = rows.get(bit.plane) else {
                self.fail(BuildError::UnknownColumn(bit.plane));
                break;
            };
            let gathered = self.gather(*plane, map);
            bits.push(if bit.negated { self.not(gathered) } else { gathered });
        }
        let lanes = self.map_len(map);
        Word::new(bits, lanes)
    }

    /// One plane through one layer; the maps are those of [`LayerPlan::lanes`].
    fn exchange(&mut self, row: PlaneId, swap: PlaneId, maps: [MapId; 5]) -> PlaneId {
        let [low, high, rest, low_kept, high_kept] = maps;
        let (low, high) = (self.gather(row, low), self.gather(row, high));
        let differ = self.xor(low, high);
        let change = self.and(swap, differ);
        let (low, high) = (self.xor(low, change), self.xor(high, change));
        let (low, high) = (self.gather(low, low_kept), self.gather(high, high_kept));
        let rest = self.gather(row, rest);
        self.concat(&[low, high, rest])
    }
}

/// Where the rows of one layer come from and go to.
struct LayerPlan {
    /// Lanes of the pairs' two rows; lanes of the rows that the layer does not touch and that are
    /// wanted later; pairs whose smaller, and whose larger row is wanted later.
    lanes: [Vec<u32>; 5],
    /// Lane of each wire after the layer.
    lane_of: Vec<u32>,
}

impl LayerPlan {
    fn new(layer: usize, pairs: &[(u32, u32)], last: &[usize], lane_of: &[u32]) -> Self {
        let wanted = |wire: u32| last.get(wire as usize).is_some_and(|last| *last > layer);
        let kept = |side: fn(&(u32, u32)) -> u32| {
            (0u32..).zip(pairs).filter(|(_, pair)| wanted(side(pair))).map(|(at, _)| at).collect()
        };
        let (low_kept, high_kept) = (kept(|pair| pair.0), kept(|pair| pair.1));
        let mut next = vec![GONE; lane_of.len()];
        let mut touched = vec![false; lane_of.len()];
        let mut place = 0;
        let mut put = |wire: u32| {
            next.get_mut(wire as usize).into_iter().for_each(|lane| *lane = place);
            place += 1;
        };
        pairs.iter().map(|pair| pair.0).filter(|wire| wanted(*wire)).for_each(&mut put);
        pairs.iter().map(|pair| pair.1).filter(|wire| wanted(*wire)).for_each(&mut put);
        for wire in pairs.iter().flat_map(|(low, high)| [low, high]) {
            touched.get_mut(*wire as usize).into_iter().for_each(|slot| *slot = true);
        }
        let mut rest_lanes = Vec::new();
        for ((wire, lane), touched) in (0u32..).zip(lane_of).zip(&touched) {
            if !touched && wanted(wire) {
                rest_lanes.push(*lane);
                put(wire);
            }
        }
        let low = pairs.iter().map(|pair| at(lane_of, pair.0)).collect();
        let high = pairs.iter().map(|pair| at(lane_of, pair.1)).collect();
        Self { lanes: [low, high, rest_lanes, low_kept, high_kept], lane_of: next }
    }
}

/// Per wire the last layer that reads it; past the end for wires of the output. 0 means that no
/// layer but the first reads it.
fn last_layers(network: &Network) -> Vec<usize> {
    let mut last = vec![0; network.wires as usize];
    let mut set = |wire: u32, layer: usize| {
        last.get_mut(wire as usize).into_iter().for_each(|slot| *slot = layer);
    };
    for (at, layer) in network.layers.iter().enumerate() {
        for (low, high) in layer {
            set(*low, at);
            set(*high, at);
        }
    }
    network.output.iter().for_each(|wire| set(*wire, usize::MAX));
    last
}

fn at(lanes: &[u32], wire: u32) -> u32 {
    lanes.get(wire as usize).copied().unwrap_or(GONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::check::pack;

    /// Rows of a key and a payload through a network; returns rows and AND gates.
    fn run(network: &Network, rows: &[(u128, u128)]) -> (Vec<(u128, u128)>, u64) {
        let mut b = Builder::new();
        let planes = b.input(&[rows.len() as u32; 12]);
        let key: Vec<_> = (0..8).map(|plane| KeyBit { plane, negated: false }).collect();
        let sorted = b.apply_network(&planes, network, &key);
        b.output(&sorted);
        let program = b.finish().unwrap();
        let (keys, loads): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let mut input = pack(&keys, 8);
        input.extend_from(&pack(&loads, 4));
        let out = program.evaluate(&[input]).unwrap().remove(0);
        let kept = network.output.len();
        let field = |row: usize, bits: std::ops::Range<usize>| {
            bits.rev().fold(0, |sum, k| sum << 1 | u128::from(out.bit(k * kept + row)))
        };
        ((0..kept).map(|row| (field(row, 0..8), field(row, 8..12))).collect(), program.ands())
    }

    fn rows(seed: u64, count: u64) -> Vec<(u128, u128)> {
        let value = |i: u64| u128::from((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
        (0..count).map(|i| (value(i) & 255, value(i) >> 8 & 15)).collect()
    }

    #[test]
    fn sorts_of_all_lengths() {
        for count in (0..20).chain([37, 64, 100]) {
            for seed in 0..4 {
                let input = rows(seed, count);
                let (mut sorted, ands) = run(&Network::odd_even_sort(count as u32), &input);
                assert!(sorted.is_sorted_by_key(|row| row.0));
                let mut expected = input.clone();
                expected.sort_unstable();
                sorted.sort_unstable();
                assert_eq!(sorted, expected);
                let comparators = Network::odd_even_sort(count as u32).comparators();
                assert_eq!(ands, comparators * (8 + 12));
            }
        }
    }

    #[test]
    fn merges_keep_the_first_rows_and_cost_what_they_should() {
        for (left, right, limit) in [(8, 8, 16), (8, 8, 3), (5, 11, 9), (0, 4, 4), (16, 1, 1)] {
            let (mut a, mut b) = (rows(1, left), rows(2, right));
            a.sort_unstable();
            b.sort_unstable();
            let input = [a, b].concat();
            let network = Network::bitonic_merge(left as u32, right as u32).keep_first(limit);
            let (merged, ands) = run(&network, &input);
            let mut keys: Vec<_> = input.iter().map(|row| row.0).collect();
            keys.sort_unstable();
            keys.truncate(limit as usize);
            assert!(merged.iter().map(|row| row.0).eq(keys));
            assert_eq!(ands, network.comparators() * (8 + 12));
        }
    }
}
