//! What is said on a connection before a session's lanes are up.

mod preparation;
mod reason;

pub(crate) use preparation::Preparation;
pub(crate) use reason::{Approval, PublicReason, Version};

use crate::audit::Head;
use crate::catalog::Standing;
use crate::daemon::JobLine;
use crate::failure::{Cause, Failure};
use crate::policies::Bundle;
use crate::request::{Figures, Request, Stats};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Version of these messages and of the plans: parties of different versions refuse each other.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names a query's session among all parties; chosen at random by the party that asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// First message of whoever connects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`VERSION`] of the sender.
    pub(crate) version: String,
    /// Digest of the sender's federation.toml.
    pub(crate) federation: [u8; 32],
    /// What the connection is for.
    pub(crate) purpose: Purpose,
}

/// A first message as it arrives: its purpose is understood only once versions agree.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) federation: [u8; 32],
    purpose: serde_json::Value,
}

/// How a greeting is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerKind {
    /// By a [`Reply`].
    Reply,
    /// By a [`Verdict`].
    Verdict,
    /// By an [`Answer`].
    Answer,
    /// By [`Hiring`].
    Hiring,
    /// Not at all.
    Nothing,
}

impl Greeting {
    /// Its purpose, if it is one that this version knows.
    pub(crate) fn purpose(&self) -> Option<Purpose> {
        serde_json::from_value(self.purpose.clone()).ok()
    }

    /// How this version and others answer it.
    pub(crate) fn answer(&self) -> AnswerKind {
        let name = match &self.purpose {
            serde_json::Value::Object(fields) => fields.keys().next().map(String::as_str),
            purpose => purpose.as_str(),
        };
        match name {
            Some("Ask" | "Jobs") => AnswerKind::Reply,
            Some("Announce") => AnswerKind::Verdict,
            Some("Policy" | "History") => AnswerKind::Answer,
            Some("Work") => AnswerKind::Hiring,
            _ => AnswerKind::Nothing,
        }
    }
}

/// What a connection is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// A user of this very party asks. Answered by [`Reply`]s.
    Ask(Request, Presence),
    /// A user of this very party asks about queries. Answered by [`Reply`]s.
    Jobs(JobsRequest),
    /// Another party proposes a query. Answered by a [`Verdict`]; then [`Step`]s, the last of them
    /// [`Step::Go`]; at the end [`Report`].
    Announce(Announcement),
    /// Another party proposes to open a session ahead of its next query. Answered by a [`Promise`];
    /// then [`Step::Go`]; when the session is ready, another promise. The connection stays open as long as
    /// the session waits.
    Prepare(Preparation),
    /// Two parties tell each other what they know of the catalog, whatever version and
    /// federation.toml either has. Answered by a [`Card`]; where these are the same and the knowledge
    /// is not, transfers in chunks follow, the dialling party's first.
    Catalog(Card),
    /// Another party asks what this one allows. Answered by [`Answer`] with the signed policy.
    Policy,
    /// Another party compares histories. Answered by [`Answer`] with [`Chain`], then, in chunks, the
    /// hashes of that many entries, 32 bytes each.
    History,
    /// A lane of a session that was announced. Not answered.
    Lane(SessionId, LaneKind),
    /// A process of this very party offers to be the worker of one session. Answered by [`Hiring`]; see
    /// [`crate::worker`] for what is said then.
    Work(Offer),
    /// A member looks at the daemon, whatever version and federation.toml either has. Answered by a
    /// [`Condition`]; then [`Check`]s.
    Probe,
}

/// A session worker that is free.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// Where it takes lanes.
    pub(crate) address: SocketAddr,
    /// Which of those that the daemon has started it is, if it is one of them.
    pub(crate) number: Option<u32>,
}

/// Whether the daemon takes a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Hiring {
    /// It will be given a session.
    Accepted,
    /// Why not.
    Refused(String),
}

/// What a daemon is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Condition {
    /// Its version.
    pub(crate) version: Version,
    /// Digest of its federation.toml.
    pub(crate) federation: [u8; 32],
    /// Its clock, in ms since 1970.
    pub(crate) unix_ms: u64,
    /// It begins nothing new.
    pub(crate) is_draining: bool,
}

/// Who meets for gossip.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The party's version.
    pub(crate) version: Version,
    /// Digest of its federation.toml.
    pub(crate) federation: [u8; 32],
    /// Its epoch.
    pub(crate) epoch: u32,
    /// Digest of everything that it knows of that epoch.
    pub(crate) knowledge: [u8; 32],
    /// What it has measured.
    pub(crate) links: Links,
}

/// A party's links to others, and its machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Links {
    /// Those that it has measured, at most one for each party.
    pub(crate) links: Vec<LinkTold>,
    /// Its machine's speed.
    pub(crate) percent: u32,
}

/// A link from the party that tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LinkTold {
    /// Position of the recipient in the federation.
    pub(crate) to: u8,
    /// One-way delay.
    pub(crate) latency_us: u32,
    /// Throughput.
    pub(crate) mbit_per_s: u32,
}

/// Bytes that are sent to measure a link.
pub(crate) const PROBE_BYTES: usize = 4 << 20;

/// What is measured next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Check {
    /// Answered by [`Echo`].
    Echo,
    /// [`PROBE_BYTES`] follow; then [`Echo`] answers.
    Upload,
    /// Answered by [`PROBE_BYTES`].
    Download,
    /// Answered by a [`crate::catalog::CatalogReport`].
    Catalog,
    /// Answered by a [`crate::snapshot::Snapshot`].
    Snapshot,
}

/// An answer without content.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Echo;

/// Whether a user waits for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Presence {
    /// The query is cancelled when they leave.
    Attached,
    /// They come back for it.
    Detached,
}

/// What a user asks about queries, by the beginning of an id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum JobsRequest {
    /// All of them.
    List,
    /// One.
    Show(String),
    /// How it goes on, and its answer.
    Attach(String),
    /// Its end.
    Cancel(String),
}

/// A proposed query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// The session to be.
    pub(crate) session: SessionId,
    /// The question.
    pub(crate) request: Request,
    /// Digest of what the announcing party planned.
    pub(crate) digest: [u8; 32],
    /// With what it takes part.
    pub(crate) standing: Standing,
    /// The owners' policies under which it did.
    pub(crate) policies: Bundle,
    /// Where its audit log ends.
    pub(crate) head: Head,
}

/// An answer to another party, or a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer<T> {
    /// What was asked for.
    Given(T),
    /// Why not.
    Refused(PublicReason),
}

/// A log as others may see it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// Number of entries.
    pub(crate) entries: u64,
}

/// Lanes of a session between two parties, each a connection of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum LaneKind {
    /// Frames of the protocol.
    Protocol,
    /// Messages of control.
    Control,
}

/// Whether a party takes part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It does, once it has room, and with this; its audit log ends here.
    Accepted(Vacancy, Standing, Head),
    /// Its operator has not decided yet; another verdict follows.
    Waiting(Approval),
    /// It does not; only a public class is told.
    Refused(PublicReason),
}

/// Whether a participant has room for the query.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Vacancy {
    /// It is the query's now.
    Taken,
    /// Not at this moment.
    None,
    /// The query waits for it behind so many others.
    Behind(u32),
    /// It cannot wait any longer, or at all.
    Never(PublicReason),
}

/// What the announcing party asks of one that has accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Give back the room that was taken: others have none.
    Leave,
    /// Wait for room. Answered by [`Vacancy`]s, the last one `Taken` or `Never`.
    Enter,
    /// All have room: open the lanes.
    Go,
    /// The query does not begin.
    Ended(Ended),
}

/// Why a query does not begin: the cause, and the party that it is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) cause: Cause,
    pub(crate) party: Option<String>,
}

/// After [`Step::Go`]: in which session the query runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Start {
    /// In one of its own; the lanes are to be opened.
    Fresh,
    /// Does everybody have this one, which was opened ahead? Answered by [`Taken`].
    Try(SessionId),
    /// All do: it is to be bound, which is answered by [`Taken`]; the second time, all have.
    Ahead,
}

/// Whether a participant has a session, or has bound it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Taken {
    /// It has.
    Yes,
    /// It is not there, or not any more, or another query's.
    No,
}

impl From<bool> for Taken {
    fn from(is_there: bool) -> Self {
        if is_there { Self::Yes } else { Self::No }
    }
}

/// How a party answers a [`Preparation`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Promise {
    /// It takes part.
    Accepted,
    /// It does not, or not now.
    Refused,
    /// Its part is done: a query may take the session.
    Ready,
}

/// What a participant tells the announcing party at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// It worked.
    Done(Figures),
    /// It did not; the cause, and the party whose loss it was.
    Failed(Cause, Option<String>),
}

/// What a daemon tells its user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The query with this id goes on without its user.
    Started(String),
    /// The queries that were asked about.
    Jobs(Vec<JobLine>),
    /// What happens now.
    Progress(String),
    /// It worked; if true, an Arrow IPC stream with the rows follows.
    Done(Box<Stats>, Rows),
    /// It did not.
    Failed(Failure),
}

/// Whether rows follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Rows {
    /// This party is a recipient.
    Follow,
    /// Only others learn the answer.
    Elsewhere,
}

/// Enough of a digest to compare it by eye.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
