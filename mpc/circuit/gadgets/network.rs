//! Comparator networks as data: merging [Batcher 1968] and sorting of any number of rows.

/// Layers of comparators over numbered wires, and the order in which the wires are read at the end.
///
/// A comparator (i, j) leaves the smaller row on wire i and the larger on j; those of one layer
/// touch different wires, so a layer is one instruction per plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    pub(crate) wires: u32,
    pub(crate) layers: Vec<Vec<(u32, u32)>>,
    pub(crate) output: Vec<u32>,
}

impl Network {
    /// Bitonic merge of two ascending lists, on wires `0..left` and `left..left + right`:
    /// N/2·log N comparators for N = 2^k, and fewer otherwise, since comparators with the missing
    /// rows, which would be the largest, change nothing.
    pub fn bitonic_merge(left: u32, right: u32) -> Self {
        let wires = left + right;
        // The left list turned round, then the right one: first falling, then rising.
        let wire = |position: u32| if position < left { left - 1 - position } else { position };
        let mut layers = Vec::new();
        let mut stride = wires.next_power_of_two() / 2;
        while stride > 0 && left > 0 && right > 0 {
            let lower = (0..wires.saturating_sub(stride)).filter(|p| p & stride == 0);
            layers.push(lower.map(|p| (wire(p), wire(p + stride))).collect());
            stride /= 2;
        }
        let output = if left > 0 && right > 0 {
            (0..wires).map(wire).collect()
        } else {
            (0..wires).collect()
        };
        Self { wires, layers, output }
    }

    /// Odd-even merge of two ascending lists, on wires `0..left` and `left..left + right`:
    /// N/2·(log N − 1) + 1 comparators for two lists of N/2 = 2^k.
    pub fn odd_even_merge(left: u32, right: u32) -> Self {
        let mut drawing = Drawing::new(left + right);
        let (first, second): (Vec<u32>, Vec<u32>) =
            ((0..left).collect(), (left..left + right).collect());
        let output = drawing.merge(&first, &second);
        drawing.network(output)
    }

    /// Whichever merge has fewer comparators when only the first `limit` rows are wanted.
    pub fn merge(left: u32, right: u32, limit: u32) -> Self {
        let bitonic = Self::bitonic_merge(left, right).keep_first(limit);
        let odd_even = Self::odd_even_merge(left, right).keep_first(limit);
        if bitonic.comparators() < odd_even.comparators() { bitonic } else { odd_even }
    }

    /// Odd-even merge sort of any number of rows: about N/4·log² N comparators.
    pub fn odd_even_sort(rows: u32) -> Self {
        let mut drawing = Drawing::new(rows);
        let all: Vec<u32> = (0..rows).collect();
        let output = drawing.sort(&all);
        drawing.network(output)
    }

    /// The first `limit` rows in order: halves are sorted and cut to `limit` rows before they are
    /// merged, about N/4·log² limit + 2N·log limit comparators.
    pub fn odd_even_top(rows: u32, limit: u32) -> Self {
        let mut drawing = Drawing::new(rows);
        let all: Vec<u32> = (0..rows).collect();
        let output = drawing.top(&all, limit as usize);
        Self { wires: rows, ..drawing.network(output) }.keep_first(limit)
    }

    /// Only the first `limit` rows of the output, without comparators that do not reach them.
    #[must_use]
    pub fn keep_first(mut self, limit: u32) -> Self {
        self.output.truncate(limit as usize);
        let mut needed = vec![false; self.wires as usize];
        let mark = |needed: &mut Vec<bool>, wire: u32| {
            needed.get_mut(wire as usize).into_iter().for_each(|slot| *slot = true);
        };
        self.output.iter().for_each(|wire| mark(&mut needed, *wire));
        for layer in self.layers.iter_mut().rev() {
            let is_needed = |wire: u32| needed.get(wire as usize) == Some(&true);
            layer.retain(|(low, high)| is_needed(*low) || is_needed(*high));
            for (low, high) in layer.iter() {
                mark(&mut needed, *low);
                mark(&mut needed, *high);
            }
        }
        self.layers.retain(|layer| !layer.is_empty());
        self
    }

    /// Number of rows in.
    pub fn rows(&self) -> u32 {
        self.wires
    }

    /// Number of comparators. Each costs as many ANDs as key bits, plus one per bit of a row.
    pub fn comparators(&self) -> u64 {
        self.layers.iter().map(|layer| layer.len() as u64).sum()
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }
}

/// A network being drawn: each comparator goes into the first layer that it can.
struct Drawing {
    layers: Vec<Vec<(u32, u32)>>,
    depth: Vec<usize>,
}

impl Drawing {
    fn new(wires: u32) -> Self {
        Self { layers: Vec::new(), depth: vec![0; wires as usize] }
    }

    fn network(self, output: Vec<u32>) -> Network {
        Network { wires: output.len() as u32, layers: self.layers, output }
    }

    fn compare(&mut self, low: u32, high: u32) {
        let at = |wire: u32| self.depth.get(wire as usize).copied().unwrap_or(0);
        let layer = at(low).max(at(high));
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, Vec::new);
        }
        self.layers.get_mut(layer).into_iter().for_each(|pairs| pairs.push((low, high)));
        for wire in [low, high] {
            self.depth.get_mut(wire as usize).into_iter().for_each(|depth| *depth = layer + 1);
        }
    }

    /// The wires of both ascending lists in ascending order: the odd positions and the even
    /// positions are merged, then neighbours compared.
    fn merge(&mut self, first: &[u32], second: &[u32]) -> Vec<u32> {
        match (first, second) {
            ([], rest) | (rest, []) => return rest.to_vec(),
            ([low], [high]) => {
                self.compare(*low, *high);
                return vec![*low, *high];
            }
            _ => {}
        }
        let every_other =
            |list: &[u32], from: usize| list.iter().skip(from).step_by(2).copied().collect();
        let (a, b): (Vec<u32>, Vec<u32>) = (every_other(first, 0), every_other(first, 1));
        let (c, d): (Vec<u32>, Vec<u32>) = (every_other(second, 0), every_other(second, 1));
        let (odd, even) = (self.merge(&a, &c), self.merge(&b, &d));
        let mut odd = odd.into_iter();
        let mut merged: Vec<u32> = odd.next().into_iter().collect();
        for low in even {
            merged.push(low);
            if let Some(high) = odd.next() {
                self.compare(low, high);
                merged.push(high);
            }
        }
        merged.extend(odd);
        merged
    }

    fn sort(&mut self, wires: &[u32]) -> Vec<u32> {
        self.top(wires, wires.len())
    }

    /// The wires with the `limit` smallest rows, in order.
    fn top(&mut self, wires: &[u32], limit: usize) -> Vec<u32> {
        if wires.len() < 2 {
            return wires.iter().take(limit).copied().collect();
        }
        let (first, second) = wires.split_at(wires.len() / 2);
        let (first, second) = (self.top(first, limit), self.top(second, limit));
        let mut merged = self.merge(&first, &second);
        merged.truncate(limit);
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(network: &Network, values: &[u32]) -> Vec<u32> {
        let mut values = values.to_vec();
        for layer in &network.layers {
            let mut touched = vec![false; values.len()];
            for (low, high) in layer {
                let (low, high) = (*low as usize, *high as usize);
                assert!(!touched[low] && !touched[high] && low != high);
                (touched[low], touched[high]) = (true, true);
                if values[low] > values[high] {
                    values.swap(low, high);
                }
            }
        }
        network.output.iter().map(|wire| values[*wire as usize]).collect()
    }

    /// By the 0-1 principle, merging all pairs of sorted 0-1 lists proves the network.
    #[test]
    fn merges_of_all_lengths_by_the_zero_one_principle() {
        for left in 0..14u32 {
            for right in 0..14 {
                for limit in [left + right, 1, 5, left] {
                    let networks = [
                        Network::bitonic_merge(left, right).keep_first(limit),
                        Network::odd_even_merge(left, right).keep_first(limit),
                        Network::merge(left, right, limit),
                    ];
                    for (ones, more) in (0..=left).flat_map(|x| (0..=right).map(move |y| (x, y))) {
                        let mut values: Vec<u32> = (0..left).map(|i| (i >= ones).into()).collect();
                        values.extend((0..right).map(|i| u32::from(i >= more)));
                        let mut sorted = values.clone();
                        sorted.sort_unstable();
                        sorted.truncate(limit as usize);
                        for network in &networks {
                            assert_eq!(run(network, &values), sorted, "{left}+{right}:{limit}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sorts_of_all_lengths_by_the_zero_one_principle() {
        for rows in 0..14u32 {
            let network = Network::odd_even_sort(rows);
            for pattern in 0..1u32 << rows {
                let values: Vec<u32> = (0..rows).map(|i| pattern >> i & 1).collect();
                let mut sorted = values.clone();
                sorted.sort_unstable();
                assert_eq!(run(&network, &values), sorted);
                for limit in [0, 1, 3, rows / 2] {
                    let top = Network::odd_even_top(rows, limit);
                    let first = &sorted[..sorted.len().min(limit as usize)];
                    assert_eq!(run(&top, &values), first);
                }
            }
        }
    }

    #[test]
    fn comparator_counts() {
        for k in 1..8u32 {
            let n = 1u64 << k;
            let half = 1 << (k - 1);
            let log = u64::from(k);
            assert_eq!(Network::bitonic_merge(half, half).comparators(), n / 2 * log);
            assert_eq!(Network::bitonic_merge(half, half).depth(), k as usize);
            assert_eq!(Network::odd_even_merge(half, half).comparators(), n / 2 * (log - 1) + 1);
            let sort = Network::odd_even_sort(1 << k);
            assert_eq!(sort.comparators(), n * log * (log - 1) / 4 + n - 1);
            assert_eq!(sort.depth() as u64, log * (log + 1) / 2);
        }
        // The first 4 of two lists of 4: one comparator each, then a merge of 4.
        assert_eq!(Network::bitonic_merge(4, 4).keep_first(4).comparators(), 4 + 4);
        assert_eq!(Network::odd_even_merge(64, 64).keep_first(1).comparators(), 1);
    }
}
