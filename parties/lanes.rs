//! Bringing up a session's lanes: of two parties the lower one dials, the other waits for it here.

use crate::failure::{Failure, Outcome};
use crate::member::Member;
use crate::messages::{LaneKind, Purpose, SessionId};
use crate::transport::{Connection, Links, control_link, protocol_link};
use futures_util::future::try_join_all;
use futures_util::{FutureExt, TryFutureExt};
use senate_circuit::{PartyId, PartySet};
use senate_mpc::ByParty;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long the others may take to open their lanes.
const LANES_MAX: Duration = Duration::from_secs(20);
/// Connections that one session may be sought by: two from each party.
const LANES_OF_SESSION_MAX: usize = 2 * PartySet::MAX;

type Arrival = (PartyId, LaneKind, Connection);
type Waiting = Arc<Mutex<BTreeMap<SessionId, Expected>>>;

/// A session whose lanes come here.
struct Expected {
    lanes: mpsc::Sender<Arrival>,
    /// Where it lives, once that is known, if it does not live in this process.
    worker: watch::Sender<Option<SocketAddr>>,
    /// Connections that were passed on to it.
    passed: usize,
}

/// Sessions that wait for lanes.
#[derive(Clone, Default)]
pub(crate) struct Rendezvous {
    waiting: Waiting,
}

/// A session's place at the rendezvous, given up on drop.
pub(crate) struct Registration {
    session: SessionId,
    arrivals: mpsc::Receiver<Arrival>,
    waiting: Waiting,
}

impl Drop for Registration {
    fn drop(&mut self) {
        locked(&self.waiting).remove(&self.session);
    }
}

impl Registration {
    /// Which session it is.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Its lanes are passed on to this worker from now on.
    pub(crate) fn lives_at(&self, worker: SocketAddr) {
        if let Some(expected) = locked(&self.waiting).get(&self.session) {
            expected.worker.send_replace(Some(worker));
        }
    }
}

impl Rendezvous {
    /// From now on lanes of this session are kept; `None` when it is known already.
    pub(crate) fn register(&self, session: SessionId) -> Option<Registration> {
        let mut waiting = locked(&self.waiting);
        if waiting.contains_key(&session) {
            return None;
        }
        let (lanes, arrivals) = mpsc::channel(LANES_OF_SESSION_MAX);
        waiting.insert(session, Expected { lanes, worker: watch::channel(None).0, passed: 0 });
        Some(Registration { session, arrivals, waiting: Arc::clone(&self.waiting) })
    }

    /// A lane has been opened by `peer`; one that nobody waits for is dropped.
    pub(crate) fn arrived(
        &self,
        session: SessionId,
        peer: PartyId,
        lane: LaneKind,
        connection: Connection,
    ) {
        let waiting = locked(&self.waiting);
        let kept = match waiting.get(&session) {
            Some(expected) => expected.lanes.try_send((peer, lane, connection)).is_ok(),
            None => false,
        };
        if !kept {
            tracing::warn!(%session, "a lane that nobody waits for");
        }
    }

    /// The worker in which this session lives, for one more connection; waits for it as long as lanes
    /// are waited for. `None` when there is none, or it has been sought too often.
    pub(crate) async fn worker_of(&self, session: SessionId) -> Option<SocketAddr> {
        let mut worker = {
            let mut waiting = locked(&self.waiting);
            let expected = waiting.get_mut(&session)?;
            expected.passed += 1;
            if expected.passed > LANES_OF_SESSION_MAX {
                return None;
            }
            expected.worker.subscribe()
        };
        let known = timeout(LANES_MAX, worker.wait_for(Option::is_some)).await;
        known.ok()?.ok().and_then(|worker| *worker)
    }
}

fn locked(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<SessionId, Expected>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    /// Both lanes to every other participant.
    ///
    /// # Errors
    /// Lost, naming the party to which there are none.
    pub(crate) async fn open_lanes(
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
