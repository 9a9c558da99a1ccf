//! Two blocks and a 256-bit register.

use crate::Block;
use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_storeu_si256};

/// Both blocks of `two`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load(two: &[Block; 2]) -> __m256i {
    // SAFETY: the pointer comes from a reference to 32 bytes; the load is an unaligned one.
    unsafe { _mm256_loadu_si256(two.as_ptr().cast()) }
}

/// Writes both blocks of `two`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store(two: &mut [Block; 2], x: __m256i) {
    // SAFETY: the pointer comes from a reference to 32 bytes; the store is an unaligned one.
    unsafe { _mm256_storeu_si256(two.as_mut_ptr().cast(), x) };
}
