//! The sweep and the coalitions in plans with interactive stages (PROTOCOL.md §9), for the kinds that
//! stages send: what comes before is the same for every plan.

use super::oracle::{Verdict, expected_in_rounds};
use super::parallel::each;
use super::scenario::{BaseOt, PARTIES, Scenario, everybody, honest};
use super::strategies::Coalition;
use super::sweep::{Cell, Outcome, assert_swept_by, cells_of, first_to_all};
use crate::protocol::plans::{on_backends, plan_of_four, plan_of_two};
use senate_circuit::{Backend, PartySet};
use senate_mpc::sim::{Action, Tampering, Target};
use senate_mpc::{Error, Fault, Kind, Step};

use Backend::{Garbled, Interactive};

/// Kinds of stages and their release.
fn of_stages(kind: Kind) -> bool {
    kind.code() >= Kind::BeaverBits.code() && kind.code() < Kind::Abort.code()
}

fn caught(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Some(Verdict::Caught(_)))).count()
}

#[test]
fn every_changed_message_of_a_plan_in_rounds_is_caught_or_harmless() {
    let scenario = Scenario::in_rounds();
    let census = scenario.census(BaseOt::Dealt);
    let kinds = Kind::ALL.iter().filter(|kind| of_stages(**kind));
    let cells: Vec<_> = kinds.flat_map(|kind| cells_of(*kind, &census)).collect();
    let outcomes = assert_swept_by(&scenario, BaseOt::Dealt, expected_in_rounds, &cells);
    for kind in [Kind::Layer, Kind::LayerMacs] {
        let of_kind = cells.iter().zip(&outcomes).filter(|((target, _), _)| target.kind == kind);
        let fault = Fault::OpenMac(Step::Interactive);
        let found = |verdict| of_kind.clone().any(|(_, outcome)| *outcome == Some(verdict));
        assert!(found(Verdict::Caught(Error::unattributed(fault))), "{kind:?}");
        for from in everybody() {
            assert!(found(Verdict::Caught(Error::Lost { party: from })), "{kind:?} of {from}");
            let malformed = Error::by(from, Fault::Malformed(kind));
            assert!(found(Verdict::Caught(malformed)), "{kind:?} of {from}");
        }
    }
}

#[test]
fn changes_in_rounds_are_caught_among_two_and_among_four_as_well() {
    let two = on_backends(plan_of_two(), [Interactive, Garbled]);
    let four = on_backends(plan_of_four(), [Interactive, Garbled, Interactive]);
    for (parties, plan) in [(2, two), (4, four)] {
        let scenario = Scenario::of(parties, plan);
        let mut cells: Vec<Cell> = first_to_all(&scenario.census(BaseOt::Dealt));
        cells.retain(|(target, _)| of_stages(target.kind));
        assert!(cells.iter().any(|(target, _)| target.kind == Kind::Layer));
        let outcomes = assert_swept_by(&scenario, BaseOt::Dealt, expected_in_rounds, &cells);
        assert!(caught(&outcomes) * 4 > cells.len() * 3);
    }
}

#[test]
fn all_but_one_cannot_make_the_last_accept_a_wrong_answer_in_rounds() {
    let scenario = Scenario::in_rounds();
    let actions = [Action::FlipBit(0), Action::Zero, Action::Random, Action::Replay];
    let mut cells = Vec::new();
    for kind in [Kind::BeaverBits, Kind::BeaverMacs, Kind::Layer, Kind::LayerMacs] {
        for victim in everybody() {
            for skip in 0..2 {
                cells.extend(actions.map(|action| (kind, victim, skip, action)));
            }
        }
    }
    let ends = each(&cells, |(kind, victim, skip, action)| {
        let to = PartySet::only(*victim);
        let target = |from| Target { from, to, kind: *kind, skip: *skip };
        let changes = honest(*victim).iter().map(|from| Tampering::new(target(from), *action));
        let mut coalition = Coalition(changes.collect());
        let ends = scenario.run(BaseOt::Dealt, &mut coalition);
        (coalition.0.iter().map(|tampering| tampering.hits).sum::<usize>(), ends)
    });
    let mut accepted = 0;
    for ((kind, victim, skip, action), end) in cells.iter().zip(ends) {
        let (hits, ends) = end.unwrap_or_else(|panic| panic!("{kind:?} {action:?}: {panic}"));
        assert_eq!(ends.len(), PARTIES);
        let end = &ends[victim.index()];
        if let Ok(outputs) = end {
            let what = format!("{kind:?} {skip} {action:?} at {victim}");
            assert_eq!(outputs, &scenario.reference(*victim), "{what}");
            accepted += usize::from(hits > 0);
        }
    }
    // Two equal lies cancel out: what is opened is a sum, and so is what is checked.
    assert!(accepted < cells.len() / 4, "{accepted} of {}", cells.len());
}
