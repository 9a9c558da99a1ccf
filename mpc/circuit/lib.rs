//! Circuits as values: the waist between the planner, which writes them, and the protocol, which
//! runs them. This crate depends on nothing.
//!
//! A circuit is a *vector program over bit planes*: a column of N rows and w bits is w planes of N
//! lanes, and each instruction works on whole planes. AND is the only gate that costs anything in
//! authenticated garbling; XOR, NOT, gathers and concatenations are local.
#![forbid(unsafe_code)]

mod batches;
mod bits;
mod builder;
mod clear;
mod error;
mod gadgets;
mod party;
mod program;
mod relation;
pub mod samples;
mod stage;
mod stats;
mod tree_depth;

pub use batches::{Allowance, BatchShape, LEAKY_BYTES, Sharing, masks_per_batch};
pub use bits::Bits;
pub use builder::{Builder, Goal};
pub use error::BuildError;
pub use gadgets::{KeyBit, Network, Word};
pub use party::{PartyId, PartySet};
pub use program::{Bundle, Drops, Instruction, Lanes, Layers, MapId, PlaneId, Program};
pub use relation::{Direction, KeyColumn, Relation, Repeats};
pub use stage::{Backend, Reveal, Source, Stage, StageId, VerBit};
pub use stats::Stats;
pub use tree_depth::TreeDepth;
