//! What names an instance and its hashes.

use crate::domain::{Domain, SessionId};
use crate::mesh::Lane;
use senate_circuit::PartyId;

/// An ordered pair of parties in a session: one instance of correlated OT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The session's id.
    pub session: SessionId,
    /// P_j, the holder of Δ_j.
    pub sender: PartyId,
    /// P_i, the holder of the choice bits.
    pub receiver: PartyId,
}

impl Pair {
    /// The key of this instance's random oracle for `purpose`.
    pub(super) fn oracle(&self, purpose: &'static str) -> [u8; 32] {
        let both = [self.sender, self.receiver].into_iter().collect();
        let tag = Domain::new(self.session, both, Lane::SESSION).tag("correlated OT");
        tag.party(self.sender).party(self.receiver).bytes(purpose.as_bytes()).digest()
    }
}

/// Depth k of the GGM trees: an extension sends 128/k bits and expands 2^k/k · 128 bits per row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TreeDepth {
    /// k = 2: for fast links.
    Two,
    /// k = 4.
    Four,
    /// k = 8: for slow links.
    Eight,
}

impl TreeDepth {
    /// k.
    pub fn bits(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// n_c = 128/k: trees of an instance.
    pub fn trees(self) -> usize {
        128 / self.bits()
    }

    /// 2^k: leaves of a tree.
    pub fn leaves(self) -> usize {
        1 << self.bits()
    }
}
