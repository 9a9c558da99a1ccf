//! Preprocessing (PROTOCOL.md §4, §5): how the needs of a party set are cut into batches, and what
//! those send.

use super::{BLOCK, DIGEST, Traffic, extension, packed};
use crate::cost::STATISTICAL;
use crate::targets::Targets;
use senate_circuit::{
    Backend, BatchShape, PartySet, Sharing, Source, Stage, StageId, TreeDepth, masks_per_batch,
};

/// Leaky triples per extension, more where a batch would need too many extensions, …
const LEAKY_CHUNK: u64 = 1 << 15;
/// … in whole tiles.
const TILE: u64 = 1 << 11;
/// Masks per extension.
const MASK_CHUNK: u64 = 3 * LEAKY_CHUNK;
/// Extensions of a batch.
const EXTENSIONS_MAX: u64 = 1 << 8;
/// Rows that a zero test uses up per ordered pair.
const PRODUCT_ROWS: u64 = 128;
/// A coin's salt and seed.
const COIN: u64 = 2 * DIGEST;
/// Bytes of the residues that a leaky triple's corrections hide.
const CORRECTION: u64 = 8;

/// The preprocessing that all stages of one party set share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batches {
    /// Who makes it.
    pub parties: PartySet,
    /// Authenticated bits.
    pub masks: u64,
    /// Triples asked for.
    pub triples: u64,
    /// Whether a stage that takes them runs in rounds.
    pub in_rounds: bool,
    /// Batch by batch.
    pub shapes: Vec<BatchShape>,
    /// What it sends.
    pub traffic: Traffic,
}

/// The preprocessing of a plan, by party set in the order of their first stages.
pub fn preprocessing(stages: &[Stage], targets: &Targets) -> Vec<Batches> {
    let mut all: Vec<Batches> = Vec::new();
    for stage in stages {
        let (masks, triples) = need(stage, stages);
        let in_rounds = stage.backend == Backend::Interactive;
        match all.iter_mut().find(|batches| batches.parties == stage.parties) {
            Some(batches) => {
                batches.masks += masks;
                batches.triples += triples;
                batches.in_rounds |= in_rounds;
            }
            None => {
                let (shapes, traffic) = (Vec::new(), Traffic::default());
                let parties = stage.parties;
                all.push(Batches { parties, masks, triples, in_rounds, shapes, traffic });
            }
        }
    }
    let needs = |batches: &Batches| (batches.parties.len(), size(batches.triples));
    let sharing = Sharing::within(STATISTICAL, targets.batch_bytes, all.iter().map(needs));
    for batches in &mut all {
        let (parties, triples) = needs(batches);
        batches.shapes = sharing.batches(parties, triples).map(|(_, shape)| shape).collect();
        let per_batch = masks_per_batch(parties) as u64;
        let depth = targets.tree_depth;
        let masks =
            spans(batches.masks, per_batch).map(|count| mask_bytes(count, depth)).sum::<u64>();
        let triples: u64 = batches.shapes.iter().map(|shape| triple_bytes(*shape, depth)).sum();
        batches.traffic.exchange(batches.parties, masks + triples);
    }
    all
}

impl Batches {
    /// Triples made.
    pub fn made(&self) -> u64 {
        self.shapes.iter().map(|shape| shape.triples as u64).sum()
    }

    /// Leaky triples behind them.
    pub fn leaky(&self) -> u64 {
        self.shapes.iter().map(|shape| shape.leaky() as u64).sum()
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Masks and triples of a stage: a mask per wire that an owner enters or that crosses from fewer
/// parties, a triple per AND gate, and a mask where it is garbled.
fn need(stage: &Stage, stages: &[Stage]) -> (u64, u64) {
    let triples = stage.program.ands();
    let bundles = stage.program.inputs.iter().zip(&stage.inputs);
    let fresh = bundles.filter(|(_, source)| match source {
        Source::Owner { .. } => true,
        Source::Child { stage: child, .. } => parties_of(*child, stages) != Some(stage.parties),
    });
    let wires: u64 = fresh.map(|(bundle, _)| stage.program.wires_of(bundle) as u64).sum();
    let gates = if stage.backend == Backend::Garbled { triples } else { 0 };
    (gates + wires, triples)
}

/// The members of an earlier stage.
pub(super) fn parties_of(id: StageId, stages: &[Stage]) -> Option<PartySet> {
    stages.iter().find(|stage| stage.id == id).map(|stage| stage.parties)
}

/// Shared bits: extension, coin and its commitment, echo.
fn share_bytes(segments: &[u64], depth: TreeDepth) -> u64 {
    extension(segments, depth) + COIN + DIGEST + DIGEST
}

fn mask_bytes(count: u64, depth: TreeDepth) -> u64 {
    spans(count, MASK_CHUNK).map(|len| share_bytes(&[len], depth)).sum()
}

fn triple_bytes(shape: BatchShape, depth: TreeDepth) -> u64 {
    let (triples, bucket, all) = (shape.triples as u64, shape.bucket as u64, shape.leaky() as u64);
    let chunk = all.div_ceil(EXTENSIONS_MAX).max(LEAKY_CHUNK);
    let spans = spans(all, chunk.next_multiple_of(TILE));
    let leaky = spans.enumerate().map(|(span, len)| {
        // Rows of b, of r and of a begin at multiples of 128; the first extension has those of the test.
        let segments = [3 * len.next_multiple_of(128), PRODUCT_ROWS];
        let rows = share_bytes(if span == 0 { &segments } else { &segments[..1] }, depth);
        rows + CORRECTION * len + packed(len)
    });
    // Two more committed coins.
    let coins = 2 * (DIGEST + COIN);
    // Corrections, products, commitment and opening of the zero test.
    let test = BLOCK + PRODUCT_ROWS * BLOCK + DIGEST + (DIGEST + BLOCK);
    let opened = packed(bucket.saturating_sub(1) * triples) + BLOCK;
    leaky.sum::<u64>() + coins + test + opened
}

/// Lengths of the spans of at most `most` that cover 0 .. `total`.
fn spans(total: u64, most: u64) -> impl Iterator<Item = u64> {
    let full = std::iter::repeat_n(most, usize::try_from(total / most).unwrap_or(0));
    full.chain(Some(total % most).filter(|rest| *rest > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_everything() {
        assert_eq!(spans(0, 4).count(), 0);
        assert_eq!(spans(8, 4).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(spans(9, 4).collect::<Vec<_>>(), [4, 4, 1]);
    }
}
