//! Private randomness of one party in one session: expanded from a seed that the driver takes from
//! the operating system, never repeated.

use senate_block::Block;
use std::cell::Cell;
use zeroize::Zeroize;

/// A party's private randomness. Every draw is fresh: a counter separates draws, labels separate
/// purposes. The seed is zeroised on drop.
pub struct Entropy {
    seed: [u8; 32],
    draws: Cell<u64>,
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl Entropy {
    /// From 32 bytes of the operating system's generator. A seed serves one session only.
    pub fn from_os_seed(seed: [u8; 32]) -> Self {
        Self { seed, draws: Cell::new(0) }
    }

    /// A fresh 32-byte seed for `purpose`.
    pub fn seed(&self, purpose: &'static str) -> [u8; 32] {
        let mut out = [0; 32];
        self.fill(purpose, &mut out);
        out
    }

    /// A fresh random block for `purpose`.
    pub fn block(&self, purpose: &'static str) -> Block {
        let mut out = [0; 16];
        self.fill(purpose, &mut out);
        Block::from_bytes(out)
    }

    /// Fills `out` with fresh random bytes. For large amounts take a seed and expand it with the
    /// AES generator of `senate-block`.
    pub fn fill(&self, purpose: &'static str, out: &mut [u8]) {
        let draw = self.draws.get();
        self.draws.set(draw.wrapping_add(1));
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&draw.to_le_bytes());
        hasher.update(purpose.as_bytes());
        hasher.finalize_xof().fill(out);
    }
}
