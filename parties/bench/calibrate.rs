//! The prices of planner/cost.rs, measured on this machine and engine.

use super::engine;
use super::federation::{Tuning, and_gates, each, layered, open};
use super::limits::{self, Limits};
use super::preprocessing;
use crate::failure::{Failure, Outcome};
use senate_circuit::{Backend, PartySet, Source, Stage, StageId};
use senate_mpc::Error;
use senate_planner::cost::{Price, bucket_size, prices};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// Stages that follow each other, for the price of one.
const STAGES: u32 = 17;
/// AND gates of each of them: as good as none.
const STAGE_GATES: u64 = 1;
/// AND gates of the circuits that are run in both ways, for the prices of layers and of tables.
const LAYERED_GATES: u64 = 1 << 17;
/// Lanes of their layers: few layers, and many.
const WIDTHS: [u32; 2] = [1 << 12, 1 << 7];

/// What this machine takes, all parties on it.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// The constants that plans are priced with.
    pub constants: Vec<Price>,
    /// The same, from the runs below: put them into planner/cost.rs.
    pub measured: Vec<Price>,
    /// By number of parties.
    pub runs: Vec<Run>,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// One number of parties.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// n.
    pub parties: usize,
    /// Opening and binding a session.
    pub set_up_seconds: f64,
    /// Preprocessing, garbling and evaluating the gates.
    pub gates_seconds: f64,
    /// Computation per AND gate and member of this machine, leaky triples and tables apart.
    pub nanos_per_and: f64,
    /// Computation per leaky triple, peer and member of this machine.
    pub nanos_per_leaky_and_peer: f64,
    /// Computation of set-up per peer and member of this machine.
    pub set_up_nanos_per_peer: f64,
    /// What a stage takes beside its gates.
    pub stage_seconds: f64,
    /// Computation per layer of an interactive stage, other member and member of this machine.
    pub nanos_per_layer_and_peer: f64,
    /// What a garbled gate takes more than an interactive one, per block of its table and member of this
    /// machine.
    pub nanos_per_table_block: f64,
}

/// Measures 2, 3 and 4 parties on circuits of `gates` AND gates.
///
/// # Errors
/// Usage for no gates, otherwise what the engine reports.
pub fn measure(gates: u64) -> Outcome<Calibration> {
    if gates == 0 {
        return Err(Failure::usage("bench calibrate takes --ands of at least 1"));
    }
    let limits = limits::measure();
    let runs = [2, 3, 4].map(|parties| one(parties, gates));
    let runs = runs.into_iter().collect::<Outcome<Vec<_>>>()?;
    let mean = |of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let (own, per_peer) = line(&runs);
    let measured = prices().into_iter().map(|price| {
        let nanos = match price.name {
            "NANOS_PER_AND" => own,
            "NANOS_PER_AND_AND_PEER" => per_peer,
            "NANOS_PER_LEAKY_AND_PEER" => mean(|run| run.nanos_per_leaky_and_peer),
            "SETUP_NANOS_PER_PEER" => mean(|run| run.set_up_nanos_per_peer),
            "NANOS_PER_LAYER_AND_PEER" => mean(|run| run.nanos_per_layer_and_peer),
            "NANOS_PER_TABLE_BLOCK" => mean(|run| run.nanos_per_table_block),
            "STAGE_NANOS" => mean(|run| run.stage_seconds) * 1e9,
            _ => return price,
        };
        Price { nanos: nanos.round() as u64, ..price }
    });
    let measured = measured.collect();
    Ok(Calibration { constants: prices(), measured, runs, limits })
}

/// What gates take whatever the peers, and per peer: the line nearest to the runs.
fn line(runs: &[Run]) -> (f64, f64) {
    let count = runs.len() as f64;
    let mean = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / count;
    let peers = |run: &Run| run.parties as f64 - 1.0;
    let (x, y) = (mean(&peers), mean(&|run| run.nanos_per_and));
    let slope = mean(&|run| (peers(run) - x) * (run.nanos_per_and - y))
        / mean(&|run| (peers(run) - x) * (peers(run) - x));
    ((y - slope * x).max(0.0), slope.max(0.0))
}

fn one(parties: usize, gates: u64) -> Outcome<Run> {
    let set = PartySet::first(parties);
    let start = Instant::now();
    let opened = each(set, async |mesh| open(&mesh, [1; 32], Tuning::default()).await.map(drop));
    let set_up_seconds = start.elapsed().as_secs_f64();
    opened.map_err(|error: Error| Failure::unexpected(error.to_string()))?;
    let gates_seconds = seconds(&[circuit(set, gates, 0)?])? - set_up_seconds;
    let chain = (0..STAGES).map(|id| circuit(set, STAGE_GATES, id)).collect::<Outcome<Vec<_>>>()?;
    let (first, _) = chain.split_at(1);
    let stage_seconds = (seconds(&chained(&chain))? - seconds(first)?) / f64::from(STAGES - 1);
    let triples = usize::try_from(gates).unwrap_or(usize::MAX);
    let triples_per_second =
        preprocessing::measure(parties, triples, Tuning::default())?.triples_per_second;
    let [nanos_per_layer_and_peer, nanos_per_table_block] = layers_and_tables(set)?;
    let members = parties as f64;
    let per_gate = gates_seconds.max(0.0) * 1e9 / (gates as f64 * members);
    let per_triple = 1e9 / (triples_per_second * members);
    let tables = nanos_per_table_block * (3.0 * members - 4.0);
    Ok(Run {
        parties,
        set_up_seconds,
        gates_seconds,
        nanos_per_and: (per_gate - per_triple - tables).max(0.0),
        nanos_per_leaky_and_peer: per_triple / (bucket_size(gates) as f64 * (members - 1.0)),
        set_up_nanos_per_peer: set_up_seconds * 1e9 / ((members - 1.0) * members),
        stage_seconds: stage_seconds.max(0.0),
        nanos_per_layer_and_peer,
        nanos_per_table_block,
    })
}

/// The prices of a layer and of a block of the tables, from one circuit garbled, in few layers and in
/// many.
fn layers_and_tables(set: PartySet) -> Outcome<[f64; 2]> {
    let run = |backend, width| {
        let stage = layered(set, LAYERED_GATES, width);
        let stage = stage.ok_or_else(|| Failure::unexpected("no such circuit"))?;
        seconds(&[Stage { backend, program: stage.program.in_layers(), ..stage }])
    };
    let [few, many] = WIDTHS;
    let layers = WIDTHS.map(|width| (LAYERED_GATES / u64::from(width)) as f64);
    let (wide, narrow) = (run(Backend::Interactive, few)?, run(Backend::Interactive, many)?);
    let garbled = run(Backend::Garbled, few)?;
    let [few, many] = layers;
    let members = set.len() as f64;
    let layer = (narrow - wide).max(0.0) / (many - few);
    let tables = (garbled - (wide - layer * few)).max(0.0);
    let blocks = LAYERED_GATES as f64 * (3.0 * members - 4.0);
    Ok([layer * 1e9 / ((members - 1.0) * members), tables * 1e9 / (blocks * members)])
}

fn circuit(set: PartySet, gates: u64, id: u32) -> Outcome<Stage> {
    let stage = and_gates(set, gates).ok_or_else(|| Failure::unexpected("no such circuit"))?;
    Ok(Stage { id: StageId(id), ..stage })
}

/// The stages one after the other: each takes the output of the one before.
fn chained(stages: &[Stage]) -> Vec<Stage> {
    let last = stages.len().saturating_sub(1);
    let linked = stages.iter().enumerate().map(|(at, stage)| {
        let before = at.checked_sub(1).and_then(|before| stages.get(before));
        let inputs = match before {
            Some(before) => vec![Source::Child { stage: before.id, bundle: 0 }],
            None => stage.inputs.clone(),
        };
        let reveals = if at == last { stage.reveals.clone() } else { Vec::new() };
        Stage { inputs, reveals, ..stage.clone() }
    });
    linked.collect()
}

fn seconds(stages: &[Stage]) -> Outcome<f64> {
    let first = stages.first().ok_or_else(|| Failure::unexpected("no stage"))?;
    let wires = first.program.inputs.iter().map(|bundle| first.program.wires_of(bundle)).sum();
    let inputs = BTreeMap::from([(0, engine::some_bits(wires))]);
    Ok(engine::run(stages, &inputs)?.seconds)
}
