//! The ends of a session's links as the protocol and control see them, whatever carries them.

use super::HEARTBEAT;
use crate::failure::{Failure, Outcome};
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::stream::Peekable;
use senate_circuit::{PartyId, PartySet};
use senate_mpc::{ByParty, Link};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Frames that may wait in one direction of one link before the sender has to.
pub(super) const QUEUE_FRAMES: usize = 64;
/// The same for control, whose messages are few and short: more than a plan can give rise to.
pub(super) const QUEUE_MESSAGES: usize = 1 << 12;

/// The two ends of a control lane to one peer. `incoming` ends when the peer is gone.
#[derive(Debug)]
pub struct ControlLink {
    /// Encoded messages to the peer.
    pub outgoing: mpsc::Sender<Vec<u8>>,
    /// Encoded messages from the peer, which the transport has identified.
    pub incoming: Peekable<mpsc::Receiver<Vec<u8>>>,
    /// When the peer last showed that it lives.
    pub heard: Heard,
}

/// When a peer last showed that it lives. A peer inside this process needs no sign.
#[derive(Clone, Debug, Default)]
pub struct Heard(Option<Arc<Mutex<Instant>>>);

impl Heard {
    /// A peer that has to show signs of life from now on.
    pub(super) fn from_now() -> Self {
        Self(Some(Arc::new(Mutex::new(Instant::now()))))
    }

    /// The peer lives.
    pub(super) fn now(&self) {
        if let Some(heard) = &self.0 {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Whether the peer owes a sign of life.
    pub fn is_silent(&self) -> bool {
        self.0.as_ref().is_some_and(|heard| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > 2 * HEARTBEAT
        })
    }
}

/// All links of one party in one session.
#[derive(Debug)]
pub struct Links {
    /// The protocol's lanes.
    pub protocol: ByParty<Link>,
    /// Control's lanes.
    pub control: ByParty<ControlLink>,
}

/// Links among `parties` inside this process, one end for each.
///
/// # Errors
/// None in practice: every pair of parties has two ends.
pub fn in_memory(parties: PartySet) -> Outcome<ByParty<Links>> {
    let mut protocol = ends(parties, || {
        let (there, back) = (mpsc::channel(QUEUE_FRAMES), mpsc::channel(QUEUE_FRAMES));
        let near = Link { outgoing: there.0, incoming: back.1 };
        (near, Link { outgoing: back.0, incoming: there.1 })
    });
    let mut control = ends(parties, || {
        let (there, back) = (mpsc::channel(QUEUE_MESSAGES), mpsc::channel(QUEUE_MESSAGES));
        let link = |outgoing, incoming: mpsc::Receiver<Vec<u8>>| {
            let (incoming, heard) = (incoming.peekable(), Heard::default());
            ControlLink { outgoing, incoming, heard }
        };
        (link(there.0, back.1), link(back.0, there.1))
    });
    ByParty::try_from_fn(parties, |me| {
        let peers = parties.without(me);
        let protocol = ByParty::try_from_fn(peers, |peer| take(&mut protocol, me, peer))?;
        let control = ByParty::try_from_fn(peers, |peer| take(&mut control, me, peer))?;
        Ok(Links { protocol, control })
    })
}

/// A party's end of its link to another.
type Ends<L> = BTreeMap<(PartyId, PartyId), L>;

/// For every pair of parties both ends of one link.
fn ends<L>(parties: PartySet, link: impl Fn() -> (L, L)) -> Ends<L> {
    let mut ends = BTreeMap::new();
    for low in parties.iter() {
        for high in parties.iter().filter(|high| *high > low) {
            let (near, far) = link();
            ends.insert((low, high), near);
            ends.insert((high, low), far);
        }
    }
    ends
}

fn take<L>(ends: &mut Ends<L>, me: PartyId, peer: PartyId) -> Outcome<L> {
    ends.remove(&(me, peer)).ok_or_else(|| Failure::unexpected("a link without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::SinkExt;

    #[tokio::test]
    async fn every_message_arrives_at_its_addressee_only_and_links_close_with_their_owner() {
        let parties = PartySet::first(3);
        let mut links = in_memory(parties).unwrap();
        for me in parties.iter() {
            for peer in parties.without(me).iter() {
                let link = links.at_mut(me).unwrap().control.at_mut(peer).unwrap();
                let text = vec![me.index() as u8, peer.index() as u8];
                link.outgoing.send(text).await.unwrap();
            }
        }
        for me in parties.iter() {
            for peer in parties.without(me).iter() {
                let link = links.at_mut(me).unwrap().control.at_mut(peer).unwrap();
                let text = link.incoming.next().await.unwrap();
                assert_eq!(text, [peer.index() as u8, me.index() as u8]);
            }
        }
        let mut ends = links.into_iter().map(|(_, links)| links);
        let (mut first, second) = (ends.next().unwrap(), ends.next().unwrap());
        let peer = PartyId::new(1).unwrap();
        drop(second);
        assert_eq!(first.control.at_mut(peer).unwrap().incoming.next().await, None);
    }
}
