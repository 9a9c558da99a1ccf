//! The fold in 256-bit registers: two leaves of a tree are expanded side by side, and what they give
//! joins the sums from there. For processors with VAES.

use super::SQUARE;
use crate::Block;
use crate::aes::{ROUND_KEYS, Wide, last_round};
use crate::x86::{load, store};
use std::arch::x86_64::{
    __m256i, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_and_si256,
    _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_xor_si256,
};

/// Blocks of a row worked on at a time.
const SPAN: usize = 8;

/// So many blocks of a row.
#[derive(Clone, Copy)]
struct Row([__m256i; SPAN / 2]);

/// One tree at one address.
pub(super) struct Tree<'a> {
    pub(super) leaves: &'a [Wide],
    pub(super) punctured: bool,
    pub(super) address: u128,
}

impl Tree<'_> {
    /// As [`super::Forest::fold`], with columns `first`, `first` + 1, …
    pub(super) fn fold(
        &self,
        depth: usize,
        planes: &mut [Block],
        first: usize,
        addend: Option<(&[Block], u8)>,
    ) {
        // SAFETY: whoever has a `Wide` has vaes and avx2, which the three are compiled for.
        unsafe {
            match depth {
                2 => fold::<2>(self, planes, first, addend),
                4 => fold::<4>(self, planes, first, addend),
                _ => fold::<8>(self, planes, first, addend),
            }
        }
    }
}

/// As [`super::Forest::sum`] over these leaves.
pub(super) fn sum(leaves: &[Wide], address: u128, sum: &mut [Block]) {
    // SAFETY: whoever has a `Wide` has vaes and avx2; without leaves nothing is done.
    unsafe { sum_rows(leaves, address, sum) }
}

#[target_feature(enable = "vaes,avx2")]
fn sum_rows(leaves: &[Wide], address: u128, sum: &mut [Block]) {
    let (pairs, rest) = leaves.as_chunks::<2>();
    for (at, sum) in sum.chunks_mut(SPAN).enumerate() {
        let counters = Row::count(address.wrapping_add((at * SPAN) as u128));
        let mut total = Row::zero();
        for [even, odd] in pairs {
            let mut rows = [counters; 2];
            encrypt(even, odd, &mut rows);
            let [mut both, odd] = rows;
            both.add(&odd);
            total.add(&both);
        }
        if let [last] = rest {
            let mut rows = [counters; 2];
            encrypt(last, last, &mut rows);
            total.add(&rows[0]);
        }
        let mut blocks = [Block::ZERO; SPAN];
        total.store(&mut blocks);
        sum.copy_from_slice(&blocks[..sum.len()]);
    }
}

// Nothing here may call a closure: it would be compiled without these registers, and out of line.
#[target_feature(enable = "vaes,avx2")]
fn fold<const DEPTH: usize>(
    tree: &Tree<'_>,
    planes: &mut [Block],
    first: usize,
    addend: Option<(&[Block], u8)>,
) {
    let mut columns = [Row::zero(); DEPTH];
    for (at, squares) in planes.chunks_mut(SPAN * SQUARE).enumerate() {
        let at = at * SPAN;
        sums(tree, tree.address.wrapping_add(at as u128), &mut columns);
        if let Some((row, word)) = addend {
            let mut blocks = [Block::ZERO; SPAN];
            let row = &row[at..row.len().min(at + SPAN)];
            blocks[..row.len()].copy_from_slice(row);
            let row = Row::load(&blocks);
            for (t, column) in columns.iter_mut().enumerate() {
                let mask = _mm256_set1_epi64x(-i64::from(word >> t & 1));
                for (x, row) in column.0.iter_mut().zip(row.0) {
                    *x = _mm256_xor_si256(*x, _mm256_and_si256(row, mask));
                }
            }
        }
        file(&columns, squares, first);
    }
}

/// The sums of all rows of `tree` in the blocks from `address` on, weighted by each bit of the leaves'
/// numbers: the first leaf has no part in them.
#[inline]
#[target_feature(enable = "vaes,avx2")]
fn sums<const DEPTH: usize>(tree: &Tree<'_>, address: u128, columns: &mut [Row; DEPTH]) {
    *columns = [Row::zero(); DEPTH];
    let counters = Row::count(address);
    let missing = usize::from(tree.punctured);
    for pair in 0..(1 << DEPTH) / 2 {
        let (even, odd) = (2 * pair, 2 * pair + 1 - missing);
        let mut rows = [counters; 2];
        encrypt(&tree.leaves[even.saturating_sub(missing)], &tree.leaves[odd], &mut rows);
        let [mut both, odd] = rows;
        columns[0].add(&odd);
        both.add(&odd);
        for (t, column) in columns.iter_mut().enumerate().skip(1) {
            if pair >> (t - 1) & 1 == 1 {
                column.add(&both);
            }
        }
    }
}

/// Encrypts a row under each of two keys.
#[inline]
#[target_feature(enable = "vaes,avx2")]
fn encrypt(even: &Wide, odd: &Wide, rows: &mut [Row; 2]) {
    let [a, b] = rows;
    let (key, other) = (even.round_key(0), odd.round_key(0));
    for (a, b) in a.0.iter_mut().zip(&mut b.0) {
        (*a, *b) = (_mm256_xor_si256(*a, key), _mm256_xor_si256(*b, other));
    }
    for round in 1..last_round() {
        let (key, other) = (even.round_key(round), odd.round_key(round));
        for a in &mut a.0 {
            *a = _mm256_aesenc_epi128(*a, key);
        }
        for b in &mut b.0 {
            *b = _mm256_aesenc_epi128(*b, other);
        }
    }
    let (key, other) = (even.round_key(ROUND_KEYS - 1), odd.round_key(ROUND_KEYS - 1));
    for (a, b) in a.0.iter_mut().zip(&mut b.0) {
        (*a, *b) = (_mm256_aesenclast_epi128(*a, key), _mm256_aesenclast_epi128(*b, other));
    }
}

/// Writes up to [`SPAN`] blocks of each column into its square of `squares`.
#[inline]
#[target_feature(enable = "avx2")]
fn file<const DEPTH: usize>(columns: &[Row; DEPTH], squares: &mut [Block], first: usize) {
    let (columns, _) = columns.as_chunks::<2>();
    for (t, square) in squares.chunks_exact_mut(SQUARE).enumerate() {
        let (places, _) = square[first..first + DEPTH].as_chunks_mut::<2>();
        for (two, [even, odd]) in places.iter_mut().zip(columns) {
            let (even, odd) = (even.0[t / 2], odd.0[t / 2]);
            // The lower or the upper half of both.
            let both = match t % 2 {
                0 => _mm256_permute2x128_si256::<0x20>(even, odd),
                _ => _mm256_permute2x128_si256::<0x31>(even, odd),
            };
            store(two, both);
        }
    }
}

impl Row {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self([_mm256_setzero_si256(); SPAN / 2])
    }

    /// `address`, `address` + 1, …
    #[inline]
    #[target_feature(enable = "avx2")]
    fn count(address: u128) -> Self {
        let mut row = Self::zero();
        let mut even = address;
        for pair in &mut row.0 {
            let odd = even.wrapping_add(1);
            let (a, b) = ((even >> 64) as i64, (odd >> 64) as i64);
            *pair = _mm256_set_epi64x(b, odd as i64, a, even as i64);
            even = odd.wrapping_add(1);
        }
        row
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, other: &Self) {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = _mm256_xor_si256(*x, y);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(blocks: &[Block; SPAN]) -> Self {
        let mut row = Self::zero();
        for (x, two) in row.0.iter_mut().zip(blocks.as_chunks::<2>().0) {
            *x = load(two);
        }
        row
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(&self, blocks: &mut [Block; SPAN]) {
        for (two, x) in blocks.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            store(two, x);
        }
    }
}
