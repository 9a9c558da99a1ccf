//! The ends of a session's links as the protocol and control see them, whatever carries them.

use futures_channel::mpsc;
use senate_circuit::{PartyId, PartySet};
use senate_mpc::{ByParty, Link};

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
    pub incoming: mpsc::Receiver<Vec<u8>>,
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
pub fn in_memory(parties: PartySet) -> ByParty<Links> {
    let protocol =
        crosswise(parties, QUEUE_FRAMES, |outgoing, incoming| Link { outgoing, incoming });
    let control =
        crosswise(parties, QUEUE_MESSAGES, |outgoing, incoming| ControlLink { outgoing, incoming });
    let mut control = control.into_iter();
    protocol.map(|party, protocol| {
        let none = ByParty::from_fn(PartySet::EMPTY, |_| unreachable_link(party));
        let control = control.next().map_or(none, |(_, control)| control);
        Links { protocol, control }
    })
}

/// A link that is closed from the start; stands in for a link that does not exist.
fn unreachable_link(_party: PartyId) -> ControlLink {
    ControlLink { outgoing: mpsc::channel(1).0, incoming: mpsc::channel(1).1 }
}

/// For every ordered pair one queue; every party gets its sending and receiving ends.
fn crosswise<T, L>(
    parties: PartySet,
    queue: usize,
    link: impl Fn(mpsc::Sender<T>, mpsc::Receiver<T>) -> L,
) -> ByParty<ByParty<L>> {
    let mut queues = ByParty::from_fn(parties, |from| {
        ByParty::from_fn(parties.without(from), |_| {
            let (sender, receiver) = mpsc::channel(queue);
            (sender, Some(receiver))
        })
    });
    ByParty::from_fn(parties, |me| {
        ByParty::from_fn(parties.without(me), |peer| {
            let incoming = queues
                .at_mut(peer)
                .and_then(|row| row.at_mut(me))
                .and_then(|queue| queue.1.take())
                .unwrap_or_else(|| mpsc::channel(1).1);
            let outgoing = queues
                .at(me)
                .and_then(|row| row.at(peer))
                .map_or_else(|| mpsc::channel(1).0, |queue| queue.0.clone());
            link(outgoing, incoming)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};

    #[tokio::test]
    async fn every_message_arrives_at_its_addressee_only_and_links_close_with_their_owner() {
        let parties = PartySet::first(3);
        let mut links = in_memory(parties);
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
