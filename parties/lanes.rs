//! Bringing up a session's lanes: of two parties the lower one dials, the other waits for it here.

use crate::failure::{Failure, Outcome};
use crate::member::Member;
use crate::messages::{LaneKind, Purpose, SessionId};
use crate::transport::{Connection, LaneName, Links, control_link, protocol_link};
use futures_util::future::try_join_all;
use futures_util::{FutureExt, TryFutureExt};
use senate_circuit::{PartyId, PartySet};
use senate_mpc::ByParty;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long the others may take to open their lanes.
const LANES_MAX: Duration = Duration::from_secs(20);
/// Connections that may be on their way to a worker at once under the name of one lane.
const CONNECTIONS_OF_LANE_MAX: usize = 8;
/// How long a session that is over may take to say so to the others.
const FAREWELL_MAX: Duration = Duration::from_secs(8);

type Arrival = (PartyId, LaneKind, Connection);

/// A session whose lanes come here.
struct Expected {
    lanes: mpsc::Sender<Arrival>,
    /// Those that have come: no party fills the queue with one lane again and again.
    come: BTreeSet<(PartyId, LaneKind)>,
    /// Where it lives, once that is known, if it does not live in this process.
    worker: watch::Sender<Option<SocketAddr>>,
}

#[derive(Default)]
struct Waiting {
    sessions: BTreeMap<SessionId, Expected>,
    /// Names of lanes, and how many more connections may be on their way under each.
    names: BTreeMap<LaneName, (SessionId, Arc<Semaphore>)>,
}

/// Sessions of one party that wait for lanes.
#[derive(Clone)]
pub(crate) struct Rendezvous {
    me: PartyId,
    waiting: Arc<Mutex<Waiting>>,
}

/// A session's place at the rendezvous, given up on drop.
pub(crate) struct Registration {
    session: SessionId,
    arrivals: mpsc::Receiver<Arrival>,
    rendezvous: Rendezvous,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiting = self.rendezvous.locked();
        waiting.sessions.remove(&self.session);
        waiting.names.retain(|_, (session, _)| *session != self.session);
    }
}

impl Registration {
    /// Which session it is.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Its lanes are passed on to this worker from now on.
    pub(crate) fn lives_at(&self, worker: SocketAddr) {
        if let Some(expected) = self.rendezvous.locked().sessions.get(&self.session) {
            expected.worker.send_replace(Some(worker));
        }
    }
}

/// A lane on its way to a worker.
pub(crate) struct Passage {
    /// Where the session lives.
    pub(crate) worker: SocketAddr,
    session: watch::Receiver<Option<SocketAddr>>,
    _slot: OwnedSemaphorePermit,
}

impl Passage {
    /// Waits until the session is over and what it still had to say has passed.
    pub(crate) async fn ends(mut self) {
        while self.session.changed().await.is_ok() {}
        sleep(FAREWELL_MAX).await;
    }
}

impl Rendezvous {
    /// Of the party `me`.
    pub(crate) fn of(me: PartyId) -> Self {
        Self { me, waiting: Arc::default() }
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on lanes of this session are kept; `None` when it is known already.
    pub(crate) fn register(&self, session: SessionId) -> Option<Registration> {
        let mut waiting = self.locked();
        if waiting.sessions.contains_key(&session) {
            return None;
        }
        let (lanes, arrivals) = mpsc::channel(2 * PartySet::MAX);
        let (come, worker) = (BTreeSet::new(), watch::channel(None).0);
        waiting.sessions.insert(session, Expected { lanes, come, worker });
        let below = PartySet::first(self.me.index());
        let names = both(below).map(|(from, lane)| {
            let slots = Arc::new(Semaphore::new(CONNECTIONS_OF_LANE_MAX));
            (LaneName::of(session, from, lane), (session, slots))
        });
        waiting.names.extend(names);
        Some(Registration { session, arrivals, rendezvous: self.clone() })
    }

    /// A lane has been opened by `peer`; one that nobody waits for, or that has come, is dropped.
    pub(crate) fn arrived(
        &self,
        session: SessionId,
        peer: PartyId,
        lane: LaneKind,
        connection: Connection,
    ) {
        let mut waiting = self.locked();
        let kept = waiting.sessions.get_mut(&session).is_some_and(|expected| {
            expected.come.insert((peer, lane))
                && expected.lanes.try_send((peer, lane, connection)).is_ok()
        });
        if !kept {
            tracing::warn!(%session, "a lane that nobody waits for");
        }
    }

    /// The way to the worker that waits for the lane of this name, as soon as it is known. `None` when
    /// nobody waits for it, has not for long, or as many as may be are on this way: whoever uses the
    /// name of another's lane does not shut that one out at once, and the worker takes it from its owner
    /// only.
    pub(crate) async fn passage(&self, name: LaneName) -> Option<Passage> {
        let (mut session, slot) = {
            let waiting = self.locked();
            let (session, slots) = waiting.names.get(&name)?;
            let slot = Arc::clone(slots).try_acquire_owned().ok()?;
            (waiting.sessions.get(session)?.worker.subscribe(), slot)
        };
        let known = timeout(LANES_MAX, session.wait_for(Option::is_some)).await;
        let worker = known.ok()?.ok().and_then(|worker| *worker)?;
        Some(Passage { worker, session, _slot: slot })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::tls;
    use tokio::net::TcpListener;

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_passed_on_to_few_at_once_and_no_longer_than_its_session_lasts() {
        let party = |index| PartyId::new(index).unwrap();
        let rendezvous = Rendezvous::of(party(2));
        let session = SessionId([3; 16]);
        let registration = rendezvous.register(session).unwrap();
        assert!(rendezvous.register(session).is_none(), "a session is registered once");
        let worker = SocketAddr::from(([127, 0, 0, 1], 9));
        let name = |from, lane| LaneName::of(session, party(from), lane);
        let (late, ()) = tokio::join!(rendezvous.passage(name(0, LaneKind::Protocol)), async {
            sleep(LANES_MAX / 2).await;
            registration.lives_at(worker);
        });
        let late = late.unwrap();
        assert_eq!(late.worker, worker);
        assert!(rendezvous.passage(name(1, LaneKind::Protocol)).await.is_some());
        assert!(
            rendezvous.passage(name(3, LaneKind::Control)).await.is_none(),
            "dials nobody here"
        );
        let mut others = Vec::new();
        while let Some(other) = rendezvous.passage(name(0, LaneKind::Protocol)).await {
            others.push(other);
        }
        assert_eq!(others.len(), CONNECTIONS_OF_LANE_MAX - 1);
        drop(others);
        assert!(rendezvous.passage(name(0, LaneKind::Protocol)).await.is_some(), "given back");
        let ending = late.ends();
        tokio::pin!(ending);
        assert!(timeout(Duration::from_secs(600), &mut ending).await.is_err());
        drop(registration);
        assert!(timeout(2 * FAREWELL_MAX, ending).await.is_ok());
        assert!(rendezvous.passage(name(1, LaneKind::Control)).await.is_none());
        assert!(rendezvous.locked().names.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_of_a_session_without_a_worker_is_given_up() {
        let rendezvous = Rendezvous::of(PartyId::new(1).unwrap());
        let session = SessionId([4; 16]);
        let _registration = rendezvous.register(session).unwrap();
        let name = LaneName::of(session, PartyId::new(0).unwrap(), LaneKind::Control);
        assert!(rendezvous.passage(name).await.is_none());
    }

    #[tokio::test]
    async fn a_party_that_opens_its_lane_again_and_again_leaves_room_for_the_others() {
        let (own, _) = Identity::generate("a").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connection = || async {
            let dial = Connection::dial(&own, &address, own.fingerprint());
            let pins = BTreeSet::from([own.fingerprint()]);
            let accepting = async {
                let (tcp, _) = listener.accept().await.unwrap();
                Connection::accept(tls::acceptor(&own, pins).unwrap(), tcp).await
            };
            let (_far, near) = tokio::join!(dial, accepting);
            near.unwrap()
        };
        let rendezvous = Rendezvous::of(PartyId::new(2).unwrap());
        let session = SessionId([5; 16]);
        let mut registration = rendezvous.register(session).unwrap();
        let arrives = |party, lane, connection| {
            rendezvous.arrived(session, PartyId::new(party).unwrap(), lane, connection);
        };
        for _ in 0..4 {
            arrives(0, LaneKind::Control, connection().await);
        }
        arrives(1, LaneKind::Control, connection().await);
        let come = std::iter::from_fn(|| registration.arrivals.try_recv().ok());
        let come: Vec<usize> = come.map(|(party, ..)| party.index()).collect();
        assert_eq!(come, [0, 1]);
    }
}
