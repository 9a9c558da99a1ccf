//! How an owner's local result becomes the bits of an input bundle.

use super::physical::{LeafColumn, Operator, Physical};
use super::shape::Shape;
use senate_circuit::PartyId;

/// The public layout of one owner's input.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LeafLayout {
    /// The owner.
    pub party: PartyId,
    /// Its local task.
    pub slot: usize,
    /// Per column of `shape`: where it comes from.
    pub columns: Vec<LeafColumn>,
    /// Encodings, capacity, order, and what is verified.
    pub shape: Shape,
    /// Most rows the local result may have. Sorted, those past `shape.rows` are dropped (a
    /// pushed-down LIMIT).
    pub capacity: u32,
}

impl LeafLayout {
    pub(crate) fn of(leaf: &Physical) -> Option<Self> {
        match &leaf.operator {
            Operator::Leaf { party, slot, columns, capacity } => Some(Self {
                party: *party,
                slot: *slot,
                columns: columns.clone(),
                shape: leaf.shape.clone(),
                capacity: *capacity,
            }),
            _ => None,
        }
    }
}
