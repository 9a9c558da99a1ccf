//! The interactive backend: it gives what the clear evaluation gives, mixes with garbling in every
//! way, takes a round per layer, and a lie in a round is caught before anything is released.

use super::plans::{inputs_of, lone_stage, random_circuit, tree};
use super::{Inputs, agrees, party, reference, run};
use crate::error::{Error, Fault, Step};
use crate::mesh::{Frame, Kind, Lane};
use crate::sim::Tamper;
use senate_circuit::{Backend, Builder, PartyId, PartySet, Program, Stage, StageId};
use std::collections::BTreeMap;

use Backend::{Garbled, Interactive};

/// The stages of `plan`, run as `backends` says, the last of which goes on for all further ones.
fn run_as(mut plan: Vec<Stage>, backends: &[Backend]) -> Vec<Stage> {
    for (at, stage) in plan.iter_mut().enumerate() {
        stage.backend = backends[at.min(backends.len() - 1)];
        if stage.backend == Interactive {
            stage.program = std::mem::take(&mut stage.program).in_layers();
        }
    }
    plan
}

fn lone(n: usize, program: Program) -> Vec<Stage> {
    run_as(vec![lone_stage(PartySet::first(n), party(n - 1), program)], &[Interactive])
}

#[test]
fn random_circuits_agree_among_two_to_five() {
    for n in 2..6 {
        for seed in 0..4 {
            let plan = lone(n, random_circuit(n as u64 * 8 + seed, n, 37, 60));
            agrees(n, &plan, &inputs_of(&plan, seed));
        }
    }
}

#[test]
fn a_program_in_any_order_agrees() {
    for n in [2, 4] {
        let mut plan = lone(n, random_circuit(3, n, 21, 40));
        plan[0].program = random_circuit(3, n, 21, 40);
        agrees(n, &plan, &inputs_of(&plan, 1));
    }
}

#[test]
fn stages_without_gates_or_lanes_agree() {
    for lanes in [0, 1, 5] {
        let plan = lone(3, random_circuit(1, 3, lanes, 0));
        agrees(3, &plan, &inputs_of(&plan, 8));
    }
}

/// `steps` layers of `lanes` gates.
fn deep_circuit(n: usize, lanes: u32, steps: usize) -> Program {
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..n).map(|_| b.input(&[lanes])[0]).collect();
    let mut plane = b.xor(inputs[0], inputs[n - 1]);
    for step in 0..steps {
        let other = b.xor(plane, inputs[step % n]);
        let other = b.not(other);
        plane = b.and(plane, other);
    }
    b.output(&[plane]);
    b.finish().unwrap()
}

/// Sizes of the messages of each kind from the first party to the second, by kind.
#[derive(Default)]
struct Sizes(BTreeMap<Kind, Vec<usize>>);

impl Tamper for Sizes {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        if (from, to) == (party(0), party(1)) {
            self.0.entry(frame.kind).or_default().push(frame.payload.len());
        }
        vec![frame]
    }
}

#[test]
fn every_layer_is_one_round_of_two_bits_per_gate() {
    let plan = lone(3, deep_circuit(3, 77, 5));
    let mut sizes = Sizes::default();
    let inputs = inputs_of(&plan, 1);
    assert!(run(3, &plan, &inputs, &mut sizes).iter().all(Result::is_ok));
    assert_eq!(sizes.0[&Kind::Layer], [20; 5]);
    assert_eq!(sizes.0[&Kind::LayerMacs], [16]);
    let garbled = [Kind::Table, Kind::Color, Kind::Eval, Kind::Z, Kind::InputLabels];
    assert!(garbled.iter().all(|kind| !sizes.0.contains_key(kind)));
}

#[test]
fn a_layer_wider_than_a_round_takes_several_and_ends_a_block() {
    let lanes = (1 << 17) + 300;
    let plan = lone(2, deep_circuit(2, lanes, 2));
    let inputs = inputs_of(&plan, 6);
    agrees(2, &plan, &inputs);
    let mut sizes = Sizes::default();
    assert!(run(2, &plan, &inputs, &mut sizes).iter().all(Result::is_ok));
    assert_eq!(sizes.0[&Kind::Layer], [1 << 15, 75, 1 << 15, 75]);
    assert_eq!(sizes.0[&Kind::LayerMacs], [16, 16]);
}

#[test]
fn a_round_may_end_inside_an_instruction() {
    // 20 000 gates close a chunk and the next AND is one of its own: a round takes 111 072 of its lanes.
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..2).map(|_| b.input(&[20_000, 1 << 17, 0, 5])).collect();
    let ands: Vec<_> = (0..4).map(|k| b.and(inputs[0][k], inputs[1][k])).collect();
    let mixed = b.xor(ands[1], inputs[0][1]);
    let deep = b.and(mixed, inputs[1][1]);
    b.output(&[ands[0], deep, ands[2], ands[3]]);
    let plan = lone(2, b.finish().unwrap());
    let inputs = inputs_of(&plan, 4);
    agrees(2, &plan, &inputs);
    let mut sizes = Sizes::default();
    assert!(run(2, &plan, &inputs, &mut sizes).iter().all(Result::is_ok));
    // 151 077 gates, then 131 072, two bits each.
    assert_eq!(sizes.0[&Kind::Layer], [1 << 15, 5002, 1 << 15]);
}

#[test]
fn backends_meet_at_a_boundary_in_every_combination() {
    let all: &[usize] = &[0, 1, 2];
    for child in [Garbled, Interactive] {
        for parent in [Garbled, Interactive] {
            for evaluator in 0..3 {
                let larger = tree(&[(&[0, 1], 1, &[0, 1], &[]), (all, evaluator, &[2], &[0])], 9);
                let equal = tree(&[(all, 1, all, &[]), (all, evaluator, &[0], &[0])], 9);
                for plan in [larger, equal] {
                    let plan = run_as(plan, &[child, parent]);
                    agrees(3, &plan, &inputs_of(&plan, 2));
                }
            }
        }
    }
}

#[test]
fn a_chain_may_change_its_backend_at_every_stage() {
    let all: &[usize] = &[0, 1, 2, 3];
    let nodes: &[super::plans::Node<'_>] = &[
        (&[1, 2], 2, &[1, 2], &[]),
        (&[1, 2, 3], 1, &[3], &[0]),
        (all, 3, &[0], &[1]),
        (all, 0, &[1], &[2]),
        (all, 0, &[2], &[3]),
    ];
    for mask in 0..32 {
        let of = |at: u32| if mask >> at & 1 == 1 { Interactive } else { Garbled };
        let plan = run_as(tree(nodes, 5), &(0..5).map(of).collect::<Vec<_>>());
        agrees(4, &plan, &inputs_of(&plan, mask));
    }
}

/// Flips the first bit of one message of a kind on some links (sender, receiver), and counts what
/// is sent.
struct Lie {
    links: Vec<(usize, usize)>,
    kind: Kind,
    skip: usize,
    seen: BTreeMap<(PartyId, PartyId), usize>,
    sent: BTreeMap<(PartyId, Lane, Kind), usize>,
}

impl Lie {
    fn new(links: &[(usize, usize)], kind: Kind, skip: usize) -> Self {
        let (seen, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { links: links.to_vec(), kind, skip, seen, sent }
    }

    fn sent(&self, from: usize, kind: Kind) -> usize {
        let all = self.sent.iter();
        let mine = all.filter(|((sender, _, sent), _)| (*sender, *sent) == (party(from), kind));
        mine.map(|(_, count)| count).sum()
    }
}

impl Tamper for Lie {
    fn on_frame(&mut self, from: PartyId, to: PartyId, mut frame: Frame) -> Vec<Frame> {
        *self.sent.entry((from, frame.lane, frame.kind)).or_default() += 1;
        if frame.kind == self.kind && self.links.contains(&(from.index(), to.index())) {
            let seen = self.seen.entry((from, to)).or_default();
            if *seen == self.skip {
                frame.payload[0] ^= 1;
            }
            *seen += 1;
        }
        vec![frame]
    }
}

fn scene(n: usize) -> (Vec<Stage>, Inputs) {
    let plan = lone(n, deep_circuit(n, 8, 4));
    let inputs = inputs_of(&plan, 2);
    (plan, inputs)
}

/// Runs the scene with these links lying; all of `honest` must end with the layers' MAC fault or
/// with somebody else's word of it, one of them with the fault, and nobody may show an output.
fn assert_caught(n: usize, links: &[(usize, usize)], kind: Kind, skip: usize, honest: &[usize]) {
    let (plan, inputs) = scene(n);
    let mut lie = Lie::new(links, kind, skip);
    let ends = run(n, &plan, &inputs, &mut lie);
    let fault = Err(Error::unattributed(Fault::OpenMac(Step::Interactive)));
    let honest: Vec<_> = honest.iter().map(|at| (&ends[*at], *at)).collect();
    assert!(honest.iter().any(|(end, _)| **end == fault), "{links:?} {skip}: {ends:?}");
    assert!(honest.iter().all(|(end, _)| end.is_err()), "{links:?} {skip}: {ends:?}");
    assert!(honest.iter().all(|(_, at)| lie.sent(*at, Kind::OutputBits) == 0));
}

/// From `liar` to everybody else.
fn to_all(n: usize, liar: usize) -> Vec<(usize, usize)> {
    (0..n).filter(|to| *to != liar).map(|to| (liar, to)).collect()
}

#[test]
fn a_wrong_bit_of_any_layer_fails_the_layers_macs() {
    for n in 2..6 {
        for liar in 0..n {
            let honest: Vec<_> = (0..n).filter(|at| *at != liar).collect();
            for layer in 0..4 {
                assert_caught(n, &to_all(n, liar), Kind::Layer, layer, &honest);
            }
        }
    }
}

#[test]
fn an_equivocated_bit_fails_the_layers_macs() {
    // Everybody goes on with its own view: nothing is echoed, and the views part for good.
    for n in 3..6 {
        for liar in 0..n {
            let honest: Vec<_> = (0..n).filter(|at| *at != liar).collect();
            for layer in [0, 3] {
                assert_caught(n, &to_all(n, liar)[..1], Kind::Layer, layer, &honest);
            }
        }
    }
}

#[test]
fn a_wrong_sum_of_macs_fails_the_layers_macs() {
    for n in 2..6 {
        let honest: Vec<_> = (1..n).collect();
        assert_caught(n, &to_all(n, 0), Kind::LayerMacs, 0, &honest);
    }
}

#[test]
fn all_but_one_cannot_lie_to_the_last() {
    for n in 3..6 {
        // An odd number of lies on one bit, and one lie covered up by another layer's.
        let last = n - 1;
        assert_caught(n, &[(0, last)], Kind::Layer, 1, &[last]);
        let links: Vec<_> = (0..last).map(|from| (from, last)).collect();
        let odd = if links.len() % 2 == 1 { &links[..] } else { &links[1..] };
        assert_caught(n, odd, Kind::Layer, 1, &[last]);
    }
}

#[test]
fn lies_that_cancel_out_are_weighed_differently() {
    // The sum of two equal lies is the true bit, but weights are those of the bits as told.
    for n in 3..5 {
        let links = [(0, n - 1), (1, n - 1)];
        assert_caught(n, &links, Kind::Layer, 0, &[n - 1]);
    }
}

#[test]
fn no_label_is_given_for_values_whose_layers_fail_their_macs() {
    let all: &[usize] = &[0, 1, 2];
    let plan = tree(&[(all, 1, all, &[]), (all, 2, &[0], &[0])], 5);
    let plan = run_as(plan, &[Interactive, Garbled]);
    let inputs = inputs_of(&plan, 3);
    for kind in [Kind::Layer, Kind::LayerMacs] {
        let mut lie = Lie::new(&[(0, 1), (0, 2)], kind, 0);
        let ends = run(3, &plan, &inputs, &mut lie);
        assert!(ends.iter().all(Result::is_err), "{kind:?}");
        let parent = (party(1), Lane::stage(StageId(1)), Kind::SolderLabels);
        assert!(!lie.sent.contains_key(&parent), "{kind:?}");
    }
    let mut honest = Lie::new(&[], Kind::Layer, 0);
    let ends = run(3, &plan, &inputs, &mut honest);
    assert!(ends.iter().all(|end| end == &Ok(reference(&plan, &inputs))));
    let parent = (party(1), Lane::stage(StageId(1)), Kind::SolderLabels);
    assert!(honest.sent.contains_key(&parent));
}

#[test]
fn order_and_sizes_of_messages_do_not_depend_on_the_inputs() {
    let all: &[usize] = &[0, 1, 2];
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (all, 2, &[2], &[0]), (all, 1, &[0], &[1])], 9);
    let plan = run_as(plan, &[Garbled, Interactive, Garbled]);
    let sizes = [1, 2].map(|seed| {
        let mut sizes = Sizes::default();
        let ends = run(3, &plan, &inputs_of(&plan, seed), &mut sizes);
        assert!(ends.iter().all(Result::is_ok));
        sizes.0
    });
    assert_eq!(sizes[0], sizes[1]);
}
