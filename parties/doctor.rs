//! What stands between this party and a query: its own files and rows, and the way to every peer.

mod own;
mod peer;

pub use own::examine as examine_own;
pub use peer::examine as examine_peer;

use crate::failure::{Cause, Failure};
use serde::Serialize;
use std::fmt;

/// The check that is passed where a peer is reached.
const REACHED: &str = "TLS";
/// Columns of a check's name.
const CHECK_WIDTH: usize = 14;

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Queries work; something else may not.
    Warning,
    /// Queries fail for this cause.
    Failed(Cause),
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it went.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All checks of one party, in the order in which they depend on each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// The party.
    pub party: String,
    /// Its checks; after one that failed, those that depend on it are missing.
    pub findings: Vec<Finding>,
}

impl Report {
    fn new(party: &str) -> Self {
        Self { party: party.to_owned(), findings: Vec::new() }
    }

    fn note(&mut self, check: &str, state: State, detail: impl Into<String>) -> &mut Finding {
        self.findings.push(Finding {
            check: check.to_owned(),
            state,
            detail: detail.into(),
            remedy: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    fn good(&mut self, check: &str, detail: impl Into<String>) {
        self.note(check, State::Ok, detail);
    }

    fn bad(
        &mut self,
        check: &str,
        state: State,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.note(check, state, detail).remedy = Some(remedy.into());
    }

    fn is_reached(&self) -> bool {
        self.findings.iter().any(|found| found.check == REACHED && found.state == State::Ok)
    }

    /// What failed is no more than worth a word.
    fn soften(&mut self) {
        let failed = |found: &&mut Finding| matches!(found.state, State::Failed(_));
        self.findings.iter_mut().filter(failed).for_each(|found| found.state = State::Warning);
    }
}

fn note_failure(report: &mut Report, check: &str, failure: Failure) {
    let finding = report.note(check, State::Failed(failure.cause), failure.message);
    finding.remedy = failure.remedy;
}

/// The cause that is to be dealt with first: what is wrong here, then with the data, then with what
/// the parties agree on, then with the network.
pub fn worst(reports: &[Report]) -> Option<Cause> {
    let rank = |cause: &Cause| match cause {
        Cause::Unexpected => 6,
        Cause::Usage | Cause::Unsupported => 5,
        Cause::Input => 4,
        Cause::Aborted => 3,
        Cause::Refused => 2,
        Cause::Lost => 1,
        Cause::Interrupted => 0,
    };
    let findings = reports.iter().flat_map(|report| &report.findings);
    let causes = findings.filter_map(|finding| match finding.state {
        State::Failed(cause) => Some(cause),
        _ => None,
    });
    causes.max_by_key(rank)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.party)?;
        let names = self.findings.iter().map(|finding| finding.check.len() + 1);
        let width = names.max().unwrap_or(0).max(CHECK_WIDTH);
        for Finding { check, state, detail, remedy } in &self.findings {
            let word = match state {
                State::Ok => "ok",
                State::Warning => "warn",
                State::Failed(_) => "FAIL",
            };
            let line: Vec<&str> = detail.split_whitespace().collect();
            writeln!(f, "  {word:<5}{check:<width$}{}", line.join(" "))?;
            if let Some(remedy) = remedy {
                writeln!(f, "  {:<5}{:<width$}help: {remedy}", "", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_what_to_mend_first() {
        let report = |causes: &[Cause]| {
            let mut report = Report::new("a");
            report.good("name", "fine");
            causes.iter().for_each(|cause| {
                report.bad("x", State::Failed(*cause), "why", "what");
            });
            report
        };
        assert_eq!(worst(&[report(&[])]), None);
        let reports = [report(&[Cause::Lost]), report(&[Cause::Refused, Cause::Lost])];
        assert_eq!(worst(&reports), Some(Cause::Refused));
        assert_eq!(worst(&[report(&[Cause::Lost, Cause::Input])]), Some(Cause::Input));
        let shown = reports[0].to_string();
        assert!(shown.contains("ok   name          fine\n"), "{shown}");
        assert!(shown.contains("FAIL x             why\n") && shown.contains("help: what"));
    }
}
