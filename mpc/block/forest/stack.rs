//! The fold for every machine: one pass over 2^k rows whose working set is k + 1 of them.

use super::SQUARE;
use crate::{Block, xor_four, xor_into_both};
use zeroize::Zeroize;

const TILE: usize = Scratch::ROW;
const DEPTH_MAX: usize = 8;

/// What a fold works on, made when a fold in memory first needs it and wiped afterwards.
#[derive(Default)]
pub struct Scratch(Option<Box<Buffers>>);

/// First-level cache, used again and again.
struct Buffers {
    stack: [Block; (DEPTH_MAX + 3) * TILE],
    columns: [Block; DEPTH_MAX * TILE],
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Scratch {
    /// Blocks of a row that are worked on at a time: one full batch of the widest AES backend.
    pub const ROW: usize = 64;

    /// For one fold after the other.
    pub fn new() -> Self {
        Self::default()
    }

    /// With r_x the row of `len` ≤ [`TILE`] blocks that `leaf(x, ..)` writes, x < 2^depth: column t of
    /// the result, `depth` columns one after the other, is ⊕_{x: bit t of x is 1} r_x.
    pub(super) fn fold(
        &mut self,
        depth: usize,
        len: usize,
        mut leaf: impl FnMut(usize, &mut [Block]),
    ) -> &mut [Block] {
        let Buffers { stack, columns } = &mut **self.0.get_or_insert_with(Buffers::boxed);
        let columns = &mut columns[..depth * len];
        columns.fill(Block::ZERO);
        let mut height = 0;
        for x in (0..1usize << depth).step_by(4) {
            // Four leaves at a time, which complete subtrees of height 1 and 2.
            for leaf_of_four in 0..4 {
                let at = (height + leaf_of_four) * len;
                leaf(x + leaf_of_four, &mut stack[at..][..len]);
            }
            let (first, second) = columns[..2 * len].split_at_mut(len);
            four(&mut stack[height * len..][..4 * len], first, second);
            height += 1;
            // Each further trailing one of x + 3 completes a subtree: its upper half joins column t
            // and the lower.
            for t in 2..(x + 3).trailing_ones() as usize {
                height -= 1;
                let (lower, upper) = stack.split_at_mut(height * len);
                let column = &mut columns[t * len..][..len];
                xor_into_both(column, &mut lower[(height - 1) * len..], &upper[..len]);
            }
        }
        columns
    }
}

/// columns_t ⊕= `row` if bit t of `word` is 1.
pub(super) fn add_selected(columns: &mut [Block], row: &[Block], word: u8) {
    for (t, column) in columns.chunks_mut(row.len().max(1)).enumerate() {
        let bit = word >> t & 1 == 1;
        column.iter_mut().zip(row).for_each(|(x, d)| *x ^= d.times(bit));
    }
}

/// Files columns `first`, `first` + 1, … of a tile: block t of column c is `planes[128 t + c]`.
pub(super) fn scatter(columns: &[Block], first: usize, planes: &mut [Block]) {
    let (len, squares) = (planes.len() / SQUARE, planes.chunks_mut(SQUARE));
    let mut parts = columns.chunks(len);
    let four = [(); 4].map(|()| parts.next());
    if let ([Some(a), Some(b), Some(c), Some(d)], None) = (four, parts.next()) {
        // The usual depth: four columns are one cache line of a square.
        let rows = a.iter().zip(b).zip(c).zip(d);
        for (square, (((a, b), c), d)) in squares.zip(rows) {
            square[first..first + 4].copy_from_slice(&[*a, *b, *c, *d]);
        }
        return;
    }
    for (t, square) in squares.enumerate() {
        for (block, column) in square[first..].iter_mut().zip(columns.chunks(len)) {
            *block = column[t];
        }
    }
}

/// The rows r_0..r_3 of `leaves` become their sum in the first; columns 0 and 1 get r_1 ⊕ r_3 and
/// r_2 ⊕ r_3.
fn four(leaves: &mut [Block], first: &mut [Block], second: &mut [Block]) {
    let len = first.len();
    let (r0, rest) = leaves.split_at_mut(len);
    let (r1, rest) = rest.split_at_mut(len);
    let (r2, r3) = rest.split_at_mut(len);
    xor_four(r0, [r1, r2, r3], [first, second]);
}

impl Buffers {
    fn boxed() -> Box<Self> {
        let (stack, columns) =
            ([Block::ZERO; (DEPTH_MAX + 3) * TILE], [Block::ZERO; DEPTH_MAX * TILE]);
        Box::new(Self { stack, columns })
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.stack.zeroize();
        self.columns.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Prg, xor_into};

    #[test]
    fn sums_agree_with_the_definition() {
        for (depth, len) in [(2, 1), (4, 3), (8, TILE), (8, 63)] {
            let row = |x: usize, out: &mut [Block]| Prg::new(Block(x as u128)).fill(5, out);
            let mut scratch = Scratch::new();
            scratch.fold(depth, len, |_, out| out.fill(Block(1)));
            let columns = scratch.fold(depth, len, row);
            let weighted = |weight: &dyn Fn(usize) -> bool| {
                let mut total = vec![Block::ZERO; len];
                for x in (0..1 << depth).filter(|x| weight(*x)) {
                    let mut out = vec![Block::ZERO; len];
                    row(x, &mut out);
                    xor_into(&mut total, &out);
                }
                total
            };
            for t in 0..depth {
                assert!(columns[t * len..][..len] == weighted(&|x| x >> t & 1 == 1));
            }
        }
    }
}
