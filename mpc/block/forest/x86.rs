//! The fold in registers of several blocks: two leaves of a tree are expanded side by side, and what
//! they give joins the sums from there. For processors with VAES.

use super::SQUARE;
use crate::Block;
use crate::aes::{LAST, RoundKeys, last_round};
use crate::x86::{Kernel, Lanes, Width};

/// Registers of a row worked on at a time.
const SPAN: usize = 4;
/// Blocks of these at most.
const BLOCKS_MAX: usize = 4 * SPAN;

/// So many registers of a row.
type Row<W> = [<W as Width>::Register; SPAN];

/// The leaves of all trees, and where they are expanded.
pub(super) struct Leaves {
    lanes: Lanes,
    keys: Vec<RoundKeys>,
}

impl Leaves {
    /// Expands `seeds`.
    pub(super) fn new(lanes: Lanes, seeds: &[Block]) -> Self {
        // Keys never move: what they leave behind would not be wiped.
        let mut keys = Vec::with_capacity(seeds.len());
        keys.extend(seeds.iter().map(|seed| RoundKeys::new(lanes, *seed)));
        Self { lanes, keys }
    }

    /// As [`super::Forest::sum`] over `leaves`.
    pub(super) fn sum(&self, leaves: std::ops::Range<usize>, address: u128, sum: &mut [Block]) {
        self.lanes.run(Summing { leaves: &self.keys[leaves], address, sum });
    }

    /// As [`super::Forest::fold`] over `leaves`, with columns `first`, `first` + 1, …
    pub(super) fn fold(
        &self,
        leaves: std::ops::Range<usize>,
        tree: Tree<'_>,
        planes: &mut [Block],
        first: usize,
    ) {
        let leaves = &self.keys[leaves];
        match tree.depth {
            2 => self.lanes.run(Folding::<2> { leaves, tree, planes, first }),
            4 => self.lanes.run(Folding::<4> { leaves, tree, planes, first }),
            _ => self.lanes.run(Folding::<8> { leaves, tree, planes, first }),
        }
    }
}

/// One tree at one address, and what is added to its columns.
pub(super) struct Tree<'a> {
    pub(super) depth: usize,
    pub(super) punctured: bool,
    pub(super) address: u128,
    pub(super) addend: Option<(&'a [Block], u8)>,
}

/// The sum of all rows.
struct Summing<'a> {
    leaves: &'a [RoundKeys],
    address: u128,
    sum: &'a mut [Block],
}

impl Kernel for Summing<'_> {
    type Output = ();

    #[inline(always)]
    fn run<W: Width>(self, w: W) {
        let span = SPAN * w.blocks();
        let (pairs, rest) = self.leaves.as_chunks::<2>();
        for (at, sum) in self.sum.chunks_mut(span).enumerate() {
            let counters = count(w, self.address.wrapping_add((at * span) as u128));
            let mut total = [w.zero(); SPAN];
            for [even, odd] in pairs {
                let mut rows = [counters; 2];
                encrypt(w, even, odd, &mut rows);
                for r in 0..SPAN {
                    total[r] = w.xor3(total[r], rows[0][r], rows[1][r]);
                }
            }
            if let [last] = rest {
                let mut rows = [counters; 2];
                encrypt(w, last, last, &mut rows);
                add(w, &mut total, &rows[0]);
            }
            let mut blocks = [Block::ZERO; BLOCKS_MAX];
            for (blocks, x) in w.split_mut(&mut blocks).iter_mut().zip(total) {
                w.store(blocks, x);
            }
            sum.copy_from_slice(&blocks[..sum.len()]);
        }
    }
}

/// Columns `first`, `first` + 1, … of `planes`.
struct Folding<'a, const DEPTH: usize> {
    leaves: &'a [RoundKeys],
    tree: Tree<'a>,
    planes: &'a mut [Block],
    first: usize,
}

impl<const DEPTH: usize> Kernel for Folding<'_, DEPTH> {
    type Output = ();

    #[inline(always)]
    fn run<W: Width>(self, w: W) {
        let Self { leaves, tree, planes, first } = self;
        let span = SPAN * w.blocks();
        let mut columns = [[w.zero(); SPAN]; DEPTH];
        for (at, squares) in planes.chunks_mut(span * SQUARE).enumerate() {
            let at = at * span;
            let counters = count(w, tree.address.wrapping_add(at as u128));
            sums::<W, DEPTH>(w, leaves, tree.punctured, &counters, &mut columns);
            if let Some((row, word)) = tree.addend {
                let mut blocks = [Block::ZERO; BLOCKS_MAX];
                let row = &row[at..row.len().min(at + span)];
                blocks[..row.len()].copy_from_slice(row);
                for (t, column) in columns.iter_mut().enumerate() {
                    let selected = w.repeat(&Block::mask(word >> t & 1 == 1));
                    for (x, blocks) in column.iter_mut().zip(w.split(&blocks)) {
                        *x = w.xor_and(*x, w.load(blocks), selected);
                    }
                }
            }
            file::<W, DEPTH>(w, &columns, squares, first);
        }
    }
}

/// The sums of all rows in the blocks that `counters` number, weighted by each bit of the leaves'
/// numbers: the first leaf has no part in them.
#[inline(always)]
fn sums<W: Width, const DEPTH: usize>(
    w: W,
    leaves: &[RoundKeys],
    punctured: bool,
    counters: &Row<W>,
    columns: &mut [Row<W>; DEPTH],
) {
    *columns = [[w.zero(); SPAN]; DEPTH];
    let missing = usize::from(punctured);
    for pair in 0..(1 << DEPTH) / 2 {
        let (even, odd) = (2 * pair, 2 * pair + 1 - missing);
        let even = &leaves[even.saturating_sub(missing)];
        let mut rows = [*counters; 2];
        encrypt(w, even, &leaves[odd], &mut rows);
        let [mut both, odd] = rows;
        add(w, &mut columns[0], &odd);
        add(w, &mut both, &odd);
        for (t, column) in columns.iter_mut().enumerate().skip(1) {
            if pair >> (t - 1) & 1 == 1 {
                add(w, column, &both);
            }
        }
    }
}

/// Encrypts a row under each of two keys.
#[inline(always)]
fn encrypt<W: Width>(w: W, even: &RoundKeys, odd: &RoundKeys, rows: &mut [Row<W>; 2]) {
    let [a, b] = rows;
    let (key, other) = (even.round_key(w, 0), odd.round_key(w, 0));
    for (a, b) in a.iter_mut().zip(&mut *b) {
        (*a, *b) = (w.xor(*a, key), w.xor(*b, other));
    }
    for round in 1..last_round() {
        let (key, other) = (even.round_key(w, round), odd.round_key(w, round));
        for a in &mut *a {
            *a = w.round(*a, key);
        }
        for b in &mut *b {
            *b = w.round(*b, other);
        }
    }
    let (key, other) = (even.round_key(w, LAST), odd.round_key(w, LAST));
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (w.last_round(*a, key), w.last_round(*b, other));
    }
}

/// Writes each column's blocks into its place in `squares`, of which there may be fewer.
#[inline(always)]
fn file<W: Width, const DEPTH: usize>(
    w: W,
    columns: &[Row<W>; DEPTH],
    squares: &mut [Block],
    first: usize,
) {
    // So many columns are turned into as many rows at a time; with fewer, the others are left out.
    let side = w.blocks();
    let mut squares = squares.chunks_exact_mut(SQUARE);
    for r in 0..SPAN {
        let mut rows = [[w.zero(); 4]; DEPTH];
        for (columns, rows) in columns.chunks(side).zip(&mut rows) {
            for (row, column) in rows.iter_mut().zip(columns) {
                *row = column[r];
            }
            w.turn(rows);
        }
        for t in 0..side {
            let Some(square) = squares.next() else { return };
            let places = square[first..first + DEPTH].chunks_mut(side);
            for (place, rows) in places.zip(&rows) {
                match w.split_mut(place) {
                    [full] => w.store(full, rows[t]),
                    _ => {
                        let mut blocks = [Block::ZERO; 4];
                        w.store(&mut w.split_mut(&mut blocks)[0], rows[t]);
                        place.copy_from_slice(&blocks[..place.len()]);
                    }
                }
            }
        }
    }
}

/// `address`, `address` + 1, …
#[inline(always)]
fn count<W: Width>(w: W, address: u128) -> Row<W> {
    let mut blocks = [Block::ZERO; BLOCKS_MAX];
    for (r, block) in blocks.iter_mut().enumerate() {
        *block = Block(address.wrapping_add(r as u128));
    }
    let mut row = [w.zero(); SPAN];
    for (x, blocks) in row.iter_mut().zip(w.split(&blocks)) {
        *x = w.load(blocks);
    }
    row
}

#[inline(always)]
fn add<W: Width>(w: W, to: &mut Row<W>, other: &Row<W>) {
    for (x, y) in to.iter_mut().zip(other) {
        *x = w.xor(*x, *y);
    }
}
