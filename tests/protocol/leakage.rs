//! What can be seen does not depend on what is secret: the shape of a transcript is that of the
//! plan, opened bits are coin flips, and a failing zero test shows nothing but its failure.

use crate::protocol::plans::{Inputs, inputs_of, party, sweep_plan, sweep_plan_in_rounds};
use crate::protocol::runs::record;
use senate_circuit::{Allowance, BatchShape, Bits, PartyId, Stage};
use senate_mpc::pre::batch::triple_batch;
use senate_mpc::sim::{Federation, Tamper};
use senate_mpc::{Error, Fault, Frame, Kind, Lane, Params, Session};
use std::collections::BTreeMap;

fn constant_inputs(plan: &[Stage], bit: bool) -> Inputs {
    let inputs = inputs_of(plan, 0).into_iter();
    inputs.map(|(slot, bits)| (slot, Bits::repeat(bit, bits.len()))).collect()
}

#[test]
fn order_and_sizes_of_all_messages_are_those_of_the_plan() {
    for plan in [sweep_plan(), sweep_plan_in_rounds()] {
        let shape = |inputs: &Inputs| record(3, 4, &plan, inputs).1.shape();
        let zero = shape(&constant_inputs(&plan, false));
        assert_eq!(zero, shape(&constant_inputs(&plan, true)));
        assert_eq!(zero, shape(&inputs_of(&plan, 8)));
    }
}

#[test]
fn until_an_input_is_masked_nothing_depends_on_it() {
    let plan = sweep_plan();
    let zero = record(3, 4, &plan, &constant_inputs(&plan, false)).1;
    let one = record(3, 4, &plan, &constant_inputs(&plan, true)).1;
    let differing: Vec<_> = zero.0.iter().zip(&one.0).filter(|(a, b)| a != b).collect();
    assert!(!differing.is_empty());
    assert_eq!(differing[0].0.3, Kind::Masked);
}

/// Whether `ones` of `total` is within five standard deviations of one half.
fn balanced(ones: usize, total: usize) -> bool {
    let deviation = (ones as f64 - total as f64 / 2.0).abs();
    deviation < 2.5 * (total as f64).sqrt()
}

/// Every opened bit of a layer is under a factor of a triple of its own.
#[test]
fn bits_of_layers_are_balanced_whatever_the_inputs() {
    let plan = sweep_plan_in_rounds();
    for bit in [false, true] {
        let mut counts: BTreeMap<PartyId, (usize, usize)> = BTreeMap::new();
        for seed in 0..60 {
            let (_, transcript) = record(3, seed, &plan, &constant_inputs(&plan, bit));
            for (from, to, payload) in transcript.payloads(Kind::Layer) {
                // The first layer has 9 gates: two bytes without spare bits, once per sender.
                if payload.len() == 3 && to == party(if from == party(0) { 1 } else { 0 }) {
                    let (ones, total) = counts.entry(from).or_default();
                    let whole = &payload[..2];
                    *ones += whole.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
                    *total += 16;
                }
            }
        }
        assert_eq!(counts.len(), 3);
        for (from, (ones, total)) in counts {
            assert!(balanced(ones, total), "{from}: {ones} of {total}");
        }
    }
}

#[test]
fn opened_and_masked_bits_are_balanced_whatever_the_inputs() {
    let plan = sweep_plan();
    // Bundles of the plan fill whole bytes, so that every bit is somebody's.
    let kinds = [Kind::Masked, Kind::InputBits, Kind::SolderBits, Kind::Lambda, Kind::OutputBits];
    for bit in [false, true] {
        let mut counts: BTreeMap<(Kind, PartyId), (usize, usize)> = BTreeMap::new();
        for seed in 0..60 {
            let (_, transcript) = record(3, seed, &plan, &constant_inputs(&plan, bit));
            for kind in kinds {
                for (from, _, payload) in transcript.payloads(kind) {
                    let (ones, total) = counts.entry((kind, from)).or_default();
                    *ones += payload.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
                    *total += payload.len() * 8;
                }
            }
        }
        assert!(counts.len() >= 11, "{counts:?}");
        for (what, (ones, total)) in counts {
            // A message to several receivers counts several times.
            assert!(balanced(ones / 2, total / 2), "{what:?}: {ones} of {total}");
        }
    }
}

/// Flips one bit of P1's opened products and keeps what everybody shows in the zero test.
#[derive(Default)]
struct WrongProduct {
    shown: BTreeMap<PartyId, Vec<u8>>,
}

impl Tamper for WrongProduct {
    fn on_frame(&mut self, from: PartyId, _: PartyId, mut frame: Frame) -> Vec<Frame> {
        if frame.kind == Kind::LaandD && from == party(0) {
            frame.payload[0] ^= 1;
        }
        if frame.kind == Kind::ZeroOpen {
            let (_, v) = frame.payload.split_at(32);
            self.shown.insert(from, v.to_vec());
        }
        vec![frame]
    }
}

#[test]
fn a_failing_zero_test_shows_uniform_values() {
    let runs = 150;
    let mut ones = vec![0usize; 128];
    for seed in 0..runs {
        let mut tamper = WrongProduct::default();
        let ends = Federation::new(3, seed).run_tampered(&mut tamper, async |mesh, entropy| {
            let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
            let bench = session.workbench(session.parties(), Lane::supply(0, 0))?;
            triple_batch(&bench, 0, BatchShape::cheapest(8, Allowance::whole(40))).await.map(|_| ())
        });
        assert!(ends.contains(&Err(Error::unattributed(Fault::ZeroTest))));
        assert_eq!(tamper.shown.len(), 3);
        // What is shown in total: α·ρ with ρ unknown to any two.
        for (bit, count) in ones.iter_mut().enumerate() {
            let at = |v: &Vec<u8>| v[bit / 8] >> (bit % 8) & 1 == 1;
            *count += usize::from(tamper.shown.values().fold(false, |sum, v| sum ^ at(v)));
        }
    }
    let total: usize = ones.iter().sum();
    assert!(balanced(total, 128 * runs as usize), "{total}");
    assert!(ones.iter().all(|count| balanced(*count, runs as usize)), "{ones:?}");
}
