//! PCLMULQDQ and VPCLMULQDQ backends of the dot product.

use super::Product;
use crate::Block;
use crate::x86::load as load_two;
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_clmulepi64_si128, _mm_loadu_si128, _mm_setzero_si128,
    _mm_xor_si128, _mm256_broadcastsi128_si256, _mm256_clmulepi64_epi128, _mm256_setzero_si256,
    _mm256_shuffle_epi32, _mm256_xor_si256, _mm512_clmulepi64_epi128, _mm512_loadu_si512,
    _mm512_setzero_si512, _mm512_xor_si512,
};

/// The unreduced dot product by the widest available backend, `None` without any. Both slices have
/// the same length.
pub(super) fn dot(a: &[Block], b: &[Block]) -> Option<Product> {
    if a.len() >= 8 && has_wide() {
        // SAFETY: avx512f and vpclmulqdq, which `dot_wide` is compiled for, were detected.
        Some(unsafe { dot_wide(a, b) })
    } else if a.len() >= 4 && has_double() {
        // SAFETY: avx2 and vpclmulqdq, which `dot_double` is compiled for, were detected.
        Some(unsafe { dot_double(a, b) })
    } else if has_narrow() {
        // SAFETY: pclmulqdq, which `dot_narrow` is compiled for, was detected.
        Some(unsafe { dot_narrow(a, b) })
    } else {
        None
    }
}

fn has_wide() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("pclmulqdq")
}

fn has_double() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("pclmulqdq")
}

fn has_narrow() -> bool {
    is_x86_feature_detected!("pclmulqdq")
}

#[target_feature(enable = "pclmulqdq,sse2")]
fn dot_narrow(a: &[Block], b: &[Block]) -> Product {
    let zero = _mm_setzero_si128();
    let (mut low, mut middle, mut high) = (zero, zero, zero);
    for (a, b) in a.iter().zip(b) {
        // SAFETY: both pointers come from references to 16 bytes; the loads are unaligned ones.
        let (a, b) = unsafe { (load(a), load(b)) };
        low = _mm_xor_si128(low, _mm_clmulepi64_si128(a, b, 0x00));
        high = _mm_xor_si128(high, _mm_clmulepi64_si128(a, b, 0x11));
        middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(a, b, 0x01));
        middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(a, b, 0x10));
    }
    assemble(bits(low), bits(middle), bits(high))
}

#[target_feature(enable = "avx512f,vpclmulqdq,pclmulqdq,sse2")]
fn dot_wide(a: &[Block], b: &[Block]) -> Product {
    let zero = _mm512_setzero_si512();
    let (mut low, mut middle, mut middle2, mut high) = (zero, zero, zero, zero);
    let (a, a_tail) = a.as_chunks::<4>();
    let (b, b_tail) = b.as_chunks::<4>();
    for (a, b) in a.iter().zip(b) {
        // SAFETY: both pointers come from references to 64 bytes; the loads are unaligned ones.
        let (a, b) = unsafe { (load4(a), load4(b)) };
        low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128(a, b, 0x00));
        high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128(a, b, 0x11));
        middle = _mm512_xor_si512(middle, _mm512_clmulepi64_epi128(a, b, 0x01));
        middle2 = _mm512_xor_si512(middle2, _mm512_clmulepi64_epi128(a, b, 0x10));
    }
    let middle = _mm512_xor_si512(middle, middle2);
    let wide = assemble(bits4(low), bits4(middle), bits4(high));
    let tail = dot_narrow(a_tail, b_tail);
    Product { low: wide.low ^ tail.low, high: wide.high ^ tail.high }
}

/// The sums over columns, if the machine has wide products.
pub(super) fn dot_columns(
    weights: &[Block],
    squares: &[[Block; 128]],
    sums: &mut [Block; 128],
) -> bool {
    if !has_double() {
        return false;
    }
    // SAFETY: avx2 and vpclmulqdq, which `columns_double` is compiled for, were detected.
    unsafe { columns_double(weights, squares, sums) };
    true
}

/// Squares are read once, in order; the unreduced sums of all columns fit into the first-level cache.
#[target_feature(enable = "avx2,vpclmulqdq,pclmulqdq")]
fn columns_double(weights: &[Block], squares: &[[Block; 128]], sums: &mut [Block; 128]) {
    let mut parts = [[_mm256_setzero_si256(); 3]; 64];
    for (weight, square) in weights.iter().zip(squares) {
        // SAFETY: the reference covers the 16 bytes that are read, without alignment.
        let weight = _mm256_broadcastsi128_si256(unsafe { load(weight) });
        let folded = _mm256_xor_si256(weight, _mm256_shuffle_epi32(weight, 0x4e));
        let (pairs, _) = square.as_chunks::<2>();
        for (x, [low, middle, high]) in pairs.iter().zip(&mut parts) {
            let x = load_two(x);
            let both = _mm256_xor_si256(x, _mm256_shuffle_epi32(x, 0x4e));
            *low = _mm256_xor_si256(*low, _mm256_clmulepi64_epi128(weight, x, 0x00));
            *middle = _mm256_xor_si256(*middle, _mm256_clmulepi64_epi128(folded, both, 0x00));
            *high = _mm256_xor_si256(*high, _mm256_clmulepi64_epi128(weight, x, 0x11));
        }
    }
    let (pairs, _) = sums.as_chunks_mut::<2>();
    for (sums, parts) in pairs.iter_mut().zip(parts) {
        let [low, middle, high] = parts.map(|part| lanes2(part));
        for (lane, sum) in sums.iter_mut().enumerate() {
            let (low, high) = (low[lane], high[lane]);
            *sum ^= super::reduce(assemble(low, middle[lane] ^ low ^ high, high));
        }
    }
}

/// Karatsuba: three products instead of four, since the multiplier is the bottleneck here.
#[target_feature(enable = "avx2,vpclmulqdq,pclmulqdq")]
fn dot_double(a: &[Block], b: &[Block]) -> Product {
    let zero = _mm256_setzero_si256();
    let (mut low, mut middle, mut high) = (zero, zero, zero);
    let (a, a_tail) = a.as_chunks::<2>();
    let (b, b_tail) = b.as_chunks::<2>();
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (load_two(a), load_two(b));
        low = _mm256_xor_si256(low, _mm256_clmulepi64_epi128(a, b, 0x00));
        high = _mm256_xor_si256(high, _mm256_clmulepi64_epi128(a, b, 0x11));
        let a = _mm256_xor_si256(a, _mm256_shuffle_epi32(a, 0x4e));
        let b = _mm256_xor_si256(b, _mm256_shuffle_epi32(b, 0x4e));
        middle = _mm256_xor_si256(middle, _mm256_clmulepi64_epi128(a, b, 0x00));
    }
    let (low, high) = (bits2(low), bits2(high));
    let double = assemble(low, bits2(middle) ^ low ^ high, high);
    let tail = dot_narrow(a_tail, b_tail);
    Product { low: double.low ^ tail.low, high: double.high ^ tail.high }
}

fn assemble(low: u128, middle: u128, high: u128) -> Product {
    Product { low: low ^ middle << 64, high: high ^ middle >> 64 }
}

/// # Safety
/// SSE2 must be available, which it is on every x86-64.
#[inline(always)]
unsafe fn load(block: &Block) -> __m128i {
    // SAFETY: the reference covers the 16 bytes that are read, without alignment.
    unsafe { _mm_loadu_si128(std::ptr::from_ref(block).cast()) }
}

/// # Safety
/// AVX-512F must be available.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load4(blocks: &[Block; 4]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read, without alignment.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(blocks).cast()) }
}

fn bits(register: __m128i) -> u128 {
    // SAFETY: both types are 16 bytes of plain bits.
    unsafe { std::mem::transmute::<__m128i, u128>(register) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn bits2(register: __m256i) -> u128 {
    let [low, high] = lanes2(register);
    low ^ high
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes2(register: __m256i) -> [u128; 2] {
    // SAFETY: both types are 32 bytes of plain bits.
    unsafe { std::mem::transmute::<__m256i, [u128; 2]>(register) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bits4(register: __m512i) -> u128 {
    // SAFETY: both types are 64 bytes of plain bits.
    let lanes = unsafe { std::mem::transmute::<__m512i, [u128; 4]>(register) };
    lanes.iter().fold(0, |sum, lane| sum ^ lane)
}

/// Calls `check` with the result of every backend this machine has.
#[cfg(test)]
pub(super) fn each_backend(a: &[Block], b: &[Block], check: impl Fn(Product)) {
    if has_narrow() {
        // SAFETY: pclmulqdq was detected.
        check(unsafe { dot_narrow(a, b) });
    }
    if has_double() {
        // SAFETY: avx2, vpclmulqdq and pclmulqdq were detected.
        check(unsafe { dot_double(a, b) });
    }
    if has_wide() {
        // SAFETY: avx512f, vpclmulqdq and pclmulqdq were detected.
        check(unsafe { dot_wide(a, b) });
    }
}
