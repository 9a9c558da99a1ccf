//! Honest runs give what the clear evaluation gives.

use super::plans::{inputs_of, lone_stage, random_circuit};
use super::{agrees, party};
use senate_circuit::PartySet;

#[test]
fn random_circuits_agree_for_every_evaluator() {
    for n in 2..6 {
        for evaluator in 0..n {
            let program = random_circuit(n as u64 * 8 + evaluator as u64, n, 37, 60);
            let plan = [lone_stage(PartySet::first(n), party(evaluator), program)];
            agrees(n, &plan, &inputs_of(&plan, 5));
        }
    }
}

#[test]
fn several_chunks_agree() {
    for n in [2, 3] {
        let program = random_circuit(n as u64, n, 9000, 30);
        let plan = [lone_stage(PartySet::first(n), party(n - 1), program)];
        agrees(n, &plan, &inputs_of(&plan, 6));
    }
}
