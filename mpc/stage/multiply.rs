//! Multiplication by triples [Beaver 1991] (PROTOCOL.md §6 step 1, §9): ⟨xy⟩ = ⟨c⟩ ⊕ d⟨b⟩ ⊕ f⟨a⟩ ⊕ df
//! with d = x⊕a and f = y⊕b opened.

use crate::auth::{AuthBits, Planes};
use crate::open::WeightedSums;
use rayon::prelude::*;
use senate_block::{Block, Weights, add_selected, xor_of};
use senate_circuit::Bits;
use zeroize::Zeroizing;

/// Gates per parallel task.
const TILE: usize = 1 << 11;
/// Gates multiplied at a time, so that scratch space stays in the first-level cache; a multiple of 64
/// that divides [`TILE`].
const SPAN: usize = 256;

/// Two vectors of shares being multiplied. Shares are planes: D_i, then every M_j.
pub(super) struct Factors<'a> {
    /// What was opened with the triples' factors: ⟨x⟩ and ⟨y⟩ up to public bits.
    pub(super) shares: [Vec<&'a [Block]>; 2],
    /// ⟨a⟩ and ⟨b⟩.
    pub(super) triples: [Vec<&'a [Block]>; 2],
    /// As what shares ⊕ triples were opened.
    pub(super) opened: [&'a Bits; 2],
    /// Numbers of the first of these bits among all that one message opens.
    pub(super) numbers: [usize; 2],
    /// d and f.
    pub(super) hidden: [&'a Bits; 2],
}

impl Factors<'_> {
    /// ⟨c⟩ ⊕= d⟨b⟩ ⊕ f⟨a⟩; returns the sums of everything opened here, all in one pass.
    pub(super) fn multiply(&self, weights: &Weights, c: &mut AuthBits) -> WeightedSums {
        let (count, planes) = (c.len(), c.mac_planes().len() + 1);
        let mut lanes = c.lanes_mut(0, count);
        let tiles = (0..count).step_by(TILE).map(|start| (start, lanes.take(TILE)));
        let tiles: Vec<_> = tiles.collect();
        let each = |(start, tile)| self.tile(weights, start, tile);
        let sums = tiles.into_par_iter().map(each).reduce_with(WeightedSums::with);
        sums.unwrap_or_else(|| WeightedSums::zero(planes))
    }

    fn tile(&self, weights: &Weights, start: usize, mut c: Planes<'_>) -> WeightedSums {
        let planes = c.macs.len() + 1;
        let mut sums = WeightedSums::zero(planes);
        let mut sum = Zeroizing::new(vec![Block::ZERO; planes * SPAN]);
        let mut at = start;
        while c.len() > 0 {
            let mut c = c.take(SPAN);
            let (len, lanes) = (c.len(), at..at + c.len());
            for half in 0..2 {
                let planes = self.shares[half].iter().zip(&self.triples[half]);
                for (sum, (share, triple)) in sum.chunks_mut(SPAN).zip(planes) {
                    xor_of(sum, &share[lanes.clone()], &triple[lanes.clone()]);
                }
                let planes: Vec<_> = sum.chunks(SPAN).collect();
                let bits = &self.opened[half].words()[at / 64..];
                sums.add(weights, self.numbers[half] + at, len, &planes, bits);
            }
            // Each factor's d or f goes with the other's triple.
            let [a, b] = &self.triples;
            for (c, (a, b)) in c.each_mut().zip(a.iter().zip(b)) {
                for (triple, hidden) in [(b, self.hidden[0]), (a, self.hidden[1])] {
                    add_selected(c, &hidden.words()[at / 64..], &triple[lanes.clone()]);
                }
            }
            at += len;
        }
        sums
    }

    /// df, which is public.
    pub(super) fn both(&self) -> Bits {
        let [d, f] = self.hidden;
        let both = d.words().iter().zip(f.words()).map(|(d, f)| d & f).collect();
        Bits::from_words(both, d.len())
    }
}
