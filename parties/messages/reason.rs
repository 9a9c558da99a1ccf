//! Why a party refuses, in words that tell others nothing of its rows.

use super::{VERSION, short};
use crate::catalog::Discord;
use crate::failure::{Cause, Failure};
use serde::{Deserialize, Serialize};

/// Why a party refuses, as far as others may know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum PublicReason {
    /// Its policy forbids the query.
    Policy,
    /// Its policy is another than the announcing party says.
    Policies,
    /// Nobody there has approved the query, which waits there under this identifier.
    Unapproved(Approval),
    /// Its operator has denied the query.
    Denied,
    /// Others have asked as much as its policy allows.
    Budget,
    /// It planned something else.
    Plan,
    /// It has another federation.toml, of this digest.
    Federation([u8; 32]),
    /// It runs another version.
    Version(Version),
    /// What the asking party runs, or some participant has published, contradicts itself.
    Catalog(Discord),
    /// Its rows violate the declared schema or capacity.
    Input,
    /// The query needs more than it lets one query use.
    Limits,
    /// Too many queries run or wait there.
    Busy,
    /// It is shutting down, or something failed there.
    Internal,
}

impl From<&Failure> for PublicReason {
    fn from(failure: &Failure) -> Self {
        match failure.cause {
            Cause::Input => Self::Input,
            Cause::Refused => Self::Policy,
            Cause::Usage | Cause::Unsupported => Self::Plan,
            _ => Self::Internal,
        }
    }
}

impl PublicReason {
    /// The failure that a refusal by `party` is to the one who asked.
    pub(crate) fn failure(self, party: &str) -> Failure {
        match self {
            Self::Policy => Failure::refused(format!("party {party}: refused by its policy"))
                .with_remedy("see what `senate explain` says about its policy"),
            Self::Policies => {
                Failure::refused(format!("party {party}: its policy has just changed"))
                    .with_remedy("ask again")
            }
            Self::Unapproved(id) => Failure::refused(format!(
                "party {party}: nobody there has approved this query, which is {id} in its inbox"
            ))
            .with_remedy(format!("ask its operator to run `senate approve {id}`, then ask again")),
            Self::Denied => {
                Failure::refused(format!("party {party}: its operator denied this query"))
                    .with_remedy("ask its operator why")
            }
            Self::Budget => Failure::refused(format!(
                "party {party}: its policy allows no more queries now, or its approval is used up"
            ))
            .with_remedy("ask again later, or ask its operator"),
            Self::Plan => Failure::refused(format!("party {party}: plans the query differently"))
                .with_remedy("its daemon's log says why"),
            Self::Federation(digest) => Failure::refused(format!(
                "party {party}: has another federation.toml (its digest is {})",
                short(&digest)
            ))
            .with_remedy(
                "bring one federation.toml to all parties (with federation.sig, if its members sign \
                 it: senate invite --members) and restart their daemons",
            ),
            Self::Version(version) => Failure::refused(format!(
                "party {party}: runs version {version} of senate instead of {VERSION}"
            ))
            .with_remedy("install one version at all parties"),
            Self::Catalog(discord) => {
                let whose = match discord {
                    Discord::Faulty => "among the participants",
                    _ => "that asks",
                };
                discord.failure(whose).at(format!("party {party}: refuses"))
            }
            Self::Input => Failure::input(format!("party {party}: input refused")).with_remedy(
                "its operator's log says whether a row violates the declared schema or a \
                     computation fails for a value",
            ),
            Self::Limits => Failure::refused(format!(
                "party {party}: the query needs more than its limits allow"
            ))
            .with_remedy("ask for less, or ask its operator to raise [limits] in party.toml"),
            Self::Busy => Failure::lost(format!("party {party}: too many queries wait there"))
                .with_remedy("ask again later"),
            Self::Internal => Failure::lost(format!("party {party}: cannot take part now"))
                .with_remedy("try again, or ask its operator"),
        }
    }
}

/// Identifier of a query in a party's inbox, as that party tells it: hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Approval([u8; 16]);

impl Approval {
    /// From its text.
    pub(crate) fn new(id: &str) -> Self {
        let mut bytes = [b'0'; 16];
        bytes.iter_mut().zip(id.bytes()).for_each(|(byte, digit)| *byte = digit);
        Self(bytes)
    }
}

impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.iter().filter(|byte| byte.is_ascii_hexdigit());
        shown.map(|byte| char::from(*byte)).try_for_each(|digit| write!(f, "{digit}"))
    }
}

/// A version as a peer tells it: no longer than a version is, and printable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Version([u8; 12]);

impl Version {
    /// The version of this binary.
    pub(crate) fn own() -> Self {
        let mut bytes = [b' '; 12];
        bytes.iter_mut().zip(VERSION.bytes()).for_each(|(byte, own)| *byte = own);
        Self(bytes)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.iter().filter(|byte| byte.is_ascii_graphic());
        shown.map(|byte| char::from(*byte)).try_for_each(|byte| write!(f, "{byte}"))
    }
}
