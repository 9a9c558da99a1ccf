//! Two blocks in each 256-bit register, chosen by two bits of a word.

use super::{portable_halves, portable_low, portable_slices, portable_value, portable_words};
use crate::Block;
use crate::x86::{load, store};
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi64, _mm256_set_epi64x, _mm256_set1_epi64x,
    _mm256_shuffle_epi32, _mm256_slli_epi32, _mm256_slli_epi64, _mm256_srai_epi32,
    _mm256_xor_si256,
};

/// As [`super::add_selected`].
#[target_feature(enable = "avx2")]
pub(super) fn slices(into: &mut [Block], bits: &[u64], from: &[Block]) {
    let len = into.len().min(from.len());
    let (words, rest) = into[..len].as_chunks_mut::<64>();
    let (whole, from_rest) = from[..len].as_chunks::<64>();
    for ((into, from), word) in words.iter_mut().zip(whole).zip(bits) {
        let (word, mut two) = first_two(*word);
        for (x, y) in into.as_chunks_mut::<2>().0.iter_mut().zip(from.as_chunks::<2>().0) {
            let chosen = _mm256_cmpeq_epi64(_mm256_and_si256(word, two), two);
            store(x, _mm256_xor_si256(load(x), _mm256_and_si256(load(y), chosen)));
            two = _mm256_slli_epi64::<2>(two);
        }
    }
    portable_slices(rest, bits.get(whole.len()..).unwrap_or_default(), from_rest);
}

/// As [`super::add_where`].
#[target_feature(enable = "avx2")]
pub(super) fn value(into: &mut [Block], bits: &[u64], value: Block) {
    let value_twice = load(&[value; 2]);
    let (words, rest) = into.as_chunks_mut::<64>();
    let whole = words.len();
    for (into, word) in words.iter_mut().zip(bits) {
        let (word, mut two) = first_two(*word);
        for x in into.as_chunks_mut::<2>().0 {
            let chosen = _mm256_cmpeq_epi64(_mm256_and_si256(word, two), two);
            store(x, _mm256_xor_si256(load(x), _mm256_and_si256(value_twice, chosen)));
            two = _mm256_slli_epi64::<2>(two);
        }
    }
    portable_value(rest, bits.get(whole..).unwrap_or_default(), value);
}

/// As [`super::add_where_low`].
#[target_feature(enable = "avx2")]
pub(super) fn low(into: &mut [Block], of: &[Block], value: Block) {
    let len = into.len().min(of.len());
    let value_twice = load(&[value; 2]);
    let (twos, rest) = into[..len].as_chunks_mut::<2>();
    let (of, of_rest) = of[..len].as_chunks::<2>();
    for (x, of) in twos.iter_mut().zip(of) {
        let lowest = _mm256_slli_epi32::<31>(_mm256_shuffle_epi32::<0>(load(of)));
        let chosen = _mm256_and_si256(value_twice, _mm256_srai_epi32::<31>(lowest));
        store(x, _mm256_xor_si256(load(x), chosen));
    }
    portable_low(rest, of_rest, value);
}

/// As [`super::add_selected_words`]: the portable code, whose elements do not depend on each other.
#[target_feature(enable = "avx2")]
pub(super) fn words(into: &mut [u64], bits: &[u64], from: &[[u8; 8]]) {
    portable_words(into, bits, from);
}

/// As [`super::add_low_halves`], likewise.
#[target_feature(enable = "avx2")]
pub(super) fn halves(into: &mut [u64], blocks: &[Block]) {
    portable_halves(into, blocks);
}

/// `word` everywhere, and in each half the bit that chooses it.
#[inline]
#[target_feature(enable = "avx2")]
fn first_two(word: u64) -> (__m256i, __m256i) {
    (_mm256_set1_epi64x(word as i64), _mm256_set_epi64x(2, 2, 1, 1))
}
