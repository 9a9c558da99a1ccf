//! The program in Hydro's simulator, which chooses every order of messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use hydro_lang::live_collections::stream::{ExactlyOnce, MinOrder, TotalOrder};
use hydro_lang::location::cluster::CLUSTER_SELF_ID;
use hydro_lang::networking::NetworkFor;
use hydro_lang::prelude::*;
use hydro_lang::sim::{SimClusterReceiver, SimClusterSender};
use senate_circuit::PartyId;

use crate::life::{Action, Command, Life};
use crate::message::{AbortClass, Digest, Frame};
use crate::program::{Party, life_of_query, looped};
use crate::spec::LifeSpec;

type Orders = SimClusterSender<Command, TotalOrder, ExactlyOnce>;
type Actions = SimClusterReceiver<Action, TotalOrder, ExactlyOnce>;

type Specs<'a> = Singleton<Arc<LifeSpec>, Cluster<'a, Party>, Bounded>;
type Commands<'a, O> = Stream<Command, Cluster<'a, Party>, Unbounded, O>;

fn specs<'a>(parties: &Cluster<'a, Party>, size: usize) -> Specs<'a> {
    parties.singleton(q!(Arc::new(worlds::plan(CLUSTER_SELF_ID.get_raw_id(), size))))
}

/// Parties whose work is done by the test, between two rounds of messages. Few enough orders to
/// try all.
fn stepwise<'a>(parties: &Cluster<'a, Party>) -> (Orders, Actions) {
    let (orders, commands) = parties.sim_input::<Command>();
    let network = TCP.fail_stop().bincode();
    let actions = life_of_query(specs(parties, 2), commands, network);
    (orders, actions.sim_cluster_output())
}

/// Parties whose work is inside the dataflow, so that the simulator orders completions among all
/// other messages: a stage that starts is done.
fn diligent<'a, N: NetworkFor<Frame>>(
    parties: &Cluster<'a, Party>,
    size: usize,
    network: N,
) -> (Orders, Actions)
where
    TotalOrder: MinOrder<N::OrderingGuarantee>,
{
    let (orders, commands) = parties.sim_input::<Command>();
    let (worker, done) = parties.forward_ref::<Commands<'a, TotalOrder>>();
    let commands = commands.merge_unordered(done);
    let actions = life_of_query(specs(parties, size), commands, network);
    worker.complete(actions.clone().filter_map(q!(|action| match action {
        Action::Start { stage } => Some(Command::Done { stage }),
        _ => None,
    })));
    (orders, actions.sim_cluster_output())
}

/// Does the work of every stage that starts, until nothing moves any more.
async fn worked(orders: &Orders, actions: &Actions) -> Vec<Vec<Action>> {
    let mut all = vec![Vec::new(); 2];
    loop {
        let round = outcomes(actions, 2).await;
        if round.iter().all(Vec::is_empty) {
            return all;
        }
        for (member, actions) in round.into_iter().enumerate() {
            for action in &actions {
                if let Action::Start { stage } = *action {
                    orders.send(member as u32, Command::Done { stage });
                }
            }
            all[member].extend(actions);
        }
    }
}

fn approve(digest: u8) -> Command {
    Command::Approve { digest: Digest([digest; 32]) }
}

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// Everything each member does until nothing moves any more.
async fn outcomes(actions: &Actions, size: usize) -> Vec<Vec<Action>> {
    let mut outcomes = vec![Vec::new(); size];
    for (member, outcome) in outcomes.iter_mut().enumerate() {
        while let Some(action) = actions.next(member as u32).await {
            outcome.push(action);
        }
    }
    outcomes
}

fn all_starts(member: usize, size: usize) -> BTreeSet<Action> {
    worlds::plan(member as u32, size)
        .stages_of(party(member))
        .map(|stage| Action::Start { stage: stage.id })
        .collect()
}

fn assert_finished(outcomes: &[Vec<Action>]) {
    for (member, actions) in outcomes.iter().enumerate() {
        let (last, starts) = actions.split_last().expect("stuck");
        assert_eq!(*last, Action::Finished, "{outcomes:?}");
        assert_eq!(starts.len(), starts.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(
            starts.iter().copied().collect::<BTreeSet<_>>(),
            all_starts(member, outcomes.len())
        );
    }
}

/// What holds whatever goes wrong: the end comes last, and whoever finished did so after everybody
/// had started all of its stages.
fn assert_safe(outcomes: &[Vec<Action>]) {
    let finished = outcomes.iter().any(|actions| actions.contains(&Action::Finished));
    for (member, actions) in outcomes.iter().enumerate() {
        let is_end = |action: &Action| !matches!(action, Action::Start { .. });
        let ends = actions.iter().filter(|action| is_end(action)).count();
        assert!(ends <= 1 && actions.iter().rev().skip(1).all(|action| !is_end(action)));
        let starts =
            actions.iter().copied().filter(|action| !is_end(action)).collect::<BTreeSet<_>>();
        assert!(!finished || starts == all_starts(member, outcomes.len()), "{outcomes:?}");
    }
}

fn assert_ended(outcomes: &[Vec<Action>]) {
    for actions in outcomes {
        assert!(!matches!(actions.last(), None | Some(Action::Start { .. })), "{outcomes:?}");
    }
}

#[test]
fn two_parties_finish_in_every_order() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = stepwise(&parties);
    let explored = flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(7))]);
        assert_finished(&worked(&orders, &actions).await);
    });
    assert!(explored > 20, "only {explored} executions");
}

#[test]
fn different_digests_abort_both_parties_before_any_start() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = stepwise(&parties);
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(8))]);
        let aborted = |by| vec![Action::Aborted { class: AbortClass::Mismatch, by: party(by) }];
        assert_eq!(worked(&orders, &actions).await, [aborted(1), aborted(0)]);
    });
}

#[test]
fn a_party_that_fails_ends_the_query_at_both() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = stepwise(&parties);
    let mut aborted_before_work = false;
    let mut failed_too_late = false;
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        let failed = Command::Failed { class: AbortClass::CheckFailed };
        orders.send_many([(0, approve(7)), (1, approve(7)), (1, failed)]);
        let outcomes = worked(&orders, &actions).await;
        assert_safe(&outcomes);
        assert_ended(&outcomes);
        let aborted = Action::Aborted { class: AbortClass::CheckFailed, by: party(1) };
        aborted_before_work |= outcomes == [vec![aborted], vec![aborted]];
        failed_too_late |= outcomes[1].ends_with(&[Action::Finished]);
    });
    assert!(aborted_before_work && failed_too_late);
}

#[test]
fn a_lost_peer_ends_the_query_at_both() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = stepwise(&parties);
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        let lost = Command::PeerLost { party: party(1) };
        orders.send_many([(0, approve(7)), (0, lost), (1, approve(7))]);
        let outcomes = worked(&orders, &actions).await;
        assert_safe(&outcomes);
        assert_ended(&outcomes);
    });
}

#[test]
fn a_lossy_network_never_finishes_what_is_not_complete() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = diligent(&parties, 3, TCP.lossy_delayed_forever().bincode());
    let simulation = flow.sim().with_cluster_size(&parties, 3).test_safety_only();
    simulation.unit_test_fuzz_iterations(50).fuzz(async || {
        orders.send_many([(0, approve(7)), (1, approve(7)), (2, approve(7))]);
        assert_safe(&outcomes(&actions, 3).await);
    });
}

#[test]
fn three_to_five_parties_finish() {
    for size in 3..=5 {
        let mut flow = FlowBuilder::new();
        let parties = flow.cluster::<Party>();
        let (orders, actions) = diligent(&parties, size, TCP.fail_stop().bincode());
        let simulation = flow.sim().with_cluster_size(&parties, size);
        simulation.unit_test_fuzz_iterations(30).fuzz(async || {
            orders.send_many((0..size as u32).map(|member| (member, approve(7))));
            assert_finished(&outcomes(&actions, size).await);
        });
    }
}

#[test]
#[should_panic(expected = "stuck")]
fn the_simulator_catches_an_injected_race() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, commands) = parties.sim_input::<Command>();
    let actions = looped(
        specs(&parties, 2),
        commands,
        TCP.fail_stop().bincode(),
        q!(|state, (event, spec)| Some(worlds::forgetful_step(
            state.get_or_insert_with(|| Life::new(spec)),
            event
        ))),
    )
    .sim_cluster_output();
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(7))]);
        assert_finished(&worked(&orders, &actions).await);
    });
}

/// What the simulated parties run; named in quoted code.
mod worlds {
    use senate_circuit::{PartyId, PartySet, StageId};

    use crate::life::{Effect, Event, Life, step};
    use crate::spec::{LifeSpec, StageSpec};

    /// The plan of every simulation. With two parties a stage of party 1, then one of party 2;
    /// with more a stage of party 1, one of the last two, then one of everybody.
    pub(crate) fn plan(me: u32, parties: usize) -> LifeSpec {
        let party = |index: usize| PartyId::new(index).unwrap();
        let last = [party(parties - 2), party(parties - 1)].into_iter().collect::<PartySet>();
        let stage = |id, waits: Vec<(StageId, PartyId)>, parties: PartySet| {
            let evaluator = parties.leader().unwrap();
            StageSpec { id: StageId(id), waits, parties, evaluator }
        };
        let first = (StageId(0), party(0));
        let mut stages = vec![stage(0, vec![], PartySet::only(party(0)))];
        if parties == 2 {
            stages.push(stage(1, vec![first], PartySet::only(party(1))));
        } else {
            stages.push(stage(1, vec![], last));
            let both = last.iter().map(|member| (StageId(1), member));
            let waits = both.chain([first]).collect();
            stages.push(stage(2, waits, PartySet::first(parties)));
        }
        LifeSpec::new(party(me as usize), PartySet::first(parties), stages).unwrap()
    }

    /// A transition with an injected race: it forgets a message that has no effect at once.
    pub(crate) fn forgetful_step(life: &mut Life, event: Event) -> Vec<Effect> {
        let mut next = life.clone();
        let effects = step(&mut next, event);
        if matches!(event, Event::Local(_)) || !effects.is_empty() {
            *life = next;
        }
        effects
    }
}
