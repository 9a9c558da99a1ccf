//! Stages as data: what the planner hands to the protocol.

use crate::{PartyId, PartySet, Program};

/// A stage of a plan; stages are numbered so that children come before their parent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StageId(pub u32);

/// Where the bits of one input bundle come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// `party` holds the bits in the clear; `slot` names its local task in the plan.
    Owner {
        /// The owner, a member of the stage.
        party: PartyId,
        /// Index of the local task whose encoded result is this bundle.
        slot: usize,
    },
    /// Output bundle `bundle` of an earlier stage whose parties are a subset of this stage's.
    Child {
        /// The earlier stage.
        stage: StageId,
        /// Index into that stage's `program.outputs`.
        bundle: usize,
    },
}

/// An output bundle that is opened to some members of the stage at the end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reveal {
    /// Index into `program.outputs`.
    pub bundle: usize,
    /// Who learns it: a non-empty subset of the stage's parties.
    pub recipients: PartySet,
}

/// An output bundle (one plane, one lane) that is opened to the whole stage and must be 1: the
/// conjunction of the range checks of everything that entered the stage (protocol.md §8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct VerBit {
    /// Index into `program.outputs`.
    pub bundle: usize,
}

/// How the AND gates of a stage are computed. What a stage takes and gives is the same for both
/// (PROTOCOL.md §9), so a plan may mix them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Backend {
    /// Authenticated garbling: tables, and a number of rounds that does not depend on the circuit.
    #[default]
    Garbled,
    /// A round per layer of AND gates: a bit per gate from everybody to everybody, no tables.
    Interactive,
}

impl Backend {
    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Garbled => "garbled",
            Self::Interactive => "interactive",
        }
    }
}

/// One circuit, run by one set of parties.
///
/// Every output bundle is at most one of: the input of exactly one parent stage, a [`VerBit`], or
/// a [`Reveal`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stage {
    /// Position in the plan.
    pub id: StageId,
    /// S, at least two parties.
    pub parties: PartySet,
    /// How it is run.
    pub backend: Backend,
    /// e ∈ S; everybody else garbles. All members of an interactive stage do the same.
    pub evaluator: PartyId,
    /// The circuit.
    pub program: Program,
    /// One source per input bundle of `program`.
    pub inputs: Vec<Source>,
    /// Range checks that must open to 1 before any output.
    pub ver: Vec<VerBit>,
    /// What is opened, and to whom.
    pub reveals: Vec<Reveal>,
}
