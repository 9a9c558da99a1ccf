//! Whole stages and trees of stages in the simulator, with ideal preprocessing.

mod agreement;
mod ahead;
mod attacks;
mod interactive;
mod misuse;
mod plans;
mod release;
mod soldering;
mod tampering;

use super::execute;
use super::ideal::IdealHost;
use crate::error::Error;
use crate::pre::ideal::Dealer;
use crate::release::Outputs;
use crate::sim::{Federation, Tamper};
use senate_circuit::{Bits, PartyId, Source, Stage, StageId};
use std::collections::BTreeMap;

/// Everybody's clear inputs by slot; slots are numbered through the whole plan.
type Inputs = BTreeMap<usize, Bits>;

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// Runs `plan` among `n` parties, each with the inputs it owns.
fn run(
    n: usize,
    plan: &[Stage],
    inputs: &Inputs,
    tamper: &mut dyn Tamper,
) -> Vec<Result<Outputs, Error>> {
    Federation::new(n, 11).run_tampered(tamper, |mesh, entropy| async move {
        let me = mesh.me();
        let host = IdealHost::open(mesh, entropy, Dealer::new(4)).await?;
        let own = own_inputs(plan, inputs, me);
        execute(&host, plan, &own).await
    })
}

/// What `me` owns of `inputs`.
fn own_inputs(plan: &[Stage], inputs: &Inputs, me: PartyId) -> Inputs {
    let sources = plan.iter().flat_map(|stage| &stage.inputs);
    let own = sources.filter_map(|source| match source {
        Source::Owner { party, slot } if *party == me => Some((*slot, inputs[slot].clone())),
        _ => None,
    });
    own.collect()
}

/// Every revealed bundle in the clear.
fn reference(plan: &[Stage], inputs: &Inputs) -> Outputs {
    let mut results: BTreeMap<StageId, Vec<Bits>> = BTreeMap::new();
    let mut revealed = Outputs::new();
    for stage in plan {
        let sources = stage.inputs.iter().map(|source| match source {
            Source::Owner { slot, .. } => inputs[slot].clone(),
            Source::Child { stage, bundle } => results[stage][*bundle].clone(),
        });
        let outputs = stage.program.evaluate(&sources.collect::<Vec<_>>()).unwrap();
        for reveal in &stage.reveals {
            revealed.insert((stage.id, reveal.bundle), outputs[reveal.bundle].clone());
        }
        results.insert(stage.id, outputs);
    }
    revealed
}

/// Runs honestly and compares with the clear evaluation at every recipient.
fn agrees(n: usize, plan: &[Stage], inputs: &Inputs) {
    let expected = reference(plan, inputs);
    let results = run(n, plan, inputs, &mut crate::sim::Honest);
    for (index, result) in results.into_iter().enumerate() {
        let reveals = plan.iter().flat_map(|stage| {
            let mine = stage.reveals.iter().filter(|r| r.recipients.contains(party(index)));
            mine.map(|reveal| (stage.id, reveal.bundle))
        });
        let mine: Outputs = reveals.map(|key| (key, expected[&key].clone())).collect();
        assert_eq!(result.unwrap(), mine, "party {index} of {n}");
    }
}
