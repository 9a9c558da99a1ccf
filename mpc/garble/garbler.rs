//! The garbler's half of PROTOCOL.md §6 step 2: tables of a batch of AND gates.

use super::hash::{Epochs, GateKeys, Half, tweak};
use super::tiles::{TILE, Tile, cut, each, tiles};
use super::{AndShares, Gates, table_rows};
use crate::auth::Member;
use senate_block::{Block, Tccr};
use senate_circuit::{PartyId, PartySet};

/// Garbler i of a stage: Δ_i and whom its rows are for.
pub(crate) struct Garbler {
    me: PartyId,
    delta: Block,
    /// Other garblers and their rank among this party's peers.
    others: Vec<(PartyId, usize)>,
    keys: GateKeys,
    rows: usize,
}

impl Garbler {
    /// `member` as a garbler of a stage whose garblers are `garblers`.
    pub(crate) fn new(member: &Member, garblers: PartySet, keys: GateKeys) -> Self {
        let peers = member.peers();
        let others = garblers.without(member.me());
        let others = others.iter().filter_map(|j| peers.rank(j).map(|rank| (j, rank))).collect();
        let rows = table_rows(member.set().len());
        Self { me: member.me(), delta: member.delta(), others, keys, rows }
    }

    /// Hashes of the gates `first .. first + count`.
    pub(crate) fn epochs(&self, first: u64, count: usize) -> Epochs {
        self.keys.epochs(first, count as u64)
    }

    /// Garbles `gates`: `left` and `right` are L_0 of the inputs, `output` receives L_0 of the
    /// outputs, `table` the rows, tile by tile: `[G0 | G1 | (S0 | S1 | S2) per other garbler]`.
    pub(crate) fn and(
        &self,
        epochs: &Epochs,
        gates: Gates,
        inputs: [&[Block]; 2],
        shares: &AndShares,
        mut table: &mut [Block],
        mut output: &mut [Block],
    ) {
        let jobs = tiles(gates)
            .into_iter()
            .map(|tile| (tile, cut(&mut table, tile.len * self.rows), cut(&mut output, tile.len)));
        each(jobs.collect(), |(tile, table, output)| {
            let lanes = tile.lane..tile.lane + tile.len;
            let inputs = inputs.map(|plane| &plane[lanes.clone()]);
            self.tile(epochs.of(tile.gate), tile, inputs, shares, table, output);
        });
    }

    fn tile(
        &self,
        hash: &Tccr,
        tile: Tile,
        [left, right]: [&[Block]; 2],
        shares: &AndShares,
        mut table: &mut [Block],
        output: &mut [Block],
    ) {
        let (len, at) = (tile.len, tile.offset..tile.offset + tile.len);
        let mut pis = Pis { left: [[Block::ZERO; TILE]; 2], right: [[Block::ZERO; TILE]; 2], len };
        pis.fill(hash, self.delta, left, right);
        // Own key: G0, G1 and L_γ0, with D_i.
        let (g0, g1) = (cut(&mut table, len), cut(&mut table, len));
        pis.rows(hash, tile.gate, (self.me, self.me), [g0, g1, output]);
        xor(g0, &shares.right.d()[at.clone()]);
        xor(g1, &shares.left.d()[at.clone()]);
        xor(g1, left);
        xor(output, &shares.product.d()[at.clone()]);
        // Every other garbler's key: S0, S1, S2, with M_j.
        for (j, rank) in &self.others {
            let [s0, s1, s2] = [(); 3].map(|()| cut(&mut table, len));
            pis.rows(hash, tile.gate, (self.me, *j), [s0, s1, s2]);
            xor(s0, &shares.right.macs(*rank)[at.clone()]);
            xor(s1, &shares.left.macs(*rank)[at.clone()]);
            xor(s2, &shares.product.macs(*rank)[at.clone()]);
        }
    }
}

/// π(L_α0), π(L_α1), π(L_β0), π(L_β1) of a tile, computed once for all rows.
struct Pis {
    left: [[Block; TILE]; 2],
    right: [[Block; TILE]; 2],
    len: usize,
}

impl Pis {
    fn fill(&mut self, hash: &Tccr, delta: Block, left: &[Block], right: &[Block]) {
        for (labels, [pi0, pi1]) in [(left, &mut self.left), (right, &mut self.right)] {
            let mut ones = [Block::ZERO; TILE];
            ones.iter_mut().zip(labels).for_each(|(one, zero)| *one = *zero ^ delta);
            hash.pi(labels, pi0);
            hash.pi(&ones[..labels.len()], pi1);
        }
    }

    /// H(L_α0)⊕H(L_α1), H(L_β0)⊕H(L_β1) and H(L_α0)⊕H(L_β0) under the tweaks of row `pair`.
    fn rows(
        &self,
        hash: &Tccr,
        gate: u64,
        pair: (PartyId, PartyId),
        [first, second, third]: [&mut [Block]; 3],
    ) {
        let [left, right] = [Half::Left, Half::Right].map(|half| tweak(gate, pair.0, pair.1, half));
        hash.finish(&self.left[0][..self.len], left, first);
        third.copy_from_slice(first);
        hash.finish_into(&self.left[1][..self.len], left, first);
        hash.finish(&self.right[0][..self.len], right, second);
        xor(third, second);
        hash.finish_into(&self.right[1][..self.len], right, second);
    }
}

fn xor(into: &mut [Block], from: &[Block]) {
    senate_block::xor_into(into, from);
}
