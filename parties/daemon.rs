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
mod lanes;
mod links;
mod metrics;
mod prepare;
mod probe;
mod refusals;
mod reports;
mod shelf;
mod work;

pub(crate) use jobs::{Job, JobLine, Keep, User};

pub(crate) use probe::unix_ms;

use crate::approvals::Approvals;
use crate::audit::Ledger;
use crate::catalog::own_facts;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Cause, Failure, Outcome};
use crate::flight;
use crate::identity::{Fingerprint, Identity};
use crate::messages::{
    Answer, AnswerKind, Greeting, Hello, Promise, PublicReason, Purpose, Reply, VERSION, Verdict,
    Version, position, short,
};
use crate::policies::{Bundle, Published};
use crate::tls;
use crate::transport::Connection;
use admission::Admission;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gossip::Bulletin;
use jobs::Jobs;
use lanes::Rendezvous;
use links::Measured;
use metrics::Metrics;
use refusals::Refusals;
use senate_circuit::PartyId;
use senate_planner::catalog::Federation;
use shelf::Shelf;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
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
/// Pause before the second try; each further one is twice as long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Queries of others that wait for this party's operator at once; further ones are refused.
const HELD_MAX: usize = 8;

/// A party that serves.
pub struct Daemon {
    workspace: Arc<Workspace>,
    federation: Arc<Federation>,
    me: PartyId,
    config: PartyConfig,
    identity: Identity,
    pinned: Vec<Option<Fingerprint>>,
    published: Published,
    approvals: Approvals,
    ledger: Ledger,
    held: Arc<Semaphore>,
    last_policies: Mutex<Bundle>,
    rendezvous: Rendezvous,
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
    /// Reads the party's configuration and identity.
    ///
    /// # Errors
    /// Usage when a file is missing or wrong, or a party has no pinned fingerprint.
    pub fn new(workspace: Workspace, me: PartyId) -> Outcome<Self> {
        let config = PartyConfig::read(&workspace, me)?;
        let identity = config.identity(&workspace, me)?;
        let parties = (0..workspace.federation.parties.len()).filter_map(PartyId::new);
        let pinned = parties
            .map(|party| workspace.fingerprint(party).map(Some))
            .collect::<Outcome<Vec<_>>>()?;
        let federation = Arc::new(workspace.federation.clone());
        let own = own_facts(&workspace, &config, me)?;
        let bulletin = Bulletin::start(&federation, me, &identity, own)?;
        let ledger = Ledger::open(&config.folder, &federation.party_name(me), &identity)?;
        Ok(Self {
            bulletin,
            measured: Measured::default(),
            published: Published::sign(&identity, &federation, me, config.policy.as_ref())?,
            approvals: Approvals::of(&config.folder),
            ledger,
            last_policies: Mutex::default(),
            held: Arc::new(Semaphore::new(HELD_MAX)),
            admission: Admission::new(config.limits.clone()),
            jobs: Jobs::new(config.limits.clone()),
            metrics: Metrics::new(&federation.name, &federation.party_name(me)),
            shelf: Shelf::new(config.ahead_bytes),
            refusals: Refusals::default(),
            workspace: Arc::new(workspace),
            federation,
            me,
            config,
            identity,
            pinned,
            rendezvous: Rendezvous::default(),
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
                let address = self.workspace.address(self.me)?;
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
        let pinned: BTreeSet<Fingerprint> = self.pinned.iter().copied().flatten().collect();
        let acceptor = tls::acceptor(&self.identity, pinned)?;
        ready(&address);
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
                    let (Ok((tcp, _)), Ok(slot)) = (incoming, Arc::clone(&slots).try_acquire_owned())
                    else {
                        tracing::warn!("a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    };
                    let (daemon, acceptor) = (Arc::clone(&self), acceptor.clone());
                    // A thread per conversation: reading tables and running local tasks is work.
                    let runtime = Handle::current();
                    served.spawn_blocking(move || {
                        let _slot = slot;
                        runtime.block_on(daemon.serve_one(acceptor, tcp));
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
        &self.workspace
    }

    pub(crate) fn config(&self) -> &PartyConfig {
        &self.config
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Name of the party that it serves.
    pub(crate) fn party(&self) -> String {
        self.name(self.me)
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    async fn serve_one(self: &Arc<Self>, acceptor: TlsAcceptor, tcp: TcpStream) {
        let mut connection = match Connection::accept(acceptor, tcp).await {
            Ok(connection) => connection,
            Err(failure) => {
                self.metrics.refused_connection();
                return tracing::warn!(%failure, "connection refused");
            }
        };
        let greeting: Greeting = match connection.receive().await {
            Ok(greeting) => greeting,
            Err(failure) => return tracing::debug!(%failure, "no greeting"),
        };
        let Some(peer) = position(&self.pinned, connection.peer()).and_then(PartyId::new) else {
            return tracing::warn!("a peer that is no party");
        };
        let purpose = greeting.purpose();
        // Who looks wants to know what differs.
        if matches!(purpose, Some(Purpose::Probe)) {
            return self.probe(connection).await;
        }
        if let (Some(Purpose::Catalog(card)), true) = (&purpose, peer != self.me) {
            return self.be_met(connection, peer, card.clone()).await;
        }
        if greeting.version != VERSION || greeting.federation != self.federation.digest {
            return self.disagree(peer, connection, &greeting).await;
        }
        let Some(purpose) = purpose else {
            return tracing::warn!(peer = %self.name(peer), "a greeting without a purpose");
        };
        if self.draining() && !matches!(purpose, Purpose::Lane(..) | Purpose::Jobs(_)) {
            return self.decline(connection, &purpose).await;
        }
        match purpose {
            Purpose::Ask(request, presence) if peer == self.me => {
                self.ask(connection, request, presence).await;
            }
            Purpose::Jobs(request) if peer == self.me => self.ask_jobs(connection, request).await,
            Purpose::Announce(announcement) if peer != self.me => {
                self.join(connection, peer, announcement).await;
            }
            Purpose::Prepare(preparation) if peer != self.me => {
                self.be_prepared(connection, peer, preparation).await;
            }
            Purpose::Policy => self.publish(connection).await,
            Purpose::History => self.show_history(connection).await,
            Purpose::Lane(session, lane) => {
                self.rendezvous.arrived(session, peer, lane, connection);
            }
            _ => tracing::warn!(peer = %self.name(peer), "a greeting that the peer may not send"),
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
        let name = self.name(self.me);
        Failure::lost_party(&name, format!("the daemon of {name} is shutting down"))
            .with_remedy("ask again when it is back")
    }

    /// Another binary or another federation.toml at the other end.
    async fn disagree(&self, peer: PartyId, mut connection: Connection, greeting: &Greeting) {
        let (what, reason) = if greeting.version == VERSION {
            let (own, other) = (short(&self.federation.digest), short(&greeting.federation));
            let what = format!("another federation.toml: digest {other} instead of {own}");
            (what, PublicReason::Federation(self.federation.digest))
        } else {
            let version: String =
                greeting.version.chars().filter(char::is_ascii_graphic).take(12).collect();
            let what = format!("version {version} instead of {VERSION}");
            (what, PublicReason::Version(Version::own()))
        };
        tracing::warn!(party = %self.name(peer), "the peer has {what}");
        let _ = match greeting.answer() {
            AnswerKind::Reply => {
                let name = self.name(self.me);
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
            AnswerKind::Nothing => Ok(()),
        };
    }

    /// Dials until the party answers, for a while: it may just be coming back.
    async fn dial_patiently(&self, party: PartyId, purpose: Purpose) -> Outcome<Connection> {
        let (start, mut pause) = (Instant::now(), RECONNECT_PAUSE);
        let retry = Duration::from_secs(self.federation.availability.retry_s);
        loop {
            match self.dial(party, purpose.clone()).await {
                Err(failure) if failure.cause == Cause::Lost && start.elapsed() + pause < retry => {
                    tracing::debug!(party = %self.name(party), %failure, "trying again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    fn dial(&self, party: PartyId, purpose: Purpose) -> BoxFuture<'static, Outcome<Connection>> {
        let (name, hello) = (self.name(party), self.hello(purpose));
        let opening = self.workspace.addresses(party).and_then(|addresses| {
            Ok(Connection::dial_any(&self.identity, addresses, self.workspace.fingerprint(party)?))
        });
        Box::pin(async move {
            let connected = async {
                let mut connection = opening?.await?;
                connection.send(&hello).await?;
                Ok(connection)
            };
            connected.await.map_err(|failure: Failure| Failure {
                lost: Some(name.clone()),
                ..failure.at(format!("party {name}"))
            })
        })
    }

    fn hello(&self, purpose: Purpose) -> Hello {
        Hello { version: VERSION.to_owned(), federation: self.federation.digest, purpose }
    }

    fn name(&self, party: PartyId) -> String {
        self.federation.party_name(party)
    }
}

async fn bind(address: impl ToSocketAddrs + Display, file: &str) -> Outcome<TcpListener> {
    TcpListener::bind(&address).await.map_err(|error| {
        Failure::usage(format!("{address}: {error}"))
            .with_remedy(format!("stop what uses the port, or change the address in {file}"))
    })
}

/// Which port it is when party.toml leaves the choice to the system.
fn told_address(what: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "{what} is open");
    }
}
