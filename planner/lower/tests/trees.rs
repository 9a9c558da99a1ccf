//! Stage trees: proper subsets, children before parents, cheaper than one circuit.

use super::harness::{ands, checked, int, leaf, lowered, lowered_for, schema, union};
use crate::cost::{LinkSnapshot, stage_cost};
use crate::ir::{Aggregate, AggregateFunction, Node};
use crate::lower::{Decompose, Lowered};
use crate::plan::sizes;
use senate_circuit::{PartyId, PartySet, Source};

pub(super) fn counts(m: usize, rows: u32) -> Node {
    let input = union((0..m).map(|i| leaf(i, &[int(0, 1023), int(1, 60)], rows, &[0])).collect());
    let function = AggregateFunction::Sum { zero_if_empty: true };
    let schema = schema(&[int(0, 1023), int(0, 60 * m as i128)], input.capacity());
    let aggregates = vec![Aggregate { function, argument: 1 }];
    Node::Aggregate { input: Box::new(input), keys: vec![0], aggregates, schema }
}

pub(super) fn intersection(m: usize, rows: u32) -> Node {
    let kinds = [int(0, 1023), int(0, 99)];
    let inputs = (0..m).map(|i| Node::Leaf(leaf(i, &kinds, rows, &[0]))).collect();
    let out: Vec<_> = (0..m).flat_map(|_| kinds).collect();
    let (keys, unique) = (vec![vec![0]; m], vec![true; m]);
    Node::Join { inputs, keys, unique, schema: schema(&out, rows) }
}

fn sorted(m: usize, rows: u32) -> Node {
    let kinds = [int(0, 1023), int(0, 99)];
    let input = Box::new(union((0..m).map(|i| leaf(i, &kinds, rows, &[])).collect()));
    Node::Sort { input, keys: Vec::new(), fetch: Some(8), skip: 0 }
}

fn bytes(lowered: &Lowered) -> u64 {
    let links = LinkSnapshot::default();
    let cost = |stage| stage_cost_of(stage, &links);
    lowered.stages.iter().map(cost).sum()
}

fn stage_cost_of(stage: &senate_circuit::Stage, links: &LinkSnapshot) -> u64 {
    stage_cost(stage.parties, stage.backend, stage.evaluator, &sizes(stage), links).total_bytes()
}

#[test]
fn stages_form_a_tree_on_proper_subsets() {
    for m in [4, 8] {
        for node in [counts(m, 16), intersection(m, 16), sorted(m, 16)] {
            let lowered = lowered(&node, Decompose::Yes);
            checked(&lowered);
            let mut uses = vec![0; lowered.stages.len()];
            for (at, stage) in lowered.stages.iter().enumerate() {
                assert_eq!(stage.id.0 as usize, at);
                assert!(stage.parties.len() >= 2 && stage.parties.contains(stage.evaluator));
                assert_eq!(stage.inputs.len(), stage.program.inputs.len());
                assert_eq!(stage.ver.len(), 1);
                for source in &stage.inputs {
                    match source {
                        Source::Owner { party, .. } => assert!(stage.parties.contains(*party)),
                        Source::Child { stage: child, bundle } => {
                            let child = child.0 as usize;
                            uses[child] += 1;
                            let made = &lowered.stages[child];
                            assert!(child < at && *bundle == 0);
                            assert!(made.parties.is_subset(stage.parties));
                            assert_ne!(made.parties, stage.parties);
                            assert!(made.reveals.is_empty());
                        }
                    }
                }
            }
            let root = uses.pop().unwrap();
            assert_eq!((root, uses.iter().all(|u| *u == 1)), (0, true));
            assert_eq!(lowered.stages.last().unwrap().parties, PartySet::first(m));
            assert!(lowered.stages.len() >= m / 2, "{m}: {}", lowered.stages.len());
        }
    }
}

#[test]
fn decomposition_sends_fewer_bytes_than_one_circuit() {
    for m in [4, 8] {
        for node in [counts(m, 64), intersection(m, 64), sorted(m, 64)] {
            let (tree, flat) = (lowered(&node, Decompose::Yes), lowered(&node, Decompose::No));
            assert_eq!(flat.stages.len(), 1);
            assert!(bytes(&tree) < bytes(&flat), "{} {}", bytes(&tree), bytes(&flat));
            // Ver is the only extra work.
            assert!(ands(&tree) < 2 * ands(&flat));
        }
    }
}

#[test]
fn a_recipient_without_tables_joins_the_root_only() {
    let outsider = PartyId::new(6).unwrap();
    let lowered = lowered_for(&counts(3, 8), Decompose::Yes, PartySet::only(outsider));
    let (root, children) = lowered.stages.split_last().unwrap();
    assert!(root.parties.contains(outsider));
    assert_eq!(root.reveals[0].recipients, PartySet::only(outsider));
    assert!(!children.is_empty() && children.iter().all(|s| !s.parties.contains(outsider)));
}

#[test]
fn the_same_plan_twice_is_the_same_bytes() {
    let [a, b] = [0, 1].map(|_| lowered(&counts(6, 20), Decompose::Yes));
    assert_eq!(a.stages, b.stages);
    let bytes = |l: &Lowered| -> Vec<_> {
        l.stages.iter().map(|stage| stage.program.digest_bytes()).collect()
    };
    assert_eq!(bytes(&a), bytes(&b));
}

#[test]
fn many_parties_have_a_balanced_tree() {
    let lowered = lowered(&counts(12, 2), Decompose::Yes);
    assert_eq!(lowered.stages.len(), 11);
    checked(&lowered);
}
