//! The program in Hydro's simulator, which chooses every order of messages.
//!
//! Each test compiles its dataflow when it runs, into the target directory, from this crate's
//! sources: it needs cargo, and takes some seconds before the first execution. Two parties are
//! explored to the end (54 orders in which they finish); more parties are fuzzed.

use std::collections::BTreeSet;
use std::sync::Arc;

use hydro_lang::live_collections::stream::{ExactlyOnce, NoOrder, TotalOrder};
use hydro_lang::location::cluster::CLUSTER_SELF_ID;
use hydro_lang::prelude::*;
use hydro_lang::sim::{SimClusterReceiver, SimClusterSender};
use senate_circuit::PartyId;

use crate::life::{Action, Command};
use crate::message::{AbortClass, Digest};
use crate::program::{Party, life_of_query, looped};
use crate::spec::LifeSpec;

type Orders = SimClusterSender<Command, TotalOrder, ExactlyOnce>;
type Actions = SimClusterReceiver<Action, TotalOrder, ExactlyOnce>;

type Specs<'a> = Singleton<Arc<LifeSpec>, Cluster<'a, Party>, Bounded>;
type Outcomes<'a> = Stream<Action, Cluster<'a, Party>, Unbounded, TotalOrder>;
type Commands<'a, O> = Stream<Command, Cluster<'a, Party>, Unbounded, O>;

/// Parties that run `program`. Their work is inside the dataflow, so that the simulator orders
/// completions among all other messages: a stage that starts is done.
fn diligent<'a>(
    parties: &Cluster<'a, Party>,
    size: usize,
    program: impl FnOnce(Specs<'a>, Commands<'a, NoOrder>) -> Outcomes<'a>,
) -> (Orders, Actions) {
    let (orders, commands) = parties.sim_input::<Command>();
    let (worker, done) = parties.forward_ref::<Commands<'a, TotalOrder>>();
    let specs = parties.singleton(q!(Arc::new(worlds::plan(CLUSTER_SELF_ID.get_raw_id(), size))));
    let actions = program(specs, commands.merge_unordered(done));
    worker.complete(actions.clone().filter_map(q!(|action| match action {
        Action::Start { stage } => Some(Command::Done { stage }),
        _ => None,
    })));
    (orders, actions.sim_cluster_output())
}

/// The program over channels that keep their order and fail only by ending.
fn reliable<'a>(specs: Specs<'a>, commands: Commands<'a, NoOrder>) -> Outcomes<'a> {
    life_of_query(specs, commands, TCP.fail_stop().bincode())
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
        let (last, starts) = actions.split_last().unwrap();
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
    let (orders, actions) = diligent(&parties, 2, reliable);
    let explored = flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(7))]);
        assert_finished(&outcomes(&actions, 2).await);
    });
    assert!(explored > 20, "only {explored} executions");
}

#[test]
fn different_digests_abort_both_parties_before_any_start() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = diligent(&parties, 2, reliable);
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(8))]);
        let aborted = |by| vec![Action::Aborted { class: AbortClass::Mismatch, by: party(by) }];
        assert_eq!(outcomes(&actions, 2).await, [aborted(1), aborted(0)]);
    });
}

#[test]
fn a_party_that_fails_ends_the_query_at_both() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = diligent(&parties, 2, reliable);
    let mut aborted_before_work = false;
    let mut failed_too_late = false;
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        let failed = Command::Failed { class: AbortClass::CheckFailed };
        orders.send_many([(0, approve(7)), (1, approve(7)), (1, failed)]);
        let outcomes = outcomes(&actions, 2).await;
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
    let (orders, actions) = diligent(&parties, 2, reliable);
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        let lost = Command::PeerLost { party: party(1) };
        orders.send_many([(0, approve(7)), (0, lost), (1, approve(7))]);
        let outcomes = outcomes(&actions, 2).await;
        assert_safe(&outcomes);
        assert_ended(&outcomes);
    });
}

#[test]
fn a_lossy_network_never_finishes_what_is_not_complete() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = diligent(&parties, 3, |specs, commands| {
        life_of_query(specs, commands, TCP.lossy_delayed_forever().bincode())
    });
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
        let (orders, actions) = diligent(&parties, size, reliable);
        let simulation = flow.sim().with_cluster_size(&parties, size);
        simulation.unit_test_fuzz_iterations(30).fuzz(async || {
            orders.send_many((0..size as u32).map(|member| (member, approve(7))));
            assert_finished(&outcomes(&actions, size).await);
        });
    }
}

#[test]
fn the_simulator_finds_an_injected_race() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (orders, actions) = diligent(&parties, 2, |specs, commands| {
        let network = TCP.fail_stop().bincode();
        looped(specs, commands, network, q!(|life, input| Some(worlds::forgetful(life, input))))
    });
    let (mut finished, mut stuck) = (0, 0);
    flow.sim().with_cluster_size(&parties, 2).exhaustive(async || {
        orders.send_many([(0, approve(7)), (1, approve(7))]);
        let outcomes = outcomes(&actions, 2).await;
        let all = outcomes.iter().all(|actions| actions.ends_with(&[Action::Finished]));
        *(if all { &mut finished } else { &mut stuck }) += 1;
    });
    assert!(finished > 0 && stuck > 0, "{finished} finished, {stuck} stuck");
}

/// What the simulated parties run; named in quoted code.
mod worlds {
    use std::sync::Arc;

    use senate_circuit::{PartyId, PartySet, StageId};

    use crate::life::{Effect, Event, Input, Life, take_in};
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

    /// A transition with an injected race: it forgets a message that comes before any command.
    pub(crate) fn forgetful(life: &mut Option<Life>, input: Input) -> Vec<Effect> {
        let mut untouched = (0..2).map(|me| Life::new(Arc::new(plan(me, 2))));
        let from_peer = matches!(input, Input::Event(Event::Peer { .. }));
        if from_peer && untouched.any(|untouched| life.as_ref() == Some(&untouched)) {
            return Vec::new();
        }
        take_in(life, input)
    }
}
