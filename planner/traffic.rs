//! Payload bytes that a plan sends, counted message by message as the engine's scripts send them
//! (PROTOCOL.md §1–§9): a function of public sizes only.

mod batches;
mod stages;

use senate_circuit::{PartyId, PartySet, Stage, TreeDepth};
use std::collections::BTreeMap;

pub use batches::{Batches, preprocessing};
pub use stages::{stage, window_gates};

/// Bytes of a block of 128 bits, a MAC, a label or a challenge.
const BLOCK: u64 = 16;
/// Bytes of a digest, a seed, a salt or a group element.
const DIGEST: u64 = 32;

/// Payload bytes per ordered pair of parties.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    bytes: BTreeMap<(PartyId, PartyId), u64>,
}

impl Traffic {
    /// From the first party to the second.
    pub fn links(&self) -> &BTreeMap<(PartyId, PartyId), u64> {
        &self.bytes
    }

    /// Everything of `other` as well.
    pub fn add(&mut self, other: &Self) {
        other.bytes.iter().for_each(|((from, to), bytes)| self.send(*from, *to, *bytes));
    }

    fn send(&mut self, from: PartyId, to: PartyId, bytes: u64) {
        *self.bytes.entry((from, to)).or_default() += bytes;
    }

    /// From everybody in `set` to everybody else in it.
    fn exchange(&mut self, set: PartySet, bytes: u64) {
        set.iter().for_each(|from| self.send_all(from, set, bytes));
    }

    /// From one party to everybody else in `set`.
    fn send_all(&mut self, from: PartyId, set: PartySet, bytes: u64) {
        set.without(from).iter().for_each(|to| self.send(from, to, bytes));
    }
}

/// Everything from opening the session to the release, with this preprocessing.
pub fn plan(
    participants: PartySet,
    stages: &[Stage],
    made: &[Batches],
    depth: TreeDepth,
) -> Traffic {
    let mut all = Traffic::default();
    if stages.is_empty() {
        return all;
    }
    all.add(&session(participants, depth));
    made.iter().for_each(|batches| all.add(&batches.traffic));
    stages.iter().for_each(|one| all.add(&stage(one, stages)));
    all
}

/// Opening and binding a session (PROTOCOL.md §1, §3, §4).
pub fn session(parties: PartySet, depth: TreeDepth) -> Traffic {
    let n = parties.len() as u64;
    // Version, ρ, depth, parties, federation and a nonce; the echo of the id; a zero share seed.
    let agreed = 4 + 4 + 1 + 8 + DIGEST + DIGEST;
    let hello = agreed + DIGEST + DIGEST;
    // Tree corrections, an image per tree and a hash over all.
    let trees = 128 * 2 * BLOCK + depth.trees() as u64 * 2 * BLOCK + DIGEST;
    // One row of field elements per column, echo, commitment, opening; the binding.
    let columns = n * BLOCK;
    let delta = extension(&[128], depth) + BLOCK + columns + DIGEST + DIGEST + (DIGEST + columns);
    let mut traffic = Traffic::default();
    traffic.exchange(parties, hello + trees + delta + DIGEST);
    for one in parties.iter() {
        for other in parties.iter().filter(|other| *other > one) {
            // Who chooses in the base transfers of the first instance between them: 128 offers and a
            // challenge for one answer and the extension that the other instance begins with.
            let lower = (one.index() + other.index()).is_multiple_of(2);
            let (chooser, peer) = if lower { (one, other) } else { (other, one) };
            traffic.send(chooser, peer, 128 * 2 * DIGEST + BLOCK);
            traffic.send(peer, chooser, DIGEST + extension(&[128], depth));
        }
    }
    traffic
}

/// One extension of an instance by so many rows per segment, by who chooses: corrections, response.
fn extension(segments: &[u64], depth: TreeDepth) -> u64 {
    let blocks = segments.iter().map(|rows| rows.div_ceil(128) + 1).sum::<u64>();
    blocks * depth.trees() as u64 * BLOCK + segments.len() as u64 * BLOCK + DIGEST
}

/// Bytes of packed bits.
fn packed(bits: u64) -> u64 {
    bits.div_ceil(8)
}
