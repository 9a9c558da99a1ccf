//! What is left to do once all garbled tables are there: evaluation and every check.

use super::engine;
use super::federation::{and_gates, in_memory};
use super::limits::{self, Limits};
use crate::failure::{Failure, Outcome};
use futures_channel::mpsc;
use futures_util::{FutureExt, SinkExt, StreamExt};
use senate_circuit::{PartyId, PartySet, Source, Stage, StageId};
use senate_mpc::{ByParty, Frame, Kind, Link};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// AND gates of one stage: as many as may be garbled ahead of evaluation.
const STAGE_GATES: u64 = 1 << 17;
/// Frames of a link.
const LINK_FRAMES: usize = 64;
/// How long a relay waits for a frame before it gives up holding tables back.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks meanwhile.
const NAP: Duration = Duration::from_micros(50);

/// All parties on this machine. Every table is held back on its way until the last one has been
/// garbled; time counts from then until all checks have passed and the outputs are open.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Online {
    /// n.
    pub parties: usize,
    /// AND gates of all stages.
    pub and_gates: u64,
    /// From the last garbled table to the opened outputs.
    pub seconds: f64,
    /// AND gates per second of that.
    pub ands_per_second: f64,
    /// Everything, with set-up and preprocessing.
    pub seconds_in_all: f64,
    /// AES blocks that one core could compute in the online time of one AND gate.
    pub aes_blocks_per_and: f64,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// Measures `parties` parties on `stages` independent stages of 2^17 AND gates.
///
/// # Errors
/// Usage for sizes that make no sense, otherwise what the engine reports.
pub fn measure(parties: usize, stages: u32) -> Outcome<Online> {
    if !(2..=PartySet::MAX).contains(&parties) || stages == 0 {
        let usage = "bench online takes --parties 2..64 and --stages of at least 1";
        return Err(Failure::usage(usage));
    }
    let limits = limits::measure();
    let set = PartySet::first(parties);
    let one = and_gates(set, STAGE_GATES).ok_or_else(|| Failure::unexpected("no such circuit"))?;
    let wires = one.program.inputs.iter().map(|bundle| one.program.wires_of(bundle)).sum();
    let (mut plan, mut inputs) = (Vec::new(), BTreeMap::new());
    for at in 0..stages {
        let slot = at as usize;
        let own = |source: &Source| match source {
            Source::Owner { party, .. } => Source::Owner { party: *party, slot },
            child @ Source::Child { .. } => *child,
        };
        let stage =
            Stage { id: StageId(at), inputs: one.inputs.iter().map(own).collect(), ..one.clone() };
        plan.push(stage);
        inputs.insert(slot, engine::some_bits(wires));
    }
    // As in a daemon that has run a query before: memory and threads are there.
    held(set, one.evaluator, &plan, &inputs)?;
    let (ran, released) = held(set, one.evaluator, &plan, &inputs)?;
    let and_gates = STAGE_GATES * u64::from(stages);
    let seconds = ran.end.saturating_duration_since(released).as_secs_f64();
    Ok(Online {
        parties,
        and_gates,
        seconds,
        ands_per_second: and_gates as f64 / seconds,
        seconds_in_all: ran.seconds,
        aes_blocks_per_and: limits.aes_blocks_per_second * seconds / and_gates as f64,
        limits,
    })
}

/// Runs the plan with all tables held back; also when they were released.
fn held(
    set: PartySet,
    evaluator: PartyId,
    plan: &[Stage],
    inputs: &BTreeMap<usize, senate_circuit::Bits>,
) -> Outcome<(engine::Ran, Instant)> {
    let mut links = in_memory(set);
    let garblers = set.without(evaluator);
    let gates: u64 = plan.iter().map(|stage| stage.program.ands()).sum();
    let rows = 3 * set.len() as u64 - 4;
    let complete = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut relays = Vec::new();
        for garbler in garblers.iter() {
            let Some(outgoing) = outgoing(&mut links, garbler, evaluator) else { continue };
            let (sender, frames) = mpsc::channel(LINK_FRAMES);
            let onward = std::mem::replace(outgoing, sender);
            let all = (&complete, garblers.len());
            let bytes = gates * rows * 16;
            relays.push(scope.spawn(move || relay(frames, onward, bytes, all)));
        }
        let ran = engine::run_with(links, plan, inputs)?;
        let (mut released, mut missed) = (None, false);
        for relay in relays {
            let at = relay.join().map_err(|_| Failure::unexpected("a relay's thread panicked"))?;
            released = released.max(at);
            missed |= at.is_none();
        }
        let missing = "the engine garbles fewer gates ahead than this figure needs";
        let released = released.filter(|_| !missed);
        Ok((ran, released.ok_or_else(|| Failure::unexpected(missing))?))
    })
}

/// The sending end of one link.
fn outgoing(
    links: &mut ByParty<ByParty<Link>>,
    from: PartyId,
    to: PartyId,
) -> Option<&mut mpsc::Sender<Frame>> {
    links.at_mut(from)?.at_mut(to).map(|link| &mut link.outgoing)
}

/// Passes frames on, tables only when `bytes` of them have come here and at every other relay, and
/// says when that was; `None` when nothing came for a long time, because the garbler may not run
/// ahead so far.
fn relay(
    mut frames: mpsc::Receiver<Frame>,
    mut onward: mpsc::Sender<Frame>,
    bytes: u64,
    (complete, relays): (&AtomicUsize, usize),
) -> Option<Instant> {
    let (mut tables, mut seen, mut idle) = (Vec::new(), 0, Instant::now());
    while complete.load(Ordering::Acquire) < relays && idle.elapsed() < PATIENCE {
        match frames.next().now_or_never() {
            None => std::thread::sleep(NAP),
            Some(None) => return None,
            Some(Some(frame)) if frame.kind == Kind::Table => {
                idle = Instant::now();
                seen += frame.payload.len() as u64;
                tables.push(frame);
                if seen == bytes {
                    complete.fetch_add(1, Ordering::AcqRel);
                }
            }
            Some(Some(frame)) => {
                idle = Instant::now();
                // A receiver that is gone ends the run at both ends.
                futures_executor::block_on(onward.send(frame)).ok()?;
            }
        }
    }
    let released = (complete.load(Ordering::Acquire) == relays).then(Instant::now);
    futures_executor::block_on(async {
        for table in tables {
            onward.send(table).await.ok()?;
        }
        while let Some(frame) = frames.next().await {
            onward.send(frame).await.ok()?;
        }
        Some(())
    });
    released
}
