//! Two blocks in a register.

use super::{Width, load, load_one, store};
use crate::Block;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_clmulepi64_epi128, _mm256_cmpeq_epi64,
    _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_shuffle_epi32, _mm256_xor_si256,
};

/// Two blocks in a register of 256 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Double(());

impl Double {
    /// If the machine has these registers.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq");
        found.then_some(Self(()))
    }
}

// SAFETY of all blocks below: a value of the width exists only where the features of the instructions
// were detected; pointers come from references that cover what is read or written, and none of the
// loads and stores needs alignment.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one argument for all of them, above")]
impl Width for Double {
    type Blocks = [Block; 2];
    type Register = __m256i;

    #[inline(always)]
    fn zero(self) -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load(self, blocks: &[Block; 2]) -> __m256i {
        unsafe { load(blocks) }
    }

    #[inline(always)]
    fn store(self, blocks: &mut [Block; 2], x: __m256i) {
        unsafe { store(blocks, x) }
    }

    #[inline(always)]
    fn repeat(self, block: &Block) -> __m256i {
        unsafe { _mm256_broadcastsi128_si256(load_one(block)) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        unsafe { _mm256_xor_si256(a, _mm256_xor_si256(b, c)) }
    }

    #[inline(always)]
    fn xor_and(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        unsafe { _mm256_xor_si256(a, _mm256_and_si256(b, c)) }
    }

    #[inline(always)]
    fn turn(self, registers: &mut [__m256i; 4]) {
        let [a, b, ..] = *registers;
        unsafe {
            registers[0] = _mm256_permute2x128_si256::<0x20>(a, b);
            registers[1] = _mm256_permute2x128_si256::<0x31>(a, b);
        }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    fn round(self, x: __m256i, key: __m256i) -> __m256i {
        unsafe { _mm256_aesenc_epi128(x, key) }
    }

    #[inline(always)]
    fn last_round(self, x: __m256i, key: __m256i) -> __m256i {
        unsafe { _mm256_aesenclast_epi128(x, key) }
    }

    /// Karatsuba: three products, since the multiplier is the bottleneck of processors without 512
    /// bits.
    #[inline(always)]
    fn multiply_add(self, [low, middle, high]: &mut [__m256i; 3], a: __m256i, b: __m256i) {
        unsafe {
            *low = _mm256_xor_si256(*low, _mm256_clmulepi64_epi128::<0x00>(a, b));
            *high = _mm256_xor_si256(*high, _mm256_clmulepi64_epi128::<0x11>(a, b));
            let a = _mm256_xor_si256(a, _mm256_shuffle_epi32::<0x4e>(a));
            let b = _mm256_xor_si256(b, _mm256_shuffle_epi32::<0x4e>(b));
            *middle = _mm256_xor_si256(*middle, _mm256_clmulepi64_epi128::<0x00>(a, b));
        }
    }

    #[inline(always)]
    fn products(self, [low, middle, high]: [__m256i; 3]) -> [__m256i; 3] {
        [low, self.xor3(low, middle, high), high]
    }

    #[inline(always)]
    fn choose(self, x: __m256i, bits: u64) -> __m256i {
        unsafe {
            let (bits, each) = (_mm256_set1_epi64x(bits as i64), _mm256_set_epi64x(2, 2, 1, 1));
            _mm256_and_si256(x, _mm256_cmpeq_epi64(_mm256_and_si256(bits, each), each))
        }
    }
}
