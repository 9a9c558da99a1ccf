//! Cheating that no single changed message shows (PROTOCOL.md §12.3): lies that are consistent with
//! everything the cheater says next, and coalitions of all but one.

use super::parallel::each;
use super::rewrite::Rewrite;
use super::scenario::{BaseOt, Census, PARTIES, Scenario, everybody, honest};
use crate::protocol::plans::{Inputs, own_inputs, party, reference, set_of};
use senate_block::Block;
use senate_circuit::{
    Backend, Bits, Builder, PartyId, PartySet, Program, Reveal, Source, Stage, StageId, VerBit,
};
use senate_mpc::ot::{Challenge, Choices, CotReceiver, CotSender, CotSource, Pair, Run, TreeDepth};
use senate_mpc::pre::workbench::Workbench;
use senate_mpc::setup::delta_check::check_delta;
use senate_mpc::sim::{Action, Federation, Tamper, Tampering, Target};
use senate_mpc::zero::ZeroShares;
use senate_mpc::{
    ByParty, Channel, Delta, Domain, Entropy, Error, Fault, Frame, Kind, Lane, Member, Mesh,
    Params, Session, SessionHost, SessionId, execute,
};
use std::collections::BTreeMap;
use std::rc::Rc;

#[test]
fn choice_bits_that_differ_between_trees_fail_the_extensions_check() {
    let scenario = Scenario::sweep();
    let (cheater, victim, trees) = (party(1), party(2), TreeDepth::Four.trees());
    // In the last of these the choice bits are others, and the response is not.
    for trees in [0..1, 0..trees / 2, 1..trees, 0..trees] {
        // One block of the extension at a time, the mask rows' last.
        for block in 0..2 {
            let lie = |from: PartyId, to: PartyId, frame: &mut Frame| {
                if (from, to, frame.kind) == (cheater, victim, Kind::Corr) {
                    let blocks = frame.payload.len() / 16 / TreeDepth::Four.trees();
                    trees.clone().for_each(|tree| frame.payload[(tree * blocks + block) * 16] ^= 1);
                }
            };
            let ends = scenario.run(BaseOt::Dealt, &mut Rewrite(lie));
            assert_eq!(ends[victim.index()], Err(Error::by(cheater, Fault::CotConsistency)));
        }
    }
}

/// Correlated OT whose holder of Δ uses another one toward one peer.
struct TwoFaced(ByParty<(CotSender, CotReceiver)>);

impl TwoFaced {
    async fn set_up(
        channel: &Channel,
        entropy: &Entropy,
        delta: impl Fn(PartyId) -> Rc<Delta>,
    ) -> Result<Self, Error> {
        let (me, session, depth) = (channel.me(), SessionId([3; 32]), TreeDepth::Four);
        let mut instances = Vec::new();
        for peer in channel.peers().iter() {
            let sending = Pair { session, sender: me, receiver: peer };
            let receiving = Pair { session, sender: peer, receiver: me };
            let instance = futures_util::future::try_join(
                CotSender::set_up_dealt(channel, sending, depth, delta(peer)),
                CotReceiver::set_up_dealt(channel, receiving, depth, entropy),
            );
            instances.push(instance.await?);
        }
        let mut instances = instances.into_iter();
        Ok(Self(ByParty::from_fn(channel.peers(), |_| instances.next().unwrap())))
    }
}

impl CotSource for TwoFaced {
    type Run<'a> = Run<'a>;

    async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &ByParty<Choices>,
        challenge: Challenge<'_>,
    ) -> Result<Run<'_>, Error> {
        let mut halves = Vec::new();
        for (peer, (sender, receiver)) in self.0.iter() {
            let choices = choices.at(peer).unwrap();
            let begun = futures_util::future::try_join(
                sender.begin(channel, batch, choices.segments()),
                receiver.begin(channel, batch, choices),
            );
            halves.push(begun.await?);
        }
        let mut halves = halves.into_iter();
        let halves = ByParty::from_fn(channel.peers(), |_| halves.next().unwrap());
        Run::new(channel, halves, challenge).await
    }
}

async fn key_check(mesh: Mesh, entropy: Entropy, other: Option<PartyId>) -> Result<(), Error> {
    let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
    let zero = Rc::new(ZeroShares::set_up(&channel, &entropy).await?);
    let secret = entropy.block("Δ");
    let delta = Rc::new(Delta::from_random(secret));
    let toward = |peer| match other == Some(peer) {
        true => Rc::new(Delta::from_random(secret ^ Block(1 << 77))),
        false => delta.clone(),
    };
    let cots = Rc::new(TwoFaced::set_up(&channel, &entropy, toward).await?);
    let member = Member::new(mesh.me(), mesh.parties(), delta.clone())?;
    let domain = Domain::new(SessionId([3; 32]), mesh.parties(), Lane::SESSION);
    let entropy = Rc::new(entropy);
    check_delta(&Workbench { channel, member, domain, zero, cots, entropy }).await
}

#[test]
fn another_key_toward_one_peer_fails_the_key_check() {
    for n in 2..5 {
        let ends = Federation::new(n, 3).run(|mesh, entropy| key_check(mesh, entropy, None));
        assert!(ends.iter().all(Result::is_ok));
    }
    for n in 3..5 {
        for (cheater, victim) in [(0, 1), (1, 2), (2, 0)] {
            let ends = Federation::new(n, 3).run(|mesh, entropy| {
                let other = (mesh.me() == party(cheater)).then_some(party(victim));
                key_check(mesh, entropy, other)
            });
            let error = Err(Error::unattributed(Fault::DeltaConsistency));
            let honest: Vec<_> = (0..n).filter(|i| *i != cheater).map(|i| ends[i]).collect();
            assert!(honest.contains(&error) && honest.iter().all(Result::is_err), "{ends:?}");
        }
    }
}

/// P1 and P2 sort three bits; P3 adds its own and all learn the result, if the bits are sorted.
fn sorting_plan() -> Vec<Stage> {
    let owner = |index: usize, slot: usize| Source::Owner { party: party(index), slot };
    let mut b = Builder::new();
    let carried: Vec<_> = b.input(&[1, 1, 1]);
    let own = b.input(&[3])[0];
    let joined = b.concat(&carried);
    let sum = b.xor(joined, own);
    b.output(&[sum]);
    // Sorted: no 1 is followed by a 0.
    let falls: Vec<_> = (0..2)
        .map(|i| {
            let next = b.not(carried[i + 1]);
            b.and(carried[i], next)
        })
        .collect();
    let unsorted = b.or(falls[0], falls[1]);
    let ver = b.not(unsorted);
    b.output(&[ver]);
    let parent = Stage {
        id: StageId(1),
        parties: set_of(&[0, 1, 2]),
        backend: Backend::Garbled,
        evaluator: party(0),
        program: b.finish().unwrap(),
        inputs: vec![Source::Child { stage: StageId(0), bundle: 0 }, owner(2, 2)],
        ver: vec![VerBit { bundle: 1 }],
        reveals: vec![Reveal { bundle: 0, recipients: set_of(&[0, 1, 2]) }],
    };
    let child = Stage {
        id: StageId(0),
        parties: set_of(&[0, 1]),
        backend: Backend::Garbled,
        evaluator: party(1),
        program: three_bits(true),
        inputs: vec![owner(0, 0), owner(1, 1)],
        ver: vec![],
        reveals: vec![],
    };
    vec![child, parent]
}

/// One bit of the first party and two of the second, sorted or as they come.
fn three_bits(sorted: bool) -> Program {
    let mut b = Builder::new();
    let x = b.input(&[1])[0];
    let [y, z] = b.input(&[1, 1])[..] else { panic!("two planes") };
    let output = if sorted {
        let (low, high) = (b.and(x, y), b.or(x, y));
        let (top, rest) = (b.or(high, z), b.and(high, z));
        [b.and(low, rest), b.or(low, rest), top]
    } else {
        [x, y, z]
    };
    b.output(&output);
    b.finish().unwrap()
}

#[test]
fn a_corrupted_child_carries_what_its_range_check_accepts_and_nothing_else() {
    let official = sorting_plan();
    let mut crooked = official.clone();
    crooked[0].program = three_bits(false);
    for value in 0..8usize {
        let bit = |at: usize| value >> at & 1 == 1;
        let inputs = Inputs::from([
            (0, Bits::repeat(bit(0), 1)),
            (1, [bit(1), bit(2)].into_iter().collect()),
            (2, [true, false, true].into_iter().collect()),
        ]);
        let mut outputs_sent = 0;
        let watch = |from: PartyId, _: PartyId, frame: &mut Frame| {
            outputs_sent += usize::from(from == party(2) && frame.kind == Kind::OutputBits);
        };
        let ends =
            Federation::new(PARTIES, 8).run_tampered(&mut Rewrite(watch), async |mesh, entropy| {
                // P1 and P2 run a child of their own; P3 knows only the official plan.
                let plan = if mesh.me() == party(2) { &official } else { &crooked };
                let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
                session.bind(&[5; 32]).await?;
                let own = own_inputs(plan, &inputs, session.me());
                execute(&SessionHost::new(session, plan)?, plan, &own).await
            });
        let sorted = (!bit(0) || bit(1)) && (!bit(1) || bit(2));
        match sorted {
            true => assert_eq!(ends[2], Ok(reference(&crooked, &inputs, party(2)))),
            false => assert_eq!(ends[2], Err(Error::unattributed(Fault::Ver))),
        }
        assert_eq!(outputs_sent > 0, sorted);
    }
}

/// Several changes at once.
pub(super) struct Coalition(pub(super) Vec<Tampering>);

impl Tamper for Coalition {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        let change = |frames: Vec<Frame>, tamper: &mut Tampering| {
            frames.into_iter().flat_map(|frame| tamper.on_frame(from, to, frame)).collect()
        };
        self.0.iter_mut().fold(vec![frame], change)
    }
}

#[test]
fn all_but_one_cannot_make_the_last_accept_a_wrong_answer() {
    let scenario = Scenario::sweep();
    let census: Census = scenario.census(BaseOt::Dealt);
    let actions = [Action::FlipBit(0), Action::Zero, Action::Random, Action::Replay];
    let mut cells = Vec::new();
    for kind in Kind::ALL {
        for victim in everybody() {
            let senders: PartySet = honest(victim)
                .iter()
                .filter(|from| census.contains_key(&(*kind, *from, victim)))
                .collect();
            if senders.len() == 2 {
                cells.extend(actions.map(|action| (*kind, victim, senders, action)));
            }
        }
    }
    assert!(cells.len() > 300, "{} cells", cells.len());
    let ends = each(&cells, |(kind, victim, senders, action)| {
        let target = |from| Target { from, to: PartySet::only(*victim), kind: *kind, skip: 0 };
        let changes = senders.iter().map(|from| Tampering::new(target(from), *action));
        let mut coalition = Coalition(changes.collect());
        let ends = scenario.run(BaseOt::Dealt, &mut coalition);
        ends.into_iter().nth(victim.index())
    });
    let mut endings: BTreeMap<bool, usize> = BTreeMap::new();
    for ((kind, victim, _, action), end) in cells.iter().zip(ends) {
        let end = end.unwrap_or_else(|panic| panic!("{kind:?} {action:?} panicked: {panic}"));
        let end = end.unwrap();
        *endings.entry(end.is_ok()).or_default() += 1;
        if let Ok(outputs) = end {
            assert_eq!(outputs, scenario.reference(*victim), "{kind:?} {action:?}");
        }
    }
    assert!(endings[&false] > endings[&true], "{endings:?}");
}
