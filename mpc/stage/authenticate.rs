//! PROTOCOL.md §6 step 1: masks of all wires and ⟨λ_αλ_β⟩ of a chunk's AND gates. Masks follow the
//! linear gates, so all of a chunk's openings fit into one message.

use super::chunks::{Chunk, Layout, Work};
use super::multiply::Factors;
use super::{Run, Wires};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::garble::{AndShares, Masks, Walk};
use crate::mesh::Kind;
use crate::open::Openings;
use crate::pre::{Lent, Preprocessing};
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt, future::try_join};
use senate_circuit::{Bits, PlaneId};

/// Chunks whose openings are on the way at a time: masks do not depend on what is opened, so a slow
/// link costs its delay once, not once per chunk.
const AHEAD: usize = 4;

/// Walks a program with its masks, chunk by chunk.
pub(super) struct Authenticator<'a, P> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    pre: &'a mut P,
    openings: &'a mut Openings,
    masks: Walk<Masks>,
}

/// A chunk whose openings have been sent.
struct Asked {
    chunk: Chunk,
    /// ⟨λ_α⟩ and ⟨λ_β⟩.
    factors: [AuthBits; 2],
    /// ⟨λ_γ⟩.
    fresh: AuthBits,
    triples: Lent,
    /// This party's shares of λ_α⊕a, then of λ_β⊕b.
    hidden: Bits,
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

    /// Hands over ⟨λ_α⟩, ⟨λ_β⟩ and ⟨λ_αλ_β ⊕ λ_γ⟩ of every chunk's gates, in order; returns the masks of
    /// the output bundles. The openings are checked later.
    ///
    /// # Errors
    /// Those of preprocessing and the channel; [`Error::Misuse`] when nobody takes the chunks.
    pub(super) async fn run(
        self,
        mut queue: mpsc::Sender<(Chunk, AndShares)>,
    ) -> Result<Vec<AuthBits>, Error> {
        let Self { run, layout, pre, openings, masks } = self;
        let (mut asked, mut answered) = mpsc::channel::<Asked>(AHEAD - 1);
        let closed = |_| Error::Misuse("a stage ended before its masks");
        let asking = async move {
            let mut walker = Walker { run, layout, pre, masks };
            for chunk in &layout.chunks {
                let chunk = walker.ask(chunk).await?;
                asked.send(chunk).await.map_err(closed)?;
            }
            walker.outputs()
        };
        let multiplying = async move {
            while let Some(asked) = answered.next().await {
                let chunk = multiply(run, openings, asked).await?;
                queue.send(chunk).await.map_err(|_| Error::Misuse("nobody takes a chunk"))?;
            }
            Ok(())
        };
        let (masks, ()) = try_join(asking, multiplying).await?;
        Ok(masks)
    }
}

/// Masks of all wires, which follow the linear gates.
struct Walker<'a, P> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    pre: &'a mut P,
    masks: Walk<Masks>,
}

impl<P: Preprocessing> Walker<'_, P> {
    /// Walks a chunk and sends the openings of its products.
    async fn ask(&mut self, chunk: &Chunk) -> Result<Asked, Error> {
        let fresh = self.pre.masks(chunk.gates).await?;
        let mut factors = [(); 2].map(|()| AuthBits::with_room(&self.run.member, chunk.gates));
        for work in self.layout.work(chunk) {
            match work {
                Work::Free(at) => self.masks.step(self.layout.program, at)?,
                Work::And { at, left, right, gates, lanes } => {
                    for (factor, plane) in factors.iter_mut().zip([left, right]) {
                        factor.append(&*self.masks.part(plane, lanes)?);
                    }
                    let output = fresh.slice(gates.offset, gates.len);
                    self.masks.put(PlaneId(at as u32), lanes, output);
                }
            }
            if let Some(at) = work.done() {
                self.masks.drop_after(&self.layout.drops, at);
            }
        }
        let triples = self.pre.triples(chunk.gates).await?;
        if triples.len() != chunk.gates {
            return Err(Error::Misuse("preprocessing gave another number of triples"));
        }
        let mut hidden = Bits::default();
        for (factor, triple) in factors.iter().zip(triples.share_bits(0..chunk.gates)) {
            let mut bits = factor.share_bits();
            bits.xor_assign(&triple);
            hidden.extend_from(&bits);
        }
        if chunk.gates > 0 {
            self.run.channel.send_all(Kind::BeaverBits, &hidden.to_bytes()).await?;
        }
        Ok(Asked { chunk: chunk.clone(), factors, fresh, triples, hidden })
    }

    /// Masks of the output bundles, after the last chunk.
    fn outputs(&self) -> Result<Vec<AuthBits>, Error> {
        let bundles = 0..self.layout.program.outputs.len();
        bundles.map(|bundle| self.masks.output(self.layout.program, bundle)).collect()
    }
}

/// ⟨λ_αλ_β ⊕ λ_γ⟩ of a chunk.
async fn multiply(
    run: &Run<'_>,
    openings: &mut Openings,
    asked: Asked,
) -> Result<(Chunk, AndShares), Error> {
    let Asked { chunk, factors, fresh, triples, hidden } = asked;
    let (count, mut product) = (chunk.gates, triples.product(0..chunk.gates));
    if count > 0 {
        let (opened, weights) = openings.hear(&run.channel, Kind::BeaverBits, hidden).await?;
        let (d, f) = (opened.slice(0, count), opened.slice(count, count));
        let multiplied = Factors {
            shares: factors.each_ref().map(|shares| shares.lanes(&(0..count)).collect()),
            triples: triples.factors(0..count),
            opened: [&d, &f],
            numbers: [0, count],
            hidden: [&d, &f],
        };
        let sums = multiplied.multiply(&weights, &mut product);
        product.xor_public(&run.member, &multiplied.both());
        drop(triples);
        openings.absorb(opened.len(), &sums);
        product.xor_assign(&fresh);
    }
    let [left, right] = factors;
    Ok((chunk, AndShares { left, right, product }))
}
