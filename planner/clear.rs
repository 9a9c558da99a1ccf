//! All stages evaluated in the clear: the oracle that the protocol and the plaintext reference are
//! compared with. Needs every party's data in one place, so no command uses it.

use senate_circuit::{Bits, BuildError, Reveal, Source, Stage, StageId};
use std::collections::BTreeMap;

/// What the stages would open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Whether every Ver bit of every stage is 1.
    pub accepted: bool,
    /// The root stage's reveals, in order.
    pub revealed: Vec<(Reveal, Bits)>,
}

/// Why an evaluation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClearError {
    /// No bits were given for a local task.
    #[error("no input for local task {0}")]
    MissingInput(usize),
    /// A stage reads a bundle that no earlier stage made.
    #[error("stage {0:?} has no such output")]
    MissingStage(StageId),
    /// Bits that do not fit the circuit.
    #[error("circuit: {0}")]
    Circuit(#[from] BuildError),
}

/// Evaluates all stages on the owners' input bundles, by local task.
///
/// # Errors
/// [`ClearError`] when inputs are missing or have the wrong size.
pub fn run(stages: &[Stage], inputs: &BTreeMap<usize, Bits>) -> Result<Opened, ClearError> {
    let mut outputs: BTreeMap<StageId, Vec<Bits>> = BTreeMap::new();
    let mut opened = Opened { accepted: true, revealed: Vec::new() };
    for stage in stages {
        let bundles = stage.inputs.iter().map(|source| match source {
            Source::Owner { slot, .. } => {
                inputs.get(slot).cloned().ok_or(ClearError::MissingInput(*slot))
            }
            Source::Child { stage, bundle } => {
                let made = outputs.get(stage).and_then(|made| made.get(*bundle));
                made.cloned().ok_or(ClearError::MissingStage(*stage))
            }
        });
        let bundles = bundles.collect::<Result<Vec<_>, _>>()?;
        let made = stage.program.evaluate(&bundles)?;
        for ver in &stage.ver {
            opened.accepted &= made.get(ver.bundle).is_some_and(|bit| bit.bit(0));
        }
        for reveal in &stage.reveals {
            let bits = made.get(reveal.bundle).cloned();
            let bits = bits.ok_or(ClearError::MissingStage(stage.id))?;
            opened.revealed.push((reveal.clone(), bits));
        }
        outputs.insert(stage.id, made);
    }
    Ok(opened)
}
