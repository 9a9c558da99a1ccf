//! The fixed-key AES-128 permutation over slices.

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{BATCH, LAST, RoundKeys, counters, last_round};

use crate::{Block, xor_into};
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
    Wide(Box<x86::Wide>),
}

impl FixedKey {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = x86::Wide::new(key) {
            return Self(Backend::Wide(Box::new(wide)));
        }
        Self(Backend::Crate(Aes128Enc::new(&Array::from(key.to_bytes()))))
    }

    /// What kernels need that do more than this pass, if the machine has wide registers.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn wide(&self) -> Option<(crate::x86::Lanes, &RoundKeys)> {
        match &self.0 {
            Backend::Crate(_) => None,
            Backend::Wide(wide) => Some(wide.parts()),
        }
    }

    /// Replaces every block x by π_k(x).
    pub fn permute(&self, blocks: &mut [Block]) {
        match &self.0 {
            Backend::Crate(cipher) => {
                encrypt_all(cipher, blocks, |_, _| ());
            }
            #[cfg(target_arch = "x86_64")]
            Backend::Wide(wide) => wide.permute(blocks),
        }
    }

    /// Writes `what`; slices in it are at least as long as `out`.
    #[inline]
    pub(crate) fn write(&self, what: Written<'_>, out: &mut [Block]) {
        match &self.0 {
            Backend::Crate(cipher) => write(cipher, what, out),
            #[cfg(target_arch = "x86_64")]
            Backend::Wide(wide) => wide.write(what, out),
        }
    }
}

/// What a pass over blocks writes. Counters c + r count in the low 64 bits of c.
#[derive(Clone, Copy)]
pub(crate) enum Written<'a> {
    /// out_r = π(x_r).
    Permuted(&'a [Block]),
    /// out_r = π(c + r).
    Counters(Block),
    /// out_r = π(x_r ⊕ (c + r)) ⊕ x_r.
    Hashes(&'a [Block], Block),
    /// out_r ⊕= π(x_r ⊕ (c + r)) ⊕ x_r.
    Added(&'a [Block], Block),
}

/// By the cipher of the crate, tile by tile.
fn write(cipher: &Aes128Enc, what: Written<'_>, out: &mut [Block]) {
    match what {
        Written::Permuted(xs) => encrypt_all(cipher, out, |at, tile| {
            tile.copy_from_slice(&xs[at..at + tile.len()]);
        }),
        Written::Counters(first) => encrypt_all(cipher, out, |at, tile| {
            tile.iter_mut().enumerate().for_each(|(r, x)| *x = count(first, at + r));
        }),
        Written::Hashes(xs, first) => {
            encrypt_all(cipher, out, |at, tile| {
                let xs = tile.iter_mut().zip(&xs[at..]).enumerate();
                xs.for_each(|(r, (x, pi))| *x = *pi ^ count(first, at + r));
            });
            xor_into(out, &xs[..out.len()]);
        }
        Written::Added(xs, first) => {
            let mut hashes = [Block::ZERO; TILE];
            for (t, out) in out.chunks_mut(TILE).enumerate() {
                let (xs, hashes) = (&xs[t * TILE..], &mut hashes[..out.len()]);
                write(cipher, Written::Hashes(xs, count(first, t * TILE)), hashes);
                xor_into(out, hashes);
            }
        }
    }
}

/// `first` + r in the low 64 bits.
#[inline(always)]
fn count(first: Block, r: usize) -> Block {
    let low = (first.0 as u64).wrapping_add(r as u64);
    Block(first.0 >> 64 << 64 | u128::from(low))
}

/// Encrypts, tile by tile, what `before(first, tile)` writes into the tile that begins with block
/// number `first`.
fn encrypt_all(cipher: &Aes128Enc, blocks: &mut [Block], before: impl Fn(usize, &mut [Block])) {
    cipher.encrypt_with_backend(Tiles { blocks, before });
}

/// The work of [`encrypt_all`], compiled for the cipher's registers.
struct Tiles<'a, I> {
    blocks: &'a mut [Block],
    before: I,
}

impl<I> BlockSizeUser for Tiles<'_, I> {
    type BlockSize = U16;
}

impl<I: Fn(usize, &mut [Block])> BlockCipherEncClosure for Tiles<'_, I> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for (t, tile) in self.blocks.chunks_mut(TILE).enumerate() {
            (self.before)(t * TILE, tile);
            encrypt(backend, tile);
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
            let (xs, before) = (noise(6, len), noise(7, len));
            // One that runs over its low half.
            let first = Block(9 << 64 | u128::from(u64::MAX - 40));
            for what in [
                Written::Permuted(&xs),
                Written::Counters(first),
                Written::Hashes(&xs, first),
                Written::Added(&xs, first),
            ] {
                let mut theirs = before.clone();
                write(&cipher, what, &mut theirs);
                for backend in each_backend(key) {
                    let mut ours = before.clone();
                    backend.write(what, &mut ours);
                    assert!(ours == theirs, "{seed}");
                }
            }
            let mut single: Vec<_> = xs.iter().map(|b| Array::from(b.to_bytes())).collect();
            cipher.encrypt_blocks(&mut single);
            for backend in each_backend(key) {
                let mut ours = xs.clone();
                backend.permute(&mut ours);
                assert!(ours.iter().map(|b| b.to_bytes()).eq(single.iter().map(|b| b.0)), "{seed}");
            }
        }
    }

    /// The cipher in the crate, and in all registers that this machine has.
    fn each_backend(key: Block) -> Vec<FixedKey> {
        let mut all = vec![FixedKey(Backend::Crate(Aes128Enc::new(&Array::from(key.to_bytes()))))];
        #[cfg(target_arch = "x86_64")]
        all.extend(
            crate::x86::Lanes::all()
                .into_iter()
                .map(|lanes| FixedKey(Backend::Wide(Box::new(x86::Wide::within(lanes, key))))),
        );
        all
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
