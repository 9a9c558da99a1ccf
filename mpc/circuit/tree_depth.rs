//! The parameter of correlated oblivious transfer that plans are priced by.

/// Depth k of the GGM trees of SoftSpokenOT (PROTOCOL.md §3): an extension sends 128/k bits and
/// expands 2^k/k · 128 bits per row. Neither security nor any answer depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TreeDepth {
    /// k = 2: for fast links.
    Two,
    /// k = 4.
    #[default]
    Four,
    /// k = 8: for slow links.
    Eight,
}

impl TreeDepth {
    /// From the smallest to the largest.
    pub const ALL: [Self; 3] = [Self::Two, Self::Four, Self::Eight];

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
