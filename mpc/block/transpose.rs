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
    let (squares, _) = rows.as_chunks_mut::<128>();
    for (t, square) in squares.iter_mut().take(blocks).enumerate() {
        transpose_square(&columns[t..], blocks, square);
    }
}

/// One square: its column c is `columns[c · stride]`.
fn transpose_square(columns: &[Block], stride: usize, square: &mut Square) {
    #[cfg(target_arch = "x86_64")]
    if x86::transpose_square(columns, stride, square) {
        return;
    }
    collect(columns, stride, square);
    portable(square);
}

/// The columns of a square, one after the other.
#[inline(always)]
fn collect(columns: &[Block], stride: usize, square: &mut Square) {
    for (block, column) in square.iter_mut().zip(columns.chunks(stride)) {
        *block = column[0];
    }
}

/// Eklundh's recursion: exchange the off-diagonal quadrants at distances 64, 32, …, 1.
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
        for (seed, stride) in (0..20).zip([1, 2, 5, 64].into_iter().cycle()) {
            let columns = noise(seed, 128 * stride);
            let mut expected = [Block::ZERO; 128];
            collect(&columns, stride, &mut expected);
            portable(&mut expected);
            #[cfg(target_arch = "x86_64")]
            x86::each_backend(&columns, stride, |result| assert!(*result == expected));
            let mut square = [Block::ZERO; 128];
            transpose_square(&columns, stride, &mut square);
            assert!(square == expected);
        }
    }
}
