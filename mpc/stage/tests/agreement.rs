//! Honest runs give what the clear evaluation gives.

use super::plans::{inputs_of, lone_stage, random_circuit};
use super::{Inputs, agrees, own_inputs, party, reference};
use crate::session::{Params, Session};
use crate::sim::Federation;
use crate::stage::{SessionHost, execute};
use senate_circuit::samples::aes128;
use senate_circuit::{Bits, Builder, PartySet};

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

#[test]
fn aes_128_has_its_known_answer() {
    let byte_planes = |bytes: [u8; 16]| -> Bits {
        (0..8).flat_map(|bit| bytes.map(|byte| byte >> bit & 1 == 1)).collect()
    };
    let mut b = Builder::new();
    let (key, block) = (b.input_word(8, 16), b.input_word(8, 16));
    let cipher = aes128(&mut b, &key, &block);
    b.output(&cipher.bits);
    let program = b.finish().unwrap();
    let plan = [lone_stage(PartySet::first(2), party(1), program)];
    let key = std::array::from_fn(|i| i as u8);
    let block = std::array::from_fn(|i| (i * 0x11) as u8);
    let inputs = Inputs::from([(0, byte_planes(key)), (1, byte_planes(block))]);
    let expected = byte_planes(0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes());
    assert!(reference(&plan, &inputs).values().all(|bits| *bits == expected));
    agrees(2, &plan, &inputs);
}

#[test]
fn preprocessing_by_the_parties_agrees_too() {
    let program = random_circuit(3, 3, 20, 12);
    let plan = [lone_stage(PartySet::first(3), party(0), program)];
    let inputs = inputs_of(&plan, 7);
    let expected = reference(&plan, &inputs);
    let results = Federation::new(3, 5).run(|mesh, entropy| {
        let (plan, inputs) = (&plan, &inputs);
        async move {
            let session = Session::open(mesh, Params::new([4; 32]), entropy).await?;
            session.bind(&[5; 32]).await?;
            let own = own_inputs(plan, inputs, session.me());
            execute(&SessionHost::new(session, plan)?, plan, &own).await
        }
    });
    assert!(results.into_iter().all(|result| result.unwrap() == expected));
}
