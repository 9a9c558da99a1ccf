//! Correlated oblivious transfer (PROTOCOL.md §3): one SoftSpokenOT instance per ordered pair of
//! parties, set up once per session and extended by address.
//!
//! In an instance the *sender* P_j holds Δ_j and gets keys K; the *receiver* P_i holds choice bits
//! u and gets MACs M = K ⊕ uΔ_j, with bit0(K) = 0 and bit0(M) = u. Neither learns the other's part.

mod base;
mod choices;
mod ggm;
mod half;
mod pair;
mod run;
mod softspoken;
mod source;
mod spare;

#[cfg(test)]
mod tests;

pub use choices::Choices;
pub use half::Half;
pub use pair::Pair;
pub use run::{Challenge, Keeper, Part, Rows, Run, TAKEN_MAX, Taker};
pub use senate_circuit::TreeDepth;
pub use softspoken::{CotReceiver, CotSender, Holder};
pub use source::{CotRun, CotSource};

use crate::auth::Delta;
use crate::domain::SessionId;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::join::try_join_all;
use crate::mesh::Channel;
use crate::party::ByParty;
use futures_util::future::try_join;
use senate_block::Block;
use senate_circuit::{PartyId, PartySet};
use spare::Spare;
use std::rc::Rc;
use zeroize::Zeroize;

/// This party's side of all its instances, two per peer.
#[derive(Debug)]
pub struct Cots {
    instances: ByParty<(CotSender, CotReceiver)>,
    spare: Spare,
}

/// The instance between two parties that is set up first.
enum First {
    Sender(CotSender),
    Receiver(CotReceiver),
}

/// Who holds Δ in the first instance between two parties: each party does toward about half of its
/// peers.
fn sender_of_first(pair: [PartyId; 2]) -> PartyId {
    let [one, other] = pair;
    let lower = (one.index() + other.index()).is_multiple_of(2);
    if (one < other) == lower { one } else { other }
}

/// What one extension yields with one peer j, row by row. Zeroised on drop.
#[derive(Debug, Default)]
pub struct CotRows {
    /// M_j: MACs under Δ_j on this party's choice bits.
    pub macs: Vec<Block>,
    /// K_i[j]: this party's keys for the choice bits of j.
    pub keys: Vec<Block>,
}

impl Drop for CotRows {
    fn drop(&mut self) {
        self.macs.zeroize();
        self.keys.zeroize();
    }
}

impl Cots {
    /// Sets up both instances with every peer of `channel`, all pairs concurrently. `session` is
    /// the session id that every hash is bound to.
    ///
    /// # Errors
    /// [`Fault::BasePoint`](crate::Fault::BasePoint), [`Fault::CotConsistency`](crate::Fault) or
    /// [`Fault::Pprf`](crate::Fault::Pprf) by the peer that cheated, and those of the channel.
    pub async fn set_up(
        channel: &Channel,
        session: SessionId,
        depth: TreeDepth,
        delta: &Rc<Delta>,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let first = async |pair: Pair| match pair.sender == channel.me() {
            true => {
                let sender = CotSender::set_up(channel, pair, depth, delta.clone(), entropy);
                Ok(First::Sender(sender.await?))
            }
            false => {
                let receiver = CotReceiver::set_up(channel, pair, depth, entropy);
                Ok(First::Receiver(receiver.await?))
            }
        };
        Self::from_first(channel, session, delta, entropy, first).await
    }

    /// As [`Cots::set_up`] after base OTs that a dealer has done; everything else is real. Tests
    /// only: whoever knows the session id knows all keys.
    ///
    /// # Errors
    /// As [`Cots::set_up`].
    #[cfg(any(test, feature = "sim"))]
    pub async fn set_up_dealt(
        channel: &Channel,
        session: SessionId,
        depth: TreeDepth,
        delta: &Rc<Delta>,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let first = async |pair: Pair| match pair.sender == channel.me() {
            true => {
                let sender = CotSender::set_up_dealt(channel, pair, depth, delta.clone());
                Ok(First::Sender(sender.await?))
            }
            false => {
                let receiver = CotReceiver::set_up_dealt(channel, pair, depth, entropy);
                Ok(First::Receiver(receiver.await?))
            }
        };
        Self::from_first(channel, session, delta, entropy, first).await
    }

    /// Both instances with every peer, of which `first` sets one up.
    async fn from_first(
        channel: &Channel,
        session: SessionId,
        delta: &Rc<Delta>,
        entropy: &Entropy,
        first: impl AsyncFn(Pair) -> Result<First, Error>,
    ) -> Result<Self, Error> {
        let me = channel.me();
        let with = async |peer: PartyId| {
            let sending = Pair { session, sender: me, receiver: peer };
            let receiving = Pair { session, sender: peer, receiver: me };
            let sends = sender_of_first([me, peer]) == me;
            Ok::<_, Error>(match first(if sends { sending } else { receiving }).await? {
                First::Sender(sender) => {
                    let other = CotReceiver::after(channel, &sender, receiving, entropy).await?;
                    (sender, other)
                }
                First::Receiver(receiver) => {
                    let delta = delta.clone();
                    let other = CotSender::after(channel, &receiver, sending, delta, entropy);
                    (other.await?, receiver)
                }
            })
        };
        let peers = channel.peers();
        Self::new(peers, try_join_all(peers.iter().map(with)).await?)
    }

    fn new(peers: PartySet, instances: Vec<(CotSender, CotReceiver)>) -> Result<Self, Error> {
        let mut instances = instances.into_iter();
        let next = |_| instances.next().ok_or(Error::Misuse("one instance per peer"));
        Ok(Self { instances: ByParty::try_from_fn(peers, next)?, spare: Spare::default() })
    }

    /// Begins to extend both instances with every peer of `channel` by the `choices` of that peer. The
    /// rows' address is (parties of the channel, `batch`): all parties use the same batch number and
    /// row counts, each batch once, and on each lane begin and prove extensions in one order.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a repeated address or a stranger, those of the challenge and of the channel.
    pub async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Choices>,
        challenge: Challenge<'_>,
    ) -> Result<Run<'_>, Error> {
        let peers = channel.peers();
        let with = async |peer: PartyId| {
            let choices = choices.at(peer).ok_or(Error::Misuse("choice bits for every peer"))?;
            let (sender, receiver) = (self.sender(peer)?, self.receiver(peer)?);
            let begun = try_join(
                sender.begin(channel, batch, choices.segments()),
                receiver.begin(channel, batch, choices),
            );
            begun.await
        };
        let mut halves = try_join_all(peers.iter().map(with)).await?.into_iter();
        let next = |_| halves.next().ok_or(Error::Misuse("one answer per peer"));
        Run::new(channel, ByParty::try_from_fn(peers, next)?, challenge).await
    }

    /// Memory that batches are done with, for the next ones.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// The instance in which this party holds Δ and `peer` chooses.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a stranger.
    pub fn sender(&self, peer: PartyId) -> Result<&CotSender, Error> {
        let instance = self.instances.at(peer).ok_or(Error::Misuse("no OT with this party"))?;
        Ok(&instance.0)
    }

    /// The instance in which `peer` holds Δ and this party chooses.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a stranger.
    pub fn receiver(&self, peer: PartyId) -> Result<&CotReceiver, Error> {
        let instance = self.instances.at(peer).ok_or(Error::Misuse("no OT with this party"))?;
        Ok(&instance.1)
    }
}
