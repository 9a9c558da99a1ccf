//! The order of the release, and what a failure leaves behind.

use super::plans::{inputs_of, tree};
use super::{Inputs, own_inputs, party, run};
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Frame, Kind, Lane, Mesh};
use crate::pre::ideal::Dealer;
use crate::session::{Params, Session};
use crate::sim::{Action, Federation, Tamper, Tampering, Target};
use crate::stage::ideal::IdealHost;
use crate::stage::{Execution, SessionHost};
use senate_block::Block;
use senate_circuit::{
    Backend, Bits, Builder, PartyId, PartySet, Reveal, Source, Stage, StageId, VerBit,
};
use std::collections::BTreeSet;

/// Which parties sent a message of a kind on a lane.
#[derive(Default)]
struct Seen(BTreeSet<(PartyId, Lane, Kind)>);

impl Tamper for Seen {
    fn on_frame(&mut self, from: PartyId, _: PartyId, frame: Frame) -> Vec<Frame> {
        self.0.insert((from, frame.lane, frame.kind));
        vec![frame]
    }
}

/// P1 and P2 run a stage whose range check is P1's bit; with P3 they run one that goes on with it.
fn child_and_parent() -> Vec<Stage> {
    let mut b = Builder::new();
    let [x, y] = [b.input(&[1])[0], b.input(&[1])[0]];
    let both = b.and(x, y);
    b.output(&[both]);
    b.output(&[x]);
    let program = b.finish().unwrap();
    let stage = |id: u32, n: usize, inputs: Vec<Source>, reveals| Stage {
        id: StageId(id),
        parties: PartySet::first(n),
        backend: Backend::Garbled,
        evaluator: party(0),
        program: program.clone(),
        inputs,
        ver: vec![VerBit { bundle: 1 }],
        reveals,
    };
    let owner = |index, slot| Source::Owner { party: party(index), slot };
    let child = Source::Child { stage: StageId(0), bundle: 0 };
    let reveal = Reveal { bundle: 0, recipients: PartySet::first(3) };
    vec![
        stage(0, 2, vec![owner(0, 0), owner(1, 1)], vec![]),
        stage(1, 3, vec![owner(2, 2), child], vec![reveal]),
    ]
}

fn bits(values: [bool; 3]) -> Inputs {
    values.into_iter().map(|bit| Bits::repeat(bit, 1)).enumerate().collect()
}

#[test]
fn a_range_check_opens_only_when_those_below_it_hold() {
    let plan = child_and_parent();
    let mut seen = Seen::default();
    assert!(run(3, &plan, &bits([true; 3]), &mut seen).iter().all(Result::is_ok));
    let parent = |party, kind| (party, Lane::stage(StageId(1)), kind);
    let both = PartySet::first(2);
    assert!(both.iter().all(|party| seen.0.contains(&parent(party, Kind::VerBits))));
    let mut seen = Seen::default();
    let results = run(3, &plan, &bits([false, true, true]), &mut seen);
    let fault = Err(Error::unattributed(Fault::Ver));
    assert!(both.iter().all(|party| results[party.index()] == fault) && results[2].is_err());
    assert!(both.iter().all(|party| !seen.0.contains(&parent(party, Kind::VerBits))));
    assert!(!seen.0.iter().any(|(_, _, kind)| *kind == Kind::OutputBits));
}

#[test]
fn a_failed_stage_ends_the_session() {
    let plan = tree(&[(&[0, 1], 0, &[0, 1], &[]), (&[0, 1], 1, &[0], &[0])], 3);
    let inputs = inputs_of(&plan, 1);
    let target = Target { from: party(0), to: PartySet::only(party(1)), kind: Kind::Eval, skip: 0 };
    let mut tamper = Tampering::new(target, Action::FlipBit(0));
    let results = Federation::new(2, 3).run_tampered(&mut tamper, |mesh, entropy| {
        let (plan, inputs) = (&plan, &inputs);
        async move {
            let own = own_inputs(plan, inputs, mesh.me());
            let host = IdealHost::open(mesh.clone(), entropy, Dealer::new(4)).await?;
            let execution = Execution::new(&host, plan)?;
            let error = execution.run(StageId(0), &own).await.unwrap_err();
            if mesh.me() == party(1) {
                assert_eq!(mesh.failure(), Some(error));
                let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
                assert_eq!(channel.send(party(0), Kind::Done, Vec::new()).await, Err(error));
                assert_eq!(channel.recv(party(0), Kind::Done, 0).await, Err(error));
                assert!(execution.run(StageId(1), &own).await.is_err());
                let again = Execution::new(&host, plan)?;
                assert_eq!(again.run(StageId(0), &own).await, Err(error));
                assert!(again.release().await.is_err());
            }
            Err::<(), _>(error)
        }
    });
    assert_eq!(results[1], Err(Error::unattributed(Fault::LabelHash)));
    assert!(results[0].is_err());
}

#[test]
fn an_abandoned_stage_ends_the_session() {
    let plan = child_and_parent();
    let results = Federation::new(3, 3).run(|mesh, entropy| {
        let plan = &plan;
        async move {
            let own = own_inputs(plan, &bits([true; 3]), mesh.me());
            let host = IdealHost::open(mesh.clone(), entropy, Dealer::new(4)).await?;
            let execution = Execution::new(&host, plan)?;
            if mesh.me() == party(0) {
                let mut running = Box::pin(execution.run(StageId(0), &own));
                assert!(futures_util::poll!(&mut running).is_pending());
                drop(running);
                assert!(matches!(mesh.failure(), Some(Error::Misuse(_))));
            }
            Ok(())
        }
    });
    assert!(results.iter().all(Result::is_ok));
}

async fn bind_differently(mesh: Mesh, entropy: Entropy) -> Result<(), Error> {
    let mine = [mesh.me().index() as u8; 32];
    let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
    let member = session.member(session.parties())?;
    assert!(member.delta() != Block::ZERO);
    let error = session.bind(&mine).await.unwrap_err();
    assert_eq!(session.failure(), Some(error));
    assert!(!session.is_bound() && member.delta() == Block::ZERO);
    assert!(session.bind(&mine).await.is_err());
    assert_eq!(session.member(session.parties()).err(), Some(error));
    assert_eq!(session.workbench(session.parties(), Lane::SESSION).err(), Some(error));
    assert!(SessionHost::new(session, &[]).is_err());
    Err(error)
}

#[test]
fn a_session_whose_binding_failed_runs_nothing_and_has_no_key() {
    let results = Federation::new(3, 3).run(bind_differently);
    for result in results {
        let binding = matches!(result, Err(Error::Cheating { fault: Fault::Binding, .. }));
        assert!(binding || matches!(result, Err(Error::Aborted { .. })), "{result:?}");
    }
}

#[test]
fn a_session_runs_one_plan() {
    let results = Federation::new(2, 3).run(|mesh, entropy| async move {
        let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
        let misuse = |host: Result<SessionHost, Error>| matches!(host, Err(Error::Misuse(_)));
        assert!(misuse(SessionHost::new(session.clone(), &[])));
        session.bind(&[5; 32]).await?;
        assert!(SessionHost::new(session.clone(), &[]).is_ok());
        assert!(session.is_bound() && misuse(SessionHost::new(session, &[])));
        Ok(())
    });
    assert!(results.iter().all(Result::is_ok));
}
