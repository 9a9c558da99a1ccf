//! One batch of preprocessing from start to end (PROTOCOL.md §5): shares, leaky triples, zero
//! test, buckets.

use super::Triples;
use super::bucket::{BatchShape, combine};
use super::leaky_and::{Factors, leaky_and};
use super::shares::{RowCounts, share_rows};
use super::workbench::{CotSource, Workbench};
use super::zero_test::{PRODUCT_ROWS, zero_test};
use crate::auth::AuthBits;
use crate::coin::Coins;
use crate::error::Error;
use zeroize::Zeroizing;

/// Leaky triples per extension: bounds the memory of rows that are not triples yet.
const LEAKY_CHUNK: usize = 1 << 16;
/// Masks per extension.
const MASK_CHUNK: usize = 3 * LEAKY_CHUNK;
/// Most that a peer has on the way in a batch: the corrections of one extension, at most 8 bytes a
/// row, beside the corrections of leaky AND and bits.
const AHEAD_BYTES: usize = 16 * (MASK_CHUNK + 1024);
/// Extensions that one batch may use.
const EXTENSIONS_MAX: u32 = 1 << 8;

/// Makes the triples of `shape`. `batch` addresses the batch's extensions within S and must not
/// repeat there.
///
/// # Errors
/// Those of the protocols it consists of.
pub async fn triple_batch<C: CotSource>(
    bench: &Workbench<C>,
    batch: u32,
    shape: BatchShape,
) -> Result<Triples, Error> {
    let _room = bench.channel.reserve(AHEAD_BYTES);
    let spans = spans(shape.leaky(), LEAKY_CHUNK);
    let mut extensions = extensions(batch, spans.len())?;
    let mut coins =
        Coins::commit(&bench.channel, bench.domain, spans.len() + 2, &bench.entropy).await?;
    let mut rows = Vec::with_capacity(shape.bucket);
    let mut residues = Zeroizing::new(Vec::with_capacity(shape.leaky()));
    let mut products = None;
    for (start, len) in spans {
        let extension = extensions.next().ok_or(Error::Misuse("one extension per span"))?;
        let specific = if products.is_none() { PRODUCT_ROWS } else { 0 };
        let counts = RowCounts { common: 3 * len, specific };
        let made = share_rows(bench, extension, counts, &mut coins).await?;
        products.get_or_insert(made.specific);
        let mut shares = made.shares;
        let (a, b) = (shares.take_front(len), shares.take_front(len));
        let keys = made.keys.map(|_, mut keys| {
            keys.truncate(len);
            keys
        });
        let factors = Factors { a, b, r: shares, keys };
        let (leaky, sums) = leaky_and(bench, start, factors).await?;
        residues.extend_from_slice(&Zeroizing::new(sums));
        file(&mut rows, leaky, shape.triples);
    }
    let products = products.ok_or(Error::Misuse("a batch has at least one triple"))?;
    zero_test(bench, &residues, &products, &mut coins).await?;
    drop(residues);
    combine(bench, rows, &mut coins).await
}

/// Makes `count` authenticated random bits; `batch` as in [`triple_batch`].
///
/// # Errors
/// Those of the protocols it consists of.
pub async fn mask_batch<C: CotSource>(
    bench: &Workbench<C>,
    batch: u32,
    count: usize,
) -> Result<AuthBits, Error> {
    let _room = bench.channel.reserve(AHEAD_BYTES);
    let spans = spans(count, MASK_CHUNK);
    let mut extensions = extensions(batch, spans.len())?;
    let mut coins =
        Coins::commit(&bench.channel, bench.domain, spans.len(), &bench.entropy).await?;
    let mut masks = AuthBits::zeros(&bench.member, 0);
    for (_, len) in spans {
        let extension = extensions.next().ok_or(Error::Misuse("one extension per span"))?;
        let counts = RowCounts { common: len, specific: 0 };
        masks.append(&share_rows(bench, extension, counts, &mut coins).await?.shares);
    }
    Ok(masks)
}

/// Appends leaky triples to rows of `len`, opening a new row when the last is full.
fn file(rows: &mut Vec<Triples>, mut leaky: Triples, len: usize) {
    while !leaky.a.is_empty() {
        if rows.last().is_none_or(|row| row.a.len() >= len) {
            rows.push(Triples::with_capacity(leaky.a.mac_planes().len(), len));
        }
        let Some(row) = rows.last_mut() else { return };
        let room = len - row.a.len();
        for (row, leaky) in row.planes_mut().into_iter().zip(leaky.planes_mut()) {
            row.append(&leaky.take_front(room));
        }
    }
}

/// (start, length) of the spans of at most `most` that cover 0..len.
fn spans(len: usize, most: usize) -> Vec<(usize, usize)> {
    (0..len).step_by(most).map(|start| (start, most.min(len - start))).collect()
}

/// The extension addresses of `batch`.
fn extensions(batch: u32, count: usize) -> Result<impl Iterator<Item = u32>, Error> {
    let base = batch.checked_mul(EXTENSIONS_MAX).ok_or(Error::Misuse("too many batches"))?;
    if count as u64 > u64::from(EXTENSIONS_MAX) {
        return Err(Error::Misuse("a batch of too many extensions"));
    }
    Ok(base..base.saturating_add(EXTENSIONS_MAX))
}
