//! The fixed-key AES-128 permutation over slices.

use crate::Block;
use aes::Aes128Enc;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
    KeyInit, ParBlocks,
};

/// Blocks worked on at a time: a multiple of every backend's batch, long enough that what `input`
/// stores has left the store buffer when the cipher loads it in wider registers.
const TILE: usize = 128;
/// Up to this many left-over blocks, one at a time is cheaper than a padded batch.
const SINGLES_MAX: usize = 8;

/// π_k: AES-128 under one key, expanded once. Round keys are zeroised on drop.
pub struct FixedKey(Aes128Enc);

impl FixedKey {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        Self(Aes128Enc::new(&Array::from(key.to_bytes())))
    }

    /// Replaces every block x by π_k(x).
    pub fn permute(&self, blocks: &mut [Block]) {
        let (batches, tail) = blocks.split_at_mut(blocks.len() / TILE * TILE);
        if !batches.is_empty() {
            self.0.encrypt_blocks(as_arrays(batches));
        }
        if !tail.is_empty() {
            let mut padded = [Block::ZERO; TILE];
            padded[..tail.len()].copy_from_slice(tail);
            self.0.encrypt_with_backend(Padded { tile: &mut padded, len: tail.len() });
            tail.copy_from_slice(&padded[..tail.len()]);
        }
    }

    /// Streams `len` blocks through π_k: `input(first, tile)` writes blocks `first`, `first` + 1, …
    /// and `output(first, tile)` takes their images. Both are compiled for the cipher's registers.
    #[inline]
    pub(crate) fn stream(
        &self,
        len: usize,
        input: impl Fn(usize, &mut [Block]),
        output: impl FnMut(usize, &[Block]),
    ) {
        self.0.encrypt_with_backend(Stream { len, input, output });
    }
}

struct Padded<'a> {
    tile: &'a mut [Block; TILE],
    len: usize,
}

impl BlockSizeUser for Padded<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Padded<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        encrypt(backend, self.tile, self.len);
    }
}

struct Stream<I, O> {
    len: usize,
    input: I,
    output: O,
}

impl<I, O> BlockSizeUser for Stream<I, O> {
    type BlockSize = U16;
}

impl<I: Fn(usize, &mut [Block]), O: FnMut(usize, &[Block])> BlockCipherEncClosure for Stream<I, O> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(mut self, backend: &B) {
        let mut tile = [Block::ZERO; TILE];
        for first in (0..self.len).step_by(TILE) {
            let len = TILE.min(self.len - first);
            (self.input)(first, &mut tile[..len]);
            encrypt(backend, &mut tile, len);
            (self.output)(first, &tile[..len]);
        }
    }
}

/// Encrypts the first `len` blocks of `tile`, in batches as far as that pays; what follows them in
/// the tile may be encrypted too.
#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    tile: &mut [Block; TILE],
    len: usize,
) {
    let width = B::ParBlocksSize::USIZE;
    let singles = if len % width <= SINGLES_MAX { len % width } else { 0 };
    let blocks = as_arrays(tile);
    let (batched, rest) = blocks.split_at_mut((len - singles).next_multiple_of(width).min(TILE));
    let (batches, _) = ParBlocks::<B>::slice_as_chunks_mut(batched);
    for batch in batches {
        backend.encrypt_par_blocks_inplace(batch);
    }
    for block in rest.iter_mut().take(singles) {
        backend.encrypt_block_inplace(block);
    }
}

#[inline(always)]
fn as_arrays(blocks: &mut [Block]) -> &mut [Array<u8, U16>] {
    Array::cast_slice_from_core_mut(bytemuck::cast_slice_mut::<Block, [u8; 16]>(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    #[test]
    fn known_answer_of_fips_197() {
        let key = Block::from_bytes(std::array::from_fn(|i| i as u8));
        let mut block = [Block::from_bytes(std::array::from_fn(|i| (i * 0x11) as u8))];
        FixedKey::new(key).permute(&mut block);
        let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128;
        assert_eq!(block[0].to_bytes(), expected.to_be_bytes());
    }

    #[test]
    fn batches_agree_with_single_blocks() {
        let pi = FixedKey::new(Block(7));
        for len in LADDER {
            let mut batch = noise(1, len);
            let mut single = batch.clone();
            pi.permute(&mut batch);
            single.chunks_mut(1).for_each(|block| pi.permute(block));
            assert!(batch == single, "{len}");
        }
    }
}
