//! The dataflows: one party's transition, with the parties' messages looped through the network.

use std::sync::Arc;

use hydro_lang::live_collections::boundedness::{Bounded, Unbounded};
use hydro_lang::live_collections::stream::{MinOrder, NoOrder, Ordering, TotalOrder};
use hydro_lang::location::MemberId;
use hydro_lang::networking::NetworkFor;
use hydro_lang::prelude::*;
use stageleft::IntoQuotedMut;

use crate::fact::Word;
use crate::gossip::{self, Gossip, GossipSpec, Heard, Notice, Observation, Telling};
use crate::life::{self, Action, Command, Effect, Event, Input, Life};
use crate::message::Frame;
use crate::spec::LifeSpec;

/// The kind of the cluster's members. A member's raw id is the party's index.
pub enum Party {}

/// Name of the channel between parties in the life of a query.
pub const CHANNEL: &str = "control";

/// Name of the channel between parties that gossip about the catalog.
pub const GOSSIP_CHANNEL: &str = "gossip";

/// The life of one query at every party of a cluster: commands in, actions out, messages between
/// the parties over `network`. `spec` is each member's own view.
pub fn life_of_query<'a, O: Ordering, N: NetworkFor<Frame>>(
    spec: Singleton<Arc<LifeSpec>, Cluster<'a, Party>, Bounded>,
    commands: Stream<Command, Cluster<'a, Party>, Unbounded, O>,
    network: N,
) -> Stream<Action, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    TotalOrder: MinOrder<N::OrderingGuarantee>,
{
    looped(spec, commands, network, q!(|life, input| Some(life::take_in(life, input))))
}

/// The dataflow around a transition.
pub(crate) fn looped<'a, O: Ordering, N: NetworkFor<Frame>, F>(
    spec: Singleton<Arc<LifeSpec>, Cluster<'a, Party>, Bounded>,
    commands: Stream<Command, Cluster<'a, Party>, Unbounded, O>,
    network: N,
    transition: impl IntoQuotedMut<'a, F, Cluster<'a, Party>>,
) -> Stream<Action, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    TotalOrder: MinOrder<N::OrderingGuarantee>,
    F: Fn(&mut Option<Life>, Input) -> Option<Vec<Effect>> + 'a,
{
    let parties = commands.location().clone();
    let (peers, from_peers) = parties.forward_ref::<Stream<
        (MemberId<Party>, Frame),
        Cluster<'a, Party>,
        Unbounded,
        NoOrder,
    >>();
    let events = from_peers
        .map(q!(|(from, frame)| Event::Peer { from: from.get_raw_id(), frame }))
        .merge_unordered(commands.weaken_ordering::<NoOrder>().map(q!(|c| Event::Local(c))));
    let effects = effects_of(spec, events, transition);
    let messages = effects.clone().filter_map(q!(|effect| match effect {
        Effect::Send { to, message } =>
            Some((MemberId::<Party>::from_raw_id(to.index() as u32), Frame::Message(message))),
        Effect::Act(_) => None,
    }));
    peers.complete(messages.demux(&parties, network).entries().weaken_ordering::<NoOrder>());
    effects.filter_map(q!(|effect| match effect {
        Effect::Act(action) => Some(action),
        Effect::Send { .. } => None,
    }))
}

/// A transition over the plan and then every event, in some order.
fn effects_of<'a, F>(
    spec: Singleton<Arc<LifeSpec>, Cluster<'a, Party>, Bounded>,
    events: Stream<Event, Cluster<'a, Party>, Unbounded, NoOrder>,
    transition: impl IntoQuotedMut<'a, F, Cluster<'a, Party>>,
) -> Stream<Effect, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    F: Fn(&mut Option<Life>, Input) -> Option<Vec<Effect>> + 'a,
{
    let events = events.assume_ordering::<TotalOrder>(nondet!(
        /// Facts only grow and every conclusion is drawn from all of them, so any order ends in the
        /// same outcome. An abort is the one event whose order may show.
    ));
    // The plan goes first in the stream itself. A `cross_singleton` with it would have work in
    // every tick, and the simulator waits for a tick without any.
    spec.into_stream()
        .map(q!(|spec| Input::Plan(spec)))
        .chain(events.map(q!(|event| Input::Event(event))))
        .scan(q!(|| None), transition)
        .flatten_ordered()
}

/// What every party of a cluster knows of the catalog: statements and meetings in, observations out,
/// words between the parties over `network`, which may lose, repeat and reorder them: a meeting
/// tells everything anew. `spec` is each member's own view.
pub fn gossip_about_catalog<'a, O: Ordering, N: NetworkFor<Word>>(
    spec: Singleton<Arc<GossipSpec>, Cluster<'a, Party>, Bounded>,
    notices: Stream<Notice, Cluster<'a, Party>, Unbounded, O>,
    network: N,
) -> Stream<Observation, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    TotalOrder: MinOrder<N::OrderingGuarantee>,
{
    gossip_looped(spec, notices, network, q!(|state, heard| Some(gossip::hear(state, heard))))
}

/// The dataflow around a transition of gossip.
pub(crate) fn gossip_looped<'a, O: Ordering, N: NetworkFor<Word>, F>(
    spec: Singleton<Arc<GossipSpec>, Cluster<'a, Party>, Bounded>,
    notices: Stream<Notice, Cluster<'a, Party>, Unbounded, O>,
    network: N,
    transition: impl IntoQuotedMut<'a, F, Cluster<'a, Party>>,
) -> Stream<Observation, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    TotalOrder: MinOrder<N::OrderingGuarantee>,
    F: Fn(&mut Option<Gossip>, Heard) -> Option<Vec<Telling>> + 'a,
{
    let parties = notices.location().clone();
    let (peers, from_peers) =
        parties
            .forward_ref::<Stream<(MemberId<Party>, Word), Cluster<'a, Party>, Unbounded, NoOrder>>(
            );
    let heard = from_peers
        .map(q!(|(from, word)| Heard::Peer { from: from.get_raw_id(), word }))
        .merge_unordered(notices.weaken_ordering::<NoOrder>().map(q!(|n| Heard::Local(n))));
    let tellings = tellings_of(spec, heard, transition);
    let words = tellings.clone().filter_map(q!(|telling| match telling {
        Telling::Send { to, word } =>
            Some((MemberId::<Party>::from_raw_id(to.index() as u32), word)),
        Telling::Observe(_) => None,
    }));
    peers.complete(words.demux(&parties, network).entries().weaken_ordering::<NoOrder>());
    tellings.filter_map(q!(|telling| match telling {
        Telling::Observe(observation) => Some(observation),
        Telling::Send { .. } => None,
    }))
}

/// A transition over who gossips and then everything that is heard, in some order.
fn tellings_of<'a, F>(
    spec: Singleton<Arc<GossipSpec>, Cluster<'a, Party>, Bounded>,
    heard: Stream<Heard, Cluster<'a, Party>, Unbounded, NoOrder>,
    transition: impl IntoQuotedMut<'a, F, Cluster<'a, Party>>,
) -> Stream<Telling, Cluster<'a, Party>, Unbounded, TotalOrder>
where
    F: Fn(&mut Option<Gossip>, Heard) -> Option<Vec<Telling>> + 'a,
{
    let heard = heard.assume_ordering::<TotalOrder>(nondet!(
        /// Knowledge is a join-semilattice and every observation is monotone in it: any order
        /// ends in the same knowledge and has told the same.
    ));
    spec.into_stream()
        .map(q!(|spec| Heard::Spec(spec)))
        .chain(heard)
        .scan(q!(|| None), transition)
        .flatten_ordered()
}
