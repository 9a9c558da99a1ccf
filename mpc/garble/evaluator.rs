//! The evaluator's half of PROTOCOL.md §6 step 3: active labels of a batch of AND gates.

use super::hash::{Epochs, GateKeys, Half, tweak};
use super::tiles::{TILE, Tile, cut, each, tiles};
use super::{AndShares, Gates, table_rows};
use crate::auth::Member;
use senate_block::{Block, Tccr, add_selected, xor_into};
use senate_circuit::{Bits, PartyId, PartySet};

/// The evaluator of a stage: it holds one active label per garbler and wire.
pub(crate) struct Evaluator {
    /// The garblers, all peers: a garbler's position is its rank among the evaluator's peers.
    garblers: Vec<PartyId>,
    keys: GateKeys,
    rows: usize,
}

/// Active labels of a plane: one plane of labels per garbler, ascending.
pub(crate) type Active = Vec<Vec<Block>>;

/// The inputs of a batch: active labels and masked values of both sides.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// Active labels of left and right.
    pub(crate) labels: [&'a Active; 2],
    /// Λ of left and right.
    pub(crate) masked: [&'a Bits; 2],
}

impl Evaluator {
    /// `member` as the evaluator of a stage; everybody else garbles.
    pub(crate) fn new(member: &Member, keys: GateKeys) -> Self {
        let garblers: PartySet = member.peers();
        let rows = table_rows(member.set().len());
        Self { garblers: garblers.iter().collect(), keys, rows }
    }

    /// Hashes of the gates `first .. first + count`.
    pub(crate) fn epochs(&self, first: u64, count: usize) -> Epochs {
        self.keys.epochs(first, count as u64)
    }

    /// Evaluates `gates`: `tables` holds each garbler's rows of exactly these gates, `shares` this
    /// party's own; returns the active labels of the outputs.
    pub(crate) fn and(
        &self,
        epochs: &Epochs,
        gates: Gates,
        inputs: Inputs<'_>,
        shares: &AndShares,
        tables: &[&[Block]],
    ) -> Active {
        let mut output: Active = vec![vec![Block::ZERO; gates.len]; self.garblers.len()];
        let mut rest: Vec<&mut [Block]> = output.iter_mut().map(Vec::as_mut_slice).collect();
        let jobs = tiles(gates).into_iter().map(|tile| {
            let output: Vec<_> = rest.iter_mut().map(|plane| cut(plane, tile.len)).collect();
            (tile, output)
        });
        each(jobs.collect(), |(tile, output)| {
            self.tile(epochs.of(tile.gate), tile, inputs, shares, tables, output);
        });
        output
    }

    fn tile(
        &self,
        hash: &Tccr,
        tile: Tile,
        inputs: Inputs<'_>,
        shares: &AndShares,
        tables: &[&[Block]],
        mut output: Vec<&mut [Block]>,
    ) {
        let [left, right] = inputs.masked.map(|bits| bits.slice(tile.lane, tile.len));
        let (left, right) = (left.words(), right.words());
        own_macs(shares, tile, left, right, &mut output);
        let lanes = tile.lane..tile.lane + tile.len;
        let mut row = [Block::ZERO; TILE];
        let row = &mut row[..tile.len];
        let mut pis = Pis { left: [Block::ZERO; TILE], right: [Block::ZERO; TILE], len: tile.len };
        for (rank, i) in self.garblers.iter().enumerate() {
            let [alpha, beta] = inputs.labels.map(|active| &active[rank][lanes.clone()]);
            hash.pi(alpha, &mut pis.left);
            hash.pi(beta, &mut pis.right);
            let mut table = &tables[rank][tile.lane * self.rows..];
            // Own key: H(L_α)⊕H(L_β)⊕Λ_αG0⊕Λ_β(G1⊕L_α).
            pis.row(hash, tile.gate, (*i, *i), row);
            add_selected(row, left, take(&mut table, tile.len));
            add_selected(row, right, take(&mut table, tile.len));
            add_selected(row, right, alpha);
            xor_into(output[rank], row);
            // M_j[r^i] = H(L_α)⊕H(L_β)⊕Λ_αS0⊕Λ_βS1⊕S2 completes the label of every other j.
            for (other, j) in self.garblers.iter().enumerate().filter(|(_, j)| *j != i) {
                pis.row(hash, tile.gate, (*i, *j), row);
                add_selected(row, left, take(&mut table, tile.len));
                add_selected(row, right, take(&mut table, tile.len));
                xor_into(row, take(&mut table, tile.len));
                xor_into(output[other], row);
            }
        }
    }
}

/// M_i[r^e] = Λ_αM_i[λ_β^e]⊕Λ_βM_i[λ_α^e]⊕M_i[(λ_αλ_β⊕λ_γ)^e], into the label of every garbler i.
fn own_macs(
    shares: &AndShares,
    tile: Tile,
    left: &[u64],
    right: &[u64],
    output: &mut [&mut [Block]],
) {
    let at = tile.offset..tile.offset + tile.len;
    for (rank, output) in output.iter_mut().enumerate() {
        output.copy_from_slice(&shares.product.macs(rank)[at.clone()]);
        add_selected(output, left, &shares.right.macs(rank)[at.clone()]);
        add_selected(output, right, &shares.left.macs(rank)[at.clone()]);
    }
}

/// π(L_α) and π(L_β) of a tile, computed once for all rows.
struct Pis {
    left: [Block; TILE],
    right: [Block; TILE],
    len: usize,
}

impl Pis {
    /// H(L_α)⊕H(L_β) under the tweaks of row `pair`.
    fn row(&self, hash: &Tccr, gate: u64, pair: (PartyId, PartyId), row: &mut [Block]) {
        hash.finish(&self.left[..self.len], tweak(gate, pair.0, pair.1, Half::Left), row);
        hash.finish_into(&self.right[..self.len], tweak(gate, pair.0, pair.1, Half::Right), row);
    }
}

fn take<'a>(rest: &mut &'a [Block], len: usize) -> &'a [Block] {
    let (head, tail) = rest.split_at(len);
    *rest = tail;
    head
}
