//! Sets whose invalid rows stay where they are: what intersections take and, below other
//! intersections, give. Nothing is moved together or zeroed before the last of them.
//!
//! *Scattered*: rows in the order of (key ‖ ¬valid), and at most one valid row per key. Invalid
//! rows stand anywhere in that order and hold anything.
//!
//! # A departure from PROTOCOL.md §8, and why it is safe
//! §8 wants canonical relations and a Ver that accepts exactly a stage's range. Call two scattered
//! relations of N lanes *alike* if they have the same valid rows: each class holds one canonical
//! set(N). The class of an intersection depends on the classes of its inputs only, and what it gives
//! is scattered whatever invalid rows hold. So, by induction over the tree, all Ver bits above and
//! the last intersection's result, which is made canonical before anything else uses or opens it,
//! depend on classes only; which member of a class it is, is masked wires and nothing else.
//! Ver accepts every scattered relation: everything reachable, and nothing that is not alike to
//! something reachable with the child's capacities pooled (every set that it and the intersections
//! below it take has the class's rows: [`Physical::scattered`] never has more lanes than these sets
//! have on average). So a coalition that is a whole child stage, or an owner whose invalid rows are
//! not zero, injects a class that it could have had honestly, and a simulator extracts the valid
//! rows.

use super::physical::{Operator, Physical};
use super::shape::ascending;
use super::table::{Table, key_columns};
use senate_circuit::{Builder, KeyColumn, Network, PlaneId, Relation, Word};

/// A table that is a scattered set on its first columns.
#[derive(Clone, Debug)]
pub(super) struct Scattered(Table);

impl Scattered {
    /// The result of an intersection, whoever made it: nothing is known about its invalid rows.
    pub(super) fn new(table: Table) -> Self {
        Self(Table { prefix: false, zero: false, ..table })
    }

    /// From the planes of a canonical set on the first `keys` columns: rows without a valid bit have
    /// the largest key instead of zero. Free, and checked by [`Scattered::in_order`] if whoever made
    /// them is not trusted to have zeroed them.
    pub(super) fn of_canonical(b: &mut Builder, mut table: Table, keys: usize) -> Self {
        let invalid = b.not(table.relation.valid);
        for key in table.relation.columns.iter_mut().take(keys) {
            for bit in &mut key.bits {
                *bit = b.xor(*bit, invalid);
            }
        }
        Self::new(table)
    }

    /// The rows.
    pub(super) fn table(&self) -> &Table {
        &self.0
    }

    /// Per lane: 1 where the row comes after the previous one's key, or has the same key and is
    /// invalid. (N − 1)σ ANDs; at least one lane.
    pub(super) fn in_order(&self, b: &mut Builder, keys: usize) -> PlaneId {
        let order = key_columns(&self.0.fields, &ascending(0..keys));
        let (relation, pairs) = (&self.0.relation, self.0.rows().saturating_sub(1));
        let key = relation.key(b, &order);
        let (before, after) = (b.slice_word(&key, 0, pairs), b.slice_word(&key, 1, pairs));
        let valid = b.slice(relation.valid, 1, pairs);
        let (invalid, zero) = (b.not(valid), b.constant(false, pairs));
        let before = Word::bit(zero, pairs).with_high(&before);
        let after = Word::bit(invalid, pairs).with_high(&after);
        let fine = b.less_than(&before, &after);
        let first = b.constant(true, 1);
        b.concat(&[first, fine])
    }
}

/// The rows of scattered sets on `key` with the same columns, by (key ‖ ¬valid ‖ `last`).
pub(super) fn merge(
    b: &mut Builder,
    sets: &[Relation; 2],
    key: &[KeyColumn],
    last: &[KeyColumn],
) -> Relation {
    let both = Relation::concat(b, sets);
    let [left, right] = sets;
    let network = Network::merge(left.rows, right.rows, both.rows);
    both.run_in_place(b, &network, key, last)
}

impl Physical {
    /// An intersection below an intersection: its result stays scattered where that has hardly more
    /// lanes (a sixteenth) than moving the rows together would leave, and none that the capacities
    /// of its sets, pooled, do not allow.
    #[must_use]
    pub(super) fn scattered(mut self) -> Self {
        if let Operator::Intersect { lanes, compacted, pooled: (sets, rows), .. } =
            &mut self.operator
            && *lanes <= self.shape.rows.saturating_add(self.shape.rows / 16)
            && u64::from(*lanes) * u64::from(*sets) <= *rows
        {
            *compacted = false;
            self.shape.rows = *lanes;
        }
        self
    }

    /// How many sets an intersection and those below it take, and their rows together.
    pub(super) fn pooled(&self) -> (u32, u64) {
        match self.operator {
            Operator::Intersect { pooled, .. } => pooled,
            _ => (1, u64::from(self.shape.rows)),
        }
    }

    /// Whether its result is scattered.
    pub(super) fn is_scattered(&self) -> bool {
        matches!(self.operator, Operator::Intersect { compacted: false, .. })
    }
}
