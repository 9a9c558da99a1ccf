//! A query as it is listed: what daemons tell their users.

use super::job::User;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A query of a daemon.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct JobLine {
    /// The same at every party.
    pub(crate) id: String,
    pub(crate) user: User,
    /// The party that asks.
    pub(crate) party: String,
    pub(crate) sql: String,
    pub(crate) started_unix_s: u64,
    /// Until now, or until it ended.
    pub(crate) seconds: f64,
    pub(crate) state: JobState,
}

/// What a query does, or how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// It is in this phase.
    Running(String),
    /// It ended; an answer of so many rows can be fetched.
    Answered(usize),
    /// It ended with so many rows, which were delivered or are no longer kept.
    Done(usize),
    /// It ended; the answer went to others.
    Elsewhere,
    /// It ended with an answer of so many rows that was too large to be kept.
    TooLarge(usize),
    /// It ended without an answer.
    Failed(String),
}

impl JobLine {
    pub(super) fn too_large(mut self) -> Self {
        if let JobState::Answered(rows) = self.state {
            self.state = JobState::TooLarge(rows);
        }
        self
    }

    pub(super) fn without_answer(mut self) -> Self {
        if let JobState::Answered(rows) = self.state {
            self.state = JobState::Done(rows);
        }
        self
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(phase) => write!(f, "running: {phase}"),
            Self::Answered(rows) => write!(f, "answer kept, {rows} rows"),
            Self::Done(rows) => write!(f, "done, {rows} rows"),
            Self::Elsewhere => f.write_str("done, the answer went to others"),
            Self::TooLarge(rows) => write!(
                f,
                "done, but its answer of {rows} rows is larger than [limits] results of party.toml \
                 and was not kept"
            ),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}
