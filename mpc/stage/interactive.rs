//! The script of an interactive stage, the same for all members (PROTOCOL.md §9): one round per layer
//! of AND gates opens its factors under triples, and every block of layers has its MACs compared.
//!
//! # A departure from the design's §9, and why it is safe
//! There a gate's output gets a fresh mask λ_γ and the round opens Λ_γ, by ⟨λ_αλ_β⟩ from openings ahead.
//! Here the round opens λ_α⊕a and λ_β⊕b themselves, and the product ⟨z_γ⟩ is kept as it is: λ_γ = z_γ
//! and Λ_γ = 0, the online phase of [NNOB12] among n parties [LOS14]. That spares a mask and an opened
//! bit per gate, and no message tells more: every bit that a round opens contains the share of an
//! a or b that no other opening contains, as Λ_γ contained one of λ_γ. Shares of ⟨z⟩ are opened at the
//! release only, after all checks, where the share of one honest party follows from the output and the
//! other shares. What leaves the stage is a mask ⟨λ⟩ with its Λ as before: a parent adds a fresh mask,
//! or, garbled by the same parties, treats λ as any mask, whose value no label shows.

use super::chunks::{Lanes, Layout, Work};
use super::multiply::Factors;
use super::{Labels, Run, Wires};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::garble::{Masked, Masks, Walk};
use crate::mesh::Kind;
use crate::open::{Openings, WeightedSums};
use crate::pre::{Lent, Preprocessing};
use futures_channel::mpsc;
use futures_util::future::try_join;
use futures_util::{SinkExt, StreamExt};
use rayon::prelude::*;
use senate_circuit::{Bits, Layers, PlaneId};
use std::ops::Range;
use std::rc::Rc;

/// Most gates that one message opens; a wider layer takes several rounds. A multiple of 4, so that
/// only a layer's last message has spare bits.
const ROUND_GATES: usize = 1 << 17;
/// A block ends with the layer that brings it to this many gates.
const BLOCK_GATES: usize = 1 << 17;

/// Opens the factors of every AND gate; returns the output bundles once all MACs of all layers have
/// held.
pub(super) async fn run<P: Preprocessing>(
    run: &Run<'_>,
    layout: &Layout<'_>,
    inputs: Vec<Wires>,
    pre: &mut P,
) -> Result<Vec<Wires>, Error> {
    let (mut queue, mut lent) = mpsc::channel(layout.window() - 1);
    let mut rounds = Rounds::new(run, layout, &inputs);
    drop(inputs);
    let fetching = async move {
        for chunk in &layout.chunks {
            let triples = pre.triples(chunk.gates).await?;
            if triples.len() != chunk.gates {
                return Err(Error::Misuse("preprocessing gave another number of triples"));
            }
            queue.send(triples).await.map_err(|_| Error::Misuse("nobody takes triples"))?;
        }
        Ok(())
    };
    let ((), outputs) = try_join(fetching, rounds.run(&mut lent)).await?;
    Ok(outputs)
}

/// Most bytes that an honest peer has on the way at a time: one round, the masks of what enters.
pub(super) fn bytes_ahead(layout: &Layout<'_>) -> usize {
    let wires: usize = layout.program.inputs.iter().map(|b| layout.program.wires_of(b)).sum();
    wires.saturating_add(2 * ROUND_GATES)
}

/// Follows ⟨λ⟩ and Λ layer by layer.
struct Rounds<'a> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    layers: Layers,
    openings: Openings,
    masks: Walk<Masks>,
    masked: Walk<Masked>,
    /// What is still to be opened of the layer that is being put together.
    layer: Vec<Product>,
    /// Gates of these.
    waiting: usize,
    /// Layers that have ended.
    ended: usize,
    /// Gates opened since the last check.
    unchecked: usize,
}

/// Some lanes of an AND that wait for their round.
struct Product {
    /// The instruction.
    at: usize,
    lanes: Lanes,
    /// ⟨λ_α⟩ and ⟨λ_β⟩, all lanes.
    masks: [Rc<AuthBits>; 2],
    /// Λ_α and Λ_β, all lanes.
    masked: [Rc<Bits>; 2],
    triples: Rc<Lent>,
    /// The triple of the first lane.
    first: usize,
}

impl<'a> Rounds<'a> {
    fn new(run: &'a Run<'a>, layout: &'a Layout<'a>, inputs: &[Wires]) -> Self {
        let mut masks = Walk::new(Masks(run.member.clone()), layout.program);
        let mut masked = Walk::new(Masked, layout.program);
        for (bundle, wires) in inputs.iter().enumerate() {
            masks.enter(layout.program, bundle, &wires.masks);
            masked.enter(layout.program, bundle, &wires.masked);
        }
        let openings = Openings::new(run.member.clone(), run.domain, "layers");
        let (layers, layer) = (layout.program.layers(), Vec::new());
        let (waiting, ended, unchecked) = (0, 0, 0);
        Self { run, layout, layers, openings, masks, masked, layer, waiting, ended, unchecked }
    }

    /// The output bundles, by triples chunk by chunk.
    async fn run(&mut self, lent: &mut mpsc::Receiver<Lent>) -> Result<Vec<Wires>, Error> {
        for chunk in &self.layout.chunks {
            let triples = lent.next().await.ok_or(Error::Misuse("no triples for a chunk"))?;
            let triples = Rc::new(triples);
            for work in self.layout.work(chunk) {
                self.step(work, &triples).await?;
            }
        }
        self.end_layer().await?;
        self.openings.check(&self.run.channel, Kind::LayerMacs).await?;
        let program = self.layout.program;
        let bundles = (0..program.outputs.len()).map(|bundle| {
            let masks = self.masks.output(program, bundle)?;
            let masked = self.masked.output(program, bundle)?;
            Ok(Wires { masks, masked, labels: Labels::None })
        });
        bundles.collect()
    }

    /// One instruction, which may end a layer and begin another.
    async fn step(&mut self, work: Work, triples: &Rc<Lent>) -> Result<(), Error> {
        let at = match work {
            Work::Free(at) | Work::And { at, .. } => at,
        };
        while self.layers.ends().get(self.ended).is_some_and(|end| *end <= at) {
            self.end_layer().await?;
        }
        match work {
            Work::Free(at) => {
                self.masks.step(self.layout.program, at)?;
                self.masked.step(self.layout.program, at)?;
                self.drop_after(at);
            }
            Work::And { at, left, right, gates, lanes } => {
                self.layer.push(Product {
                    at,
                    lanes,
                    masks: [self.masks.at(left)?, self.masks.at(right)?],
                    masked: [self.masked.at(left)?, self.masked.at(right)?],
                    triples: Rc::clone(triples),
                    first: gates.offset,
                });
                self.waiting += lanes.len;
                while self.waiting >= ROUND_GATES {
                    self.round(ROUND_GATES).await?;
                }
            }
        }
        Ok(())
    }

    /// Opens what is left of the layer. A block's MACs are compared after its last layer.
    async fn end_layer(&mut self) -> Result<(), Error> {
        self.round(self.waiting).await?;
        self.ended += 1;
        if self.unchecked >= BLOCK_GATES {
            self.openings.check(&self.run.channel, Kind::LayerMacs).await?;
            self.unchecked = 0;
        }
        Ok(())
    }

    /// One round: everybody's bits of λ_α⊕a, then of λ_β⊕b, of the next `count` gates. Nobody else
    /// vouches for them, but each has its own view judged by its own key.
    async fn round(&mut self, count: usize) -> Result<(), Error> {
        let products = self.next(count);
        let mut mine = Bits::default();
        for half in 0..2 {
            products.iter().for_each(|product| mine.extend_from(&product.hidden(half)));
        }
        let mut results: Vec<_> = products.iter().map(Product::unhidden).collect();
        if count > 0 {
            let channel = &self.run.channel;
            let (opened, weights) = self.openings.exchange(channel, Kind::Layer, mine).await?;
            let opened = Opened::of(&products, &opened, count);
            let factors: Vec<_> = products
                .iter()
                .zip(&opened)
                .map(|(product, opened)| product.factors(opened))
                .collect();
            let all = factors.par_iter().zip(&mut results);
            let sums = all.map(|(factors, product)| factors.multiply(&weights, product));
            let sums = sums.reduce_with(WeightedSums::with).unwrap_or_default();
            self.openings.absorb(2 * count, &sums);
            for (factors, product) in factors.iter().zip(&mut results) {
                product.xor_public(&self.run.member, &factors.both());
            }
        }
        for (Product { at, lanes, .. }, product) in products.into_iter().zip(results) {
            self.masks.put(PlaneId(at as u32), lanes, product);
            self.masked.put(PlaneId(at as u32), lanes, Bits::zeros(lanes.len));
            if lanes.last() {
                self.drop_after(at);
            }
        }
        self.unchecked += count;
        Ok(())
    }

    /// The next `count` gates that wait, and everything without lanes before them.
    fn next(&mut self, count: usize) -> Vec<Product> {
        self.waiting -= count;
        let (mut left, mut whole) = (count, 0);
        for product in &self.layer {
            let Some(rest) = left.checked_sub(product.lanes.len) else { break };
            (left, whole) = (rest, whole + 1);
        }
        let part = self.layer.get_mut(whole).filter(|_| left > 0).map(|rest| rest.split(left));
        let mut next: Vec<_> = self.layer.drain(..whole).collect();
        next.extend(part);
        next
    }

    fn drop_after(&mut self, at: usize) {
        self.masks.drop_after(&self.layout.drops, at);
        self.masked.drop_after(&self.layout.drops, at);
    }
}

impl Product {
    /// The first `len` lanes, which go; the rest stays.
    fn split(&mut self, len: usize) -> Self {
        let lanes = Lanes { len, ..self.lanes };
        let (masks, masked) = (self.masks.clone(), self.masked.clone());
        let (triples, first) = (Rc::clone(&self.triples), self.first);
        self.lanes = Lanes { start: lanes.start + len, len: self.lanes.len - len, ..lanes };
        self.first += len;
        Self { at: self.at, lanes, masks, masked, triples, first }
    }

    fn lanes(&self) -> Range<usize> {
        self.lanes.start..self.lanes.start + self.lanes.len
    }

    /// Its triples among those of the chunk.
    fn which(&self) -> Range<usize> {
        self.first..self.first + self.lanes.len
    }

    /// This party's share bits of λ_α⊕a, or of λ_β⊕b.
    fn hidden(&self, half: usize) -> Bits {
        let mut bits = self.masks[half].share_bits_of(&self.lanes());
        bits.xor_assign(&self.triples.share_bits(self.which())[half]);
        bits
    }

    /// ⟨c⟩, to become the product.
    fn unhidden(&self) -> AuthBits {
        self.triples.product(self.which())
    }

    fn factors<'a>(&'a self, opened: &'a Opened) -> Factors<'a> {
        Factors {
            shares: self.masks.each_ref().map(|masks| masks.lanes(&self.lanes()).collect()),
            triples: self.triples.factors(self.which()),
            opened: opened.masks.each_ref(),
            numbers: opened.numbers,
            hidden: opened.values.each_ref(),
        }
    }
}

/// What a round opened of a product.
struct Opened {
    /// λ_α⊕a and λ_β⊕b.
    masks: [Bits; 2],
    /// d = z_α⊕a and f = z_β⊕b.
    values: [Bits; 2],
    /// The first bits' numbers in the round.
    numbers: [usize; 2],
}

impl Opened {
    /// The parts of `opened`, which is of `count` gates.
    fn of(products: &[Product], opened: &Bits, count: usize) -> Vec<Self> {
        let mut start = 0;
        let part = |product: &Product| {
            let (numbers, len) = ([start, count + start], product.lanes.len);
            start += len;
            let masks = numbers.map(|number| opened.slice(number, len));
            let mut values = masks.clone();
            for (value, masked) in values.iter_mut().zip(&product.masked) {
                value.xor_assign(&masked.slice(product.lanes.start, len));
            }
            Self { masks, values, numbers }
        };
        products.iter().map(part).collect()
    }
}
