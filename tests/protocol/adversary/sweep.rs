//! Every message kind × every change × every sender, to all receivers and to one (PROTOCOL.md §11).

use super::oracle::{Verdict, expected, holds};
use super::parallel::each;
use super::rewrite::Rewrite;
use super::scenario::{BaseOt, Census, Scenario, everybody};
use crate::protocol::plans::{Noise, plan_of_four, plan_of_two};
use senate_circuit::{PartyId, PartySet};
use senate_mpc::sim::{Action, Tampering, Target};
use senate_mpc::{Frame, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// One run: a change and where it happens.
pub(super) type Cell = (Target, Action);

/// Kinds that a plan of garbled stages never sends; see [`super::rounds`].
const NOT_SENT: [Kind; 2] = [Kind::Layer, Kind::LayerMacs];
/// Kinds that an honest run never sends; see [`super::control`].
const ONLY_AFTER_A_FAULT: [Kind; 1] = [Kind::Abort];

fn actions() -> impl Iterator<Item = Action> {
    let flips = [77, 500, usize::MAX].map(Action::FlipBit);
    Action::ALL.into_iter().chain(flips)
}

/// Every action on the messages of `kind` that the census found: each sender, to all receivers
/// and to each one, the first message of a link, the middle one and the last.
pub(super) fn cells_of(kind: Kind, census: &Census) -> Vec<Cell> {
    let mut cells = Vec::new();
    for from in everybody() {
        let gets = |to: &PartyId| census.contains_key(&(kind, from, *to));
        let receivers: PartySet = everybody().filter(gets).collect();
        let mut targets: Vec<_> = receivers.iter().map(PartySet::only).collect();
        if receivers.len() > 1 {
            targets.insert(0, receivers);
        }
        for (at, to) in targets.into_iter().enumerate() {
            let most = to.iter().map(|to| census[&(kind, from, to)]).max().unwrap_or(0);
            let mut skips = vec![0, most / 2, most - 1];
            skips.dedup();
            skips.truncate(if at < 2 { 3 } else { 1 });
            let target = |skip| Target { from, to, kind, skip };
            let targets = skips.into_iter().map(target);
            cells.extend(targets.flat_map(|target| actions().map(move |action| (target, action))));
        }
    }
    cells
}

/// What a cell ended with: `None` when the change changed nothing.
pub(super) type Outcome = Option<Verdict>;

/// What a changed message may lead to.
type Oracle = fn(&Target, Action) -> Vec<Verdict>;

/// Runs all cells and returns their verdicts, or every cell that ended in a way it must not.
fn sweep(
    scenario: &Scenario,
    base: BaseOt,
    oracle: Oracle,
    cells: &[Cell],
) -> Result<Vec<Outcome>, Vec<String>> {
    let outcomes = each(cells, |(target, action)| {
        let mut tamper = Tampering::new(*target, *action);
        let ends = scenario.run(base, &mut tamper);
        if tamper.hits == 0 {
            return Ok(None);
        }
        let right = |party: PartyId| ends[party.index()].as_ref() == Ok(&scenario.reference(party));
        let mut verdicts = oracle(target, *action).into_iter();
        let verdict = verdicts.find(|verdict| holds(*verdict, target, &ends, right));
        verdict.map(Some).ok_or_else(|| format!("{ends:?}"))
    });
    let cells = cells.iter().zip(&outcomes);
    let wrong = cells.filter_map(|(cell, outcome)| match outcome {
        Ok(Ok(_)) => None,
        Ok(Err(ends)) => Some(format!("{cell:?} ended in {ends}")),
        Err(panic) => Some(format!("{cell:?} panicked: {panic}")),
    });
    let wrong: Vec<_> = wrong.collect();
    match wrong.is_empty() {
        true => Ok(outcomes.into_iter().flatten().flatten().collect()),
        false => Err(wrong),
    }
}

fn assert_swept(scenario: &Scenario, base: BaseOt, cells: &[Cell]) -> Vec<Outcome> {
    assert_swept_by(scenario, base, expected, cells)
}

/// Runs all cells; none may end otherwise than `oracle` says.
pub(super) fn assert_swept_by(
    scenario: &Scenario,
    base: BaseOt,
    oracle: Oracle,
    cells: &[Cell],
) -> Vec<Outcome> {
    sweep(scenario, base, oracle, cells).unwrap_or_else(|wrong| {
        panic!("{} of {} cells:\n{}", wrong.len(), cells.len(), wrong.join("\n"))
    })
}

#[test]
fn every_changed_message_is_caught_by_its_check_or_harmless() {
    let scenario = Scenario::sweep();
    let census = scenario.census(BaseOt::Dealt);
    let cells: Vec<_> = Kind::ALL.iter().flat_map(|kind| cells_of(*kind, &census)).collect();
    let outcomes = assert_swept(&scenario, BaseOt::Dealt, &cells);
    let mut endings: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    for ((target, _), verdict) in cells.iter().zip(outcomes) {
        let name = verdict.map(|verdict| match verdict {
            Verdict::Caught(error) => error.to_string(),
            Verdict::Alone(fault) => format!("{fault} at the cheater"),
            Verdict::Harmless => "harmless".to_owned(),
        });
        endings.entry(target.kind).or_default().extend(name);
    }
    for kind in Kind::ALL {
        let base = matches!(kind, Kind::BaseReceiver | Kind::BaseSender);
        let elsewhere = base || NOT_SENT.contains(kind) || ONLY_AFTER_A_FAULT.contains(kind);
        // Lost, malformed and harmless are the least; all but DONE, which is empty, have a check.
        let least = if *kind == Kind::Done { 3 } else { 4 };
        let found = endings.get(kind).map_or(0, BTreeSet::len);
        assert_eq!(found >= least, !elsewhere, "{kind:?}: {:?}", endings.get(kind));
    }
}

/// Some changes of the first message of every kind from every sender to all its receivers.
pub(super) fn first_to_all(census: &Census) -> Vec<Cell> {
    let actions =
        [Action::FlipBit(0), Action::Zero, Action::Random, Action::Truncate, Action::Drop];
    let mut targets: BTreeMap<(Kind, PartyId), PartySet> = BTreeMap::new();
    for (kind, from, to) in census.keys() {
        let receivers = targets.entry((*kind, *from)).or_default();
        *receivers = receivers.union(PartySet::only(*to));
    }
    let targets = targets.into_iter();
    let targets = targets.map(|((kind, from), to)| Target { from, to, kind, skip: 0 });
    targets.flat_map(|target| actions.map(|action| (target, action))).collect()
}

/// The first message of every kind from every sender to all, among two and among four parties.
#[test]
fn changes_are_caught_among_two_and_among_four_as_well() {
    for (parties, plan) in [(2, plan_of_two()), (4, plan_of_four())] {
        let scenario = Scenario::of(parties, plan);
        let cells = first_to_all(&scenario.census(BaseOt::Dealt));
        let outcomes = assert_swept(&scenario, BaseOt::Dealt, &cells);
        let caught = |outcome: &&Outcome| matches!(outcome, Some(Verdict::Caught(_)));
        assert!(outcomes.iter().filter(caught).count() * 4 > cells.len() * 3);
    }
}

/// Flips of any bit of any message, on each link alone.
#[test]
fn a_flipped_bit_anywhere_is_caught_by_its_check_or_harmless() {
    let scenario = Scenario::sweep();
    let mut noise = Noise::new(1);
    let mut cells = Vec::new();
    for ((kind, from, to), count) in scenario.census(BaseOt::Dealt) {
        for _ in 0..5 {
            let skip = noise.below(count);
            let target = Target { from, to: PartySet::only(to), kind, skip };
            cells.push((target, Action::FlipBit(noise.below(1 << 40))));
        }
    }
    let outcomes = assert_swept(&scenario, BaseOt::Dealt, &cells);
    let harmless = outcomes.iter().filter(|outcome| **outcome == Some(Verdict::Harmless)).count();
    assert!(harmless > 0 && harmless * 4 < cells.len(), "{harmless} of {}", cells.len());
}

#[test]
fn changed_base_oblivious_transfers_are_caught_or_harmless() {
    let scenario = Scenario::sweep();
    let census = scenario.census(BaseOt::Real);
    let kinds = [Kind::BaseReceiver, Kind::BaseSender];
    let mut cells: Vec<_> = kinds.into_iter().flat_map(|kind| cells_of(kind, &census)).collect();
    cells.retain(|(target, _)| target.to.len() > 1 || target.from.index() == 1);
    let outcomes = assert_swept(&scenario, BaseOt::Real, &cells);
    let caught = |outcome: &&Outcome| matches!(outcome, Some(Verdict::Caught(_)));
    assert!(outcomes.iter().filter(caught).count() > cells.len() / 2);
}

/// The same with nothing dealt: one change of every kind.
#[test]
fn every_kind_is_caught_in_a_whole_real_run() {
    let scenario = Scenario::sweep();
    let census = scenario.census(BaseOt::Real);
    let first = |kind: &Kind| {
        let mut cells = cells_of(*kind, &census).into_iter();
        cells.find(|(target, action)| {
            let wanted = match target.kind {
                Kind::Done => Action::Extend,
                // One bit, which may be 0 anyway.
                Kind::VerBits => Action::FlipBit(0),
                _ => Action::Zero,
            };
            *action == wanted && (target.to.len() > 1 || target.kind.step() != Kind::Sid.step())
        })
    };
    let cells: Vec<_> = Kind::ALL.iter().filter_map(first).collect();
    assert_eq!(cells.len() + NOT_SENT.len() + ONLY_AFTER_A_FAULT.len(), Kind::ALL.len());
    let outcomes = assert_swept(&scenario, BaseOt::Real, &cells);
    let unchanged = cells.iter().zip(&outcomes).find(|(_, outcome)| outcome.is_none());
    assert_eq!(unchanged, None);
}

/// Everything that depends on a session is bound to it.
#[test]
fn messages_of_another_session_are_caught_like_any_other_change() {
    let scenario = Scenario::sweep();
    let mut foreign: BTreeMap<(Kind, PartyId, PartyId), Vec<u8>> = BTreeMap::new();
    let listen = |from: PartyId, to: PartyId, frame: &mut Frame| {
        foreign.entry((frame.kind, from, to)).or_insert_with(|| frame.payload.clone());
    };
    // A seed with which no message of one byte happens to be the same.
    Scenario { seed: 7, ..Scenario::sweep() }.run(BaseOt::Dealt, &mut Rewrite(listen));
    let links = foreign.keys().map(|(kind, from, _)| (*kind, *from)).collect::<BTreeSet<_>>();
    let cells: Vec<_> = links.into_iter().collect();
    let hits = each(&cells, |(kind, from)| {
        let mut replaced = PartySet::EMPTY;
        let mut changed = false;
        let replace = |sender: PartyId, to: PartyId, frame: &mut Frame| {
            if (frame.kind, sender) == (*kind, *from) && !replaced.contains(to) {
                replaced = replaced.union(PartySet::only(to));
                changed |= frame.payload != foreign[&(*kind, sender, to)];
                frame.payload.clone_from(&foreign[&(*kind, sender, to)]);
            }
        };
        let ends = scenario.run(BaseOt::Dealt, &mut Rewrite(replace));
        let target = Target { from: *from, to: replaced, kind: *kind, skip: 0 };
        // Another session's nonce is a nonce like any other until the session id is compared.
        let like = if *kind == Kind::Hello { Action::FlipBit(0) } else { Action::Random };
        let right = |party: PartyId| ends[party.index()].as_ref() == Ok(&scenario.reference(party));
        let mut verdicts = expected(&target, like).into_iter();
        let held = verdicts.any(|verdict| holds(verdict, &target, &ends, right));
        assert!(!changed || held, "{kind:?} of {from}: {ends:?}");
        changed
    });
    let unchanged = cells.iter().zip(hits).filter(|(_, hit)| hit != &Ok(true));
    let unchanged: Vec<_> = unchanged.collect();
    // DONE is empty; one bit may happen to be the same.
    let same = |kind| matches!(kind, Kind::Done | Kind::VerBits);
    assert!(unchanged.iter().all(|((kind, _), _)| same(*kind)), "{unchanged:?}");
}
