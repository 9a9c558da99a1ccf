//! Choice bits of an extension toward one peer.

use crate::entropy::Entropy;
use senate_block::{Block, Prg};
use senate_circuit::Bits;
use zeroize::Zeroizing;

/// Bits of a column in one block.
pub(super) const ROWS_PER_BLOCK: usize = 128;

/// Choice bits of the rows of an extension, segment by segment: the rows that serve, filled up to
/// whole blocks, and a block that masks their combination in the check.
#[derive(Clone)]
pub struct Choices {
    u: Zeroizing<Vec<Block>>,
    /// Blocks of each segment, the mask included.
    segments: Vec<usize>,
}

impl std::fmt::Debug for Choices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Choices({:?} blocks)", self.segments)
    }
}

impl Choices {
    /// One segment of fresh private random bits for at least `rows` rows.
    pub fn random(rows: usize, entropy: &Entropy) -> Self {
        let blocks = rows.div_ceil(ROWS_PER_BLOCK) + 1;
        let mut u = Zeroizing::new(vec![Block::ZERO; blocks]);
        Prg::new(entropy.block("choice bits")).fill(0, &mut u);
        Self { u, segments: vec![blocks] }
    }

    /// One segment of the rows `bits`; what fills them up is random.
    pub fn of(bits: &Bits, entropy: &Entropy) -> Self {
        let mut choices = Self::random(bits.len(), entropy);
        let (words, len) = (bits.words(), bits.len());
        for (t, block) in choices.u.iter_mut().enumerate().take(len.div_ceil(ROWS_PER_BLOCK)) {
            let word = |half: usize| u128::from(words.get(2 * t + half).copied().unwrap_or(0));
            let set = len - t * ROWS_PER_BLOCK;
            let kept = if set < ROWS_PER_BLOCK { u128::MAX << set } else { 0 };
            *block = Block(block.0 & kept | (word(0) | word(1) << 64) & !kept);
        }
        choices
    }

    /// One segment of 128 rows.
    pub(super) fn of_block(bits: Block, entropy: &Entropy) -> Self {
        let mut choices = Self::random(ROWS_PER_BLOCK, entropy);
        choices.u[0] = bits;
        choices
    }

    /// These segments, then those of `other`.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        let mut u = Zeroizing::new(Vec::with_capacity(self.u.len() + other.u.len()));
        u.extend_from_slice(&self.u);
        u.extend_from_slice(&other.u);
        self.u = u;
        self.segments.extend_from_slice(&other.segments);
        self
    }

    /// The bits of the first segment, without its mask.
    pub fn bits(&self) -> Bits {
        let blocks = self.segments.first().map_or(0, |blocks| blocks.saturating_sub(1));
        let words = self.u.iter().take(blocks);
        let words = words.flat_map(|block| [block.0 as u64, (block.0 >> 64) as u64]);
        Bits::from_words(words.collect(), blocks * ROWS_PER_BLOCK)
    }

    /// Another bit for row `row`, counting masks.
    #[cfg(test)]
    pub(crate) fn flip(&mut self, row: usize) {
        self.u[row / ROWS_PER_BLOCK].0 ^= 1 << (row % ROWS_PER_BLOCK);
    }

    /// Blocks of each segment, the mask included.
    pub fn segments(&self) -> &[usize] {
        &self.segments
    }

    /// All bits, in blocks.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.u
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_bits_stay_and_the_rest_is_random() {
        let entropy = Entropy::from_os_seed([3; 32]);
        for len in [0usize, 1, 63, 64, 65, 127, 128, 129, 300] {
            let bits: Bits = (0..len).map(|i| i % 3 == 0).collect();
            let choices = Choices::of(&bits, &entropy).with(&Choices::random(10, &entropy));
            assert_eq!(choices.segments(), [len.div_ceil(128) + 1, 2]);
            let all = choices.bits();
            assert!(all.len() == len.next_multiple_of(128) && all.slice(0, len) == bits);
            let filled = all.slice(len, all.len() - len).count_ones();
            assert!(filled.abs_diff((all.len() - len) / 2) < 40, "{len} {filled}");
            assert!(choices.blocks().last() != Some(&Block::ZERO));
        }
    }
}
