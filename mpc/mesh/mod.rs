//! What scripts talk to: typed, exactly sized messages to and from each peer, over links that a
//! driver supplies (TLS in production, memory in the simulator).
//!
//! A session's traffic is divided into lanes, one per conversation that runs on its own (set-up,
//! a batch of triples, a stage). Within one directed link, messages of one lane and kind arrive in
//! the order sent; scripts never depend on any other order.

mod inbox;
mod kind;

pub use kind::Kind;

use crate::error::{AbortClass, Error, Fault};
use crate::join::try_join_all;
use crate::party::ByParty;
use futures_channel::mpsc;
use futures_util::SinkExt;
use inbox::Inbox;
use senate_circuit::{PartyId, PartySet, StageId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A conversation of a session that runs concurrently with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u64);

impl Lane {
    /// Set-up, binding, release and abort.
    pub const SESSION: Self = Self(0);

    /// The run of one stage.
    pub fn stage(stage: StageId) -> Self {
        Self(1 << 56 | u64::from(stage.0))
    }

    /// Batch number `batch` of the preprocessing for the plan's party set number `set`.
    pub fn supply(set: u16, batch: u32) -> Self {
        Self(2 << 56 | u64::from(set) << 32 | u64::from(batch))
    }

    /// Batch number `batch` of what a session opened ahead makes for party set number `set` of its
    /// provisions.
    pub fn ahead(set: u16, batch: u32) -> Self {
        Self(3 << 56 | u64::from(set) << 32 | u64::from(batch))
    }

    /// The number on the wire.
    pub fn code(self) -> u64 {
        self.0
    }

    /// The lane with this number.
    pub fn from_code(code: u64) -> Self {
        Self(code)
    }
}

/// One message as it crosses a link. The transport adds framing and stamps the sender.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The conversation.
    pub lane: Lane,
    /// What it is.
    pub kind: Kind,
    /// Contents.
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?}, {:?}, {} bytes)", self.lane, self.kind, self.payload.len())
    }
}

/// The two ends of an ordered, reliable, authenticated link to one peer. A driver that closes
/// `incoming` (peer gone, deadline passed) makes every wait on that peer fail with
/// [`Error::Lost`].
#[derive(Debug)]
pub struct Link {
    /// Frames to the peer; bounded, so that a slow peer slows its sender.
    pub outgoing: mpsc::Sender<Frame>,
    /// Frames from the peer.
    pub incoming: mpsc::Receiver<Frame>,
}

/// All links of one party in one session. Cheap to clone; stays on one thread.
#[derive(Clone, Debug)]
pub struct Mesh {
    me: PartyId,
    parties: PartySet,
    peers: Rc<ByParty<Peer>>,
    end: Rc<End>,
}

/// Whether the session has failed, and what is to be wiped when it does.
#[derive(Default)]
struct End {
    failure: Cell<Option<Error>>,
    wipe: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "End({:?})", self.failure.get())
    }
}

#[derive(Debug)]
struct Peer {
    outgoing: mpsc::Sender<Frame>,
    inbox: Inbox,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Mesh {
    /// A mesh of `me` with the parties of `links` (which must not contain `me`).
    ///
    /// # Errors
    /// [`Error::Misuse`] when `links` names `me` or nobody.
    pub fn new(me: PartyId, links: ByParty<Link>) -> Result<Self, Error> {
        if links.parties().contains(me) || links.parties().is_empty() {
            return Err(Error::Misuse(
                "a mesh needs a link to each other party and none to itself",
            ));
        }
        let parties = links.parties().union(PartySet::only(me));
        let peers = links.map(|party, link| Peer {
            outgoing: link.outgoing,
            inbox: Inbox::new(party, link.incoming),
            sent: Cell::new(0),
            received: Cell::new(0),
        });
        Ok(Self { me, parties, peers: Rc::new(peers), end: Rc::default() })
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.me
    }

    /// Everybody in the session, this party included.
    pub fn parties(&self) -> PartySet {
        self.parties
    }

    /// The conversation `lane` among `set`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when `set` lacks this party or names a stranger.
    pub fn channel(&self, lane: Lane, set: PartySet) -> Result<Channel, Error> {
        if !set.contains(self.me) || !set.is_subset(self.parties) {
            return Err(Error::Misuse("a channel's parties are members of the mesh, me included"));
        }
        Ok(Channel { mesh: self.clone(), lane, set, sent: Rc::new(Cell::new(0)) })
    }

    /// Payload bytes sent to each peer so far.
    pub fn bytes_sent(&self) -> ByParty<u64> {
        ByParty::from_fn(self.peers.parties(), |p| self.peers.at(p).map_or(0, |q| q.sent.get()))
    }

    /// Payload bytes received from each peer so far.
    pub fn bytes_received(&self) -> ByParty<u64> {
        ByParty::from_fn(self.peers.parties(), |p| self.peers.at(p).map_or(0, |q| q.received.get()))
    }

    /// Why the session failed at this party, if it has.
    pub fn failure(&self) -> Option<Error> {
        self.end.failure.get()
    }

    /// Ends the session at this party for good: every send and receive, pending or later, fails
    /// with the first failure's error, and the session's keys are wiped (PROTOCOL.md §1, abort).
    pub fn fail(&self, error: Error) {
        if self.failure().is_none() {
            self.end.failure.set(Some(error));
            if let Some(wipe) = self.end.wipe.take() {
                wipe();
            }
            self.peers.iter().for_each(|(_, peer)| peer.inbox.end(error));
        }
    }

    /// What [`Mesh::fail`] does to the session's keys.
    pub(crate) fn wipe_on_failure(&self, wipe: impl FnOnce() + 'static) {
        *self.end.wipe.borrow_mut() = Some(Box::new(wipe));
    }

    /// The result of `work`, whose error fails the session. So does dropping it half done: a
    /// conversation cannot be taken up again.
    ///
    /// # Errors
    /// Those of `work`; the session's failure, if it has failed before.
    pub(crate) async fn or_fail<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let mut running = Running { mesh: self, over: false };
        let result = work.await;
        running.over = true;
        if let Err(error) = &result {
            self.fail(*error);
        }
        result
    }

    /// Tells every peer that the session is over; failures to deliver are ignored.
    pub async fn abort(&self, class: AbortClass) {
        let payload = vec![class.to_byte()];
        for (_, peer) in self.peers.iter() {
            let frame = Frame { lane: Lane::SESSION, kind: Kind::Abort, payload: payload.clone() };
            let _ = peer.outgoing.clone().try_send(frame);
        }
    }

    fn peer(&self, party: PartyId) -> Result<&Peer, Error> {
        self.peers.at(party).ok_or(Error::Misuse("message to or from a party outside the mesh"))
    }
}

/// Work that fails the session unless it is finished.
struct Running<'a> {
    mesh: &'a Mesh,
    over: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.mesh.fail(Error::Misuse("a conversation was abandoned"));
        }
    }
}

/// Room for what the peers of a conversation may send before it is claimed; given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    channel: Channel,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.channel.inboxes().for_each(|inbox| inbox.release(self.bytes));
    }
}

/// One conversation of this party with some of its peers.
#[derive(Clone, Debug)]
pub struct Channel {
    mesh: Mesh,
    lane: Lane,
    set: PartySet,
    sent: Rc<Cell<u64>>,
}

impl Channel {
    /// This party.
    pub fn me(&self) -> PartyId {
        self.mesh.me
    }

    /// S: the parties of the conversation, this one included.
    pub fn set(&self) -> PartySet {
        self.set
    }

    /// S without this party.
    pub fn peers(&self) -> PartySet {
        self.set.without(self.mesh.me)
    }

    /// The conversation's lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Nothing while the session goes on.
    ///
    /// # Errors
    /// What ended it.
    pub(crate) fn alive(&self) -> Result<(), Error> {
        self.mesh.failure().map_or(Ok(()), Err)
    }

    /// Payload bytes sent through this channel and its clones.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.get()
    }

    /// Lets every peer of the conversation have `bytes` more on the way than a party that runs no
    /// conversation would accept; a peer that sends more is cut off with [`Fault::Flood`].
    #[must_use]
    pub(crate) fn reserve(&self, bytes: usize) -> Reservation {
        self.inboxes().for_each(|inbox| inbox.reserve(bytes));
        Reservation { channel: self.clone(), bytes }
    }

    fn inboxes(&self) -> impl Iterator<Item = &Inbox> {
        self.peers().iter().filter_map(|party| self.mesh.peers.at(party)).map(|peer| &peer.inbox)
    }

    /// Sends one message. Waits while the link's queue is full.
    ///
    /// # Errors
    /// [`Error::Lost`] when the link is closed; the failure of a session that has failed.
    pub async fn send(&self, to: PartyId, kind: Kind, payload: Vec<u8>) -> Result<(), Error> {
        if let Some(error) = self.mesh.failure() {
            return Err(error);
        }
        let peer = self.mesh.peer(to)?;
        let bytes = payload.len() as u64;
        peer.sent.set(peer.sent.get() + bytes);
        self.sent.set(self.sent.get() + bytes);
        let frame = Frame { lane: self.lane, kind, payload };
        let sent = peer.outgoing.clone().send(frame).await;
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(peer.inbox.closing_error()),
        }
    }

    /// Receives the next message of `kind`, which must be of exactly `bytes` bytes.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for another size, [`Error::Lost`] when the link closes,
    /// [`Error::Aborted`] when the peer ended the session.
    pub async fn recv(&self, from: PartyId, kind: Kind, bytes: usize) -> Result<Vec<u8>, Error> {
        let peer = self.mesh.peer(from)?;
        let payload = peer.inbox.next(self.lane, kind).await?;
        peer.received.set(peer.received.get() + payload.len() as u64);
        if payload.len() == bytes {
            Ok(payload)
        } else {
            Err(Error::by(from, Fault::Malformed(kind)))
        }
    }

    /// Sends `payload` to every peer of the conversation.
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub async fn send_all(&self, kind: Kind, payload: &[u8]) -> Result<(), Error> {
        try_join_all(self.peers().iter().map(|to| self.send(to, kind, payload.to_vec()))).await?;
        Ok(())
    }

    /// Receives one message of `bytes` bytes from every peer of the conversation.
    ///
    /// # Errors
    /// As [`Channel::recv`].
    pub async fn recv_all(&self, kind: Kind, bytes: usize) -> Result<ByParty<Vec<u8>>, Error> {
        let peers = self.peers();
        let all = try_join_all(peers.iter().map(|from| self.recv(from, kind, bytes))).await?;
        let mut all = all.into_iter();
        ByParty::try_from_fn(peers, |_| all.next().ok_or(Error::Misuse("one answer per peer")))
    }

    /// Sends the same payload to every peer and receives one of the same size from each.
    ///
    /// # Errors
    /// As [`Channel::recv`].
    pub async fn exchange(&self, kind: Kind, payload: &[u8]) -> Result<ByParty<Vec<u8>>, Error> {
        let (_, received) = futures_util::future::try_join(
            self.send_all(kind, payload),
            self.recv_all(kind, payload.len()),
        )
        .await?;
        Ok(received)
    }

    /// Sends to each peer its own payload (`payloads` by peer ascending) and receives one of
    /// `bytes` bytes from each.
    ///
    /// # Errors
    /// [`Error::Misuse`] unless there is one payload per peer; as [`Channel::recv`].
    pub async fn exchange_each(
        &self,
        kind: Kind,
        payloads: Vec<Vec<u8>>,
        bytes: usize,
    ) -> Result<ByParty<Vec<u8>>, Error> {
        let peers = self.peers();
        if payloads.len() != peers.len() {
            return Err(Error::Misuse("one payload per peer"));
        }
        let sends = peers.iter().zip(payloads).map(|(to, payload)| self.send(to, kind, payload));
        let (_, received) =
            futures_util::future::try_join(try_join_all(sends), self.recv_all(kind, bytes)).await?;
        Ok(received)
    }
}
