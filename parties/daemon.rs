//! A party's daemon: one port for other parties' sessions and for the party's own users, told apart
//! by their certificates.

mod ask;
mod claim;
mod join;
mod lanes;
mod prepare;
mod probe;
mod reports;
mod shelf;

pub(crate) use probe::unix_ms;

use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::messages::{
    Hello, Promise, PublicReason, Purpose, Reply, VERSION, Verdict, Version, position, short,
};
use crate::tls;
use crate::transport::Connection;
use futures_util::future::BoxFuture;
use lanes::Rendezvous;
use senate_circuit::PartyId;
use senate_planner::catalog::Federation;
use shelf::Shelf;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Connections served at once.
const CONNECTIONS_MAX: usize = 256;
/// After a connection that could not be taken, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the last sessions still have to send leaves within this time.
const LINGER: Duration = Duration::from_millis(300);

/// A party that serves.
pub struct Daemon {
    workspace: Arc<Workspace>,
    federation: Arc<Federation>,
    me: PartyId,
    config: PartyConfig,
    identity: Identity,
    pinned: Vec<Option<Fingerprint>>,
    rendezvous: Rendezvous,
    shelf: Shelf,
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
        let (workspace, rendezvous) = (Arc::new(workspace), Rendezvous::default());
        let (shelf, draining) = (Shelf::new(config.ahead_bytes), AtomicBool::new(false));
        Ok(Self {
            workspace,
            federation,
            me,
            config,
            identity,
            pinned,
            rendezvous,
            shelf,
            draining,
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
        let address = self.workspace.address(self.me)?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Failure::usage(format!("{address}: {error}"))
                .with_remedy("stop what uses the port, or change the address in federation.toml")
        })?;
        let pinned: BTreeSet<Fingerprint> = self.pinned.iter().copied().flatten().collect();
        let acceptor = tls::acceptor(&self.identity, pinned)?;
        ready(address);
        let (slots, mut served) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), JoinSet::new());
        let thinking = tokio::spawn(Arc::clone(&self).think());
        tokio::pin!(stop);
        // Queries that run when the daemon drains may still have to open their links.
        while !(self.draining() && served.is_empty()) {
            tokio::select! {
                () = &mut stop, if !self.draining() => {
                    self.draining.store(true, Ordering::Relaxed);
                    thinking.abort();
                    self.shelf.close();
                    tracing::info!("draining: running queries end, new ones are refused");
                }
                Some(_) = served.join_next() => {}
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
        drop(listener);
        tokio::time::sleep(LINGER).await;
        Ok(())
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    async fn serve_one(&self, acceptor: TlsAcceptor, tcp: TcpStream) {
        let mut connection = match Connection::accept(acceptor, tcp).await {
            Ok(connection) => connection,
            Err(failure) => return tracing::warn!(%failure, "connection refused"),
        };
        let hello: Hello = match connection.receive().await {
            Ok(hello) => hello,
            Err(failure) => return tracing::debug!(%failure, "no greeting"),
        };
        let Some(peer) = position(&self.pinned, connection.peer()).and_then(PartyId::new) else {
            return tracing::warn!("a peer that is no party");
        };
        // Who looks wants to know what differs.
        if matches!(hello.purpose, Purpose::Probe) {
            return self.probe(connection).await;
        }
        if hello.version != VERSION || hello.federation != self.federation.digest {
            return self.disagree(peer, connection, hello).await;
        }
        if self.draining() && !matches!(hello.purpose, Purpose::Lane(..)) {
            return self.decline(connection, &hello.purpose).await;
        }
        match hello.purpose {
            Purpose::Ask(request) if peer == self.me => self.ask(connection, request).await,
            Purpose::Announce(announcement) if peer != self.me => {
                self.join(connection, peer, announcement).await;
            }
            Purpose::Prepare(preparation) if peer != self.me => {
                self.be_prepared(connection, peer, preparation).await;
            }
            Purpose::Lane(session, lane) => {
                self.rendezvous.arrived(session, peer, lane, connection);
            }
            _ => tracing::warn!(peer = %self.name(peer), "a greeting that the peer may not send"),
        }
    }

    /// Nothing new is begun while the daemon drains.
    async fn decline(&self, mut connection: Connection, purpose: &Purpose) {
        let _ = match purpose {
            Purpose::Ask(_) => {
                let name = self.name(self.me);
                let why = format!("the daemon of {name} is shutting down");
                let failure = Failure::lost_party(&name, why);
                let failure = failure.with_remedy("ask again when it is back");
                connection.send(&Reply::Failed(failure)).await
            }
            Purpose::Prepare(_) => connection.send(&Promise::Refused).await,
            _ => connection.send(&Verdict::Refused(PublicReason::Internal)).await,
        };
    }

    /// Another binary or another federation.toml at the other end.
    async fn disagree(&self, peer: PartyId, mut connection: Connection, hello: Hello) {
        let (what, reason) = if hello.version == VERSION {
            let (own, other) = (short(&self.federation.digest), short(&hello.federation));
            let what = format!("another federation.toml: digest {other} instead of {own}");
            (what, PublicReason::Federation(self.federation.digest))
        } else {
            let version: String =
                hello.version.chars().filter(char::is_ascii_graphic).take(12).collect();
            let what = format!("version {version} instead of {VERSION}");
            (what, PublicReason::Version(Version::own()))
        };
        tracing::warn!(party = %self.name(peer), "the peer has {what}");
        let _ = match hello.purpose {
            Purpose::Ask(_) => {
                let name = self.name(self.me);
                let why = format!(
                    "the daemon of {name} was started with another {}",
                    match reason {
                        PublicReason::Version(_) => "version of senate",
                        _ => "federation.toml",
                    }
                );
                let failure = Failure::usage(why).with_remedy("restart it");
                connection.send(&Reply::Failed(failure)).await
            }
            Purpose::Announce(_) => connection.send(&Verdict::Refused(reason)).await,
            Purpose::Prepare(_) | Purpose::Lane(..) | Purpose::Probe => Ok(()),
        };
    }

    fn dial(&self, party: PartyId, purpose: Purpose) -> BoxFuture<'static, Outcome<Connection>> {
        let (name, hello) = (self.name(party), self.hello(purpose));
        let opening = self.workspace.address(party).and_then(|address| {
            Ok(Connection::dial(&self.identity, address, self.workspace.fingerprint(party)?))
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
