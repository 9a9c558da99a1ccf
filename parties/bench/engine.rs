//! The engine alone on given stages: timed, and its answer compared with the clear evaluation.

use super::federation::{Run, Tuning, in_memory, run_over};
use super::usage;
use crate::failure::{Failure, Outcome};
use senate_circuit::{Bits, PartyId, PartySet, Source, Stage};
use senate_mpc::{ByParty, Link};
use senate_planner::clear;
use std::collections::BTreeMap;
use std::time::Instant;

/// One run of all parties on this machine, links in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ran {
    /// Wall time of everything, session set-up included.
    pub(super) seconds: f64,
    /// Processor time of all parties.
    pub(super) cpu_seconds: f64,
    /// Payload bytes of the party that sent most.
    pub(super) bytes_sent: u64,
    /// When it was over.
    pub(super) end: Instant,
}

/// Runs `stages`, the root last, on these inputs by slot.
///
/// # Errors
/// What the engine reports; unexpected when the answer is wrong.
pub(super) fn run(stages: &[Stage], inputs: &BTreeMap<usize, Bits>) -> Outcome<Ran> {
    run_with(in_memory(parties_of(stages)), stages, inputs)
}

/// As [`run`], twice: the second time memory and threads are there, as in a daemon that has run a
/// query before. Returns the second run, and the wall time of the first.
///
/// # Errors
/// As [`run`].
pub(super) fn run_warm(
    stages: &[Stage],
    inputs: &BTreeMap<usize, Bits>,
    tuning: Tuning,
) -> Outcome<(Ran, f64)> {
    let run = || run_tuned(in_memory(parties_of(stages)), stages, inputs, tuning);
    let first = run()?;
    Ok((run()?, first.seconds))
}

fn parties_of(stages: &[Stage]) -> PartySet {
    stages.iter().fold(PartySet::EMPTY, |set, stage| set.union(stage.parties))
}

/// As [`run`], over these links.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with(
    links: ByParty<ByParty<Link>>,
    stages: &[Stage],
    inputs: &BTreeMap<usize, Bits>,
) -> Outcome<Ran> {
    run_tuned(links, stages, inputs, Tuning::default())
}

fn run_tuned(
    links: ByParty<ByParty<Link>>,
    stages: &[Stage],
    inputs: &BTreeMap<usize, Bits>,
    tuning: Tuning,
) -> Outcome<Ran> {
    let expected = clear::run(stages, inputs);
    let expected = expected.map_err(|error| Failure::unexpected(error.to_string()))?;
    let own = |party| own(stages, inputs, party);
    let (cpu, start) = (usage::cpu_seconds(), Instant::now());
    let runs = run_over(links, stages, tuning, &own);
    let end = Instant::now();
    let runs = runs.map_err(|error| Failure::unexpected(error.to_string()))?;
    let opened =
        stages.iter().flat_map(|stage| stage.reveals.iter().map(|reveal| (stage.id, reveal)));
    for ((id, reveal), (_, bits)) in opened.zip(&expected.revealed) {
        for recipient in reveal.recipients.iter() {
            let learnt = runs.at(recipient).and_then(|run| run.outputs.get(&(id, reveal.bundle)));
            if learnt != Some(bits) {
                let what = "the engine's answer differs from the clear evaluation";
                return Err(Failure::unexpected(what));
            }
        }
    }
    Ok(Ran {
        seconds: (end - start).as_secs_f64(),
        cpu_seconds: usage::cpu_seconds() - cpu,
        bytes_sent: runs.values().iter().map(Run::all_bytes_sent).max().unwrap_or(0),
        end,
    })
}

fn own(stages: &[Stage], inputs: &BTreeMap<usize, Bits>, party: PartyId) -> BTreeMap<usize, Bits> {
    let sources = stages.iter().flat_map(|stage| &stage.inputs);
    let slots = sources.filter_map(|source| match source {
        Source::Owner { party: owner, slot } if *owner == party => Some(*slot),
        _ => None,
    });
    slots.filter_map(|slot| inputs.get(&slot).map(|bits| (slot, bits.clone()))).collect()
}

/// Input bits of `len` with no pattern that folding could know.
pub(super) fn some_bits(len: usize) -> Bits {
    (0..len as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1).collect()
}
