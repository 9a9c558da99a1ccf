//! Running one stage (PROTOCOL.md §6): inputs and soldering, then chunk after chunk authentication,
//! garbling, evaluation and its checks, or (§9) a round per layer. A [`FinishedStage`] exists only when every check passed.

mod authenticate;
mod chunks;
mod evaluator;
mod execution;
mod garbler;
mod host;
#[cfg(any(test, feature = "sim"))]
pub mod ideal;
mod interactive;
mod multiply;
mod run;
mod wires;

pub(crate) use chunks::Lanes;
pub use chunks::window_gates;
pub use execution::{Execution, Host, execute};
pub use host::{SessionHost, need_of, provisions_of};
pub(crate) use run::Run;
pub use run::StageContext;
pub use wires::Wires;
pub(crate) use wires::{Labels, fresh_labels};

use crate::error::Error;
use crate::input;
use crate::mesh::Kind;
use crate::open::Openings;
use crate::pre::Preprocessing;
use crate::solder;
use chunks::Layout;
use senate_circuit::{Backend, Bits, PartyId, PartySet, Source, Stage, StageId};
use std::collections::BTreeMap;

/// An output bundle of an earlier stage that enters this one.
#[derive(Debug)]
pub struct Child {
    /// C: the earlier stage's parties, a subset of this stage's.
    pub parties: PartySet,
    /// How the earlier stage was run.
    pub backend: Backend,
    /// The earlier stage's evaluator, if it was garbled.
    pub evaluator: PartyId,
    /// The wires; `None` exactly for a party outside C.
    pub wires: Option<Wires>,
}

/// A stage all of whose checks have passed at this party: inputs' openings and echoes, soldering's
/// echoes and MACs, and triple openings with label hashes (garbler) or the gate check (evaluator), or the
/// MACs of all layers (interactive).
#[derive(Debug)]
pub struct FinishedStage {
    context: StageContext,
    stage: StageId,
    outputs: Vec<Wires>,
}

impl FinishedStage {
    /// Which stage.
    pub fn stage(&self) -> StageId {
        self.stage
    }

    /// Payload bytes this party has sent for the stage so far, preprocessing not included.
    pub fn bytes_sent(&self) -> u64 {
        self.context.channel.bytes_sent()
    }

    /// Takes an output bundle out, for its one parent stage; `None` when it does not exist.
    pub fn carry(&mut self, bundle: usize) -> Option<Wires> {
        self.outputs.get_mut(bundle).map(std::mem::take)
    }

    pub(crate) fn context(&self) -> &StageContext {
        &self.context
    }

    pub(crate) fn output(&self, bundle: usize) -> Result<&Wires, Error> {
        self.outputs.get(bundle).ok_or(Error::Misuse("a stage reveals a bundle it does not have"))
    }
}

/// Runs `stage` at this party. `own` holds this party's clear inputs by slot, `children` what
/// enters from earlier stages, by input bundle. All parties of the stage learn Λ of every wire
/// (garbled) or its factors under triples (interactive), which is uniform; nobody learns anything else.
///
/// # Errors
/// [`Error::Misuse`] when stage, inputs and children do not fit; otherwise the fault that the
/// failing check names, or the loss of a peer.
pub async fn run_stage<P: Preprocessing>(
    context: &StageContext,
    stage: &Stage,
    pre: &mut P,
    own: &BTreeMap<usize, Bits>,
    children: BTreeMap<usize, Child>,
) -> Result<FinishedStage, Error> {
    let run = Run::new(context, stage)?;
    let layout = Layout::new(&stage.program, stage.parties.len());
    let bytes_ahead = match stage.backend {
        Backend::Garbled => layout.bytes_ahead(stage.parties),
        Backend::Interactive => interactive::bytes_ahead(&layout),
    };
    let _room = run.channel.reserve(bytes_ahead);
    let mut entered = input::enter(&run, pre, own).await?;
    let (soldered, solder_macs) = solder::cross(&run, pre, children).await?;
    entered.extend(soldered);
    let inputs = in_order(stage, entered)?;
    let mut openings = Openings::new(run.member.clone(), run.domain, "triples");
    let outputs = match stage.backend {
        Backend::Interactive => interactive::run(&run, &layout, inputs, pre).await?,
        Backend::Garbled if run.is_evaluator() => {
            evaluator::run(&run, &layout, inputs, pre, &mut openings).await?
        }
        Backend::Garbled => garbler::run(&run, &layout, inputs, pre, &mut openings).await?,
    };
    openings.check(&run.channel, Kind::BeaverMacs).await?;
    solder_macs.check(&run).await?;
    Ok(FinishedStage { context: context.clone(), stage: stage.id, outputs })
}

/// One value per input bundle, in the program's order, each of the right number of wires.
fn in_order(stage: &Stage, mut entered: BTreeMap<usize, Wires>) -> Result<Vec<Wires>, Error> {
    let bundles = stage.program.inputs.iter().enumerate();
    let wires = bundles.map(|(at, bundle)| {
        let wires = entered.remove(&at).ok_or(Error::Misuse("an input bundle has no source"))?;
        match wires.len() == stage.program.wires_of(bundle) {
            true => Ok(wires),
            false => Err(Error::Misuse("an input bundle has another number of wires")),
        }
    });
    wires.collect()
}

/// Input bundles that come from earlier stages: bundle, stage, output bundle there.
pub(crate) fn child_sources(stage: &Stage) -> impl Iterator<Item = (usize, StageId, usize)> {
    stage.inputs.iter().enumerate().filter_map(|(at, source)| match source {
        Source::Child { stage, bundle } => Some((at, *stage, *bundle)),
        Source::Owner { .. } => None,
    })
}

#[cfg(test)]
mod tests;
