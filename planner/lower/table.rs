//! A relation inside a circuit with what the planner knows about it.

use super::shape::Field;
use crate::ir::SortKey;
use senate_circuit::{Builder, Direction, KeyColumn, Lanes, Network, PlaneId, Relation, Word};

/// Rows on planes. A column's word is its value, then its presence plane if it is nullable.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Encodings of the columns.
    pub fields: Vec<Field>,
    /// The planes.
    pub relation: Relation,
    /// At most so many lanes hold a row.
    pub limit: Lanes,
    /// Rows come before all lanes without one.
    pub prefix: bool,
    /// Lanes without a row are all zero.
    pub zero: bool,
}

impl Table {
    /// An input bundle, canonical if it passes its Ver.
    pub(super) fn input(b: &mut Builder, fields: &[Field], rows: Lanes) -> Self {
        let widths: Vec<_> = fields.iter().map(|field| field.planes() as usize).collect();
        let relation = Relation::input(b, &widths, rows);
        Self::canonical_of(fields, relation)
    }

    /// A relation known to be canonical.
    pub(super) fn canonical_of(fields: &[Field], relation: Relation) -> Self {
        let limit = relation.rows;
        Self { fields: fields.to_vec(), relation, limit, prefix: true, zero: true }
    }

    /// Lanes.
    pub(super) fn rows(&self) -> Lanes {
        self.relation.rows
    }

    /// Column `at`: its encoding, value and presence.
    pub(super) fn cell(&self, at: usize) -> Option<(&Field, Cell)> {
        let field = self.fields.get(at)?;
        Some((field, Cell::of(self.relation.columns.get(at)?, field)))
    }

    /// All planes of some columns as one word.
    pub(super) fn word(&self, columns: impl Iterator<Item = usize>) -> Word {
        let none = Word::new(Vec::new(), self.relation.rows);
        let columns = columns.filter_map(|at| self.relation.columns.get(at));
        columns.fold(none, Word::with_high)
    }

    /// Valid rows first, the rest zero, no more lanes than `limit`.
    pub(super) fn canonical(self, b: &mut Builder) -> Self {
        self.in_front(b).zeroed(b)
    }

    /// Valid rows first, no more lanes than `limit`.
    pub(super) fn in_front(self, b: &mut Builder) -> Self {
        let limit = self.limit.min(self.rows());
        if self.prefix {
            return if limit < self.rows() { self.sliced(b, 0, limit) } else { self };
        }
        let relation = self.relation.compact(b, limit);
        Self::canonical_of(&self.fields, relation)
    }

    /// Lanes without a row set to zero.
    pub(super) fn zeroed(mut self, b: &mut Builder) -> Self {
        if !self.zero {
            self.relation = self.relation.masked(b);
            self.zero = true;
        }
        self
    }

    /// Lanes `start .. start + len`.
    pub(super) fn sliced(mut self, b: &mut Builder, start: Lanes, len: Lanes) -> Self {
        self.relation = self.relation.slice(b, start, len);
        self.limit = self.limit.min(len);
        self
    }

    /// The lanes of several tables with the same fields, one after the other.
    pub(super) fn stacked(b: &mut Builder, parts: &[Self], fields: &[Field]) -> Self {
        let relations: Vec<_> = parts.iter().map(|part| part.relation.clone()).collect();
        let relation = Relation::concat(b, &relations);
        let zero = parts.iter().all(|part| part.zero);
        let limit = parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.limit));
        Self { fields: fields.to_vec(), relation, limit, prefix: false, zero }
    }

    /// The rows through a comparator network by `order`, invalid rows last.
    pub(super) fn networked(mut self, b: &mut Builder, net: &Network, order: &[SortKey]) -> Self {
        let order = key_columns(&self.fields, order);
        self.relation = self.relation.run(b, net, &order);
        self.limit = self.limit.min(self.relation.rows);
        self.prefix = true;
        self
    }
}

/// The order in the circuit library's terms.
pub(super) fn key_columns(fields: &[Field], order: &[SortKey]) -> Vec<KeyColumn> {
    let direction = |up| if up { Direction::Ascending } else { Direction::Descending };
    let column = |key: &SortKey| {
        let nullable = fields.get(key.column).is_some_and(|field| field.kind.nullable);
        KeyColumn {
            column: key.column,
            direction: direction(!key.descending),
            presence: nullable.then(|| direction(key.nulls_first)),
        }
    };
    order.iter().map(column).collect()
}

/// One column's planes.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// The value.
    pub value: Word,
    /// The presence plane of a nullable column.
    pub present: Option<PlaneId>,
}

impl Cell {
    /// From all planes of a column of this encoding.
    pub(super) fn of(word: &Word, field: &Field) -> Self {
        let width = field.value_bits() as usize;
        let present = if field.kind.nullable { word.bits.get(width).copied() } else { None };
        Self { value: word.bits_at(0, width), present }
    }

    /// All planes as one word.
    pub(super) fn word(self) -> Word {
        let lanes = self.value.lanes;
        match self.present {
            Some(present) => self.value.with_high(&Word::bit(present, lanes)),
            None => self.value,
        }
    }
}
