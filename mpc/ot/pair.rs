//! What names an instance and its hashes.

use senate_circuit::PartyId;

/// An ordered pair of parties in a session: one instance of correlated OT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The session's id.
    pub session: [u8; 32],
    /// P_j, the holder of Δ_j.
    pub sender: PartyId,
    /// P_i, the holder of the choice bits.
    pub receiver: PartyId,
}

impl Pair {
    /// The key of this instance's random oracle for `purpose`.
    pub(super) fn oracle(&self, purpose: &'static str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("Senate correlated OT v1");
        hasher.update(&self.session);
        hasher.update(&[self.sender.index() as u8, self.receiver.index() as u8]);
        hasher.update(purpose.as_bytes());
        *hasher.finalize().as_bytes()
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
