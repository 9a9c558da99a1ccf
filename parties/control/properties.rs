//! The transition alone, under random plans, schedules and hostile peers.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use senate_circuit::{PartyId, PartySet, StageId};

use crate::{
    AbortClass, Action, Command, Digest, Effect, Event, Frame, Life, LifeSpec, Message, StageSpec,
    step,
};

/// A federation whose messages wait in a pool until the schedule picks them.
struct Federation {
    lives: Vec<Life>,
    waiting: Vec<(usize, Vec<Event>)>,
    actions: Vec<Vec<Action>>,
}

impl Federation {
    fn new(parties: usize, stages: &[StageSpec]) -> Self {
        let life = |me| {
            let spec = LifeSpec::new(party(me), PartySet::first(parties), stages.to_vec());
            Life::new(Arc::new(spec.unwrap()))
        };
        Self {
            lives: (0..parties).map(life).collect(),
            waiting: Vec::new(),
            actions: vec![Vec::new(); parties],
        }
    }

    fn command(&mut self, at: usize, command: Command) {
        self.waiting.push((at, vec![Event::Local(command)]));
    }

    fn approve_all(&mut self) {
        for at in 0..self.lives.len() {
            self.command(at, Command::Approve { digest: Digest([7; 32]) });
        }
    }

    fn frame(&mut self, from: usize, to: usize, frame: Frame) {
        self.waiting.push((to, vec![Event::Peer { from: from as u32, frame }]));
    }

    /// Runs until nothing waits. A stage that starts is done, its digest stated, some time later.
    fn run(&mut self, schedule: &[Index]) {
        let mut picks = schedule.iter().cycle();
        while !self.waiting.is_empty() {
            let pick = picks.next().unwrap().index(self.waiting.len());
            let (at, events) = self.waiting.swap_remove(pick);
            for event in events {
                let effects = step(&mut self.lives[at], event);
                effects.into_iter().for_each(|effect| self.react(at, effect));
            }
        }
    }

    fn react(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                assert_ne!(to, party(at));
                self.frame(at, to.index(), Frame::Message(message));
            }
            Effect::Act(action) => {
                self.actions[at].push(action);
                if let Action::Start { stage } = action {
                    let digest = Digest([9; 32]);
                    let work = [Command::StageDigest { stage, digest }, Command::Done { stage }];
                    self.waiting.push((at, work.map(Event::Local).to_vec()));
                }
            }
        }
    }

    fn started_all(&self, at: usize, stages: &[StageSpec]) -> bool {
        let own = stages.iter().filter(|stage| stage.parties.contains(party(at)));
        own.map(|stage| Action::Start { stage: stage.id })
            .all(|start| self.actions[at].contains(&start))
    }

    fn ends(&self) -> Vec<Option<Action>> {
        let end = |actions: &Vec<Action>| actions.last().copied().filter(is_end);
        self.actions.iter().map(end).collect()
    }
}

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

fn is_end(action: &Action) -> bool {
    !matches!(action, Action::Start { .. })
}

/// Two to five parties and up to five stages; each stage waits for some parties of earlier ones.
fn plans() -> impl Strategy<Value = (usize, Vec<StageSpec>)> {
    let stage = (any::<u64>(), any::<Index>(), prop::collection::vec(any::<[Index; 2]>(), 0..4));
    (2..6usize, prop::collection::vec(stage, 1..6)).prop_map(|(parties, drawn)| {
        let mut stages: Vec<StageSpec> = Vec::new();
        for (id, (mask, evaluator, waits)) in drawn.into_iter().enumerate() {
            let everybody = PartySet::first(parties);
            let some = PartySet::from_mask(mask).intersection(everybody);
            let parties = if some.is_empty() { everybody } else { some };
            let member = |parties: PartySet, index: Index| {
                parties.iter().nth(index.index(parties.len())).unwrap()
            };
            let waits = waits.into_iter().filter(|_| id > 0).map(|[stage, of]| {
                let earlier = &stages[stage.index(id)];
                (earlier.id, member(earlier.parties, of))
            });
            let waits = waits.collect();
            let evaluator = member(parties, evaluator);
            stages.push(StageSpec { id: StageId(id as u32), waits, parties, evaluator });
        }
        (parties, stages)
    })
}

fn schedules() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 1..64)
}

fn frames() -> impl Strategy<Value = Frame> {
    let digest = (0..3u8).prop_map(|byte| Digest([byte + 6; 32]));
    let stage = (0..6u32).prop_map(StageId);
    prop_oneof![
        digest.clone().prop_map(|digest| Frame::Message(Message::Approve(digest))),
        stage.clone().prop_map(|stage| Frame::Message(Message::Completed(stage))),
        (stage, digest).prop_map(|(s, d)| Frame::Message(Message::StageDigest(s, d))),
        Just(Frame::Message(Message::Complete)),
        Just(Frame::Message(Message::Abort(AbortClass::Refused))),
        Just(Frame::Malformed),
        Just(Frame::Closed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_ends_in_the_same_facts(
        (parties, stages) in plans(),
        schedules in [schedules(), schedules()],
        repeated in any::<bool>(),
    ) {
        let runs = schedules.map(|schedule| {
            let mut federation = Federation::new(parties, &stages);
            federation.approve_all();
            if repeated {
                federation.approve_all();
            }
            federation.run(&schedule);
            federation
        });
        for federation in &runs {
            for (at, actions) in federation.actions.iter().enumerate() {
                prop_assert_eq!(actions.last(), Some(&Action::Finished));
                let distinct = actions.iter().collect::<BTreeSet<_>>();
                prop_assert_eq!(distinct.len(), actions.len());
                prop_assert!(federation.started_all(at, &stages));
            }
        }
        let [first, second] = runs;
        prop_assert_eq!(first.lives, second.lives);
    }

    #[test]
    fn a_failure_ends_everybody_and_nothing_unfinished_finishes(
        (parties, stages) in plans(),
        schedule in schedules(),
        failing in any::<Index>(),
        lost in any::<Index>(),
    ) {
        let mut federation = Federation::new(parties, &stages);
        federation.approve_all();
        let at = failing.index(parties);
        let class = AbortClass::Cancelled;
        let gone = lost.index(parties);
        if gone == at {
            federation.command(at, Command::Failed { class });
        } else {
            federation.frame(gone, at, Frame::Closed);
        }
        federation.run(&schedule);
        let ends = federation.ends();
        prop_assert!(ends.iter().all(Option::is_some), "{:?}", ends);
        if ends.contains(&Some(Action::Finished)) {
            prop_assert!((0..parties).all(|at| federation.started_all(at, &stages)));
        }
    }

    #[test]
    fn a_hostile_peer_starts_nothing_that_others_have_not_approved(
        (parties, stages) in plans(),
        schedule in schedules(),
        silent in any::<Index>(),
        sent in prop::collection::vec((any::<Index>(), frames()), 0..20),
    ) {
        // Party 1 is hostile; an honest party, never the hostile one, does not approve.
        let mut federation = Federation::new(parties, &stages);
        let silent = 1 + silent.index(parties - 1);
        for at in (1..parties).filter(|at| *at != silent) {
            federation.command(at, Command::Approve { digest: Digest([7; 32]) });
        }
        for (to, frame) in sent {
            federation.frame(0, 1 + to.index(parties - 1), frame);
        }
        federation.run(&schedule);
        for actions in &federation.actions {
            prop_assert!(actions.iter().all(is_end), "{:?}", actions);
            prop_assert!(!actions.contains(&Action::Finished));
        }
    }

    #[test]
    fn different_digests_abort_everybody_before_any_start(
        (parties, stages) in plans(),
        schedule in schedules(),
        odd in any::<Index>(),
    ) {
        let mut federation = Federation::new(parties, &stages);
        for at in 0..parties {
            let digest = if at == odd.index(parties) { 8 } else { 7 };
            federation.command(at, Command::Approve { digest: Digest([digest; 32]) });
        }
        federation.run(&schedule);
        for actions in &federation.actions {
            let alone = actions.len() == 1;
            let mismatch =
                matches!(actions[0], Action::Aborted { class: AbortClass::Mismatch, by: _ });
            prop_assert!(alone && mismatch, "{:?}", actions);
        }
    }
}

/// Two parties and one stage; party 1's state after `events`, and the effects of the last one.
fn after(events: &[Event]) -> Vec<Effect> {
    let stage = StageSpec {
        id: StageId(0),
        waits: vec![],
        parties: PartySet::first(2),
        evaluator: party(0),
    };
    let spec = LifeSpec::new(party(0), PartySet::first(2), vec![stage]).unwrap();
    let mut life = Life::new(Arc::new(spec));
    events.iter().map(|event| step(&mut life, *event)).last().unwrap()
}

fn said(message: Message) -> Event {
    Event::Peer { from: 1, frame: Frame::Message(message) }
}

fn aborts(class: AbortClass, by: usize) -> Vec<Effect> {
    vec![
        Effect::Send { to: party(1), message: Message::Abort(class) },
        Effect::Act(Action::Aborted { class, by: party(by) }),
    ]
}

const SEVEN: Digest = Digest([7; 32]);
const EIGHT: Digest = Digest([8; 32]);

#[test]
fn a_peer_that_breaks_the_protocol_is_named() {
    let cheats = [
        vec![Event::Peer { from: 1, frame: Frame::Malformed }],
        vec![said(Message::Approve(SEVEN)), said(Message::Approve(EIGHT))],
        vec![said(Message::Completed(StageId(0)))],
        vec![said(Message::Completed(StageId(9)))],
        vec![said(Message::StageDigest(StageId(9), SEVEN))],
        vec![
            Event::Local(Command::StageDigest { stage: StageId(0), digest: SEVEN }),
            said(Message::StageDigest(StageId(0), EIGHT)),
        ],
    ];
    for events in cheats {
        assert_eq!(after(&events), aborts(AbortClass::CheckFailed, 1), "{events:?}");
    }
}

#[test]
fn a_party_that_misuses_control_aborts_as_itself() {
    let done = Event::Local(Command::Done { stage: StageId(0) });
    assert_eq!(after(&[done]), aborts(AbortClass::Internal, 0));
    let approve = |digest| Event::Local(Command::Approve { digest });
    assert_eq!(after(&[approve(SEVEN), approve(EIGHT)]), aborts(AbortClass::Internal, 0));
    let digest = Event::Local(Command::StageDigest { stage: StageId(0), digest: SEVEN });
    let late = [approve(SEVEN), said(Message::Approve(SEVEN)), done, digest];
    assert_eq!(after(&late), aborts(AbortClass::Internal, 0));
}

#[test]
fn a_peer_that_ends_after_it_is_complete_is_not_missed() {
    let closed = Event::Peer { from: 1, frame: Frame::Closed };
    assert_eq!(after(&[closed]), aborts(AbortClass::Lost, 1));
    assert_eq!(after(&[said(Message::Complete), closed]), []);
}

#[test]
fn outsiders_are_ignored() {
    let outsider = Event::Peer { from: 2, frame: Frame::Message(Message::Abort(AbortClass::Lost)) };
    assert_eq!(after(&[outsider]), []);
    let own = Event::Peer { from: 0, frame: Frame::Message(Message::Complete) };
    assert_eq!(after(&[own]), []);
}
