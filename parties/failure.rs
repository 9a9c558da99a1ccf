//! What went wrong, in the user's terms: one clear line, a remedy, and an exit code by cause.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a command ended without a result; each cause has one exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A bug, or a machine that does not cooperate (1).
    Unexpected,
    /// A usage or SQL error (2).
    Usage,
    /// SQL outside the supported set (2).
    Unsupported,
    /// A party's policy or approval refused (3).
    Refused,
    /// A peer is unreachable, died, or took too long (4).
    Lost,
    /// A party misbehaved, or a check failed (5).
    Aborted,
    /// A party's data violates the declared schema or capacity (6).
    Input,
    /// Interrupted by the user (130).
    Interrupted,
}

impl Cause {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage | Self::Unsupported => 2,
            Self::Refused => 3,
            Self::Lost => 4,
            Self::Aborted => 5,
            Self::Input => 6,
            Self::Interrupted => 130,
        }
    }
}

/// An error as it is shown to the user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Decides the exit code.
    pub cause: Cause,
    /// One line: what, where (party, phase, column) and why.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Whose loss it was, where one party is gone.
    pub lost: Option<String>,
}

/// What the functions of this crate return.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure of this cause.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), remedy: None, lost: None }
    }

    /// A bug or an uncooperative machine.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Cause::Unexpected, message)
    }

    /// A usage or SQL error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Cause::Usage, message)
    }

    /// A violated schema or capacity.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Cause::Input, message)
    }

    /// An unreachable, dead or silent peer.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::new(Cause::Lost, message)
    }

    /// The loss of one party, in a message that names it.
    pub fn lost_party(party: &str, message: impl Into<String>) -> Self {
        Self { lost: Some(party.to_owned()), ..Self::lost(message) }
    }

    /// A refusal.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Cause::Refused, message)
    }

    /// A failed check.
    pub fn aborted(message: impl Into<String>) -> Self {
        Self::new(Cause::Aborted, message)
    }

    /// Several parties' reasons for one outcome, as one failure of the first one's cause: what others say
    /// for the same cause follows it.
    pub(crate) fn together(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let first = failures.next()?;
        let cause = first.cause;
        let also = failures.filter(|failure| failure.cause == cause);
        Some(also.fold(first, |mut all, other| {
            all.message = format!("{}; {}", all.message, other.message);
            match (&mut all.remedy, other.remedy) {
                (Some(remedy), Some(other)) if *remedy != other => {
                    *remedy = format!("{remedy}; {other}");
                }
                (remedy @ None, other) => *remedy = other,
                _ => {}
            }
            all
        }))
    }

    /// With a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Prefixes the message with where it happened.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever a nested error printed.
        let line: Vec<&str> = self.message.split_whitespace().collect();
        f.write_str(&line.join(" "))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_the_exit_code_of_the_interface() {
        let codes = [
            Cause::Unexpected,
            Cause::Usage,
            Cause::Unsupported,
            Cause::Refused,
            Cause::Lost,
            Cause::Aborted,
            Cause::Input,
            Cause::Interrupted,
        ]
        .map(Cause::exit_code);
        assert_eq!(codes, [1, 2, 2, 3, 4, 5, 6, 130]);
    }

    #[test]
    fn a_failure_prints_as_one_line() {
        let failure = Failure::input("row 3:\n  bad").at("party a");
        assert_eq!(failure.to_string(), "party a: row 3: bad");
    }
}
