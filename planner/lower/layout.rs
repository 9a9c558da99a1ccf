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
    /// Rows past the capacity are dropped after sorting (a pushed-down LIMIT) rather than refused.
    pub truncate: bool,
}

impl LeafLayout {
    pub(crate) fn of(leaf: &Physical) -> Option<Self> {
        match &leaf.operator {
            Operator::Leaf { party, slot, columns, truncate } => Some(Self {
                party: *party,
                slot: *slot,
                columns: columns.clone(),
                shape: leaf.shape.clone(),
                truncate: *truncate,
            }),
            _ => None,
        }
    }
}
