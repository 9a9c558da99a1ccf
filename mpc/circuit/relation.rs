//! Relations in a circuit: a public number of rows, each valid or not, and columns of words.

mod canonical;
mod order;

use crate::{BuildError, Builder, Lanes, MapId, PlaneId, Word};
pub use canonical::Repeats;
pub use order::{Direction, KeyColumn};

/// A relation with a public capacity and a secret number of rows.
///
/// *Canonical* (PROTOCOL.md §8) means: valid rows first, in key order, the rest all zero.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Relation {
    /// 1 where there is a row.
    pub valid: PlaneId,
    /// The columns, all of `rows` lanes.
    pub columns: Vec<Word>,
    /// Public capacity.
    pub rows: Lanes,
}

impl Relation {
    /// The relation with these planes.
    pub fn new(valid: PlaneId, columns: Vec<Word>, rows: Lanes) -> Self {
        Self { valid, columns, rows }
    }

    /// The next input bundle as a relation with columns of these widths: the valid plane, then the
    /// bits of each column, least significant first.
    pub fn input(b: &mut Builder, widths: &[usize], rows: Lanes) -> Self {
        let planes = b.input(&vec![rows; 1 + widths.iter().sum::<usize>()]);
        Self::from_planes(b, &planes, widths, rows)
    }

    /// The next output bundle, with the planes in the order of [`Relation::input`].
    pub fn output(&self, b: &mut Builder) -> usize {
        b.output(&self.planes())
    }

    /// All planes in the order of [`Relation::input`].
    pub fn planes(&self) -> Vec<PlaneId> {
        let columns = self.columns.iter().flat_map(|column| column.bits.iter().copied());
        std::iter::once(self.valid).chain(columns).collect()
    }

    /// Inverse of [`Relation::planes`] for columns of these widths.
    pub fn from_planes(b: &mut Builder, planes: &[PlaneId], widths: &[usize], rows: Lanes) -> Self {
        let needed = 1 + widths.iter().sum::<usize>();
        if planes.len() != needed {
            b.fail(BuildError::WidthsDiffer { left: planes.len(), right: needed });
        }
        let mut planes = planes.iter().copied();
        let valid = planes.next().unwrap_or_else(|| b.constant(false, rows));
        let column = |width: &usize| Word::new(planes.by_ref().take(*width).collect(), rows);
        Self { valid, columns: widths.iter().map(column).collect(), rows }
    }

    /// Width of each column in bits.
    pub fn widths(&self) -> Vec<usize> {
        self.columns.iter().map(Word::width).collect()
    }

    /// Column `at`; recorded as an error, and a word without bits, when there is none.
    pub fn column(&self, b: &mut Builder, at: usize) -> Word {
        self.columns.get(at).cloned().unwrap_or_else(|| {
            b.fail(BuildError::UnknownColumn(at));
            Word::new(Vec::new(), self.rows)
        })
    }

    /// Only these columns, in this order.
    #[must_use]
    pub fn project(&self, b: &mut Builder, columns: &[usize]) -> Self {
        let columns = columns.iter().map(|at| self.column(b, *at)).collect();
        Self { valid: self.valid, columns, rows: self.rows }
    }

    /// Row i of the result is row `map[i]`. Free.
    #[must_use]
    pub fn gather(&self, b: &mut Builder, map: MapId) -> Self {
        let rows = b.map_len(map);
        self.each_plane(rows, |plane| b.gather(plane, map))
    }

    /// Rows `start .. start + len`. Free.
    #[must_use]
    pub fn slice(&self, b: &mut Builder, start: Lanes, len: Lanes) -> Self {
        let map = b.range(start, start.saturating_add(len));
        self.gather(b, map)
    }

    /// The first `rows` rows at most. Free.
    #[must_use]
    pub fn truncate(&self, b: &mut Builder, rows: Lanes) -> Self {
        self.slice(b, 0, rows.min(self.rows))
    }

    /// All-zero rows added at the end, up to `rows`. Free.
    #[must_use]
    pub fn pad(&self, b: &mut Builder, rows: Lanes) -> Self {
        let none = b.constant(false, rows.saturating_sub(self.rows));
        self.each_plane(rows.max(self.rows), |plane| b.concat(&[plane, none]))
    }

    /// Row i of the result is row i − `by`; the first `by` rows are all zero. Free.
    #[must_use]
    pub fn shift_later(&self, b: &mut Builder, by: Lanes) -> Self {
        self.each_plane(self.rows, |plane| b.shift_later(plane, by, false))
    }

    /// Row i of the result is row i + `by`; the last `by` rows are all zero. Free.
    #[must_use]
    pub fn shift_earlier(&self, b: &mut Builder, by: Lanes) -> Self {
        self.each_plane(self.rows, |plane| b.shift_earlier(plane, by, false))
    }

    /// The rows of all parts, one after the other; columns of equal widths. Free.
    pub fn concat(b: &mut Builder, parts: &[Self]) -> Self {
        let Some(first) = parts.first() else {
            return Self { valid: b.constant(false, 0), columns: Vec::new(), rows: 0 };
        };
        let widths = first.widths();
        for part in parts {
            if part.widths() != widths {
                let (left, right) = (widths.iter().sum(), part.widths().iter().sum());
                b.fail(BuildError::WidthsDiffer { left, right });
                return first.clone();
            }
        }
        let all: Vec<Vec<PlaneId>> = parts.iter().map(Self::planes).collect();
        let plane = |at: usize| -> Vec<PlaneId> {
            all.iter().filter_map(|planes| planes.get(at).copied()).collect()
        };
        let count = first.planes().len();
        let planes: Vec<_> = (0..count).map(|at| b.concat(&plane(at))).collect();
        let rows = parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.rows));
        Self::from_planes(b, &planes, &widths, rows)
    }

    /// The rows where `keep` is 1 stay valid; nothing moves, nothing is zeroed. One AND per row.
    #[must_use]
    pub fn filter(&self, b: &mut Builder, keep: PlaneId) -> Self {
        Self { valid: b.and(self.valid, keep), columns: self.columns.clone(), rows: self.rows }
    }

    /// Invalid rows all zero. One AND per row and bit, none for bits masked by this plane already.
    #[must_use]
    pub fn masked(&self, b: &mut Builder) -> Self {
        let columns = self.columns.iter().map(|column| b.mask_word(self.valid, column)).collect();
        Self { valid: self.valid, columns, rows: self.rows }
    }

    /// Valid rows first, in their order, then zeros; `limit` rows at most, and valid rows past it
    /// are lost. See [`Builder::compact`] for the cost.
    #[must_use]
    pub fn compact(&self, b: &mut Builder, limit: Lanes) -> Self {
        let bits: Vec<_> = self.columns.iter().flat_map(|c| c.bits.iter().copied()).collect();
        let (valid, bits) = b.compact(self.valid, &bits, limit);
        let planes: Vec<_> = std::iter::once(valid).chain(bits).collect();
        Self::from_planes(b, &planes, &self.widths(), limit.min(self.rows))
    }

    /// Number of valid rows: one lane, exact.
    pub fn count(&self, b: &mut Builder) -> Word {
        b.sum_lanes(&Word::bit(self.valid, self.rows))
    }

    fn each_plane(&self, rows: Lanes, mut change: impl FnMut(PlaneId) -> PlaneId) -> Self {
        let valid = change(self.valid);
        let column =
            |column: &Word| Word::new(column.bits.iter().map(|bit| change(*bit)).collect(), rows);
        Self { valid, columns: self.columns.iter().map(column).collect(), rows }
    }
}

#[cfg(test)]
mod tests;
