//! Small fixed workloads for counting instructions: `.ci/instructions` runs each under callgrind
//! and compares with benches/instructions.toml. Two parties, everything included; run with
//! `RAYON_NUM_THREADS=1`, so that no idle thread spins.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]

#[expect(dead_code, reason = "shared with the other benches")]
mod federation;

use federation::Tuning;
use senate_circuit::{Bits, Builder, KeyColumn, PartySet, Relation, Sharing, StageId};
use senate_mpc::pre::distributed::{Need, Supply};
use std::collections::BTreeMap;

/// AND gates and triples of the protocol's workloads.
const GATES: usize = 1 << 13;
/// Rows of the relations whose circuits are built.
const ROWS: u32 = 1 << 10;

fn main() {
    let workload = std::env::args().nth(1).unwrap_or_default();
    match workload.as_str() {
        "circuits" => circuits(),
        "session" => session(0),
        "preprocessing" => session(GATES),
        "garbling" => garbling(),
        // `cargo bench` and `cargo test --benches` pass other words: one quick pass over all.
        _ => {
            circuits();
            session(GATES);
            garbling();
        }
    }
}

/// A merge, a sort and a compaction are built, folded and counted.
fn circuits() {
    let order = [KeyColumn::ascending(0)];
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..2).map(|_| Relation::input(&mut b, &[32, 16], ROWS)).collect();
    let merged = Relation::merge(&mut b, &inputs, &order, 2 * ROWS);
    let same = merged.continues_group(&mut b, &[0]);
    let kept = merged.filter(&mut b, same).compact(&mut b, ROWS);
    let sorted = kept.sort(&mut b, &order, 10);
    sorted.output(&mut b);
    let program = b.finish().unwrap();
    let stats = program.stats();
    assert!(stats.ands > 0 && !program.digest_bytes().is_empty());
    println!("circuits: {} AND gates", stats.ands);
}

/// A session is opened, and makes so many triples ahead.
fn session(triples: usize) {
    let set = PartySet::first(2);
    federation::each(set, async |mesh| {
        let session = federation::open(&mesh, [1; 32], Tuning::default()).await?;
        let need = Need { stage: StageId(0), masks: triples, triples };
        let sharing = Sharing::new(session.params().rho_bits(), [(set.len(), triples)]);
        Supply::new(&session, set, 0, &[need], sharing)?.make_ahead().await
    })
    .unwrap();
    println!("session: {triples} triples");
}

/// A session, its triples, and a stage that uses them.
fn garbling() {
    let set = PartySet::first(2);
    let stage = federation::and_gates(set, GATES as u64).unwrap();
    let wires = stage.program.wires_of(&stage.program.inputs[0]);
    let input = Bits::repeat(true, wires);
    let expected = stage.program.evaluate(std::slice::from_ref(&input)).unwrap();
    let own = |party| match Some(party) == set.leader() {
        true => BTreeMap::from([(0, input.clone())]),
        false => BTreeMap::new(),
    };
    let runs = federation::run(set, &[stage], &own).unwrap();
    assert!(runs.values()[0].outputs.values().eq(&expected), "the answer is wrong");
    println!("garbling: {GATES} AND gates");
}
