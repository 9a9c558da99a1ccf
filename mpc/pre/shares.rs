//! Batches of authenticated random bits (PROTOCOL.md §4, aShare).

use super::workbench::{CotSource, Workbench};
use crate::auth::{AuthBits, Member};
use crate::coin::{Coins, echo};
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::Kind;
use crate::open::{to_block, weighted_bits, weighted_sum};
use crate::ot::CotRows;
use crate::party::ByParty;
use crate::wire::BLOCK_BYTES;
use rayon::prelude::*;
use senate_block::{Block, Prg, Weights, combine_bits, mul, xor_into};
use senate_circuit::{Bits, PartyId};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Rows per parallel task.
const TILE: usize = 1 << 12;
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

/// K_i[x^j] per peer j, row by row.
pub type Keys = ByParty<Zeroizing<Vec<Block>>>;

/// The checked rows of one extension.
#[derive(Debug)]
pub struct SharedRows {
    /// The common rows as shares.
    pub shares: AuthBits,
    /// The keys K_i[x^j] of the common rows, for the protocols that need them individually.
    pub keys: Keys,
    /// The pair-specific rows.
    pub specific: ByParty<CotRows>,
}

/// Makes `rows.common` fresh authenticated bits, checked to be the same toward every peer, and
/// `rows.specific` rows of plain correlated OT with every peer. Uses one coin.
///
/// # Errors
/// [`Fault::ShareConsistency`] by the peer whose MACs do not fit its bits, [`Fault::Echo`] when
/// somebody's combination was not the same for all, those of the extension and the coin.
pub async fn share_rows<C: CotSource>(
    bench: &Workbench<C>,
    extension: u32,
    rows: RowCounts,
    coins: &mut Coins,
) -> Result<SharedRows, Error> {
    let checked = rows.common + MASK_ROWS;
    let common = random_bits(checked, &bench.entropy);
    let choices = ByParty::from_fn(bench.channel.peers(), |_| {
        let mut bits = common.clone();
        bits.extend_from(&random_bits(rows.specific, &bench.entropy));
        bits
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
    check(bench, &common, &cots, rows.common, coins).await?;
    let (shares, keys) = fold(&bench.member, &common, cots, rows.common)?;
    Ok(SharedRows { shares, keys, specific })
}

/// Broadcasts w_i = Σ χ_k x^i_k ⊕ Σ_t X^t x^i_{ℓ+t} and proves to each peer j with the same
/// combination of M_j that the bits behind it are those toward j.
async fn check<C>(
    bench: &Workbench<C>,
    bits: &Bits,
    cots: &ByParty<CotRows>,
    len: usize,
    coins: &mut Coins,
) -> Result<(), Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    let coin = coins.toss(channel).await?;
    let weights = Weights::new(coin);
    let masks = bits.slice(len, MASK_ROWS).to_bytes();
    let w = weighted_bits(&weights, &bits.slice(0, len)) ^ to_block(&masks);
    let received = channel.exchange(Kind::ShareW, &w.to_bytes()).await?;
    // The coin is echoed too: whoever equivocated it would make honest MACs look wrong.
    let mut tag = bench.domain.tag("combinations of shared bits").number(len as u64);
    tag = tag.bytes(&coin.to_bytes());
    let mine = w.to_bytes();
    for party in member.set().iter() {
        tag = tag.bytes(received.at(party).map_or(&mine[..], Vec::as_slice));
    }
    echo(channel, Kind::ShareEcho, &tag.digest()).await?;
    let combine = |rows: &[Block]| {
        let (values, masks) = rows.split_at(len.min(rows.len()));
        weighted_sum(&weights, values) ^ combine_bits(masks)
    };
    let macs = cots.values().iter().map(|rows| combine(&rows.macs).to_bytes().to_vec()).collect();
    let macs = channel.exchange_each(Kind::ShareMac, macs, BLOCK_BYTES).await?;
    for (peer, rows) in cots.iter() {
        let w = received.at(peer).map_or(Block::ZERO, |bytes| to_block(bytes));
        let expected = combine(&rows.keys) ^ mul(w, member.delta());
        let mac = macs.at(peer).map_or(Block::ZERO, |bytes| to_block(bytes));
        if !bool::from(mac.ct_eq(&expected)) {
            return Err(Error::by(peer, Fault::ShareConsistency));
        }
    }
    Ok(())
}

/// D_i[x] = x^iΔ_i ⊕ ⊕_j K_i[x^j].
fn fold(
    member: &Member,
    bits: &Bits,
    cots: ByParty<CotRows>,
    len: usize,
) -> Result<(AuthBits, Keys), Error> {
    let mut d = vec![Block::ZERO; len];
    let (words, delta) = (bits.words(), member.delta());
    d.par_chunks_mut(TILE).enumerate().for_each(|(tile, d)| {
        let first = tile * TILE;
        for (blocks, word) in d.chunks_mut(64).zip(words.iter().skip(first / 64)) {
            for (t, block) in blocks.iter_mut().enumerate() {
                *block = delta.times(word >> t & 1 == 1);
            }
        }
        for rows in cots.values() {
            xor_into(d, rows.keys.get(first..).unwrap_or_default());
        }
    });
    let mut macs = Vec::with_capacity(cots.values().len());
    let keys = cots.map(|_, mut rows| {
        for plane in [&mut rows.macs, &mut rows.keys] {
            plane.iter_mut().skip(len).for_each(Zeroize::zeroize);
            plane.truncate(len);
        }
        macs.push(std::mem::take(&mut rows.macs));
        Zeroizing::new(std::mem::take(&mut rows.keys))
    });
    Ok((AuthBits::from_planes(d, macs)?, keys))
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
