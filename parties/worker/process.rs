//! The worker's side: one session after the other, each on its own thread, with lanes of its own.

use super::{Duty, Order, Word};
use crate::ahead::{Work, Working};
use crate::failure::{Failure, Outcome};
use crate::ipc;
use crate::lanes::{Registration, Rendezvous};
use crate::member::Member;
use crate::messages::{Greeting, Hiring, Offer, Preparation, Purpose, SessionId, VERSION};
use crate::session::{Early, EarlySeat, EarlyState, Played, Running, Seat};
use crate::transport::{Connection, Parcels, Speaking};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Before a gateway that was not there is dialled again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a session that is given up may take to say so to the others.
const FAREWELL_MAX: Duration = Duration::from_secs(8);
/// How long the gateway may take to read an answer.
const TAKING_MAX: Duration = Duration::from_secs(60);
/// Connections that are being accepted at once.
const ACCEPTING_MAX: usize = 256;

/// A session worker's process.
pub(crate) struct Process {
    member: Member,
    /// The gateway.
    gateway: String,
    /// What it tells of itself.
    offer: Offer,
    rendezvous: Rendezvous,
    stopping: watch::Sender<bool>,
}

impl Process {
    /// A worker of this party that takes lanes on `listener`. Needs a runtime of tokio.
    ///
    /// # Errors
    /// Usage when the identity cannot be used.
    pub(crate) fn new(
        member: Member,
        gateway: String,
        listener: TcpListener,
        offer: Offer,
    ) -> Outcome<Arc<Self>> {
        let (acceptor, rendezvous) = (member.acceptor()?, Rendezvous::of(member.me));
        let stopping = watch::channel(false).0;
        let worker = Arc::new(Self { member, gateway, offer, rendezvous, stopping });
        tokio::spawn(Arc::clone(&worker).take_lanes(listener, acceptor));
        Ok(worker)
    }

    /// Ends it, once the session that it serves is over.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Serves sessions until it is stopped, also across restarts of the gateway.
    pub(crate) async fn serve(&self) {
        let mut told = None;
        while !*self.stopping.borrow() {
            match self.serve_once().await {
                Ok(()) => told = None,
                Err(failure) => {
                    let failure = failure.to_string();
                    if told.as_ref() != Some(&failure) {
                        tracing::warn!(%failure, "no session; trying again");
                    }
                    told = Some(failure);
                    let _ = timeout(RETRY, self.stops()).await;
                }
            }
        }
    }

    async fn stops(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Offers itself to the gateway and serves one session.
    ///
    /// # Errors
    /// Lost when the gateway is not there, or goes away before it has one; refused when the gateway
    /// does not take it.
    pub(crate) async fn serve_once(&self) -> Outcome<()> {
        let member = &self.member;
        let pinned = member.identity.fingerprint();
        let mut connection = Connection::dial(&member.identity, &self.gateway, pinned).await?;
        connection.send(&member.hello(Purpose::Work(self.offer))).await?;
        if let Hiring::Refused(why) = connection.receive().await? {
            return Err(Failure::refused(format!("the daemon at {}: {why}", self.gateway)));
        }
        let mut parcels = Parcels::over(connection);
        let duty = tokio::select! {
            duty = parcels.hear() => duty?,
            () = self.stops() => return Ok(()),
        };
        match duty {
            Duty::Query(session, order) => self.query(parcels, session, *order).await,
            Duty::Ahead(preparation) => self.ahead(parcels, preparation).await,
            _ => Err(Failure::lost("the daemon asks for nothing that makes sense")),
        }
    }

    /// A query in a session of its own.
    async fn query(&self, mut parcels: Parcels, session: SessionId, order: Order) -> Outcome<()> {
        let mut speaking = parcels.speaking();
        let mut registration = self.register(session)?;
        speaking.say(&Word::Expecting).await?;
        tracing::info!(%session, "session begun");
        let (progress, phases) = watch::channel("opening links".to_owned());
        let (me, federation) = (self.member.me, Arc::clone(&self.member.federation));
        let (give, given) = oneshot::channel();
        let prepared = async {
            let lanes = self.member.open_lanes(&mut registration, order.participants());
            let play = async {
                let own = given.await.map_err(|_| Failure::lost("the daemon is gone"))?;
                order.plan(&self.member.workspace, own, progress).await
            };
            let (links, play) = tokio::try_join!(lanes, play)?;
            Running::start(Seat { me, federation, links, play })
        };
        // The gateway is heard leaving meanwhile.
        let gone = async {
            let own = order.inputs(&mut parcels).await?;
            let _ = give.send(own);
            parcels.end().await;
            Ok::<_, Failure>(())
        };
        let running = tokio::select! {
            running = prepared => running,
            gone = gone => return gone,
        };
        match running {
            Ok(running) => report(parcels, speaking, running, phases).await,
            Err(failure) => speaking.say(&Word::Failed(failure)).await,
        }
    }

    /// A session that is opened ahead, and its query if one takes it.
    async fn ahead(&self, mut parcels: Parcels, preparation: Preparation) -> Outcome<()> {
        let mut speaking = parcels.speaking();
        let mut registration = self.register(preparation.session)?;
        speaking.say(&Word::Expecting).await?;
        let provisions = preparation.provisions(&self.member.federation)?;
        let (work, mut pause) = (Work::default(), None::<Working>);
        let links = {
            let opening = self.member.open_lanes(&mut registration, provisions.parties());
            tokio::pin!(opening);
            loop {
                tokio::select! {
                    links = &mut opening => break links?,
                    duty = parcels.hear() => match duty {
                        Ok(Duty::Pause) => pause = Some(work.begin()),
                        Ok(Duty::Resume) => pause = None,
                        _ => return Ok(()),
                    },
                }
            }
        };
        drop(registration);
        let (me, federation) = (self.member.me, Arc::clone(&self.member.federation));
        let seat = EarlySeat { me, federation, provisions, links, calm: work.calm() };
        let early = Early::open(seat)?;
        let mut state = early.state();
        let digest = loop {
            tokio::select! {
                changed = state.changed() => {
                    let now = *state.borrow_and_update();
                    match now {
                        EarlyState::Ready => speaking.say(&Word::Ready).await?,
                        EarlyState::Ended(failed_check) => {
                            return speaking.say(&Word::Ended(failed_check)).await;
                        }
                        _ => {}
                    }
                    changed.map_err(|_| Failure::unexpected("the session's thread ended"))?;
                }
                duty = parcels.hear() => match duty {
                    Ok(Duty::Pause) => pause = Some(work.begin()),
                    Ok(Duty::Resume) => pause = None,
                    Ok(Duty::Bind(digest)) => break digest,
                    // It is not wanted any more.
                    _ => {
                        drop(early);
                        let over = |state: &EarlyState| matches!(state, EarlyState::Ended(_));
                        let _ = timeout(FAREWELL_MAX, state.wait_for(over)).await;
                        return Ok(());
                    }
                },
            }
        };
        drop(pause);
        let bound = early.bind(digest).await;
        speaking.say(&Word::Bound(bound.is_some())).await?;
        let (Some(bound), Ok(Duty::Play(order))) = (bound, parcels.hear().await) else {
            return Ok(());
        };
        let (progress, phases) = watch::channel(String::new());
        let own = order.inputs(&mut parcels).await?;
        match order.plan(&self.member.workspace, own, progress).await {
            Ok(play) => report(parcels, speaking, bound.play(play), phases).await,
            Err(failure) => speaking.say(&Word::Failed(failure)).await,
        }
    }

    fn register(&self, session: SessionId) -> Outcome<Registration> {
        let registration = self.rendezvous.register(session);
        registration.ok_or_else(|| Failure::unexpected("a session is given to a worker once"))
    }

    /// Other parties' lanes, as the gateway passes them on.
    async fn take_lanes(self: Arc<Self>, listener: TcpListener, acceptor: TlsAcceptor) {
        let mut accepting = JoinSet::new();
        loop {
            tokio::select! {
                incoming = listener.accept(), if accepting.len() < ACCEPTING_MAX => {
                    let Ok((tcp, _)) = incoming else { sleep(RETRY).await; continue };
                    accepting.spawn(Arc::clone(&self).take_lane(acceptor.clone(), tcp));
                }
                Some(_) = accepting.join_next() => {}
            }
        }
    }

    async fn take_lane(self: Arc<Self>, acceptor: TlsAcceptor, tcp: TcpStream) {
        let taken = async {
            let mut connection = Connection::accept(acceptor, tcp).await?;
            let greeting: Greeting = connection.receive().await?;
            Ok::<_, Failure>((connection, greeting))
        };
        let (connection, greeting) = match taken.await {
            Ok(taken) => taken,
            Err(failure) => return tracing::warn!(%failure, "connection refused"),
        };
        let is_known =
            greeting.version == VERSION && greeting.federation == self.member.federation.digest;
        let peer = self.member.position(connection.peer());
        match (peer, greeting.purpose()) {
            (Some(peer), Some(Purpose::Lane(session, lane))) if is_known => {
                self.rendezvous.arrived(session, peer, lane, connection);
            }
            _ => tracing::warn!("a connection that is no lane"),
        }
    }
}

/// Tells the gateway how a query goes on and ends; when the gateway leaves, the query ends.
async fn report(
    mut parcels: Parcels,
    mut speaking: Speaking,
    running: Running,
    mut phases: watch::Receiver<String>,
) -> Outcome<()> {
    let played = {
        let mut telling = speaking.clone();
        let telling = async {
            while phases.changed().await.is_ok() {
                let phase = phases.borrow_and_update().clone();
                if telling.say(&Word::Progress(phase)).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        // Nothing more is to be said by the gateway: whatever is heard is its end.
        let gone = parcels.hear::<Duty>();
        tokio::select! {
            played = running.wait_unless(gone) => played,
            () = telling => return Ok(()),
        }
    };
    let told = match played {
        Ok(played) => tell(&mut speaking, played).await,
        Err(failure) => speaking.say(&Word::Failed(failure)).await,
    };
    if told.is_ok() {
        // The gateway leaves once it has everything.
        let _ = timeout(TAKING_MAX, parcels.hear::<Duty>()).await;
    }
    Ok(())
}

async fn tell(speaking: &mut Speaking, played: Played) -> Outcome<()> {
    let Played { answer, stats } = played;
    speaking.say(&Word::Done(Box::new(stats), answer.is_some())).await?;
    match &answer {
        Some(rows) => speaking.say_bytes(&ipc::encode(rows)?).await,
        None => Ok(()),
    }
}
