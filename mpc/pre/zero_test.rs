//! The masked zero test of leaky triples (PROTOCOL.md §5). A failing test reveals only that it
//! failed: the sum is multiplied by a shared random ρ before it is opened.

use super::shares::rows_with;
use super::workbench::Workbench;
use crate::coin::{Coins, CommitKinds, commit_and_open};
use crate::error::{Error, Fault};
use crate::mesh::Kind;
use crate::open::{sum_of_blocks, to_block};
use crate::ot::CotRows;
use crate::party::ByParty;
use crate::wire::{BLOCK_BYTES, from_blocks, to_blocks};
use rayon::prelude::*;
use senate_block::{Block, Tccr, Tweak, Weights, mul};
use senate_circuit::PartyId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Pair-specific rows that one test consumes per ordered pair.
pub const PRODUCT_ROWS: usize = 128;
/// Residues per parallel task.
const TILE: usize = 1 << 12;
/// Residues widened at a time.
const SPAN: usize = 256;
/// Purpose field of this protocol's tweaks.
const PURPOSE: u8 = 2;

/// Checks that the residues of all parties XOR to zero, lane by lane: α = Σ χ_k t_k with a coin
/// drawn after all of them are fixed, then α·ρ = 0 by Gilboa's products over the pair-specific
/// `rows`. Uses one coin.
///
/// # Errors
/// [`Fault::ZeroTest`] when some triple is wrong, [`Fault::Commitment`] by the peer that opened
/// something else than it committed to, those of the coin and the channel.
pub async fn zero_test<C>(
    bench: &Workbench<C>,
    residues: &[u64],
    rows: &ByParty<CotRows>,
    coins: &mut Coins,
) -> Result<(), Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    if rows.values().iter().any(|r| r.keys.len() != PRODUCT_ROWS || r.macs.len() != PRODUCT_ROWS) {
        return Err(Error::Misuse("the zero test takes 128 rows of correlated OT per pair"));
    }
    let weights = Weights::new(coins.toss(channel).await?);
    let zero =
        bench.zero.stream(member.peers(), &bench.domain.tag("zero share of the zero test"))?;
    let alpha = weighted_residues(&weights, residues) ^ zero.block(0);
    let rho = bench.entropy.block("factor of the zero test");
    let products = Products { bench, alpha, rho };
    let v = mul(alpha, rho) ^ products.run(rows).await?;
    let kinds = CommitKinds { commit: Kind::ZeroCommit, open: Kind::ZeroOpen };
    let message = v.to_bytes();
    let opened =
        commit_and_open(channel, &bench.domain, "zero test", kinds, &message, &bench.entropy)
            .await?;
    let sum = sum_of_blocks(&opened) ^ v;
    if bool::from(sum.ct_eq(&Block::ZERO)) {
        Ok(())
    } else {
        Err(Error::unattributed(Fault::ZeroTest))
    }
}

struct Products<'a, C> {
    bench: &'a Workbench<C>,
    alpha: Block,
    rho: Block,
}

impl<C> Products<'_, C> {
    /// This party's shares of α^i ρ_j and α^j ρ_i over all peers j, summed.
    async fn run(&self, rows: &ByParty<CotRows>) -> Result<Block, Error> {
        let channel = &self.bench.channel;
        let choices = rows.values().iter().map(|rows| choice_bits(&rows.macs));
        let masked = choices.map(|x| (x ^ self.alpha).to_bytes().to_vec()).collect();
        let masked = channel.exchange_each(Kind::ZeroCorr, masked, BLOCK_BYTES).await?;
        let (mut share, mut messages) = (Block::ZERO, Vec::new());
        for (peer, bytes) in masked.iter() {
            let (k, message) = self.offer(peer, rows_with(rows, peer)?, to_block(bytes));
            share ^= k;
            messages.push(from_blocks(&message));
        }
        let bytes = PRODUCT_ROWS * BLOCK_BYTES;
        let offers = channel.exchange_each(Kind::ZeroOle, messages, bytes).await?;
        for (peer, bytes) in offers.iter() {
            share ^= self.take(peer, rows_with(rows, peer)?, &to_blocks(bytes));
        }
        Ok(share)
    }

    /// As holder of Δ: W_t = H(K'_t) ⊕ H(K'_t ⊕ Δ) ⊕ ρX^t and the share ⊕H(K'_t), where
    /// K' = K ⊕ cΔ is the key of the peer's bit α_t.
    fn offer(&self, peer: PartyId, rows: &CotRows, c: Block) -> (Block, Vec<Block>) {
        let (me, delta) = (self.bench.member.me(), self.bench.member.delta());
        let h = self.hash();
        let adjust = |(t, key): (usize, &Block)| *key ^ delta.times(c.0 >> t & 1 == 1);
        let keys = Zeroizing::new(rows.keys.iter().enumerate().map(adjust).collect::<Vec<_>>());
        let mut low = keys.clone();
        let mut high: Vec<_> = keys.iter().map(|key| *key ^ delta).collect();
        h.hash(&mut low, first_tweak(me, peer));
        h.hash(&mut high, first_tweak(me, peer));
        let mut power = self.rho;
        let mut share = Block::ZERO;
        for (w, low) in high.iter_mut().zip(low.iter()) {
            share ^= *low;
            *w ^= *low ^ power;
            power = mul(power, Block(2));
        }
        (share, high)
    }

    /// As chooser: ⊕(H(M_t) ⊕ α_tW_t).
    fn take(&self, peer: PartyId, rows: &CotRows, offered: &[Block]) -> Block {
        let me = self.bench.member.me();
        let mut macs = Zeroizing::new(rows.macs.clone());
        self.hash().hash(&mut macs, first_tweak(peer, me));
        let terms = macs.iter().zip(offered).enumerate();
        terms.fold(Block::ZERO, |sum, (t, (mac, w))| {
            sum ^ *mac ^ w.times(self.alpha.0 >> t & 1 == 1)
        })
    }

    fn hash(&self) -> Tccr {
        Tccr::new(self.bench.domain.tag("hash of the zero test").key())
    }
}

/// Σ_k χ_k t_k, the residues being field elements of degree below 64.
fn weighted_residues(weights: &Weights, residues: &[u64]) -> Block {
    let tiles = residues.par_chunks(TILE).enumerate();
    tiles
        .map(|(tile, residues)| {
            let mut wide = [Block::ZERO; SPAN];
            let mut sum = Block::ZERO;
            for (span, residues) in residues.chunks(SPAN).enumerate() {
                let Some(wide) = wide.get_mut(..residues.len()) else { continue };
                wide.iter_mut().zip(residues).for_each(|(w, t)| *w = Block(u128::from(*t)));
                sum ^= weights.dot((tile * TILE + span * SPAN) as u64, wide);
            }
            sum
        })
        .reduce(|| Block::ZERO, |a, b| a ^ b)
}

/// The bits u of the rows, packed: bit0(M_t) = u_t.
fn choice_bits(macs: &[Block]) -> Block {
    let pack = |sum: u128, (t, mac): (usize, &Block)| sum | u128::from(mac.bit0()) << t;
    Block(macs.iter().enumerate().fold(0, pack))
}

/// The tweak of row 0 for keys of `holder` on bits of `chooser`.
fn first_tweak(holder: PartyId, chooser: PartyId) -> Tweak {
    let (i, j) = (holder.index() as u8, chooser.index() as u8);
    Tweak { purpose: PURPOSE, index: 0, i, j, half: 0 }
}
