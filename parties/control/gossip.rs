//! The transition of one party's knowledge of the catalog: what it tells whom, and what it observes.

use std::collections::BTreeSet;
use std::sync::Arc;

use senate_circuit::{PartyId, PartySet};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Fault};
use crate::fact::{Statement, Topic, Word};
use crate::message::Digest;

/// Who gossips about which epoch, as seen by `me`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GossipSpec {
    /// The party itself.
    pub me: PartyId,
    /// Everybody in the federation.
    pub parties: PartySet,
    /// The epoch.
    pub epoch: u32,
}

/// What a party tells its own gossip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// A statement of its own.
    State(Statement),
    /// The peer with this index can be talked to now: it is told everything, then [`Word::End`].
    Meet(u8),
}

/// What a party's gossip takes in: who it is, then what happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Who gossips. The first item, and only the first.
    Spec(Arc<GossipSpec>),
    /// The party itself.
    Local(Notice),
    /// A word of a peer, whose statements' seals have been verified.
    Peer {
        /// Index of the sender; an index that no party has is ignored.
        from: u32,
        /// What it says.
        word: Word,
    },
}

/// What a party comes to know. Each is true for good once it is told, and told once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Observation {
    /// A party has stated this.
    Stated(Statement),
    /// All parties have stated this digest.
    Agreed(Topic, Digest),
    /// A party cannot be relied on.
    Fault(Fault),
}

/// One output of a party's gossip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Telling {
    /// A word for a peer.
    Send {
        /// The recipient, another party.
        to: PartyId,
        /// The word.
        word: Word,
    },
    /// News for the party itself.
    Observe(Observation),
}

/// A party's knowledge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gossip {
    spec: Arc<GossipSpec>,
    catalog: Catalog,
    agreed: BTreeSet<(Topic, Digest)>,
    faulty: PartySet,
}

impl Gossip {
    /// The state before anything is known.
    pub fn new(spec: Arc<GossipSpec>) -> Self {
        let catalog = Catalog::new(spec.parties, spec.epoch);
        Self { spec, catalog, agreed: BTreeSet::new(), faulty: PartySet::EMPTY }
    }

    /// Everything that is known.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

/// Takes in who gossips, or what happens. Nothing has an effect before the former.
pub fn hear(gossip: &mut Option<Gossip>, heard: Heard) -> Vec<Telling> {
    match (gossip, heard) {
        (silent @ None, Heard::Spec(spec)) => *silent = Some(Gossip::new(spec)),
        (Some(gossip), Heard::Local(notice)) => return gossip.notice(notice),
        (Some(gossip), Heard::Peer { from, word }) => return gossip.word(from, word),
        (None, _) | (Some(_), Heard::Spec(_)) => {}
    }
    Vec::new()
}

impl Gossip {
    fn notice(&mut self, notice: Notice) -> Vec<Telling> {
        match notice {
            Notice::State(statement) if statement.fact.party == self.spec.me => {
                self.learn(statement, PartySet::only(self.spec.me))
            }
            // Only a party itself states its facts.
            Notice::State(_) => Vec::new(),
            Notice::Meet(peer) => match self.peer(peer.into()) {
                None => Vec::new(),
                Some(to) => {
                    let all = self.catalog.statements().map(Word::Statement);
                    let words = all.chain([Word::End]);
                    words.map(|word| Telling::Send { to, word }).collect()
                }
            },
        }
    }

    fn word(&mut self, from: u32, word: Word) -> Vec<Telling> {
        match (self.peer(from), word) {
            (Some(peer), Word::Statement(statement)) => {
                self.learn(statement, PartySet::only(self.spec.me).union(PartySet::only(peer)))
            }
            _ => Vec::new(),
        }
    }

    /// Takes in a statement; what is new is passed on to all but those who know, and every
    /// conclusion is drawn from all statements.
    fn learn(&mut self, statement: Statement, knowing: PartySet) -> Vec<Telling> {
        if !self.catalog.insert(statement) {
            return Vec::new();
        }
        let others = self.spec.parties.iter().filter(|party| !knowing.contains(*party));
        let word = Word::Statement(statement);
        let mut tellings: Vec<_> = others.map(|to| Telling::Send { to, word }).collect();
        tellings.push(Telling::Observe(Observation::Stated(statement)));
        let (topic, digest) = (statement.fact.topic, statement.fact.digest);
        let all = self.catalog.all_stated(self.spec.parties, topic, digest);
        if all == Ok(true) && self.agreed.insert((topic, digest)) {
            tellings.push(Telling::Observe(Observation::Agreed(topic, digest)));
        }
        let party = statement.fact.party;
        if let Some(fault) = self.catalog.fault(party).filter(|_| !self.faulty.contains(party)) {
            self.faulty = self.faulty.union(PartySet::only(party));
            tellings.push(Telling::Observe(Observation::Fault(fault)));
        }
        tellings
    }

    fn peer(&self, index: u32) -> Option<PartyId> {
        let party = usize::try_from(index).ok().and_then(PartyId::new);
        party.filter(|party| self.spec.parties.without(self.spec.me).contains(*party))
    }
}
