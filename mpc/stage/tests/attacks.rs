//! Cheating strategies: several messages changed together, or a corrupted party's own state.

use super::plans::{inputs_of, lone_stage, tree};
use super::{Inputs, party, reference, run};
use crate::auth::AuthBits;
use crate::error::{Error, Fault, Step};
use crate::mesh::{Frame, Kind};
use crate::pre::ideal::Dealer;
use crate::sim::{Federation, Tamper};
use crate::stage::ideal::IdealHost;
use crate::stage::{Child, FinishedStage, Host, Labels, Run, Wires, run_stage};
use senate_block::Block;
use senate_circuit::{Bits, Builder, PartyId, PartySet, Stage};
use std::collections::BTreeMap;

/// Flips bit 0 of the first message of each listed (sender, receiver, kind), and counts kinds.
#[derive(Default)]
struct Scheme {
    flips: Vec<(usize, usize, Kind)>,
    sent: BTreeMap<(PartyId, Kind), usize>,
}

impl Scheme {
    fn flipping(flips: &[(usize, usize, Kind)]) -> Self {
        Self { flips: flips.to_vec(), sent: BTreeMap::new() }
    }

    fn sent(&self, from: usize, kind: Kind) -> usize {
        self.sent.get(&(party(from), kind)).copied().unwrap_or(0)
    }
}

impl Tamper for Scheme {
    fn on_frame(&mut self, from: PartyId, to: PartyId, mut frame: Frame) -> Vec<Frame> {
        *self.sent.entry((from, frame.kind)).or_default() += 1;
        let listed = (from.index(), to.index(), frame.kind);
        if let Some(at) = self.flips.iter().position(|flip| *flip == listed) {
            self.flips.swap_remove(at);
            frame.payload[0] ^= 1;
        }
        vec![frame]
    }
}

/// One AND of one lane per party pair of inputs, evaluated by the last party.
fn one_gate(n: usize) -> (Vec<Stage>, Inputs) {
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..n).map(|_| b.input(&[1])[0]).collect();
    let product = b.and(inputs[0], inputs[1]);
    b.output(&[product]);
    let program = b.finish().unwrap();
    let plan = vec![lone_stage(PartySet::first(n), party(n - 1), program)];
    let inputs = inputs_of(&plan, 2);
    (plan, inputs)
}

#[test]
fn a_lying_colour_bit_fails_the_gate_check_when_all_garblers_are_corrupted() {
    // The garbler flips the colour bit and, for its own label hash, flips Λ back.
    let (plan, inputs) = one_gate(2);
    let mut scheme = Scheme::flipping(&[(0, 1, Kind::Color), (1, 0, Kind::Eval)]);
    let results = run(2, &plan, &inputs, &mut scheme);
    assert_eq!(results[1], Err(Error::unattributed(Fault::GateCheck)));
}

#[test]
fn a_lying_colour_bit_fails_an_honest_garblers_label_hash() {
    let (plan, inputs) = one_gate(3);
    let mut scheme = Scheme::flipping(&[(0, 2, Kind::Color), (2, 0, Kind::Eval)]);
    let results = run(3, &plan, &inputs, &mut scheme);
    assert_eq!(results[1], Err(Error::unattributed(Fault::LabelHash)));
}

#[test]
fn a_garbler_that_is_told_a_false_value_never_sends_its_share_of_the_check() {
    let (plan, inputs) = one_gate(3);
    let mut scheme = Scheme::flipping(&[(2, 0, Kind::Eval)]);
    let results = run(3, &plan, &inputs, &mut scheme);
    assert_eq!(results[0], Err(Error::unattributed(Fault::LabelHash)));
    assert_eq!(scheme.sent(0, Kind::Z), 0);
}

#[test]
fn an_equivocated_masked_input_fails_the_echo_before_any_label() {
    let (plan, inputs) = one_gate(3);
    let mut scheme = Scheme::flipping(&[(0, 1, Kind::Masked)]);
    let results = run(3, &plan, &inputs, &mut scheme);
    let fault = Err(Error::unattributed(Fault::Echo(Step::Input)));
    assert!(results[1] == fault || results[2] == fault);
    assert_eq!(scheme.sent(1, Kind::InputLabels), 0);
}

#[test]
fn a_range_check_of_zero_ends_everything_before_any_output() {
    for n in 2..5 {
        let (mut plan, mut inputs) = one_gate(n);
        let mut b = Builder::new();
        let bits: Vec<_> = (0..n).map(|_| b.input(&[1])[0]).collect();
        let product = b.and(bits[0], bits[1]);
        b.output(&bits);
        b.output(&[product]);
        plan[0].program = b.finish().unwrap();
        plan[0].ver = vec![senate_circuit::VerBit { bundle: 1 }];
        inputs.insert(0, Bits::repeat(true, 1));
        for holds in [true, false] {
            inputs.insert(1, Bits::repeat(holds, 1));
            let mut scheme = Scheme::default();
            let results = run(n, &plan, &inputs, &mut scheme);
            let expected = match holds {
                true => Ok(reference(&plan, &inputs)),
                false => Err(Error::unattributed(Fault::Ver)),
            };
            assert!(results.iter().all(|result| *result == expected));
            let sent = PartySet::first(n).iter().map(|p| scheme.sent(p.index(), Kind::OutputBits));
            assert_eq!(sent.sum::<usize>() > 0, holds);
        }
    }
}

/// Runs the child of `plan` and, after `change` of its result at each party, the parent.
fn run_pair(
    n: usize,
    plan: &[Stage],
    change: impl Fn(PartyId, &mut Wires),
) -> Vec<Result<FinishedStage, Error>> {
    let inputs = inputs_of(plan, 3);
    Federation::new(n, 12).run(|mesh, entropy| {
        let (inputs, change) = (&inputs, &change);
        async move {
            let me = mesh.me();
            let own = super::own_inputs(plan, inputs, me);
            let host = IdealHost::open(mesh, entropy, Dealer::new(4)).await?;
            let [child, parent] = plan else { panic!("two stages") };
            let mut wires = None;
            if child.parties.contains(me) {
                let context = host.context(child)?;
                let mut pre = host.preprocessing(child)?;
                let none = BTreeMap::new();
                let mut run = run_stage(&context, child, &mut pre, &own, none).await?;
                let mut carried = run.carry(0).unwrap();
                change(me, &mut carried);
                wires = Some(carried);
            }
            let at = parent.inputs.len() - 1;
            let Stage { parties, backend, evaluator, .. } = *child;
            let children = BTreeMap::from([(at, Child { parties, backend, evaluator, wires })]);
            let mut pre = host.preprocessing(parent)?;
            run_stage(&host.context(parent)?, parent, &mut pre, &own, children).await
        }
    })
}

/// The same shares with the share bit of one wire flipped, as a party would that lies about it.
fn with_lie(shares: &AuthBits, wire: usize) -> AuthBits {
    let lie = |plane: &Vec<Block>| {
        let mut plane = plane.clone();
        plane[wire] ^= Block::ONE;
        plane
    };
    let macs = shares.mac_planes().iter().map(lie).collect();
    AuthBits::from_planes(lie(&shares.d().to_vec()), macs).unwrap()
}

#[test]
fn a_lie_about_a_soldering_bit_is_caught_by_an_honest_member_of_the_child() {
    // Everybody is told the same false bit, so that echoes agree.
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (&[0, 1, 2], 1, &[2], &[0])], 5);
    for liar in [0, 1] {
        let results = run_pair(3, &plan, |me, wires| {
            if me == party(liar) {
                wires.masks = with_lie(&wires.masks, 3);
            }
        });
        let fault = Fault::OpenMac(Step::Solder);
        let honest = results[1 - liar].as_ref();
        assert_eq!(honest.err(), Some(&Error::unattributed(fault)), "liar {liar}");
    }
}

#[test]
fn a_false_carried_value_is_not_vouched_for_by_an_honest_member() {
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (&[0, 1, 2], 1, &[2], &[0])], 5);
    let results = run_pair(3, &plan, |me, wires| {
        if me == party(0) {
            wires.masked.set(2, !wires.masked.bit(2));
        }
    });
    let fault = Fault::Echo(Step::Solder);
    assert_eq!(results[2].as_ref().err(), Some(&Error::unattributed(fault)));
}

#[test]
fn a_new_evaluator_gets_labels_of_fresh_zero_labels() {
    let all: &[usize] = &[0, 1, 2];
    let plan = tree(&[(all, 1, all, &[]), (all, 2, &[0], &[0])], 5);
    let inputs = inputs_of(&plan, 3);
    let results = Federation::new(3, 12).run(|mesh, entropy| {
        let (plan, inputs) = (&plan, &inputs);
        async move {
            let me = mesh.me();
            let own = super::own_inputs(plan, inputs, me);
            let host = IdealHost::open(mesh, entropy, Dealer::new(4)).await?;
            let (child, parent) = (&plan[0], &plan[1]);
            let mut pre = host.preprocessing(child)?;
            let context = host.context(child)?;
            let mut run = run_stage(&context, child, &mut pre, &own, BTreeMap::new()).await?;
            let carried = run.carry(0).unwrap();
            let (old, masked) = (carried.labels.clone(), carried.masked.clone());
            let wires = Some(carried);
            let Stage { parties, backend, evaluator, .. } = *child;
            let child = Child { parties, backend, evaluator, wires };
            let context = host.context(parent)?;
            let mut pre = host.preprocessing(parent)?;
            let run = Run::new(&context, parent)?;
            let children = BTreeMap::from([(1, child)]);
            let (mut entered, _) = crate::solder::cross(&run, &mut pre, children).await?;
            let new = entered.remove(&1).unwrap();
            assert!(new.masked == masked);
            Ok((old, new.labels.clone()))
        }
    });
    let labels: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    let (Labels::Zero(old), Labels::Zero(new)) = &labels[0] else { panic!("party 0 garbles") };
    assert_eq!(old.len(), new.len());
    assert!(old.iter().zip(new).all(|(old, new)| old != new));
    let delta = Dealer::new(4).delta(party(0)).block();
    let Labels::Active(active) = &labels[2].1 else { panic!("party 2 evaluates") };
    assert!(active[0].iter().zip(new).all(|(l, zero)| *l == *zero || *l == *zero ^ delta));
    assert!(active[0].iter().zip(old).all(|(l, zero)| *l != *zero && *l != *zero ^ delta));
}

#[test]
fn a_corrupted_child_can_only_substitute_its_result() {
    // All of C agree on another Λ: the honest outsider computes on that value, which Ver binds.
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (&[0, 1, 2], 1, &[2], &[0])], 5);
    let inputs = inputs_of(&plan, 3);
    for lie in [false, true] {
        let results = run_pair(3, &plan, |me, wires| {
            let substituted = lie && me != party(2);
            wires.masked.set(2, wires.masked.bit(2) ^ substituted);
        });
        let runs: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        let mut opened = runs[2].output(0).unwrap().masked.clone();
        for run in &runs {
            opened.xor_assign(&run.output(0).unwrap().masks.share_bits());
        }
        let mut carried = plan[0].program.evaluate(&[inputs[&0].clone(), inputs[&1].clone()]);
        let carried = &mut carried.as_mut().unwrap()[0];
        carried.set(2, carried.bit(2) ^ lie);
        let own = inputs[&2].clone();
        let expected = plan[1].program.evaluate(&[own, carried.clone()]).unwrap();
        assert!(opened == expected[0], "lie: {lie}");
    }
}
