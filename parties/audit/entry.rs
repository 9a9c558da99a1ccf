//! What the log says about an event. No value of any table is in it but what the SQL text says.

use super::chain::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest text of a query that did not run, in bytes: peers must not fill the disk with it.
const REFUSED_SQL_BYTES_MAX: usize = 4 << 10;
/// Most recipients of the same that are written down.
const REFUSED_NAMES_MAX: usize = 64;
/// Longest name of the same, in bytes.
const REFUSED_NAME_BYTES_MAX: usize = 128;

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Position; the first is 1.
    pub seq: u64,
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// What happened.
    pub event: Event,
    /// The query.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What happened to a query at this party.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A user of this party asked it; its inputs are about to be used.
    Asked,
    /// Another party asked it, and this party takes part: its inputs are about to be used.
    Admitted,
    /// It was refused before any input was used.
    Refused,
    /// It ended with an answer.
    Finished,
    /// It ended without one.
    Failed,
}

impl Event {
    /// Name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// The query that an event is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// Its session.
    pub query: String,
    /// Its text.
    pub sql: String,
    /// What all participants agreed on.
    pub digest: String,
    /// H(the owners' policies).
    pub policies: String,
    /// What queries that differ in constants only have in common.
    pub template: String,
    /// Which party asked.
    pub asker: String,
    /// Whose question it is as this party knows it: `operator`, `analyst NAME` or `party NAME`.
    pub user: String,
    /// Who takes part.
    pub participants: Vec<String>,
    /// Who learns the answer.
    pub recipients: Vec<String>,
    /// Approvals that it runs by.
    pub approvals: Vec<String>,
    /// Public sizes: most rows of each party's input, AND gates.
    pub sizes: BTreeMap<String, u64>,
    /// How it ended, or why it was refused.
    pub outcome: String,
    /// Where the other parties' logs ended, as they said.
    pub heads: BTreeMap<String, Head>,
    /// What is wrong with another party's log.
    pub suspicions: Vec<String>,
}

fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

impl Entry {
    /// An event of now.
    pub(super) fn now(seq: u64, event: Event, mut subject: Subject) -> Self {
        if event == Event::Refused {
            subject.recipients.truncate(REFUSED_NAMES_MAX);
            let names = [&mut subject.asker].into_iter().chain(&mut subject.recipients);
            names.for_each(|name| shorten(name, REFUSED_NAME_BYTES_MAX));
            let texts = [&mut subject.sql, &mut subject.outcome];
            texts.into_iter().for_each(|text| shorten(text, REFUSED_SQL_BYTES_MAX));
        }
        let now = OffsetDateTime::now_utc();
        // Milliseconds are enough.
        let nanoseconds = u32::from(now.millisecond()) * 1_000_000;
        let time = now.replace_nanosecond(nanoseconds).unwrap_or(now);
        Self { seq, time: time.format(&Rfc3339).unwrap_or_default(), event, subject }
    }

    /// Seconds since 1970; 0 for a time that cannot be read, which only a forged entry has.
    pub(super) fn seconds(&self) -> i64 {
        OffsetDateTime::parse(&self.time, &Rfc3339).map_or(0, OffsetDateTime::unix_timestamp)
    }
}
