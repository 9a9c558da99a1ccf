//! What every protocol of one batch works with.

use crate::auth::{AuthBits, Member};
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::Channel;
use crate::ot::{CotRows, Cots};
use crate::party::ByParty;
use crate::zero::ZeroShares;
use senate_block::Block;
use senate_circuit::Bits;
use std::rc::Rc;
use zeroize::Zeroize;

/// Correlated OT with every peer of a conversation (PROTOCOL.md §3): rows that have passed their
/// consistency check, normalised to bit0(K) = 0 and bit0(M) = u.
#[expect(async_fn_in_trait, reason = "a session's futures stay on one thread")]
pub trait CotSource {
    /// One extension with every peer of `channel`, addressed by (S, `batch`).
    ///
    /// # Errors
    /// Those of the extension's check and of the channel.
    async fn extend(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Bits>,
        entropy: &Entropy,
    ) -> Result<ByParty<CotRows>, Error>;

    /// `len` blocks of any contents, to be written before they are read.
    fn take(&self, len: usize) -> Vec<Block> {
        bytemuck::allocation::zeroed_vec(len)
    }

    /// Takes back memory that nobody needs any more, to use it again.
    fn give_back(&self, mut buffer: Vec<Block>) {
        buffer.zeroize();
    }

    /// Takes back the memory of shares.
    fn reclaim(&self, mut shares: AuthBits) {
        shares.planes_mut().for_each(|plane| self.give_back(std::mem::take(plane)));
    }

    /// Takes back the memory of rows.
    fn recycle(&self, rows: ByParty<CotRows>) {
        for (_, mut rows) in rows {
            self.give_back(std::mem::take(&mut rows.macs));
            self.give_back(std::mem::take(&mut rows.keys));
        }
    }
}

impl CotSource for Cots {
    async fn extend(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Bits>,
        entropy: &Entropy,
    ) -> Result<ByParty<CotRows>, Error> {
        Cots::extend(self, channel, batch, choices, entropy).await
    }

    fn take(&self, len: usize) -> Vec<Block> {
        self.spare().take(len)
    }

    fn give_back(&self, buffer: Vec<Block>) {
        self.spare().put(buffer);
    }
}

/// One party's tools for one conversation of a party set.
pub struct Workbench<C> {
    /// The conversation.
    pub channel: Channel,
    /// This party in S.
    pub member: Member,
    /// What the conversation's hashes are bound to.
    pub domain: Domain,
    /// Shares of zero.
    pub zero: Rc<ZeroShares>,
    /// Correlated OT.
    pub cots: Rc<C>,
    /// Private randomness.
    pub entropy: Rc<Entropy>,
}

impl<C> std::fmt::Debug for Workbench<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workbench({:?})", self.member)
    }
}
