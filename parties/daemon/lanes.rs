//! Bringing up a session's lanes: of two parties the lower one dials, the other waits for it here.

use super::Daemon;
use crate::failure::{Failure, Outcome};
use crate::messages::{LaneKind, Purpose, SessionId};
use crate::transport::{Connection, Links, control_link, protocol_link};
use futures_util::future::try_join_all;
use futures_util::{FutureExt, TryFutureExt};
use senate_circuit::{PartyId, PartySet};
use senate_mpc::ByParty;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the others may take to open their lanes.
const LANES_MAX: Duration = Duration::from_secs(20);

type Arrival = (PartyId, LaneKind, Connection);
type Waiting = Arc<Mutex<BTreeMap<SessionId, mpsc::Sender<Arrival>>>>;

/// Sessions that wait for lanes.
#[derive(Clone, Default)]
pub(super) struct Rendezvous {
    waiting: Waiting,
}

/// A session's place at the rendezvous, given up on drop.
pub(super) struct Registration {
    session: SessionId,
    arrivals: mpsc::Receiver<Arrival>,
    waiting: Waiting,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.session);
    }
}

impl Rendezvous {
    /// From now on lanes of this session are kept; `None` when it is known already.
    pub(super) fn register(&self, session: SessionId) -> Option<Registration> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains_key(&session) {
            return None;
        }
        let (sender, arrivals) = mpsc::channel(2 * PartySet::MAX);
        waiting.insert(session, sender);
        Some(Registration { session, arrivals, waiting: Arc::clone(&self.waiting) })
    }

    /// A lane has been opened by `peer`; one that nobody waits for is dropped.
    pub(super) fn arrived(
        &self,
        session: SessionId,
        peer: PartyId,
        lane: LaneKind,
        connection: Connection,
    ) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match waiting.get(&session) {
            Some(session) => session.try_send((peer, lane, connection)).is_ok(),
            None => false,
        };
        if !kept {
            tracing::warn!(%session, "a lane that nobody waits for");
        }
    }
}

impl Daemon {
    /// Both lanes to every other participant.
    pub(super) async fn open_lanes(
        &self,
        registration: &mut Registration,
        participants: PartySet,
    ) -> Outcome<Links> {
        let peers = participants.without(self.me);
        let session = registration.session;
        let (above, below): (PartySet, PartySet) = (
            peers.iter().filter(|peer| *peer > self.me).collect(),
            peers.iter().filter(|peer| *peer < self.me).collect(),
        );
        let mut dialling = Vec::new();
        for (peer, lane) in both(above) {
            let dial = self.dial(peer, Purpose::Lane(session, lane));
            dialling.push(dial.map_ok(move |connection| ((peer, lane), connection)).boxed());
        }
        let dialled = try_join_all(dialling);
        let awaited = self.await_lanes(&mut registration.arrivals, below);
        let (dialled, awaited) = tokio::try_join!(dialled, awaited)?;
        let mut lanes: BTreeMap<(PartyId, LaneKind), Connection> = awaited;
        lanes.extend(dialled);
        let mut take = |peer, lane| {
            lanes.remove(&(peer, lane)).ok_or_else(|| Failure::unexpected("a lane is missing"))
        };
        let protocol = ByParty::try_from_fn(peers, |peer| take(peer, LaneKind::Protocol))?;
        let control = ByParty::try_from_fn(peers, |peer| take(peer, LaneKind::Control))?;
        Ok(Links {
            protocol: protocol.map(|_, connection| protocol_link(connection)),
            control: control.map(|_, connection| control_link(connection)),
        })
    }

    async fn await_lanes(
        &self,
        arrivals: &mut mpsc::Receiver<Arrival>,
        peers: PartySet,
    ) -> Outcome<BTreeMap<(PartyId, LaneKind), Connection>> {
        let mut lanes = BTreeMap::new();
        let mut missing: Vec<(PartyId, LaneKind)> = both(peers).collect();
        while let Some((peer, _)) = missing.first().copied() {
            let arrival = timeout(LANES_MAX, arrivals.recv()).await.ok().flatten();
            let Some((from, lane, connection)) = arrival else {
                let name = self.name(peer);
                let why = format!("party {name} did not open its links");
                return Err(Failure::lost_party(&name, why));
            };
            // Whoever is not expected, or comes twice, is dropped.
            if let Some(at) = missing.iter().position(|wanted| *wanted == (from, lane)) {
                missing.remove(at);
                lanes.insert((from, lane), connection);
            }
        }
        Ok(lanes)
    }
}

fn both(peers: PartySet) -> impl Iterator<Item = (PartyId, LaneKind)> {
    let lanes = [LaneKind::Protocol, LaneKind::Control];
    peers.iter().flat_map(move |peer| lanes.map(|lane| (peer, lane)))
}
