//! Bit matrix transposition, 128 columns at a time.

use crate::Block;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A 128×128-bit matrix: bit c of block r is the entry in row r and column c.
type Square = [Block; 128];

/// Turns 128 columns of bits into rows of 128 bits.
///
/// `columns` is 128 columns of `columns.len() / 128` blocks each, one after the other: row r of
/// column c is bit r mod 128 of block `columns[c · blocks + r / 128]`. `rows_r` becomes the block
/// whose bit c is row r of column c. `rows` has 128 blocks per block of a column; what either slice
/// has beyond the shorter one's share is left alone.
pub fn transpose(columns: &[Block], rows: &mut [Block]) {
    let blocks = columns.len() / 128;
    let mut square = [Block::ZERO; 128];
    for (t, rows) in rows.chunks_exact_mut(128).take(blocks).enumerate() {
        for (c, row) in square.iter_mut().enumerate() {
            *row = columns[c * blocks + t];
        }
        transpose_square(&mut square);
        rows.copy_from_slice(&square);
    }
}

fn transpose_square(square: &mut Square) {
    #[cfg(target_arch = "x86_64")]
    if x86::transpose_square(square) {
        return;
    }
    portable(square);
}

/// Eklundh's recursion: exchange the off-diagonal quadrants at distances 64, 32, …, 1. The x86
/// backend compiles this same function for wider registers.
#[inline(always)]
fn portable(square: &mut Square) {
    let mut distance = 64;
    let mut keep = u128::MAX >> 64;
    while distance > 0 {
        for upper in (0..128).step_by(2 * distance) {
            let (above, below) = square[upper..upper + 2 * distance].split_at_mut(distance);
            for (a, b) in above.iter_mut().zip(below) {
                let swap = (a.0 >> distance ^ b.0) & keep;
                a.0 ^= swap << distance;
                b.0 ^= swap;
            }
        }
        distance /= 2;
        keep ^= keep << distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise;

    #[test]
    fn entries_change_places() {
        for blocks in [0, 1, 2, 3, 8, 9] {
            let columns = noise(10, 128 * blocks);
            let mut rows = vec![Block::ZERO; 128 * blocks];
            transpose(&columns, &mut rows);
            for r in 0..128 * blocks {
                for c in 0..128 {
                    let entry = columns[c * blocks + r / 128].0 >> (r % 128) & 1;
                    assert_eq!(rows[r].0 >> c & 1, entry, "row {r} column {c} of {blocks}");
                }
            }
        }
    }

    #[test]
    fn twins_agree() {
        for seed in 0..20 {
            let mut expected = square_of(&noise(seed, 128));
            let square = expected;
            portable(&mut expected);
            #[cfg(target_arch = "x86_64")]
            x86::each_backend(&square, |result| assert!(*result == expected));
            let mut back = expected;
            transpose_square(&mut back);
            assert!(back == square);
        }
    }

    fn square_of(blocks: &[Block]) -> Square {
        std::array::from_fn(|r| blocks[r])
    }
}
