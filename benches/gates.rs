//! `cargo bench -p senate-mpc --bench gates`: AND gates per second at n = 2, 3, 4, everything
//! included; `-- 2` for one n only. `senate bench gates` prints the same with more detail.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]

#[expect(dead_code, reason = "shared with the other benches")]
mod federation;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use senate_circuit::{Bits, PartySet};
use std::collections::BTreeMap;
use std::time::Instant;

/// Gates of each circuit: past the size from which three leaky triples make one.
const GATES: u64 = 400_000;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    for parties in if asked.is_empty() { vec![2, 3, 4] } else { asked } {
        let set = PartySet::first(parties);
        let stage = federation::and_gates(set, GATES).unwrap();
        let wires = stage.program.wires_of(&stage.program.inputs[0]);
        let input = Bits::repeat(true, wires);
        let expected = stage.program.evaluate(std::slice::from_ref(&input)).unwrap();
        let own = |party| match Some(party) == set.leader() {
            true => BTreeMap::from([(0, input.clone())]),
            false => BTreeMap::new(),
        };
        let start = Instant::now();
        let runs = federation::run(set, &[stage], &own);
        let seconds = start.elapsed().as_secs_f64();
        let runs = runs.unwrap();
        assert!(runs.values()[0].outputs.values().eq(&expected), "the answer is wrong");
        let sent = runs.values().iter().map(federation::Run::all_bytes_sent).max().unwrap_or(0);
        println!(
            "n={parties} ands={GATES} seconds={seconds:.2} ands/s={:.0} bytes/and/party={:.1}",
            GATES as f64 / seconds,
            sent as f64 / GATES as f64
        );
    }
}
