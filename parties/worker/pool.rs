//! The gateway's side: workers that have offered themselves, and seats in them.
//!
//! A query takes a seat together with its room ([`crate::daemon`]'s admission), so the order in which
//! queries wait for workers is the order in which they wait for room everywhere. There are as many
//! seats as party.toml allows processes here, and one for every worker that was started elsewhere.
//! Sessions opened ahead take no seats: here they have processes of their own, elsewhere what is left
//! over.

use super::local::Starter;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::messages::Offer;
use crate::transport::Parcels;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long a query that has a seat waits for its worker: other parties hold their lanes meanwhile.
const HIRE_MAX: Duration = Duration::from_secs(6);
/// Before a worker is started after one that did not come.
const PAUSE: Duration = Duration::from_secs(1);

/// `[workers]` in party.toml: sessions live in processes of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkersEntry {
    /// In how many processes of its own machine the daemon may run queries at once; 0 when all
    /// workers are started elsewhere.
    pub local: usize,
}

/// Workers at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    /// Such as wait for a session.
    pub(crate) free: usize,
    /// Processes that the gateway has started and that have not ended.
    pub(crate) local: usize,
    /// Such as were started elsewhere and are connected.
    pub(crate) remote: usize,
}

/// The workers of a party, if it has any.
#[derive(Clone)]
pub(crate) struct Workers {
    inner: Option<Arc<Inner>>,
    /// Something has come free.
    changed: Arc<watch::Sender<()>>,
}

struct Inner {
    local: usize,
    starter: Starter,
    gateway: OnceLock<SocketAddr>,
    state: Mutex<State>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct State {
    free: VecDeque<Worker>,
    /// Queries that have a seat.
    seated: usize,
    /// Workers from elsewhere that are connected, and how many of them have a session opened ahead.
    remote: usize,
    ahead: usize,
    /// Sessions that wait for a worker.
    waiting: usize,
    /// Processes that have not offered themselves yet, and how each is told that it has.
    coming: BTreeMap<u32, oneshot::Sender<oneshot::Receiver<()>>>,
    processes: usize,
    next: u32,
    /// Why one did not come, how many did not, and until when no other is started.
    failure: Option<(String, u64, Instant)>,
}

/// A worker. Dropping it ends its session at this party.
pub(crate) struct Worker {
    /// What is said to it, and by it.
    pub(crate) parcels: Parcels,
    /// Where it takes lanes.
    pub(crate) address: SocketAddr,
    lease: Lease,
}

/// Kept as long as a worker is used.
enum Lease {
    /// The process is told when this is dropped.
    Local {
        _over: oneshot::Sender<()>,
    },
    Remote {
        inner: Arc<Inner>,
        is_ahead: bool,
    },
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Self::Remote { inner, is_ahead } = self {
            let mut state = inner.state();
            state.remote = state.remote.saturating_sub(1);
            state.ahead = state.ahead.saturating_sub(usize::from(*is_ahead));
            drop(state);
            inner.changed.send_replace(());
        }
    }
}

impl Worker {
    /// A query has taken the session that was opened ahead here, and has a seat for it.
    pub(crate) fn is_taken(&mut self) {
        if let Lease::Remote { inner, is_ahead } = &mut self.lease
            && std::mem::take(is_ahead)
        {
            let mut state = inner.state();
            state.ahead = state.ahead.saturating_sub(1);
            drop(state);
            inner.changed.send_replace(());
        }
    }
}

/// A seat, given back on drop.
pub(crate) struct Seat(Option<Arc<Inner>>);

impl Seat {
    /// For a query without a session.
    pub(crate) fn unneeded() -> Self {
        Self(None)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(inner) = &self.0 {
            let mut state = inner.state();
            state.seated = state.seated.saturating_sub(1);
            drop(state);
            inner.changed.send_replace(());
        }
    }
}

impl Workers {
    /// None: sessions live in the daemon, and there is always a seat.
    pub(crate) fn none() -> Self {
        Self { inner: None, changed: Arc::new(watch::channel(()).0) }
    }

    /// The workers that party.toml speaks of. `more` arguments are for those that are started here.
    pub(crate) fn new(
        entry: Option<WorkersEntry>,
        workspace: &Workspace,
        party: &str,
        more: &[String],
    ) -> Self {
        let Self { changed, .. } = Self::none();
        let inner = entry.map(|WorkersEntry { local }| {
            let starter = Starter::new(workspace, party, more);
            let (gateway, state) = (OnceLock::new(), Mutex::default());
            Arc::new(Inner { local, starter, gateway, state, changed: Arc::clone(&changed) })
        });
        Self { inner, changed }
    }

    /// Whether sessions live in workers.
    pub(crate) fn are_used(&self) -> bool {
        self.inner.is_some()
    }

    /// Tells when a seat or a worker may have come free.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The gateway is open at this address of its machine.
    pub(crate) fn open(&self, gateway: SocketAddr) {
        if let Some(inner) = &self.inner {
            let _ = inner.gateway.set(gateway);
            inner.start();
        }
    }

    /// A worker has offered itself.
    pub(crate) fn arrived(&self, offer: Offer, parcels: Parcels) {
        let Some(inner) = &self.inner else { return };
        let mut state = inner.state();
        let coming = offer.number.and_then(|number| state.coming.remove(&number));
        let lease = match coming {
            Some(offered) => {
                let (over, lease) = oneshot::channel();
                let _ = offered.send(lease);
                Lease::Local { _over: over }
            }
            None => {
                state.remote += 1;
                Lease::Remote { inner: Arc::clone(inner), is_ahead: false }
            }
        };
        state.free.push_back(Worker { parcels, address: offer.address, lease });
        drop(state);
        self.changed.send_replace(());
    }

    /// A seat for a query, if there is one now.
    pub(crate) fn try_seat(&self) -> Option<Seat> {
        let Some(inner) = &self.inner else { return Some(Seat(None)) };
        inner.sort_out();
        let mut state = inner.state();
        let seats = (inner.local + state.remote).saturating_sub(state.ahead);
        (state.seated < seats).then(|| {
            state.seated += 1;
            Seat(Some(Arc::clone(inner)))
        })
    }

    /// The worker of a query that has a seat.
    ///
    /// # Errors
    /// Lost when none comes in time, with the reason if there is one.
    pub(crate) async fn hire(&self) -> Outcome<Worker> {
        let inner = self.inner()?;
        inner.wait(|state| state.free.pop_front()).await
    }

    /// A worker for a session that is opened ahead.
    ///
    /// # Errors
    /// Lost when there is none that queries could not need.
    pub(crate) async fn hire_ahead(&self) -> Outcome<Worker> {
        let inner = self.inner()?;
        if inner.local > 0 {
            return inner
                .wait(|state| {
                    let is_local = |worker: &Worker| matches!(worker.lease, Lease::Local { .. });
                    let at = state.free.iter().position(is_local)?;
                    state.free.remove(at)
                })
                .await;
        }
        inner.sort_out();
        let mut state = inner.state();
        let is_left = state.remote >= state.ahead + state.seated + 2;
        let mut worker = if is_left { state.free.pop_front() } else { None };
        if let Some(Lease::Remote { is_ahead, .. }) = worker.as_mut().map(|it| &mut it.lease) {
            *is_ahead = true;
            state.ahead += 1;
        }
        worker.ok_or_else(|| Failure::lost("no session worker to spare"))
    }

    fn inner(&self) -> Outcome<&Arc<Inner>> {
        let none = || Failure::unexpected("a worker is wanted where there are none");
        self.inner.as_ref().ok_or_else(none)
    }

    /// How many there are, if sessions live in workers.
    pub(crate) fn count(&self) -> Option<Count> {
        let state = self.inner.as_ref()?.state();
        let (free, local, remote) = (state.free.len(), state.processes, state.remote);
        Some(Count { free, local, remote })
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops free workers that are gone.
    fn sort_out(&self) {
        let mut state = self.state();
        let (mut free, mut gone) = (VecDeque::new(), Vec::new());
        for mut worker in std::mem::take(&mut state.free) {
            match worker.parcels.is_over() {
                true => gone.push(worker),
                false => free.push_back(worker),
            }
        }
        state.free = free;
        drop(state);
        // Their leases take the lock.
        drop(gone);
    }

    /// Takes a worker as soon as there is one, starting what may be started.
    async fn wait(
        self: &Arc<Self>,
        take: impl Fn(&mut State) -> Option<Worker>,
    ) -> Outcome<Worker> {
        let mut changes = self.changed.subscribe();
        let failed = |state: &State| state.failure.as_ref().map_or(0, |(_, count, _)| *count);
        let failed_before = failed(&self.state());
        let waiting = Waiting::new(self);
        let hiring = async {
            loop {
                self.sort_out();
                {
                    let mut state = self.state();
                    if let Some(worker) = take(&mut state) {
                        return Ok(worker);
                    }
                    if failed(&state) > failed_before {
                        let why = state.failure.as_ref().map(|(why, ..)| why.clone());
                        return Err(Failure::lost(why.unwrap_or_default()).with_remedy(
                            "see the lines before; when federation.toml or party.toml has changed, \
                             restart the daemon",
                        ));
                    }
                }
                self.start();
                let _ = changes.changed().await;
            }
        };
        let hired = timeout(HIRE_MAX, hiring).await.unwrap_or_else(|_| {
            Err(Failure::lost("no session worker is free").with_remedy(
                "raise `local` in [workers] of party.toml, or start more with `senate worker`",
            ))
        });
        drop(waiting);
        // The next session finds one too.
        self.start();
        hired
    }

    /// Starts as many workers as sessions wait for, or a spare one.
    fn start(self: &Arc<Self>) {
        let Some(gateway) = self.gateway.get().copied() else { return };
        let mut state = self.state();
        let pauses = state.failure.as_ref().is_some_and(|(.., until)| Instant::now() < *until);
        if self.local == 0 || pauses {
            return;
        }
        let is_local = |worker: &&Worker| matches!(worker.lease, Lease::Local { .. });
        let there = state.coming.len() + state.free.iter().filter(is_local).count();
        for _ in there..state.waiting.max(1) {
            let number = state.next;
            state.next = number.wrapping_add(1);
            state.processes += 1;
            let (tell, offered) = oneshot::channel();
            state.coming.insert(number, tell);
            tokio::spawn(Arc::clone(self).look_after(gateway, number, offered));
        }
    }

    /// One process, from its start to its end.
    async fn look_after(
        self: Arc<Self>,
        gateway: SocketAddr,
        number: u32,
        offered: oneshot::Receiver<oneshot::Receiver<()>>,
    ) {
        let ended = self.starter.run(gateway, number, offered).await;
        let came = ended.is_ok();
        {
            let mut state = self.state();
            state.processes = state.processes.saturating_sub(1);
            state.coming.remove(&number);
            if let Err(why) = ended {
                tracing::warn!("{why}");
                let count = state.failure.as_ref().map_or(1, |(_, count, _)| count + 1);
                state.failure = Some((why, count, Instant::now() + PAUSE));
            }
        }
        self.changed.send_replace(());
        if !came {
            sleep(PAUSE).await;
        }
        // A spare one, or one for whoever waits; what keeps failing is tried when it is wanted.
        if came || self.state().waiting > 0 {
            self.start();
        }
    }
}

/// A session that waits for a worker, until it is dropped.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.state().waiting += 1;
        Self(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}
