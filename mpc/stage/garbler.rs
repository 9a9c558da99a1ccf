//! The garbler's script of a stage (PROTOCOL.md §6 steps 2 and 4): garbling runs ahead of the
//! evaluator by a bounded window; its own share of the gate check follows only verified Λ.

use super::authenticate::Authenticator;
use super::chunks::{Chunk, Layout, Work};
use super::{Labels, Run, Wires};
use crate::error::{Error, Fault};
use crate::garble::hash::GateKeys;
use crate::garble::{AndShares, Garbler, Masked, Walk, ZeroLabels, table_rows};
use crate::mesh::Kind;
use crate::open::{Openings, to_block, weighted_sum};
use crate::pre::Preprocessing;
use crate::stage::run::label_hash;
use crate::wire::{BLOCK_BYTES, bit_bytes, to_bits};
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt, future::try_join3};
use senate_block::{Block, Weights, add_selected, add_where, low_bits};
use senate_circuit::{Bits, PlaneId};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// What judging the evaluator's answer to a chunk takes.
struct Garbled {
    chunk: Chunk,
    /// L_γ0 of the AND gates, active labels once Λ is known.
    zeros: Vec<Block>,
    /// M_e[λ_α], M_e[λ_β] and M_e[λ_αλ_β ⊕ λ_γ].
    macs: [Vec<Block>; 3],
}

impl Drop for Garbled {
    fn drop(&mut self) {
        self.zeros.zeroize();
        self.macs.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Garbles every chunk and checks every answer; sends z once at the end.
pub(super) async fn run<P: Preprocessing>(
    run: &Run<'_>,
    layout: &Layout<'_>,
    inputs: Vec<Wires>,
    pre: &mut P,
    openings: &mut Openings,
) -> Result<Vec<Wires>, Error> {
    let (queue, answers) = mpsc::channel(layout.window() - 1);
    let mut verifier = Verifier::new(run, layout, &inputs)?;
    let (shared, authenticated) = mpsc::channel(0);
    let authenticator = Authenticator::new(run, layout, &inputs, pre, openings);
    let mut zeros = Walk::new(ZeroLabels(run.member.delta()), layout.program);
    for (bundle, wires) in inputs.iter().enumerate() {
        let Labels::Zero(labels) = &wires.labels else {
            return Err(Error::Misuse("a garbler's wires carry zero labels"));
        };
        zeros.enter(layout.program, bundle, labels);
    }
    drop(inputs);
    let garbling = garble(run, layout, authenticated, zeros, queue);
    let (masks, labels, masked) =
        try_join3(authenticator.run(shared), garbling, verifier.run(answers)).await?;
    let wires = masks.into_iter().zip(labels).zip(masked);
    let wires = wires.map(|((masks, labels), masked)| Wires {
        masks,
        masked,
        labels: Labels::Zero(labels),
    });
    Ok(wires.collect())
}

/// L_0 of the output bundles.
async fn garble(
    run: &Run<'_>,
    layout: &Layout<'_>,
    mut authenticated: mpsc::Receiver<(Chunk, AndShares)>,
    mut zeros: Walk<ZeroLabels>,
    mut queue: mpsc::Sender<Garbled>,
) -> Result<Vec<Vec<Block>>, Error> {
    let garbler = Garbler::new(&run.member, run.garblers(), GateKeys::new(run.domain));
    let rank = run.member.peer_rank(run.evaluator())?;
    while let Some((chunk, shares)) = authenticated.next().await {
        let (table, outputs) = garble_chunk(run, layout, &garbler, &chunk, &shares, &mut zeros)?;
        if chunk.gates > 0 {
            run.send_long(run.evaluator(), Kind::Table, &table).await?;
            if run.garblers().leader() == Some(run.member.me()) {
                let color = Bits::from_words(low_bits(&outputs), outputs.len());
                run.channel.send(run.evaluator(), Kind::Color, color.to_bytes()).await?;
            }
        }
        let macs = [&shares.left, &shares.right, &shares.product];
        let macs = macs.map(|shares| shares.macs(rank).to_vec());
        let garbled = Garbled { chunk, zeros: outputs, macs };
        let closed = |_| Error::Misuse("the verifier of a stage ended before its garbler");
        queue.send(garbled).await.map_err(closed)?;
    }
    let bundles = 0..layout.program.outputs.len();
    bundles.map(|bundle| zeros.output(layout.program, bundle)).collect()
}

/// The chunk's table and L_0 of its AND outputs.
fn garble_chunk(
    run: &Run<'_>,
    layout: &Layout<'_>,
    garbler: &Garbler,
    chunk: &Chunk,
    shares: &AndShares,
    zeros: &mut Walk<ZeroLabels>,
) -> Result<(Vec<Block>, Vec<Block>), Error> {
    let rows = table_rows(run.member.set().len());
    let epochs = garbler.epochs(chunk.first_gate, chunk.gates);
    let mut table = vec![Block::ZERO; chunk.gates * rows];
    let mut outputs = Vec::with_capacity(chunk.gates);
    for work in layout.work(chunk) {
        match work {
            Work::Free(at) => zeros.step(layout.program, at)?,
            Work::And { at, left, right, gates, lanes } => {
                let (left, right) = (zeros.part(left, lanes)?, zeros.part(right, lanes)?);
                let mut output = vec![Block::ZERO; gates.len];
                let table = &mut table[gates.offset * rows..][..gates.len * rows];
                garbler.and(&epochs, gates, [&left, &right], shares, table, &mut output);
                outputs.extend_from_slice(&output);
                zeros.put(PlaneId(at as u32), lanes, output);
            }
        }
        if let Some(at) = work.done() {
            zeros.drop_after(&layout.drops, at);
        }
    }
    Ok((table, outputs))
}

/// Follows Λ as the evaluator reports it.
struct Verifier<'a> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    masked: Walk<Masked>,
    /// Σχ_γM_e[t^i_γ] of the chunks whose label hash was right.
    z: Block,
}

impl<'a> Verifier<'a> {
    fn new(run: &'a Run<'a>, layout: &'a Layout<'a>, inputs: &[Wires]) -> Result<Self, Error> {
        let mut masked = Walk::new(Masked, layout.program);
        for (bundle, wires) in inputs.iter().enumerate() {
            masked.enter(layout.program, bundle, &wires.masked);
        }
        Ok(Self { run, layout, masked, z: run.zero_share("gate check")? })
    }

    /// Λ of the output bundles, once every answer has been checked and z sent.
    async fn run(&mut self, mut answers: mpsc::Receiver<Garbled>) -> Result<Vec<Bits>, Error> {
        while let Some(mut garbled) = answers.next().await {
            self.judge(&mut garbled).await?;
        }
        let z = self.z.to_bytes().to_vec();
        self.run.channel.send(self.run.evaluator(), Kind::Z, z).await?;
        let bundles = 0..self.layout.program.outputs.len();
        bundles.map(|bundle| self.masked.output(self.layout.program, bundle)).collect()
    }

    async fn judge(&mut self, garbled: &mut Garbled) -> Result<(), Error> {
        let (evaluator, count) = (self.run.evaluator(), garbled.chunk.gates);
        if count == 0 {
            self.follow(&garbled.chunk, &Bits::default())?;
            return Ok(());
        }
        let size = bit_bytes(count) + BLOCK_BYTES + blake3::OUT_LEN;
        let message = self.run.channel.recv(evaluator, Kind::Eval, size).await?;
        let (masked, rest) = message.split_at(bit_bytes(count));
        let (chi, claimed) = rest.split_at(BLOCK_BYTES);
        let masked = to_bits(masked, count, evaluator, Kind::Eval)?;
        let delta = self.run.member.delta();
        add_where(&mut garbled.zeros, masked.words(), delta);
        let active = &garbled.zeros;
        let hash = label_hash(self.run, &garbled.chunk, self.run.member.me(), active);
        if !bool::from(hash.ct_eq(claimed)) {
            // Another garbler's wrong table spoils our labels too: this convicts nobody.
            return Err(Error::unattributed(Fault::LabelHash));
        }
        // Only now that Λ is known to be true may it choose what z says about our masks.
        let [left, right] = self.follow(&garbled.chunk, &masked)?;
        let [mac_left, mac_right, t] = &mut garbled.macs;
        add_selected(t, left.words(), mac_right);
        add_selected(t, right.words(), mac_left);
        self.z ^= weighted_sum(&Weights::new(to_block(chi)), t);
        Ok(())
    }

    /// Walks the chunk; Λ_α and Λ_β of its AND gates.
    fn follow(&mut self, chunk: &Chunk, masked: &Bits) -> Result<[Bits; 2], Error> {
        let mut inputs = [Bits::default(), Bits::default()];
        for work in self.layout.work(chunk) {
            match work {
                Work::Free(at) => self.masked.step(self.layout.program, at)?,
                Work::And { at, left, right, gates, lanes } => {
                    inputs[0].extend_from(&*self.masked.part(left, lanes)?);
                    inputs[1].extend_from(&*self.masked.part(right, lanes)?);
                    let output = masked.slice(gates.offset, gates.len);
                    self.masked.put(PlaneId(at as u32), lanes, output);
                }
            }
            if let Some(at) = work.done() {
                self.masked.drop_after(&self.layout.drops, at);
            }
        }
        Ok(inputs)
    }
}
