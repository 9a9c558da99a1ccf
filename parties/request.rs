//! A question with its public choices, and what comes back besides the rows.

use crate::failure::{Failure, Outcome};
use crate::snapshot::Snapshot;
use clap::ValueEnum;
use senate_circuit::Backend;
use senate_planner::lower::{Backends, Decompose};
use senate_planner::sql::SQL_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Longest time of a query, seven days.
const TIMEOUT_S_MAX: u64 = 7 * 86_400;

/// A query as its user asks it. Everything in it is told to all participants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The question.
    pub sql: String,
    /// Who asks.
    pub asker: String,
    /// Names of the parties that learn the answer.
    pub recipients: Vec<String>,
    /// Tighter bounds on holders' rows, as `party.table=N`.
    pub bounds: Vec<String>,
    /// Whether operators run among as few parties as they can.
    pub stages: Stages,
    /// How the AND gates of stages are computed.
    #[serde(default)]
    pub backend: BackendChoice,
    /// Seconds after which the query is given up.
    pub timeout_s: u64,
    /// The links and machines that it is placed by; a daemon puts in what it knows of them.
    #[serde(default)]
    pub snapshot: Snapshot,
}

impl Request {
    /// Bounds of what a request may ask for, before anything is done with it.
    ///
    /// # Errors
    /// Usage for a time that no query may take.
    pub fn check(&self) -> Outcome<()> {
        if self.sql.len() > SQL_BYTES_MAX {
            let why = format!("a query may have {SQL_BYTES_MAX} bytes of text");
            return Err(Failure::usage(why).with_remedy("shorten it"));
        }
        if (1..=TIMEOUT_S_MAX).contains(&self.timeout_s) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "a query may take between 1 and {TIMEOUT_S_MAX} seconds, not {}",
            self.timeout_s
        ))
        .with_remedy("give another --timeout"))
    }
}

/// How a plan is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stages {
    /// Stages on the smallest party sets.
    #[default]
    Decomposed,
    /// One circuit among all.
    OneCircuit,
}

impl From<Stages> for Decompose {
    fn from(stages: Stages) -> Self {
        match stages {
            Stages::Decomposed => Self::Yes,
            Stages::OneCircuit => Self::No,
        }
    }
}

/// How the AND gates of a plan's stages are computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    /// Stage by stage whichever is predicted to be faster
    #[default]
    Auto,
    /// Authenticated garbling: rounds that do not depend on the circuit
    Garbled,
    /// A round per layer of AND gates, without tables
    Interactive,
}

impl From<BackendChoice> for Backends {
    fn from(choice: BackendChoice) -> Self {
        match choice {
            BackendChoice::Auto => Self::Cheapest,
            BackendChoice::Garbled => Self::Only(Backend::Garbled),
            BackendChoice::Interactive => Self::Only(Backend::Interactive),
        }
    }
}

/// What `--stats` writes. Counters of other parties are there when they could be asked.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Rows of the answer.
    pub rows: usize,
    /// Groups that are not among the rows because they are too small for the owners' policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed_groups: Option<u64>,
    /// What the asking party noticed about the others, for its operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// From the request to the answer.
    pub seconds: f64,
    /// Of all stages.
    pub and_gates: u64,
    /// In the plan's order.
    pub stages: Vec<StageStats>,
    /// Payload bytes by sending party.
    pub bytes_sent: BTreeMap<String, u64>,
    /// Whether the query took a session that had been opened ahead of it.
    pub opened_ahead: bool,
    /// Payload bytes that had been sent in that session before the query, by sending party.
    pub bytes_sent_ahead: BTreeMap<String, u64>,
    /// Peak memory of this process.
    pub peak_rss_bytes: u64,
    /// Seconds by phase, at the reporting party.
    pub phases: BTreeMap<String, f64>,
    /// Digest of everything that the participants agreed on.
    pub plan_digest: String,
}

/// Figures of one stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StageStats {
    /// Position in the plan.
    pub id: u32,
    /// Who ran it.
    pub parties: Vec<String>,
    /// How its AND gates were computed: `garbled` or `interactive`.
    pub backend: String,
    /// Who evaluated the circuit, if it was garbled.
    pub evaluator: String,
    /// AND gates.
    pub and_gates: u64,
    /// Longest chain of AND gates.
    pub depth: u64,
    /// Payload bytes that the reporting parties sent for it, preprocessing not included: that is made
    /// per party set, for several stages at once.
    pub bytes_sent: u64,
    /// The slowest reporting party's time.
    pub seconds: f64,
}

/// What one party measured in a query: numbers, and nothing else that others would have to believe.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Payload bytes that it sent.
    pub bytes_sent: u64,
    /// Those of before the query, if its session had been opened ahead.
    pub bytes_sent_ahead: Option<u64>,
    /// Bytes and seconds of each stage, in the plan's order.
    pub stages: Vec<(u64, f64)>,
}

impl Stats {
    /// What `party` measured.
    pub fn figures(&self, party: &str) -> Figures {
        Figures {
            bytes_sent: self.bytes_sent.get(party).copied().unwrap_or_default(),
            bytes_sent_ahead: self.bytes_sent_ahead.get(party).copied(),
            stages: self.stages.iter().map(|stage| (stage.bytes_sent, stage.seconds)).collect(),
        }
    }

    /// Adds what another participant, `party`, measured in the same query.
    pub fn add(&mut self, party: &str, figures: &Figures) {
        self.bytes_sent.insert(party.to_owned(), figures.bytes_sent);
        if let Some(bytes) = figures.bytes_sent_ahead {
            self.opened_ahead = true;
            self.bytes_sent_ahead.insert(party.to_owned(), bytes);
        }
        for (mine, (bytes, seconds)) in self.stages.iter_mut().zip(&figures.stages) {
            mine.bytes_sent = mine.bytes_sent.saturating_add(*bytes);
            mine.seconds = mine.seconds.max(*seconds);
        }
    }

    /// Adds what other parties of this process measured.
    pub fn merge(&mut self, other: &Self) {
        other.bytes_sent.keys().for_each(|party| self.add(party, &other.figures(party)));
    }

    /// Puts the phases of `watch` beside those that are there, which were parts of its phase
    /// `parts_of`.
    pub fn add_phases(&mut self, watch: Stopwatch, parts_of: &str) {
        self.phases.extend(watch.stop().into_iter().filter(|(phase, _)| phase != parts_of));
    }

    /// The line at the end of stderr.
    pub fn summary(&self) -> String {
        let sent = self.bytes_sent.values().fold(0, |all: u64, bytes| all.saturating_add(*bytes));
        let suppressed = self.suppressed_groups;
        let suppressed = suppressed.map_or_else(String::new, |n| format!(" suppressed_groups={n}"));
        format!(
            "rows={}{suppressed} time={:.2}s sent={} gates={} stages={}{} plan={}",
            self.rows,
            self.seconds,
            sent,
            self.and_gates,
            self.stages.len(),
            if self.opened_ahead { " session=ahead" } else { "" },
            self.plan_digest.get(..16).unwrap_or(&self.plan_digest)
        )
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// Usage when the file cannot be written.
    pub fn write(&self, path: &std::path::Path) -> Outcome<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::unexpected(error.to_string()))?;
        std::fs::write(path, text + "\n")
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }
}

/// Measures phases that follow each other: one ends when the next begins.
#[derive(Clone, Debug, Default)]
pub struct Stopwatch {
    present: Option<(String, Instant)>,
    seconds: BTreeMap<String, f64>,
}

impl Stopwatch {
    /// The present phase ends and this one begins.
    pub fn enter(&mut self, phase: &str) {
        self.leave();
        self.present = Some((phase.to_owned(), Instant::now()));
    }

    /// Seconds by phase.
    pub fn stop(mut self) -> BTreeMap<String, f64> {
        self.leave();
        self.seconds
    }

    fn leave(&mut self) {
        if let Some((phase, start)) = self.present.take() {
            *self.seconds.entry(phase).or_default() += start.elapsed().as_secs_f64();
        }
    }
}

/// Peak resident memory of this process; 0 where the system does not tell.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_report_is_theirs_and_does_not_overflow() {
        let stages = vec![StageStats { bytes_sent: 7, ..StageStats::default() }];
        let bytes_sent = BTreeMap::from([("me".to_owned(), 7)]);
        let mut stats = Stats { rows: 3, stages, bytes_sent, ..Stats::default() };
        let figures = Figures {
            bytes_sent: u64::MAX,
            bytes_sent_ahead: Some(u64::MAX),
            stages: vec![(u64::MAX, f64::MAX), (1, 1.0), (1, 1.0)],
        };
        stats.add("a", &figures);
        stats.add("b", &figures);
        assert_eq!((stats.stages.len(), stats.stages[0].bytes_sent), (1, u64::MAX));
        assert_eq!((stats.rows, stats.bytes_sent["me"]), (3, 7));
        assert!(stats.summary().contains("rows=3 "), "{}", stats.summary());
        assert!(stats.summary().contains(&format!("sent={}", u64::MAX)));
    }

    #[test]
    fn a_time_that_no_query_may_take_is_refused_before_it_is_added_to_anything() {
        let request = |timeout_s| Request {
            sql: "SELECT 1".to_owned(),
            asker: "a".to_owned(),
            recipients: Vec::new(),
            bounds: Vec::new(),
            stages: Stages::default(),
            backend: BackendChoice::default(),
            timeout_s,
            snapshot: Snapshot::default(),
        };
        assert!(request(1).check().is_ok() && request(TIMEOUT_S_MAX).check().is_ok());
        for wrong in [0, TIMEOUT_S_MAX + 1, u64::MAX] {
            assert_eq!(request(wrong).check().unwrap_err().cause.exit_code(), 2);
        }
    }
}
