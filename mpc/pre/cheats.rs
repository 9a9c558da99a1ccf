//! Every message kind of session set-up and preprocessing, corrupted by every sender: the exact
//! fault at an honest party. Then the cheating strategies that no single message shows.

use super::Triples;
use super::batch::triple_batch;
use super::ideal::{Dealer, IdealCots};
use super::shares::share_rows;
use super::tests::assert_triples;
use super::workbench::{CotSource, Workbench};
use crate::coin::Coins;
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::{Error, Fault, Step};
use crate::mesh::{Channel, Kind, Lane, Mesh};
use crate::ot::CotRows;
use crate::party::ByParty;
use crate::session::{Params, Session, agree, bind};
use crate::setup::delta_check::check_delta;
use crate::sim::{Action, Federation, Tampering, Target};
use crate::zero::ZeroShares;
use senate_block::Block;
use senate_circuit::{Allowance, BatchShape, Bits, PartyId, PartySet};
use std::collections::BTreeSet;
use std::rc::Rc;

const N: usize = 3;

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// Tools whose session id is agreed on and whose Δ has not been checked yet. Correlated OT is
/// ideal: its own messages are corrupted by its own tests.
async fn workbench(
    mesh: &Mesh,
    entropy: Entropy,
    cheat: Cheat,
) -> Result<Workbench<Crooked>, Error> {
    let (me, set) = (mesh.me(), mesh.parties());
    let channel = mesh.channel(Lane::SESSION, set)?;
    let id = agree(&channel, &Params::new([4; 32]), &entropy).await?;
    let zero = Rc::new(ZeroShares::set_up(&channel, &entropy).await?);
    let (dealer, domain) = (Dealer::new(8), Domain::new(id, set, Lane::SESSION));
    let cots = Rc::new(Crooked { honest: IdealCots::new(dealer), cheat });
    let member = dealer.member(me, set)?;
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
    (Kind::Bind, Action::FlipBit(5), Fault::Binding, true),
    (Kind::Coins, Action::FlipBit(5), Fault::Commitment(Step::Session), true),
    (Kind::CoinOpen, Action::FlipBit(300), Fault::Commitment(Step::Session), true),
    (Kind::CoinOpen, Action::Random, Fault::Commitment(Step::Session), true),
    (Kind::ShareW, Action::FlipBit(5), Fault::Echo(Step::Shares), false),
    (Kind::ShareEcho, Action::FlipBit(5), Fault::Echo(Step::Shares), false),
    (Kind::ShareMac, Action::FlipBit(5), Fault::ShareConsistency, true),
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
    // A wrong d, an equivocated w, y or coin commitment, an equivocated nonce.
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
    honest: IdealCots,
    cheat: Cheat,
}

enum Cheat {
    /// Nothing.
    None,
    /// Another choice bit in one common row toward this peer.
    Choice { toward: PartyId, row: usize },
    /// What a peer with another Δ toward this party causes here: M = K ⊕ u(Δ ⊕ shift).
    Delta { of: PartyId, shift: Block },
}

impl CotSource for Crooked {
    async fn extend(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Bits>,
        entropy: &Entropy,
    ) -> Result<ByParty<CotRows>, Error> {
        let mut choices = choices.clone();
        if let Cheat::Choice { toward, row } = &self.cheat {
            let bits = choices.at_mut(*toward).unwrap();
            bits.set(*row, !bits.bit(*row));
        }
        let mut rows = self.honest.extend(channel, batch, &choices, entropy).await?;
        if let Cheat::Delta { of, shift } = &self.cheat {
            for mac in &mut rows.at_mut(*of).unwrap().macs {
                *mac ^= shift.times(mac.bit0());
            }
        }
        Ok(rows)
    }
}

#[test]
fn different_choice_bits_toward_two_peers_convict_the_chooser() {
    for (cheater, toward) in [(0, 1), (1, 0), (2, 1), (0, 2)] {
        for row in [0, 7, 63, 64 + 127] {
            let results = Federation::new(N, 2).run(|mesh, entropy| async move {
                let cheat = if mesh.me() == party(cheater) {
                    Cheat::Choice { toward: party(toward), row }
                } else {
                    Cheat::None
                };
                let bench = workbench(&mesh, entropy, cheat).await?;
                let (channel, domain) = (&bench.channel, bench.domain);
                let mut coins = Coins::commit(channel, domain, 1, &bench.entropy).await?;
                share_rows(&bench, 0, 64, &mut coins).await.map(|_| ())
            });
            let fault = Error::by(party(cheater), Fault::ShareConsistency);
            assert_eq!(results[toward], Err(fault));
        }
    }
}

#[test]
fn different_keys_toward_two_peers_fail_the_key_check() {
    for n in [3, 4] {
        for (cheater, victim) in [(0, 1), (1, 2), (2, 0)] {
            let results = Federation::new(n, 2).run(|mesh, entropy| async move {
                let cheat = if mesh.me() == party(victim) {
                    Cheat::Delta { of: party(cheater), shift: Block(2) }
                } else {
                    Cheat::None
                };
                check_delta(&workbench(&mesh, entropy, cheat).await?).await
            });
            let fault = Error::unattributed(Fault::DeltaConsistency);
            let honest = PartySet::first(n).without(party(cheater));
            assert_caught(&results, honest, fault, "another Δ toward one peer");
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
    let open = |mesh: Mesh, entropy: Entropy| async move {
        let other = mesh.me() == party(1);
        let params = Params::new([4; 32]).with_rho_bits(if other { 41 } else { 40 })?;
        Session::open(mesh, params, entropy).await
    };
    let results = Federation::new(2, 9).run(open);
    assert_eq!(results[0].as_ref().err(), Some(&Error::by(party(1), Fault::Binding)));
    let results = Federation::new(2, 9).run(|mesh, entropy| async move {
        let session = Session::open(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[u8::from(session.me() == party(1)); 32]).await
    });
    assert_eq!(results[0], Err(Error::by(party(1), Fault::Binding)));
}
