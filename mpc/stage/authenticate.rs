//! PROTOCOL.md §6 step 1: masks of all wires and ⟨λ_αλ_β⟩ of a chunk's AND gates. Masks follow the
//! linear gates, so all of a chunk's openings fit into one message.

use super::chunks::{Chunk, Layout, Work};
use super::{Run, Wires};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::garble::{AndShares, Masks, Walk};
use crate::mesh::Kind;
use crate::open::Openings;
use crate::pre::{Preprocessing, Triples};
use senate_circuit::PlaneId;

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
        let Triples { a, b, c } = self.pre.triples(count).await?;
        if c.len() != count {
            return Err(Error::Misuse("preprocessing gave another number of triples"));
        }
        let mut hidden = x.clone();
        hidden.xor_assign(&a);
        let mut second = y.clone();
        second.xor_assign(&b);
        hidden.append(&second);
        let opened = self.openings.open(&self.run.channel, Kind::BeaverBits, &hidden).await?;
        let (d, f) = (opened.slice(0, count), opened.slice(count, count));
        let both = d.words().iter().zip(f.words()).map(|(d, f)| d & f).collect();
        let mut product = c;
        product.xor_assign(&b.times_public(&d));
        product.xor_assign(&a.times_public(&f));
        product.xor_public(&self.run.member, &senate_circuit::Bits::from_words(both, count));
        Ok(product)
    }
}
