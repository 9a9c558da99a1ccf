//! The transition of one party's state, the whole logic of control.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use senate_circuit::{PartyId, PartySet, StageId};
use serde::{Deserialize, Serialize};

use crate::message::{AbortClass, Digest, Frame, Message};
use crate::spec::LifeSpec;

/// What the party itself tells control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// The party approves the plan with this digest (policy, consent and local checks passed).
    Approve {
        /// Digest of all that the query binds.
        digest: Digest,
    },
    /// The party has finished its part of a stage that control had started.
    Done {
        /// The stage.
        #[serde(with = "stage_id")]
        stage: StageId,
    },
    /// The party cannot go on.
    Failed {
        /// What the others may know of the reason.
        class: AbortClass,
    },
    /// A connection to `party` other than the control channel broke. The end of the control
    /// channel itself is [`Frame::Closed`], in that channel.
    PeerLost {
        /// The party that cannot be reached.
        #[serde(with = "party_id")]
        party: PartyId,
    },
    /// The public transcript of a stage, which its parties compare; stated before `Done`. A party
    /// that states one does not complete the query before every party of the stage stated the same.
    StageDigest {
        /// The stage, one of the party's own.
        #[serde(with = "stage_id")]
        stage: StageId,
        /// Digest of its public transcript.
        digest: Digest,
    },
}

/// What control tells the party to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Run the party's part of this stage. Told once per stage.
    Start {
        /// The stage.
        #[serde(with = "stage_id")]
        stage: StageId,
    },
    /// The query is complete at every participant. The last action.
    Finished,
    /// The query is over without an answer. The last action.
    Aborted {
        /// Why, as far as everybody may know.
        class: AbortClass,
        /// The party that caused it, or that announced it to this one.
        #[serde(with = "party_id")]
        by: PartyId,
    },
}

/// One input of a party's control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The party itself.
    Local(Command),
    /// The channel from a peer. The transport proved who the sender is.
    Peer {
        /// Index of the sender; an index that no participant has is ignored.
        from: u32,
        /// What arrived.
        frame: Frame,
    },
}

/// What a party's control takes in: its plan, then events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The party's view of the plan. The first item, and only the first.
    Plan(Arc<LifeSpec>),
    /// Something happened.
    Event(Event),
}

/// One output of a party's control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// A message to a peer.
    Send {
        /// The recipient, another participant.
        to: PartyId,
        /// The message.
        message: Message,
    },
    /// An action of the party itself.
    Act(Action),
}

/// A party's state in one query: the facts it knows. They only grow until the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    spec: Arc<LifeSpec>,
    approvals: BTreeMap<PartyId, Digest>,
    completions: BTreeSet<(StageId, PartyId)>,
    digests: BTreeMap<(StageId, PartyId), Digest>,
    started: BTreeSet<StageId>,
    complete: PartySet,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Live,
    Over,
}

/// The event that ends a query: its class and the party it is laid to.
struct Abort {
    class: AbortClass,
    by: PartyId,
}

impl Life {
    /// The state before any event.
    pub fn new(spec: Arc<LifeSpec>) -> Self {
        Self {
            spec,
            approvals: BTreeMap::new(),
            completions: BTreeSet::new(),
            digests: BTreeMap::new(),
            started: BTreeSet::new(),
            complete: PartySet::EMPTY,
            phase: Phase::Live,
        }
    }
}

/// Takes in the plan, or one event. Nothing has an effect before the plan; a second plan has none.
pub fn take_in(life: &mut Option<Life>, input: Input) -> Vec<Effect> {
    match (life, input) {
        (unplanned @ None, Input::Plan(spec)) => *unplanned = Some(Life::new(spec)),
        (Some(life), Input::Event(event)) => return step(life, event),
        (None, Input::Event(_)) | (Some(_), Input::Plan(_)) => {}
    }
    Vec::new()
}

/// Takes in one event: records the facts it brings, and draws every conclusion from all facts.
///
/// After `Finished` or `Aborted` nothing has an effect any more. A party finishes only when every
/// participant has said it is complete, so one that aborts before saying so keeps all others from
/// finishing. A party that is lost after it said so is not missed.
pub fn step(life: &mut Life, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    if life.phase == Phase::Over {
        return effects;
    }
    let learnt = match event {
        Event::Local(command) => life.command(command, &mut effects),
        Event::Peer { from, frame } => life.frame(from, frame),
    };
    if let Err(abort) = learnt.and_then(|()| life.conclude(&mut effects)) {
        life.phase = Phase::Over;
        // Relayed by everybody, so that it reaches all even if the first one dies while telling.
        effects.clear();
        let peers = life.spec.peers();
        effects.extend(sends(peers, Message::Abort(abort.class)));
        effects.push(Effect::Act(Action::Aborted { class: abort.class, by: abort.by }));
    }
    effects
}

impl Life {
    fn command(&mut self, command: Command, effects: &mut Vec<Effect>) -> Result<(), Abort> {
        let me = self.spec.me();
        let misuse = Abort { class: AbortClass::Internal, by: me };
        match command {
            Command::Approve { digest } => {
                if *self.approvals.entry(me).or_insert(digest) != digest {
                    return Err(misuse);
                }
                effects.extend(sends(self.spec.peers(), Message::Approve(digest)));
            }
            Command::Done { stage } => {
                if !self.started.contains(&stage) {
                    return Err(misuse);
                }
                self.completions.insert((stage, me));
                let consumers = self.spec.consumers(stage, me).without(me);
                effects.extend(sends(consumers, Message::Completed(stage)));
            }
            Command::Failed { class } => return Err(Abort { class, by: me }),
            Command::PeerLost { party } => self.lost(party)?,
            Command::StageDigest { stage, digest } => {
                let parties = self.spec.parties_of(stage);
                let done = self.completions.contains(&(stage, me));
                let late = done && !self.digests.contains_key(&(stage, me));
                if late
                    || !parties.contains(me)
                    || *self.digests.entry((stage, me)).or_insert(digest) != digest
                {
                    return Err(misuse);
                }
                effects.extend(sends(parties.without(me), Message::StageDigest(stage, digest)));
            }
        }
        Ok(())
    }

    fn frame(&mut self, from: u32, frame: Frame) -> Result<(), Abort> {
        let peer = usize::try_from(from).ok().and_then(PartyId::new);
        let Some(by) = peer.filter(|peer| self.spec.peers().contains(*peer)) else {
            return Ok(());
        };
        let violation = Abort { class: AbortClass::CheckFailed, by };
        let me = self.spec.me();
        let lawful = match frame {
            Frame::Closed => return self.lost(by),
            Frame::Malformed => false,
            Frame::Message(Message::Abort(class)) => return Err(Abort { class, by }),
            Frame::Message(Message::Approve(digest)) => {
                *self.approvals.entry(by).or_insert(digest) == digest
            }
            Frame::Message(Message::Completed(stage)) => {
                let consumed = self.spec.consumers(stage, by).contains(me);
                if consumed {
                    self.completions.insert((stage, by));
                }
                consumed
            }
            Frame::Message(Message::StageDigest(stage, digest)) => {
                let parties = self.spec.parties_of(stage);
                parties.contains(by)
                    && parties.contains(me)
                    && *self.digests.entry((stage, by)).or_insert(digest) == digest
            }
            Frame::Message(Message::Complete) => {
                self.complete = self.complete.union(PartySet::only(by));
                true
            }
        };
        if lawful { Ok(()) } else { Err(violation) }
    }

    /// A party that is complete has said all it will ever say; any other is missed.
    fn lost(&self, party: PartyId) -> Result<(), Abort> {
        if self.spec.peers().contains(party) && !self.complete.contains(party) {
            return Err(Abort { class: AbortClass::Lost, by: party });
        }
        Ok(())
    }

    fn conclude(&mut self, effects: &mut Vec<Effect>) -> Result<(), Abort> {
        self.compare()?;
        if self.approvals.len() < self.spec.participants().len() {
            return Ok(());
        }
        let me = self.spec.me();
        for stage in self.spec.stages_of(me) {
            let ready = stage.waits.iter().all(|wait| self.completions.contains(wait));
            if ready && self.started.insert(stage.id) {
                effects.push(Effect::Act(Action::Start { stage: stage.id }));
            }
        }
        if !self.complete.contains(me) && self.is_done() {
            self.complete = self.complete.union(PartySet::only(me));
            effects.extend(sends(self.spec.peers(), Message::Complete));
        }
        if self.complete == self.spec.participants() {
            self.phase = Phase::Over;
            effects.push(Effect::Act(Action::Finished));
        }
        Ok(())
    }

    /// Compares what this party stated with what the others stated about the same.
    fn compare(&self) -> Result<(), Abort> {
        let me = self.spec.me();
        if let Some(own) = self.approvals.get(&me)
            && let Some((party, _)) = self.approvals.iter().find(|(_, digest)| *digest != own)
        {
            return Err(Abort { class: AbortClass::Mismatch, by: *party });
        }
        for ((stage, party), digest) in &self.digests {
            if self.digests.get(&(*stage, me)).is_some_and(|own| own != digest) {
                return Err(Abort { class: AbortClass::CheckFailed, by: *party });
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let me = self.spec.me();
        self.spec.stages_of(me).all(|stage| {
            let compared = !self.digests.contains_key(&(stage.id, me))
                || stage.parties.iter().all(|party| self.digests.contains_key(&(stage.id, party)));
            compared && self.completions.contains(&(stage.id, me))
        })
    }
}

fn sends(to: PartySet, message: Message) -> impl Iterator<Item = Effect> {
    to.iter().map(move |to| Effect::Send { to, message })
}

/// Serde form of a stage id: its number.
mod stage_id {
    use senate_circuit::StageId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &StageId, to: S) -> Result<S::Ok, S::Error> {
        id.0.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StageId, D::Error> {
        u32::deserialize(from).map(StageId)
    }
}

/// Serde form of a party id: its index.
pub(crate) mod party_id {
    use senate_circuit::PartyId;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(id: &PartyId, to: S) -> Result<S::Ok, S::Error> {
        u8::try_from(id.index()).unwrap_or(u8::MAX).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PartyId, D::Error> {
        PartyId::new(u8::deserialize(from)?.into())
            .ok_or_else(|| D::Error::custom("no party has this index"))
    }
}
