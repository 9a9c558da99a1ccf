//! The catalog of one epoch: what every party has published, as a join-semilattice.
//!
//! Statements only accumulate, so they can arrive in any order, over any way, any number of times.
//! What can be asked is monotone: an observation goes from "not yet" to "yes", and from either to a
//! fault of the party, never back. Nothing is taken back within an epoch: a retraction is a new
//! epoch, which is a new catalog that all have to state anew.

use std::collections::BTreeMap;

use senate_circuit::{PartyId, PartySet};
use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Seal, Statement, Topic};
use crate::life::party_id;
use crate::message::Digest;

/// Most topics on which a party states something in one epoch.
pub const TOPICS_MAX: usize = 1 << 10;

/// Proof that a party cannot be relied on in this epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one per faulty party, and statements are copied")]
pub enum Fault {
    /// It has sealed two different digests for one topic: both statements.
    Equivocation(Statement, Statement),
    /// It has stated more than [`TOPICS_MAX`] topics.
    Flood(#[serde(with = "party_id")] PartyId),
}

/// The party that cannot be relied on; [`Catalog::fault`] has the proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faulty(pub PartyId);

impl Fault {
    /// Whose fault it is.
    pub fn party(&self) -> PartyId {
        match self {
            Self::Equivocation(one, _) => one.fact.party,
            Self::Flood(party) => *party,
        }
    }
}

/// Everything that is known of one epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalog {
    parties: PartySet,
    epoch: u32,
    pages: BTreeMap<PartyId, Page>,
}

/// One party's statements. `Flooded` is above everything else.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Page {
    Open(BTreeMap<Topic, Slot>),
    Flooded,
}

/// What a party has stated on one topic: the two smallest digests with the smallest seal that was
/// seen for each, so that it does not depend on who was heard first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    first: (Digest, Seal),
    second: Option<(Digest, Seal)>,
}

impl Slot {
    fn joined(self, other: Self) -> Self {
        let others = std::iter::once(other.first).chain(other.second);
        others.fold(self, Self::with)
    }

    fn with(self, (digest, seal): (Digest, Seal)) -> Self {
        let all = [Some(self.first), self.second, Some((digest, seal))];
        let mut seals: BTreeMap<Digest, Seal> = BTreeMap::new();
        for (digest, seal) in all.into_iter().flatten() {
            let least = seals.entry(digest).or_insert(seal);
            *least = seal.min(*least);
        }
        let mut seals = seals.into_iter();
        let first = seals.next().unwrap_or(self.first);
        Self { first, second: seals.next() }
    }
}

impl Catalog {
    /// Nothing has been published.
    pub fn new(parties: PartySet, epoch: u32) -> Self {
        Self { parties, epoch, pages: BTreeMap::new() }
    }

    /// The epoch.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Everybody who publishes.
    pub fn parties(&self) -> PartySet {
        self.parties
    }

    /// Takes in a statement; tells whether anything is new. One of another epoch, or of somebody
    /// outside, has no effect.
    pub fn insert(&mut self, statement: Statement) -> bool {
        let Statement { fact: Fact { party, epoch, topic, digest }, seal } = statement;
        if epoch != self.epoch || !self.parties.contains(party) {
            return false;
        }
        let new = Slot { first: (digest, seal), second: None };
        let page = self.pages.entry(party).or_insert_with(|| Page::Open(BTreeMap::new()));
        page.put(topic, new)
    }

    /// The least catalog above both. Catalogs of different epochs or parties have none: the other
    /// one's statements have no effect.
    pub fn join(&mut self, other: &Self) {
        if (other.epoch, other.parties) != (self.epoch, self.parties) {
            return;
        }
        for (party, theirs) in &other.pages {
            let page = self.pages.entry(*party).or_insert_with(|| Page::Open(BTreeMap::new()));
            match theirs {
                Page::Flooded => *page = Page::Flooded,
                Page::Open(slots) => slots.iter().for_each(|(topic, slot)| {
                    page.put(*topic, *slot);
                }),
            }
        }
    }

    /// Every statement that it rests on, in one order.
    pub fn statements(&self) -> impl Iterator<Item = Statement> {
        self.pages.iter().flat_map(|(party, page)| {
            let slots = page.slots().into_iter().flatten();
            slots.flat_map(|(topic, slot)| self.slot_statements(*party, *topic, slot))
        })
    }

    /// Whether all these parties have stated this digest.
    ///
    /// # Errors
    /// The first of them that has a fault on that topic.
    pub fn all_stated(
        &self,
        parties: PartySet,
        topic: Topic,
        digest: Digest,
    ) -> Result<bool, Faulty> {
        let mut all = true;
        for party in parties.iter() {
            all &= self.stated(party, topic)? == Some(digest);
        }
        Ok(all)
    }

    /// What a party has stated on a topic, if it has.
    ///
    /// # Errors
    /// It has a fault on that topic.
    pub fn stated(&self, party: PartyId, topic: Topic) -> Result<Option<Digest>, Faulty> {
        match self.pages.get(&party) {
            None => Ok(None),
            Some(Page::Flooded) => Err(Faulty(party)),
            Some(Page::Open(slots)) => match slots.get(&topic) {
                None => Ok(None),
                Some(Slot { second: Some(_), .. }) => Err(Faulty(party)),
                Some(Slot { first: (digest, _), .. }) => Ok(Some(*digest)),
            },
        }
    }

    /// The highest version of a party's policy, with its digest; it only rises.
    ///
    /// # Errors
    /// The party has a fault on that version.
    pub fn policy(&self, party: PartyId) -> Result<Option<(u32, Digest)>, Faulty> {
        let page = self.pages.get(&party);
        let versions = page.and_then(Page::slots).into_iter().flatten();
        let versions = versions.filter_map(|(topic, _)| match topic {
            Topic::Policy(version) => Some(*version),
            _ => None,
        });
        match versions.max() {
            None if page == Some(&Page::Flooded) => Err(Faulty(party)),
            None => Ok(None),
            Some(version) => {
                let digest = self.stated(party, Topic::Policy(version))?;
                Ok(digest.map(|digest| (version, digest)))
            }
        }
    }

    /// Plans that all these parties have approved.
    pub fn approved(&self, parties: PartySet) -> usize {
        let first = parties.leader().and_then(|party| self.pages.get(&party));
        let topics = first.and_then(Page::slots).into_iter().flatten().map(|(topic, _)| *topic);
        let approved = topics.filter(|topic| match topic {
            Topic::Approval(plan) => self.all_stated(parties, *topic, *plan) == Ok(true),
            _ => false,
        });
        approved.count()
    }

    /// The first fault of each party that has any.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        self.pages.keys().filter_map(|party| self.fault(*party))
    }

    /// The first fault of a party.
    pub fn fault(&self, party: PartyId) -> Option<Fault> {
        match self.pages.get(&party)? {
            Page::Flooded => Some(Fault::Flood(party)),
            Page::Open(slots) => {
                slots.iter().find_map(|(topic, slot)| self.slot_fault(party, *topic, slot))
            }
        }
    }

    fn slot_fault(&self, party: PartyId, topic: Topic, slot: &Slot) -> Option<Fault> {
        let mut both = self.slot_statements(party, topic, slot);
        Some(Fault::Equivocation(both.next()?, both.next()?))
    }

    fn slot_statements(
        &self,
        party: PartyId,
        topic: Topic,
        slot: &Slot,
    ) -> impl Iterator<Item = Statement> + use<> {
        let (epoch, all) = (self.epoch, std::iter::once(slot.first).chain(slot.second));
        all.map(move |(digest, seal)| Statement {
            fact: Fact { party, epoch, topic, digest },
            seal,
        })
    }
}

impl Page {
    /// Joins what is known of a topic; tells whether anything is new.
    fn put(&mut self, topic: Topic, new: Slot) -> bool {
        let Self::Open(slots) = self else { return false };
        let before = slots.get(&topic).copied();
        let after = before.map_or(new, |slot| slot.joined(new));
        slots.insert(topic, after);
        if slots.len() > TOPICS_MAX {
            *self = Self::Flooded;
            return true;
        }
        // Another seal on a digest that was known is kept, but is no news.
        let digests = |slot: Slot| (slot.first.0, slot.second.map(|second| second.0));
        before.map(digests) != Some(digests(after))
    }

    fn slots(&self) -> Option<&BTreeMap<Topic, Slot>> {
        match self {
            Self::Open(slots) => Some(slots),
            Self::Flooded => None,
        }
    }
}
