//! A malicious sort of rows of four 64-bit columns between two parties.

use super::engine;
use super::federation::Tuning;
use super::limits::{self, Limits};
use crate::failure::{Failure, Outcome};
use crate::request::peak_rss_bytes;
use senate_circuit::{
    Backend, Bits, BuildError, Builder, KeyBit, Network, PartySet, Program, Reveal, Source, Stage,
    StageId, VerBit, Word,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Bits of a column; the first column is the key.
const COLUMN_BITS: usize = 64;
/// Columns of a row.
const COLUMNS: usize = 4;

/// One circuit, run with everything a query pays for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sorted {
    /// Who has sorted what before.
    pub sorted_before: &'static str,
    /// AND gates.
    pub and_gates: u64,
    /// Wall time of everything, session set-up included.
    pub seconds: f64,
    /// The same of the run before, when the process had no memory yet.
    pub first_seconds: f64,
    /// AND gates per second of wall time.
    pub ands_per_second: f64,
    /// Largest resident set of the process so far, both parties together.
    pub peak_rss_bytes: u64,
    /// AES blocks that one core could compute in the wall time of one AND gate.
    pub aes_blocks_per_and: f64,
}

/// Both ways of sorting rows of which each party has half.
#[derive(Clone, Debug, Serialize)]
pub struct Sorts {
    /// Rows of both parties together.
    pub rows: u32,
    /// A merge of halves that their owners sorted and the circuit checks, then a sort of rows that
    /// nobody sorted.
    pub ways: Vec<Sorted>,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// Sorts `rows` rows both ways.
///
/// # Errors
/// Usage for fewer than two or too many rows, otherwise what the engine reports.
pub(crate) fn measure(rows: u32, tuning: Tuning) -> Outcome<Sorts> {
    if !(2..=1 << 20).contains(&rows) || rows % 2 == 1 {
        return Err(Failure::usage("bench sort takes an even --rows of 2 to 1048576"));
    }
    let limits = limits::measure();
    let half = rows / 2;
    let unsorted = engine::some_bits(half as usize * COLUMN_BITS * COLUMNS);
    let (merge, sort) = (Network::merge(half, half, rows), Network::odd_even_sort(rows));
    let ways = [
        ("each half, by its owner", circuit(half, &merge, Order::Verified), ascending(half)),
        ("nothing", circuit(half, &sort, Order::Unknown), unsorted),
    ];
    let measured = ways.into_iter().map(|(sorted_before, program, input)| {
        let failed = |error: BuildError| Failure::unexpected(error.to_string());
        let stage = stage(program.map_err(failed)?)?;
        let and_gates = stage.program.ands();
        let inputs = BTreeMap::from([(0, input.clone()), (1, input)]);
        let (ran, first_seconds) = engine::run_warm(&[stage], &inputs, tuning)?;
        Ok(Sorted {
            sorted_before,
            and_gates,
            seconds: ran.seconds,
            first_seconds,
            ands_per_second: and_gates as f64 / ran.seconds,
            peak_rss_bytes: peak_rss_bytes(),
            aes_blocks_per_and: limits.aes_blocks_per_second * ran.seconds / and_gates as f64,
        })
    });
    Ok(Sorts { rows, ways: measured.collect::<Outcome<_>>()?, limits })
}

/// What is known about each party's rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Its owner says that they are sorted, and the circuit verifies it.
    Verified,
    /// Nothing.
    Unknown,
}

fn circuit(half: u32, network: &Network, order: Order) -> Result<Program, BuildError> {
    let mut b = Builder::new();
    let inputs = [0, 1].map(|_| b.input(&[half; COLUMN_BITS * COLUMNS]));
    let [first, second] = &inputs;
    let rows = first.iter().zip(second).map(|(first, second)| b.concat(&[*first, *second]));
    let rows: Vec<_> = rows.collect();
    let key: Vec<_> = (0..COLUMN_BITS).map(|plane| KeyBit { plane, negated: false }).collect();
    let sorted = b.apply_network(&rows, network, &key);
    b.output(&sorted);
    if order == Order::Verified {
        let mut ok = Vec::new();
        for planes in inputs {
            let key = Word::new(planes.into_iter().take(COLUMN_BITS).collect(), half);
            let (before, after) =
                (b.slice_word(&key, 0, half - 1), b.slice_word(&key, 1, half - 1));
            let fine = b.less_or_equal(&before, &after);
            ok.push(b.all_lanes(fine));
        }
        let ok = b.all(&ok, 1);
        b.output(&[ok]);
    }
    b.finish()
}

fn stage(program: Program) -> Outcome<Stage> {
    let parties = PartySet::first(2);
    let nobody = || Failure::unexpected("a set of two has a leader");
    let evaluator = parties.leader().ok_or_else(nobody)?;
    let owners = parties.iter().enumerate();
    let inputs = owners.map(|(slot, party)| Source::Owner { party, slot }).collect();
    let ver = (1..program.outputs.len()).map(|bundle| VerBit { bundle }).collect();
    let reveals = vec![Reveal { bundle: 0, recipients: parties }];
    let (id, backend) = (StageId(0), Backend::Garbled);
    Ok(Stage { id, parties, backend, evaluator, program, inputs, ver, reveals })
}

/// Rows whose keys rise; everything else has no pattern.
fn ascending(half: u32) -> Bits {
    let rows = half as usize;
    let mut bits = engine::some_bits(rows * COLUMN_BITS * COLUMNS);
    for bit in 0..COLUMN_BITS {
        for row in 0..rows {
            bits.set(bit * rows + row, (row * 5) >> bit & 1 == 1);
        }
    }
    bits
}
