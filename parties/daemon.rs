//! A party's daemon: one port for other parties' sessions and for the party's own users, told apart
//! by their certificates.

mod admission;
mod ask;
mod claim;
mod consent;
mod console;
mod diary;
mod gossip;
mod jobs;
mod join;
mod links;
mod metrics;
mod prepare;
mod probe;
mod refusals;
mod reports;
mod shelf;
mod strangers;
mod work;

pub(crate) use jobs::{Job, JobLine, Keep, User};

pub(crate) use probe::unix_ms;

use crate::approvals::Approvals;
use crate::audit::Ledger;
use crate::catalog::own_facts;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::flight;
use crate::identity::Identity;
use crate::lanes::Rendezvous;
use crate::member::Member;
use crate::messages::{
    Answer, AnswerKind, Greeting, Hiring, Offer, Promise, PublicReason, Purpose, Reply, VERSION,
    Verdict, Version, short,
};
use crate::policies::{Bundle, Published};
use crate::transport::{Connection, HANDSHAKE_MAX, LaneName, Parcels, lane_sought, pass_on};
use crate::worker::Workers;
use admission::Admission;
use futures_util::FutureExt;
use gossip::Bulletin;
use jobs::Jobs;
use links::Measured;
use metrics::Metrics;
use refusals::Refusals;
use senate_circuit::PartyId;
use shelf::Shelf;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strangers::{Crowd, Guest, network};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Connections served at once.
const CONNECTIONS_MAX: usize = 256;
/// After a connection that could not be taken, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the last sessions still have to send leaves within this time.
const LINGER: Duration = Duration::from_millis(300);
/// How long after the last query Flight clients may still fetch its answer.
const FETCHING_MAX: Duration = Duration::from_secs(5);

/// Lanes that are passed on to session workers at once; a lane takes two file descriptors.
const PASSAGES_MAX: usize = 384;
/// How long a session worker's port may take to answer.
const REACH_MAX: Duration = Duration::from_secs(3);

/// Queries of others that wait for this party's operator at once; further ones are refused.
const HELD_MAX: usize = 8;

/// A party that serves.
pub struct Daemon {
    member: Member,
    config: PartyConfig,
    published: Published,
    approvals: Approvals,
    ledger: Ledger,
    held: Arc<Semaphore>,
    last_policies: Mutex<Bundle>,
    rendezvous: Rendezvous,
    /// Lanes on their way to workers.
    passages: Arc<Semaphore>,
    workers: Workers,
    admission: Arc<Admission>,
    jobs: Jobs,
    metrics: Metrics,
    shelf: Shelf,
    refusals: Refusals,
    bulletin: Bulletin,
    measured: Measured,
    draining: AtomicBool,
}

impl Daemon {
    /// Reads the party's configuration and identity. Session workers that the daemon starts are
    /// given the arguments `for_workers`.
    ///
    /// # Errors
    /// Usage when a file is missing or wrong, or a party has no pinned fingerprint.
    pub fn new(workspace: Workspace, me: PartyId, for_workers: &[String]) -> Outcome<Self> {
        let config = PartyConfig::read(&workspace, me)?;
        let identity = config.identity(&workspace, me)?;
        let own = own_facts(&workspace, &config, me)?;
        let member = Member::new(workspace, me, identity)?;
        let Member { federation, identity, workspace, .. } = &member;
        let name = member.name(me);
        let bulletin = Bulletin::start(federation, me, identity, own)?;
        let ledger = Ledger::open(&config.folder, &name, identity)?;
        let workers = Workers::new(config.workers, workspace, &name, for_workers);
        Ok(Self {
            bulletin,
            measured: Measured::default(),
            published: Published::sign(identity, federation, me, config.policy.as_ref())?,
            approvals: Approvals::of(&config.folder),
            ledger,
            last_policies: Mutex::default(),
            held: Arc::new(Semaphore::new(HELD_MAX)),
            admission: Admission::new(config.limits.clone(), workers.clone()),
            jobs: Jobs::new(config.limits.clone()),
            metrics: Metrics::new(&federation.name, &name),
            shelf: Shelf::new(config.ahead_bytes),
            workers,
            member,
            refusals: Refusals::default(),
            config,
            rendezvous: Rendezvous::of(me),
            passages: Arc::new(Semaphore::new(PASSAGES_MAX)),
            draining: AtomicBool::new(false),
        })
    }

    /// Serves until `stop` completes, then refuses new queries and lets running ones end. `ready` is
    /// called once the port is open.
    ///
    /// # Errors
    /// Usage when the port cannot be opened.
    pub async fn serve(
        self: Arc<Self>,
        stop: impl Future<Output = ()>,
        ready: impl FnOnce(&str),
    ) -> Outcome<()> {
        let (address, listener) = match self.config.ports.mesh {
            Some(address) => (address.to_string(), bind(address, "party.toml").await?),
            None => {
                let address = self.member.workspace.address(self.member.me)?;
                (address.to_owned(), bind(address, "federation.toml").await?)
            }
        };
        let mut beside = JoinSet::new();
        if let Some(address) = self.config.ports.console {
            let listener = bind(address, "party.toml").await?;
            told_address("console", &listener);
            beside.spawn(console::serve(Arc::clone(&self), listener));
        }
        let (drained, over) = oneshot::channel::<()>();
        let mut flight = None;
        if let Some(address) = self.config.ports.flight {
            let listener = bind(address, "party.toml").await?;
            told_address("Flight SQL", &listener);
            let stop = over.map(|_| ());
            flight = Some(tokio::spawn(flight::serve(Arc::clone(&self), listener, stop)));
        }
        let acceptor = self.member.acceptor()?;
        self.workers.open(here(&listener)?);
        ready(&address);
        let (strangers, guests) = (Crowd::default(), Crowd::default());
        let (slots, mut served) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), JoinSet::new());
        let mut running = self.jobs.running();
        let thinking = tokio::spawn(Arc::clone(&self).think());
        let gossiping = tokio::spawn(Arc::clone(&self).gossip());
        let counting = tokio::spawn(Arc::clone(&self).count_refusals());
        tokio::pin!(stop);
        // Queries that run when the daemon drains may still have to open their links.
        while !(self.draining() && served.is_empty() && *running.borrow() == 0) {
            tokio::select! {
                () = &mut stop, if !self.draining() => {
                    self.draining.store(true, Ordering::Relaxed);
                    thinking.abort();
                    gossiping.abort();
                    self.shelf.close();
                    tracing::info!("draining: running queries end, new ones are refused");
                }
                Some(_) = served.join_next() => {}
                Ok(()) = running.changed() => {}
                incoming = listener.accept() => {
                    let taken = incoming.ok().and_then(|(tcp, from)| {
                        let slot = Arc::clone(&slots).try_acquire_owned().ok()?;
                        Some((tcp, slot, strangers.meet(network(from.ip()))))
                    });
                    let Some((tcp, slot, stranger)) = taken else {
                        tracing::warn!("a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    let Some(stranger) = stranger else {
                        self.metrics.refused_connection();
                        continue;
                    };
                    let (daemon, acceptor) = (Arc::clone(&self), acceptor.clone());
                    let guests = guests.clone();
                    // A thread per conversation: reading tables and running local tasks is work.
                    let runtime = Handle::current();
                    served.spawn_blocking(move || {
                        let _slot = slot;
                        runtime.block_on(daemon.serve_one(acceptor, tcp, stranger, guests));
                    });
                }
            }
        }
        drop((listener, drained));
        counting.abort();
        if let Err(failure) = self.log_further_refusals(None) {
            tracing::error!(%failure, "the audit log misses refusals");
        }
        tokio::time::sleep(LINGER).await;
        if let Some(flight) = flight {
            // Answers that are there are still fetched.
            let _ = timeout(FETCHING_MAX, flight).await;
        }
        Ok(())
    }

    /// The federation's files as this daemon has read them.
    pub(crate) fn workspace(&self) -> &Arc<Workspace> {
        &self.member.workspace
    }

    pub(crate) fn config(&self) -> &PartyConfig {
        &self.config
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.member.identity
    }

    /// Name of the party that it serves.
    pub(crate) fn party(&self) -> String {
        self.name(self.member.me)
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    async fn serve_one(
        self: &Arc<Self>,
        acceptor: TlsAcceptor,
        tcp: TcpStream,
        stranger: Guest<IpAddr>,
        guests: Crowd<PartyId>,
    ) {
        if self.workers.are_used()
            && let Some(name) = lane_sought(&tcp).await
        {
            return self.pass_on(tcp, name).await;
        }
        let mut connection = match Connection::accept(acceptor, tcp).await {
            Ok(connection) => connection,
            Err(failure) => {
                self.metrics.refused_connection();
                return tracing::warn!(%failure, "connection refused");
            }
        };
        drop(stranger);
        let Some(peer) = self.member.position(connection.peer()) else {
            return tracing::warn!("a peer that is no party");
        };
        let Some(_guest) = guests.meet(peer) else {
            self.metrics.refused_connection();
            return tracing::warn!(peer = %self.name(peer), "too many connections of one party");
        };
        let greeting: Greeting = match connection.receive_within(HANDSHAKE_MAX).await {
            Ok(greeting) => greeting,
            Err(failure) => return tracing::debug!(%failure, "no greeting"),
        };
        let purpose = greeting.purpose();
        // Who looks wants to know what differs.
        if matches!(purpose, Some(Purpose::Probe)) {
            return self.probe(connection).await;
        }
        if let (Some(Purpose::Catalog(card)), true) = (&purpose, peer != self.member.me) {
            return self.be_met(connection, peer, card.clone()).await;
        }
        if greeting.version != VERSION || greeting.federation != self.member.federation.digest {
            return self.disagree(peer, connection, &greeting).await;
        }
        let Some(purpose) = purpose else {
            return tracing::warn!(peer = %self.name(peer), "a greeting without a purpose");
        };
        let is_of_running = |purpose: &Purpose| {
            matches!(purpose, Purpose::Lane(..) | Purpose::Jobs(_) | Purpose::Work(_))
        };
        if self.draining() && !is_of_running(&purpose) {
            return self.decline(connection, &purpose).await;
        }
        match purpose {
            Purpose::Ask(request, presence) if peer == self.member.me => {
                self.ask(connection, request, presence).await;
            }
            Purpose::Jobs(request) if peer == self.member.me => {
                self.ask_jobs(connection, request).await
            }
            Purpose::Announce(announcement) if peer != self.member.me => {
                self.join(connection, peer, announcement).await;
            }
            Purpose::Prepare(preparation) if peer != self.member.me => {
                self.be_prepared(connection, peer, preparation).await;
            }
            Purpose::Policy => self.publish(connection).await,
            Purpose::History => self.show_history(connection).await,
            Purpose::Lane(session, lane) => {
                self.rendezvous.arrived(session, peer, lane, connection);
            }
            Purpose::Work(offer) if peer == self.member.me => {
                self.be_offered(connection, offer).await;
            }
            _ => tracing::warn!(peer = %self.name(peer), "a greeting that the peer may not send"),
        }
    }

    /// A lane of a session that lives in a worker.
    async fn pass_on(&self, tcp: TcpStream, name: LaneName) {
        let Some(passage) = self.rendezvous.passage(name).await else {
            return tracing::warn!("a lane that nobody waits for");
        };
        let Ok(slot) = Arc::clone(&self.passages).try_acquire_owned() else {
            return tracing::warn!("more lanes than there may be are passed on to session workers");
        };
        tokio::spawn(async move {
            pass_on(tcp, passage.worker, passage.ends()).await;
            drop(slot);
        });
    }

    /// A process offers to be a worker of this party.
    async fn be_offered(&self, mut connection: Connection, offer: Offer) {
        let refusal = if !self.workers.are_used() {
            Some("its party.toml has no [workers]".to_owned())
        } else {
            match timeout(REACH_MAX, TcpStream::connect(offer.address)).await {
                Ok(Ok(_)) => None,
                _ => Some(format!("{} cannot be reached: see --listen", offer.address)),
            }
        };
        let hiring = match refusal {
            Some(why) => {
                tracing::warn!(%why, "a session worker is refused");
                Hiring::Refused(why)
            }
            None => Hiring::Accepted,
        };
        if connection.send(&hiring).await.is_ok() && hiring == Hiring::Accepted {
            self.workers.arrived(offer, Parcels::over(connection));
        }
    }

    /// Nothing new is begun while the daemon drains.
    async fn decline(&self, mut connection: Connection, purpose: &Purpose) {
        let _ = match purpose {
            Purpose::Ask(..) => connection.send(&Reply::Failed(self.shutting_down())).await,
            Purpose::Prepare(_) => connection.send(&Promise::Refused).await,
            Purpose::Policy | Purpose::History => {
                connection.send(&Answer::<()>::Refused(PublicReason::Internal)).await
            }
            _ => connection.send(&Verdict::Refused(PublicReason::Internal)).await,
        };
    }

    fn shutting_down(&self) -> Failure {
        let name = self.name(self.member.me);
        Failure::lost_party(&name, format!("the daemon of {name} is shutting down"))
            .with_remedy("ask again when it is back")
    }

    /// Another binary or another federation.toml at the other end.
    async fn disagree(&self, peer: PartyId, mut connection: Connection, greeting: &Greeting) {
        let (what, reason) = if greeting.version == VERSION {
            let (own, other) = (short(&self.member.federation.digest), short(&greeting.federation));
            let what = format!("another federation.toml: digest {other} instead of {own}");
            (what, PublicReason::Federation(self.member.federation.digest))
        } else {
            let version: String =
                greeting.version.chars().filter(char::is_ascii_graphic).take(12).collect();
            let what = format!("version {version} instead of {VERSION}");
            (what, PublicReason::Version(Version::own()))
        };
        tracing::warn!(party = %self.name(peer), "the peer has {what}");
        let _ = match greeting.answer() {
            AnswerKind::Reply => {
                let name = self.name(self.member.me);
                let why = format!(
                    "the daemon of {name} was started with another {}",
                    match reason {
                        PublicReason::Version(_) => "version of senate",
                        _ => "federation.toml",
                    }
                );
                let failure = Failure::usage(why).with_remedy(
                    "restart it; a federation.toml that has changed is signed by all before \
                     (senate invite --members)",
                );
                connection.send(&Reply::Failed(failure)).await
            }
            AnswerKind::Verdict => connection.send(&Verdict::Refused(reason)).await,
            AnswerKind::Answer => connection.send(&Answer::<()>::Refused(reason)).await,
            AnswerKind::Hiring => connection.send(&Hiring::Refused(of_worker(&reason))).await,
            AnswerKind::Nothing => Ok(()),
        };
    }

    fn name(&self, party: PartyId) -> String {
        self.member.name(party)
    }
}

async fn bind(address: impl ToSocketAddrs + Display, file: &str) -> Outcome<TcpListener> {
    TcpListener::bind(&address).await.map_err(|error| {
        Failure::usage(format!("{address}: {error}"))
            .with_remedy(format!("stop what uses the port, or change the address in {file}"))
    })
}

/// What differs between a daemon and its worker.
fn of_worker(reason: &PublicReason) -> String {
    let what = match reason {
        PublicReason::Version(_) => "another version of senate",
        _ => "another federation.toml",
    };
    format!("the daemon was started with {what}: restart it, or give the worker the same")
}

/// The address at which processes of this machine reach a listener.
fn here(listener: &TcpListener) -> Outcome<SocketAddr> {
    let mut address = listener
        .local_addr()
        .map_err(|error| Failure::unexpected(format!("the port that was opened: {error}")))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Which port it is when party.toml leaves the choice to the system.
fn told_address(what: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "{what} is open");
    }
}
