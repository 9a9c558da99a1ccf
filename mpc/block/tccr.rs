//! The tweakable circular correlation robust hash of PROTOCOL.md §2 ([GKWY20], TMMO).

use crate::Block;
use crate::aes::{FixedKey, Written};

/// t = (use, index, i, j, half), packed injectively into a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tweak {
    /// What the hash is for.
    pub purpose: u8,
    /// Gate, triple or row number under the current key.
    pub index: u64,
    /// Party i of the pair.
    pub i: u8,
    /// Party j of the pair.
    pub j: u8,
    /// 0 for the left, 1 for the right input of a gate.
    pub half: u8,
}

impl Tweak {
    /// The packed tweak: `index` in the low 64 bits, then i, j, half, purpose.
    #[inline(always)]
    pub fn block(self) -> Block {
        let high = u128::from(self.i)
            | u128::from(self.j) << 8
            | u128::from(self.half) << 16
            | u128::from(self.purpose) << 24;
        Block(high << 64 | u128::from(self.index))
    }
}

/// H_k(x, t) = π_k(π_k(x) ⊕ t) ⊕ π_k(x).
///
/// Each (k, t) may be used on one secret value only; π_k(x) may be shared by many tweaks.
pub struct Tccr(FixedKey);

impl Tccr {
    /// H under the epoch key `key`.
    pub fn new(key: Block) -> Self {
        Self(FixedKey::new(key))
    }

    /// out_r = π_k(xs_r), the part of H that all tweaks of one value share. Surplus elements of the
    /// longer slice are left alone.
    #[inline]
    pub fn pi(&self, xs: &[Block], out: &mut [Block]) {
        let len = xs.len().min(out.len());
        self.0.write(Written::Permuted(xs), &mut out[..len]);
    }

    /// out_r = H_k(x_r, t_r), given `pis`_r = π_k(x_r), where t_r is `first` with its index + r.
    /// Lengths as in [`Tccr::pi`].
    #[inline]
    pub fn finish(&self, pis: &[Block], first: Tweak, out: &mut [Block]) {
        let len = pis.len().min(out.len());
        self.0.write(Written::Hashes(pis, first.block()), &mut out[..len]);
    }

    /// As [`Tccr::finish`], XORed into `out`.
    #[inline]
    pub fn finish_into(&self, pis: &[Block], first: Tweak, out: &mut [Block]) {
        let len = pis.len().min(out.len());
        self.0.write(Written::Added(pis, first.block()), &mut out[..len]);
    }

    /// xs_r ← H_k(xs_r, t_r), for values hashed under one tweak only.
    #[inline]
    pub fn hash(&self, xs: &mut [Block], first: Tweak) {
        const TILE: usize = 256;
        let mut pis = [Block::ZERO; TILE];
        for (tile, xs) in xs.chunks_mut(TILE).enumerate() {
            let pis = &mut pis[..xs.len()];
            self.pi(xs, pis);
            let index = first.index.wrapping_add((tile * TILE) as u64);
            self.finish(pis, Tweak { index, ..first }, xs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};
    use std::collections::HashSet;

    const FIRST: Tweak = Tweak { purpose: 3, index: 70, i: 1, j: 2, half: 1 };

    fn tweak(r: usize) -> Block {
        Tweak { index: FIRST.index + r as u64, ..FIRST }.block()
    }

    #[test]
    fn batches_agree_with_the_formula() {
        let (h, pi) = (Tccr::new(Block(5)), FixedKey::new(Block(5)));
        let formula = |x: Block, t: Block| {
            let mut inner = [x];
            pi.permute(&mut inner);
            let mut outer = [inner[0] ^ t];
            pi.permute(&mut outer);
            outer[0] ^ inner[0]
        };
        for len in LADDER {
            let xs = noise(2, len);
            let expected: Vec<_> =
                xs.iter().enumerate().map(|(r, x)| formula(*x, tweak(r))).collect();
            let mut once = xs.clone();
            h.hash(&mut once, FIRST);
            assert!(once == expected, "{len}");
            let (mut pis, mut reused) = (vec![Block::ZERO; len], vec![Block::ZERO; len]);
            h.pi(&xs, &mut pis);
            h.finish(&pis, FIRST, &mut reused);
            assert!(reused == expected, "{len}");
            h.finish_into(&pis, FIRST, &mut reused);
            assert!(reused.iter().all(|x| *x == Block::ZERO), "{len}");
        }
    }

    #[test]
    fn every_field_separates_tweaks() {
        let base = Tweak { purpose: 0, index: 0, i: 0, j: 0, half: 0 };
        let all = [
            base,
            Tweak { purpose: 1, ..base },
            Tweak { index: 1, ..base },
            Tweak { index: u64::MAX, ..base },
            Tweak { i: 1, ..base },
            Tweak { j: 1, ..base },
            Tweak { half: 1, ..base },
        ];
        assert_eq!(all.iter().map(|t| t.block()).collect::<HashSet<_>>().len(), all.len());
    }
}
