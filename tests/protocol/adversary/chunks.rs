//! Messages in the middle of a stage of several chunks: the same kind came before and comes after.

use super::oracle::{Verdict, expected, holds};
use super::parallel::each;
use super::scenario::{Ends, PARTIES, everybody};
use crate::protocol::plans::{Inputs, inputs_of, lone_stage, own_inputs, party, reference};
use senate_circuit::{Builder, PartyId, PartySet, Program, Stage};
use senate_mpc::pre::ideal::Dealer;
use senate_mpc::sim::{Action, Federation, Honest, Tamper, Tampering, Target};
use senate_mpc::stage::ideal::IdealHost;
use senate_mpc::{Kind, execute};

/// Three ANDs of 2^14 lanes, a chunk each; eight lanes of the last are the output.
fn three_chunks() -> Program {
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..PARTIES).map(|_| b.input(&[1 << 14])[0]).collect();
    let mut plane = b.xor(inputs[0], inputs[2]);
    for round in 0..3 {
        let other = b.xor(plane, inputs[(round + 1) % PARTIES]);
        let other = b.not(other);
        plane = b.and(plane, other);
    }
    let some = b.slice(plane, 40, 8);
    b.output(&[some]);
    b.finish().unwrap()
}

fn run(plan: &[Stage], inputs: &Inputs, tamper: &mut dyn Tamper) -> Ends {
    Federation::new(PARTIES, 7).run_tampered(tamper, async |mesh, entropy| {
        let own = own_inputs(plan, inputs, mesh.me());
        execute(&IdealHost::open(mesh, entropy, Dealer::new(4)).await?, plan, &own).await
    })
}

/// What may follow when the next message of the kind is read in the place of the changed one.
fn verdicts(target: &Target, action: Action) -> Vec<Verdict> {
    match action {
        Action::Drop => [expected(target, Action::Zero), expected(target, action)].concat(),
        Action::Duplicate | Action::SwapWithNext | Action::Replay => expected(target, Action::Zero),
        _ => expected(target, action),
    }
}

#[test]
fn a_changed_message_in_the_middle_of_a_stage_is_caught() {
    let plan = [lone_stage(PartySet::first(PARTIES), party(1), three_chunks())];
    let inputs = inputs_of(&plan, 6);
    let right = |ends: &Ends, party: PartyId| {
        ends[party.index()].as_ref() == Ok(&reference(&plan, &inputs, party))
    };
    let ends = run(&plan, &inputs, &mut Honest);
    assert!(everybody().all(|party| right(&ends, party)));
    let mut cells = Vec::new();
    for kind in [Kind::BeaverBits, Kind::Table, Kind::Color, Kind::Eval] {
        for from in everybody() {
            let to = PartySet::first(PARTIES).without(from);
            let target = Target { from, to, kind, skip: 1 };
            cells.extend(Action::ALL.map(|action| (target, action)));
        }
    }
    let hits = each(&cells, |(target, action)| {
        let mut tamper = Tampering::new(*target, *action);
        let ends = run(&plan, &inputs, &mut tamper);
        let verdicts = verdicts(target, *action);
        let right = |party| right(&ends, party);
        let held = verdicts.iter().any(|verdict| holds(*verdict, target, &ends, right));
        assert!(tamper.hits == 0 || held, "{target:?} {action:?}: {ends:?}");
        tamper.hits
    });
    let hits: Vec<_> = hits.into_iter().map(Result::unwrap).collect();
    // Of each kind: three, two, one and one sender.
    assert_eq!(hits.iter().filter(|hits| **hits > 0).count(), 7 * Action::ALL.len());
}
