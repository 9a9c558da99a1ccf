//! The gateway's side: workers that have offered themselves, and those that it starts.

use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::messages::Offer;
use crate::transport::Parcels;
use serde::Deserialize;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a session waits for a worker.
const HIRE_MAX: Duration = Duration::from_secs(15);
/// Before a worker is started after one that could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// `[workers]` in party.toml: sessions live in processes of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersEntry {
    /// How many of them the daemon may have at once on its own machine; 0 when all of them are
    /// started elsewhere.
    pub local: usize,
}

/// Workers at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    /// Such as wait for a session.
    pub(crate) free: usize,
    /// Processes that the gateway has started and that have not ended.
    pub(crate) local: usize,
}

/// The workers of a gateway.
#[derive(Clone, Default)]
pub(crate) struct Workers {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    local: usize,
    arguments: Vec<OsString>,
    gateway: OnceLock<SocketAddr>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    free: VecDeque<(SocketAddr, Parcels)>,
    /// Processes of this machine that have not ended.
    local: usize,
    /// Of these, such as have not offered themselves yet.
    coming: BTreeSet<u32>,
    /// Number of the next one.
    next: u32,
}

impl Workers {
    /// The workers that party.toml speaks of; without any, sessions live in the daemon.
    /// `more` arguments are for those that are started here.
    pub(crate) fn new(
        entry: Option<WorkersEntry>,
        workspace: &Workspace,
        party: &str,
        more: &[String],
    ) -> Self {
        let Some(WorkersEntry { local }) = entry else { return Self::default() };
        let folder = workspace.folder.as_os_str();
        let fixed = ["worker".as_ref(), "--workspace".as_ref(), folder, "--as".as_ref()];
        let more = more.iter().map(OsStr::new);
        let arguments = fixed.into_iter().chain([OsStr::new(party)]).chain(more);
        let arguments = arguments.map(OsStr::to_owned).collect();
        let (gateway, state, changed) = (OnceLock::new(), Mutex::default(), Notify::new());
        Self { inner: Some(Arc::new(Inner { local, arguments, gateway, state, changed })) }
    }

    /// Whether sessions live in workers.
    pub(crate) fn are_used(&self) -> bool {
        self.inner.is_some()
    }

    /// The gateway is open at this address of its machine.
    pub(crate) fn open(&self, gateway: SocketAddr) {
        if let Some(inner) = &self.inner {
            let _ = inner.gateway.set(gateway);
            inner.start_one();
        }
    }

    /// A worker offers itself.
    pub(crate) fn arrived(&self, offer: Offer, parcels: Parcels) {
        let Some(inner) = &self.inner else {
            return tracing::warn!("a session worker, but party.toml has no [workers]");
        };
        let mut state = inner.state();
        if let Some(number) = offer.number {
            state.coming.remove(&number);
        }
        state.free.push_back((offer.address, parcels));
        drop(state);
        inner.changed.notify_waiters();
    }

    /// A free worker. When there is none and no other can be started, `make_way` is called once: it may
    /// end what can wait.
    ///
    /// # Errors
    /// Lost when none becomes free in time.
    pub(crate) async fn hire(&self, make_way: impl Fn()) -> Outcome<(SocketAddr, Parcels)> {
        let Some(inner) = &self.inner else {
            return Err(Failure::unexpected("a worker is wanted where there are none"));
        };
        let mut asked = false;
        let hiring = async {
            loop {
                let changed = inner.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(free) = inner.take() {
                    // The next session finds one too.
                    inner.start_one();
                    return free;
                }
                if !inner.start_one() && !asked && inner.state().coming.is_empty() {
                    asked = true;
                    make_way();
                }
                changed.await;
            }
        };
        timeout(HIRE_MAX, hiring).await.map_err(|_| {
            Failure::lost("no session worker is free").with_remedy(
                "raise `local` in [workers] of party.toml, or start more with `senate worker`",
            )
        })
    }

    /// How many there are, if sessions live in workers.
    pub(crate) fn count(&self) -> Option<Count> {
        let state = self.inner.as_ref()?.state();
        Some(Count { free: state.free.len(), local: state.local })
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<(SocketAddr, Parcels)> {
        let mut state = self.state();
        loop {
            let (address, mut parcels) = state.free.pop_front()?;
            if !parcels.is_over() {
                return Some((address, parcels));
            }
        }
    }

    /// Starts a worker if there may be one more and none is free or coming; whether one is coming.
    fn start_one(self: &Arc<Self>) -> bool {
        let Some(gateway) = self.gateway.get() else { return false };
        let mut state = self.state();
        if !state.coming.is_empty() {
            return true;
        }
        if state.local >= self.local || !state.free.is_empty() {
            return false;
        }
        let number = state.next;
        state.next = number.wrapping_add(1);
        state.local += 1;
        state.coming.insert(number);
        drop(state);
        let (inner, gateway) = (Arc::clone(self), *gateway);
        tokio::spawn(async move {
            if let Err(error) = inner.run(gateway, number).await {
                tracing::warn!(%error, "a session worker cannot be started");
                tokio::time::sleep(PAUSE).await;
            }
            {
                let mut state = inner.state();
                state.local = state.local.saturating_sub(1);
                // It may have ended before it offered itself.
                state.coming.remove(&number);
            }
            inner.changed.notify_waiters();
        });
        true
    }

    /// One process, from its start to its end.
    async fn run(&self, gateway: SocketAddr, number: u32) -> std::io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.arguments).arg("--gateway").arg(gateway.to_string());
        command.arg("--number").arg(number.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        // Ctrl-C in a terminal is for the daemon, which lets sessions end.
        command.process_group(0);
        command.spawn()?.wait().await.map(|_| ())
    }
}
