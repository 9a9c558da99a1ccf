//! What preprocessing needs of correlated OT (PROTOCOL.md §3): another backend can stand behind it.

use super::run::{Challenge, Taker};
use super::{Choices, Cots, Run};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::mesh::Channel;
use crate::party::ByParty;
use senate_block::Block;
use zeroize::Zeroize;

/// Correlated OT with every peer of a conversation: rows are normalised to bit0(K) = 0 and
/// bit0(M) = u.
#[expect(async_fn_in_trait, reason = "a session's futures stay on one thread")]
pub trait CotSource {
    /// An extension that has begun.
    type Run<'a>: CotRun
    where
        Self: 'a;

    /// Begins one extension with every peer of `channel`, addressed by (S, `batch`), by `choices` of
    /// that peer: fixes everybody's choice bits, then challenges.
    ///
    /// # Errors
    /// Those of the challenge and of the channel.
    async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Choices>,
        challenge: Challenge<'_>,
    ) -> Result<Self::Run<'_>, Error>;

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
}

/// One extension, of which nothing is made or proved yet.
#[expect(async_fn_in_trait, reason = "a session's futures stay on one thread")]
pub trait CotRun {
    /// Makes the rows of the next segment, for one taker after the other, in parallel.
    fn expand<T: Taker>(&mut self, takers: &mut [T]);

    /// Proves to every peer that this party chose consistently, and checks that of all of them. All
    /// rows of all segments have been made.
    ///
    /// # Errors
    /// Those of the extension's check and of the channel.
    async fn prove(self, channel: &Channel) -> Result<(), Error>;
}

impl CotSource for Cots {
    type Run<'a> = Run<'a>;

    async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Choices>,
        challenge: Challenge<'_>,
    ) -> Result<Run<'_>, Error> {
        Cots::begin(self, channel, batch, choices, challenge).await
    }

    fn take(&self, len: usize) -> Vec<Block> {
        self.spare().take(len)
    }

    fn give_back(&self, buffer: Vec<Block>) {
        self.spare().put(buffer);
    }
}

impl CotRun for Run<'_> {
    fn expand<T: Taker>(&mut self, takers: &mut [T]) {
        Run::expand(self, takers);
    }

    async fn prove(self, channel: &Channel) -> Result<(), Error> {
        Run::prove(self, channel).await
    }
}
