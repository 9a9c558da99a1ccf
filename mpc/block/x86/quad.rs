//! Four blocks in a register.

use super::{Double, Width, load_one};
use crate::Block;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_aesenc_epi128, _mm512_aesenclast_epi128,
    _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128, _mm512_loadu_si512, _mm512_maskz_mov_epi64,
    _mm512_set_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_test_epi64_mask, _mm512_xor_si512,
};

/// Four blocks in a register of 512 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quad(());

impl Quad {
    /// If the machine has these registers.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f");
        Double::detect().filter(|_| found).map(|_| Self(()))
    }
}

// SAFETY of all blocks below: a value of the width exists only where the features of the instructions
// were detected; pointers come from references that cover what is read or written, and none of the
// loads and stores needs alignment.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one argument for all of them, above")]
impl Width for Quad {
    type Blocks = [Block; 4];
    type Register = __m512i;

    #[inline(always)]
    fn zero(self) -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn load(self, blocks: &[Block; 4]) -> __m512i {
        unsafe { _mm512_loadu_si512(blocks.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, blocks: &mut [Block; 4], x: __m512i) {
        unsafe { _mm512_storeu_si512(blocks.as_mut_ptr().cast(), x) }
    }

    #[inline(always)]
    fn repeat(self, block: &Block) -> __m512i {
        unsafe { _mm512_broadcast_i32x4(load_one(block)) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        unsafe { _mm512_ternarylogic_epi64::<0x96>(a, b, c) }
    }

    #[inline(always)]
    fn xor_and(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        unsafe { _mm512_ternarylogic_epi64::<0x78>(a, b, c) }
    }

    #[inline(always)]
    fn turn(self, registers: &mut [__m512i; 4]) {
        let [a, b, c, d] = *registers;
        unsafe {
            // Blocks 0 and 1, or 2 and 3, of two registers.
            let (ab, ab_upper) =
                (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xee>(a, b));
            let (cd, cd_upper) =
                (_mm512_shuffle_i64x2::<0x44>(c, d), _mm512_shuffle_i64x2::<0xee>(c, d));
            // Even ones, or odd ones.
            *registers = [
                _mm512_shuffle_i64x2::<0x88>(ab, cd),
                _mm512_shuffle_i64x2::<0xdd>(ab, cd),
                _mm512_shuffle_i64x2::<0x88>(ab_upper, cd_upper),
                _mm512_shuffle_i64x2::<0xdd>(ab_upper, cd_upper),
            ];
        }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn round(self, x: __m512i, key: __m512i) -> __m512i {
        unsafe { _mm512_aesenc_epi128(x, key) }
    }

    #[inline(always)]
    fn last_round(self, x: __m512i, key: __m512i) -> __m512i {
        unsafe { _mm512_aesenclast_epi128(x, key) }
    }

    /// Four products: Karatsuba's shuffles would share the multiplier's port.
    #[inline(always)]
    fn multiply_add(self, [low, middle, high]: &mut [__m512i; 3], a: __m512i, b: __m512i) {
        unsafe {
            *low = _mm512_xor_si512(*low, _mm512_clmulepi64_epi128::<0x00>(a, b));
            *high = _mm512_xor_si512(*high, _mm512_clmulepi64_epi128::<0x11>(a, b));
            let one = _mm512_clmulepi64_epi128::<0x01>(a, b);
            *middle = self.xor3(*middle, one, _mm512_clmulepi64_epi128::<0x10>(a, b));
        }
    }

    #[inline(always)]
    fn products(self, sums: [__m512i; 3]) -> [__m512i; 3] {
        sums
    }

    #[inline(always)]
    fn choose(self, x: __m512i, bits: u64) -> __m512i {
        unsafe {
            let each = _mm512_set_epi64(8, 8, 4, 4, 2, 2, 1, 1);
            let chosen = _mm512_test_epi64_mask(_mm512_set1_epi64(bits as i64), each);
            _mm512_maskz_mov_epi64(chosen, x)
        }
    }
}
