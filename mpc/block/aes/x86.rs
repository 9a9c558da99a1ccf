//! AES-128 in 256-bit registers, two blocks in each, for processors with VAES but without AVX-512:
//! the `aes` crate takes VAES only where the system saves 512-bit registers too, and single blocks in
//! each register otherwise, at half the speed. Tests compare this twin with the crate.

use super::Written;
use crate::Block;
use crate::x86::{load, store};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_aeskeygenassist_si128, _mm_loadu_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_storeu_si128, _mm_xor_si128, _mm256_add_epi64, _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128, _mm256_set_epi64x, _mm256_setzero_si256, _mm256_xor_si256,
};
use std::hint::black_box;
use zeroize::Zeroize;

/// Blocks in flight: eight registers hide the latency of a round.
const BATCH: usize = 16;
const ZEROS: [Block; BATCH] = [Block::ZERO; BATCH];
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

    /// As [`super::FixedKey::permute`].
    pub(super) fn permute(&self, blocks: &mut [Block]) {
        // SAFETY: whoever has a `Wide` has vaes and avx2, which `permute` is compiled for.
        unsafe { permute(self, blocks) }
    }

    /// As [`super::FixedKey::write`].
    #[inline]
    pub(super) fn write(&self, what: Written<'_>, out: &mut [Block]) {
        // SAFETY: whoever has a `Wide` has vaes and avx2, which the four are compiled for.
        unsafe {
            match what {
                Written::Permuted(xs) => write::<false, false>(self, Some(xs), None, out),
                Written::Counters(first) => write::<false, false>(self, None, Some(first), out),
                Written::Hashes(xs, first) => {
                    write::<true, false>(self, Some(xs), Some(first), out)
                }
                Written::Added(xs, first) => write::<true, true>(self, Some(xs), Some(first), out),
            }
        }
    }
}

/// Number of the last round, hidden from the compiler: it would unroll the rounds and run one register
/// after the other through all of them, which leaves the cipher's units idle.
#[inline(always)]
pub(crate) fn last_round() -> usize {
    black_box(ROUND_KEYS - 1)
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
fn permute(keys: &Wide, blocks: &mut [Block]) {
    let (batches, rest) = blocks.as_chunks_mut::<BATCH>();
    for batch in batches {
        let mut state = State::load(batch);
        state.encrypt(keys);
        state.store(batch);
    }
    if !rest.is_empty() {
        let mut padded = ZEROS;
        padded[..rest.len()].copy_from_slice(rest);
        let mut state = State::load(&padded);
        state.encrypt(keys);
        state.store(&mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

/// out_r = π(x_r ⊕ c_r), with c_r = `first` + r in its low 64 bits; `FORWARD` adds x_r, and `ADD` what
/// was there. Without `xs`, or without `first`, these are zero.
#[target_feature(enable = "vaes,avx2")]
fn write<const FORWARD: bool, const ADD: bool>(
    keys: &Wide,
    xs: Option<&[Block]>,
    first: Option<Block>,
    out: &mut [Block],
) {
    let (mut counters, step) = match first {
        Some(first) => (State::count(first), BATCH as i64),
        None => (State::zero(), 0),
    };
    for (batch, out) in out.chunks_mut(BATCH).enumerate() {
        let xs = match xs {
            Some(xs) => &xs[batch * BATCH..][..out.len()],
            None => &[],
        };
        match (out.as_mut_array(), xs.as_array()) {
            (Some(out), Some(xs)) => write_batch::<FORWARD, ADD>(keys, xs, &counters, out),
            (Some(out), None) => write_batch::<false, ADD>(keys, &ZEROS, &counters, out),
            (None, _) => {
                let (mut padded, mut padded_xs) = (ZEROS, ZEROS);
                padded[..out.len()].copy_from_slice(out);
                padded_xs[..xs.len()].copy_from_slice(xs);
                write_batch::<FORWARD, ADD>(keys, &padded_xs, &counters, &mut padded);
                out.copy_from_slice(&padded[..out.len()]);
            }
        }
        counters.advance(step);
    }
}

#[inline]
#[target_feature(enable = "vaes,avx2")]
fn write_batch<const FORWARD: bool, const ADD: bool>(
    keys: &Wide,
    xs: &[Block; BATCH],
    counters: &State,
    out: &mut [Block; BATCH],
) {
    let mut state = State::load(xs);
    state.add(counters);
    state.encrypt(keys);
    if FORWARD {
        state.add(&State::load(xs));
    }
    if ADD {
        state.add(&State::load(out));
    }
    state.store(out);
}

/// A batch of blocks.
#[derive(Clone, Copy)]
struct State([__m256i; BATCH / 2]);

// Nothing here may pass a closure to code that is compiled for other registers.
impl State {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self([_mm256_setzero_si256(); BATCH / 2])
    }

    /// `first`, `first` + 1, … in the low 64 bits.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn count(first: Block) -> Self {
        let (low, high) = (first.0 as i64, (first.0 >> 64) as i64);
        let mut two = _mm256_set_epi64x(high, low.wrapping_add(1), high, low);
        let mut state = Self::zero();
        for x in &mut state.0 {
            *x = two;
            two = _mm256_add_epi64(two, _mm256_set_epi64x(0, 2, 0, 2));
        }
        state
    }

    /// Counters `step` later.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn advance(&mut self, step: i64) {
        for x in &mut self.0 {
            *x = _mm256_add_epi64(*x, _mm256_set_epi64x(0, step, 0, step));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(blocks: &[Block; BATCH]) -> Self {
        let mut state = Self::zero();
        for (x, two) in state.0.iter_mut().zip(blocks.as_chunks::<2>().0) {
            *x = load(two);
        }
        state
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(&self, blocks: &mut [Block; BATCH]) {
        for (two, x) in blocks.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            store(two, x);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, other: &Self) {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = _mm256_xor_si256(*x, y);
        }
    }

    #[inline]
    #[target_feature(enable = "vaes,avx2")]
    fn encrypt(&mut self, keys: &Wide) {
        let key = keys.round_key(0);
        for x in &mut self.0 {
            *x = _mm256_xor_si256(*x, key);
        }
        for round in 1..last_round() {
            let key = keys.round_key(round);
            for x in &mut self.0 {
                *x = _mm256_aesenc_epi128(*x, key);
            }
        }
        let key = keys.round_key(ROUND_KEYS - 1);
        for x in &mut self.0 {
            *x = _mm256_aesenclast_epi128(*x, key);
        }
    }
}
