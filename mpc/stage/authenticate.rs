//! PROTOCOL.md §6 step 1: masks of all wires and ⟨λ_αλ_β⟩ of a chunk's AND gates. Masks follow the
//! linear gates, so all of a chunk's openings fit into one message.

use super::chunks::{Chunk, Layout, Work};
use super::{Run, Wires};
use crate::auth::{AuthBits, Planes};
use crate::error::Error;
use crate::garble::{AndShares, Masks, Walk};
use crate::mesh::Kind;
use crate::open::Openings;
use crate::pre::{Preprocessing, Triples};
use rayon::prelude::*;
use senate_block::{Block, Weights, dot, xor_into};
use senate_circuit::{Bits, PlaneId};

/// Gates per parallel task.
const TILE: usize = 1 << 11;
/// Gates multiplied at a time, so that scratch space stays in the first-level cache; divides
/// [`TILE`].
const SPAN: usize = 256;

/// Walks a program with its masks, chunk by chunk.
pub(super) struct Authenticator<'a, P> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    pre: &'a mut P,
    openings: &'a mut Openings,
    masks: Walk<Masks>,
}

impl<'a, P: Preprocessing> Authenticator<'a, P> {
    pub(super) fn new(
        run: &'a Run<'a>,
        layout: &'a Layout<'a>,
        inputs: &[Wires],
        pre: &'a mut P,
        openings: &'a mut Openings,
    ) -> Self {
        let mut masks = Walk::new(Masks(run.member.clone()), layout.program);
        for (bundle, wires) in inputs.iter().enumerate() {
            masks.enter(layout.program, bundle, &wires.masks);
        }
        Self { run, layout, pre, openings, masks }
    }

    /// ⟨λ_α⟩, ⟨λ_β⟩ and ⟨λ_αλ_β ⊕ λ_γ⟩ of the chunk's gates. The openings are checked later.
    pub(super) async fn chunk(&mut self, chunk: &Chunk) -> Result<AndShares, Error> {
        let fresh = self.pre.masks(chunk.gates).await?;
        let mut left = AuthBits::zeros(&self.run.member, 0);
        let mut right = AuthBits::zeros(&self.run.member, 0);
        for work in self.layout.work(chunk) {
            match work {
                Work::Free(at) => self.masks.step(self.layout.program, at)?,
                Work::And { at, left: a, right: b, gates, lanes } => {
                    left.append(&*self.masks.part(a, lanes)?);
                    right.append(&*self.masks.part(b, lanes)?);
                    let output = fresh.slice(gates.offset, gates.len);
                    self.masks.put(PlaneId(at as u32), lanes, output);
                }
            }
            if let Some(at) = work.done() {
                self.masks.drop_after(&self.layout.drops, at);
            }
        }
        let mut product = self.multiply(&left, &right).await?;
        product.xor_assign(&fresh);
        Ok(AndShares { left, right, product })
    }

    /// Masks of the output bundles, after the last chunk.
    pub(super) fn outputs(&self) -> Result<Vec<AuthBits>, Error> {
        let bundles = 0..self.layout.program.outputs.len();
        bundles.map(|bundle| self.masks.output(self.layout.program, bundle)).collect()
    }

    /// ⟨xy⟩ = ⟨c⟩ ⊕ d⟨b⟩ ⊕ f⟨a⟩ ⊕ df with d = x⊕a and f = y⊕b opened.
    async fn multiply(&mut self, x: &AuthBits, y: &AuthBits) -> Result<AuthBits, Error> {
        let count = x.len();
        let Triples { a, b, mut c } = self.pre.triples(count).await?;
        if [a.len(), b.len(), c.len()] != [count; 3] {
            return Err(Error::Misuse("preprocessing gave another number of triples"));
        }
        if count == 0 {
            return Ok(c);
        }
        let mut hidden = x.share_bits();
        hidden.xor_assign(&a.share_bits());
        let mut second = y.share_bits();
        second.xor_assign(&b.share_bits());
        hidden.extend_from(&second);
        let channel = &self.run.channel;
        let (opened, weights) = self.openings.exchange(channel, Kind::BeaverBits, hidden).await?;
        let (d, f) = (opened.slice(0, count), opened.slice(count, count));
        let factors = Factors { shares: [x, y], triples: [&a, &b], opened: [&d, &f] };
        let sums = factors.multiply(&weights, &mut c);
        self.openings.absorb(&weights, &opened, &sums);
        let both = d.words().iter().zip(f.words()).map(|(d, f)| d & f).collect();
        c.xor_public(&self.run.member, &Bits::from_words(both, count));
        Ok(c)
    }
}

/// Two vectors of shares being multiplied.
struct Factors<'a> {
    /// ⟨x⟩ and ⟨y⟩.
    shares: [&'a AuthBits; 2],
    /// ⟨a⟩ and ⟨b⟩.
    triples: [&'a AuthBits; 2],
    /// d = x⊕a and f = y⊕b.
    opened: [&'a Bits; 2],
}

impl Factors<'_> {
    /// ⟨c⟩ ⊕= d⟨b⟩ ⊕ f⟨a⟩; returns Σχ over the planes of ⟨x⟩⊕⟨a⟩ and then ⟨y⟩⊕⟨b⟩, all in one pass.
    fn multiply(&self, weights: &Weights, c: &mut AuthBits) -> Vec<Block> {
        let count = c.len();
        let mut planes = c.lanes_mut(0, count);
        let tiles = (0..count).step_by(TILE).map(|start| (start, planes.take(TILE)));
        let tiles: Vec<_> = tiles.collect();
        let each = |(start, tile)| self.tile(weights, count, start, tile);
        let sums = tiles.into_par_iter().map(each).reduce_with(|mut sums, more| {
            xor_into(&mut sums, &more);
            sums
        });
        sums.unwrap_or_default()
    }

    fn tile(&self, weights: &Weights, count: usize, start: usize, mut c: Planes<'_>) -> Vec<Block> {
        let mut sums = vec![Block::ZERO; c.macs.len() + 1];
        let (mut chi, mut scratch) = ([[Block::ZERO; SPAN]; 2], [Block::ZERO; SPAN]);
        let mut at = start;
        while c.len() > 0 {
            let mut c = c.take(SPAN);
            let (len, lanes) = (c.len(), at..at + c.len());
            for (half, chi) in chi.iter_mut().enumerate() {
                weights.fill((half * count + at) as u64, &mut chi[..len]);
            }
            let masks = self.opened.map(|bits| masks(bits, at));
            let [x, y] = self.shares.map(AuthBits::planes);
            let [a, b] = self.triples.map(AuthBits::planes);
            let planes = x.zip(y).zip(a.zip(b)).zip(&mut sums).zip(c.each_mut());
            for ((((x, y), (a, b)), sum), c) in planes {
                let [x, y, a, b] = [x, y, a, b].map(|plane| &plane[lanes.clone()]);
                for ((share, triple), chi) in [(x, a), (y, b)].into_iter().zip(&chi) {
                    let hidden = scratch.iter_mut().zip(share).zip(triple);
                    hidden.for_each(|((s, x), a)| *s = *x ^ *a);
                    *sum ^= dot(&chi[..len], &scratch[..len]);
                }
                let rows = c.iter_mut().zip(a).zip(b).zip(&masks[0]).zip(&masks[1]);
                rows.for_each(|((((c, a), b), d), f)| *c ^= (*b & *d) ^ (*a & *f));
            }
            at += len;
        }
        sums
    }
}

/// The bits from `start` as masks.
fn masks(bits: &Bits, start: usize) -> [Block; SPAN] {
    let bits = bits.slice(start, SPAN);
    std::array::from_fn(|r| Block::mask(bits.words()[r / 64] >> (r % 64) & 1 == 1))
}
