//! Telling two parties different things, and saying in every echo what its receiver wants to hear.

use super::rewrite::Rewrite;
use super::scenario::{BaseOt, Ends, PARTIES, Scenario, honest};
use crate::protocol::plans::{party, set_of};
use senate_circuit::PartyId;
use senate_mpc::coin::commitment;
use senate_mpc::sim::Federation;
use senate_mpc::{Domain, Error, Fault, Frame, Kind, Lane, Params, Session, SessionId, Step};
use std::collections::BTreeMap;

/// Runs with `lie` applied to every frame of `cheater`, whose echoes of `kind` repeat what their
/// receiver says itself, and which believes whatever it is told. Runs are deterministic: a first
/// one shows what everybody will say.
fn mirrored(cheater: PartyId, kind: Kind, lie: impl Fn(PartyId, &mut Frame)) -> Ends {
    let scenario = Scenario::sweep();
    let mut said: BTreeMap<(Lane, PartyId), Vec<u8>> = BTreeMap::new();
    let listen = |from: PartyId, to: PartyId, frame: &mut Frame| {
        if frame.kind == kind && (from == cheater || to == cheater) {
            said.insert((frame.lane, from), frame.payload.clone());
        } else if from == cheater {
            lie(to, frame);
        }
    };
    scenario.run(BaseOt::Dealt, &mut Rewrite(listen));
    let repeat = |from: PartyId, to: PartyId, frame: &mut Frame| {
        if frame.kind == kind && (from == cheater || to == cheater) {
            frame.payload = said.get(&(frame.lane, to)).cloned().unwrap_or_default();
        } else if from == cheater {
            lie(to, frame);
        }
    };
    scenario.run(BaseOt::Dealt, &mut Rewrite(repeat))
}

/// Somebody honest names `error`, and nobody honest accepts.
fn assert_caught(ends: &Ends, cheater: PartyId, error: Error, what: &str) {
    let honest: Vec<_> = honest(cheater).iter().map(|party| &ends[party.index()]).collect();
    assert!(honest.contains(&&Err(error)), "{what}: {ends:?}");
    assert!(honest.iter().all(|end| end.is_err()), "{what}: {ends:?}");
}

#[test]
fn honest_parties_compare_echoes_with_each_other() {
    let broadcasts = [
        (Kind::DeltaY, Kind::DeltaEcho),
        (Kind::Resp, Kind::ShareEcho),
        (Kind::SolderBits, Kind::SolderEcho),
    ];
    for (kind, echo) in broadcasts {
        for cheater in (0..PARTIES).map(party) {
            for victim in honest(cheater).iter() {
                let ends = mirrored(cheater, echo, |to, frame| {
                    // The responses of the Δ check's extension are no broadcast.
                    let told = frame.lane != Lane::SESSION || kind != Kind::Resp;
                    if frame.kind == kind && to == victim && told {
                        frame.payload[0] ^= 1;
                    }
                });
                let error = Error::unattributed(Fault::Echo(echo.step()));
                // Among two parties, the pair's own batch, the receiver is the only one to ask.
                let pair = Error::by(cheater, Fault::CotConsistency);
                let honest: Vec<_> = honest(cheater).iter().map(|p| &ends[p.index()]).collect();
                let caught = honest.contains(&&Err(error))
                    || kind == Kind::Resp && honest.contains(&&Err(pair));
                assert!(caught && honest.iter().all(|end| end.is_err()), "{kind:?}: {ends:?}");
            }
        }
    }
}

#[test]
fn an_equivocated_input_fails_the_echo() {
    // P3 enters a byte in the second stage, whose other parties are honest.
    for victim in [party(0), party(1)] {
        let ends = mirrored(party(2), Kind::InputEcho, |to, frame| {
            if frame.kind == Kind::Masked && to == victim {
                frame.payload[0] ^= 1;
            }
        });
        let error = Error::unattributed(Fault::Echo(Step::Input));
        assert_caught(&ends, party(2), error, "masked input");
    }
}

#[test]
fn an_equivocated_nonce_fails_the_echo_of_the_session_id() {
    for cheater in (0..PARTIES).map(party) {
        let victim = honest(cheater).iter().next().unwrap();
        let ends = mirrored(cheater, Kind::Sid, |to, frame| {
            if frame.kind == Kind::Hello && to == victim {
                *frame.payload.last_mut().unwrap() ^= 1;
            }
        });
        let error = Error::unattributed(Fault::Echo(Step::Session));
        assert_caught(&ends, cheater, error, "nonce");
    }
}

#[test]
fn a_soldering_bit_that_is_false_for_everybody_fails_the_child_members_check() {
    // Echoes agree on the lie; P2 is the honest member of the child.
    let ends = mirrored(party(0), Kind::SolderEcho, |_, frame| {
        if frame.kind == Kind::SolderBits {
            frame.payload[0] ^= 1;
        }
    });
    let error = Err(Error::unattributed(Fault::OpenMac(Step::Solder)));
    let told = Err(Error::unattributed(Fault::LabelHash));
    // Its own labels follow the true value, so the label hash of an honest garbler may come first.
    assert!(ends[1] == error || ends[1] == told || ends[2] == told, "{ends:?}");
    assert!(ends[1].is_err() && ends[2].is_err());
}

/// The bound id of the scenario's session.
fn session_id(scenario: &Scenario) -> SessionId {
    let ids = Federation::new(PARTIES, scenario.seed).run(async |mesh, entropy| {
        let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[5; 32]).await?;
        Ok(session.id())
    });
    ids.into_iter().next().unwrap().unwrap()
}

#[test]
fn an_equivocated_coin_is_caught_by_what_it_judges() {
    let scenario = Scenario::sweep();
    let id = session_id(&scenario);
    // The triples of the set of all three: coins of the shares, the zero test and the buckets.
    let lane = Lane::supply(1, 1);
    let domain = Domain::new(id, set_of(&[0, 1, 2]), lane);
    let (salt, seed) = ([7; 32], [9; 32]);
    let faults = [Fault::Echo(Step::Shares), Fault::ZeroTest, Fault::OpenMac(Step::Bucketing)];
    for (index, fault) in faults.into_iter().enumerate() {
        for (cheater, victim) in [(0, 1), (1, 2), (2, 0)].map(|(c, v)| (party(c), party(v))) {
            let other = commitment(&domain, cheater, &format!("coin {index}"), &salt, &seed);
            let mut opened = 0;
            let lie = |from: PartyId, to: PartyId, frame: &mut Frame| {
                if (from, to, frame.lane) != (cheater, victim, lane) {
                    return;
                }
                match frame.kind {
                    Kind::Coins => frame.payload[32 * index..][..32].copy_from_slice(&other),
                    Kind::CoinOpen => {
                        if opened == index {
                            frame.payload = [salt, seed].concat();
                        }
                        opened += 1;
                    }
                    _ => {}
                }
            };
            let ends = scenario.run(BaseOt::Dealt, &mut Rewrite(lie));
            assert_caught(&ends, cheater, Error::unattributed(fault), "coin");
        }
    }
}
