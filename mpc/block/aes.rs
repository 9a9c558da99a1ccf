//! The fixed-key AES-128 permutation over slices.

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{ROUND_KEYS, Wide};

use crate::Block;
use aes::Aes128Enc;
use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
    KeyInit, ParBlocks,
};

/// Blocks worked on at a time: long enough that what was stored last has left the store buffer when
/// the cipher loads it in wider registers.
const TILE: usize = 128;
/// Up to this many left-over blocks, one at a time is cheaper than a padded batch.
const SINGLES_MAX: usize = 8;

/// π_k: AES-128 under one key, expanded once. Round keys are zeroised on drop.
pub struct FixedKey(Backend);

enum Backend {
    Crate(Aes128Enc),
    #[cfg(target_arch = "x86_64")]
    Wide(Wide),
}

impl FixedKey {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = Wide::fastest().then(|| Wide::new(key)).flatten() {
            return Self(Backend::Wide(wide));
        }
        Self(Backend::Crate(Aes128Enc::new(&Array::from(key.to_bytes()))))
    }

    /// Replaces every block x by π_k(x).
    pub fn permute(&self, blocks: &mut [Block]) {
        self.each_tile(blocks, |_, _| (), |_, _| ());
    }

    /// Permutes every block, tile by tile, between `before(first, tile)` and `after(first, tile)`,
    /// where `first` is the tile's position. All three are compiled for the cipher's registers.
    #[inline]
    pub(crate) fn each_tile(
        &self,
        blocks: &mut [Block],
        before: impl Fn(usize, &mut [Block]),
        after: impl FnMut(usize, &mut [Block]),
    ) {
        match &self.0 {
            Backend::Crate(cipher) => cipher.encrypt_with_backend(Tiles { blocks, before, after }),
            #[cfg(target_arch = "x86_64")]
            Backend::Wide(wide) => wide.each_tile(blocks, before, after),
        }
    }
}

struct Tiles<'a, I, O> {
    blocks: &'a mut [Block],
    before: I,
    after: O,
}

impl<I, O> BlockSizeUser for Tiles<'_, I, O> {
    type BlockSize = U16;
}

impl<I, O> BlockCipherEncClosure for Tiles<'_, I, O>
where
    I: Fn(usize, &mut [Block]),
    O: FnMut(usize, &mut [Block]),
{
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(mut self, backend: &B) {
        for (t, tile) in self.blocks.chunks_mut(TILE).enumerate() {
            (self.before)(t * TILE, tile);
            encrypt(backend, tile);
            (self.after)(t * TILE, tile);
        }
    }
}

/// Encrypts all blocks of `tile`, in batches as far as that pays.
#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, tile: &mut [Block]) {
    let blocks = Array::cast_slice_from_core_mut(bytemuck::cast_slice_mut::<_, [u8; 16]>(tile));
    let (batches, rest) = ParBlocks::<B>::slice_as_chunks_mut(blocks);
    for batch in batches {
        backend.encrypt_par_blocks_inplace(batch);
    }
    if rest.len() <= SINGLES_MAX {
        rest.iter_mut().for_each(|block| backend.encrypt_block_inplace(block));
    } else {
        let mut padded = ParBlocks::<B>::default();
        padded[..rest.len()].copy_from_slice(rest);
        backend.encrypt_par_blocks_inplace(&mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
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
    fn every_backend_is_the_cipher_of_the_crate() {
        for seed in 0..100 {
            let key = noise(seed, 1)[0];
            let cipher = Aes128Enc::new(&Array::from(key.to_bytes()));
            let len = LADDER[seed as usize % LADDER.len()];
            let mut ours = noise(6, len);
            let mut theirs: Vec<_> = ours.iter().map(|b| Array::from(b.to_bytes())).collect();
            cipher.encrypt_blocks(&mut theirs);
            FixedKey::new(key).permute(&mut ours);
            assert!(ours.iter().map(|b| b.to_bytes()).eq(theirs.iter().map(|b| b.0)), "{seed}");
        }
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
