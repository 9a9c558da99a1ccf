//! GF(2^128) = GF(2)[X] / (X^128 + X^7 + X^2 + X + 1), bit t of a block being X^t.

use crate::Block;

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

/// a · b.
pub fn mul(a: Block, b: Block) -> Block {
    dot(&[a], &[b])
}

/// Σ_r a_r · b_r with one reduction at the end. Both slices have the same length; a longer one's
/// surplus is left out.
pub fn dot(a: &[Block], b: &[Block]) -> Block {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    #[cfg(target_arch = "x86_64")]
    if let Some(product) = x86::dot(a, b) {
        return reduce(product);
    }
    reduce(portable::dot(a, b))
}

/// sums_c ⊕= Σ_t weights_t · squares[128 t + c] for each column c of `squares`, of which there are as
/// many as weights.
pub fn dot_columns(weights: &[Block], squares: &[Block], sums: &mut [Block; 128]) {
    let (squares, _) = squares.as_chunks::<128>();
    #[cfg(target_arch = "x86_64")]
    if x86::dot_columns(weights, squares, sums) {
        return;
    }
    for (c, sum) in sums.iter_mut().enumerate() {
        let terms = weights.iter().zip(squares);
        *sum = terms.fold(*sum, |sum, (weight, square)| sum ^ mul(*weight, square[c]));
    }
}

/// Σ_r weights_r · b_r, bit r taken from `bits` packed little-endian; missing words are 0.
pub fn select(weights: &[Block], bits: &[u64]) -> Block {
    let mut sum = Block::ZERO;
    for (weights, word) in weights.chunks(64).zip(bits) {
        for (t, weight) in weights.iter().enumerate() {
            sum ^= weight.times(word >> t & 1 == 1);
        }
    }
    sum
}

/// Σ_t X^t · x_t over at most 128 elements: packs 128 authenticated bits into one authenticated
/// field element. Elements past 128 are left out.
pub fn combine_bits(elements: &[Block]) -> Block {
    // Horner's rule; one multiplication by X is a shift and a conditional XOR of the modulus.
    let horner = |sum: Block, element: &Block| {
        let carry = Block::mask(sum.0 >> 127 == 1) & Block(0x87);
        Block(sum.0 << 1) ^ carry ^ *element
    };
    elements.iter().take(128).rev().fold(Block::ZERO, horner)
}

/// A polynomial of degree below 255: high · X^128 + low.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Product {
    low: u128,
    high: u128,
}

impl Product {
    /// The sum of two polynomials.
    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { low: self.low ^ other.low, high: self.high ^ other.high }
    }
}

/// The polynomial modulo that of the field.
pub(crate) fn reduce(product: Product) -> Block {
    let fold = |high: u128| high ^ high << 1 ^ high << 2 ^ high << 7;
    let Product { low, high } = product;
    // Bits that the shifts by 1, 2 and 7 push past X^127 come round a second time.
    let spill = high >> 127 ^ high >> 126 ^ high >> 121;
    Block(low ^ fold(high) ^ fold(spill))
}

/// The twin without carry-less multiplication instructions: integer multiplications with holes,
/// free of secret-dependent branches and table look-ups.
mod portable {
    use super::{Block, Product};

    pub(super) fn dot(a: &[Block], b: &[Block]) -> Product {
        a.iter().zip(b).fold(Product::default(), |sum, (a, b)| sum.plus(multiply(a.0, b.0)))
    }

    fn multiply(a: u128, b: u128) -> Product {
        let (a0, a1, b0, b1) = (a as u64, (a >> 64) as u64, b as u64, (b >> 64) as u64);
        let (low, high) = (carryless(a0, b0), carryless(a1, b1));
        let middle = carryless(a0 ^ a1, b0 ^ b1) ^ low ^ high;
        Product { low: low ^ middle << 64, high: high ^ middle >> 64 }
    }

    /// 64×64-bit carry-less product, half of `a` at a time: bits of one residue class modulo 4
    /// stand four apart, so at most 8 terms meet in a position and cannot carry into the next one.
    fn carryless(a: u64, b: u64) -> u128 {
        (0..2).map(|half| half_product(a & (0xffff_ffff << (32 * half)), b)).fold(0, |x, y| x ^ y)
    }

    fn half_product(a: u64, b: u64) -> u128 {
        const HOLES: u64 = 0x1111_1111_1111_1111;
        const KEEP: u128 = 0x1111_1111_1111_1111_1111_1111_1111_1111;
        let spread = |x: u64, residue: u32| u128::from(x & HOLES << residue);
        let mut sum = 0;
        for residue in 0..4u32 {
            let meeting = (0..4u32).fold(0, |acc, r| {
                acc ^ spread(a, r).wrapping_mul(spread(b, (residue + 4 - r) % 4))
            });
            sum ^= meeting & KEEP << residue;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    /// Schoolbook multiplication, one bit at a time.
    fn schoolbook(a: Block, b: Block) -> Block {
        let terms: Vec<_> = (0..128).map(|t| b.times(a.0 >> t & 1 == 1)).collect();
        combine_bits(&terms)
    }

    #[test]
    fn combination_of_units_is_the_bit_pattern() {
        let bits = 0x8000_0000_0000_0000_1234_5678_9abc_def1_u128;
        let units: Vec<_> = (0..128).map(|t| Block(bits >> t & 1)).collect();
        assert!(combine_bits(&units) == Block(bits));
        assert!(combine_bits(&[Block::ZERO, Block(1 << 127)]) == Block(0x87));
    }

    #[test]
    fn product_agrees_with_schoolbook() {
        let mut elements = noise(5, 60);
        elements.extend([Block::ZERO, Block::ONE, Block(u128::MAX), Block(1 << 127), Block(0x87)]);
        for a in &elements {
            for b in &elements {
                let expected = schoolbook(*a, *b);
                assert!(mul(*a, *b) == expected);
                assert!(reduce(portable::dot(&[*a], &[*b])) == expected);
            }
        }
    }

    #[test]
    fn twins_agree() {
        for len in LADDER {
            let (a, b) = (noise(6, len), noise(7, len));
            let expected = reduce(portable::dot(&a, &b));
            assert!(dot(&a, &b) == expected, "{len}");
            #[cfg(target_arch = "x86_64")]
            x86::each_backend(&a, &b, |product| assert!(reduce(product) == expected, "{len}"));
        }
    }

    #[test]
    fn columns_are_summed_one_by_one() {
        for len in [0, 1, 2, 63, 64] {
            let (weights, squares) = (noise(6, len), noise(7, 128 * len));
            let mut sums = [Block::ONE; 128];
            dot_columns(&weights, &squares, &mut sums);
            for (c, sum) in sums.iter().enumerate() {
                let column: Vec<_> = squares.iter().skip(c).step_by(128).copied().collect();
                assert!(*sum == Block::ONE ^ dot(&weights, &column), "{len} {c}");
            }
            #[cfg(target_arch = "x86_64")]
            x86::each_columns(&weights, squares.as_chunks().0, &[Block::ONE; 128], |each| {
                assert!(*each == sums, "{len}");
            });
        }
    }

    #[test]
    fn selection_is_the_dot_product_with_bits() {
        for len in LADDER {
            let weights = noise(8, len);
            let words: Vec<u64> = noise(9, len.div_ceil(64)).iter().map(|b| b.0 as u64).collect();
            let bits: Vec<_> =
                (0..len).map(|r| Block(u128::from(words[r / 64] >> (r % 64) & 1))).collect();
            assert!(select(&weights, &words) == dot(&weights, &bits));
        }
    }
}
