//! Every message of a stage, tampered with in every way by every sender: honest parties end with
//! the right answer or with the fault of the check that this message is under.

use super::plans::{inputs_of, tree};
use super::{Inputs, party, reference, run};
use crate::error::{Error, Fault, Step};
use crate::mesh::Kind;
use crate::release::Outputs;
use crate::sim::{Action, Tampering, Target};
use senate_circuit::{PartyId, PartySet, Stage};

const PARTIES: usize = 3;

/// The kinds of messages of stages and their release, with the checks that judge their contents.
/// The first is the one that must catch a flipped bit, where `Exact`.
const CHECKS: &[(Kind, Strictness, &[Fault])] = &[
    (Kind::BeaverBits, Strictness::Any, &[Fault::OpenMac(Step::Beaver), LABELS, Fault::GateCheck]),
    (Kind::BeaverMacs, Strictness::Exact, &[Fault::OpenMac(Step::Beaver)]),
    (Kind::Table, Strictness::Any, &[LABELS, Fault::GateCheck]),
    (Kind::Color, Strictness::Any, &[LABELS, Fault::GateCheck]),
    (Kind::InputBits, Strictness::Exact, &[Fault::OpenMac(Step::Input)]),
    (Kind::InputChi, Strictness::Any, &[]),
    (Kind::InputMacs, Strictness::Exact, &[Fault::OpenMac(Step::Input)]),
    (Kind::Masked, Strictness::Exact, &[Fault::Echo(Step::Input)]),
    (Kind::InputEcho, Strictness::Exact, &[Fault::Echo(Step::Input)]),
    (Kind::InputLabels, Strictness::Any, &[LABELS, Fault::GateCheck]),
    (Kind::Eval, Strictness::Exact, &[LABELS]),
    (Kind::Z, Strictness::Exact, &[Fault::GateCheck]),
    (Kind::SolderBits, Strictness::Exact, &[Fault::Echo(Step::Solder)]),
    (Kind::Lambda, Strictness::Exact, &[Fault::Echo(Step::Solder)]),
    (Kind::LambdaHash, Strictness::Exact, &[Fault::Echo(Step::Solder)]),
    (Kind::SolderEcho, Strictness::Exact, &[Fault::Echo(Step::Solder)]),
    (Kind::SolderLabels, Strictness::Any, &[LABELS, Fault::GateCheck]),
    (Kind::SolderMacs, Strictness::Exact, &[Fault::OpenMac(Step::Solder)]),
    (Kind::VerBits, Strictness::Exact, &[Fault::OpenMac(Step::Ver)]),
    (Kind::VerMacs, Strictness::Exact, &[Fault::OpenMac(Step::Ver)]),
    (Kind::OutputBits, Strictness::Exact, &[Fault::OpenMac(Step::Output)]),
    (Kind::OutputChi, Strictness::Any, &[]),
    (Kind::OutputMacs, Strictness::Exact, &[Fault::OpenMac(Step::Output)]),
    (Kind::Done, Strictness::Any, &[]),
];

const LABELS: Fault = Fault::LabelHash;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// A flipped first bit is caught by exactly this check.
    Exact,
    /// Which check sees a change first depends on values.
    Any,
}

struct Scene {
    plan: Vec<Stage>,
    inputs: Inputs,
    expected: Outputs,
}

impl Scene {
    /// A pair whose result enters a stage of three, which changes its evaluator.
    fn new() -> Self {
        let all: &[usize] = &[0, 1, 2];
        let plan =
            tree(&[(&[0, 1], 1, &[0, 1], &[]), (all, 2, &[2], &[0]), (all, 0, &[], &[1])], 9);
        let inputs = inputs_of(&plan, 1);
        let expected = reference(&plan, &inputs);
        Self { plan, inputs, expected }
    }

    /// Runs with one message changed; `None` when there was no such message to change.
    fn tampered(
        &self,
        target: Target,
        action: Action,
    ) -> Option<Vec<(PartyId, Result<Outputs, Error>)>> {
        let mut tamper = Tampering::new(target, action);
        let results = run(PARTIES, &self.plan, &self.inputs, &mut tamper);
        let honest = results.into_iter().enumerate().map(|(at, result)| (party(at), result));
        let honest = honest.filter(|(party, _)| *party != target.from).collect();
        (tamper.hits > 0).then_some(honest)
    }

    fn judge(&self, target: Target, action: Action, faults: &[Fault]) -> bool {
        let Some(honest) = self.tampered(target, action) else { return false };
        for (victim, result) in &honest {
            match result {
                Ok(outputs) => assert_eq!(*outputs, self.expected, "{target:?} {action:?}"),
                Err(Error::Cheating { party: blamed, fault }) => {
                    let known = faults.contains(fault) || *fault == Fault::Malformed(target.kind);
                    assert!(known, "{target:?} {action:?} gave {fault:?} at {victim}");
                    let wrongly = blamed.is_some_and(|blamed| blamed != target.from);
                    assert!(!wrongly, "{target:?} {action:?} blames {blamed:?}");
                }
                Err(Error::Lost { .. } | Error::Aborted { .. }) => {}
                Err(Error::Misuse(why)) => panic!("{target:?} {action:?}: {why}"),
            }
        }
        true
    }
}

#[test]
fn no_tampering_gives_a_wrong_answer_or_blames_the_innocent() {
    let scene = Scene::new();
    for (kind, _, faults) in CHECKS {
        let mut changed = 0;
        for from in PartySet::first(PARTIES).iter() {
            let others = PartySet::first(PARTIES).without(from);
            for action in Action::ALL {
                for to in others.iter().map(PartySet::only).chain([others]) {
                    for skip in 0..2 {
                        let target = Target { from, to, kind: *kind, skip };
                        changed += usize::from(scene.judge(target, action, faults));
                    }
                }
            }
        }
        assert!(changed > 0, "{kind:?} is never sent");
    }
}

#[test]
fn a_flipped_bit_is_caught_by_its_own_check() {
    let scene = Scene::new();
    let exact = CHECKS.iter().filter(|(_, strictness, _)| *strictness == Strictness::Exact);
    for (kind, _, faults) in exact {
        for from in PartySet::first(PARTIES).iter() {
            let to = PartySet::first(PARTIES).without(from);
            let target = Target { from, to, kind: *kind, skip: 0 };
            let Some(honest) = scene.tampered(target, Action::FlipBit(0)) else { continue };
            let caught = honest.iter().any(|(_, result)| {
                matches!(result, Err(Error::Cheating { fault, .. }) if faults.first() == Some(fault))
            });
            assert!(caught, "{kind:?} from {from}: {honest:?}");
        }
    }
}

#[test]
fn a_message_of_another_size_is_its_senders_fault() {
    let scene = Scene::new();
    for (kind, _, _) in CHECKS {
        for from in PartySet::first(PARTIES).iter() {
            let to = PartySet::first(PARTIES).without(from);
            let target = Target { from, to, kind: *kind, skip: 0 };
            let Some(honest) = scene.tampered(target, Action::Extend) else { continue };
            let fault = Err(Error::by(from, Fault::Malformed(*kind)));
            assert!(honest.iter().any(|(_, result)| *result == fault), "{kind:?} from {from}");
        }
    }
}
