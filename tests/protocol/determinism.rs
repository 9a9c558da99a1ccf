//! A seed fixes every byte that is sent, whatever the number of threads; nothing else does.

use crate::protocol::plans::{
    inputs_of, lone_stage, on_backends, party, random_circuit, sweep_plan, sweep_plan_in_rounds,
};
use crate::protocol::runs::record;
use senate_circuit::{Backend, PartySet, Stage};
use senate_mpc::sim::Federation;
use senate_mpc::{Params, Session};

fn digest(n: usize, seed: u64, plan: &[Stage]) -> [u8; 32] {
    record(n, seed, plan, &inputs_of(plan, 1)).1.digest()
}

#[test]
fn the_same_seed_gives_the_same_transcript() {
    for plan in [sweep_plan(), sweep_plan_in_rounds()] {
        assert_eq!(digest(3, 4, &plan), digest(3, 4, &plan));
    }
}

#[test]
fn another_seed_gives_another_transcript_and_the_same_answer() {
    let plan = sweep_plan();
    let inputs = inputs_of(&plan, 1);
    let (one, other) = (record(3, 4, &plan, &inputs), record(3, 5, &plan, &inputs));
    assert_eq!(one.0, other.0);
    assert_ne!(one.1.digest(), other.1.digest());
    // Nothing that hides a secret repeats: all that is equal is empty, short or a constant.
    let long = |payload: &Vec<u8>| payload.len() >= 16;
    let known: std::collections::BTreeSet<_> =
        one.1.0.iter().map(|frame| &frame.4).filter(|payload| long(payload)).collect();
    assert!(other.1.0.iter().all(|frame| !long(&frame.4) || !known.contains(&frame.4)));
}

#[test]
fn the_number_of_threads_does_not_matter() {
    // Enough lanes that kernels split their work: several tiles, chunks and epochs.
    let plan = vec![lone_stage(PartySet::first(3), party(1), random_circuit(9, 3, 9_000, 12))];
    for backend in [Backend::Garbled, Backend::Interactive] {
        let plan = on_backends(plan.clone(), [backend]);
        let digests = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| digest(3, 4, &plan))
        });
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    }
}

#[test]
fn a_session_id_depends_on_every_nonce_and_on_what_it_is_bound_to() {
    let id = |seed: u64, bound: u8| {
        let ids = Federation::new(2, seed).run(async |mesh, entropy| {
            let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
            let open = session.id();
            session.bind(&[bound; 32]).await?;
            Ok((open.0, session.id().0))
        });
        let ids: Vec<_> = ids.into_iter().map(Result::unwrap).collect();
        assert_eq!(ids[0], ids[1]);
        ids[0]
    };
    let (one, two, three) = (id(1, 1), id(1, 2), id(2, 1));
    assert!(one.0 == two.0 && one.1 != two.1);
    assert!(one.0 != three.0 && one.1 != three.1 && one.0 != one.1);
}
