//! What is known of the values of one column of a relation.

use super::Origin;
use std::collections::BTreeSet;

/// A value on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) origin: Origin,
    /// It was the key of groups.
    pub(super) grouped: bool,
    /// Something was decided by it on the way: a comparison, the condition of a CASE, a product with
    /// another column, a function whose value is more than a sum of its operands.
    pub(super) tested: bool,
}

/// How much of an expression's value is more than that of a column, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Shape {
    /// A column itself.
    #[default]
    Itself,
    /// A column, moved and stretched by constants: the least value comes of the least.
    InOrder,
    /// A sum of columns, each times a constant: every row has its part in a sum of them.
    Sum,
    /// Anything else, which can be as good as nothing for all rows but those the text chooses.
    Choice,
}

/// What flows in one column of a relation.
#[derive(Clone, Default)]
pub(super) struct Column {
    pub(super) flows: BTreeSet<Flow>,
    /// The scans whose rows the values come from; a union's rows count as one scan's.
    pub(super) scans: BTreeSet<usize>,
    pub(super) shape: Shape,
    /// Values that differ between rows and are no column's of a table: of VALUES, of groups.
    pub(super) made: bool,
}

impl Column {
    /// Values of no table, in which nothing flows.
    pub(super) fn made() -> Self {
        Self { made: true, ..Self::default() }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.flows.extend(other.flows.iter().cloned());
        self.scans.extend(&other.scans);
        self.shape = self.shape.max(other.shape);
        self.made |= other.made;
    }

    pub(super) fn merged(mut self, other: &Self) -> Self {
        self.merge(other);
        self
    }

    /// The values, moved or stretched by a constant.
    pub(super) fn moved(self) -> Self {
        Self { shape: self.shape.max(Shape::InOrder), ..self }
    }

    /// The values as parts of a sum.
    pub(super) fn summed(self) -> Self {
        Self { shape: self.shape.max(Shape::Sum), ..self }
    }

    /// The values, after something was decided by them.
    pub(super) fn tested(&self) -> Self {
        let flows = self.flows.iter().map(|flow| Flow { tested: true, ..flow.clone() }).collect();
        Self { flows, shape: Shape::Choice, ..self.clone() }
    }

    pub(super) fn grouped(self, scan: usize) -> Self {
        let flows = self.flows.iter().map(|flow| Flow { grouped: true, ..flow.clone() }).collect();
        Self { flows, made: true, ..self.of_scan(scan) }
    }

    /// The values, in rows that are no table's any more.
    pub(super) fn of_scan(mut self, scan: usize) -> Self {
        if !self.scans.is_empty() {
            self.scans = BTreeSet::from([scan]);
        }
        self
    }
}
