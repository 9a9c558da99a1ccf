//! Incoming frames of one peer, sorted by lane and kind. Whoever waits pulls the link and hands
//! frames of other conversations to those who wait for them.

use super::{Frame, Kind, Lane};
use crate::error::{AbortClass, Error, Fault};
use futures_channel::mpsc;
use futures_util::StreamExt;
use senate_circuit::PartyId;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

/// Bytes that may wait unclaimed from one peer beside what conversations have reserved: an honest
/// peer runs ahead into a conversation that is not open here by its first message only, a bit per
/// wire or a list of commitments.
const QUEUED_BYTES_BASE: usize = 64 << 20;
/// What a queued frame costs beside its payload: a peer could send empty ones on ever new lanes.
const FRAME_BYTES: usize = 256;

pub(super) struct Inbox {
    party: PartyId,
    state: RefCell<State>,
}

/// Somebody who waits for a frame. If it is dropped while waiting, the link may hold its waker:
/// the others must poll again.
struct Waiting<'a> {
    inbox: &'a Inbox,
    key: (Lane, Kind),
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over
            && let Ok(mut state) = self.inbox.state.try_borrow_mut()
        {
            state.waiting.remove(&self.key);
            state.wake_all();
        }
    }
}

struct State {
    incoming: mpsc::Receiver<Frame>,
    queues: BTreeMap<(Lane, Kind), VecDeque<Vec<u8>>>,
    queued_bytes: usize,
    waiting: BTreeMap<(Lane, Kind), Waker>,
    ended: Option<Error>,
    queued_bytes_max: usize,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox({})", self.party)
    }
}

impl Inbox {
    pub(super) fn new(party: PartyId, incoming: mpsc::Receiver<Frame>) -> Self {
        let state = State {
            incoming,
            queues: BTreeMap::new(),
            queued_bytes: 0,
            waiting: BTreeMap::new(),
            ended: None,
            queued_bytes_max: QUEUED_BYTES_BASE,
        };
        Self { party, state: RefCell::new(state) }
    }

    /// The next payload of this lane and kind.
    pub(super) async fn next(&self, lane: Lane, kind: Kind) -> Result<Vec<u8>, Error> {
        let mut waiting = Waiting { inbox: self, key: (lane, kind), over: false };
        let next = std::future::poll_fn(|context| self.poll_next(lane, kind, context)).await;
        waiting.over = true;
        next
    }

    /// Lets `bytes` more wait unclaimed.
    pub(super) fn reserve(&self, bytes: usize) {
        let mut state = self.state.borrow_mut();
        state.queued_bytes_max = state.queued_bytes_max.saturating_add(bytes);
    }

    /// Undoes one [`Inbox::reserve`].
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.state.borrow_mut();
        state.queued_bytes_max = state.queued_bytes_max.saturating_sub(bytes);
    }

    /// Ends every wait, now and later, with `error`, and drops what nobody has claimed.
    pub(super) fn end(&self, error: Error) {
        let mut state = self.state.borrow_mut();
        state.ended.get_or_insert(error);
        state.queues.clear();
        state.queued_bytes = 0;
        state.wake_all();
    }

    /// Why a send to this peer failed: its abort if one has arrived, else a lost link.
    pub(super) fn closing_error(&self) -> Error {
        let mut state = self.state.borrow_mut();
        while state.ended.is_none() {
            let mut context = Context::from_waker(Waker::noop());
            match state.incoming.poll_next_unpin(&mut context) {
                Poll::Ready(Some(frame)) => state.accept(self.party, frame),
                _ => return Error::Lost { party: self.party },
            }
        }
        state.ended.unwrap_or(Error::Lost { party: self.party })
    }

    fn poll_next(
        &self,
        lane: Lane,
        kind: Kind,
        context: &mut Context<'_>,
    ) -> Poll<Result<Vec<u8>, Error>> {
        let mut state = self.state.borrow_mut();
        loop {
            if let Some(payload) = state.pop(lane, kind) {
                state.waiting.remove(&(lane, kind));
                state.wake_all();
                return Poll::Ready(Ok(payload));
            }
            if let Some(error) = state.ended {
                return Poll::Ready(Err(error));
            }
            match state.incoming.poll_next_unpin(context) {
                Poll::Ready(Some(frame)) => state.accept(self.party, frame),
                Poll::Ready(None) => {
                    state.ended = Some(Error::Lost { party: self.party });
                    state.wake_all();
                }
                Poll::Pending => {
                    state.waiting.insert((lane, kind), context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl State {
    fn pop(&mut self, lane: Lane, kind: Kind) -> Option<Vec<u8>> {
        let queue = self.queues.get_mut(&(lane, kind))?;
        let payload = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&(lane, kind));
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(payload.len() + FRAME_BYTES);
        Some(payload)
    }

    fn accept(&mut self, party: PartyId, frame: Frame) {
        if frame.kind == Kind::Abort {
            let class = frame
                .payload
                .first()
                .copied()
                .map_or(AbortClass::CheckFailed, AbortClass::from_byte);
            self.ended = Some(Error::Aborted { by: party, class });
            self.wake_all();
            return;
        }
        let key = (frame.lane, frame.kind);
        self.queued_bytes += frame.payload.len() + FRAME_BYTES;
        self.queues.entry(key).or_default().push_back(frame.payload);
        if self.queued_bytes > self.queued_bytes_max {
            self.ended = Some(Error::by(party, Fault::Flood));
            self.wake_all();
        } else if let Some(waker) = self.waiting.remove(&key) {
            waker.wake();
        }
    }

    /// Somebody must poll the link again: the one who did last may have got what it wanted.
    fn wake_all(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_peer_that_sends_without_end_is_cut_off() {
        let party = PartyId::new(1).unwrap();
        let (mut link, incoming) = mpsc::channel(8);
        let inbox = Inbox::new(party, incoming);
        inbox.state.borrow_mut().queued_bytes_max = 2 * FRAME_BYTES;
        let frame = |kind| Frame { lane: Lane::SESSION, kind, payload: vec![0; 60] };
        let next = |kind| inbox.next(Lane::SESSION, kind).now_or_never();
        link.try_send(frame(Kind::Hello)).unwrap();
        assert_eq!(next(Kind::Hello), Some(Ok(vec![0; 60])));
        link.try_send(frame(Kind::Sid)).unwrap();
        assert_eq!(next(Kind::Hello), None);
        link.try_send(frame(Kind::Bind)).unwrap();
        assert_eq!(next(Kind::Hello), Some(Err(Error::by(party, Fault::Flood))));
    }

    #[test]
    fn empty_messages_on_ever_new_lanes_are_cut_off() {
        let party = PartyId::new(1).unwrap();
        let (mut link, incoming) = mpsc::channel(8);
        let inbox = Inbox::new(party, incoming);
        let wait = || inbox.next(Lane::SESSION, Kind::Hello).now_or_never();
        for lane in 1..=(QUEUED_BYTES_BASE / FRAME_BYTES) as u64 {
            let (lane, payload) = (Lane::from_code(lane), Vec::new());
            link.try_send(Frame { lane, kind: Kind::Hello, payload }).unwrap();
            assert_eq!(wait(), None);
        }
        let last = Frame { lane: Lane::from_code(0), kind: Kind::Sid, payload: Vec::new() };
        link.try_send(last).unwrap();
        assert_eq!(wait(), Some(Err(Error::by(party, Fault::Flood))));
    }

    #[test]
    fn a_reservation_admits_its_bytes_and_no_more() {
        let party = PartyId::new(1).unwrap();
        let (mut link, incoming) = mpsc::channel(8);
        let inbox = Inbox::new(party, incoming);
        let frame = |kind, len| Frame { lane: Lane::SESSION, kind, payload: vec![0; len] };
        let next = |kind| inbox.next(Lane::SESSION, kind).now_or_never();
        inbox.reserve(1 << 20);
        link.try_send(frame(Kind::Sid, QUEUED_BYTES_BASE)).unwrap();
        assert_eq!(next(Kind::Hello), None);
        inbox.release(1 << 20);
        link.try_send(frame(Kind::Bind, 0)).unwrap();
        assert_eq!(next(Kind::Hello), Some(Err(Error::by(party, Fault::Flood))));
    }

    #[test]
    fn nothing_is_received_after_the_end() {
        let (mut link, incoming) = mpsc::channel(8);
        let inbox = Inbox::new(PartyId::new(1).unwrap(), incoming);
        let frame = |kind| Frame { lane: Lane::SESSION, kind, payload: Vec::new() };
        let next = |kind| inbox.next(Lane::SESSION, kind).now_or_never();
        link.try_send(frame(Kind::Sid)).unwrap();
        assert_eq!(next(Kind::Hello), None);
        let error = Error::unattributed(Fault::Ver);
        inbox.end(error);
        link.try_send(frame(Kind::Hello)).unwrap();
        assert_eq!(next(Kind::Sid), Some(Err(error)));
        assert_eq!(next(Kind::Hello), Some(Err(error)));
    }
}
