//! A session that is opened ahead of its query, at one party and on its own thread: set-up, then
//! the stock, then waiting for the query that takes it (mpc/PROTOCOL.md §1).

use super::joint::{Opened, fresh_entropy};
use super::verdict::protocol_class;
use super::{Ended, Order, Play, Playing, Running, play, spawn, verdict};
use crate::ahead::Calm;
use crate::failure::{Failure, Outcome};
use crate::transport::{ControlLink, Links};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use senate_circuit::PartyId;
use senate_control::AbortClass;
use senate_mpc::pre::stock::{Provisions, Stock};
use senate_mpc::session::{Params, Session};
use senate_mpc::{ByParty, Mesh};
use senate_planner::catalog::Federation;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long parties may take to bind a session that all of them have.
pub const BIND_MAX: Duration = Duration::from_secs(8);
/// How long set-up and stock may take, pauses for queries included.
const MAKE_MAX: Duration = Duration::from_secs(900);

/// One party's place in a session without a query.
pub struct EarlySeat {
    /// The party.
    pub me: PartyId,
    /// Names, and the digest that sessions are opened with.
    pub federation: Arc<Federation>,
    /// What the parties agreed to make.
    pub provisions: Provisions,
    /// Links to the other parties.
    pub links: Links,
    /// When there is time for it.
    pub calm: Calm,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EarlyState {
    /// The session is being opened, or its stock made.
    Opening,
    /// A query may take it.
    Ready,
    /// A query has taken it.
    Taken,
    /// It is dead; `true` when a check failed.
    Ended(bool),
}

/// A session without a query. Dropping it ends it at all parties.
pub struct Early {
    pub(super) state: watch::Receiver<EarlyState>,
    pub(super) take: oneshot::Sender<Take>,
}

/// What a query says first.
pub(super) struct Take {
    pub(super) digest: [u8; 32],
    pub(super) bound: oneshot::Sender<()>,
    pub(super) play: oneshot::Receiver<Order>,
}

/// A session that was opened ahead and is bound to its query. Dropping it ends it.
pub struct Bound {
    play: oneshot::Sender<Order>,
}

impl Early {
    /// Begins to open the session.
    ///
    /// # Errors
    /// Unexpected when the machine gives no thread.
    pub fn open(seat: EarlySeat) -> Outcome<Self> {
        let (say, state) = watch::channel(EarlyState::Opening);
        let (take, taken) = oneshot::channel();
        spawn(move || async move {
            let failed_check = live(seat, taken, &say).await == AbortClass::CheckFailed;
            say.send_replace(EarlyState::Ended(failed_check));
        })?;
        Ok(Self { state, take })
    }

    /// How far it is, now and later.
    pub fn state(&self) -> watch::Receiver<EarlyState> {
        self.state.clone()
    }

    /// Whether a query may take it.
    pub fn is_ready(&self) -> bool {
        *self.state.borrow() == EarlyState::Ready
    }

    /// Whether it is dead.
    pub fn is_over(&self) -> bool {
        matches!(*self.state.borrow(), EarlyState::Ended(_)) || self.state.has_changed().is_err()
    }

    /// Binds the session to a query together with all other parties; `None` when that fails, which
    /// ends the session and says nothing about the query.
    pub async fn bind(self, digest: [u8; 32]) -> Option<Bound> {
        let ((bound, is_bound), (play, order)) = (oneshot::channel(), oneshot::channel());
        if !self.is_ready() || self.take.send(Take { digest, bound, play: order }).is_err() {
            return None;
        }
        is_bound.await.ok().map(|()| Bound { play })
    }
}

impl Bound {
    /// Runs the query.
    pub fn play(self, play: Play) -> Running {
        let (done, result) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        // When the session has died meanwhile, `result` ends at once.
        let _ = self.play.send(Order { play, done, cancelled });
        Running { result, cancel }
    }
}

/// The whole life at one party. How it ended matters to nobody but this party.
async fn live(
    seat: EarlySeat,
    mut taken: oneshot::Receiver<Take>,
    state: &watch::Sender<EarlyState>,
) -> AbortClass {
    let EarlySeat { me, federation, provisions, links, calm } = seat;
    let Ok(mesh) = Mesh::new(me, links.protocol) else { return AbortClass::Internal };
    let mut control = links.control;
    let opening = tokio::select! {
        opened = timeout(MAKE_MAX, open(&mesh, &federation, provisions, &calm)) => match opened {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(verdict::of_protocol(&federation, "opening ahead", &error)),
            Err(_) => Err(ended(AbortClass::Lost, "it took too long")),
        },
        // Only a session that is ready is taken: this is the end of who would.
        _ = &mut taken => Err(ended(AbortClass::Cancelled, "it is not wanted any more")),
    };
    let mut opened = match opening {
        Ok(opened) => opened,
        Err(Ended { class, failure }) => {
            tracing::debug!(party = %federation.party_name(me), %failure, "not opened ahead");
            mesh.abort(protocol_class(class)).await;
            return class;
        }
    };
    state.send_replace(EarlyState::Ready);
    let take = tokio::select! {
        take = &mut taken => take.ok(),
        () = any_closed(&mut control) => None,
    };
    let Some(Take { digest, bound, play: order }) = take else {
        mesh.abort(senate_mpc::AbortClass::Lost).await;
        return AbortClass::Lost;
    };
    state.send_replace(EarlyState::Taken);
    if !matches!(timeout(BIND_MAX, opened.session.bind(&digest)).await, Ok(Ok(()))) {
        mesh.abort(senate_mpc::AbortClass::Lost).await;
        return AbortClass::Lost;
    }
    let _ = bound.send(());
    let Ok(Order { play: query, done, cancelled }) = order.await else {
        mesh.abort(senate_mpc::AbortClass::Lost).await;
        return AbortClass::Lost;
    };
    opened.bytes_sent = mesh.bytes_sent().values().iter().sum();
    let playing = Playing { me, federation, play: query, mesh, control, opened: Some(opened) };
    let _ = done.send(play(playing, cancelled).await);
    AbortClass::Cancelled
}

async fn open(
    mesh: &Mesh,
    federation: &Federation,
    provisions: Provisions,
    calm: &Calm,
) -> Result<Opened, senate_mpc::Error> {
    calm.comes().await;
    let params = Params::new(federation.digest).with_tree_depth(federation.targets.tree_depth);
    let params = params.opened_ahead(&provisions);
    let session = Session::open(mesh.clone(), params, fresh_entropy()?).await?;
    let stock = Stock::make(&session, provisions, async || calm.comes().await).await?;
    Ok(Opened { session, stock: Some(stock), bytes_sent: 0 })
}

/// Waits until the lane of some peer has ended. What peers say that are ahead stays where it is.
async fn any_closed(control: &mut ByParty<ControlLink>) {
    let ends = control.iter_mut().map(|(_, link)| async move {
        if Pin::new(&mut link.incoming).peek().await.is_some() {
            std::future::pending::<()>().await;
        }
    });
    let mut ends: FuturesUnordered<_> = ends.collect();
    ends.next().await;
}

fn ended(class: AbortClass, why: &str) -> Ended {
    Ended { class, failure: Failure::lost(why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ahead::Work;
    use crate::transport::in_memory;
    use futures_util::future::join_all;
    use senate_circuit::PartySet;
    use senate_mpc::pre::stock::Provision;

    const FEDERATION: &str = "name = \"f\"\n[[party]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n\
        [[party]]\nname = \"b\"\naddress = \"127.0.0.1:2\"\n\
        [[party]]\nname = \"c\"\naddress = \"127.0.0.1:3\"\n";

    fn open(work: &Work) -> Vec<Early> {
        let parties = PartySet::first(3);
        let federation = Arc::new(Federation::parse(FEDERATION.as_bytes()).unwrap());
        let entries = vec![Provision { set: parties, masks: 4, triples: 2 }];
        let provisions = Provisions::new(parties, entries).unwrap();
        let seat = |(me, links)| EarlySeat {
            me,
            federation: Arc::clone(&federation),
            provisions: provisions.clone(),
            links,
            calm: work.calm(),
        };
        let links = in_memory(parties).unwrap();
        links.into_iter().map(|links| Early::open(seat(links)).unwrap()).collect()
    }

    async fn reach(all: &[Early], wanted: EarlyState) {
        for early in all {
            let mut state = early.state();
            timeout(Duration::from_secs(60), state.wait_for(|state| *state == wanted))
                .await
                .unwrap()
                .unwrap();
        }
    }

    async fn bound(all: Vec<Early>, digests: [[u8; 32]; 3]) -> usize {
        let binding = all.into_iter().zip(digests).map(|(early, digest)| early.bind(digest));
        join_all(binding).await.into_iter().flatten().count()
    }

    #[tokio::test]
    async fn parties_that_mean_the_same_query_bind_a_session_and_others_do_not() {
        let work = Work::default();
        for (digests, expected) in [([[1; 32]; 3], 3), ([[1; 32], [1; 32], [2; 32]], 0)] {
            let all = open(&work);
            reach(&all, EarlyState::Ready).await;
            assert_eq!(bound(all, digests).await, expected);
        }
    }

    #[tokio::test]
    async fn a_party_that_drops_its_place_ends_the_session_for_all() {
        let mut all = open(&Work::default());
        reach(&all, EarlyState::Ready).await;
        drop(all.pop());
        reach(&all, EarlyState::Ended(false)).await;
        assert!(all.iter().all(|early| early.is_over() && !early.is_ready()));
        assert_eq!(bound(all, [[1; 32]; 3]).await, 0);
    }

    #[tokio::test]
    async fn nothing_is_made_while_a_query_runs() {
        let work = Work::default();
        let running = work.begin();
        let all = open(&work);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(all.iter().all(|early| *early.state().borrow() == EarlyState::Opening));
        assert_eq!(bound(open(&work), [[1; 32]; 3]).await, 0, "only what is ready is taken");
        drop(running);
        reach(&all, EarlyState::Ready).await;
    }
}
