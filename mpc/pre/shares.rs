//! Batches of authenticated random bits (PROTOCOL.md §4, aShare): rows of extensions whose choice bits
//! are the same toward every peer, which [`Run`](crate::ot::Run) checks.

use super::workbench::Workbench;
#[cfg(test)]
use crate::auth::AuthBits;
use crate::auth::Planes;
use crate::coin::Coins;
use crate::error::Error;
use crate::ot::{Challenge, Choices, CotRun, CotSource, Part, Rows, TAKEN_MAX, Taker};
use crate::party::ByParty;
use senate_block::{Block, add_where_low, stream, xor_into};
use senate_circuit::{Bits, PartyId};
use zeroize::Zeroizing;

/// Rows filed per parallel task, so that they stay in the second-level cache.
const TILE: usize = 3 << 11;
const _: () = assert!(TILE <= TAKEN_MAX);

/// Row counts of one extension, multiples of 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows whose bit is the same toward every peer: shares.
    pub common: usize,
    /// Rows with a fresh random bit for each ordered pair.
    pub specific: usize,
}

/// An extension that has begun, by bits that are the same toward every peer.
pub(super) struct Extension<R> {
    /// The bits of the common rows.
    pub(super) bits: Bits,
    /// The common rows, then the pair-specific ones if there are any.
    pub(super) run: R,
}

/// Begins to extend by `rows` with every peer. Uses one coin.
///
/// # Errors
/// Those of the extension and of the coin.
pub(super) async fn extend<'a, C: CotSource>(
    bench: &'a Workbench<C>,
    extension: u32,
    rows: RowCounts,
    coins: &mut Coins,
) -> Result<Extension<C::Run<'a>>, Error> {
    let common = Choices::random(rows.common, &bench.entropy);
    let choices = ByParty::from_fn(bench.channel.peers(), |_| match rows.specific {
        0 => common.clone(),
        specific => common.clone().with(&Choices::random(specific, &bench.entropy)),
    });
    let challenge = Challenge::Coin(coins);
    let run = bench.cots.begin(&bench.channel, extension, &choices, challenge).await?;
    Ok(Extension { bits: common.bits(), run })
}

/// Makes `shares.len()` fresh authenticated bits. Uses one coin.
///
/// # Errors
/// As [`extend`], and those of the extension's check.
pub(super) async fn share_into<C: CotSource>(
    bench: &Workbench<C>,
    extension: u32,
    mut shares: Planes<'_>,
    coins: &mut Coins,
) -> Result<(), Error> {
    let common = shares.len().next_multiple_of(128);
    let rows = RowCounts { common, specific: 0 };
    let Extension { mut run, .. } = extend(bench, extension, rows, coins).await?;
    let delta = Zeroizing::new(bench.member.delta());
    let mut takers = Vec::new();
    while shares.len() > 0 {
        takers.push(Filing { shares: shares.take(TILE), dealt: Dealt::new(&delta) });
    }
    run.expand(&mut takers);
    drop(takers);
    drop(delta);
    run.prove(&bench.channel).await
}

/// Files rows as shares.
struct Filing<'a> {
    shares: Planes<'a>,
    dealt: Dealt<'a>,
}

impl Taker for Filing<'_> {
    fn rows(&self) -> usize {
        self.shares.len().next_multiple_of(128)
    }

    fn take(&mut self, rows: Rows<'_>) {
        self.dealt.take(rows);
        if let (Part::Macs, Some(macs)) = (rows.part, self.shares.macs.get_mut(rows.rank)) {
            stream(macs, rows.blocks);
        }
    }

    fn finish(&mut self) {
        stream(self.shares.d, &self.dealt.finish());
    }
}

/// D_i[x] = x^iΔ_i ⊕ ⊕_j K_i[x^j] of rows x, as the rows with one peer after the other are there.
pub(super) struct Dealt<'a> {
    delta: &'a Block,
    d: Zeroizing<Vec<Block>>,
}

impl<'a> Dealt<'a> {
    /// Of no rows yet.
    pub(super) fn new(delta: &'a Block) -> Self {
        Self { delta, d: Zeroizing::default() }
    }

    /// Adds what `rows` have in it.
    pub(super) fn take(&mut self, rows: Rows<'_>) {
        match rows.part {
            Part::Macs if rows.rank == 0 => {
                self.d = Zeroizing::new(vec![Block::ZERO; rows.blocks.len()]);
                add_where_low(&mut self.d, rows.blocks, *self.delta);
            }
            Part::Macs => {}
            Part::Keys => xor_into(&mut self.d, rows.blocks),
        }
    }

    /// D_i of all rows.
    pub(super) fn finish(&mut self) -> Zeroizing<Vec<Block>> {
        std::mem::take(&mut self.d)
    }
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
