//! Gossip in Hydro's simulator: every order between two parties, fuzzed with up to five, over
//! networks that lose, repeat and reorder.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hydro_lang::live_collections::stream::{ExactlyOnce, TotalOrder};
use hydro_lang::location::cluster::CLUSTER_SELF_ID;
use hydro_lang::prelude::*;
use hydro_lang::sim::{SimClusterReceiver, SimClusterSender};

use crate::catalog::Fault;
use crate::fact::Topic;
use crate::gossip::{GossipSpec, Notice, Observation};
use crate::message::Digest;
use crate::program::{Party, gossip_about_catalog, gossip_looped};

type Notices = SimClusterSender<Notice, TotalOrder, ExactlyOnce>;
type News = SimClusterReceiver<Observation, TotalOrder, ExactlyOnce>;
type Specs<'a> = Singleton<Arc<GossipSpec>, Cluster<'a, Party>, Bounded>;
type Incoming<'a> = Stream<Notice, Cluster<'a, Party>, Unbounded, TotalOrder>;
type Outgoing<'a> = Stream<Observation, Cluster<'a, Party>, Unbounded, TotalOrder>;

fn gossiping<'a>(
    parties: &Cluster<'a, Party>,
    size: usize,
    program: impl FnOnce(Specs<'a>, Incoming<'a>) -> Outgoing<'a>,
) -> (Notices, News) {
    let (notices, incoming) = parties.sim_input::<Notice>();
    let spec = q!(Arc::new(worlds::spec(CLUSTER_SELF_ID.get_raw_id(), size)));
    let observations = program(parties.singleton(spec), incoming);
    (notices, observations.sim_cluster_output())
}

fn reliable<'a>(specs: Specs<'a>, notices: Incoming<'a>) -> Outgoing<'a> {
    gossip_about_catalog(specs, notices, TCP.fail_stop().bincode())
}

/// Everything each member observes until nothing moves any more; each thing once.
async fn observed(news: &News, size: usize) -> Vec<BTreeSet<Observation>> {
    let mut all = vec![BTreeSet::new(); size];
    for (member, seen) in all.iter_mut().enumerate() {
        while let Some(observation) = news.next(member as u32).await {
            assert!(seen.insert(observation), "told twice: {observation:?}");
        }
    }
    all
}

fn states(member: usize, digest: u8) -> (u32, Notice) {
    (member as u32, Notice::State(worlds::statement(member, Topic::Roster, digest)))
}

fn meets(member: u32, peer: u8) -> (u32, Notice) {
    (member, Notice::Meet(peer))
}

fn agreement(digest: u8) -> Observation {
    Observation::Agreed(Topic::Roster, Digest([digest; 32]))
}

#[test]
fn two_parties_agree_in_every_order_and_in_every_order_find_two_digests_of_one() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (notices, news) = gossiping(&parties, 2, reliable);
    let simulation = flow.sim().with_cluster_size(&parties, 2).compiled();
    let explored = simulation.exhaustive(async || {
        notices.send_many([states(0, 7), states(1, 7), meets(0, 1)]);
        let seen = observed(&news, 2).await;
        assert_eq!(seen[0], seen[1]);
        assert!(seen[0].contains(&agreement(7)) && seen[0].len() == 3, "{seen:?}");
    });
    assert!(explored > 10, "only {explored} executions");
    simulation.exhaustive(async || {
        notices.send_many([states(0, 7), states(0, 8), states(1, 7)]);
        let [one, other] = [7, 8].map(|digest| worlds::statement(0, Topic::Roster, digest));
        let fault = Observation::Fault(Fault::Equivocation(one, other));
        for seen in observed(&news, 2).await {
            assert!(seen.contains(&fault), "{seen:?}");
        }
    });
}

#[test]
fn five_parties_agree_whatever_is_repeated() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (notices, news) = gossiping(&parties, 5, |specs, notices| {
        let network = TCP.fail_stop().bincode();
        gossip_looped(specs, notices, network, q!(|g, h| Some(worlds::repeating(g, h))))
    });
    let simulation = flow.sim().with_cluster_size(&parties, 5);
    simulation.unit_test_fuzz_iterations(20).fuzz(async || {
        notices.send_many((0..5).map(|member| states(member, 7)));
        notices.send_many([meets(0, 1), meets(1, 2), meets(0, 1)]);
        let seen = observed(&news, 5).await;
        for own in &seen {
            assert_eq!(own, &seen[0]);
            assert!(own.contains(&agreement(7)) && own.len() == 6, "{own:?}");
        }
    });
}

#[test]
fn meetings_make_up_for_losses_and_a_third_party_finds_who_is_two_faced() {
    let mut flow = FlowBuilder::new();
    let parties = flow.cluster::<Party>();
    let (notices, news) = gossiping(&parties, 3, |specs, notices| {
        let network = TCP.lossy_delayed_forever().bincode();
        gossip_looped(specs, notices, network, q!(|g, h| Some(worlds::hostile(g, h))))
    });
    let simulation = flow.sim().with_cluster_size(&parties, 3).test_safety_only();
    let simulation = simulation.unit_test_fuzz_iterations(30).compiled();
    let (agreed, behind) = (AtomicUsize::new(0), AtomicUsize::new(0));
    simulation.fuzz(async || {
        let mut seen = vec![BTreeSet::new(); 3];
        let rounds = [
            vec![states(0, 7), states(1, 7), states(2, 7)],
            vec![meets(0, 1), meets(2, 1)],
            vec![meets(1, 0), meets(1, 2)],
        ];
        for round in rounds {
            notices.send_many(round);
            for (seen, new) in seen.iter_mut().zip(observed(&news, 3).await) {
                seen.extend(new);
                let stated = seen.iter().filter(|o| matches!(o, Observation::Stated(_))).count();
                assert_eq!(seen.contains(&agreement(7)), stated == 3, "{seen:?}");
                assert!(!seen.iter().any(|o| matches!(o, Observation::Fault(_))));
                let outcome = if stated == 3 { &agreed } else { &behind };
                outcome.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let [agreed, behind] = [agreed, behind].map(AtomicUsize::into_inner);
    assert!(agreed > 0 && behind > 0, "{agreed} agreed, {behind} behind");
    simulation.fuzz(async || {
        notices.send(0, Notice::State(worlds::statement(0, Topic::Release, 7)));
        let seen = observed(&news, 3).await;
        for honest in [&seen[1], &seen[2]] {
            let faults = honest.iter().filter_map(|observation| match observation {
                Observation::Fault(fault) => Some(fault.party().index()),
                _ => None,
            });
            assert_eq!(faults.collect::<Vec<_>>(), [0], "{honest:?}");
        }
    });
}

/// What the simulated parties run; named in quoted code.
mod worlds {
    use senate_circuit::{PartyId, PartySet};

    use crate::fact::{Fact, Seal, Statement, Topic, Word};
    use crate::gossip::{Gossip, GossipSpec, Heard, Notice, Telling, hear};
    use crate::message::Digest;

    pub(crate) fn spec(me: u32, size: usize) -> GossipSpec {
        let me = PartyId::new(me as usize).unwrap();
        GossipSpec { me, parties: PartySet::first(size), epoch: 1 }
    }

    pub(crate) fn statement(member: usize, topic: Topic, digest: u8) -> Statement {
        let party = PartyId::new(member).unwrap();
        let fact = Fact { party, epoch: 1, topic, digest: Digest([digest; 32]) };
        Statement { fact, seal: Seal::new(&[digest]).unwrap() }
    }

    /// Every word is sent twice.
    pub(crate) fn repeating(gossip: &mut Option<Gossip>, heard: Heard) -> Vec<Telling> {
        let twice = |telling: Telling| match telling {
            Telling::Send { .. } => vec![telling, telling],
            Telling::Observe(_) => vec![telling],
        };
        hear(gossip, heard).into_iter().flat_map(twice).collect()
    }

    /// Whatever is told outside a meeting about the federation file is lost. About its release the
    /// first party tells the last one another digest than the others.
    pub(crate) fn hostile(gossip: &mut Option<Gossip>, heard: Heard) -> Vec<Telling> {
        let (liar, victim) = (PartyId::new(0).unwrap(), PartyId::new(2).unwrap());
        let is_meeting = matches!(heard, Heard::Local(Notice::Meet(_)));
        let is_own = matches!(heard, Heard::Local(Notice::State(_)));
        let arrives = |telling: Telling| match telling {
            Telling::Send { word: Word::Statement(said), .. }
                if said.fact.topic == Topic::Roster && !is_meeting =>
            {
                None
            }
            Telling::Send { to, word: Word::Statement(said) }
                if said.fact.party == liar && to == victim && is_own =>
            {
                let word = Word::Statement(statement(0, said.fact.topic, 9));
                Some(Telling::Send { to, word })
            }
            other => Some(other),
        };
        hear(gossip, heard).into_iter().filter_map(arrives).collect()
    }
}
