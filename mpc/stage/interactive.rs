//! The script of an interactive stage, the same for all members (PROTOCOL.md §9): authentication
//! runs ahead as for garbling; then one round per layer of AND gates opens Λ of its outputs, and
//! every block of layers has its MACs compared.

use super::authenticate::Authenticator;
use super::chunks::{Chunk, Layout, Work};
use super::{Labels, Run, Wires};
use crate::auth::{AuthBits, Member};
use crate::error::Error;
use crate::garble::{AndShares, Gates, Masked, Walk};
use crate::mesh::Kind;
use crate::open::Openings;
use crate::pre::Preprocessing;
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::try_join;
use rayon::prelude::*;
use senate_block::add_selected;
use senate_circuit::{Bits, Layers, PlaneId};

/// Most gates that one message opens; a wider layer takes several rounds. A multiple of 8, so that
/// only a layer's last message has spare bits.
const ROUND_GATES: usize = 1 << 17;
/// A block ends with the layer that brings it to this many gates.
const BLOCK_GATES: usize = 1 << 17;
/// Gates per parallel task; a multiple of 64.
const TILE: usize = 1 << 12;

/// Opens Λ of every AND gate; returns the output bundles once all MACs of all layers have held.
pub(super) async fn run<P: Preprocessing>(
    run: &Run<'_>,
    layout: &Layout<'_>,
    inputs: Vec<Wires>,
    pre: &mut P,
    openings: &mut Openings,
) -> Result<Vec<Wires>, Error> {
    let (queue, authenticated) = mpsc::channel(layout.window() - 1);
    let mut rounds = Rounds::new(run, layout, &inputs);
    let authenticator = Authenticator::new(run, layout, &inputs, pre, openings);
    drop(inputs);
    let (masks, masked) = try_join(authenticator.run(queue), rounds.run(authenticated)).await?;
    let wires = masks.into_iter().zip(masked);
    Ok(wires.map(|(masks, masked)| Wires { masks, masked, labels: Labels::None }).collect())
}

/// Most bytes that an honest peer has on the way at a time: one round and one chunk's triple
/// openings ahead, the masks of what enters.
pub(super) fn bytes_ahead(layout: &Layout<'_>) -> usize {
    let wires: usize = layout.program.inputs.iter().map(|b| layout.program.wires_of(b)).sum();
    let chunk = layout.chunks.iter().map(|chunk| chunk.gates).max().unwrap_or(0);
    wires.saturating_add(2 * ROUND_GATES).saturating_add(chunk)
}

/// Follows Λ layer by layer.
struct Rounds<'a> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    layers: Layers,
    openings: Openings,
    masked: Walk<Masked>,
    layer: Layer,
    /// Layers that have ended.
    ended: usize,
    /// Gates opened since the last check.
    unchecked: usize,
}

/// The layer that is being put together: what is still to be opened, and what was.
struct Layer {
    /// ⟨Λ_γ⟩ of gates whose bits have not been sent.
    shares: AuthBits,
    /// Λ_γ of the gates before.
    opened: Bits,
    /// Where the gates belong, in order.
    gates: Vec<Work>,
}

impl<'a> Rounds<'a> {
    fn new(run: &'a Run<'a>, layout: &'a Layout<'a>, inputs: &[Wires]) -> Self {
        let mut masked = Walk::new(Masked, layout.program);
        for (bundle, wires) in inputs.iter().enumerate() {
            masked.enter(layout.program, bundle, &wires.masked);
        }
        let openings = Openings::new(run.member.clone(), run.domain, "layers");
        let layers = layout.program.layers();
        let layer = Layer::new(AuthBits::zeros(&run.member, 0));
        Self { run, layout, layers, openings, masked, layer, ended: 0, unchecked: 0 }
    }

    /// Λ of the output bundles.
    async fn run(
        &mut self,
        mut chunks: mpsc::Receiver<(Chunk, AndShares)>,
    ) -> Result<Vec<Bits>, Error> {
        while let Some((chunk, shares)) = chunks.next().await {
            self.chunk(&chunk, &shares).await?;
        }
        if self.ended < self.layers.ends().len() {
            self.end_layer().await?;
        }
        self.openings.check(&self.run.channel, Kind::LayerMacs).await?;
        let bundles = 0..self.layout.program.outputs.len();
        bundles.map(|bundle| self.masked.output(self.layout.program, bundle)).collect()
    }

    /// Walks the instructions of a chunk, which may end some layers and begin another.
    async fn chunk(&mut self, chunk: &Chunk, shares: &AndShares) -> Result<(), Error> {
        let layout = self.layout;
        for work in layout.work(chunk) {
            let at = match work {
                Work::Free(at) | Work::And { at, .. } => at,
            };
            while self.layers.ends().get(self.ended).is_some_and(|end| *end <= at) {
                self.end_layer().await?;
            }
            match work {
                Work::Free(at) => {
                    self.masked.step(layout.program, at)?;
                    self.masked.drop_after(&layout.drops, at);
                }
                Work::And { left, right, gates, lanes, .. } => {
                    let left = self.masked.part(left, lanes)?;
                    let right = self.masked.part(right, lanes)?;
                    let values = [&*left, &*right];
                    add_products(&mut self.layer.shares, &self.run.member, shares, gates, values);
                    self.layer.gates.push(work);
                    self.open_whole_rounds().await?;
                }
            }
        }
        Ok(())
    }

    /// Opens as much of the open layer as fills rounds.
    async fn open_whole_rounds(&mut self) -> Result<(), Error> {
        while self.layer.shares.len() >= ROUND_GATES {
            let shares = self.layer.shares.take_front(ROUND_GATES);
            self.open(&shares).await?;
        }
        Ok(())
    }

    /// One round: everybody's bits of Λ_γ. Nobody else vouches for them, but each has its own view
    /// judged by its own key, and a bit is nothing without its fresh mask.
    async fn open(&mut self, shares: &AuthBits) -> Result<(), Error> {
        let opened = self.openings.open(&self.run.channel, Kind::Layer, shares).await?;
        self.layer.opened.extend_from(&opened);
        self.unchecked += shares.len();
        Ok(())
    }

    /// Opens what is left of the layer and gives its gates their Λ. A block's MACs are compared
    /// after its last layer.
    async fn end_layer(&mut self) -> Result<(), Error> {
        let mut shares = std::mem::take(&mut self.layer.shares);
        self.open(&shares).await?;
        shares.clear();
        let Layer { opened, gates, .. } = std::mem::replace(&mut self.layer, Layer::new(shares));
        let mut start = 0;
        for work in gates {
            let Work::And { at, gates, lanes, .. } = work else { continue };
            self.masked.put(PlaneId(at as u32), lanes, opened.slice(start, gates.len));
            start += gates.len;
            if let Some(at) = work.done() {
                self.masked.drop_after(&self.layout.drops, at);
            }
        }
        self.ended += 1;
        if self.unchecked >= BLOCK_GATES {
            self.openings.check(&self.run.channel, Kind::LayerMacs).await?;
            self.unchecked = 0;
        }
        Ok(())
    }
}

impl Layer {
    /// Without gates; `shares` has no bits, but may have room for some.
    fn new(shares: AuthBits) -> Self {
        Self { shares, opened: Bits::default(), gates: Vec::new() }
    }
}

/// Appends ⟨Λ_γ⟩ = Λ_αΛ_β ⊕ Λ_α⟨λ_β⟩ ⊕ Λ_β⟨λ_α⟩ ⊕ ⟨λ_αλ_β ⊕ λ_γ⟩ of some gates of a chunk to `all`.
fn add_products(
    all: &mut AuthBits,
    member: &Member,
    shares: &AndShares,
    gates: Gates,
    [left, right]: [&Bits; 2],
) {
    let (start, lanes) = (all.len(), gates.offset..gates.offset + gates.len);
    all.append_lanes(&shares.product, gates.offset, gates.len);
    let mut products = all.lanes_mut(start, gates.len);
    let factors = shares.left.planes().zip(shares.right.planes());
    for (sum, (of_left, of_right)) in products.each_mut().zip(factors) {
        let (of_left, of_right) = (&of_left[lanes.clone()], &of_right[lanes.clone()]);
        let tiles = sum.par_chunks_mut(TILE).enumerate();
        tiles.for_each(|(tile, sum)| {
            let first = tile * TILE;
            for (bits, values) in [(left, of_right), (right, of_left)] {
                add_selected(sum, &bits.words()[first / 64..], &values[first..]);
            }
        });
    }
    let both = left.words().iter().zip(right.words()).map(|(left, right)| left & right);
    products.xor_public(member, &Bits::from_words(both.collect(), left.len()));
}
