//! Which queries run at once: together they stay within the party's limits, by what their plans
//! predict, and there is a session worker for each if sessions live in workers; the others wait in a
//! queue, first come, first served.
//!
//! A query needs room at several parties. First every party is asked for room that it has at this
//! very moment. Only if some has none, the query gives back what it got and takes room at one party
//! after the other, in the order of the federation: no query waits at a lower party for one that
//! waits at a higher, so no two wait for each other.

use crate::config::Limits;
use crate::failure::{Failure, Outcome};
use crate::worker::{Seat, Workers};
use senate_circuit::PartyId;
use senate_planner::plan::Plan;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Memory of an AND gate's preprocessing for each other member of its stage.
const BYTES_PER_TRIPLE_AND_PEER: u64 = 256;
/// Memory of planning a query, its tables and its session's buffers.
const BYTES_PER_SESSION: u64 = 32 << 20;
/// Memory of a session's correlated oblivious transfers and queues for each peer.
const BYTES_PER_PEER: u64 = 40 << 20;

/// What a query is predicted to need at one party.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cost {
    pub(crate) memory_bytes: u64,
    pub(crate) triples: u64,
}

impl Cost {
    /// Of a plan, at the party `me`: all its stages may be there at once.
    pub(crate) fn of(plan: &Plan, me: PartyId) -> Self {
        let mut cost = Self::default();
        if plan.stages.is_empty() || !plan.participants.contains(me) {
            return cost;
        }
        let peers = plan.participants.without(me).len() as u64;
        cost.memory_bytes = BYTES_PER_SESSION + BYTES_PER_PEER * peers;
        let stages = plan.stages.iter().zip(&plan.summaries);
        for (stage, summary) in stages.filter(|(stage, _)| stage.parties.contains(me)) {
            let (ands, peers) = (summary.sizes.and_gates, stage.parties.len() as u64 - 1);
            cost.triples = cost.triples.saturating_add(ands);
            let triples = ands.saturating_mul(BYTES_PER_TRIPLE_AND_PEER * peers);
            let stage = summary.cost.memory_bytes.saturating_add(triples);
            cost.memory_bytes = cost.memory_bytes.saturating_add(stage);
        }
        cost
    }
}

/// The rooms of one daemon.
pub(crate) struct Admission {
    limits: Limits,
    workers: Workers,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

/// What is taken, and who waits.
#[derive(Default)]
struct State {
    used: Cost,
    running: usize,
    /// Tickets in order of arrival.
    queue: VecDeque<u64>,
    next: u64,
}

/// What is taken at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) used: Cost,
    pub(crate) running: usize,
    pub(crate) queued: usize,
}

/// Room that a query has; given back on drop.
pub(crate) struct Room {
    admission: Arc<Admission>,
    cost: Cost,
    /// In a session worker.
    _seat: Seat,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.used.memory_bytes = state.used.memory_bytes.saturating_sub(self.cost.memory_bytes);
        state.used.triples = state.used.triples.saturating_sub(self.cost.triples);
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.admission.changed.send_replace(());
    }
}

/// A place in the queue; left on drop.
struct Waiting<'a> {
    admission: &'a Admission,
    ticket: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.admission.state().queue.retain(|ticket| *ticket != self.ticket);
        self.admission.changed.send_replace(());
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits, workers: Workers) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), watch::Sender::new(()));
        Arc::new(Self { limits, workers, state, changed })
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state();
        Load { used: state.used, running: state.running, queued: state.queue.len() }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the query could run if it were alone.
    ///
    /// # Errors
    /// Refused when it never can.
    pub(crate) fn could_fit(&self, cost: Cost) -> Outcome<()> {
        let limits = &self.limits;
        let refused = |what: &str, needs: u64, limit: u64| {
            let why = format!("the query needs {needs} {what}, but the limit here is {limit}");
            Err(Failure::refused(why).with_remedy(
                "raise it under [limits] in party.toml, or ask for less: tighter --bound, fewer columns",
            ))
        };
        if cost.memory_bytes > limits.memory.0 {
            return refused("bytes of memory", cost.memory_bytes, limits.memory.0);
        }
        if cost.triples > limits.triples {
            return refused("AND triples", cost.triples, limits.triples);
        }
        Ok(())
    }

    /// Room, if there is some now and nobody waits for it.
    pub(crate) fn try_enter(self: &Arc<Self>, cost: Cost) -> Option<Room> {
        let mut state = self.state();
        if !state.queue.is_empty() {
            return None;
        }
        self.take(&mut state, cost)
    }

    /// Room, once it is this query's turn; `position` hears how many are before it.
    ///
    /// # Errors
    /// Lost when the queue is full.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        cost: Cost,
        mut position: impl FnMut(usize),
    ) -> Outcome<Room> {
        self.could_fit(cost)?;
        let (mut changes, mut workers) = (self.changed.subscribe(), self.workers.changes());
        let waiting = self.queue_up()?;
        let mut told = None;
        loop {
            {
                let mut state = self.state();
                let at = state.queue.iter().position(|ticket| *ticket == waiting.ticket);
                if at == Some(0)
                    && let Some(room) = self.take(&mut state, cost)
                {
                    drop(state);
                    return Ok(room);
                }
                drop(state);
                if told != at {
                    told = at;
                    position(at.unwrap_or_default());
                }
            }
            // The senders live as long as `self`.
            tokio::select! {
                _ = changes.changed() => {}
                _ = workers.changed() => {}
            }
        }
    }

    fn queue_up(&self) -> Outcome<Waiting<'_>> {
        let mut state = self.state();
        if state.queue.len() >= self.limits.queued {
            let why = format!("{} queries already wait for room", state.queue.len());
            return Err(Failure::lost(why)
                .with_remedy("ask again later, or raise `queued` under [limits] in party.toml"));
        }
        let ticket = state.next;
        state.next += 1;
        state.queue.push_back(ticket);
        Ok(Waiting { admission: self, ticket })
    }

    fn take(self: &Arc<Self>, state: &mut State, cost: Cost) -> Option<Room> {
        let memory_bytes = state.used.memory_bytes.checked_add(cost.memory_bytes)?;
        let triples = state.used.triples.checked_add(cost.triples)?;
        let fits = memory_bytes <= self.limits.memory.0
            && triples <= self.limits.triples
            && state.running < self.limits.running;
        // What has no joint part has no session.
        let seat = match (fits, cost == Cost::default()) {
            (false, _) => None,
            (true, true) => Some(Seat::unneeded()),
            (true, false) => self.workers.try_seat(),
        }?;
        state.used = Cost { memory_bytes, triples };
        state.running += 1;
        Some(Room { admission: Arc::clone(self), cost, _seat: seat })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bytes;
    use futures_util::FutureExt;

    fn admission() -> Arc<Admission> {
        let limits = Limits {
            memory: Bytes(100),
            triples: 1000,
            running: 3,
            queued: 2,
            ..Limits::default()
        };
        Admission::new(limits, Workers::none())
    }

    fn memory(memory_bytes: u64) -> Cost {
        Cost { memory_bytes, triples: 1 }
    }

    #[test]
    fn what_runs_stays_within_each_limit() {
        let admission = admission();
        let first = admission.try_enter(memory(60)).unwrap();
        assert!(admission.try_enter(memory(50)).is_none());
        assert!(admission.try_enter(Cost { memory_bytes: 1, triples: 1000 }).is_none());
        let _second = admission.try_enter(memory(20)).unwrap();
        let _third = admission.try_enter(memory(20)).unwrap();
        assert!(admission.try_enter(Cost::default()).is_none(), "three already run");
        let full = Load { used: Cost { memory_bytes: 100, triples: 3 }, running: 3, queued: 0 };
        assert_eq!(admission.load(), full);
        drop(first);
        assert!(admission.try_enter(memory(60)).is_some());
    }

    #[tokio::test]
    async fn the_queue_is_fair_and_has_an_end() {
        let admission = admission();
        let first = admission.try_enter(memory(90)).unwrap();
        let (mut seen, mut nothing) = (Vec::new(), |_| ());
        let mut large = Box::pin(admission.enter(memory(80), |at| seen.push(at)));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(admission.try_enter(memory(5)).is_none(), "nobody passes those who wait");
        let mut small = Box::pin(admission.enter(memory(5), &mut nothing));
        assert!(small.as_mut().now_or_never().is_none());
        let failure = admission.enter(memory(5), |_| ()).await.err().unwrap();
        assert_eq!(failure.cause.exit_code(), 4);
        drop(first);
        let (large, _small) = tokio::join!(large, small);
        drop(large.unwrap());
        assert_eq!(seen, [0]);
        assert_eq!(admission.load().queued, 0);
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_lets_the_next_one_in() {
        let admission = admission();
        let first = admission.try_enter(memory(50)).unwrap();
        let mut large = Box::pin(admission.enter(memory(80), |_| ()));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(admission.enter(memory(50), |_| ()));
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        drop(small.await.unwrap());
        drop(first);
        assert_eq!(admission.load().used, Cost::default());
    }

    #[test]
    fn what_can_never_run_is_refused_at_once() {
        let admission = admission();
        assert!(admission.could_fit(memory(100)).is_ok());
        for cost in [memory(101), Cost { memory_bytes: 0, triples: 1001 }] {
            let failure = admission.could_fit(cost).unwrap_err();
            assert_eq!(failure.cause.exit_code(), 3);
            assert!(failure.message.contains("limit"), "{failure}");
        }
    }
}
