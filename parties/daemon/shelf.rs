//! Sessions that were opened ahead and wait for their queries at this party, for whom others would
//! be welcome, and how many there may be.

use crate::agreement::Agreement;
use crate::ahead::{Work, provisions};
use crate::messages::SessionId;
use crate::session::Early;
use senate_circuit::{PartyId, PartySet};
use senate_mpc::pre::stock::Provisions;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Sessions that one party may have opened here.
const SESSIONS_PER_OPENER: usize = 2;
/// Sessions in all.
const SESSIONS_MAX: usize = 8;
/// Sets of participants for which a daemon opens sessions.
const WISHES_MAX: usize = SESSIONS_PER_OPENER;
/// A party set that nobody asked again for so long is not prepared for any more.
const WISH_MAX: Duration = Duration::from_secs(900);

/// The shelf of a daemon.
pub(super) struct Shelf {
    /// The queries that run here.
    pub(super) work: Work,
    bytes_max: usize,
    state: Mutex<State>,
    rooms: Rooms,
    changed: Notify,
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<SessionId, Entry>,
    wishes: VecDeque<(Provisions, Instant)>,
    distrusts: bool,
}

/// A session that waits here.
pub(super) struct Entry {
    /// Who opened it, and alone grants it to a query.
    pub(super) opener: PartyId,
    /// Everybody in it.
    pub(super) participants: PartySet,
    /// This party's place.
    pub(super) early: Early,
    /// Its share of the memory.
    pub(super) _room: Room,
}

type Rooms = Arc<Mutex<Vec<(PartyId, usize)>>>;

/// Memory that a session takes, until it is dropped.
pub(super) struct Room {
    rooms: Rooms,
    taken: (PartyId, usize),
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = rooms.iter().position(|taken| *taken == self.taken) {
            rooms.swap_remove(at);
        }
    }
}

/// A session that a query would like to use.
pub(super) struct Claim {
    /// Which.
    pub(super) session: SessionId,
    /// Taken already, by its opener.
    granted: Option<Early>,
}

impl Shelf {
    /// A shelf for sessions that keep at most `bytes_max` together; 0 for none at all.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (work, state, rooms) = (Work::default(), Mutex::default(), Rooms::default());
        let (changed, closed) = (Notify::new(), watch::channel(false).0);
        Self { work, bytes_max, state, rooms, changed, closed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one more session of `opener` that keeps `bytes`.
    pub(super) fn room(&self, opener: PartyId, bytes: usize) -> Option<Room> {
        if self.state().distrusts || *self.closed.borrow() {
            return None;
        }
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = rooms.iter().fold(bytes, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let of_opener = rooms.iter().filter(|(party, _)| *party == opener).count();
        let fits = kept <= self.bytes_max
            && of_opener < SESSIONS_PER_OPENER
            && rooms.len() < SESSIONS_MAX
            && self.bytes_max > 0;
        if !fits {
            return None;
        }
        rooms.push((opener, bytes));
        Some(Room { rooms: Arc::clone(&self.rooms), taken: (opener, bytes) })
    }

    /// From now on queries may use it, unless the shelf is closed.
    pub(super) fn keep(&self, session: SessionId, entry: Entry) {
        let mut state = self.state();
        if !*self.closed.borrow() {
            state.entries.insert(session, entry);
        }
    }

    /// Drops a session that is dead, or taken.
    pub(super) fn remove(&self, session: SessionId) {
        let entry = self.state().entries.remove(&session);
        drop(entry);
        self.changed.notify_one();
    }

    /// A check failed in a session without a query: nothing is opened ahead any more, so that
    /// nobody can try again and again while no person looks.
    pub(super) fn distrust(&self) {
        self.state().distrusts = true;
        tracing::warn!(
            "a check failed in a session opened ahead: no more of them until the daemon restarts"
        );
    }

    /// Ends all sessions; there will be no others.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        let entries = std::mem::take(&mut self.state().entries);
        drop(entries);
    }

    /// Waits until the shelf is closed.
    pub(super) async fn closes(&self) {
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// The session that a query of `me` among `participants` would best use. One that `me` opened is
    /// taken at once; others are its opener's to grant.
    pub(super) fn offer(&self, me: PartyId, participants: PartySet) -> Option<Claim> {
        let mut state = self.state();
        let fits = |entry: &Entry| entry.participants == participants && entry.early.is_ready();
        let mut fitting = state.entries.iter().filter(|(_, entry)| fits(entry));
        let all: Vec<(SessionId, PartyId)> =
            fitting.by_ref().map(|(session, entry)| (*session, entry.opener)).collect();
        let own = all.iter().find(|(_, opener)| *opener == me);
        let (session, opener) = own.or(all.first()).copied()?;
        let granted = match opener == me {
            true => Some(state.entries.remove(&session)?.early),
            false => None,
        };
        drop(state);
        self.changed.notify_one();
        Some(Claim { session, granted })
    }

    /// What a participant says to a query that would like to use `session`: its opener grants it
    /// once, the others say whether they have it.
    pub(super) fn grant(
        &self,
        session: SessionId,
        me: PartyId,
        participants: PartySet,
    ) -> Option<Claim> {
        let mut state = self.state();
        let entry = state.entries.get(&session)?;
        if entry.participants != participants || !entry.early.is_ready() {
            return None;
        }
        let granted = match entry.opener == me {
            true => Some(state.entries.remove(&session)?.early),
            false => None,
        };
        drop(state);
        self.changed.notify_one();
        Some(Claim { session, granted })
    }

    /// The session of a claim that all participants agree on; gone from the shelf.
    pub(super) fn take(&self, claim: Claim) -> Option<Early> {
        let Claim { session, granted } = claim;
        granted.or_else(|| self.state().entries.remove(&session).map(|entry| entry.early))
    }

    /// A query of `me` like this one may be asked again: it would be good to have a session for it.
    /// Sessions for participants that are forgotten now make room.
    pub(super) fn remember(&self, me: PartyId, agreement: &Agreement) {
        let Some(wish) = provisions(agreement, self.bytes_max / SESSIONS_PER_OPENER) else {
            return;
        };
        if self.bytes_max == 0 {
            return;
        }
        let mut state = self.state();
        state.wishes.retain(|(known, _)| known.parties() != wish.parties());
        state.wishes.push_front((wish, Instant::now()));
        state.wishes.truncate(WISHES_MAX);
        let State { entries, wishes, .. } = &mut *state;
        entries.retain(|_, entry| {
            let mut wished = wishes.iter().map(|(wish, _)| wish.parties());
            entry.opener != me || wished.any(|parties| parties == entry.participants)
        });
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until a session should be opened by `me`.
    pub(super) async fn wish(&self, me: PartyId) -> Provisions {
        loop {
            if let Some(wish) = self.unmet(me) {
                return wish;
            }
            self.changed.notified().await;
        }
    }

    /// The latest wish for which `me` has opened nothing that lives.
    fn unmet(&self, me: PartyId) -> Option<Provisions> {
        let mut state = self.state();
        if state.distrusts {
            return None;
        }
        state.wishes.retain(|(_, since)| since.elapsed() < WISH_MAX);
        let is_met = |wish: &Provisions| {
            let mut entries = state.entries.values();
            entries.any(|entry| entry.opener == me && entry.participants == wish.parties())
        };
        state.wishes.iter().map(|(wish, _)| wish).find(|wish| !is_met(wish)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_numbers_are_bounded_and_given_back() {
        let shelf = Shelf::new(100);
        let (one, other) = (PartyId::new(0).unwrap(), PartyId::new(1).unwrap());
        let first = shelf.room(one, 60).unwrap();
        assert!(shelf.room(other, 41).is_none());
        let second = shelf.room(one, 1).unwrap();
        assert!(shelf.room(one, 1).is_none(), "one party does not take it all");
        assert!(shelf.room(other, 39).is_some());
        drop((first, second));
        assert!(shelf.room(one, 100).is_some());
        assert!(Shelf::new(0).room(one, 0).is_none());
    }

    #[test]
    fn after_a_failed_check_or_while_closing_there_is_no_room() {
        let party = PartyId::new(0).unwrap();
        let shelf = Shelf::new(100);
        shelf.distrust();
        assert!(shelf.room(party, 1).is_none());
        let shelf = Shelf::new(100);
        shelf.close();
        assert!(shelf.room(party, 1).is_none());
    }
}
