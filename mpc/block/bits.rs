//! Blocks chosen by packed bits, and the low bits of blocks. No branch depends on a bit.

use crate::Block;

#[cfg(target_arch = "x86_64")]
mod x86;

/// into_r ⊕= b_r · from_r, bit r taken from `bits` packed little-endian. Surplus elements of a longer
/// slice are left alone.
pub fn add_selected(into: &mut [Block], bits: &[u64], from: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `slices` is compiled for, was detected.
        return unsafe { x86::slices(into, bits, from) };
    }
    portable_slices(into, bits, from);
}

/// into_r ⊕= b_r · `value`. Bits and lengths as in [`add_selected`].
pub fn add_where(into: &mut [Block], bits: &[u64], value: Block) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `value` is compiled for, was detected.
        return unsafe { x86::value(into, bits, value) };
    }
    portable_value(into, bits, value);
}

/// into_r ⊕= bit0(of_r) · `value`. Surplus elements of a longer slice are left alone.
pub fn add_where_low(into: &mut [Block], of: &[Block], value: Block) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `low` is compiled for, was detected.
        return unsafe { x86::low(into, of, value) };
    }
    portable_low(into, of, value);
}

/// into_r ⊕= b_r · from_r for little-endian words. Bits and lengths as in [`add_selected`].
pub fn add_selected_words(into: &mut [u64], bits: &[u64], from: &[[u8; 8]]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `words` is compiled for, was detected.
        return unsafe { x86::words(into, bits, from) };
    }
    portable_words(into, bits, from);
}

/// into_r ⊕= T(x_r), the low half of x_r. Surplus elements of a longer slice are left alone.
pub fn add_low_halves(into: &mut [u64], blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `halves` is compiled for, was detected.
        return unsafe { x86::halves(into, blocks) };
    }
    portable_halves(into, blocks);
}

/// Bit 0 of every block, packed little-endian.
pub fn low_bits(blocks: &[Block]) -> Vec<u64> {
    let pack = |word, (t, block): (usize, &Block)| word | (block.0 as u64 & 1) << t;
    blocks.chunks(64).map(|blocks| blocks.iter().enumerate().fold(0, pack)).collect()
}

#[inline(always)]
fn portable_slices(into: &mut [Block], bits: &[u64], from: &[Block]) {
    for ((into, from), word) in into.chunks_mut(64).zip(from.chunks(64)).zip(bits) {
        for (t, (x, y)) in into.iter_mut().zip(from).enumerate() {
            *x ^= *y & Block::mask(word >> t & 1 == 1);
        }
    }
}

#[inline(always)]
fn portable_value(into: &mut [Block], bits: &[u64], value: Block) {
    for (into, word) in into.chunks_mut(64).zip(bits) {
        for (t, x) in into.iter_mut().enumerate() {
            *x ^= value & Block::mask(word >> t & 1 == 1);
        }
    }
}

#[inline(always)]
fn portable_low(into: &mut [Block], of: &[Block], value: Block) {
    into.iter_mut().zip(of).for_each(|(x, of)| *x ^= value.times(of.bit0()));
}

#[inline(always)]
fn portable_words(into: &mut [u64], bits: &[u64], from: &[[u8; 8]]) {
    for ((into, from), word) in into.chunks_mut(64).zip(from.chunks(64)).zip(bits) {
        for (t, (x, y)) in into.iter_mut().zip(from).enumerate() {
            *x ^= u64::from_le_bytes(*y) & 0u64.wrapping_sub(word >> t & 1);
        }
    }
}

#[inline(always)]
fn portable_halves(into: &mut [u64], blocks: &[Block]) {
    into.iter_mut().zip(blocks).for_each(|(x, block)| *x ^= block.0 as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    #[test]
    fn bits_choose_what_is_added() {
        for len in LADDER {
            let (before, from) = (noise(30, len), noise(31, len));
            let words: Vec<u64> = noise(32, len.div_ceil(64)).iter().map(|b| b.0 as u64).collect();
            let chosen = |r: usize, x: Block| x.times(words[r / 64] >> (r % 64) & 1 == 1);
            let (mut slices, mut portable) = (before.clone(), before.clone());
            add_selected(&mut slices, &words, &from);
            portable_slices(&mut portable, &words, &from);
            assert!(slices == portable, "{len}");
            assert!((0..len).all(|r| slices[r] == before[r] ^ chosen(r, from[r])), "{len}");
            let (mut value, mut portable) = (before.clone(), before.clone());
            add_where(&mut value, &words, Block(77));
            portable_value(&mut portable, &words, Block(77));
            assert!(value == portable, "{len}");
            assert!((0..len).all(|r| value[r] == before[r] ^ chosen(r, Block(77))), "{len}");
            let (mut by_low, mut portable) = (from.clone(), from.clone());
            add_where_low(&mut by_low, &before, Block(77));
            portable_low(&mut portable, &before, Block(77));
            assert!(by_low == portable, "{len}");
            let chosen = |r: usize| Block(77).times(before[r].bit0());
            assert!((0..len).all(|r| by_low[r] == from[r] ^ chosen(r)), "{len}");
            let low_half = |block: &Block| block.0 as u64;
            let halves: Vec<_> = from.iter().map(low_half).collect();
            let bytes: Vec<_> = halves.iter().map(|half| half.to_le_bytes()).collect();
            let mut chosen_words = vec![7; len];
            add_selected_words(&mut chosen_words, &words, &bytes);
            let chosen = |r: usize| halves[r] * (words[r / 64] >> (r % 64) & 1);
            assert!((0..len).all(|r| chosen_words[r] == 7 ^ chosen(r)), "{len}");
            let mut all_words = vec![7; len];
            add_low_halves(&mut all_words, &from);
            assert!((0..len).all(|r| all_words[r] == 7 ^ halves[r]), "{len}");
            let low = low_bits(&before);
            assert!((0..len).all(|r| before[r].bit0() == (low[r / 64] >> (r % 64) & 1 == 1)));
            assert_eq!(low.len(), len.div_ceil(64));
        }
    }
}
