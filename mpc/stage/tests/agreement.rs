//! Honest runs give what the clear evaluation gives.

use super::plans::{inputs_of, lone_stage, random_circuit, tree};
use super::{Inputs, agrees, own_inputs, party, reference, run};
use crate::mesh::{Frame, Kind};
use crate::session::{Params, Session};
use crate::sim::{Federation, Tamper};
use crate::stage::{SessionHost, execute};
use senate_circuit::samples::{SHA256_START, aes128, sha256_block};
use senate_circuit::{Bits, Builder, PartyId, PartySet, Word};

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
fn an_instruction_wider_than_a_chunk_agrees() {
    let lanes = (1 << 17) + 300;
    let mut b = Builder::new();
    let [x, y] = [(); 2].map(|()| b.input(&[lanes])[0]);
    let both = b.and(x, y);
    let sum = b.xor(both, x);
    let again = b.and(sum, y);
    b.output(&[again, both]);
    let plan = [lone_stage(PartySet::first(2), party(1), b.finish().unwrap())];
    agrees(2, &plan, &inputs_of(&plan, 6));
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
    // Stages of four party sets: fresh masks for what crosses, kept and new labels for what stays.
    let all: &[usize] = &[0, 1, 2, 3];
    let plan = tree(
        &[
            (&[0, 1], 0, &[0, 1], &[]),
            (&[1, 2], 1, &[1, 2], &[]),
            (&[0, 1, 2], 2, &[], &[0, 1]),
            (all, 3, &[3], &[]),
            (all, 0, &[], &[2, 3]),
        ],
        6,
    );
    let inputs = inputs_of(&plan, 7);
    let expected = reference(&plan, &inputs);
    let results = Federation::new(4, 5).run(|mesh, entropy| {
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

#[test]
fn sha_256_has_its_known_answer() {
    let mut b = Builder::new();
    let hash = SHA256_START.map(|word| b.constant_word(u128::from(word), 32, 1));
    let bundles = [5, 5, 6].map(|count| b.input(&vec![1; 32 * count]));
    let bits: Vec<_> = bundles.into_iter().flatten().collect();
    let block = std::array::from_fn(|k| Word::new(bits[32 * k..32 * k + 32].to_vec(), 1));
    let digest = sha256_block(&mut b, &hash, &block);
    let planes: Vec<_> = digest.iter().flat_map(|word| word.bits.clone()).collect();
    b.output(&planes);
    let program = b.finish().unwrap();
    let plan = [lone_stage(PartySet::first(3), party(1), program)];
    let mut message = [0u32; 16];
    (message[0], message[15]) = (u32::from_be_bytes(*b"abc\x80"), 24);
    let planes_of = |words: &[u32]| -> Bits {
        words.iter().flat_map(|word| (0..32).map(move |k| word >> k & 1 == 1)).collect()
    };
    let parts = [&message[..5], &message[5..10], &message[10..]];
    let inputs: Inputs = parts.into_iter().map(planes_of).enumerate().collect();
    let expected = planes_of(&[
        0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61,
        0xf20015ad,
    ]);
    assert!(reference(&plan, &inputs).values().all(|bits| *bits == expected));
    agrees(3, &plan, &inputs);
}

#[test]
fn a_stage_without_gates_or_lanes_agrees() {
    for lanes in [0, 1, 5] {
        let plan = [lone_stage(PartySet::first(3), party(0), random_circuit(1, 3, lanes, 0))];
        agrees(3, &plan, &inputs_of(&plan, 8));
    }
}

/// Who sent how many bytes of what to whom, in order.
#[derive(Default)]
struct Lengths(Vec<(PartyId, PartyId, Kind, usize)>, Vec<Vec<u8>>);

impl Tamper for Lengths {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        self.0.push((from, to, frame.kind, frame.payload.len()));
        self.1.push(frame.payload.clone());
        vec![frame]
    }
}

#[test]
fn transcripts_have_the_same_lengths_whatever_the_inputs() {
    let all: &[usize] = &[0, 1, 2];
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (all, 2, &[2], &[0])], 9);
    let transcripts = [1, 2].map(|seed| {
        let mut lengths = Lengths::default();
        let results = run(3, &plan, &inputs_of(&plan, seed), &mut lengths);
        assert!(results.iter().all(Result::is_ok));
        lengths
    });
    assert_eq!(transcripts[0].0, transcripts[1].0);
    assert_ne!(transcripts[0].1, transcripts[1].1);
}
