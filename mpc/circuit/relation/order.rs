//! Ordering rows: sort keys, merging, sorting.

use super::Relation;
use crate::gadgets::KeyBit;
use crate::{BuildError, Builder, Lanes, Network, Word};

/// Ascending or descending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// One column of a sort key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyColumn {
    /// Position among the relation's columns.
    pub column: usize,
    /// Order of the column's values as unsigned integers.
    pub direction: Direction,
    /// For a column whose most significant bit says whether a value is present: the order of that
    /// bit, so that `Ascending` puts absent values first. `None`: an ordinary bit.
    pub presence: Option<Direction>,
}

impl KeyColumn {
    /// The column in ascending order.
    pub fn ascending(column: usize) -> Self {
        Self { column, direction: Direction::Ascending, presence: None }
    }

    /// The columns in ascending order, the first one most significant.
    pub fn all_ascending(columns: &[usize]) -> Vec<Self> {
        columns.iter().copied().map(Self::ascending).collect()
    }
}

/// ¬valid as a bit of a sort key.
const INVALID: KeyBit = KeyBit { plane: 0, negated: true };

impl Relation {
    /// The key of each row by `order`, the first column most significant, as an unsigned integer
    /// whose order is the rows' order. Free.
    pub fn key(&self, b: &mut Builder, order: &[KeyColumn]) -> Word {
        let planes = self.planes();
        let mut bits = Vec::new();
        for bit in self.key_bits(b, order) {
            if let Some(plane) = planes.get(bit.plane) {
                bits.push(if bit.negated { b.not(*plane) } else { *plane });
            }
        }
        Word::new(bits, self.rows)
    }

    /// (¬valid ‖ key): valid rows first, then by key. Free.
    pub fn sort_key(&self, b: &mut Builder, order: &[KeyColumn]) -> Word {
        let invalid = b.not(self.valid);
        self.key(b, order).with_high(&Word::bit(invalid, self.rows))
    }

    /// The rows of all inputs, each sorted by (¬valid ‖ key), sorted by it; `limit` rows at most.
    /// Always the two smallest inputs are merged next; gates that only later rows need are left
    /// out. A merge of N rows costs about N/2·log N·(σ + w) ANDs, σ = 1 + key bits, w = planes.
    pub fn merge(b: &mut Builder, inputs: &[Self], order: &[KeyColumn], limit: Lanes) -> Self {
        let mut parts: Vec<Self> = inputs.iter().map(|input| input.truncate(b, limit)).collect();
        while parts.len() > 1 {
            // Stable, so that every party merges in the same order; the result is put last.
            parts.sort_by_key(|part| part.rows);
            let pair: Vec<Self> = parts.drain(..2).collect();
            let joined = Self::concat(b, &pair);
            let rows = |at: usize| pair.get(at).map_or(0, |part| part.rows);
            parts.push(joined.run(b, &Network::merge(rows(0), rows(1), limit), order));
        }
        match parts.pop() {
            Some(merged) => merged,
            None => Self::concat(b, &[]),
        }
    }

    /// The rows sorted by (¬valid ‖ key), `limit` rows at most: about N/4·log² N·(σ + w) ANDs. Not
    /// stable: give a total order where ties matter. Invalid rows are not zeroed.
    #[must_use]
    pub fn sort(&self, b: &mut Builder, order: &[KeyColumn], limit: Lanes) -> Self {
        self.run(b, &Network::odd_even_top(self.rows, limit), order)
    }

    /// The rows through any comparator network, compared by (¬valid ‖ key).
    #[must_use]
    pub fn run(&self, b: &mut Builder, network: &Network, order: &[KeyColumn]) -> Self {
        let mut key = self.key_bits(b, order);
        key.push(INVALID);
        self.run_by(b, network, &key)
    }

    /// The rows through any comparator network, compared by (key ‖ ¬valid ‖ `last`): invalid rows
    /// stay among the others, after the valid ones with their key.
    #[must_use]
    pub fn run_in_place(
        &self,
        b: &mut Builder,
        network: &Network,
        order: &[KeyColumn],
        last: &[KeyColumn],
    ) -> Self {
        let mut key = self.key_bits(b, last);
        key.push(INVALID);
        key.extend(self.key_bits(b, order));
        self.run_by(b, network, &key)
    }

    fn run_by(&self, b: &mut Builder, network: &Network, key: &[KeyBit]) -> Self {
        if network.rows() != self.rows {
            b.fail(BuildError::LanesDiffer { left: network.rows(), right: self.rows });
            return self.clone();
        }
        let planes = b.apply_network(&self.planes(), network, key);
        let rows = u32::try_from(network.output.len()).unwrap_or(u32::MAX);
        Self::from_planes(b, &planes, &self.widths(), rows)
    }

    /// Positions among [`Relation::planes`] of the key's bits, least significant first.
    fn key_bits(&self, b: &mut Builder, order: &[KeyColumn]) -> Vec<KeyBit> {
        let mut key = Vec::new();
        for part in order.iter().rev() {
            let width = self.column(b, part.column).width();
            let before = self.columns.iter().take(part.column).map(Word::width);
            let start = 1 + before.sum::<usize>();
            for bit in 0..width {
                let presence = part.presence.filter(|_| bit + 1 == width);
                let direction = presence.unwrap_or(part.direction);
                let negated = direction == Direction::Descending;
                key.push(KeyBit { plane: start + bit, negated });
            }
        }
        key
    }
}
