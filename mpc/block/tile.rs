//! Passes over one tile by each kernel, compiled here and not where they are called: what a machine
//! can do at most is measured with them, in every build profile.

use crate::{Block, FixedKey, Tccr, Tweak, dot, transpose};
use std::hint::black_box;

/// Blocks that stay in the second-level cache.
pub struct Tile {
    blocks: Vec<Block>,
    other: Vec<Block>,
    key: FixedKey,
    hash: Tccr,
}

impl Default for Tile {
    fn default() -> Self {
        let blocks: Vec<Block> = (0..Self::BLOCKS as u128).map(Block).collect();
        let (key, hash) = (FixedKey::new(Block(1)), Tccr::new(Block(2)));
        Self { other: blocks.clone(), blocks, key, hash }
    }
}

impl Tile {
    /// Blocks of a tile, which is what each pass handles.
    pub const BLOCKS: usize = 1 << 13;

    /// AES-128 of each block under one key.
    #[inline(never)]
    pub fn permute(&mut self) {
        self.key.permute(black_box(&mut self.blocks));
    }

    /// The TCCR hash of each block, two permutations.
    #[inline(never)]
    pub fn hash(&mut self) {
        let first = Tweak { purpose: 1, index: 0, i: 0, j: 0, half: 0 };
        self.hash.hash(black_box(&mut self.blocks), first);
    }

    /// A mix of what the engine does: each block is hashed, multiplied and transposed.
    #[inline(never)]
    pub fn mix(&mut self) {
        self.hash();
        self.dot();
        self.transpose();
    }

    /// The inner product of two tiles in GF(2^128).
    #[inline(never)]
    pub fn dot(&mut self) {
        black_box(dot(black_box(&self.other), black_box(&self.blocks)));
    }

    /// The transposition of each square of 128 blocks.
    #[inline(never)]
    pub fn transpose(&mut self) {
        transpose(black_box(&mut self.blocks));
    }
}
