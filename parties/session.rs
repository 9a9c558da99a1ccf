//! One query's joint part at one party: opens the session, binds it to what was agreed, runs each
//! stage when control says so, and finishes or aborts together with the others.

mod early;
mod hired;
mod joint;
mod verdict;

pub use early::{BIND_MAX, Bound, Early, EarlySeat, EarlyState};
pub(crate) use hired::Hired;

use crate::agreement::Agreement;
use crate::failure::{Cause, Failure, Outcome};
use crate::life::{self, Inbound};
use crate::request::Stats;
use crate::transport::{ControlLink, Heard, Links};
use datafusion::arrow::record_batch::RecordBatch;
use futures_channel::mpsc;
use futures_util::{Stream, StreamExt};
use joint::{Joint, Opened};
use senate_circuit::{Bits, PartyId, Source};
use senate_control::{AbortClass, Command, LifeSpec, StageSpec};
use senate_mpc::{ByParty, Mesh};
use senate_planner::catalog::Federation;
use senate_planner::sql::STACK_BYTES;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How long control may take to tell everybody that the query is over.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// One party's place in one query.
pub struct Seat {
    /// The party.
    pub me: PartyId,
    /// Names, and the digest that sessions are bound to.
    pub federation: Arc<Federation>,
    /// Links to the other participants.
    pub links: Links,
    /// The query.
    pub play: Play,
}

/// What a query brings to its session.
pub struct Play {
    /// The plan.
    pub agreement: Arc<Agreement>,
    /// Encoded inputs by slot.
    pub own: BTreeMap<usize, Bits>,
    /// When to give up.
    pub deadline: Instant,
    /// What is being done, for people.
    pub progress: watch::Sender<String>,
}

/// How a session ended well.
pub struct Played {
    /// The answer, at a recipient.
    pub answer: Option<RecordBatch>,
    /// What this party measured.
    pub stats: Stats,
}

/// A session on its own thread. Dropping it cancels the query.
pub struct Running {
    result: oneshot::Receiver<Outcome<Played>>,
    cancel: oneshot::Sender<()>,
}

impl Running {
    /// Starts the session.
    ///
    /// # Errors
    /// Unexpected when the machine gives no thread.
    pub fn start(seat: Seat) -> Outcome<Self> {
        let (done, result) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        spawn(move || async move {
            let _ = done.send(begin(seat, cancelled).await);
        })?;
        Ok(Self { result, cancel })
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn wait(self) -> Outcome<Played> {
        self.wait_unless(std::future::pending::<()>()).await
    }

    /// Waits for the end, which comes soon once `gone` has completed: that cancels the query.
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub async fn wait_unless<T>(self, gone: impl Future<Output = T>) -> Outcome<Played> {
        let Self { mut result, cancel } = self;
        let ended = tokio::select! {
            biased;
            ended = &mut result => ended,
            _ = gone => {
                drop(cancel);
                result.await
            }
        };
        ended.unwrap_or_else(|_| Err(Failure::unexpected("the session's thread ended")))
    }
}

/// An order to a session that was opened ahead.
struct Order {
    play: Play,
    done: oneshot::Sender<Outcome<Played>>,
    cancelled: oneshot::Receiver<()>,
}

/// Runs a future that stays on one thread on a thread of its own, which drops what it sends to when
/// it ends for whatever reason.
fn spawn<F: Future<Output = ()>>(life: impl FnOnce() -> F + Send + 'static) -> Outcome<()> {
    let failed =
        |error: std::io::Error| Failure::unexpected(format!("a thread for the session: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let session = move || tokio::task::LocalSet::new().block_on(&runtime, life());
    let thread = std::thread::Builder::new().name("session".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(session).map_err(failed)?;
    Ok(())
}

/// One query in one session at one party, the links being up.
struct Playing {
    me: PartyId,
    federation: Arc<Federation>,
    play: Play,
    mesh: Mesh,
    control: ByParty<ControlLink>,
    /// The bound session, if it was opened ahead.
    opened: Option<Opened>,
}

/// A session that begins with its query.
async fn begin(seat: Seat, cancelled: oneshot::Receiver<()>) -> Outcome<Played> {
    let Seat { me, federation, links, play: query } = seat;
    let mesh = Mesh::new(me, links.protocol)
        .map_err(|error| Failure::unexpected(format!("links of the session: {error}")))?;
    let control = links.control;
    play(Playing { me, federation, play: query, mesh, control, opened: None }, cancelled).await
}

/// The query's whole life. Control runs beside it until everybody knows how the query ended.
async fn play(playing: Playing, cancelled: oneshot::Receiver<()>) -> Outcome<Played> {
    let Playing { me, federation, play, mesh, control, opened } = playing;
    let Play { agreement, own, deadline, progress } = play;
    let spec = life_spec(me, &agreement)?;
    let (tell, commands) = mpsc::unbounded();
    let (act, actions) = mpsc::unbounded();
    let signs: Vec<(PartyId, Heard)> =
        control.iter().map(|(party, link)| (party, link.heard.clone())).collect();
    let (mut outgoing, incoming) = halves(control);
    let control = life::drive(
        spec,
        commands,
        incoming,
        |to, bytes| {
            // A lane that is closed or stuck is a lost peer; its incoming half says so.
            let _ = outgoing.at_mut(to).map(|lane| lane.try_send(bytes));
        },
        |action| {
            let _ = act.unbounded_send(action);
        },
    );
    let joint = Joint::new(me, federation, agreement, own, tell.clone(), progress);
    let session = async {
        let ended = tokio::select! {
            ended = joint.run(&mesh, opened, actions) => ended,
            () = tokio::time::sleep_until(deadline.into()) => {
                let silent = signs.iter().find(|(_, heard)| heard.is_silent());
                Err(joint.timed_out(silent.map(|(party, _)| *party)))
            }
            _ = cancelled => Err(Ended {
                class: AbortClass::Cancelled,
                failure: Failure::new(Cause::Interrupted, "cancelled by its user"),
            }),
        };
        ended.map_err(|Ended { class, failure }| {
            let _ = tell.unbounded_send(Command::Failed { class });
            (verdict::protocol_class(class), failure)
        })
    };
    let control = async {
        let last = control.await;
        tracing::debug!(?last, "control ended");
    };
    tokio::pin!(control, session);
    let mut control_ended = false;
    let ended = loop {
        tokio::select! {
            ended = &mut session => break ended,
            () = &mut control, if !control_ended => control_ended = true,
        }
    };
    if let Err((class, _)) = &ended {
        mesh.abort(*class).await;
    }
    if !control_ended && tokio::time::timeout(FAREWELL_MAX, control).await.is_err() {
        tracing::warn!("control did not end with its query");
    }
    ended.map_err(|(_, failure)| failure)
}

/// Why the joint part ended without an answer: for others, and for us.
struct Ended {
    class: AbortClass,
    failure: Failure,
}

/// What control needs to know of the plan: a stage starts when its parties' part of every child is
/// done.
fn life_spec(me: PartyId, agreement: &Agreement) -> Outcome<LifeSpec> {
    let stages = &agreement.plan.stages;
    let spec = |stage: &senate_circuit::Stage| {
        let children = stage.inputs.iter().filter_map(|input| match input {
            Source::Child { stage, .. } => Some(*stage),
            Source::Owner { .. } => None,
        });
        let children: std::collections::BTreeSet<_> = children.collect();
        let done = stages.iter().filter(|child| children.contains(&child.id));
        let waits = done.flat_map(|child| child.parties.iter().map(|party| (child.id, party)));
        StageSpec {
            id: stage.id,
            waits: waits.collect(),
            parties: stage.parties,
            evaluator: stage.evaluator,
        }
    };
    LifeSpec::new(me, agreement.plan.participants, stages.iter().map(spec).collect())
        .map_err(|error| Failure::unexpected(format!("the plan's stages: {error}")))
}

type Outgoing = ByParty<mpsc::Sender<Vec<u8>>>;

/// Sending halves, and everything that arrives with its sender, the end of each lane included.
fn halves(
    links: ByParty<ControlLink>,
) -> (Outgoing, impl Stream<Item = (PartyId, Inbound)> + Unpin) {
    let mut incoming = Vec::new();
    let outgoing = links.map(|party, link| {
        let frames = link.incoming.map(Inbound::Frame);
        let closed = futures_util::stream::once(std::future::ready(Inbound::Closed));
        incoming.push(frames.chain(closed).map(move |inbound| (party, inbound)).boxed_local());
        link.outgoing
    });
    (outgoing, futures_util::stream::select_all(incoming))
}
