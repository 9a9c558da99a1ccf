//! Runs the gossip of `senate-control` at one party, on a thread of its own: statements and peers'
//! words in, what is known and what is to be told out.

use crate::failure::{Failure, Outcome};
use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use hydro_lang::location::member_id::TaglessMemberId;
use hydro_lang::runtime_support::dfir_rs::bytes::{Bytes, BytesMut};
use senate_circuit::PartyId;
use senate_control::{Catalog, GossipSpec, Notice, Observation, Statement, Word};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::timeout;

/// How long the gossip may take to say everything for one peer.
const MEETING_MAX: Duration = Duration::from_secs(5);

/// A party's place in the gossip. It ends when this is dropped.
pub(crate) struct Board {
    notices: mpsc::UnboundedSender<Notice>,
    heard: mpsc::UnboundedSender<(PartyId, Word)>,
    shared: Arc<Shared>,
    /// One meeting is collected at a time.
    collecting: tokio::sync::Mutex<()>,
    _over: oneshot::Sender<()>,
}

struct Shared {
    known: Mutex<Catalog>,
    /// The peer that is met, and what it is to be told.
    meeting: Mutex<Option<(PartyId, Vec<Word>)>>,
    collected: Notify,
}

impl Board {
    /// Starts the gossip; `observe` is told everything that comes to be known, each once.
    ///
    /// # Errors
    /// Unexpected when the machine gives no thread.
    pub(crate) fn start(
        spec: GossipSpec,
        observe: impl FnMut(Observation) + Send + 'static,
    ) -> Outcome<Self> {
        let failed =
            |error: std::io::Error| Failure::unexpected(format!("a thread for gossip: {error}"));
        let (notices, local) = mpsc::unbounded();
        let (heard, peers) = mpsc::unbounded();
        let (over, ended) = oneshot::channel();
        let shared = Arc::new(Shared {
            known: Mutex::new(Catalog::new(spec.parties, spec.epoch)),
            meeting: Mutex::new(None),
            collected: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let flow = Flow { spec, local, peers, shared: Arc::clone(&shared) };
        let gossip = move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = flow.run(observe) => {}
                    _ = ended => {}
                }
            });
        };
        std::thread::Builder::new().name("gossip".to_owned()).spawn(gossip).map_err(failed)?;
        let collecting = tokio::sync::Mutex::new(());
        Ok(Self { notices, heard, shared, collecting, _over: over })
    }

    /// States something of this party's own.
    pub(crate) fn state(&self, statement: Statement) {
        let _ = self.notices.unbounded_send(Notice::State(statement));
    }

    /// Takes in a word of a peer, whose seal has been verified.
    pub(crate) fn hear(&self, from: PartyId, word: Word) {
        let _ = self.heard.unbounded_send((from, word));
    }

    /// Everything that `peer` is to be told now, the last word [`Word::End`].
    ///
    /// # Errors
    /// Unexpected when the gossip does not answer in time.
    pub(crate) async fn meet(&self, peer: PartyId) -> Outcome<Vec<Word>> {
        let silent = || Failure::unexpected("the gossip does not answer");
        let _one_at_a_time = self.collecting.lock().await;
        *lock(&self.shared.meeting) = Some((peer, Vec::new()));
        let index = u8::try_from(peer.index()).map_err(|_| silent())?;
        self.notices.unbounded_send(Notice::Meet(index)).map_err(|_| silent())?;
        let collected = timeout(MEETING_MAX, self.shared.collected.notified()).await;
        let words = lock(&self.shared.meeting).take().map(|(_, words)| words);
        match (collected, words) {
            (Ok(()), Some(words)) if words.last() == Some(&Word::End) => Ok(words),
            _ => Err(silent()),
        }
    }

    /// What is known by now.
    pub(crate) fn known(&self) -> Catalog {
        lock(&self.shared.known).clone()
    }
}

struct Flow {
    spec: GossipSpec,
    local: mpsc::UnboundedReceiver<Notice>,
    peers: mpsc::UnboundedReceiver<(PartyId, Word)>,
    shared: Arc<Shared>,
}

impl Flow {
    async fn run(self, mut observe: impl FnMut(Observation)) {
        let Self { spec, local, peers, shared } = self;
        let mut outputs = generated::party_gossip::EmbeddedOutputs {
            observations: |observation: Observation| {
                if let Observation::Stated(statement) = observation {
                    lock(&shared.known).insert(statement);
                }
                observe(observation);
            },
        };
        let mut network_out = generated::party_gossip::EmbeddedNetworkOut {
            gossip: |(to, bytes): (TaglessMemberId, Bytes)| shared.tell(to.get_raw_id(), &bytes),
        };
        let network_in = generated::party_gossip::EmbeddedNetworkIn {
            gossip: peers
                .map(|(from, word)| Ok((member(from), BytesMut::from(&word.to_bytes()[..])))),
        };
        let me = member(spec.me);
        let mut flow = generated::party_gossip(
            &me,
            spec.into(),
            local,
            &mut outputs,
            network_in,
            &mut network_out,
        );
        flow.run().await;
    }
}

impl Shared {
    /// Keeps a word for the peer that is met. Other words need not be kept: a meeting tells all.
    fn tell(&self, to: u32, bytes: &[u8]) {
        let Ok(word) = Word::from_bytes(bytes) else { return };
        let mut meeting = lock(&self.meeting);
        let Some((peer, words)) = meeting.as_mut() else { return };
        let is_met = usize::try_from(to).is_ok_and(|to| to == peer.index());
        if !is_met || words.last() == Some(&Word::End) {
            return;
        }
        words.push(word);
        if word == Word::End {
            self.collected.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn member(party: PartyId) -> TaglessMemberId {
    // A party's index is below 64.
    TaglessMemberId::from_raw_id(u32::try_from(party.index()).unwrap_or(u32::MAX))
}

/// The dataflow that parties/build.rs generates. What it unwraps of a word is what [`Flow::run`]
/// encoded; it never parses bytes of a peer.
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
    include!(concat!(env!("OUT_DIR"), "/party_gossip.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_circuit::PartySet;
    use senate_control::{Digest, Fact, Seal, Topic};

    fn party(index: usize) -> PartyId {
        PartyId::new(index).unwrap()
    }

    fn statement(at: usize, digest: u8) -> Statement {
        let (party, topic) = (party(at), Topic::Roster);
        let fact = Fact { party, epoch: 1, topic, digest: Digest([digest; 32]) };
        Statement { fact, seal: Seal::new(&[digest]).unwrap() }
    }

    fn boards(size: usize) -> Vec<Board> {
        let parties = PartySet::first(size);
        let board = |at| Board::start(GossipSpec { me: party(at), parties, epoch: 1 }, |_| ());
        (0..size).map(board).map(Outcome::unwrap).collect()
    }

    async fn until(board: &Board, holds: impl Fn(&Catalog) -> bool) {
        let waiting = async {
            while !holds(&board.known()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.expect("known in time");
    }

    /// `to` hears everything that `from` knows.
    async fn meet(boards: &[Board], from: usize, to: usize) {
        let words = boards[from].meet(party(to)).await.unwrap();
        assert_eq!(words.iter().filter(|word| **word == Word::End).count(), 1);
        words.into_iter().for_each(|word| boards[to].hear(party(from), word));
    }

    #[tokio::test]
    async fn three_parties_agree_though_two_of_them_never_meet() {
        let boards = boards(3);
        (0..3).for_each(|at| boards[at].state(statement(at, 7)));
        for (at, board) in boards.iter().enumerate() {
            until(board, |known| known.stated(party(at), Topic::Roster).unwrap().is_some()).await;
        }
        meet(&boards, 0, 1).await;
        until(&boards[1], |known| known.statements().count() == 2).await;
        for to in [2, 0] {
            meet(&boards, 1, to).await;
        }
        meet(&boards, 2, 1).await;
        until(&boards[1], |known| known.statements().count() == 3).await;
        meet(&boards, 1, 0).await;
        let all = PartySet::first(3);
        for board in &boards {
            let agreed =
                |known: &Catalog| known.all_stated(all, Topic::Roster, Digest([7; 32])) == Ok(true);
            until(board, agreed).await;
        }
    }

    #[tokio::test]
    async fn two_digests_are_a_fault_wherever_both_arrive() {
        let boards = boards(3);
        boards[0].state(statement(0, 7));
        until(&boards[0], |known| known.statements().count() == 1).await;
        meet(&boards, 0, 1).await;
        boards[2].hear(party(0), Word::Statement(statement(0, 8)));
        until(&boards[2], |known| known.statements().count() == 1).await;
        meet(&boards, 2, 1).await;
        until(&boards[1], |known| known.fault(party(0)).is_some()).await;
    }
}
