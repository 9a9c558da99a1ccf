//! Garbling and evaluating one batch of gates, with shares from a dealer.

use super::evaluator::{Active, Inputs};
use super::hash::GateKeys;
use super::*;
use crate::auth::Member;
use crate::domain::{Domain, SessionId};
use crate::mesh::Lane;
use crate::pre::ideal::Dealer;
use senate_block::Block;
use senate_circuit::{Bits, PartyId, PartySet, StageId};

struct Batch {
    gates: Gates,
    z: [Bits; 2],
    masks: [Bits; 3],
}

impl Batch {
    fn new(gate: u64, len: usize) -> Self {
        let bits = |p: usize, q: usize| (0..len).map(|i| i * i % p < q).collect::<Bits>();
        let masks = [bits(13, 6), bits(17, 8), bits(19, 9)];
        Self { gates: Gates { gate, offset: 0, len }, z: [bits(7, 3), bits(5, 2)], masks }
    }

    fn masked(&self, side: usize) -> Bits {
        let mut bits = self.z[side].clone();
        bits.xor_assign(&self.masks[side]);
        bits
    }

    fn shares(&self, member: &Member) -> AndShares {
        let dealer = Dealer::new(3);
        let mut product: Bits =
            self.masks[0].iter().zip(self.masks[1].iter()).map(|(a, b)| a & b).collect();
        product.xor_assign(&self.masks[2]);
        AndShares {
            left: dealer.share(member, 1, &self.masks[0]),
            right: dealer.share(member, 2, &self.masks[1]),
            product: dealer.share(member, 3, &product),
        }
    }

    /// L_0 of side `side` at `party`.
    fn zero(&self, party: PartyId, side: u128) -> Vec<Block> {
        let seed = party.index() as u128 * 2 + side + 1;
        let label = |r: usize| Block((seed << 64 | r as u128).wrapping_mul(0x9e37_79b9_97f4_a7c5));
        (0..self.gates.len).map(label).collect()
    }
}

fn agrees(n: usize, evaluator: PartyId, batch: &Batch) {
    let set = PartySet::first(n);
    let keys = GateKeys::new(Domain::new(SessionId([8; 32]), set, Lane::stage(StageId(1))));
    let garblers = set.without(evaluator);
    let member = |party| Dealer::new(3).member(party, set).unwrap();
    let mut tables = Vec::new();
    let mut outputs = Vec::new();
    let mut active: [Active; 2] = [Vec::new(), Vec::new()];
    for i in garblers.iter() {
        let member = member(i);
        let garbler = Garbler::new(&member, garblers, keys);
        let epochs = garbler.epochs(batch.gates.gate, batch.gates.len);
        let mut table = vec![Block::ZERO; batch.gates.len * table_rows(n)];
        let mut output = vec![Block::ZERO; batch.gates.len];
        let zeros = [batch.zero(i, 0), batch.zero(i, 1)];
        let shares = batch.shares(&member);
        let inputs = [&zeros[0][..], &zeros[1][..]];
        garbler.and(&epochs, batch.gates, inputs, &shares, &mut table, &mut output);
        for (side, active) in active.iter_mut().enumerate() {
            let masked = batch.masked(side);
            let labels = zeros[side].iter().zip(masked.iter());
            active.push(labels.map(|(l, bit)| *l ^ member.delta().times(bit)).collect());
        }
        tables.push(table);
        outputs.push((member.delta(), output));
    }
    let member = member(evaluator);
    let kernel = Evaluator::new(&member, keys);
    let epochs = kernel.epochs(batch.gates.gate, batch.gates.len);
    let masked = [batch.masked(0), batch.masked(1)];
    let inputs = Inputs { labels: active.each_ref(), masked: masked.each_ref() };
    let tables: Vec<&[Block]> = tables.iter().map(Vec::as_slice).collect();
    let labels = kernel.and(&epochs, batch.gates, inputs, &batch.shares(&member), &tables);
    for (labels, (delta, zeros)) in labels.iter().zip(&outputs) {
        for (r, (label, zero)) in labels.iter().zip(zeros).enumerate() {
            let masked = (batch.z[0].bit(r) & batch.z[1].bit(r)) ^ batch.masks[2].bit(r);
            assert!(*label == *zero ^ delta.times(masked), "gate {r} of {n} parties");
        }
    }
}

#[test]
fn active_labels_carry_the_masked_product() {
    for n in 2..6 {
        for evaluator in PartySet::first(n).iter() {
            for (gate, len) in [(0, 1), (250, 300), (4000, 130)] {
                agrees(n, evaluator, &Batch::new(gate, len));
            }
        }
    }
    agrees(3, PartyId::new(1).unwrap(), &Batch::new(4095, 6000));
}
