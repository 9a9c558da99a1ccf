//! Batches of authenticated random bits (PROTOCOL.md §4, aShare).

use super::workbench::{CotSource, Workbench};
#[cfg(test)]
use crate::auth::AuthBits;
use crate::auth::Planes;
use crate::coin::{Coins, echo};
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::Kind;
use crate::open::{WeightedSums, to_block, weighted_sums};
use crate::ot::CotRows;
use crate::party::ByParty;
use crate::wire::BLOCK_BYTES;
use futures_util::future::try_join;
use rayon::prelude::*;
use senate_block::{Block, Prg, Weights, add_where_low, combine_bits, mul, stream, xor_into};
use senate_circuit::{Bits, PartyId, PartySet};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Rows per parallel task.
const TILE: usize = 1 << 12;
/// Rows dealt at a time, so that scratch space stays in the first-level cache.
const SPAN: usize = 256;
/// Rows that mask the opened combination and are then discarded.
const MASK_ROWS: usize = 128;

/// Row counts of one extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows whose bit is the same toward every peer: shares.
    pub common: usize,
    /// Rows with a fresh random bit for each ordered pair.
    pub specific: usize,
}

/// The rows of one extension. Correlated OT vouches for them; that the common bits are the same
/// toward every peer is still to be checked.
pub struct Extension {
    /// The common bits, then those of the mask rows.
    bits: Bits,
    /// The common rows, then the mask rows.
    cots: ByParty<CotRows>,
    /// The pair-specific rows.
    specific: ByParty<CotRows>,
}

/// Common rows that are known to be shares: x^i in `bits`, M_j[x^i] and K_i[x^j] in `cots`, of which
/// only the first `bits.len()` rows count.
pub(super) struct CheckedRows {
    pub(super) bits: Bits,
    pub(super) cots: ByParty<CotRows>,
}

impl Extension {
    /// Takes the pair-specific rows.
    pub(super) fn take_specific(&mut self) -> ByParty<CotRows> {
        let none = ByParty::from_fn(PartySet::EMPTY, |_| CotRows::default());
        std::mem::replace(&mut self.specific, none)
    }
}

/// Extends by `rows` and the mask rows of the check with every peer.
///
/// # Errors
/// Those of the extension.
pub(super) async fn extend<C: CotSource>(
    bench: &Workbench<C>,
    extension: u32,
    rows: RowCounts,
) -> Result<Extension, Error> {
    let checked = rows.common + MASK_ROWS;
    let bits = random_bits(checked, &bench.entropy);
    let choices = ByParty::from_fn(bench.channel.peers(), |_| {
        let mut choices = bits.clone();
        choices.extend_from(&random_bits(rows.specific, &bench.entropy));
        choices
    });
    let mut cots = bench.cots.extend(&bench.channel, extension, &choices, &bench.entropy).await?;
    let complete = |rows_of: &CotRows| {
        rows_of.keys.len() == checked + rows.specific && rows_of.macs.len() == rows_of.keys.len()
    };
    if !cots.values().iter().all(complete) {
        return Err(Error::Misuse("an extension yields as many rows as asked for"));
    }
    let specific = ByParty::from_fn(bench.channel.peers(), |peer| {
        let Some(cots) = cots.at_mut(peer) else { return CotRows::default() };
        CotRows { macs: cots.macs.split_off(checked), keys: cots.keys.split_off(checked) }
    });
    Ok(Extension { bits, cots, specific })
}

/// Checks that the common bits are the same toward every peer: broadcasts w_i = Σ χ_k x^i_k ⊕
/// Σ_t X^t x^i_{ℓ+t} and proves to each peer j with the same combination of M_j that the bits behind
/// it are those toward j. Uses one coin.
///
/// # Errors
/// [`Fault::ShareConsistency`] by the peer whose MACs do not fit its bits, [`Fault::Echo`] when
/// somebody's combination was not the same for all, those of the coin.
pub(super) async fn check<C>(
    bench: &Workbench<C>,
    extension: Extension,
    coins: &mut Coins,
) -> Result<CheckedRows, Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    let Extension { mut bits, cots, .. } = extension;
    let len = bits.len() - MASK_ROWS;
    let coin = coins.toss(channel).await?;
    let weights = Weights::new(coin);
    let masks = bits.slice(len, MASK_ROWS).to_bytes();
    bits = bits.slice(0, len);
    let WeightedSums { bits: w, planes: sums } = combinations(&weights, &bits, &cots);
    let w = (w ^ to_block(&masks)).to_bytes();
    let (sent, expected) = sums.split_at(cots.values().len());
    let sent = sent.iter().map(|mac| mac.to_bytes().to_vec()).collect();
    let (received, macs) = try_join(
        channel.exchange(Kind::ShareW, &w),
        channel.exchange_each(Kind::ShareMac, sent, BLOCK_BYTES),
    )
    .await?;
    // The coin is echoed too: whoever equivocated it would make honest MACs look wrong.
    let mut tag = bench.domain.tag("combinations of shared bits").number(len as u64);
    tag = tag.bytes(&coin.to_bytes());
    for party in member.set().iter() {
        tag = tag.bytes(received.at(party).map_or(&w[..], Vec::as_slice));
    }
    echo(channel, Kind::ShareEcho, &tag.digest()).await?;
    for ((peer, mac), expected) in macs.iter().zip(expected) {
        let w = received.at(peer).map_or(Block::ZERO, |bytes| to_block(bytes));
        let expected = *expected ^ mul(w, member.delta());
        if !bool::from(to_block(mac).ct_eq(&expected)) {
            return Err(Error::by(peer, Fault::ShareConsistency));
        }
    }
    Ok(CheckedRows { bits, cots })
}

/// Σ_k χ_k x_k; per peer j, Σ_k χ_k M_j ⊕ Σ_t X^t M_j over the mask rows; then the same of K_i.
fn combinations(weights: &Weights, x: &Bits, cots: &ByParty<CotRows>) -> WeightedSums {
    let macs = cots.values().iter().map(|rows| rows.macs.as_slice());
    let planes = macs.chain(cots.values().iter().map(|rows| rows.keys.as_slice()));
    let mut sums = weighted_sums(weights, x, planes.clone());
    for (sum, plane) in sums.planes.iter_mut().zip(planes) {
        *sum ^= combine_bits(plane.get(x.len()..).unwrap_or_default());
    }
    sums
}

/// Makes `shares.len()` fresh authenticated bits. Uses one coin.
///
/// # Errors
/// As [`extend`] and [`check`].
pub(super) async fn share_into<C: CotSource>(
    bench: &Workbench<C>,
    extension: u32,
    mut shares: Planes<'_>,
    coins: &mut Coins,
) -> Result<(), Error> {
    let counts = RowCounts { common: shares.len(), specific: 0 };
    let rows = extend(bench, extension, counts).await?;
    let rows = check(bench, rows, coins).await?;
    let delta = bench.member.delta();
    let mut tiles = Vec::new();
    for start in (0..shares.len()).step_by(TILE) {
        tiles.push((start, shares.take(TILE)));
    }
    let cots = rows.cots.values();
    tiles.into_par_iter().for_each(|(start, tile)| file(tile, cots, start, delta));
    bench.cots.recycle(rows.cots);
    Ok(())
}

/// Writes the shares of the rows from `start` to `shares`.
fn file(mut shares: Planes<'_>, cots: &[CotRows], mut start: usize, delta: Block) {
    let mut d = [Block::ZERO; SPAN];
    while shares.len() > 0 {
        let span = shares.take(SPAN);
        let len = span.len();
        deal(span, cots, start, delta, &mut d[..len]);
        start += len;
    }
}

/// D_i[x] = x^iΔ_i ⊕ ⊕_j K_i[x^j] of the rows from `start`, in `d`; it and M_j[x^i] go to `shares`,
/// past the caches: buckets and stages come for them much later.
pub(super) fn deal(
    shares: Planes<'_>,
    cots: &[CotRows],
    start: usize,
    delta: Block,
    d: &mut [Block],
) {
    let rows = start..start + d.len();
    for (rank, (cots, mac)) in cots.iter().zip(shares.macs).enumerate() {
        let (macs, keys) = (&cots.macs[rows.clone()], &cots.keys[rows.clone()]);
        if rank == 0 {
            add_where_low(d, keys, macs, delta);
        } else {
            xor_into(d, keys);
        }
        stream(mac, macs);
    }
    stream(shares.d, d);
}

/// `len` fresh private random bits.
pub(crate) fn random_bits(len: usize, entropy: &Entropy) -> Bits {
    let mut blocks = Zeroizing::new(vec![Block::ZERO; len.div_ceil(128)]);
    Prg::new(entropy.block("choice bits")).fill(0, &mut blocks);
    let words = blocks.iter().flat_map(|block| [block.0 as u64, (block.0 >> 64) as u64]);
    Bits::from_words(words.collect(), len)
}

/// The rows with `peer`, which an extension always has.
pub(crate) fn rows_with<T>(rows: &ByParty<T>, peer: PartyId) -> Result<&T, Error> {
    rows.at(peer).ok_or(Error::Misuse("no rows with this peer"))
}

/// As [`share_into`], into new memory. Tests only.
///
/// # Errors
/// As [`share_into`].
#[cfg(test)]
pub(super) async fn share_rows<C: CotSource>(
    bench: &Workbench<C>,
    extension: u32,
    len: usize,
    coins: &mut Coins,
) -> Result<AuthBits, Error> {
    let mut shares = AuthBits::blank(&bench.member, || bench.cots.take(len));
    share_into(bench, extension, shares.lanes_mut(0, len), coins).await?;
    Ok(shares)
}
