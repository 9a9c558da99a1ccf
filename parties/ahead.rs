//! Think time: what is done for the next query while none runs.

use crate::agreement::Agreement;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::session::{Bound, Early, EarlySeat};
use crate::transport::in_memory;
use futures_util::future::join_all;
use senate_circuit::PartySet;
use senate_mpc::ByParty;
use senate_mpc::pre::stock::Provisions;
use senate_mpc::stage::provisions_of;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What a party keeps for queries to come, unless its party.toml says otherwise.
pub const MEMORY_BYTES: usize = 128 << 20;

/// Counts the queries that run here: they come first.
#[derive(Clone, Debug)]
pub struct Work(Arc<watch::Sender<usize>>);

/// A query that runs, until it is dropped.
#[derive(Debug)]
pub struct Working(Work);

/// Tells when no query runs here.
#[derive(Clone, Debug)]
pub struct Calm(watch::Receiver<usize>);

impl Default for Work {
    fn default() -> Self {
        Self(Arc::new(watch::channel(0).0))
    }
}

impl Work {
    /// A query begins.
    #[must_use]
    pub fn begin(&self) -> Working {
        self.0.send_modify(|running| *running += 1);
        Working(self.clone())
    }

    /// When it is calm, for whoever can wait.
    pub fn calm(&self) -> Calm {
        Calm(self.0.subscribe())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}

impl Calm {
    /// Whether no query runs.
    pub fn is_now(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Waits until a query begins or ends; whether it is calm then.
    pub async fn changes(&mut self) -> bool {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update() == 0
    }

    /// Waits until no query runs.
    pub async fn comes(&self) {
        // Without anybody to count, it is calm.
        let _ = self.0.clone().wait_for(|running| *running == 0).await;
    }
}

/// What a session for a query like this one makes ahead, as far as `bytes_max` at each party
/// allows; `None` when the query has no joint part.
pub fn provisions(agreement: &Agreement, bytes_max: usize) -> Option<Provisions> {
    let plan = &agreement.plan;
    if plan.stages.is_empty() {
        return None;
    }
    let entries = provisions_of(&plan.stages).ok()?;
    Provisions::new(plan.participants, entries).ok().map(|all| all.within(bytes_max))
}

/// Sessions of all parties inside this process. The last query's participants have one waiting.
#[derive(Debug, Default)]
pub struct Ahead {
    work: Work,
    waiting: Mutex<Option<Waiting>>,
}

/// One session, at every participant.
struct Waiting {
    federation: [u8; 32],
    provisions: Provisions,
    early: ByParty<Early>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({})", self.provisions.parties())
    }
}

impl Ahead {
    /// A query begins: thinking pauses until the result is dropped.
    #[must_use]
    pub fn begin(&self) -> Working {
        self.work.begin()
    }

    /// Opens a session for a query like this one, unless one like that is waiting.
    ///
    /// # Errors
    /// Unexpected when the machine gives no thread.
    pub fn prepare(&self, workspace: &Workspace, agreement: &Agreement) -> Outcome<()> {
        let bytes_max = MEMORY_BYTES / agreement.plan.participants.len().max(1);
        let Some(provisions) = provisions(agreement, bytes_max) else { return Ok(()) };
        let federation = Arc::new(workspace.federation.clone());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |waiting: &Waiting| {
            let same = waiting.federation == federation.digest && waiting.provisions == provisions;
            same && !waiting.is_over()
        };
        if waiting.as_ref().is_some_and(is_there) {
            return Ok(());
        }
        *waiting = None;
        let links = in_memory(provisions.parties())?;
        let mut links = links.into_iter().map(|(_, links)| links);
        let early = ByParty::try_from_fn(provisions.parties(), |me| {
            Early::open(EarlySeat {
                me,
                federation: Arc::clone(&federation),
                provisions: provisions.clone(),
                links: links.next().ok_or_else(|| Failure::unexpected("links for everybody"))?,
                calm: self.work.calm(),
            })
        })?;
        *waiting = Some(Waiting { federation: federation.digest, provisions, early });
        Ok(())
    }

    /// The session that is waiting, bound to the query, if it is one of the query's participants and
    /// ready; it is gone afterwards.
    pub async fn take(&self, agreement: &Agreement, federation: &[u8; 32]) -> Option<Vec<Bound>> {
        let fits = |waiting: &mut Waiting| {
            waiting.federation == *federation
                && waiting.provisions.parties() == agreement.plan.participants
                && waiting.early.values().iter().all(Early::is_ready)
        };
        let taken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.take_if(fits)
        };
        let digest = agreement.plan.digest;
        let binding = taken?.early.into_iter().map(|(_, early)| early.bind(digest));
        join_all(binding).await.into_iter().collect()
    }

    /// For whom a session is waiting that a query could take now.
    pub fn ready(&self) -> Option<PartySet> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = waiting.as_ref().filter(|it| it.early.values().iter().all(Early::is_ready));
        ready.map(|waiting| waiting.provisions.parties())
    }
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.early.values().iter().any(Early::is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn it_is_calm_when_no_query_runs() {
        let work = Work::default();
        let calm = work.calm();
        assert!(calm.comes().now_or_never().is_some());
        let (one, other) = (work.begin(), work.begin());
        drop(one);
        assert!(calm.comes().now_or_never().is_none());
        drop(other);
        assert!(calm.comes().now_or_never().is_some());
    }
}
