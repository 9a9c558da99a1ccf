//! Opening sessions ahead: the party that asked last proposes, whoever would answer its queries
//! takes part, and all keep the session until a query takes it or somebody goes away.

use super::Daemon;
use super::shelf::{Entry, Room};
use super::work::fresh_session;
use crate::failure::{Failure, Outcome};
use crate::lanes::Registration;
use crate::messages::{Preparation, Promise, Purpose, SessionId, Step};
use crate::session::{Early, EarlySeat, EarlyState, Hired};
use crate::transport::Connection;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use senate_circuit::PartyId;
use senate_mpc::pre::stock::Provisions;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How long it has to be calm before this daemon thinks of the next query.
const PAUSE: Duration = Duration::from_millis(700);
/// After a failure, before the next attempt; doubled each time.
const RETRY_MIN: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How long a session that is taken stays on the others' shelves, if they do not take it too.
const GRACE: Duration = Duration::from_secs(10);
/// How long a session waits for a query.
const WAIT_MAX: Duration = Duration::from_secs(1800);

impl Daemon {
    /// Opens sessions ahead, one after the other, as long as the daemon serves.
    pub(super) async fn think(self: Arc<Self>) {
        let mut patience = RETRY_MIN;
        loop {
            self.shelf.wish(self.member.me).await;
            sleep(PAUSE).await;
            self.shelf.work.calm().comes().await;
            // The wish may have changed meanwhile.
            let wish = self.shelf.wish(self.member.me).await;
            match self.prepare(wish).await {
                Ok(()) => patience = RETRY_MIN,
                Err(failure) => {
                    tracing::debug!(%failure, "no session opened ahead");
                    sleep(patience).await;
                    patience = RETRY_MAX.min(2 * patience);
                }
            }
        }
    }

    /// Opens one session and puts it on every participant's shelf.
    async fn prepare(self: &Arc<Self>, provisions: Provisions) -> Outcome<()> {
        let participants = provisions.parties();
        let room = self.shelf.room(self.member.me, provisions.bytes());
        let room = room.ok_or_else(|| Failure::refused("no room for another session"))?;
        let session = fresh_session()?;
        let registration = self.rendezvous.register(session);
        let registration = registration.ok_or_else(|| Failure::unexpected("a session id twice"))?;
        let preparation = Preparation::new(session, &provisions);
        let others = participants.without(self.member.me);
        let proposals = others.iter().map(|party| self.propose(party, preparation.clone()).boxed());
        let mut leases = try_join_all(proposals).await?;
        for lease in &mut leases {
            lease.send(&Step::Go).await?;
        }
        let early = self.open_early(registration, provisions).await?;
        let mut state = early.state();
        let ready = async {
            try_join_all(leases.iter_mut().map(|lease| lease.receive::<Promise>())).await?;
            let _ = state.wait_for(|state| *state != EarlyState::Opening).await;
            Ok::<_, Failure>(())
        };
        let mut over = early.state();
        tokio::select! {
            ready = ready => ready?,
            () = ended(&mut over) => {}
        }
        if !early.is_ready() {
            self.shelf_ended(&over);
            return Err(Failure::lost("a session opened ahead ended before it was ready"));
        }
        self.shelf
            .keep(session, Entry { opener: self.member.me, participants, early, _room: room });
        tracing::info!(%session, "session opened ahead and ready");
        tokio::spawn(Arc::clone(self).watch(session, leases, over));
        Ok(())
    }

    /// Proposes to open a session; returns the connection on which `party` accepted. It stays open
    /// as long as the session waits.
    async fn propose(&self, party: PartyId, preparation: Preparation) -> Outcome<Connection> {
        let mut connection = self.member.dial(party, Purpose::Prepare(preparation)).await?;
        match connection.receive().await? {
            Promise::Accepted => Ok(connection),
            _ => Err(Failure::refused(format!("party {}: opens none now", self.name(party)))),
        }
    }

    /// The lanes, then the session on its own thread; or all of it in a worker.
    async fn open_early(
        &self,
        mut registration: Registration,
        provisions: Provisions,
    ) -> Outcome<Early> {
        let calm = self.shelf.work.calm();
        if self.workers.are_used() {
            let preparation = Preparation::new(registration.session(), &provisions);
            let worker = self.workers.hire_ahead().await?;
            return Ok(Hired { worker, registration }.open(preparation, calm));
        }
        let links = self.member.open_lanes(&mut registration, provisions.parties()).await?;
        drop(registration);
        let (me, federation) = (self.member.me, Arc::clone(&self.member.federation));
        Early::open(EarlySeat { me, federation, provisions, links, calm })
    }

    /// Takes the session from the shelf when any other party gives it up, when it is used or dead, or
    /// when nobody has used it for long.
    async fn watch(
        self: Arc<Self>,
        session: SessionId,
        mut leases: Vec<Connection>,
        mut state: watch::Receiver<EarlyState>,
    ) {
        {
            let given_up = leases.iter_mut().map(|lease| lease.receive::<Promise>());
            let mut given_up: FuturesUnordered<_> = given_up.collect();
            tokio::select! {
                _ = given_up.next() => {}
                () = ended(&mut state) => {}
                () = sleep(WAIT_MAX) => {}
                () = self.shelf.closes() => {}
            }
        }
        self.shelf_ended(&state);
        self.shelf.remove(session);
        // If a query is taking it, the others look for it as long as this party does not give it up.
        tokio::select! {
            () = sleep(GRACE) => {}
            () = self.shelf.closes() => {}
        }
    }

    /// Another party proposes to open a session ahead of its next query.
    pub(super) async fn be_prepared(
        &self,
        mut connection: Connection,
        from: PartyId,
        preparation: Preparation,
    ) {
        let (session, party) = (preparation.session, self.name(from));
        let considered = self.consider_preparation(from, &preparation);
        let (provisions, room, registration) = match considered {
            Ok(accepted) => accepted,
            Err(failure) => {
                tracing::debug!(%session, %party, %failure, "no session opened ahead");
                let _ = connection.send(&Promise::Refused).await;
                return;
            }
        };
        let participants = provisions.parties();
        let opened = async {
            connection.send(&Promise::Accepted).await?;
            let Step::Go = connection.receive().await? else {
                return Err(Failure::lost("the opener sent a step out of order"));
            };
            self.open_early(registration, provisions).await
        };
        let early = match opened.await {
            Ok(early) => early,
            Err(failure) => return tracing::debug!(%session, %party, %failure, "not opened ahead"),
        };
        let (mut ready, mut over) = (early.state(), early.state());
        let entry = Entry { opener: from, participants, early, _room: room };
        let news = stream::once(async {
            let _ = ready.wait_for(|state| *state != EarlyState::Opening).await;
            self.shelf.keep(session, entry);
            tracing::info!(%session, %party, "session opened ahead and ready");
            Promise::Ready
        });
        let until = async {
            tokio::select! {
                () = ended(&mut over) => {}
                () = self.shelf.closes() => {}
            }
        };
        // Whatever ends it: a session that a query has taken is not here any more.
        let _ = connection.alive_while(until, news.boxed()).await;
        self.shelf_ended(&over);
        self.shelf.remove(session);
    }

    /// Sessions are opened with those whose queries run without asking, within this party's memory.
    fn consider_preparation(
        &self,
        from: PartyId,
        preparation: &Preparation,
    ) -> Outcome<(Provisions, Room, Registration)> {
        if !self.config.accept.contains(&from) {
            return Err(Failure::refused(format!("{} is not in [accept] from", self.name(from))));
        }
        let provisions = preparation.provisions(&self.member.federation)?;
        let participants = provisions.parties();
        if !participants.contains(from) || !participants.contains(self.member.me) {
            return Err(Failure::usage("the session lacks its opener, or this party"));
        }
        let room = self.shelf.room(from, provisions.bytes());
        let room = room.ok_or_else(|| Failure::lost("no room for another session"))?;
        let registration = self.rendezvous.register(preparation.session);
        let registration =
            registration.ok_or_else(|| Failure::usage("a session is announced once"))?;
        Ok((provisions, room, registration))
    }

    /// A failed check has consequences.
    fn shelf_ended(&self, state: &watch::Receiver<EarlyState>) {
        if *state.borrow() == EarlyState::Ended(true) {
            self.shelf.distrust();
        }
    }
}

/// Waits until a session is taken or dead.
async fn ended(state: &mut watch::Receiver<EarlyState>) {
    let over = |state: &EarlyState| matches!(state, EarlyState::Taken | EarlyState::Ended(_));
    let _ = state.wait_for(over).await;
}
