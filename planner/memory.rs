//! Memory that a party needs for a plan, bounded from public sizes: session, the largest batch of
//! preprocessing, the largest stage, circuits. The parts that grow with a circuit's gates alone are
//! its instructions and maps.

use crate::traffic::{Batches, window_gates};
use senate_circuit::{Backend, BatchShape, PartyId, Program, Stage, TreeDepth, masks_per_batch};

/// Bytes of a block.
const BLOCK: u64 = 16;
/// A leaf of a tree of oblivious transfer: keys of its generator.
const GENERATOR: u64 = 352;
/// Extensions that are begun and not finished, …
const BEGUN: u64 = 4;
/// … of so many leaky triples each, or a batch's 256th part.
const CHUNK: u64 = 1 << 15;
/// Bytes of each beside the corrections of its rows, toward a peer and from it.
const BEGUN_BYTES: u64 = 2 * 8;
/// Gates of an interactive stage that wait for their round, and whose triples have been fetched: a
/// round, the chunk in hand and the window.
const WAITING: u64 = 3 << 17;
/// What tasks of preprocessing work in, on as many cores as there may be.
const TASKS: u64 = 16 << 20;
/// Bytes of an instruction with what walking the program keeps for it.
const INSTRUCTION: u64 = 128;

/// Most bytes that `party` holds at a time: ordered stages follow each other, and so do the batches
/// of a set.
pub fn bound(party: PartyId, stages: &[Stage], sets: &[Batches], depth: TreeDepth) -> u64 {
    let mine = stages.iter().filter(|stage| stage.parties.contains(party));
    let peers = mine.clone().map(|stage| stage.parties.len() as u64 - 1).max().unwrap_or(0);
    let sets = sets.iter().filter(|batches| batches.parties.contains(party));
    let circuits: u64 = mine.clone().map(|stage| circuit(&stage.program)).sum();
    let largest = mine.map(running).max().unwrap_or(0);
    let preprocessing = sets.map(|batches| most(batches, depth)).max().unwrap_or(0);
    // Both directions: all leaves of each tree, and all but one.
    let generators = (depth.trees() * (2 * depth.leaves() - 1)) as u64 * GENERATOR;
    peers * generators + preprocessing + largest + circuits
}

/// Masks, and the leaky triples of the largest batch: three shares each and a residue; extensions in hand.
fn most(batches: &Batches, depth: TreeDepth) -> u64 {
    let n = batches.parties.len() as u64;
    let most = |size: fn(&BatchShape) -> usize| {
        batches.shapes.iter().map(|shape| size(shape) as u64).max().unwrap_or(0)
    };
    let leaky = most(BatchShape::leaky);
    // Two batches of masks may be there at a time.
    let masks = batches.masks.min(2 * masks_per_batch(batches.parties.len()) as u64) * n * BLOCK;
    let begun = (BEGUN * CHUNK.max(leaky.div_ceil(256))).min(leaky);
    // Corrections of three rows from a peer and on the way to it.
    let corrections = 2 * 3 * depth.trees() as u64 / 8;
    let begun = begun * (n - 1) * (corrections + BEGUN_BYTES) + TASKS;
    // What a stage has not used up of the batches before: one, and those of a layer's gates that wait.
    let least = batches.shapes.iter().map(|shape| shape.triples as u64).min().unwrap_or(1).max(1);
    let waiting = if batches.in_rounds { WAITING.div_ceil(least) } else { 0 };
    let others = (batches.shapes.len() as u64).saturating_sub(1);
    let lent = (1 + waiting).min(others) * most(|shape| shape.triples);
    masks + (leaky + lent) * 3 * n * BLOCK + leaky * 8 + begun
}

/// Wires alive at a time: a share of a mask, Λ, labels; the window: tables, shares, labels, MACs; or, in
/// rounds, factors and products of the gates that wait.
fn running(stage: &Stage) -> u64 {
    let n = stage.parties.len() as u64;
    let stats = stage.program.stats();
    let wire = (n + (n - 1)) * BLOCK + 1;
    if stage.backend == Backend::Interactive {
        return stats.peak_live * wire + stats.ands.min(WAITING) * 3 * n * BLOCK;
    }
    let rows = (3 * n).saturating_sub(4);
    let gate = (rows * (n - 1) + 3 * n + 4) * BLOCK;
    // Garbled but not evaluated, and the chunk in hand.
    let window = 2 * window_gates(stage.parties.len());
    stats.peak_live * wire + stats.ands.min(window) * gate
}

fn circuit(program: &Program) -> u64 {
    let maps: u64 = program.maps.iter().map(|map| map.len() as u64 * 4).sum();
    program.instructions.len() as u64 * INSTRUCTION + maps
}
