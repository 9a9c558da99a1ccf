//! The kernel of SoftSpokenOT: from 2^k pseudorandom rows to their sum and its k bit-weighted
//! sums, in one pass whose working set is k + 1 rows.

use senate_block::{Block, xor_into};

/// Blocks of a row that are worked on at a time: one full batch of the widest AES backend.
pub(super) const TILE: usize = 64;
const DEPTH_MAX: usize = 8;

/// With r_x the row that `leaf(x, ..)` writes, x < 2^k: `sum` = ⊕_x r_x, and column t of `columns`
/// (k columns of `sum.len()` ≤ [`TILE`] blocks, zero on entry) becomes ⊕_{x: bit t of x is 1} r_x.
pub(super) fn fold_leaves(
    columns: &mut [Block],
    sum: &mut [Block],
    mut leaf: impl FnMut(usize, &mut [Block]),
) {
    let len = sum.len();
    let depth = columns.len() / len.max(1);
    let mut stack = [Block::ZERO; (DEPTH_MAX + 1) * TILE];
    let mut height = 0;
    for x in 0..1usize << depth {
        leaf(x, &mut stack[height * len..][..len]);
        height += 1;
        // Each trailing one of x completes a subtree: its upper half joins column t and the lower.
        for t in 0..x.trailing_ones() as usize {
            height -= 1;
            let (lower, upper) = stack.split_at_mut(height * len);
            xor_into(&mut columns[t * len..][..len], &upper[..len]);
            xor_into(&mut lower[(height - 1) * len..], &upper[..len]);
        }
    }
    sum.copy_from_slice(&stack[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_block::Prg;

    #[test]
    fn sums_agree_with_the_definition() {
        for (depth, len) in [(2, 1), (4, 3), (8, TILE), (8, 63)] {
            let row = |x: usize, out: &mut [Block]| Prg::new(Block(x as u128)).fill(5, out);
            let (mut columns, mut sum) = (vec![Block::ZERO; depth * len], vec![Block::ZERO; len]);
            fold_leaves(&mut columns, &mut sum, row);
            let weighted = |weight: &dyn Fn(usize) -> bool| {
                let mut total = vec![Block::ZERO; len];
                for x in (0..1 << depth).filter(|x| weight(*x)) {
                    let mut out = vec![Block::ZERO; len];
                    row(x, &mut out);
                    xor_into(&mut total, &out);
                }
                total
            };
            assert!(sum == weighted(&|_| true));
            for t in 0..depth {
                assert!(columns[t * len..][..len] == weighted(&|x| x >> t & 1 == 1));
            }
        }
    }
}
