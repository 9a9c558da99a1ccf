//! One batch of preprocessing from start to end (PROTOCOL.md §5): shares, leaky triples, zero
//! test, buckets.

use super::Triples;
use super::bucket::{Leaky, combine};
use super::leaky_and::{self, Multiplied, Pending, finish, multiply, tell};
use super::shares::{Extension, RowCounts, extend, share_into};
use super::workbench::Workbench;
use super::zero_test::{PRODUCT_ROWS, zero_test};
use crate::auth::AuthBits;
use crate::coin::Coins;
use crate::error::Error;
use crate::ot::CotSource;
use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt, future::try_join4};
use senate_circuit::{BatchShape, Bits};
use zeroize::Zeroizing;

/// Leaky triples per extension: what is on the way between the parties of one machine stays in its
/// last-level cache.
const LEAKY_CHUNK: usize = 1 << 15;
/// Masks per extension.
const MASK_CHUNK: usize = 3 * LEAKY_CHUNK;
/// Extensions that one batch may use.
const EXTENSIONS_MAX: u32 = 1 << 8;
/// Most that a peer has on the way in a batch: the corrections of one extension, at most 8 bytes a row
/// (the next one's come after its coin, to which this party has its part), those of one span's leaky ANDs,
/// responses and bits; twice that.
fn ahead_bytes(chunk: usize) -> usize {
    24 * (3 * chunk + 1024)
}

/// Makes the triples of `shape`. `batch` addresses the batch's extensions within S and must not
/// repeat there. The corrections of one span, the rows and leaky ANDs of the one before, the checks of
/// the one before that and its d run side by side; each kind of message is still sent in the order of
/// the spans.
///
/// # Errors
/// Those of the protocols it consists of.
pub async fn triple_batch<C: CotSource>(
    bench: &Workbench<C>,
    batch: u32,
    shape: BatchShape,
) -> Result<Triples, Error> {
    let spans = spans(shape.leaky(), chunk(shape.leaky()));
    let _room = bench.channel.reserve(ahead_bytes(chunk(shape.leaky())));
    let mut coins =
        Coins::commit(&bench.channel, bench.domain, spans.len() + 2, &bench.entropy).await?;
    let tag = bench.domain.tag("zero shares of leaky AND");
    let zero = bench.zero.stream(bench.member.peers(), &tag)?;
    let blank = || AuthBits::blank(&bench.member, || bench.cots.take(shape.triples));
    let mut rows = Vec::with_capacity(shape.bucket);
    let (extended, mut extensions) = mpsc::channel::<Extension<C::Run<'_>>>(0);
    let (multiplied, mut unchecked) = mpsc::channel::<Multiplied<C::Run<'_>>>(0);
    let (told, mut pending) = mpsc::channel::<Pending>(0);
    let extending = extend_all(bench, batch, &spans, extended, &mut coins);
    let multiplying = async {
        let mut multiplied = multiplied;
        for span in &spans {
            let extension = extensions.next().await.ok_or(ENDED)?;
            // Rows of triples begin where the last ones end: what was lent of a batch comes back meanwhile.
            while rows.len() * shape.triples < span.0 + span.1 {
                rows.push(Triples { a: blank(), b: blank(), c: blank() });
            }
            let specific = specific(span.0);
            let products = multiply(bench, &zero, *span, extension, &mut rows, specific);
            multiplied.send(products).await.map_err(|_| ENDED)?;
        }
        Ok(())
    };
    let telling = async {
        let (mut told, mut specific) = (told, None);
        while let Some(products) = unchecked.next().await {
            let (and, rows) = tell(bench, products).await?;
            specific.get_or_insert(rows);
            told.send(and).await.map_err(|_| ENDED)?;
        }
        specific.ok_or(Error::Misuse("a batch has at least one triple"))
    };
    let finishing = async {
        let (mut b, mut d) = (Bits::default(), Bits::default());
        let mut residues = Zeroizing::new(Vec::with_capacity(shape.leaky()));
        while let Some(and) = pending.next().await {
            b.extend_from(&and.b);
            let (bits, more) = finish(bench, and).await?;
            d.extend_from(&bits);
            residues.extend_from_slice(&more);
        }
        Ok((b, d, residues))
    };
    let ((), (), specific, (b, d, residues)) =
        try_join4(extending, multiplying, telling, finishing).await?;
    zero_test(bench, &residues, &specific, &mut coins).await?;
    drop(residues);
    combine(bench, Leaky { rows, b, d }, &mut coins).await
}

/// What a part of a batch finds when another one has failed.
const ENDED: Error = Error::Misuse("a batch ended early");

/// One extension per span, at most one ahead of who takes them. Uses one coin each.
async fn extend_all<'a, C: CotSource>(
    bench: &'a Workbench<C>,
    batch: u32,
    spans: &[(usize, usize)],
    mut extended: mpsc::Sender<Extension<C::Run<'a>>>,
    coins: &mut Coins,
) -> Result<(), Error> {
    let mut extensions = extensions(batch, spans.len())?;
    for (start, len) in spans {
        let extension = extensions.next().ok_or(Error::Misuse("one extension per span"))?;
        let rows = RowCounts { common: leaky_and::rows_taken(*len), specific: specific(*start) };
        let extension = extend(bench, extension, rows, coins).await?;
        extended.send(extension).await.map_err(|_| ENDED)?;
    }
    Ok(())
}

/// Pair-specific rows of the extension for leaky triples from `start` on: the first one has those of
/// the zero test.
fn specific(start: usize) -> usize {
    if start == 0 { PRODUCT_ROWS } else { 0 }
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
    let _room = bench.channel.reserve(ahead_bytes(LEAKY_CHUNK));
    let spans = spans(count, MASK_CHUNK);
    let mut extensions = extensions(batch, spans.len())?;
    let mut coins =
        Coins::commit(&bench.channel, bench.domain, spans.len(), &bench.entropy).await?;
    let mut masks = AuthBits::blank(&bench.member, || bench.cots.take(count));
    for (start, len) in spans {
        let extension = extensions.next().ok_or(Error::Misuse("one extension per span"))?;
        share_into(bench, extension, masks.lanes_mut(start, len), &mut coins).await?;
    }
    Ok(masks)
}

/// Leaky triples per extension of a batch of `leaky`, which has few enough of them; whole tiles.
fn chunk(leaky: usize) -> usize {
    let chunk = leaky.div_ceil(EXTENSIONS_MAX as usize).max(LEAKY_CHUNK);
    chunk.next_multiple_of(leaky_and::TILE)
}

/// (start, length) of the spans of at most `most` that cover 0..len.
fn spans(len: usize, most: usize) -> Vec<(usize, usize)> {
    (0..len).step_by(most).map(|start| (start, most.min(len - start))).collect()
}

/// The extension addresses of `batch`.
fn extensions(batch: u32, count: usize) -> Result<impl Iterator<Item = u32>, Error> {
    // The last addresses are those of a session's set-up.
    let base = batch.checked_mul(EXTENSIONS_MAX).filter(|base| *base < u32::MAX - EXTENSIONS_MAX);
    let base = base.ok_or(Error::Misuse("too many batches"))?;
    if count as u64 > u64::from(EXTENSIONS_MAX) {
        return Err(Error::Misuse("a batch of too many extensions"));
    }
    Ok(base..base.saturating_add(EXTENSIONS_MAX))
}
