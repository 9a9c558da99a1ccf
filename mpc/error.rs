//! Errors by blame. Peers only ever see an [`AbortClass`]; the typed reason stays local.

use crate::mesh::Kind;
use senate_circuit::PartyId;

/// Why a session ended at this party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A check failed: somebody deviated from the protocol.
    #[error("{}: {fault}{}", fault.step(), blame(*.party))]
    Cheating {
        /// Whom the check convicts, when it convicts one party.
        party: Option<PartyId>,
        /// The check that failed.
        fault: Fault,
    },
    /// The link to a peer closed or its deadline passed.
    #[error("lost contact with {party}")]
    Lost {
        /// The peer.
        party: PartyId,
    },
    /// A peer ended the session.
    #[error("{by} aborted: {class}")]
    Aborted {
        /// The peer.
        by: PartyId,
        /// What it told everybody.
        class: AbortClass,
    },
    /// The caller broke this crate's contract (a bug on this side, never a peer's doing).
    #[error("misuse of the protocol engine: {0}")]
    Misuse(&'static str),
}

fn blame(party: Option<PartyId>) -> String {
    party.map_or_else(String::new, |party| format!(" (by {party})"))
}

impl Error {
    /// `fault`, committed by `party`.
    pub fn by(party: PartyId, fault: Fault) -> Self {
        Self::Cheating { party: Some(party), fault }
    }

    /// `fault`, committed by somebody.
    pub fn unattributed(fault: Fault) -> Self {
        Self::Cheating { party: None, fault }
    }

    /// What peers are told.
    pub fn class(&self) -> AbortClass {
        match self {
            Self::Cheating { .. } => AbortClass::CheckFailed,
            Self::Lost { .. } => AbortClass::Lost,
            Self::Aborted { class, .. } => *class,
            Self::Misuse(_) => AbortClass::Refused,
        }
    }
}

/// The public reason of an abort (PROTOCOL.md §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortClass {
    /// A peer was lost.
    Lost,
    /// Policy, input or agreement refused before the joint part.
    Refused,
    /// A check failed.
    CheckFailed,
}

impl AbortClass {
    /// The byte in an ABORT message.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Lost => 1,
            Self::Refused => 2,
            Self::CheckFailed => 3,
        }
    }

    /// Reads an ABORT message; anything unknown counts as a failed check.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Lost,
            2 => Self::Refused,
            _ => Self::CheckFailed,
        }
    }
}

impl std::fmt::Display for AbortClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lost => "a party was lost",
            Self::Refused => "refused",
            Self::CheckFailed => "a check failed",
        })
    }
}

/// Phase of the protocol in which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Session identifiers, seeds, coins, binding.
    Session,
    /// Base OT, trees, extension.
    Cot,
    /// Δ consistency.
    DeltaCheck,
    /// Authenticated share batches.
    Shares,
    /// Leaky AND.
    LeakyAnd,
    /// The masked zero test.
    ZeroTest,
    /// Bucketing.
    Bucketing,
    /// Beaver openings.
    Beaver,
    /// Tables.
    Garbling,
    /// Inputs.
    Input,
    /// Evaluation and its checks.
    Evaluation,
    /// Stage boundaries.
    Solder,
    /// Rounds of the interactive backend.
    Interactive,
    /// Range checks.
    Ver,
    /// Outputs.
    Output,
    /// Abort and completion.
    Control,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Session => "session set-up",
            Self::Cot => "oblivious transfer",
            Self::DeltaCheck => "key consistency check",
            Self::Shares => "authenticated shares",
            Self::LeakyAnd => "leaky AND",
            Self::ZeroTest => "zero test",
            Self::Bucketing => "bucketing",
            Self::Beaver => "triple openings",
            Self::Garbling => "garbling",
            Self::Input => "inputs",
            Self::Evaluation => "evaluation",
            Self::Solder => "soldering",
            Self::Interactive => "interactive evaluation",
            Self::Ver => "range check",
            Self::Output => "outputs",
            Self::Control => "control",
        })
    }
}

/// The checks of the protocol: one variant per check, so that a test can name the one that caught
/// a cheater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// A message of the wrong size, or whose encoding is not canonical.
    #[error("malformed message {0:?}")]
    Malformed(Kind),
    /// A peer sent more than any honest party would.
    #[error("more messages than the protocol allows")]
    Flood,
    /// An echoed hash differs: somebody told two parties different things.
    #[error("parties were told different things")]
    Echo(Step),
    /// The parties do not agree on query, plan, circuits, catalog or policies.
    #[error("parties do not agree on what is computed")]
    Binding,
    /// A group element is not a valid encoding, or is the identity.
    #[error("invalid group element")]
    BasePoint,
    /// A punctured tree is inconsistent.
    #[error("inconsistent punctured tree")]
    Pprf,
    /// An extension's corrections are inconsistent.
    #[error("inconsistent oblivious transfer extension")]
    CotConsistency,
    /// Somebody used different keys toward different parties.
    #[error("inconsistent global key")]
    DeltaConsistency,
    /// A commitment was not opened to what was committed.
    #[error("commitment opened wrongly")]
    Commitment(Step),
    /// A MAC check of an opening failed.
    #[error("opened value fails its MAC check")]
    OpenMac(Step),
    /// A triple is wrong.
    #[error("wrong multiplication triple")]
    ZeroTest,
    /// The evaluator's masked values do not match the labels.
    #[error("evaluator's values do not match the labels")]
    LabelHash,
    /// The garblers' tables are wrong.
    #[error("evaluated gates fail their check")]
    GateCheck,
    /// A range check opened to 0: a child stage or an owner supplied an impossible value.
    #[error("an intermediate result is outside its declared range")]
    Ver,
}

impl Fault {
    /// The phase this check belongs to.
    pub fn step(self) -> Step {
        match self {
            Self::Malformed(kind) => kind.step(),
            Self::Flood => Step::Control,
            Self::Echo(step) | Self::Commitment(step) | Self::OpenMac(step) => step,
            Self::Binding => Step::Session,
            Self::BasePoint | Self::Pprf | Self::CotConsistency => Step::Cot,
            Self::DeltaConsistency => Step::DeltaCheck,
            Self::ZeroTest => Step::ZeroTest,
            Self::LabelHash | Self::GateCheck => Step::Evaluation,
            Self::Ver => Step::Ver,
        }
    }
}
