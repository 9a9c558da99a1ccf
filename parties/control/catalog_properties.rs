//! The catalog against a sequential reference: the plain set of everything that was ever stated.

use std::collections::BTreeSet;

use proptest::prelude::*;
use senate_circuit::{PartyId, PartySet};

use crate::catalog::{Catalog, Fault, Faulty, TOPICS_MAX};
use crate::fact::{Fact, Seal, Statement, Topic};
use crate::message::Digest;

const EPOCH: u32 = 3;

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

fn topics() -> Vec<Topic> {
    let digest = |byte| Digest([byte; 32]);
    vec![
        Topic::Roster,
        Topic::Release,
        Topic::Table(digest(1)),
        Topic::Table(digest(2)),
        Topic::Policy(1),
        Topic::Policy(2),
        Topic::Approval(digest(5)),
    ]
}

/// Few parties, topics and digests, so that they meet; some of another epoch or from outside.
fn statements() -> impl Strategy<Value = Statement> {
    let epoch = prop_oneof![9 => Just(EPOCH), 1 => Just(EPOCH + 1)];
    let topic = prop::sample::select(topics());
    (0..4usize, epoch, topic, 5..7u8, 0..2u8).prop_map(|(at, epoch, topic, digest, seal)| {
        let fact = Fact { party: party(at), epoch, topic, digest: Digest([digest; 32]) };
        Statement { fact, seal: Seal::new(&[seal]).unwrap() }
    })
}

fn many() -> impl Strategy<Value = Vec<Statement>> {
    prop::collection::vec(statements(), 0..40)
}

fn catalog(statements: &[Statement]) -> Catalog {
    let mut catalog = Catalog::new(PartySet::first(3), EPOCH);
    statements.iter().for_each(|statement| {
        catalog.insert(*statement);
    });
    catalog
}

fn joined(one: &Catalog, other: &Catalog) -> Catalog {
    let mut join = one.clone();
    join.join(other);
    join
}

/// The reference: what follows from all statements, found by looking at each.
struct Reference(BTreeSet<Statement>);

impl Reference {
    fn digests(&self, of: PartyId, topic: Topic) -> BTreeSet<Digest> {
        let facts = self.0.iter().map(|statement| statement.fact);
        let facts = facts.filter(|fact| fact.party == of && fact.epoch == EPOCH);
        facts.filter(|fact| fact.topic == topic).map(|fact| fact.digest).collect()
    }

    /// `None` is a fault.
    fn stated(&self, of: PartyId, topic: Topic) -> Option<Option<Digest>> {
        let digests = self.digests(of, topic);
        (digests.len() < 2).then(|| digests.into_iter().next())
    }

    fn all_stated(&self, parties: PartySet, topic: Topic, digest: Digest) -> Option<bool> {
        let each = parties.iter().map(|of| Some(self.stated(of, topic)? == Some(digest)));
        each.collect::<Option<Vec<bool>>>().map(|all| all.into_iter().all(|stated| stated))
    }

    fn faulty(&self) -> BTreeSet<PartyId> {
        let pairs = (0..3).map(party).flat_map(|of| topics().into_iter().map(move |t| (of, t)));
        let faulty = pairs.filter(|(of, topic)| self.stated(*of, *topic).is_none());
        faulty.map(|(of, _)| of).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn join_is_commutative_associative_and_idempotent([a, b, c] in [many(), many(), many()]) {
        let [a, b, c] = [a, b, c].map(|statements| catalog(&statements));
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a.clone());
        prop_assert_eq!(joined(&joined(&a, &b), &b), joined(&a, &b));
    }

    #[test]
    fn every_order_and_division_gives_the_same_catalog(
        all in many().prop_shuffle(),
        at in any::<prop::sample::Index>(),
        repeated in any::<bool>(),
    ) {
        let whole = catalog(&all);
        let reversed: Vec<Statement> = all.iter().rev().copied().collect();
        prop_assert_eq!(&catalog(&reversed), &whole);
        let (one, other) = all.split_at(at.index(all.len() + 1));
        let mut join = joined(&catalog(one), &catalog(other));
        if repeated {
            all.iter().for_each(|statement| { join.insert(*statement); });
        }
        prop_assert_eq!(&join, &whole);
        let told: Vec<Statement> = whole.statements().collect();
        prop_assert_eq!(&catalog(&told), &whole);
    }

    #[test]
    fn observations_are_those_of_the_reference(all in many()) {
        let (catalog, reference) = (catalog(&all), Reference(all.iter().copied().collect()));
        for topic in topics() {
            for digest in [5, 6].map(|byte| Digest([byte; 32])) {
                let seen = catalog.all_stated(PartySet::first(3), topic, digest).ok();
                // A fault is told only of those before whom nothing else is in the way: of any.
                prop_assert_eq!(seen, reference.all_stated(PartySet::first(3), topic, digest));
            }
        }
        let faulty: BTreeSet<PartyId> = catalog.faults().map(|fault| fault.party()).collect();
        prop_assert_eq!(faulty, reference.faulty());
        for of in (0..3).map(party) {
            let versions = [2, 1].into_iter();
            let highest = versions.filter(|v| !reference.digests(of, Topic::Policy(*v)).is_empty());
            let expected = match highest.clone().next() {
                None => Some(None),
                Some(v) => reference.stated(of, Topic::Policy(v)).map(|d| d.map(|d| (v, d))),
            };
            prop_assert_eq!(catalog.policy(of).ok(), expected);
        }
    }

    #[test]
    fn observations_never_go_back(all in many(), topic in prop::sample::select(topics())) {
        let rank = |seen: Result<bool, Faulty>| match seen {
            Ok(false) => 0,
            Ok(true) => 1,
            Err(_) => 2,
        };
        let mut catalog = catalog(&[]);
        let (mut before, mut version, mut faults) = (0, 0, 0);
        for statement in all {
            catalog.insert(statement);
            let seen = catalog.all_stated(PartySet::first(2), topic, Digest([5; 32]));
            prop_assert!(rank(seen) >= before);
            before = rank(seen);
            let policy = catalog.policy(party(0));
            let known = policy.map_or(2, |policy| policy.map_or(0, |(version, _)| version));
            prop_assert!(known >= version);
            version = known;
            prop_assert!(catalog.faults().count() >= faults);
            faults = catalog.faults().count();
        }
    }
}

fn stated(at: usize, topic: Topic, digest: u8) -> Statement {
    let fact = Fact { party: party(at), epoch: EPOCH, topic, digest: Digest([digest; 32]) };
    Statement { fact, seal: Seal::new(&[digest]).unwrap() }
}

#[test]
fn two_digests_for_one_topic_are_evidence_with_both_seals() {
    let (one, other) = (stated(1, Topic::Policy(1), 5), stated(1, Topic::Policy(1), 6));
    let catalog = catalog(&[other, one]);
    let faults: Vec<Fault> = catalog.faults().collect();
    assert_eq!(faults, [Fault::Equivocation(one, other)]);
    assert_eq!(catalog.policy(party(1)), Err(Faulty(party(1))));
    assert_eq!(catalog.policy(party(0)), Ok(None));
}

#[test]
fn a_party_that_states_without_end_is_faulty_and_takes_no_more_room() {
    let topic = |number: usize| Topic::Policy(u32::try_from(number).unwrap());
    let all: Vec<_> = (0..TOPICS_MAX + 5).map(|number| stated(2, topic(number), 5)).collect();
    let catalog_of_all = catalog(&all);
    assert_eq!(catalog_of_all.fault(party(2)), Some(Fault::Flood(party(2))));
    assert_eq!(catalog_of_all.statements().count(), 0);
    let halves = joined(&catalog(&all[..TOPICS_MAX]), &catalog(&all[TOPICS_MAX..]));
    assert_eq!(halves, catalog_of_all);
    assert_eq!(catalog(&all[..TOPICS_MAX]).fault(party(2)), None);
}

#[test]
fn a_new_epoch_knows_nothing_of_the_last_one() {
    let mut catalog = Catalog::new(PartySet::first(3), EPOCH + 1);
    assert!(!catalog.insert(stated(0, Topic::Roster, 5)));
    assert_eq!(catalog, Catalog::new(PartySet::first(3), EPOCH + 1));
}
