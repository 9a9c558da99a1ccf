//! Bucketing (PROTOCOL.md §5): B leaky triples make one whose factor a is secret unless all B
//! leaked.

use super::Triples;
use super::workbench::Workbench;
use crate::auth::AuthBits;
use crate::coin::Coins;
use crate::error::Error;
use crate::mesh::Kind;
use crate::open::Openings;
use rayon::prelude::*;
use senate_block::{Block, Prg};
use senate_circuit::Bits;

/// Lanes per parallel task.
const TILE: usize = 1 << 12;

/// How many triples a batch makes, and from how many leaky ones each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// ℓ: triples of the batch.
    pub triples: usize,
    /// B: leaky triples per triple.
    pub bucket: usize,
}

impl BatchShape {
    /// The cheapest shape with at least `triples` triples whose leakage bound
    /// 2^{-B}·ℓ^{-(B−1)} is at most 2^{-rho_bits}. A session of several batches takes `rho_bits` from
    /// [`Sharing`](super::distributed::Sharing).
    pub fn cheapest(triples: usize, rho_bits: u32) -> Self {
        let shape = |bucket: u32| Self {
            triples: triples.max(smallest_batch(bucket, rho_bits)).max(1),
            bucket: bucket as usize,
        };
        let leaky = |shape: &Self| shape.triples.saturating_mul(shape.bucket);
        let all = (2..=rho_bits.max(2)).map(shape);
        all.min_by_key(leaky).unwrap_or_else(|| shape(rho_bits.max(2)))
    }

    /// Leaky triples of the batch.
    pub fn leaky(&self) -> usize {
        self.triples * self.bucket
    }
}

/// The least ℓ with ℓ^{B−1} ≥ 2^{rho−B}.
pub(super) fn smallest_batch(bucket: u32, rho_bits: u32) -> usize {
    let Some(goal) = 1u128.checked_shl(rho_bits.saturating_sub(bucket)) else { return usize::MAX };
    let enough = |len: u64| u128::from(len).saturating_pow(bucket - 1) >= goal;
    let (mut low, mut high) = (1u64, 1 << 63);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    usize::try_from(low).unwrap_or(usize::MAX)
}

/// Combines `rows`, B rows of ℓ leaky triples that have passed the zero test, column by column
/// after a coin has shifted rows 2..B in a circle. Uses one coin.
///
/// # Errors
/// [`Fault::OpenMac`](crate::Fault::OpenMac) when somebody lied about d = b ⊕ b', those of the
/// coin and the channel.
pub async fn combine<C>(
    bench: &Workbench<C>,
    rows: Vec<Triples>,
    coins: &mut Coins,
) -> Result<Triples, Error> {
    let channel = &bench.channel;
    let coin = coins.toss(channel).await?;
    let mut openings = Openings::new(bench.member.clone(), bench.domain, "bucketing");
    let mut rows = rows.into_iter();
    let first = rows.next().ok_or(Error::Misuse("a bucket has at least one triple"))?;
    let Triples { mut a, b, mut c } = first;
    for (row, leaky) in rows.enumerate() {
        if leaky.a.len() != a.len() {
            return Err(Error::Misuse("bucketed rows of different lengths"));
        }
        let shift = shift(coin, row, a.len());
        let mut difference = b.clone();
        xor_rotated(&mut difference, &leaky.b, shift);
        let d = openings.open(channel, Kind::BucketBits, &difference).await?;
        xor_rotated_times(&mut c, &leaky.a, shift, &d);
        xor_rotated(&mut c, &leaky.c, shift);
        xor_rotated(&mut a, &leaky.a, shift);
    }
    openings.check(channel, Kind::BucketMacs).await?;
    Ok(Triples { a, b, c })
}

/// A uniform shift below `len`: the bias of reducing 128 bits is below 2^-64.
fn shift(coin: Block, row: usize, len: usize) -> usize {
    let mut out = [Block::ZERO];
    Prg::new(coin).fill(row as u128, &mut out);
    (out[0].0 % len.max(1) as u128) as usize
}

/// into_r ⊕= from_{(r + shift) mod ℓ}.
fn xor_rotated(into: &mut AuthBits, from: &AuthBits, shift: usize) {
    for (into, from) in into.planes_mut().zip(from.planes()) {
        rotated(into, from, shift, |_, block| block);
    }
}

/// into_r ⊕= bits_r · from_{(r + shift) mod ℓ}.
fn xor_rotated_times(into: &mut AuthBits, from: &AuthBits, shift: usize, bits: &Bits) {
    for (into, from) in into.planes_mut().zip(from.planes()) {
        rotated(into, from, shift, |r, block| block.times(bits.bit(r)));
    }
}

fn rotated(
    into: &mut [Block],
    from: &[Block],
    shift: usize,
    scale: impl Fn(usize, Block) -> Block + Sync,
) {
    let (wrapped, straight) = from.split_at(shift.min(from.len()));
    let (head, tail) = into.split_at_mut(straight.len().min(into.len()));
    let head_len = head.len();
    let add = |into: &mut [Block], from: &[Block], first: usize| {
        let tiles = into.par_chunks_mut(TILE).zip(from.par_chunks(TILE)).enumerate();
        tiles.for_each(|(tile, (into, from))| {
            for (r, (into, from)) in into.iter_mut().zip(from).enumerate() {
                *into ^= scale(first + tile * TILE + r, *from);
            }
        });
    };
    add(head, straight, 0);
    add(tail, wrapped, head_len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_sizes_are_those_of_the_bound() {
        for (bucket, least) in [(3, 370_728), (4, 4_096), (5, 431), (6, 112), (7, 46)] {
            assert_eq!(smallest_batch(bucket, 40), least);
        }
        let shape = |triples| BatchShape::cheapest(triples, 40);
        assert_eq!(shape(400_000), BatchShape { triples: 400_000, bucket: 3 });
        assert_eq!(shape(300_000), BatchShape { triples: 370_728, bucket: 3 });
        assert_eq!(shape(5_000), BatchShape { triples: 5_000, bucket: 4 });
        for triples in [0, 1, 2, 10, 100, 1_000] {
            let BatchShape { triples: len, bucket } = shape(triples);
            let bound = bucket as f64 + (bucket as f64 - 1.0) * (len as f64).log2();
            assert!(len >= triples && bound >= 40.0 - 1e-9, "{len} {bucket}");
        }
        for rho in [40, 64, 80] {
            let BatchShape { triples: len, bucket } = BatchShape::cheapest(1 << 19, rho);
            let bound = bucket as f64 + (bucket as f64 - 1.0) * (len as f64).log2();
            assert!(bound >= f64::from(rho) - 1e-9);
        }
    }
}
