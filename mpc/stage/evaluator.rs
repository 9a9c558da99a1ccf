//! The evaluator's script of a stage (PROTOCOL.md §6 steps 3 and 4): authenticates ahead of the
//! tables, evaluates each chunk, reports Λ with the label hashes, and checks the gates at the end.

use super::authenticate::Authenticator;
use super::chunks::{Chunk, Layout, Work};
use super::run::label_hash;
use super::{Labels, Run, Wires};
use crate::error::{Error, Fault};
use crate::garble::evaluator::{Active, Inputs};
use crate::garble::hash::GateKeys;
use crate::garble::{ActiveLabels, AndShares, Evaluator, Masked, Walk, table_rows};
use crate::join::try_join_all;
use crate::mesh::Kind;
use crate::open::{Openings, to_block, weighted_sum};
use crate::pre::Preprocessing;
use crate::wire::{BLOCK_BYTES, bit_bytes, to_bits};
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::try_join;
use senate_block::{Block, Weights, add_selected, add_where, low_bits};
use senate_circuit::{Bits, PartyId, PlaneId};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Evaluates every chunk and checks the garblers' answers.
pub(super) async fn run<P: Preprocessing>(
    run: &Run<'_>,
    layout: &Layout<'_>,
    inputs: Vec<Wires>,
    pre: &mut P,
    openings: &mut Openings,
) -> Result<Vec<Wires>, Error> {
    let (queue, authenticated) = mpsc::channel(layout.window() - 1);
    let mut evaluation = Evaluation::new(run, layout, &inputs)?;
    let authenticator = Authenticator::new(run, layout, &inputs, pre, openings);
    drop(inputs);
    let (masks, ()) = try_join(authenticator.run(queue), evaluation.run(authenticated)).await?;
    let bundles = masks.into_iter().enumerate();
    let wires = bundles.map(|(bundle, masks)| {
        let masked = evaluation.masked.output(layout.program, bundle)?;
        let labels = Labels::Active(evaluation.active.output(layout.program, bundle)?);
        Ok(Wires { masks, masked, labels })
    });
    wires.collect()
}

struct Evaluation<'a> {
    run: &'a Run<'a>,
    layout: &'a Layout<'a>,
    kernel: Evaluator,
    active: Walk<ActiveLabels>,
    masked: Walk<Masked>,
    /// What the garblers' z must add up to.
    expected: Block,
}

/// What a chunk's evaluation yields, all AND gates in order.
struct Evaluated {
    labels: Active,
    masked: Bits,
    /// Λ_α and Λ_β.
    inputs: [Bits; 2],
}

impl Drop for Evaluated {
    fn drop(&mut self) {
        self.labels.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl<'a> Evaluation<'a> {
    fn new(run: &'a Run<'a>, layout: &'a Layout<'a>, inputs: &[Wires]) -> Result<Self, Error> {
        let mut active = Walk::new(ActiveLabels(run.garblers().len()), layout.program);
        let mut masked = Walk::new(Masked, layout.program);
        for (bundle, wires) in inputs.iter().enumerate() {
            let Labels::Active(labels) = &wires.labels else {
                return Err(Error::Misuse("the evaluator's wires carry active labels"));
            };
            active.enter(layout.program, bundle, labels);
            masked.enter(layout.program, bundle, &wires.masked);
        }
        let kernel = Evaluator::new(&run.member, GateKeys::new(run.domain));
        let expected = run.zero_share("gate check")?;
        Ok(Self { run, layout, kernel, active, masked, expected })
    }

    async fn run(&mut self, mut chunks: mpsc::Receiver<(Chunk, AndShares)>) -> Result<(), Error> {
        while let Some((chunk, shares)) = chunks.next().await {
            let tables = self.tables(&chunk).await?;
            let evaluated = self.evaluate(&chunk, &shares, &tables)?;
            drop(tables);
            if chunk.gates > 0 {
                self.report(&chunk, &shares, &evaluated).await?;
            }
        }
        self.check().await
    }

    /// Every garbler's table and, from the first, the colour bits.
    async fn tables(&self, chunk: &Chunk) -> Result<(Vec<Vec<Block>>, Bits), Error> {
        if chunk.gates == 0 {
            return Ok((vec![Vec::new(); self.run.garblers().len()], Bits::default()));
        }
        let rows = chunk.gates * table_rows(self.run.member.set().len());
        let receive = |i: PartyId| self.run.recv_long(i, Kind::Table, rows);
        let tables = try_join_all(self.run.garblers().iter().map(receive)).await?;
        let first = self.run.garblers().leader().ok_or(Error::Misuse("a stage has garblers"))?;
        let color = self.run.channel.recv(first, Kind::Color, bit_bytes(chunk.gates)).await?;
        Ok((tables, to_bits(&color, chunk.gates, first, Kind::Color)?))
    }

    fn evaluate(
        &mut self,
        chunk: &Chunk,
        shares: &AndShares,
        (tables, color): &(Vec<Vec<Block>>, Bits),
    ) -> Result<Evaluated, Error> {
        let rows = table_rows(self.run.member.set().len());
        let epochs = self.kernel.epochs(chunk.first_gate, chunk.gates);
        let mut all = Evaluated {
            labels: tables.iter().map(|_| Vec::with_capacity(chunk.gates)).collect(),
            masked: Bits::default(),
            inputs: [Bits::default(), Bits::default()],
        };
        for work in self.layout.work(chunk) {
            match work {
                Work::Free(at) => {
                    self.active.step(self.layout.program, at)?;
                    self.masked.step(self.layout.program, at)?;
                }
                Work::And { at, left, right, gates, lanes } => {
                    let labels = [self.active.part(left, lanes)?, self.active.part(right, lanes)?];
                    let masked = [self.masked.part(left, lanes)?, self.masked.part(right, lanes)?];
                    let inputs = Inputs {
                        labels: labels.each_ref().map(|plane| &**plane),
                        masked: masked.each_ref().map(|plane| &**plane),
                    };
                    let rows = gates.offset * rows..(gates.offset + gates.len) * rows;
                    let tables: Vec<_> = tables.iter().map(|t| &t[rows.clone()]).collect();
                    let output = self.kernel.and(&epochs, gates, inputs, shares, &tables);
                    let mut bits = color.slice(gates.offset, gates.len);
                    if let Some(first) = output.first() {
                        bits.xor_assign(&Bits::from_words(low_bits(first), first.len()));
                    }
                    all.extend(&output, &bits, inputs.masked);
                    self.active.put(PlaneId(at as u32), lanes, output);
                    self.masked.put(PlaneId(at as u32), lanes, bits);
                }
            }
            if let Some(at) = work.done() {
                self.active.drop_after(&self.layout.drops, at);
                self.masked.drop_after(&self.layout.drops, at);
            }
        }
        Ok(all)
    }

    /// Step 4a: Λ, a fresh χ and each garbler's label hash; what z must be is noted.
    async fn report(
        &mut self,
        chunk: &Chunk,
        shares: &AndShares,
        evaluated: &Evaluated,
    ) -> Result<(), Error> {
        let chi = self.run.entropy.block("gate check");
        let mut common = evaluated.masked.to_bytes();
        common.extend(chi.to_bytes());
        let sends = self.run.garblers().iter().zip(&evaluated.labels).map(|(i, labels)| {
            let mut message = common.clone();
            message.extend(label_hash(self.run, chunk, i, labels));
            self.run.channel.send(i, Kind::Eval, message)
        });
        try_join_all(sends).await?;
        let [left, right] = &evaluated.inputs;
        let mut t = shares.product.d().to_vec();
        add_selected(&mut t, left.words(), shares.right.d());
        add_selected(&mut t, right.words(), shares.left.d());
        let words = left.words().iter().zip(right.words()).zip(evaluated.masked.words());
        let public: Vec<_> = words.map(|((left, right), output)| left & right ^ output).collect();
        add_where(&mut t, &public, self.run.member.delta());
        self.expected ^= weighted_sum(&Weights::new(chi), &t);
        Ok(())
    }

    /// Step 4c: the garblers' shares and ours add up to zero.
    async fn check(&self) -> Result<(), Error> {
        let receive = |i| self.run.channel.recv(i, Kind::Z, BLOCK_BYTES);
        let received = try_join_all(self.run.garblers().iter().map(receive)).await?;
        let sum = received.iter().fold(self.expected, |sum, z| sum ^ to_block(z));
        match bool::from(sum.ct_eq(&Block::ZERO)) {
            true => Ok(()),
            false => Err(Error::unattributed(Fault::GateCheck)),
        }
    }
}

impl Evaluated {
    fn extend(&mut self, labels: &Active, masked: &Bits, inputs: [&Bits; 2]) {
        for (all, labels) in self.labels.iter_mut().zip(labels) {
            all.extend_from_slice(labels);
        }
        self.masked.extend_from(masked);
        self.inputs.iter_mut().zip(inputs).for_each(|(all, bits)| all.extend_from(bits));
    }
}
