//! The audit log of a party: one JSON line per event, each chained to all before it and signed with
//! the party's identity, on disk before the event has any effect. Histories can be compared without
//! showing them: a link of the chain follows from the hashes of the entries alone.

mod chain;
mod entry;
mod export;
mod ledger;
mod log;

pub use chain::{Head, Link, follows};
pub use entry::{Entry, Event, Subject};
pub use export::{ExportFormat, export};
pub use ledger::{Ledger, Usage};
pub use log::{History, read, uses};

/// Name of the log in the party's folder.
pub const LOG_FILE: &str = "audit.log";
/// Name of the file with the log's last link, by which a log that lost its end is known.
pub const HEAD_FILE: &str = "audit.head";

#[cfg(test)]
mod tests;
