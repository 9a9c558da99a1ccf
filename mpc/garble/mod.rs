//! Authenticated half gates (PROTOCOL.md §6): batch kernels over flat planes, no IO. The garbler's
//! and the evaluator's files mirror each other name by name.

pub(crate) mod evaluator;
pub(crate) mod garbler;
pub(crate) mod hash;
mod tiles;
pub(crate) mod walk;

pub(crate) use evaluator::Evaluator;
pub(crate) use garbler::Garbler;
pub(crate) use walk::{ActiveLabels, Masked, Masks, Walk, ZeroLabels};

use crate::auth::AuthBits;

/// Shares that the AND gates of a chunk need, all gates one after the other: ⟨λ_α⟩, ⟨λ_β⟩ and
/// ⟨λ_αλ_β ⊕ λ_γ⟩.
#[derive(Debug)]
pub(crate) struct AndShares {
    /// ⟨λ_α⟩.
    pub(crate) left: AuthBits,
    /// ⟨λ_β⟩.
    pub(crate) right: AuthBits,
    /// ⟨λ_αλ_β ⊕ λ_γ⟩.
    pub(crate) product: AuthBits,
}

/// The AND gates of one instruction: `len` consecutive gates, the first of which has number `gate`
/// in its stage and number `offset` in its chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gates {
    /// Number of the first gate in the stage.
    pub(crate) gate: u64,
    /// Number of the first gate in the chunk.
    pub(crate) offset: usize,
    /// How many.
    pub(crate) len: usize,
}

/// Blocks per gate in a garbler's table: 2 for its own key, 3 per other garbler.
pub(crate) fn table_rows(parties: usize) -> usize {
    (3 * parties).saturating_sub(4)
}

#[cfg(test)]
mod tests;
