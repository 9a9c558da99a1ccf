//! The engine's figure: AND gates per second with everything a query pays for.

use super::federation::{and_gates, run};
use super::{limits, usage};
use crate::failure::{Failure, Outcome};
use crate::request::peak_rss_bytes;
use senate_circuit::{Bits, PartySet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// One measurement. All parties share this machine; set-up, preprocessing and all checks count.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gates {
    /// n.
    pub parties: usize,
    /// AND gates of the circuit.
    pub and_gates: u64,
    /// Wall time of everything, session set-up included.
    pub seconds: f64,
    /// AND gates per second of wall time.
    pub ands_per_second: f64,
    /// Payload bytes that the party that sent most sent, per AND gate.
    pub bytes_per_and_and_party: f64,
    /// Processor time of all parties.
    pub cpu_seconds: f64,
    /// Largest resident set of the process, all parties together.
    pub peak_rss_bytes: u64,
    /// AES blocks per second of one core, measured in the same run.
    pub aes_blocks_per_second: f64,
    /// Wall time in AES blocks per AND, all cores counted.
    pub aes_blocks_per_and: f64,
}

/// Measures `parties` parties on a circuit of `gates` AND gates.
///
/// # Errors
/// Usage for a party count or size that makes no sense, otherwise what the engine reports.
pub fn measure(parties: usize, gates: u64) -> Outcome<Gates> {
    if !(2..=PartySet::MAX).contains(&parties) || gates == 0 {
        return Err(Failure::usage("bench gates takes --parties 2..64 and --ands of at least 1"));
    }
    let limits = limits::measure();
    let set = PartySet::first(parties);
    let stage = and_gates(set, gates).ok_or_else(|| Failure::unexpected("no such circuit"))?;
    let wires: usize = stage.program.inputs.iter().map(|b| stage.program.wires_of(b)).sum();
    let input: Bits = (0..wires).map(|wire| wire % 3 == 0).collect();
    let expected = stage.program.evaluate(std::slice::from_ref(&input));
    let expected = expected.map_err(|error| Failure::unexpected(error.to_string()))?;
    let own = |party| match Some(party) == set.leader() {
        true => BTreeMap::from([(0, input.clone())]),
        false => BTreeMap::new(),
    };
    let (cpu, start) = (usage::cpu_seconds(), Instant::now());
    let runs = run(set, std::slice::from_ref(&stage), &own);
    let seconds = start.elapsed().as_secs_f64();
    let runs = runs.map_err(|error| Failure::unexpected(error.to_string()))?;
    let answer = runs.values().first().and_then(|run| run.outputs.values().next());
    if answer != expected.first() {
        return Err(Failure::unexpected("the engine's answer differs from the clear evaluation"));
    }
    let sent = runs.values().iter().map(|run| run.bytes_sent).max().unwrap_or(0);
    Ok(Gates {
        parties,
        and_gates: gates,
        seconds,
        ands_per_second: gates as f64 / seconds,
        bytes_per_and_and_party: sent as f64 / gates as f64,
        cpu_seconds: usage::cpu_seconds() - cpu,
        peak_rss_bytes: peak_rss_bytes(),
        aes_blocks_per_second: limits.aes_blocks_per_second,
        aes_blocks_per_and: limits.aes_blocks_per_second * limits.cores as f64 * seconds
            / gates as f64,
    })
}
