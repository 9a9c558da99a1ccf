//! Preprocessing (PROTOCOL.md §4, §5): how the needs of a party set are cut into batches, and what
//! those send.

use super::{BLOCK, DIGEST, Traffic, extension, packed};
use crate::cost::STATISTICAL;
use senate_circuit::{PartySet, Source, Stage, StageId};

/// Fewest triples of a batch that is not a set's last.
const BATCH_TRIPLES: u64 = 1 << 19;
/// Most triples of a batch.
const BATCH_TRIPLES_MAX: u64 = 1 << 20;
/// Largest set whose batches are so large.
const PARTIES_OF_LARGE: usize = 10;
/// The largest set whose batches have 2^17 triples; those of larger ones have 2^16.
const PARTIES_OF_MANY: usize = 32;
/// Masks per batch.
const BATCH_MASKS: u64 = 1 << 19;
/// Leaky triples per extension, more where a batch would need too many extensions.
const LEAKY_CHUNK: u64 = 1 << 15;
/// Masks per extension.
const MASK_CHUNK: u64 = 3 * LEAKY_CHUNK;
/// Extensions of a batch.
const EXTENSIONS_MAX: u64 = 1 << 8;
/// Rows that mask an opened combination.
const MASK_ROWS: u64 = 128;
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
    /// Per batch: triples made, and leaky triples for each.
    pub shapes: Vec<(u64, u64)>,
    /// What it sends.
    pub traffic: Traffic,
}

/// The preprocessing of a plan, by party set in the order of their first stages.
pub fn preprocessing(stages: &[Stage]) -> Vec<Batches> {
    let mut all: Vec<Batches> = Vec::new();
    for stage in stages {
        let (masks, triples) = need(stage, stages);
        match all.iter_mut().find(|batches| batches.parties == stage.parties) {
            Some(batches) => {
                batches.masks += masks;
                batches.triples += triples;
            }
            None => {
                let (shapes, traffic) = (Vec::new(), Traffic::default());
                all.push(Batches { parties: stage.parties, masks, triples, shapes, traffic });
            }
        }
    }
    let number = |batches: &Batches| {
        batches.triples.div_ceil(batch_triples(batches.parties.len(), BATCH_TRIPLES))
    };
    let batches = all.iter().map(number).sum::<u64>();
    // The security of all batches adds up, so each gives more.
    let bits = STATISTICAL + batches.max(1).next_power_of_two().trailing_zeros();
    let most = match smallest_batch(3, bits) {
        len if len <= BATCH_TRIPLES_MAX => len.max(BATCH_TRIPLES),
        _ => BATCH_TRIPLES,
    };
    for batches in &mut all {
        let cut = spans(batches.triples, batch_triples(batches.parties.len(), most));
        batches.shapes = cut.map(|triples| cheapest(triples, bits)).collect();
        let masks = spans(batches.masks, BATCH_MASKS).map(mask_bytes).sum::<u64>();
        let triples: u64 = batches.shapes.iter().map(|shape| triple_bytes(*shape)).sum();
        batches.traffic.exchange(batches.parties, masks + triples);
    }
    all
}

/// Triples of a batch of so many parties, `most` where memory allows.
fn batch_triples(parties: usize, most: u64) -> u64 {
    if parties <= PARTIES_OF_LARGE {
        most
    } else if parties <= PARTIES_OF_MANY {
        1 << 17
    } else {
        1 << 16
    }
}

/// Masks and triples of a stage: a mask per wire that an owner enters or that crosses from fewer
/// parties, a mask and a triple per AND gate.
fn need(stage: &Stage, stages: &[Stage]) -> (u64, u64) {
    let triples = stage.program.ands();
    let bundles = stage.program.inputs.iter().zip(&stage.inputs);
    let fresh = bundles.filter(|(_, source)| match source {
        Source::Owner { .. } => true,
        Source::Child { stage: child, .. } => parties_of(*child, stages) != Some(stage.parties),
    });
    let wires: u64 = fresh.map(|(bundle, _)| stage.program.wires_of(bundle) as u64).sum();
    (triples + wires, triples)
}

/// The members of an earlier stage.
pub(super) fn parties_of(id: StageId, stages: &[Stage]) -> Option<PartySet> {
    stages.iter().find(|stage| stage.id == id).map(|stage| stage.parties)
}

/// Shared bits: extension, coin, combination, echo, MAC.
fn share_bytes(common: u64, specific: u64) -> u64 {
    extension(common + MASK_ROWS + specific) + COIN + BLOCK + DIGEST + BLOCK
}

fn mask_bytes(count: u64) -> u64 {
    spans(count, MASK_CHUNK).map(|len| DIGEST + share_bytes(len, 0)).sum()
}

fn triple_bytes((triples, bucket): (u64, u64)) -> u64 {
    let mut first = PRODUCT_ROWS;
    let all = triples * bucket;
    let spans = spans(all, all.div_ceil(EXTENSIONS_MAX).max(LEAKY_CHUNK));
    let leaky = spans.map(|len| {
        let rows = share_bytes(3 * len, std::mem::take(&mut first));
        DIGEST + rows + CORRECTION * len + packed(len)
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

/// The cheapest (ℓ, B) with ℓ at least `triples` and 2^B·ℓ^(B−1) at least 2^`bits`.
fn cheapest(triples: u64, bits: u32) -> (u64, u64) {
    let shape = |bucket: u32| (triples.max(smallest_batch(bucket, bits)).max(1), u64::from(bucket));
    let all = (2..=bits.max(2)).map(shape);
    let leaky = |(triples, bucket): &(u64, u64)| triples.saturating_mul(*bucket);
    all.min_by_key(leaky).unwrap_or_else(|| shape(bits.max(2)))
}

/// The least ℓ with ℓ^(B−1) at least 2^(bits − B).
fn smallest_batch(bucket: u32, bits: u32) -> u64 {
    let Some(goal) = 1u128.checked_shl(bits.saturating_sub(bucket)) else { return u64::MAX };
    let enough = |len: u64| u128::from(len).saturating_pow(bucket.saturating_sub(1)) >= goal;
    let (mut low, mut high) = (1u64, 1 << 63);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_sizes_are_those_of_the_protocol() {
        let table = [(3, 370_728), (4, 4_096), (5, 431), (6, 112), (7, 46)];
        for (bucket, least) in table {
            assert_eq!(smallest_batch(bucket, 40), least);
        }
        assert_eq!(cheapest(400_000, 40), (400_000, 3));
        assert_eq!(cheapest(360_000, 40), (370_728, 3));
    }

    #[test]
    fn spans_cover_everything() {
        assert_eq!(spans(0, 4).count(), 0);
        assert_eq!(spans(8, 4).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(spans(9, 4).collect::<Vec<_>>(), [4, 4, 1]);
    }
}
