//! Bit matrix transposition, 128 columns at a time.

use crate::Block;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A 128×128-bit matrix: bit c of block r is the entry in row r and column c.
type Square = [Block; 128];

/// Transposes squares of 128×128 bits in place: of each 128 blocks of `squares`, bit c of block r
/// trades places with bit r of block c. A last incomplete square is left alone.
pub fn transpose(squares: &mut [Block]) {
    let (squares, _) = squares.as_chunks_mut::<128>();
    for square in squares {
        #[cfg(target_arch = "x86_64")]
        if x86::transpose_square(square) {
            continue;
        }
        portable(square);
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
        for squares in [0, 1, 2, 3] {
            let before = noise(10, 128 * squares + 5);
            let mut after = before.clone();
            transpose(&mut after);
            for (at, block) in before.iter().enumerate().take(128 * squares) {
                for c in 0..128 {
                    let mirrored = after[at / 128 * 128 + c].0 >> (at % 128) & 1;
                    assert_eq!(block.0 >> c & 1, mirrored, "block {at} bit {c}");
                }
            }
            assert!(after[128 * squares..] == before[128 * squares..]);
        }
    }

    #[test]
    fn twins_agree() {
        for seed in 0..20 {
            let square: Square = std::array::from_fn(|r| noise(seed, 128)[r]);
            let mut expected = square;
            portable(&mut expected);
            #[cfg(target_arch = "x86_64")]
            x86::each_backend(&square, |result| assert!(*result == expected));
        }
    }
}
