//! The protocol computes what the circuit computes in the clear (PROTOCOL.md §12.1): any number of
//! parties, any evaluator, any tree of party sets, with preprocessing made by the parties.

use crate::protocol::plans::{
    Inputs, Noise, inputs_of, lone_stage, on_backends, own_inputs, party, random_circuit,
    reference, set_of, tree,
};
use proptest::prelude::{ProptestConfig, any, proptest};
use senate_circuit::samples::{SHA256_START, aes128, sha256_block};
use senate_circuit::{Backend, Bits, Builder, PartySet, Program, Stage, Word};
use senate_mpc::sim::Federation;
use senate_mpc::{Params, Session, SessionHost, execute};

/// Runs `plan` among `n` parties and compares what every party learns with the clear evaluation.
fn agrees(n: usize, plan: &[Stage], inputs: &Inputs) {
    let results = Federation::new(n, 11).run(async |mesh, entropy| {
        let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[5; 32]).await?;
        let own = own_inputs(plan, inputs, session.me());
        execute(&SessionHost::new(session, plan)?, plan, &own).await
    });
    for (index, result) in results.into_iter().enumerate() {
        assert_eq!(result.unwrap(), reference(plan, inputs, party(index)), "party {index} of {n}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_of_every_instruction_agree(
        seed in any::<u64>(), n in 2usize..6, e in 0usize..5, lanes in 1u32..80, steps in 0usize..40,
    ) {
        let program = random_circuit(seed, n, lanes, steps);
        let plan = vec![lone_stage(PartySet::first(n), party(e % n), program)];
        let plan = on_backends(plan, random_backends(&mut Noise::new(seed)));
        agrees(n, &plan, &inputs_of(&plan, seed));
    }

    #[test]
    fn random_trees_of_party_sets_agree(seed in any::<u64>(), n in 3usize..6, lanes in 1u32..20) {
        let mut noise = Noise::new(seed);
        let plan = random_tree(&mut noise, n, lanes);
        let plan = on_backends(plan, random_backends(&mut noise));
        agrees(n, &plan, &inputs_of(&plan, seed));
    }
}

fn random_backends(noise: &mut Noise) -> impl Iterator<Item = Backend> {
    std::iter::repeat_with(|| match noise.below(2) {
        0 => Backend::Garbled,
        _ => Backend::Interactive,
    })
}

/// Two to four stages: pairs and larger sets that the last one, of everybody, joins.
fn random_tree(noise: &mut Noise, n: usize, lanes: u32) -> Vec<Stage> {
    let mut nodes = Vec::new();
    let mut open: Vec<(u32, Vec<usize>)> = Vec::new();
    for number in 0..1 + noise.below(3) {
        let mut members: Vec<usize> = (0..n).filter(|_| noise.below(2) == 1).collect();
        let mut children = Vec::new();
        if let Some((child, carried)) = open.pop_if(|_| noise.below(2) == 1) {
            children.push(child);
            members.extend(carried);
        }
        members.extend([noise.below(n), noise.below(n - 1)]);
        members.sort_unstable();
        members.dedup();
        if members.len() < 2 {
            members = vec![0, n - 1];
        }
        let evaluator = members[noise.below(members.len())];
        let owners = members.clone();
        open.push((number as u32, members.clone()));
        nodes.push((members, evaluator, owners, children));
    }
    let everybody: Vec<usize> = (0..n).collect();
    let children = open.into_iter().map(|(number, _)| number).collect();
    nodes.push((everybody, noise.below(n), vec![noise.below(n)], children));
    tree(&nodes, lanes)
}

#[test]
fn a_pair_enters_a_larger_set_whoever_evaluates() {
    for (child, parent) in [(0, 0), (1, 1), (0, 2), (1, 0)] {
        let nodes =
            [(vec![0, 1], child, vec![0, 1], vec![]), (vec![0, 1, 2], parent, vec![2], vec![0])];
        let plan = tree(&nodes, 9);
        agrees(3, &plan, &inputs_of(&plan, 1));
    }
}

#[test]
fn an_equal_set_keeps_its_labels_or_changes_its_evaluator() {
    for parent in 0..3 {
        let all = vec![0, 1, 2];
        let nodes =
            [(all.clone(), 1, all.clone(), vec![]), (all.clone(), parent, vec![0], vec![0])];
        let plan = tree(&nodes, 9);
        agrees(3, &plan, &inputs_of(&plan, 2));
    }
}

#[test]
fn nothing_is_dealt_in_a_real_session_of_any_size() {
    for n in 2..6 {
        let plan = vec![lone_stage(PartySet::first(n), party(n - 1), random_circuit(7, n, 20, 12))];
        let backend = if n % 2 == 0 { Backend::Garbled } else { Backend::Interactive };
        let plan = on_backends(plan, [backend]);
        let inputs = inputs_of(&plan, 7);
        let (plan, inputs) = (&plan, &inputs);
        let results = Federation::new(n, 5).run(async |mesh, entropy| {
            let session = Session::open(mesh, Params::new([4; 32]), entropy).await?;
            session.bind(&[5; 32]).await?;
            let own = own_inputs(plan, inputs, session.me());
            execute(&SessionHost::new(session, plan)?, plan, &own).await
        });
        for (index, result) in results.into_iter().enumerate() {
            assert_eq!(result.unwrap(), reference(plan, inputs, party(index)));
        }
    }
}

/// A stage of two parties, the first owning the first input bundle and so on.
fn pair(program: Program) -> [Stage; 1] {
    [lone_stage(set_of(&[0, 1]), party(1), program)]
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
    let plan = pair(b.finish().unwrap());
    let key = byte_planes(std::array::from_fn(|i| i as u8));
    let block = byte_planes(std::array::from_fn(|i| (i * 0x11) as u8));
    let inputs = Inputs::from([(0, key), (1, block)]);
    let expected = byte_planes(0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes());
    assert!(reference(&plan, &inputs, party(0)).values().all(|bits| *bits == expected));
    agrees(2, &plan, &inputs);
}

#[test]
fn sha_256_has_its_known_answer() {
    let mut b = Builder::new();
    // "abc", padded: the first party owns the first word, the second one the other fifteen.
    let first = b.input_word(32, 1);
    let rest: Vec<_> = b.input(&[1; 15 * 32]);
    let words = rest.chunks(32).map(|bits| Word::new(bits.to_vec(), 1));
    let mut words = std::iter::once(first).chain(words);
    let block: [Word; 16] = std::array::from_fn(|_| words.next().unwrap());
    let start = SHA256_START.map(|word| b.constant_word(u128::from(word), 32, 1));
    let hash = sha256_block(&mut b, &start, &block);
    let planes: Vec<_> = hash.iter().flat_map(|word| word.bits.clone()).collect();
    b.output(&planes);
    let plan = pair(b.finish().unwrap());
    let bits = |words: &[u32]| -> Bits {
        words.iter().flat_map(|word| (0..32).map(move |bit| word >> bit & 1 == 1)).collect()
    };
    let mut rest = [0; 15];
    rest[14] = 24;
    let inputs = Inputs::from([(0, bits(&[0x6162_6380])), (1, bits(&rest))]);
    let expected = bits(&[
        0xba78_16bf,
        0x8f01_cfea,
        0x4141_40de,
        0x5dae_2223,
        0xb003_61a3,
        0x9617_7a9c,
        0xb410_ff61,
        0xf200_15ad,
    ]);
    assert!(reference(&plan, &inputs, party(1)).values().all(|bits| *bits == expected));
    agrees(2, &plan, &inputs);
}
