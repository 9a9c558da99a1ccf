//! A party as it speaks to the others, whichever of its processes speaks: who it is, whom it pins, and
//! how it reaches them.

use crate::config::Workspace;
use crate::failure::{Cause, Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::messages::{Hello, Purpose, VERSION};
use crate::tls;
use crate::transport::{Connection, LaneName};
use futures_util::future::BoxFuture;
use senate_circuit::PartyId;
use senate_planner::catalog::Federation;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// Pause before the second try; each further one is twice as long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// A member of a federation.
pub(crate) struct Member {
    /// The federation's files as this process has read them.
    pub(crate) workspace: Arc<Workspace>,
    /// What federation.toml says.
    pub(crate) federation: Arc<Federation>,
    /// Which party it is.
    pub(crate) me: PartyId,
    /// Its key.
    pub(crate) identity: Identity,
    /// Fingerprints of all parties.
    pinned: Vec<Fingerprint>,
}

impl Member {
    /// The party `me` of this workspace.
    ///
    /// # Errors
    /// Usage when a party has no pinned fingerprint.
    pub(crate) fn new(workspace: Workspace, me: PartyId, identity: Identity) -> Outcome<Self> {
        let parties = (0..workspace.federation.parties.len()).filter_map(PartyId::new);
        let pinned = parties.map(|party| workspace.fingerprint(party)).collect::<Outcome<_>>()?;
        let federation = Arc::new(workspace.federation.clone());
        Ok(Self { workspace: Arc::new(workspace), federation, me, identity, pinned })
    }

    /// A party's name.
    pub(crate) fn name(&self, party: PartyId) -> String {
        self.federation.party_name(party)
    }

    /// The party with this certificate.
    pub(crate) fn position(&self, peer: Fingerprint) -> Option<PartyId> {
        self.pinned.iter().position(|pinned| *pinned == peer).and_then(PartyId::new)
    }

    /// Accepts connections from the parties of the federation.
    ///
    /// # Errors
    /// As [`tls::acceptor`].
    pub(crate) fn acceptor(&self) -> Outcome<TlsAcceptor> {
        tls::acceptor(&self.identity, self.pinned.iter().copied().collect())
    }

    /// What this party says first on a connection.
    pub(crate) fn hello(&self, purpose: Purpose) -> Hello {
        Hello { version: VERSION.to_owned(), federation: self.federation.digest, purpose }
    }

    /// Connects to a party, of whose addresses the first one that answers is taken.
    ///
    /// # Errors
    /// Lost, naming the party, when none does.
    pub(crate) fn dial(
        &self,
        party: PartyId,
        purpose: Purpose,
    ) -> BoxFuture<'static, Outcome<Connection>> {
        let sought = match &purpose {
            Purpose::Lane(session, lane) => LaneName::of(*session, self.me, *lane).server_name(),
            _ => tls::no_name(),
        };
        let (name, hello) = (self.name(party), self.hello(purpose));
        let opening = self.workspace.addresses(party).and_then(|addresses| {
            let pinned = self.workspace.fingerprint(party)?;
            Ok(Connection::dial_any(&self.identity, addresses, pinned, &sought))
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

    /// Dials until the party answers, for a while: it may just be coming back.
    ///
    /// # Errors
    /// As [`Member::dial`], of the last try.
    pub(crate) async fn dial_patiently(
        &self,
        party: PartyId,
        purpose: Purpose,
    ) -> Outcome<Connection> {
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
}
