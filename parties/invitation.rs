//! How parties come together: a *round*, in which one party hosts and the others are guests, agrees
//! on a federation.toml that all sign.
//!
//! Every guest has a single-use code from the host, which travels by other means (a letter, a
//! call). The guest connects over TLS to exactly the certificate that the code names, and both prove
//! that they know the code's secret. Then both show three words made of both certificates, the
//! secret and a random number of each side; people compare them. A middleman who has read or forged
//! the code meets two different sets of words: the host is committed to its number before it sees
//! the guest's, so nobody can search for numbers that fit.
//!
//! Only then the guest says what it publishes, and the host what the federation is to be.

mod code;
mod guest;
mod host;
mod proof;

pub use code::Code;
pub use guest::{Guest, join};
pub use host::{Host, host};

use crate::draft::{Member, Part};
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Signature};
use crate::messages::Version;
use crate::roster::Signed;
use crate::say::printable;
use serde::{Deserialize, Serialize};

/// What comes after a round.
const NEXT: &str = "next: `senate serve` (a daemon that runs is restarted), then `senate doctor`";

/// The host's first message.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer {
    version: Version,
    /// To the number that the host reveals after it has seen the guest's.
    commitment: [u8; 32],
}

/// The guest's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claim {
    version: Version,
    /// Which code, without giving it away.
    code: [u8; 16],
    /// The guest's random number.
    nonce: [u8; 32],
    /// Of knowing the code.
    proof: [u8; 32],
}

/// What the host says to a claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Greeting {
    Welcome { nonce: [u8; 32], proof: [u8; 32] },
    Refused(Refusal),
}

/// Why a guest is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Refusal {
    /// No such code, or no knowledge of it.
    Unknown,
    /// The code has been used.
    Used,
    /// The code's time is over.
    Expired,
    /// The code is for a member, and this is another certificate; or for a newcomer, and this is a
    /// member's.
    Stranger,
    /// Another version of the program.
    Version(Version),
}

/// What a guest brings.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Submission {
    member: Member,
    parts: Vec<Part>,
}

/// What all are asked to sign.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Proposal {
    /// The whole federation.toml.
    File(String),
    /// There is none; the host's operator has declined, or the parts contradict each other.
    None,
}

/// A guest's word on a proposal.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Consent {
    Signed(Signature),
    Declined,
}

/// The signatures of all, in the file's order.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Completion(Vec<Signed>);

/// The guest has written its files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Written;

impl Refusal {
    fn failure(self) -> Failure {
        let again = "ask for a new code: senate invite";
        match self {
            Self::Unknown => Failure::refused("the inviting party does not know this code")
                .with_remedy("see that the code is whole and the newest one, or ask for another"),
            Self::Used => {
                Failure::refused("this code has been used; it counts once").with_remedy(again)
            }
            Self::Expired => Failure::refused("this code has expired").with_remedy(again),
            Self::Stranger => Failure::refused(
                "this code is for another party: a member's counts with the identity that \
                 federation.toml pins, a new party's with one that is not in it yet",
            )
            .with_remedy("use the code that was printed for this party, with its own identity"),
            Self::Version(version) => {
                Failure::refused(format!("the inviting party runs version {version} of senate"))
                    .with_remedy("install one version at all parties")
            }
        }
    }
}

/// What a script has been told beforehand: certificates that need no look at words.
///
/// # Errors
/// Refused when it was told something else.
fn expected(yes_if: &[String], peer: Fingerprint) -> Outcome<bool> {
    if yes_if.is_empty() {
        return Ok(false);
    }
    if yes_if.iter().any(|text| peer.is_spelled(text)) {
        return Ok(true);
    }
    Err(Failure::refused(format!("the other side is {peer}, which no --yes-if names"))
        .with_remedy("compare with what `senate init` printed there"))
}

/// A peer's text of several lines on a terminal: nothing in it moves the cursor.
fn harmless(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
