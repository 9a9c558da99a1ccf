//! AVX-512 (GFNI) and AVX2 backends of the 128×128 transposition.

use super::Square;
use crate::Block;
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_and_si256, _mm256_loadu2_m128i, _mm256_permute4x64_epi64,
    _mm256_set1_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_unpackhi_epi8,
    _mm256_unpacklo_epi8, _mm256_xor_si256, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512,
    _mm512_permutex2var_epi8, _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_storeu_si512,
};

/// Transposes in place if the machine can; false leaves `square` alone.
pub(super) fn transpose_square(square: &mut Square) -> bool {
    if has_gfni() {
        // SAFETY: avx512f, avx512vbmi and gfni, which `gfni` is compiled for, were detected.
        unsafe { gfni(square) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `avx2` is compiled for, was detected.
        unsafe { avx2(square) };
    } else {
        return false;
    }
    true
}

fn has_gfni() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("gfni")
}

/// Within each group of 8 rows, bits trade places at distances 4, 2 and 1; after that, byte b of row
/// 8k + t is byte k of row 8b + t of the result, so that bytes are transposed as 8 matrices of 16×16.
/// A register holds row t of the groups k and k + 8.
#[target_feature(enable = "avx2")]
fn avx2(square: &mut Square) {
    let zero = _mm256_set1_epi8(0);
    // bytes[t][k]: row t of the groups k and k + 8.
    let mut bytes = [[zero; 8]; 8];
    for k in 0..8 {
        let mut rows = [zero; 8];
        for (t, row) in rows.iter_mut().enumerate() {
            *row = load_rows(&square[8 * k + t], &square[8 * (k + 8) + t]);
        }
        swap_bits::<4>(&mut rows, _mm256_set1_epi8(0x0f));
        swap_bits::<2>(&mut rows, _mm256_set1_epi8(0x33));
        swap_bits::<1>(&mut rows, _mm256_set1_epi8(0x55));
        for (bytes, row) in bytes.iter_mut().zip(rows) {
            bytes[k] = row;
        }
    }
    for (t, bytes) in bytes.iter_mut().enumerate() {
        transpose_bytes(bytes);
        for (b, register) in bytes.iter().enumerate() {
            store_rows(square, 16 * b + t, 16 * b + 8 + t, *register);
        }
    }
}

/// Exchanges, for rows a and b that are DISTANCE apart in pairs, the bits of a that `keep` shifted up
/// by DISTANCE selects with the bits of b that `keep` selects.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_bits<const DISTANCE: i32>(rows: &mut [__m256i; 8], keep: __m256i) {
    let distance = DISTANCE as usize;
    for a in 0..8 {
        if a & distance == 0 {
            let b = a + distance;
            let shifted = _mm256_srli_epi16::<DISTANCE>(rows[a]);
            let swap = _mm256_and_si256(_mm256_xor_si256(shifted, rows[b]), keep);
            rows[b] = _mm256_xor_si256(rows[b], swap);
            rows[a] = _mm256_xor_si256(rows[a], _mm256_slli_epi16::<DISTANCE>(swap));
        }
    }
}

/// With byte b of row k in register k mod 8, half k / 8: byte k of row b ends in register b / 2, half
/// b mod 2. Interleaving register k with register k + 4 rotates the index bits of (register, byte) by
/// one each; after three rounds the halves and the upper byte bit change places.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_bytes(registers: &mut [__m256i; 8]) {
    for _ in 0..3 {
        let before = *registers;
        for k in 0..4 {
            registers[2 * k] = _mm256_unpacklo_epi8(before[k], before[k + 4]);
            registers[2 * k + 1] = _mm256_unpackhi_epi8(before[k], before[k + 4]);
        }
    }
    for register in registers {
        *register = _mm256_permute4x64_epi64::<0b11_01_10_00>(*register);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_rows(low: &Block, high: &Block) -> __m256i {
    // SAFETY: both references cover the 16 bytes that are read, without alignment.
    unsafe { _mm256_loadu2_m128i(std::ptr::from_ref(high).cast(), std::ptr::from_ref(low).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_rows(square: &mut Square, low: usize, high: usize, register: __m256i) {
    // SAFETY: both types are 32 bytes of plain bits.
    let halves = unsafe { std::mem::transmute::<__m256i, [Block; 2]>(register) };
    [square[low], square[high]] = halves;
}

/// Byte s of 8-byte lane b ← byte b of row 7 − s: gathers the 8×8-bit tiles of 8 rows of 16 bytes,
/// upside down as [`transpose_tiles`] wants them. Indices 0..64 are rows 0..4, 64..128 rows 4..8.
/// `lane` is the first lane of the result.
const fn gather_tiles(lane: usize) -> [u8; 64] {
    let mut index = [0; 64];
    let mut k = 0;
    while k < 64 {
        index[k] = ((7 - k % 8) * 16 + lane + k / 8) as u8;
        k += 1;
    }
    index
}

/// Byte R of 16-byte row s ← byte s of lane R: spreads 16 tiles over 8 rows. Indices 0..64 are
/// lanes 0..8, 64..128 lanes 8..16. `row` is the first row of the result.
const fn spread_tiles(row: usize) -> [u8; 64] {
    let mut index = [0; 64];
    let mut k = 0;
    while k < 64 {
        index[k] = ((k % 16) * 8 + row + k / 16) as u8;
        k += 1;
    }
    index
}

static GATHER: [[u8; 64]; 2] = [gather_tiles(0), gather_tiles(8)];
static SPREAD: [[u8; 64]; 2] = [spread_tiles(0), spread_tiles(4)];

/// Tiles of 8×8 bits are gathered into 64-bit lanes, transposed there by one affine instruction,
/// moved to their mirrored place as lanes, and spread into rows again.
#[target_feature(enable = "avx512f,avx512vbmi,gfni")]
fn gfni(square: &mut Square) {
    let gather = [load(&GATHER[0]), load(&GATHER[1])];
    let spread = [load(&SPREAD[0]), load(&SPREAD[1])];
    let bytes: &mut [u8; 2048] = bytemuck::cast_mut(square);
    let (quarters, _) = bytes.as_chunks_mut::<64>();
    // tiles[h][R]: lane b is tile (row group R, byte column 8h + b).
    let mut tiles = [[_mm512_set1_epi64(0); 16]; 2];
    for (group, rows) in quarters.chunks_exact(2).enumerate() {
        let (upper, lower) = (load(&rows[0]), load(&rows[1]));
        for (h, index) in gather.iter().enumerate() {
            let lanes = _mm512_permutex2var_epi8(upper, *index, lower);
            tiles[h][group] = transpose_tiles(lanes);
        }
    }
    for (h, columns) in tiles.iter_mut().enumerate() {
        let (left, right) = columns.split_at_mut(8);
        transpose_lanes(left);
        transpose_lanes(right);
        for b in 0..8 {
            for (half, index) in spread.iter().enumerate() {
                let rows = _mm512_permutex2var_epi8(left[b], *index, right[b]);
                store(&mut quarters[(8 * h + b) * 2 + half], rows);
            }
        }
    }
}

/// Transposes each 64-bit lane as an 8×8 matrix whose byte s is row 7 − s: the affine map with the
/// tile as its matrix, which the instruction numbers from the last byte, applied to unit vectors.
#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn transpose_tiles(tiles: __m512i) -> __m512i {
    let units = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    _mm512_gf2p8affine_epi64_epi8::<0>(units, tiles)
}

/// Transposes 8 registers of 8 lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_lanes(registers: &mut [__m512i]) {
    let mut distance = 4;
    while distance > 0 {
        let keep: [u64; 8] = std::array::from_fn(|k| {
            if k & distance == 0 { k as u64 } else { 8 + (k - distance) as u64 }
        });
        let move_up: [u64; 8] = std::array::from_fn(|k| {
            if k & distance == 0 { (k + distance) as u64 } else { 8 + k as u64 }
        });
        let (keep, move_up) = (load(bytemuck::cast_ref(&keep)), load(bytemuck::cast_ref(&move_up)));
        for upper in (0..8).filter(|k| k & distance == 0) {
            let (a, b) = (registers[upper], registers[upper + distance]);
            registers[upper] = _mm512_permutex2var_epi64(a, keep, b);
            registers[upper + distance] = _mm512_permutex2var_epi64(a, move_up, b);
        }
        distance /= 2;
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read, without alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(bytes: &mut [u8; 64], register: __m512i) {
    // SAFETY: the reference covers the 64 bytes that are written, without alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), register) };
}

/// Calls `check` with the result of every backend this machine has.
#[cfg(test)]
pub(super) fn each_backend(square: &Square, check: impl Fn(&Square)) {
    if has_gfni() {
        let mut result = *square;
        // SAFETY: avx512f, avx512vbmi and gfni were detected.
        unsafe { gfni(&mut result) };
        check(&result);
    }
    if is_x86_feature_detected!("avx2") {
        let mut result = *square;
        // SAFETY: avx2 was detected.
        unsafe { avx2(&mut result) };
        check(&result);
    }
}
