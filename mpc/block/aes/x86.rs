//! AES-128 in 256-bit registers, two blocks in each, for processors with VAES but without AVX-512:
//! the `aes` crate takes VAES only where the system saves 512-bit registers too, and single blocks in
//! each register otherwise, at half the speed. Tests compare this twin with the crate.

use crate::Block;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_aeskeygenassist_si128, _mm_loadu_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_storeu_si128, _mm_xor_si128, _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128, _mm256_loadu_si256, _mm256_setzero_si256, _mm256_storeu_si256,
    _mm256_xor_si256,
};
use zeroize::Zeroize;

/// Blocks in flight: eight registers hide the latency of a round.
const BATCH: usize = 16;
/// Round keys of AES-128.
pub(crate) const ROUND_KEYS: usize = 11;

/// The round keys, each twice for the two halves of a register; zeroised on drop.
pub(crate) struct Wide([[Block; 2]; ROUND_KEYS]);

impl Drop for Wide {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Wide {
    /// Whether the machine has all that this backend uses.
    pub(crate) fn supported() -> bool {
        is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("aes")
    }

    /// Whether this is the machine's fastest backend: the `aes` crate takes wider registers.
    pub(super) fn fastest() -> bool {
        Self::supported() && !is_x86_feature_detected!("avx512f")
    }

    /// Expands `key`, where supported.
    pub(crate) fn new(key: Block) -> Option<Self> {
        // SAFETY: aes and sse2 (part of avx2), which `expand` is compiled for, were detected.
        Self::supported().then(|| unsafe { expand(key) })
    }

    /// This round key, in both halves.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn round_key(&self, round: usize) -> __m256i {
        load(&self.0[round])
    }

    /// As [`super::FixedKey::each_tile`].
    #[inline]
    pub(super) fn each_tile(
        &self,
        blocks: &mut [Block],
        before: impl Fn(usize, &mut [Block]),
        after: impl FnMut(usize, &mut [Block]),
    ) {
        // SAFETY: vaes and avx2 were detected when `self` was made.
        unsafe { each_tile(self, blocks, before, after) }
    }
}

#[target_feature(enable = "aes,sse2")]
fn expand(key: Block) -> Wide {
    let mut keys = [[key; 2]; ROUND_KEYS];
    macro_rules! round {
        ($r:literal, $constant:literal) => {{
            // SAFETY: the pointer comes from a reference to 16 bytes; the load is an unaligned one.
            let last = unsafe { _mm_loadu_si128((&raw const keys[$r - 1][0]).cast()) };
            let assist = _mm_aeskeygenassist_si128::<$constant>(last);
            let next = next_key(last, _mm_shuffle_epi32::<0xff>(assist));
            for half in &mut keys[$r] {
                // SAFETY: as above, for a store.
                unsafe { _mm_storeu_si128((&raw mut *half).cast(), next) };
            }
        }};
    }
    round!(1, 0x01);
    round!(2, 0x02);
    round!(3, 0x04);
    round!(4, 0x08);
    round!(5, 0x10);
    round!(6, 0x20);
    round!(7, 0x40);
    round!(8, 0x80);
    round!(9, 0x1b);
    round!(10, 0x36);
    Wide(keys)
}

/// Each word of the next round key: the sum of all words up to it, and of `word` (FIPS 197, 5.2).
#[target_feature(enable = "sse2")]
fn next_key(last: __m128i, word: __m128i) -> __m128i {
    let sums = _mm_xor_si128(last, _mm_slli_si128::<4>(last));
    let sums = _mm_xor_si128(sums, _mm_slli_si128::<8>(sums));
    _mm_xor_si128(sums, word)
}

#[target_feature(enable = "vaes,avx2")]
fn each_tile(
    keys: &Wide,
    blocks: &mut [Block],
    before: impl Fn(usize, &mut [Block]),
    mut after: impl FnMut(usize, &mut [Block]),
) {
    for (t, tile) in blocks.chunks_mut(super::TILE).enumerate() {
        before(t * super::TILE, tile);
        let (batches, rest) = tile.as_chunks_mut::<BATCH>();
        batches.iter_mut().for_each(|batch| encrypt(keys, batch));
        let (pairs, last) = rest.as_chunks_mut::<2>();
        if pairs.len() > 2 {
            let mut padded = [Block::ZERO; BATCH];
            padded[..rest.len()].copy_from_slice(rest);
            encrypt(keys, &mut padded);
            rest.copy_from_slice(&padded[..rest.len()]);
        } else {
            pairs.iter_mut().for_each(|pair| encrypt(keys, pair));
            if let [last] = last {
                let mut padded = [*last; 2];
                encrypt(keys, &mut padded);
                *last = padded[0];
            }
        }
        after(t * super::TILE, tile);
    }
}

/// Encrypts `N` blocks, at most [`BATCH`] and an even number, in place.
#[inline]
#[target_feature(enable = "vaes,avx2")]
fn encrypt<const N: usize>(keys: &Wide, blocks: &mut [Block; N]) {
    let mut state = [_mm256_setzero_si256(); BATCH / 2];
    let (pairs, _) = blocks.as_chunks_mut::<2>();
    for (state, pair) in state.iter_mut().zip(&*pairs) {
        *state = _mm256_xor_si256(load(pair), keys.round_key(0));
    }
    for r in 1..ROUND_KEYS - 1 {
        let key = keys.round_key(r);
        for state in &mut state[..N / 2] {
            *state = _mm256_aesenc_epi128(*state, key);
        }
    }
    for (state, pair) in state.iter().zip(pairs) {
        let state = _mm256_aesenclast_epi128(*state, keys.round_key(ROUND_KEYS - 1));
        // SAFETY: the pointer comes from a reference to 32 bytes; the store is an unaligned one.
        unsafe { _mm256_storeu_si256(pair.as_mut_ptr().cast(), state) };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(pair: &[Block; 2]) -> __m256i {
    // SAFETY: the pointer comes from a reference to 32 bytes; the load is an unaligned one.
    unsafe { _mm256_loadu_si256(pair.as_ptr().cast()) }
}
