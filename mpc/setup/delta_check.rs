//! Δ consistency (PROTOCOL.md §4, [WRK17] Π_aShare): every party uses one Δ toward all others.
//!
//! It sacrifices 128 rows per ordered pair whose bits are *pair-specific*: with common bits a
//! cheater could compute its own error term and cancel it. A failing check reveals keys, which is
//! why it is the first use of Δ, but for the set-up of correlated OT that it checks, and ends the session.

use crate::coin::{CommitKinds, commit_and_open, echo};
use crate::error::{Error, Fault};
use crate::mesh::Kind;
use crate::open::to_block;
use crate::ot::{Challenge, Choices, CotRows, CotRun, CotSource, Keeper};
use crate::party::ByParty;
use crate::pre::shares::rows_with;
use crate::pre::workbench::Workbench;
use crate::wire::{from_blocks, to_blocks};
use senate_block::{Block, combine_bits, mul};
use senate_circuit::PartyId;
use subtle::ConstantTimeEq;

/// Sacrificed rows per ordered pair: one element of GF(2^128).
const ROWS: usize = 128;
/// The extension address that batches never use.
const EXTENSION: u32 = u32::MAX;

/// Checks, among all parties of the session, that everybody uses one Δ.
///
/// # Errors
/// [`Fault::DeltaConsistency`] when somebody does not, [`Fault::Echo`] and [`Fault::Commitment`]
/// when somebody tells different things, those of the extension and the channel.
pub async fn check_delta<C: CotSource>(bench: &Workbench<C>) -> Result<(), Error> {
    let channel = &bench.channel;
    let choices = ByParty::from_fn(channel.peers(), |_| Choices::random(ROWS, &bench.entropy));
    let challenge = Challenge::Own(&bench.entropy);
    let mut run = bench.cots.begin(channel, EXTENSION, &choices, challenge).await?;
    let mut kept = Keeper::new(channel.peers().len(), ROWS);
    run.expand(std::slice::from_mut(&mut kept));
    run.prove(channel).await?;
    let mut rows = kept.into_rows().into_iter();
    let rows = ByParty::from_fn(channel.peers(), |_| rows.next().unwrap_or_default());
    // x^{i,j}, by j.
    let bits = choices.map(|_, choices| to_block(&choices.bits().to_bytes()));
    let sums = column_sums(bench, &bits).await?;
    let mine: Vec<_> = bench.member.set().iter().map(|j| column(bench, &rows, &sums, j)).collect();
    let mine = mine.into_iter().collect::<Result<Vec<_>, _>>()?;
    let kinds = CommitKinds { commit: Kind::DeltaCommit, open: Kind::DeltaOpen };
    let (domain, message) = (&bench.domain, from_blocks(&mine));
    let opened =
        commit_and_open(channel, domain, "Δ check", kinds, &message, &bench.entropy).await?;
    let mut total = mine;
    for theirs in opened.values() {
        total.iter_mut().zip(to_blocks(theirs)).for_each(|(sum, z)| *sum ^= z);
    }
    let zero = vec![Block::ZERO; total.len()];
    if bool::from(from_blocks(&total).ct_eq(&from_blocks(&zero))) {
        Ok(())
    } else {
        Err(Error::unattributed(Fault::DeltaConsistency))
    }
}

/// Broadcasts y^i_j = x^{i,j} ⊕ zero share of column j and returns Y_j = ⊕_i y^i_j, by j.
async fn column_sums<C>(
    bench: &Workbench<C>,
    bits: &ByParty<Block>,
) -> Result<ByParty<Block>, Error> {
    let (channel, set) = (&bench.channel, bench.member.set());
    let zero =
        bench.zero.stream(channel.peers(), &bench.domain.tag("zero shares of the Δ check"))?;
    let mut sums = ByParty::from_fn(set, |j| {
        bits.at(j).copied().unwrap_or_default() ^ zero.block(j.index() as u64)
    });
    let mine = from_blocks(sums.values());
    let received = channel.exchange(Kind::DeltaY, &mine).await?;
    let mut tag = bench.domain.tag("columns of the Δ check");
    for party in set.iter() {
        tag = tag.bytes(received.at(party).map_or(&mine[..], Vec::as_slice));
    }
    for bytes in received.values() {
        sums.iter_mut().zip(to_blocks(bytes)).for_each(|((_, sum), y)| *sum ^= y);
    }
    echo(channel, Kind::DeltaEcho, &tag.digest()).await?;
    Ok(sums)
}

/// z^i_j: M_j[x^{i,j}], or ⊕_{j≠i} K_i[x^{j,i}] ⊕ Y_iΔ_i in this party's own column.
fn column<C>(
    bench: &Workbench<C>,
    rows: &ByParty<CotRows>,
    sums: &ByParty<Block>,
    j: PartyId,
) -> Result<Block, Error> {
    if j != bench.member.me() {
        return Ok(combine_bits(&rows_with(rows, j)?.macs));
    }
    let keys = rows.values().iter().fold(Block::ZERO, |sum, rows| sum ^ combine_bits(&rows.keys));
    Ok(keys ^ mul(*rows_with(sums, j)?, bench.member.delta()))
}
