//! The engine's figure: AND gates per second with everything a query pays for.

use super::federation::{Tuning, and_gates};
use super::limits::Limits;
use super::{engine, limits};
use crate::failure::{Failure, Outcome};
use crate::request::peak_rss_bytes;
use senate_circuit::PartySet;
use serde::Serialize;
use std::collections::BTreeMap;

/// One measurement. All parties share this machine; set-up, preprocessing and all checks count.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gates {
    /// n.
    pub parties: usize,
    /// AND gates of the circuit.
    pub and_gates: u64,
    /// Wall time of everything, session set-up included.
    pub seconds: f64,
    /// The same of the run before, when the process had no memory yet.
    pub first_seconds: f64,
    /// AND gates per second of wall time, all cores busy.
    pub ands_per_second: f64,
    /// Payload bytes that the party that sent most sent, per AND gate.
    pub bytes_per_and_and_party: f64,
    /// Processor time of all parties.
    pub cpu_seconds: f64,
    /// Largest resident set of the process, all parties together.
    pub peak_rss_bytes: u64,
    /// AES blocks that one core could compute in the wall time of one AND gate.
    pub aes_blocks_per_and: f64,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// Measures `parties` parties on a circuit of `gates` AND gates.
///
/// # Errors
/// Usage for a party count or size that makes no sense, otherwise what the engine reports.
pub(crate) fn measure(parties: usize, gates: u64, tuning: Tuning) -> Outcome<Gates> {
    if !(2..=PartySet::MAX).contains(&parties) || gates == 0 {
        return Err(Failure::usage("bench gates takes --parties 2..64 and --ands of at least 1"));
    }
    let limits = limits::measure();
    let set = PartySet::first(parties);
    let stage = and_gates(set, gates).ok_or_else(|| Failure::unexpected("no such circuit"))?;
    let wires = stage.program.inputs.iter().map(|bundle| stage.program.wires_of(bundle)).sum();
    let inputs = BTreeMap::from([(0, engine::some_bits(wires))]);
    let (ran, first_seconds) = engine::run_warm(&[stage], &inputs, tuning)?;
    Ok(Gates {
        parties,
        and_gates: gates,
        seconds: ran.seconds,
        first_seconds,
        ands_per_second: gates as f64 / ran.seconds,
        bytes_per_and_and_party: ran.bytes_sent as f64 / gates as f64,
        cpu_seconds: ran.cpu_seconds,
        peak_rss_bytes: peak_rss_bytes(),
        aes_blocks_per_and: limits.aes_blocks_per_second * ran.seconds / gates as f64,
        limits,
    })
}
