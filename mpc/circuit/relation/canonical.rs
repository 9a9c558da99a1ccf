//! The canonical form of PROTOCOL.md §8: checking it, and mapping anything into it.

use super::{KeyColumn, Relation};
use crate::{Builder, PlaneId};

/// Whether two valid rows may have one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Repeats {
    /// A bag: keys rise weakly.
    Allowed,
    /// A set: keys rise strictly.
    Forbidden,
}

impl Relation {
    /// Lane i: row i has row i − 1's values in these columns; 0 in lane 0. Validity is not looked
    /// at. (N − 1)(σ − 1) ANDs.
    pub fn equals_previous(&self, b: &mut Builder, columns: &[usize]) -> PlaneId {
        let key = self.key(b, &KeyColumn::all_ascending(columns));
        let fewer = self.rows.saturating_sub(1);
        let (before, after) =
            (b.slice_word(&key, 0, fewer), b.slice_word(&key, 1.min(self.rows), fewer));
        let same = b.equal(&before, &after);
        self.after_first_row(b, same, false)
    }

    /// Lane i: row i continues the group of row i − 1, both valid with equal values in these
    /// columns. (N − 1)(σ + 1) ANDs.
    pub fn continues_group(&self, b: &mut Builder, columns: &[usize]) -> PlaneId {
        let same = self.equals_previous(b, columns);
        let previous = b.shift_later(self.valid, 1, false);
        let both = b.and(previous, self.valid);
        b.and(both, same)
    }

    /// Lane i: row i may follow row i − 1 in the order, as a canonical relation's valid row. 1 in
    /// lane 0. (N − 1)·σ ANDs, σ the key bits; free for a bag without keys.
    pub fn follows_previous(
        &self,
        b: &mut Builder,
        order: &[KeyColumn],
        repeats: Repeats,
    ) -> PlaneId {
        let key = self.key(b, order);
        let fewer = self.rows.saturating_sub(1);
        let (before, after) =
            (b.slice_word(&key, 0, fewer), b.slice_word(&key, 1.min(self.rows), fewer));
        let follows = match repeats {
            Repeats::Allowed => b.less_or_equal(&before, &after),
            Repeats::Forbidden => b.less_than(&before, &after),
        };
        self.after_first_row(b, follows, true)
    }

    /// One lane: 1 exactly if the relation is canonical.
    pub fn is_canonical(&self, b: &mut Builder, order: &[KeyColumn], repeats: Repeats) -> PlaneId {
        let follows = self.follows_previous(b, order, repeats);
        let previous = b.shift_later(self.valid, 1, true);
        let in_place = b.and(previous, follows);
        // Valid: the previous row is valid and not after it. Invalid: all zero.
        let bits: Vec<_> = self.columns.iter().flat_map(|c| c.bits.iter().copied()).collect();
        let some = b.any(&bits, self.rows);
        let zero = b.not(some);
        let fine = b.mux(self.valid, in_place, zero);
        b.all_lanes(fine)
    }

    /// Retraction: cuts the relation at the first row that is invalid, out of order or not `ok`
    /// (v'_i = v'_{i−1} ∧ v_i ∧ ok_i) and zeroes the rest. The identity on canonical relations whose
    /// rows are all ok, and always canonical; nothing is opened and nothing can fail.
    #[must_use]
    pub fn retract(
        &self,
        b: &mut Builder,
        order: &[KeyColumn],
        repeats: Repeats,
        ok: PlaneId,
    ) -> Self {
        let follows = self.follows_previous(b, order, repeats);
        let fine = b.and(follows, ok);
        let fine = b.and(fine, self.valid);
        let valid = b.prefix_and(fine);
        Self { valid, columns: self.columns.clone(), rows: self.rows }.masked(b)
    }

    /// Lanes for rows 1.. with `first` before them.
    fn after_first_row(&self, b: &mut Builder, later: PlaneId, first: bool) -> PlaneId {
        let first = b.constant(first, self.rows.min(1));
        b.concat(&[first, later])
    }
}
