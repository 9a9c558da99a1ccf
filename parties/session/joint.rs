//! The joint part itself: opening and binding the session, the stages that control starts, the
//! release of the answer.

use super::{Ended, Played, verdict};
use crate::agreement::Agreement;
use crate::failure::Failure;
use crate::request::{Stats, Stopwatch, peak_rss_bytes};
use datafusion::arrow::record_batch::RecordBatch;
use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use senate_circuit::{Bits, PartyId, PartySet, StageId};
use senate_control::{AbortClass, Action, Command, Digest};
use senate_mpc::pre::stock::Stock;
use senate_mpc::release::Outputs;
use senate_mpc::session::{Params, Session};
use senate_mpc::stage::{Execution, SessionHost};
use senate_mpc::{Entropy, Error, Mesh};
use senate_planner::catalog::Federation;
use senate_planner::encode::batch_of;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After a lost link, how long to wait for somebody's word on the reason.
const REASON_MAX: Duration = Duration::from_secs(1);

/// In sessions of more parties than so many, …
const MANY: usize = 8;
/// … whose stages are far apart and whose batches are as large as memory allows, the process begins
/// to keep free memory for so long. With fewer parties it gains nothing by it.
const KEEP_FREED: Duration = Duration::from_secs(30);

pub(super) type Actions = mpsc::UnboundedReceiver<Action>;

/// A session that is open before the joint part begins.
pub(super) struct Opened {
    /// Bound to the plan by then.
    pub(super) session: Session,
    /// What has been made in it.
    pub(super) stock: Option<Stock>,
    /// Payload bytes sent in it before the query.
    pub(super) bytes_sent: u64,
}

/// One party's joint part.
pub(super) struct Joint {
    me: PartyId,
    federation: Arc<Federation>,
    agreement: Arc<Agreement>,
    own: BTreeMap<usize, Bits>,
    tell: mpsc::UnboundedSender<Command>,
    progress: watch::Sender<String>,
    measured: RefCell<Measured>,
    started: Instant,
}

#[derive(Default)]
struct Measured {
    watch: Stopwatch,
    seconds: BTreeMap<StageId, f64>,
    bytes_sent: BTreeMap<StageId, u64>,
    suppressed_groups: Option<u64>,
}

/// An unsigned number, least significant bit first.
fn number(bits: &Bits) -> u64 {
    (0..bits.len().min(64)).fold(0, |number, bit| number | (u64::from(bits.bit(bit)) << bit))
}

impl Joint {
    pub(super) fn new(
        me: PartyId,
        federation: Arc<Federation>,
        agreement: Arc<Agreement>,
        own: BTreeMap<usize, Bits>,
        tell: mpsc::UnboundedSender<Command>,
        progress: watch::Sender<String>,
    ) -> Self {
        let (measured, started) = (RefCell::default(), Instant::now());
        Self { me, federation, agreement, own, tell, progress, measured, started }
    }

    /// Runs to the end, or to the first reason for none.
    pub(super) async fn run(
        &self,
        mesh: &Mesh,
        opened: Option<Opened>,
        mut actions: Actions,
    ) -> Result<Played, Ended> {
        let ended = self.compute(mesh, opened, &mut actions).await;
        match ended {
            // A lost link has a reason, which control may know.
            Err(Ended { class: AbortClass::Lost, failure }) => {
                let reason = tokio::time::timeout(REASON_MAX, self.reason(&mut actions)).await;
                Err(reason.ok().flatten().unwrap_or(Ended { class: AbortClass::Lost, failure }))
            }
            other => other,
        }
    }

    /// The deadline has passed, perhaps because `silent` hangs.
    pub(super) fn timed_out(&self, silent: Option<PartyId>) -> Ended {
        let late = format!("timed out during {}", self.phase());
        let failure = match silent.map(|party| self.federation.party_name(party)) {
            Some(name) => {
                let why = format!("{late}: no sign of life from party {name}");
                Failure::lost_party(&name, why).with_remedy("see whether it hangs, then ask again")
            }
            None => Failure::lost(late).with_remedy("allow more with --timeout"),
        };
        Ended { class: AbortClass::Lost, failure }
    }

    async fn compute(
        &self,
        mesh: &Mesh,
        opened: Option<Opened>,
        actions: &mut Actions,
    ) -> Result<Played, Ended> {
        let bytes_ahead = opened.as_ref().map(|opened| opened.bytes_sent);
        let Opened { session, stock, .. } = match opened {
            Some(opened) => opened,
            None => self.open(mesh, actions).await?,
        };
        if session.parties().len() > MANY {
            senate_block::keep_freed(KEEP_FREED);
        }
        let digest = Digest(self.agreement.plan.digest);
        let _ = self.tell.unbounded_send(Command::Approve { digest });
        let outputs = self.stages(&session, stock, actions).await?;
        let answer = self.answer(&outputs)?;
        Ok(Played { answer, stats: self.stats(mesh, bytes_ahead) })
    }

    /// A session of its own, bound to the plan.
    async fn open(&self, mesh: &Mesh, actions: &mut Actions) -> Result<Opened, Ended> {
        self.enter("session set-up", "session set-up");
        let set_up = async {
            let depth = self.agreement.plan.links.targets.tree_depth;
            let params = Params::new(self.federation.digest).with_tree_depth(depth);
            let session = Session::open(mesh.clone(), params, fresh_entropy()?).await?;
            session.bind(&self.agreement.plan.digest).await?;
            Ok(session)
        };
        let session = self.unless_aborted(actions, set_up).await?;
        Ok(Opened { session, stock: None, bytes_sent: 0 })
    }

    /// Runs stages as control starts them; after this party's last one releases what is opened, and
    /// returns when control says that everybody has finished.
    async fn stages(
        &self,
        session: &Session,
        stock: Option<Stock>,
        actions: &mut Actions,
    ) -> Result<Outputs, Ended> {
        let stages = &self.agreement.plan.stages;
        let leaky_bytes = self.agreement.plan.links.targets.batch_bytes;
        let host = match stock {
            Some(stock) => SessionHost::stocked(session.clone(), stages, leaky_bytes, stock),
            None => SessionHost::within(session.clone(), stages, leaky_bytes),
        };
        let host = host.map_err(|error| self.blame(&error))?;
        let execution = Execution::new(&host, stages).map_err(|error| self.blame(&error))?;
        let mut left: BTreeSet<StageId> =
            self.agreement.stages_of(self.me).map(|stage| stage.id).collect();
        let total = left.len();
        let mut last = None;
        {
            let mut running = FuturesUnordered::new();
            while !left.is_empty() {
                tokio::select! {
                    action = actions.next() => match action {
                        Some(Action::Start { stage }) => {
                            let done = total - left.len();
                            self.enter("stages", &self.stage_phase(stage, done, total));
                            running.push(self.timed(stage, execution.run(stage, &self.own)));
                        }
                        other => return Err(self.over(other)),
                    },
                    Some((stage, ran)) = running.next() => {
                        ran.map_err(|error| self.blame(&error))?;
                        left.remove(&stage);
                        match left.is_empty() {
                            true => last = Some(stage),
                            false => self.done(stage),
                        }
                    }
                }
            }
        }
        self.measured.borrow_mut().bytes_sent = execution.bytes_sent();
        self.enter("release", "release");
        let outputs = self.unless_aborted(actions, execution.release()).await?;
        // The last stage counts as done only now, so nobody finishes before the release.
        last.into_iter().for_each(|stage| self.done(stage));
        match actions.next().await {
            Some(Action::Finished) => Ok(outputs),
            other => Err(self.over(other)),
        }
    }

    fn done(&self, stage: StageId) {
        let _ = self.tell.unbounded_send(Command::Done { stage });
    }

    async fn timed(
        &self,
        stage: StageId,
        run: impl Future<Output = Result<(), Error>>,
    ) -> (StageId, Result<(), Error>) {
        let start = Instant::now();
        let ran = run.await;
        self.measured.borrow_mut().seconds.insert(stage, start.elapsed().as_secs_f64());
        (stage, ran)
    }

    /// Protocol work during which control starts nothing, only perhaps aborts.
    async fn unless_aborted<T>(
        &self,
        actions: &mut Actions,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Ended> {
        tokio::select! {
            done = work => done.map_err(|error| self.blame(&error)),
            action = actions.next() => Err(self.over(action)),
        }
    }

    /// The first abort that control reports with more than "lost" to say.
    async fn reason(&self, actions: &mut Actions) -> Option<Ended> {
        while let Some(action) = actions.next().await {
            match action {
                Action::Aborted { class: AbortClass::Lost, .. } => return None,
                Action::Aborted { .. } => return Some(self.over(Some(action))),
                _ => {}
            }
        }
        None
    }

    /// An action that ends the query early.
    fn over(&self, action: Option<Action>) -> Ended {
        match action {
            Some(Action::Aborted { class, by }) => {
                verdict::of_control(&self.federation, &self.phase(), class, by)
            }
            _ => Ended {
                class: AbortClass::Internal,
                failure: Failure::unexpected(format!("{}: control went wrong", self.phase())),
            },
        }
    }

    fn blame(&self, error: &Error) -> Ended {
        verdict::of_protocol(&self.federation, &self.phase(), error)
    }

    /// The rows, if this party is a recipient.
    fn answer(&self, outputs: &Outputs) -> Result<Option<RecordBatch>, Ended> {
        let plan = &self.agreement.plan;
        let Some(root) = plan.root().filter(|_| plan.recipients.contains(self.me)) else {
            return Ok(None);
        };
        let opened = |reveal: usize| {
            let bundle = root.reveals.get(reveal).map(|reveal| reveal.bundle);
            bundle.and_then(|bundle| outputs.get(&(root.id, bundle))).ok_or_else(|| {
                let failure = Failure::unexpected("the answer was not opened (a bug)");
                Ended { class: AbortClass::Internal, failure }
            })
        };
        if plan.reveals_overflow && opened(1)?.bit(0) {
            let failure = Failure::usage("numeric overflow: a result does not fit its type")
                .with_remedy("cast to a wider type in the query");
            return Err(Ended { class: AbortClass::Internal, failure });
        }
        if let Some(reveal) = plan.reveals_suppressed {
            self.measured.borrow_mut().suppressed_groups = Some(number(opened(reveal)?));
        }
        batch_of(&plan.result, opened(0)?).map(Some).map_err(|error| {
            let failure = Failure::aborted(format!("decoding the answer: {error}"));
            Ended { class: AbortClass::CheckFailed, failure }
        })
    }

    /// `phase` begins; people see `what`.
    fn enter(&self, phase: &str, what: &str) {
        self.measured.borrow_mut().watch.enter(phase);
        tracing::debug!(party = %self.federation.party_name(self.me), phase = what, "phase");
        let _ = self.progress.send(what.to_owned());
    }

    fn phase(&self) -> String {
        self.progress.borrow().clone()
    }

    fn names(&self, parties: PartySet) -> Vec<String> {
        parties.iter().map(|party| self.federation.party_name(party)).collect()
    }

    fn stage_phase(&self, id: StageId, done: usize, total: usize) -> String {
        let stage = self.agreement.plan.stages.iter().find(|stage| stage.id == id);
        let parties = stage.map_or(PartySet::EMPTY, |stage| stage.parties);
        format!("stage {} among {} ({done} of {total} done)", id.0, self.names(parties).join(", "))
    }

    fn stats(&self, mesh: &Mesh, bytes_ahead: Option<u64>) -> Stats {
        let me = self.federation.party_name(self.me);
        let all: u64 = mesh.bytes_sent().values().iter().sum();
        let sent = all.saturating_sub(bytes_ahead.unwrap_or(0));
        let measured = self.measured.borrow();
        let mut planned = self.agreement.stats(&self.federation);
        for stage in &mut planned.stages {
            let id = StageId(stage.id);
            stage.bytes_sent = measured.bytes_sent.get(&id).copied().unwrap_or(0);
            stage.seconds = measured.seconds.get(&id).copied().unwrap_or(0.0);
        }
        Stats {
            suppressed_groups: measured.suppressed_groups,
            seconds: self.started.elapsed().as_secs_f64(),
            bytes_sent: BTreeMap::from([(me.clone(), sent)]),
            opened_ahead: bytes_ahead.is_some(),
            bytes_sent_ahead: bytes_ahead.map(|bytes| (me, bytes)).into_iter().collect(),
            peak_rss_bytes: peak_rss_bytes(),
            phases: measured.watch.clone().stop(),
            ..planned
        }
    }
}

/// A seed from the operating system, for this session only.
pub(super) fn fresh_entropy() -> Result<Entropy, Error> {
    use rand::TryRngCore;
    let mut seed = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut seed)
        .map_err(|_| Error::Misuse("the operating system gives no randomness"))?;
    Ok(Entropy::from_os_seed(seed))
}
