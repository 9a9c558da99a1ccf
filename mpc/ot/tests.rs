use super::*;
use crate::error::Fault;
use crate::mesh::{Kind, Lane, Mesh};
use crate::sim::{Action, Federation, Tamper, Tampering, Target};
use senate_circuit::{Bits, PartySet};

const LADDER: [usize; 11] = [0, 1, 127, 128, 129, 1023, 1024, 1025, 8063, 8064, 8193];

type Outcome = Result<(Block, ByParty<Bits>, ByParty<CotRows>), Error>;

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

fn random_bits(entropy: &Entropy, rows: usize) -> Bits {
    let mut words = vec![0u8; rows.div_ceil(64) * 8];
    entropy.fill("test", &mut words);
    let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    Bits::from_words(words, rows)
}

/// Set-up and one extension of `rows` rows among all parties.
async fn set_up_and_extend(mesh: Mesh, entropy: Entropy, depth: TreeDepth, rows: usize) -> Outcome {
    let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
    let delta = Rc::new(Delta::from_random(entropy.block("delta")));
    let cots = Cots::set_up(&channel, SessionId([5; 32]), depth, &delta, &entropy).await?;
    let choices = ByParty::from_fn(channel.peers(), |_| random_bits(&entropy, rows));
    let out = extend(&cots, &channel, 1, &choices, &entropy).await?;
    Ok((delta.block(), choices, out))
}

/// One extension from begin to end, all rows of which are kept.
async fn extend(
    cots: &Cots,
    channel: &Channel,
    batch: u32,
    choices: &ByParty<Bits>,
    entropy: &Entropy,
) -> Result<ByParty<CotRows>, Error> {
    let len = choices.values()[0].len();
    let choices = choices.clone().map(|_, bits| Choices::of(&bits, entropy));
    let mut run = cots.begin(channel, batch, &choices, Challenge::Own(entropy)).await?;
    let rows = len.next_multiple_of(128);
    let keeper = |start| Keeper::new(channel.peers().len(), TAKEN_MAX.min(rows - start));
    let mut keepers: Vec<_> = (0..rows).step_by(TAKEN_MAX).map(keeper).collect();
    run.expand(&mut keepers);
    run.prove(channel).await?;
    let mut all = ByParty::from_fn(channel.peers(), |_| CotRows::default());
    for keeper in keepers {
        for ((_, all), kept) in all.iter_mut().zip(keeper.into_rows()) {
            all.macs.extend_from_slice(&kept.macs);
            all.keys.extend_from_slice(&kept.keys);
        }
    }
    for (_, rows) in all.iter_mut() {
        rows.macs.truncate(len);
        rows.keys.truncate(len);
    }
    Ok(all)
}

fn assert_correlated(outcomes: &[Outcome], rows: usize) {
    let parties = PartySet::first(outcomes.len());
    for sender in parties.iter() {
        for receiver in parties.without(sender).iter() {
            let (delta, _, at_sender) = outcomes[sender.index()].as_ref().unwrap();
            let (_, choices, at_receiver) = outcomes[receiver.index()].as_ref().unwrap();
            let keys = &at_sender.at(receiver).unwrap().keys;
            let macs = &at_receiver.at(sender).unwrap().macs;
            let choices = choices.at(sender).unwrap();
            assert_eq!((keys.len(), macs.len()), (rows, rows));
            for (row, (key, mac)) in keys.iter().zip(macs).enumerate() {
                assert!(*mac == *key ^ delta.times(choices.bit(row)), "row {row} of {rows}");
                assert!(!key.bit0() && mac.bit0() == choices.bit(row));
            }
        }
    }
}

#[test]
fn macs_are_keys_plus_choice_times_delta() {
    for rows in LADDER {
        let outcomes = Federation::new(2, 1)
            .run(|mesh, entropy| set_up_and_extend(mesh, entropy, TreeDepth::Eight, rows));
        assert_correlated(&outcomes, rows);
    }
    for depth in [TreeDepth::Two, TreeDepth::Four] {
        for rows in [0, 1, 128, 1025, 140_000] {
            let outcomes = Federation::new(2, 2)
                .run(|mesh, entropy| set_up_and_extend(mesh, entropy, depth, rows));
            assert_correlated(&outcomes, rows);
        }
    }
}

/// Segments taken in other pieces than they have, or not at all: no mask row is handed out, and nobody
/// is blamed.
#[test]
fn segments_are_made_whole_before_they_are_proved() {
    let cases: [(usize, &[usize]); 6] = [
        (128, &[384]),
        (256, &[128, 256]),
        (128, &[128]),
        (128, &[]),
        (128, &[128, 128, 128]),
        (128, &[100, 128]),
    ];
    for (first, taken) in cases {
        let outcomes = Federation::new(2, 4).run(async |mesh: Mesh, entropy: Entropy| {
            let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
            let delta = Rc::new(Delta::from_random(entropy.block("delta")));
            let (id, depth) = (SessionId([5; 32]), TreeDepth::Two);
            let cots = Cots::set_up_dealt(&channel, id, depth, &delta, &entropy).await?;
            let second = Choices::random(128, &entropy);
            let choices = Choices::random(first, &entropy).with(&second);
            let choices = ByParty::from_fn(channel.peers(), |_| choices.clone());
            let mut run = cots.begin(&channel, 1, &choices, Challenge::Own(&entropy)).await?;
            for len in taken {
                run.expand(std::slice::from_mut(&mut Keeper::new(1, *len)));
            }
            run.prove(&channel).await
        });
        let misused = |end: &Result<(), Error>| matches!(end, Err(Error::Misuse(_)));
        assert!(outcomes.iter().any(misused), "{outcomes:?}");
        let accused = |end: &Result<(), Error>| matches!(end, Err(Error::Cheating { .. }));
        assert!(!outcomes.iter().any(accused), "{outcomes:?}");
    }
}

#[test]
fn every_ordered_pair_has_its_own_instance() {
    let outcomes = Federation::new(4, 3)
        .run(|mesh, entropy| set_up_and_extend(mesh, entropy, TreeDepth::Four, 300));
    assert_correlated(&outcomes, 300);
}

#[test]
fn batches_differ_and_an_address_serves_once() {
    let outcomes = Federation::new(2, 4).run(async |mesh: Mesh, entropy: Entropy| {
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let delta = Rc::new(Delta::from_random(entropy.block("delta")));
        let cots =
            Cots::set_up(&channel, SessionId([5; 32]), TreeDepth::Two, &delta, &entropy).await?;
        let choices = ByParty::from_fn(channel.peers(), |_| Bits::zeros(128));
        let first = extend(&cots, &channel, 1, &choices, &entropy).await?;
        let second = extend(&cots, &channel, 2, &choices, &entropy).await?;
        for (peer, rows) in first.iter() {
            assert!(rows.keys != second.at(peer).unwrap().keys);
        }
        extend(&cots, &channel, 1, &choices, &entropy).await.map(|_| ())
    });
    assert_eq!(outcomes[0], Err(Error::Misuse("an extension's address serves once")));
}

/// Party 0 cheats toward this party of three: what that party concludes.
fn victim_of(victim: PartyId, tamper: &mut dyn Tamper, depth: TreeDepth) -> Option<Error> {
    let outcomes = Federation::new(3, 6)
        .run_tampered(tamper, |mesh, entropy| set_up_and_extend(mesh, entropy, depth, 500));
    outcomes.into_iter().nth(victim.index()).and_then(Result::err)
}

fn cheat(kind: Kind, action: Action) -> Option<Error> {
    // In the base OTs, party 0 chooses toward party 2 and answers party 1.
    let victim = party(if kind == Kind::BaseReceiver { 2 } else { 1 });
    cheat_in(victim, kind, 0, action)
}

/// Party 0 changes message number `skip` of a kind to `victim`.
fn cheat_in(victim: PartyId, kind: Kind, skip: usize, action: Action) -> Option<Error> {
    let target = Target { from: party(0), to: PartySet::only(victim), kind, skip };
    victim_of(victim, &mut Tampering::new(target, action), TreeDepth::Four)
}

#[test]
fn invalid_group_elements_are_caught() {
    for kind in [Kind::BaseReceiver, Kind::BaseSender] {
        for action in [Action::FlipBit(0), Action::Zero, Action::Random] {
            assert_eq!(cheat(kind, action), Some(Error::by(party(0), Fault::BasePoint)));
        }
    }
}

#[test]
fn wrong_tree_corrections_and_checks_are_caught() {
    for (kind, action) in [
        (Kind::Ggm, Action::Random),
        (Kind::Ggm, Action::Zero),
        (Kind::Pprf, Action::FlipBit(0)),
        (Kind::Pprf, Action::Zero),
    ] {
        assert_eq!(cheat(kind, action), Some(Error::by(party(0), Fault::Pprf)));
    }
}

#[test]
fn wrong_responses_are_caught() {
    // That of the base OTs' extension, and that of an extension of both instances.
    for skip in [0, 1] {
        for action in [Action::FlipBit(0), Action::FlipBit(200), Action::Zero, Action::Random] {
            let caught = Some(Error::by(party(0), Fault::CotConsistency));
            assert_eq!(cheat_in(party(1), Kind::Resp, skip, action), caught);
        }
    }
}

#[test]
fn a_challenge_told_wrongly_convicts_nobody_silently() {
    let target = Target { from: party(0), to: PartySet::only(party(1)), kind: Kind::Chal, skip: 0 };
    let outcomes = Federation::new(2, 6)
        .run_tampered(&mut Tampering::new(target, Action::FlipBit(3)), |mesh, entropy| {
            set_up_and_extend(mesh, entropy, TreeDepth::Four, 500)
        });
    let caught = Error::by(party(1), Fault::CotConsistency);
    assert_eq!(outcomes[0].as_ref().err(), Some(&caught));
}

#[test]
fn messages_of_the_wrong_size_are_refused() {
    for kind in [
        Kind::BaseReceiver,
        Kind::BaseSender,
        Kind::Ggm,
        Kind::Pprf,
        Kind::Corr,
        Kind::Chal,
        Kind::Resp,
    ] {
        for action in [Action::Truncate, Action::Extend] {
            let caught = Some(Error::by(party(0), Fault::Malformed(kind)));
            assert_eq!(cheat(kind, action), caught);
            if matches!(kind, Kind::Corr | Kind::Resp) {
                assert_eq!(cheat_in(party(1), kind, 1, action), caught);
            }
        }
    }
}

/// The second instance between two parties: its base OTs are rows of the first one. Party 0 chooses them
/// toward party 1, and holds their keys and grows trees with them toward party 2.
#[test]
fn changes_where_base_ots_come_from_rows_are_caught() {
    for (victim, kind, fault) in [
        (1, Kind::Corr, Fault::CotConsistency),
        (1, Kind::Resp, Fault::CotConsistency),
        (2, Kind::Ggm, Fault::Pprf),
        (2, Kind::Pprf, Fault::Pprf),
    ] {
        let caught = Some(Error::by(party(0), fault));
        assert_eq!(cheat_in(party(victim), kind, 0, Action::Random), caught, "{kind:?}");
    }
    // A challenge that the chooser was told wrongly: its answer is another one.
    let target = Target { from: party(0), to: PartySet::only(party(2)), kind: Kind::Chal, skip: 0 };
    let outcomes = Federation::new(3, 6)
        .run_tampered(&mut Tampering::new(target, Action::Random), |mesh, entropy| {
            set_up_and_extend(mesh, entropy, TreeDepth::Four, 500)
        });
    let caught = Error::by(party(2), Fault::CotConsistency);
    assert_eq!(outcomes[0].as_ref().err(), Some(&caught));
}

#[test]
fn inconsistent_choice_bits_in_the_base_extension_are_caught() {
    let (depth, caught) = (TreeDepth::Four, Error::by(party(0), Fault::CotConsistency));
    for block in 0..2 {
        for trees in [0..1, 0..depth.trees() / 2, 1..depth.trees()] {
            let mut tamper = OtherChoice { trees, block, blocks: 2 };
            assert_eq!(victim_of(party(1), &mut tamper, depth), Some(caught));
        }
    }
}

/// A receiver that corrects toward another u in chosen blocks of some trees.
struct OtherChoice {
    trees: std::ops::Range<usize>,
    block: usize,
    blocks: usize,
}

impl Tamper for OtherChoice {
    fn on_frame(
        &mut self,
        from: PartyId,
        to: PartyId,
        mut frame: crate::mesh::Frame,
    ) -> Vec<crate::mesh::Frame> {
        // One of the extensions, by its length.
        let bytes = self.blocks * TreeDepth::Four.trees() * 16;
        let meant = frame.kind == Kind::Corr && frame.payload.len() == bytes;
        if from == party(0) && to == party(1) && meant {
            for tree in self.trees.clone() {
                // All blocks lie in one strip.
                frame.payload[(tree * self.blocks + self.block) * 16] ^= 1;
            }
        }
        vec![frame]
    }
}

#[test]
fn inconsistent_choice_bits_in_one_block_are_caught() {
    let caught = Some(Error::by(party(0), Fault::CotConsistency));
    let (rows, depth) = (500usize, TreeDepth::Four);
    let blocks = rows.div_ceil(128) + 1;
    for block in 0..blocks {
        for trees in [0..depth.trees() / 2, 1..depth.trees()] {
            let mut tamper = OtherChoice { trees, block, blocks };
            assert_eq!(victim_of(party(1), &mut tamper, depth), caught);
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            Federation::new(2, 8)
                .run(|mesh, entropy| set_up_and_extend(mesh, entropy, TreeDepth::Eight, 20_000))
                .into_iter()
                .map(|outcome| outcome.unwrap().2.values()[0].keys.clone())
                .collect::<Vec<_>>()
        })
    };
    assert!(run(1) == run(2));
}
