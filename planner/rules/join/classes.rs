//! Classes of columns known to be equal.

use super::Id;

/// Disjoint sets of columns.
pub(super) struct Classes(Vec<Id>);

impl Classes {
    /// Every column alone.
    pub(super) fn new(columns: usize) -> Self {
        Self((0..columns).collect())
    }

    /// The class of a column: its smallest member.
    pub(super) fn of(&self, column: Id) -> Id {
        let mut at = column;
        while let Some(above) = self.0.get(at).copied()
            && above != at
        {
            at = above;
        }
        at
    }

    /// Makes two columns equal. True when they were not yet.
    pub(super) fn merge(&mut self, left: Id, right: Id) -> bool {
        let (left, right) = (self.of(left), self.of(right));
        if let Some(above) = self.0.get_mut(left.max(right)) {
            *above = left.min(right);
        }
        left != right
    }
}
