//! One query: who asked, what it does now, how it ended.

use super::line::{JobLine, JobState};
use crate::failure::{Cause, Failure, Outcome};
use crate::messages::SessionId;
use crate::query::Answered;
use crate::request::Stats;
use datafusion::arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Whose query it is, as the daemon has found out itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum User {
    /// Holds the party's own identity.
    Operator,
    /// Holds a token of this party.
    Analyst(String),
    /// Another party, in whose query this one takes part.
    Party(String),
}

impl User {
    /// The operator sees everything, everybody else their own.
    pub(crate) fn may_see(&self, other: &Self) -> bool {
        *self == Self::Operator || self == other
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Analyst(name) => write!(f, "analyst {name}"),
            Self::Party(name) => write!(f, "party {name}"),
        }
    }
}

/// What happens to a query's answer when it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    /// Somebody waits for it; when they leave, the query is cancelled.
    ForNobody,
    /// Whoever asked comes back for it.
    ForLater,
}

/// What is known of a query when it begins.
pub(crate) struct Asked {
    pub(crate) session: SessionId,
    pub(crate) user: User,
    /// The party that asks.
    pub(crate) party: String,
    pub(crate) sql: String,
    pub(crate) keep: Keep,
}

/// A query that runs or has ended.
pub(crate) struct Job {
    id: String,
    asked: Asked,
    started: Instant,
    started_at: SystemTime,
    progress: watch::Sender<String>,
    /// Phases are kept also while nobody listens.
    _heard: watch::Receiver<String>,
    cancelled: watch::Sender<Option<Failure>>,
    ended: watch::Sender<Option<Arc<End>>>,
}

/// How a query ended.
pub(crate) struct End {
    outcome: Outcome<Stats>,
    rows: Option<RecordBatch>,
    seconds: f64,
    at: Instant,
}

impl Job {
    pub(super) fn new(asked: Asked) -> Self {
        let (progress, heard) = watch::channel("starting".to_owned());
        Self {
            id: asked.session.to_string(),
            asked,
            started: Instant::now(),
            started_at: SystemTime::now(),
            progress,
            _heard: heard,
            cancelled: watch::Sender::new(None),
            ended: watch::Sender::new(None),
        }
    }

    /// The same at every party.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn session(&self) -> SessionId {
        self.asked.session
    }

    pub(crate) fn user(&self) -> &User {
        &self.asked.user
    }

    pub(crate) fn keep(&self) -> Keep {
        self.asked.keep
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Where phases are announced.
    pub(crate) fn progress(&self) -> watch::Sender<String> {
        self.progress.clone()
    }

    /// The phase begins.
    pub(crate) fn enter(&self, phase: impl Into<String>) {
        self.progress.send_replace(phase.into());
    }

    /// The present phase.
    pub(crate) fn phase(&self) -> String {
        self.progress.borrow().clone()
    }

    /// Asks the query to end, here and at every other participant. One that has ended stays so.
    pub(crate) fn cancel(&self, why: &str) {
        self.cancelled.send_if_modified(|cancelled| {
            let is_first = cancelled.is_none();
            cancelled.get_or_insert_with(|| Failure::new(Cause::Interrupted, why));
            is_first
        });
    }

    /// The work, until somebody cancels the query.
    ///
    /// # Errors
    /// Interrupted, or as the work.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let mut cancelled = self.cancelled.subscribe();
        let reason = async {
            match cancelled.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone(),
                Err(_) => None,
            }
        };
        tokio::select! {
            biased;
            Some(failure) = reason => Err(failure),
            done = work => done,
        }
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Arc<End> {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone()) {
            Some(end) => end,
            // The sender is in `self`.
            None => Arc::new(End::failed(Failure::unexpected("a query without an end"))),
        }
    }

    pub(crate) fn ended(&self) -> Option<Arc<End>> {
        self.ended.borrow().clone()
    }

    pub(super) fn end(&self, outcome: Outcome<Answered>) -> Arc<End> {
        let (outcome, rows) = match outcome {
            Ok(Answered { rows, stats }) => (Ok(stats), rows),
            Err(failure) => (Err(failure), None),
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let end = Arc::new(End { outcome, rows, seconds, at: Instant::now() });
        self.ended.send_replace(Some(Arc::clone(&end)));
        end
    }

    pub(crate) fn line(&self) -> JobLine {
        let end = self.ended();
        let since = self.started_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let state = match end.as_deref() {
            None => JobState::Running(self.phase()),
            Some(End { outcome: Ok(stats), rows, .. }) => match rows {
                Some(_) => JobState::Answered(stats.rows),
                None => JobState::Elsewhere,
            },
            Some(End { outcome: Err(failure), .. }) => JobState::Failed(failure.to_string()),
        };
        JobLine {
            id: self.id.clone(),
            user: self.asked.user.clone(),
            party: self.asked.party.clone(),
            sql: self.asked.sql.clone(),
            started_unix_s: since.as_secs(),
            seconds: end.map_or_else(|| self.started.elapsed().as_secs_f64(), |end| end.seconds),
            state,
        }
    }
}

impl End {
    fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), rows: None, seconds: 0.0, at: Instant::now() }
    }

    pub(crate) fn outcome(&self) -> Outcome<&Stats> {
        self.outcome.as_ref().map_err(Failure::clone)
    }

    /// The answer, where this party is a recipient.
    pub(crate) fn rows(&self) -> Option<&RecordBatch> {
        self.rows.as_ref()
    }

    /// Memory of the answer.
    pub(super) fn bytes(&self) -> u64 {
        self.rows.as_ref().map_or(0, |rows| rows.get_array_memory_size() as u64)
    }

    pub(super) fn age(&self) -> Duration {
        self.at.elapsed()
    }
}
