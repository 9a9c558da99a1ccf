//! Trees of stages give what the composed circuits give in the clear.

use super::agrees;
use super::plans::{Node, inputs_of, tree};

fn tree_agrees(n: usize, nodes: &[Node<'_>]) {
    let plan = tree(nodes, 9);
    for seed in 0..3 {
        agrees(n, &plan, &inputs_of(&plan, seed));
    }
}

#[test]
fn a_pair_enters_a_larger_set_whoever_evaluates() {
    for child in 0..2 {
        for parent in 0..3 {
            tree_agrees(3, &[(&[0, 1], child, &[0, 1], &[]), (&[0, 1, 2], parent, &[2], &[0])]);
        }
    }
}

#[test]
fn the_lowest_party_may_be_outside_the_child() {
    tree_agrees(4, &[(&[2, 3], 3, &[2, 3], &[]), (&[0, 2, 3], 0, &[0], &[0])]);
}

#[test]
fn an_equal_set_keeps_labels_or_changes_its_evaluator() {
    for parent in 0..3 {
        let all: &[usize] = &[0, 1, 2];
        tree_agrees(3, &[(all, 1, all, &[]), (all, parent, &[0], &[0])]);
    }
}

#[test]
fn a_chain_grows_one_party_at_a_time() {
    tree_agrees(
        5,
        &[
            (&[1, 2], 2, &[1, 2], &[]),
            (&[1, 2, 4], 1, &[4], &[0]),
            (&[1, 2, 3, 4], 3, &[3], &[1]),
            (&[0, 1, 2, 3, 4], 4, &[0], &[2]),
        ],
    );
}

#[test]
fn trees_join_overlapping_and_disjoint_sets() {
    tree_agrees(
        4,
        &[(&[0, 1], 0, &[0, 1], &[]), (&[2, 3], 3, &[2, 3], &[]), (&[0, 1, 2, 3], 2, &[], &[0, 1])],
    );
    tree_agrees(
        4,
        &[
            (&[0, 1], 0, &[0, 1], &[]),
            (&[1, 2], 1, &[1, 2], &[]),
            (&[0, 1, 2, 3], 0, &[3], &[]),
            (&[0, 1, 2, 3], 2, &[], &[0, 1, 2]),
        ],
    );
}
