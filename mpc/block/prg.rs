//! Pseudorandom blocks at random-access addresses: AES-128 in counter mode.

use crate::aes::{FixedKey, Written};
use crate::{Block, gf128, xor_into};

#[cfg(target_arch = "x86_64")]
mod x86;

/// Blocks worked on at a time, so that a tile stays in the first-level cache.
const TILE: usize = 256;

/// A pseudorandom generator whose block number a is π_seed(a); zeroised on drop.
pub struct Prg(FixedKey);

impl Prg {
    /// The generator of `seed`.
    pub fn new(seed: Block) -> Self {
        Self(FixedKey::new(seed))
    }

    /// Writes blocks `address`, `address` + 1, … The caller makes addresses unique, for example as
    /// (party set, batch, offset).
    #[inline]
    pub fn fill(&self, address: u128, out: &mut [Block]) {
        // Counters do not carry out of their low half by themselves.
        let room = (u128::from(u64::MAX) + 1) - u128::from(address as u64);
        let (head, tail) = out.split_at_mut(room.min(out.len() as u128) as usize);
        self.0.write(Written::Counters(Block(address)), head);
        if !tail.is_empty() {
            self.fill(address.wrapping_add(room), tail);
        }
    }

    /// `len` blocks from `address` on.
    #[cfg(test)]
    pub(crate) fn blocks(&self, address: u128, len: usize) -> Vec<Block> {
        let mut out = vec![Block::ZERO; len];
        self.fill(address, &mut out);
        out
    }

    /// XORs blocks `address`, `address` + 1, … into `out`.
    pub fn xor_into(&self, address: u128, out: &mut [Block]) {
        let mut pad = [Block::ZERO; TILE];
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let pad = &mut pad[..out.len()];
            self.fill(address.wrapping_add((tile * TILE) as u128), pad);
            xor_into(out, pad);
        }
    }
}

/// Weights χ_0, χ_1, … ∈ GF(2^128) of a universal hash, expanded from a coin (PROTOCOL.md §4).
///
/// The coin must be drawn after everything it judges is fixed, and is used once.
pub struct Weights(Prg);

impl Weights {
    /// The weights of `coin`.
    pub fn new(coin: Block) -> Self {
        Self(Prg::new(coin))
    }

    /// Writes χ_start, χ_{start+1}, …
    pub fn fill(&self, start: u64, out: &mut [Block]) {
        self.0.fill(u128::from(start), out);
    }

    /// Σ_r χ_{start+r} · values_r.
    pub fn dot(&self, start: u64, values: &[Block]) -> Block {
        let mut sum = [Block::ZERO];
        self.sums(Sums { start, len: values.len(), planes: &[values], bits: &[] }, &mut sum);
        sum[0]
    }

    /// Σ_r χ_{start+r} · b_r over `len` bits packed little-endian in `bits`; missing words are 0.
    pub fn select(&self, start: u64, bits: &[u64], len: usize) -> Block {
        self.sums(Sums { start, len: len.min(bits.len() * 64), planes: &[], bits }, &mut [])
    }

    /// Adds to sums_p that of plane p, and returns that of the bits.
    pub fn sums(&self, of: Sums<'_, '_>, sums: &mut [Block]) -> Block {
        #[cfg(target_arch = "x86_64")]
        if let Some((lanes, keys)) = self.0.0.wide() {
            return lanes.run(x86::Weighing { keys, of, sums });
        }
        self.sums_by_tile(of, sums)
    }

    fn sums_by_tile(&self, of: Sums<'_, '_>, sums: &mut [Block]) -> Block {
        let mut weights = [Block::ZERO; TILE];
        let mut chosen = Block::ZERO;
        for first in (0..of.len).step_by(TILE) {
            let weights = &mut weights[..TILE.min(of.len - first)];
            self.fill(of.start + first as u64, weights);
            for (sum, plane) in sums.iter_mut().zip(of.planes) {
                *sum ^= gf128::dot(weights, &plane[first..first + weights.len()]);
            }
            chosen ^= gf128::select(weights, of.bits.get(first / 64..).unwrap_or_default());
        }
        chosen
    }
}

/// What is summed up under the weights χ_start, χ_{start+1}, …, `len` of them, up to χ_{2^64−1}.
#[derive(Clone, Copy, Debug)]
pub struct Sums<'a, 'b> {
    /// Number of the first weight.
    pub start: u64,
    /// How many.
    pub len: usize,
    /// Planes of at least so many blocks.
    pub planes: &'a [&'b [Block]],
    /// Bits packed little-endian; missing words are 0.
    pub bits: &'a [u64],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, mul, noise};

    #[test]
    fn any_address_gives_the_same_block() {
        let prg = Prg::new(Block(9));
        let start = (5 << 64) - 300;
        let mut all = vec![Block::ZERO; 1000];
        prg.fill(start, &mut all);
        for first in LADDER {
            let mut tail = vec![Block::ZERO; 1000 - first];
            prg.xor_into(start.wrapping_add(first as u128), &mut tail);
            assert!(tail == all[first..]);
        }
    }

    #[test]
    fn sums_agree_with_the_definition() {
        let weights = Weights::new(Block(11));
        for len in LADDER {
            let mut chi = vec![Block::ZERO; len];
            weights.fill(100, &mut chi);
            let values = noise(3, len);
            let expected =
                chi.iter().zip(&values).fold(Block::ZERO, |sum, (w, x)| sum ^ mul(*w, *x));
            assert!(weights.dot(100, &values) == expected, "{len}");
            let other = noise(5, len);
            let with_other = [Block::ONE ^ expected, Block::ONE ^ weights.dot(100, &other)];
            let words: Vec<u64> = noise(4, len.div_ceil(64)).iter().map(|b| b.0 as u64).collect();
            let bit = |r: usize| words[r / 64] >> (r % 64) & 1 == 1;
            let expected = (0..len).fold(Block::ZERO, |sum, r| sum ^ chi[r].times(bit(r)));
            assert!(weights.select(100, &words, len) == expected, "{len}");
            let planes = [&values[..], &other];
            let all = Sums { start: 100, len, planes: &planes, bits: &words };
            for sums_of in [Weights::sums, Weights::sums_by_tile] {
                let mut sums = [Block::ONE; 2];
                assert!(sums_of(&weights, all, &mut sums) == expected, "{len}");
                assert!(sums == with_other, "{len}");
            }
            #[cfg(target_arch = "x86_64")]
            for lanes in crate::x86::Lanes::all() {
                let Some((_, keys)) = weights.0.0.wide() else { continue };
                let mut sums = [Block::ONE; 2];
                let chosen = lanes.run(x86::Weighing { keys, of: all, sums: &mut sums });
                assert!(chosen == expected && sums == with_other, "{len}");
            }
        }
    }
}
