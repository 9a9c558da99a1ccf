//! Stages run on the backend that the agreed prices say is faster, with the gadgets that fit it.

use super::harness::{ands, checked, lowered, lowered_in_rounds, ordering, slow_links};
use super::trees::{counts, intersection};
use crate::cost::{Link, LinkSnapshot, StageSizes, best_evaluator, stage_cost};
use crate::ir::Node;
use crate::lower::{Backends, Decompose, Lowered, Lowering, lower};
use senate_circuit::{Backend, PartySet};

use Backend::{Garbled, Interactive};

fn lowered_over(node: &Node, backends: Backends, links: &LinkSnapshot) -> Lowered {
    let (recipients, decompose, ordering) = (PartySet::first(1), Decompose::Yes, ordering(node));
    lower(node, &Lowering { recipients, decompose, backends, ordering, links }).unwrap()
}

fn depth(lowered: &Lowered) -> u32 {
    lowered.stages.iter().map(|stage| stage.program.stats().and_depth).max().unwrap_or(0)
}

/// The backend that is predicted to run so many gates faster in layers of this size.
fn faster(n: usize, gates: u64, layer: u64, links: &LinkSnapshot) -> Backend {
    let parties = PartySet::first(n);
    let layers = vec![layer; (gates / layer) as usize];
    let sizes = StageSizes { and_gates: gates, live_wires: gates, ..StageSizes::default() };
    let sizes = sizes.in_layers(&layers);
    let evaluator = best_evaluator(parties, Garbled, &sizes, links).unwrap();
    let nanos = |backend| stage_cost(parties, backend, evaluator, &sizes, links).nanos;
    if nanos(Interactive) < nanos(Garbled) { Interactive } else { Garbled }
}

#[test]
fn wide_layers_on_one_machine_run_in_rounds_and_narrow_ones_are_garbled() {
    let loopback = LinkSnapshot::default();
    for n in [2, 4, 8, 16] {
        assert_eq!(faster(n, 1 << 20, 1 << 17, &loopback), Interactive, "{n} parties");
        assert_eq!(faster(n, 1 << 12, 8, &loopback), Garbled, "{n} parties");
    }
}

#[test]
fn depth_times_latency_decides() {
    let distant = LinkSnapshot {
        default: Link { latency_us: 1 << 15, mbit_per_s: 8192 },
        ..LinkSnapshot::default()
    };
    assert_eq!(faster(4, 1 << 16, 1 << 7, &distant), Garbled);
    assert_eq!(faster(4, 1 << 22, 1 << 20, &distant), Interactive);
}

#[test]
fn the_more_parties_a_link_to_the_evaluator_serves_the_sooner_rounds_pay() {
    // Tables grow with the number of garblers; a bit to each other member does not.
    let thin = LinkSnapshot {
        default: Link { latency_us: 1 << 10, mbit_per_s: 1 << 8 },
        ..LinkSnapshot::default()
    };
    let layer_that_pays =
        |n| (0..20).find(|log| faster(n, 1 << 20, 1 << log, &thin) == Interactive);
    assert!(layer_that_pays(2).is_some());
    assert!(layer_that_pays(16) < layer_that_pays(2));
}

#[test]
fn slow_links_are_not_crossed_once_per_layer() {
    for node in [counts(4, 16), intersection(4, 16)] {
        let lowered = lowered_over(&node, Backends::Cheapest, &slow_links());
        assert!(lowered.stages.iter().all(|stage| stage.backend == Garbled));
    }
}

#[test]
fn what_must_run_in_rounds_over_slow_links_is_shallow() {
    let rounds = Backends::Only(Interactive);
    for node in [counts(4, 16), intersection(4, 16)] {
        let garbled = lowered_over(&node, Backends::Only(Garbled), &slow_links());
        let shallow = lowered_in_rounds(&node);
        let fast = Link { latency_us: 1, mbit_per_s: 1 << 30 };
        let fast = LinkSnapshot { default: fast, ..LinkSnapshot::default() };
        let near = lowered_over(&node, rounds, &fast);
        checked(&shallow);
        assert!(shallow.stages.iter().chain(&near.stages).all(|s| s.backend == Interactive));
        let depths = (depth(&shallow), depth(&garbled));
        assert!(depths.0 * 4 < depths.1 * 3, "{depths:?}");
        assert!(ands(&shallow) > ands(&garbled));
        assert!(ands(&near) <= ands(&shallow) && ands(&near) >= ands(&garbled));
        // The same operators over the same inputs, whichever gadgets are used.
        for (a, b) in shallow.stages.iter().zip(&garbled.stages) {
            assert_eq!((&a.inputs, &a.reveals, a.parties), (&b.inputs, &b.reveals, b.parties));
        }
        assert_eq!(shallow.operators, garbled.operators);
        assert_eq!(shallow.layouts, garbled.layouts);
    }
}

#[test]
fn interactive_stages_are_written_layer_by_layer() {
    let lowered = lowered_in_rounds(&counts(3, 8));
    for stage in &lowered.stages {
        let depth = stage.program.stats().and_depth as usize;
        assert_eq!(stage.program.layers().gates().len(), depth);
    }
}

#[test]
fn every_party_chooses_the_same() {
    let [a, b] = [0, 1].map(|_| lowered(&counts(5, 12), Decompose::Yes));
    assert_eq!(a.stages, b.stages);
}
