//! Drives the life of a query at one party: the Hydro program of `senate-control`, fed with the
//! party's commands and its peers' frames.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::{Stream, StreamExt};
use hydro_lang::location::member_id::TaglessMemberId;
use hydro_lang::runtime_support::dfir_rs::bytes::{Bytes, BytesMut};
use senate_circuit::PartyId;
use senate_control::{AbortClass, Action, Command, Frame, LifeSpec};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// What the transport hands over from one peer's control channel, in the order of arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inbound {
    /// The bytes of one frame, of any length and content.
    Frame(Vec<u8>),
    /// The channel has ended. It follows everything the peer sent.
    Closed,
}

/// Runs one query's life at `spec.me()` and returns its last action, `Finished` or `Aborted`.
///
/// `peer_in` names the sender of each item, as its certificate proves it. Every frame handed to
/// `peer_out` is [`senate_control::Message::BYTES`] long; all are handed over before this returns,
/// so the caller flushes them before it closes its channels. `actions` sees every action, the last
/// one too. It waits as long as nobody ends the query: deadlines are the caller's, as commands.
///
/// The future is not `Send`: run it on a current-thread runtime of its own or in a `LocalSet`.
pub async fn drive(
    spec: LifeSpec,
    commands: impl Stream<Item = Command> + Unpin,
    peer_in: impl Stream<Item = (PartyId, Inbound)> + Unpin,
    mut peer_out: impl FnMut(PartyId, Vec<u8>),
    mut actions: impl FnMut(Action),
) -> Action {
    let own = spec.me();
    let me = member(own);
    let over = Rc::new(Notify::new());
    let last = Rc::new(RefCell::new(None));
    let mut outputs = generated::party_control::EmbeddedOutputs {
        actions: |action: Action| {
            actions(action);
            if !matches!(action, Action::Start { .. }) {
                last.replace(Some(action));
                over.notify_one();
            }
        },
    };
    let mut network_out = generated::party_control::EmbeddedNetworkOut {
        control: |(to, bytes): (TaglessMemberId, Bytes)| {
            if let Some(to) = usize::try_from(to.get_raw_id()).ok().and_then(PartyId::new) {
                peer_out(to, bytes.to_vec());
            }
        },
    };
    let network_in = generated::party_control::EmbeddedNetworkIn {
        control: peer_in.map(|(from, inbound)| Ok((member(from), encoded(&inbound)))),
    };
    let mut flow = generated::party_control(
        &me,
        spec.into(),
        commands,
        &mut outputs,
        network_in,
        &mut network_out,
    );
    LocalSet::new()
        .run_until(async {
            tokio::select! {
                biased;
                () = over.notified() => {}
                _ = flow.run() => {}
            }
            // The frames of the last step may still be on their way out of the dataflow.
            flow.run_available().await;
        })
        .await;
    drop(flow);
    let class = AbortClass::Internal;
    last.take().unwrap_or(Action::Aborted { class, by: own })
}

fn member(party: PartyId) -> TaglessMemberId {
    // A party's index is below 64.
    TaglessMemberId::from_raw_id(u32::try_from(party.index()).unwrap_or(u32::MAX))
}

/// Parsed here and encoded anew, because the dataflow trusts what its channel carries.
fn encoded(inbound: &Inbound) -> BytesMut {
    let frame = match inbound {
        Inbound::Frame(bytes) => Frame::from_peer(bytes),
        Inbound::Closed => Frame::Closed,
    };
    BytesMut::from(frame.to_bytes().as_slice())
}

/// The dataflow that parties/build.rs generates. What it unwraps of a frame is what [`encoded`]
/// wrote; it never parses bytes of a peer.
#[expect(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    unsafe_code,
    unused_imports,
    unused_qualifications,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/party_control.rs"));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use senate_circuit::{PartySet, StageId};
    use senate_control::{Digest, StageSpec};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    type Mail<T> = (UnboundedSender<T>, UnboundedReceiver<T>);

    fn party(index: usize) -> PartyId {
        PartyId::new(index).unwrap()
    }

    fn items<T>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Unpin {
        Box::pin(futures_util::stream::unfold(receiver, |mut receiver| async {
            let item = receiver.recv().await?;
            Some((item, receiver))
        }))
    }

    /// P1 and P2 run stage 0, then everybody stage 1, which waits for P2's completion of stage 0.
    fn spec(me: usize) -> LifeSpec {
        let stage = |id, waits, parties| StageSpec {
            id: StageId(id),
            waits,
            parties: PartySet::first(parties),
            evaluator: party(0),
        };
        let stages = vec![stage(0, vec![], 2), stage(1, vec![(StageId(0), party(1))], 3)];
        LifeSpec::new(party(me), PartySet::first(3), stages).unwrap()
    }

    /// Three parties exchange bytes in one process; a stage that starts is done. `disturb` gets
    /// each party's inbox before anything runs. Returns every party's actions.
    fn federation(
        digests: [u8; 3],
        disturb: impl FnOnce(&[UnboundedSender<(PartyId, Inbound)>]),
    ) -> Vec<Vec<Action>> {
        let (inboxes, mail): (Vec<_>, Vec<_>) =
            (0..3).map(|_| -> Mail<(PartyId, Inbound)> { unbounded_channel() }).unzip();
        disturb(&inboxes);
        let runs = mail.into_iter().enumerate().map(|(me, mail)| {
            let inboxes = inboxes.clone();
            async move {
                let (orders, commands): Mail<Command> = unbounded_channel();
                orders.send(Command::Approve { digest: Digest([digests[me]; 32]) }).unwrap();
                let seen = Arc::new(Mutex::new(Vec::new()));
                let log = seen.clone();
                let end = drive(
                    spec(me),
                    items(commands),
                    items(mail),
                    |to, bytes| {
                        let _ = inboxes[to.index()].send((party(me), Inbound::Frame(bytes)));
                    },
                    move |action| {
                        log.lock().unwrap().push(action);
                        if let Action::Start { stage } = action {
                            orders.send(Command::Done { stage }).unwrap();
                        }
                    },
                )
                .await;
                let seen = seen.lock().unwrap().clone();
                assert_eq!(seen.last(), Some(&end));
                seen
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(futures_util::future::join_all(runs))
    }

    fn start(stage: u32) -> Action {
        Action::Start { stage: StageId(stage) }
    }

    #[test]
    fn three_parties_run_the_stages_in_order_and_finish() {
        let actions = federation([7; 3], |_| ());
        let both = vec![start(0), start(1), Action::Finished];
        assert_eq!(actions, [both.clone(), both, vec![start(1), Action::Finished]]);
    }

    #[test]
    fn another_digest_aborts_all_three_before_any_start() {
        for actions in federation([7, 7, 8], |_| ()) {
            let [Action::Aborted { class: AbortClass::Mismatch, by: _ }] = actions[..] else {
                panic!("{actions:?}");
            };
        }
    }

    #[test]
    fn bytes_that_are_no_frame_abort_in_the_name_of_their_sender() {
        let garbage = |bytes: Vec<u8>| {
            federation([7; 3], |inboxes| {
                inboxes[0].send((party(2), Inbound::Frame(bytes))).unwrap();
            })
        };
        let forged_end = Frame::Closed.to_bytes().to_vec();
        for bytes in [vec![], vec![0xff; 38], vec![1; 1 << 16], forged_end] {
            let actions = garbage(bytes);
            let aborted = Action::Aborted { class: AbortClass::CheckFailed, by: party(2) };
            assert_eq!(actions[0], [aborted]);
            assert!(actions.iter().all(|actions| !actions.contains(&Action::Finished)));
        }
    }

    #[test]
    fn a_channel_that_ends_early_aborts_everybody() {
        let actions = federation([7; 3], |inboxes| {
            inboxes[1].send((party(0), Inbound::Closed)).unwrap();
        });
        let lost = |by| Action::Aborted { class: AbortClass::Lost, by: party(by) };
        assert_eq!(actions[1], [lost(0)]);
        for others in [&actions[0], &actions[2]] {
            assert!(matches!(others.last(), Some(Action::Aborted { class: AbortClass::Lost, .. })));
        }
    }
}
