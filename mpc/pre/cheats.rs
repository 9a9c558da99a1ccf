//! Every message kind of session set-up and preprocessing, corrupted by every sender: the exact
//! fault at an honest party. Then the cheating strategies that no single message shows.

use super::Triples;
use super::batch::triple_batch;
use super::ideal::Dealer;
use super::leaky_and::rows_taken;
use super::shares::share_rows;
use super::tests::assert_triples;
use super::workbench::Workbench;
use crate::auth::Member;
use crate::coin::Coins;
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::{Error, Fault, Step};
use crate::mesh::{Channel, Frame, Kind, Lane, Mesh};
use crate::ot::{Challenge, Choices, CotRun, CotSource, Cots, Part, Rows, Run, Taker, TreeDepth};
use crate::party::ByParty;
use crate::session::{Params, Session, agree, bind};
use crate::setup::delta_check::check_delta;
use crate::sim::{Action, Federation, Tamper, Tampering, Target};
use crate::zero::ZeroShares;
use senate_block::Block;
use senate_circuit::{Allowance, BatchShape, PartyId, PartySet};
use std::collections::BTreeSet;
use std::rc::Rc;

const N: usize = 3;

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// Tools whose session id is agreed on and whose Δ has not been checked yet. Base OTs are dealt: their
/// messages are corrupted by their own tests.
async fn workbench(
    mesh: &Mesh,
    entropy: Entropy,
    cheat: Cheat,
) -> Result<Workbench<Crooked>, Error> {
    let (me, set) = (mesh.me(), mesh.parties());
    let channel = mesh.channel(Lane::SESSION, set)?;
    let id = agree(&channel, &Params::new([4; 32]), &entropy).await?;
    let zero = Rc::new(ZeroShares::set_up(&channel, &entropy).await?);
    let domain = Domain::new(id, set, Lane::SESSION);
    let delta = Rc::new(Dealer::new(8).delta(me));
    let honest = Cots::set_up_dealt(&channel, id, TreeDepth::Four, &delta, &entropy).await?;
    let (cots, member) = (Rc::new(Crooked { honest, cheat }), Member::new(me, set, delta)?);
    Ok(Workbench { channel, member, domain, zero, cots, entropy: Rc::new(entropy) })
}

async fn everything(mesh: Mesh, entropy: Entropy) -> Result<Triples, Error> {
    let mut bench = workbench(&mesh, entropy, Cheat::None).await?;
    check_delta(&bench).await?;
    let id = bind(&bench.channel, &bench.domain, &[5; 32]).await?;
    let lane = Lane::supply(0, 0);
    bench.channel = mesh.channel(lane, mesh.parties())?;
    bench.domain = Domain::new(id, mesh.parties(), lane);
    triple_batch(&bench, 0, BatchShape::cheapest(20, Allowance::whole(40))).await
}

fn tampered(target: Target, action: Action) -> Vec<Result<Triples, Error>> {
    let mut tamper = Tampering::new(target, action);
    let results = Federation::new(N, 9).run_tampered(&mut tamper, everything);
    assert!(tamper.hits > 0, "{target:?} {action:?} changed nothing");
    results
}

/// No victim goes on, and somebody honest finds exactly `fault`. (Whoever has already received
/// the last message it needs may finish.)
fn assert_caught<T>(results: &[Result<T, Error>], victims: PartySet, fault: Error, what: &str) {
    let error = |party: PartyId| results[party.index()].as_ref().err();
    assert!(victims.iter().all(|party| error(party).is_some()), "{what}: accepted");
    let found: Vec<_> = (0..results.len()).map(|index| error(party(index))).collect();
    let seen = found.iter().filter(|error| **error == Some(&fault)).count();
    assert!(seen > 0, "{what}: {fault:?} expected, {found:?} found");
}

/// Kind, a change that matters for certain, and the fault it leads to; true if that fault convicts
/// the sender.
const CELLS: &[(Kind, Action, Fault, bool)] = &[
    (Kind::Hello, Action::FlipBit(0), Fault::Binding, true),
    (Kind::Hello, Action::FlipBit(400), Fault::Echo(Step::Session), false),
    (Kind::Sid, Action::FlipBit(5), Fault::Echo(Step::Session), false),
    (Kind::Zseed, Action::FlipBit(5), Fault::DeltaConsistency, false),
    (Kind::DeltaY, Action::FlipBit(5), Fault::Echo(Step::DeltaCheck), false),
    (Kind::DeltaEcho, Action::FlipBit(5), Fault::Echo(Step::DeltaCheck), false),
    (Kind::DeltaCommit, Action::FlipBit(5), Fault::Commitment(Step::DeltaCheck), true),
    (Kind::DeltaOpen, Action::FlipBit(300), Fault::Commitment(Step::DeltaCheck), true),
    (Kind::DeltaOpen, Action::FlipBit(3), Fault::Commitment(Step::DeltaCheck), true),
    (Kind::Corr, Action::FlipBit(5), Fault::CotConsistency, true),
    (Kind::Resp, Action::FlipBit(5), Fault::CotConsistency, true),
    (Kind::Resp, Action::FlipBit(200), Fault::CotConsistency, true),
    (Kind::Bind, Action::FlipBit(5), Fault::Binding, true),
    (Kind::Coins, Action::FlipBit(5), Fault::Commitment(Step::Session), true),
    (Kind::CoinOpen, Action::FlipBit(300), Fault::Commitment(Step::Session), true),
    (Kind::CoinOpen, Action::Random, Fault::Commitment(Step::Session), true),
    (Kind::ShareEcho, Action::FlipBit(5), Fault::Echo(Step::Shares), false),
    (Kind::LaandU, Action::Random, Fault::ZeroTest, false),
    (Kind::LaandU, Action::Zero, Fault::ZeroTest, false),
    (Kind::LaandD, Action::FlipBit(5), Fault::ZeroTest, false),
    (Kind::ZeroCorr, Action::FlipBit(5), Fault::ZeroTest, false),
    (Kind::ZeroOle, Action::Random, Fault::ZeroTest, false),
    (Kind::ZeroCommit, Action::FlipBit(5), Fault::Commitment(Step::ZeroTest), true),
    (Kind::ZeroOpen, Action::FlipBit(300), Fault::Commitment(Step::ZeroTest), true),
    (Kind::BucketBits, Action::FlipBit(5), Fault::OpenMac(Step::Bucketing), false),
    (Kind::BucketBits, Action::FlipBit(200), Fault::OpenMac(Step::Bucketing), false),
    (Kind::BucketMacs, Action::FlipBit(5), Fault::OpenMac(Step::Bucketing), false),
];

#[test]
fn every_changed_message_of_every_sender_is_caught_by_its_check() {
    for (kind, action, fault, convicts) in CELLS {
        for from in (0..N).map(party) {
            let to = PartySet::first(N).without(from);
            let target = Target { from, to, kind: *kind, skip: 0 };
            let error =
                if *convicts { Error::by(from, *fault) } else { Error::unattributed(*fault) };
            let results = tampered(target, *action);
            assert_caught(&results, to, error, &format!("{target:?} {action:?}"));
        }
    }
}

#[test]
fn telling_one_receiver_something_else_is_caught() {
    // A wrong d, an equivocated y or coin commitment, an equivocated nonce.
    let (from, to) = (party(1), PartySet::only(party(2)));
    for (kind, action, fault, convicts) in CELLS {
        let target = Target { from, to, kind: *kind, skip: 0 };
        let error = if *convicts { Error::by(from, *fault) } else { Error::unattributed(*fault) };
        assert_caught(&tampered(target, *action), to, error, &format!("{target:?} {action:?}"));
    }
}

#[test]
fn messages_of_the_wrong_size_or_missing_end_the_session() {
    let (from, to) = (party(2), PartySet::only(party(0)));
    for (kind, ..) in CELLS {
        let target = Target { from, to, kind: *kind, skip: 0 };
        for action in [Action::Truncate, Action::Extend] {
            let error = Error::by(from, Fault::Malformed(*kind));
            assert_caught(&tampered(target, action), to, error, &format!("{target:?}"));
        }
        let results = tampered(target, Action::Drop);
        assert_caught(&results, to, Error::Lost { party: from }, &format!("{target:?} dropped"));
    }
}

#[test]
fn any_change_ends_in_an_abort_or_in_right_triples() {
    let kinds: BTreeSet<_> = CELLS.iter().map(|(kind, ..)| *kind).collect();
    let deltas: Vec<_> = (0..N).map(|i| Dealer::new(8).delta(party(i)).block()).collect();
    for (kind, action) in kinds.iter().flat_map(|kind| Action::ALL.map(|action| (*kind, action))) {
        for (from, skip) in [(0, 0), (1, 0), (2, 1)] {
            let to = PartySet::first(N).without(party(from));
            let target = Target { from: party(from), to, kind, skip };
            let mut tamper = Tampering::new(target, action);
            let results = Federation::new(N, 9).run_tampered(&mut tamper, everything);
            if results.iter().all(Result::is_ok) {
                let parts: Vec<_> = results.iter().flatten().collect();
                assert_triples(&deltas, &parts);
            }
        }
    }
}

/// Correlated OT as one party would have it that cheats toward one peer.
struct Crooked {
    honest: Cots,
    cheat: Cheat,
}

/// What a party does that knows its own state.
#[derive(Clone, Copy)]
enum Cheat {
    /// Nothing.
    None,
    /// Another choice bit toward one peer in one row, counting masks, of every extension: corrections
    /// and response fit it. Whatever else this party does, it does with the bit that it drew.
    Choice { toward: PartyId, row: usize },
}

impl CotSource for Crooked {
    type Run<'a> = CrookedRun<'a>;

    async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Choices>,
        challenge: Challenge<'_>,
    ) -> Result<CrookedRun<'_>, Error> {
        let (mut choices, mut lie) = (choices.clone(), None);
        if let Cheat::Choice { toward, row } = self.cheat {
            let told = choices.at_mut(toward).unwrap();
            if row < 128 * told.segments().iter().sum::<usize>() {
                told.flip(row);
                lie = Some((channel.peers().rank(toward).unwrap(), row));
            }
        }
        let run = self.honest.begin(channel, batch, &choices, challenge).await?;
        Ok(CrookedRun { run, lie, made: 0 })
    }
}

struct CrookedRun<'a> {
    run: Run<'a>,
    /// Peer and row.
    lie: Option<(usize, usize)>,
    made: usize,
}

impl CotRun for CrookedRun<'_> {
    fn expand<T: Taker>(&mut self, takers: &mut [T]) {
        let mut start = self.made;
        let liars = takers.iter_mut().map(|taker| {
            let rows = start..start + taker.rows();
            start = rows.end;
            let lie = self.lie.filter(|(_, row)| rows.contains(row));
            Liar { taker, lie: lie.map(|(rank, row)| (rank, row - rows.start)) }
        });
        let mut liars: Vec<_> = liars.collect();
        self.run.expand(&mut liars);
        self.made = start + 128;
    }

    async fn prove(self, channel: &Channel) -> Result<(), Error> {
        self.run.prove(channel).await
    }
}

/// Sees the bit that was drawn.
struct Liar<'a, T> {
    taker: &'a mut T,
    lie: Option<(usize, usize)>,
}

impl<T: Taker> Taker for Liar<'_, T> {
    fn rows(&self) -> usize {
        self.taker.rows()
    }

    fn take(&mut self, rows: Rows<'_>) {
        let mut blocks = rows.blocks.to_vec();
        if let Some((rank, row)) = self.lie
            && (rank, Part::Macs) == (rows.rank, rows.part)
        {
            blocks[row] ^= Block::ONE;
        }
        self.taker.take(Rows { blocks: &blocks, ..rows });
    }

    fn finish(&mut self) {
        self.taker.finish();
    }
}

#[test]
fn different_choice_bits_toward_two_peers_are_caught() {
    let shape = BatchShape { triples: 50, bucket: 3 };
    let common = rows_taken(shape.leaky());
    for (cheater, toward) in [(0, 1), (1, 0), (2, 1), (0, 2)].map(|(c, t)| (party(c), party(t))) {
        let caught = |row, protocol: Protocol, fault| {
            let results = Federation::new(N, 2).run(|mesh, entropy| async move {
                let cheat = match mesh.me() == cheater {
                    true => Cheat::Choice { toward, row },
                    false => Cheat::None,
                };
                protocol.run(&workbench(&mesh, entropy, cheat).await?).await
            });
            let honest = PartySet::first(N).without(cheater);
            let what = format!("{cheater} {protocol:?} {row}");
            assert_caught(&results, honest, Error::unattributed(fault), &what);
        };
        // The Δ check's rows, whose bits were broadcast under a pad.
        [0, 127].iter().for_each(|row| caught(*row, Protocol::Keys, Fault::DeltaConsistency));
        // Shares, what fills them up and the mask among them.
        let shares = Fault::Echo(Step::Shares);
        let rows = [0, 7, 63, 64, 128, 255];
        rows.iter().for_each(|row| caught(*row, Protocol::Shares, shares));
        let rows = [0, 127, 128, common - 1, common, common + 127];
        rows.iter().for_each(|row| caught(*row, Protocol::Triples(shape), shares));
        // Bits of the zero test's products.
        let rows = [common + 128, common + 255];
        rows.iter().for_each(|row| caught(*row, Protocol::Triples(shape), Fault::ZeroTest));
    }
}

/// Changes what `from` tells `to` in the batch itself, not in the session's set-up.
struct InBatch<F> {
    from: PartyId,
    to: PartySet,
    change: F,
    /// What `to` sends of this kind after the change, and how often.
    watched: Kind,
    seen: usize,
}

impl<F: FnMut(PartyId, &mut Frame) -> bool> Tamper for InBatch<F> {
    fn on_frame(&mut self, from: PartyId, to: PartyId, mut frame: Frame) -> Vec<Frame> {
        if frame.lane != Lane::supply(0, 0) {
            return vec![frame];
        }
        self.seen += usize::from(self.to.contains(from) && frame.kind == self.watched);
        let told = from == self.from && self.to.contains(to);
        if told && !(self.change)(to, &mut frame) { vec![] } else { vec![frame] }
    }
}

#[test]
fn what_an_extension_of_a_batch_tells_is_checked_under_the_coin() {
    let (bit, echo) = (|bit: usize| (bit / 8, 1 << (bit % 8)), Fault::Echo(Step::Shares));
    for from in (0..N).map(party) {
        let all = PartySet::first(N).without(from);
        for to in all.iter().map(PartySet::only).chain([all]) {
            // ũ of the common rows, which this party echoes as it is, ũ of the pair-specific ones, the hash
            // of columns, and corrections.
            for (kind, at, fault) in [
                (Kind::Resp, 5, echo),
                (Kind::Resp, 128 + 5, Fault::CotConsistency),
                (Kind::Resp, 256 + 5, Fault::CotConsistency),
                (Kind::Corr, 5, Fault::CotConsistency),
                (Kind::ShareEcho, 5, echo),
            ] {
                let change = |_: PartyId, frame: &mut Frame| {
                    if frame.kind == kind {
                        let (byte, mask) = bit(at);
                        frame.payload[byte] ^= mask;
                    }
                    true
                };
                let mut tamper = InBatch { from, to, change, watched: Kind::LaandU, seen: 0 };
                let results = Federation::new(N, 9).run_tampered(&mut tamper, everything);
                let error = match fault {
                    Fault::CotConsistency => Error::by(from, fault),
                    _ => Error::unattributed(fault),
                };
                assert_caught(&results, to, error, &format!("{from} {to} {kind:?} {at}"));
                assert_eq!(tamper.seen, 0, "no U leaves before the check");
            }
        }
    }
}

/// Other bits toward one peer, to which the cheater tells the ũ of the others: everybody hears the same,
/// and the one whose columns hold other bits convicts.
#[test]
fn other_bits_and_the_same_answer_are_convicted_before_any_u() {
    let shape = BatchShape { triples: 50, bucket: 3 };
    let common = rows_taken(shape.leaky());
    // The others' responses pass first.
    for (cheater, toward) in [(0, 2), (1, 2), (2, 1)].map(|(c, t)| (party(c), party(t))) {
        for row in [0, 127, 128, common - 1, common, common + 127] {
            let (mut told, mut changed) = (Vec::new(), 0);
            let change = |to: PartyId, frame: &mut Frame| {
                if frame.kind == Kind::Resp && to == toward {
                    assert!(frame.payload[..16] != told[..]);
                    frame.payload[..16].copy_from_slice(&told);
                    changed += 1;
                } else if frame.kind == Kind::Resp {
                    told = frame.payload[..16].to_vec();
                }
                true
            };
            let to = PartySet::first(N).without(cheater);
            let mut tamper = InBatch { from: cheater, to, change, watched: Kind::LaandU, seen: 0 };
            let run = |mesh: Mesh, entropy| async move {
                let cheat = match mesh.me() == cheater {
                    true => Cheat::Choice { toward, row },
                    false => Cheat::None,
                };
                let mut bench = workbench(&mesh, entropy, cheat).await?;
                bench.channel = mesh.channel(Lane::supply(0, 0), mesh.parties())?;
                Protocol::Triples(shape).run(&bench).await
            };
            let results = Federation::new(N, 2).run_tampered(&mut tamper, run);
            let seen = tamper.seen;
            assert_eq!(results[toward.index()], Err(Error::by(cheater, Fault::CotConsistency)));
            assert!(to.iter().all(|party| results[party.index()].is_err()));
            // Whoever sees nothing wrong may go on; `toward` does not.
            assert!(changed == 1 && seen <= 2 * (N - 2), "{changed} {seen}");
        }
    }
}

#[test]
fn a_coin_is_opened_only_when_all_corrections_are_there() {
    for from in (0..N).map(party) {
        for to in PartySet::first(N).without(from).iter().map(PartySet::only) {
            let change = |_: PartyId, frame: &mut Frame| frame.kind != Kind::Corr;
            let mut tamper = InBatch { from, to, change, watched: Kind::CoinOpen, seen: 0 };
            let results = Federation::new(N, 9).run_tampered(&mut tamper, everything);
            assert_eq!(tamper.seen, 0);
            assert_caught(&results, to, Error::Lost { party: from }, "no corrections");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Keys,
    Shares,
    Triples(BatchShape),
}

impl Protocol {
    async fn run(self, bench: &Workbench<Crooked>) -> Result<(), Error> {
        match self {
            Self::Keys => check_delta(bench).await,
            Self::Shares => {
                let (channel, domain) = (&bench.channel, bench.domain);
                let mut coins = Coins::commit(channel, domain, 1, &bench.entropy).await?;
                share_rows(bench, 0, 64, &mut coins).await.map(drop)
            }
            Self::Triples(shape) => triple_batch(bench, 0, shape).await.map(drop),
        }
    }
}

#[test]
fn equal_keys_pass_the_key_check() {
    for n in 2..6 {
        let results = Federation::new(n, 2).run(|mesh, entropy| async move {
            check_delta(&workbench(&mesh, entropy, Cheat::None).await?).await
        });
        assert!(results.iter().all(Result::is_ok));
    }
}

/// The session itself runs the key check: seeds that do not match make its zero shares wrong.
#[test]
fn a_session_checks_keys_before_anything_else() {
    let (from, to) = (party(0), PartySet::only(party(1)));
    let target = Target { from, to, kind: Kind::Zseed, skip: 0 };
    let mut tamper = Tampering::new(target, Action::FlipBit(0));
    let results = Federation::new(2, 9).run_tampered(&mut tamper, |mesh, entropy| async move {
        Session::open(mesh, Params::new([4; 32]), entropy).await
    });
    let fault = Error::unattributed(Fault::DeltaConsistency);
    assert_caught(&results, to, fault, "unequal seeds");
}

#[test]
fn other_parameters_and_other_plans_are_refused_by_name() {
    let ours = Params::new([4; 32]);
    let trees = ours.with_tree_depth(TreeDepth::Eight);
    for theirs in [ours.with_rho_bits(41).unwrap(), trees, Params::new([5; 32])] {
        let results = Federation::new(2, 9).run(|mesh, entropy| async move {
            let params = if mesh.me() == party(1) { theirs } else { ours };
            Session::open(mesh, params, entropy).await
        });
        let ends = [(0, 1), (1, 0)].map(|(at, by)| (results[at].as_ref().err(), by));
        for (end, by) in ends {
            assert_eq!(end, Some(&Error::by(party(by), Fault::Binding)), "{theirs:?}");
        }
    }
    let results = Federation::new(2, 9).run(|mesh, entropy| async move {
        let session = Session::open(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[u8::from(session.me() == party(1)); 32]).await
    });
    assert_eq!(results[0], Err(Error::by(party(1), Fault::Binding)));
}
