//! Running the stages of a plan at one party: wires carried from stage to stage, each stage once,
//! the release at the end.

use super::{Child, FinishedStage, StageContext, child_sources, run_stage};
use crate::error::Error;
use crate::join::try_join_all;
use crate::mesh::Mesh;
use crate::pre::Preprocessing;
use crate::release::{AllFinished, Outputs};
use futures_channel::oneshot;
use senate_circuit::{Bits, Source, Stage, StageId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A bound session, as far as stages need it.
pub trait Host {
    /// Where stages get their preprocessing.
    type Preprocessing: Preprocessing;

    /// The session's links.
    fn mesh(&self) -> &Mesh;

    /// This party's place in `stage`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the session cannot run it.
    fn context(&self, stage: &Stage) -> Result<StageContext, Error>;

    /// The preprocessing of `stage`, handed out once.
    ///
    /// # Errors
    /// [`Error::Misuse`] when there is none.
    fn preprocessing(&self, stage: &Stage) -> Result<Self::Preprocessing, Error>;
}

/// The stages of one plan at one party. Stages may run concurrently on the party's thread.
#[derive(Debug)]
pub struct Execution<'a, H> {
    host: &'a H,
    stages: &'a [Stage],
    started: RefCell<BTreeSet<StageId>>,
    finished: RefCell<BTreeMap<StageId, FinishedStage>>,
}

impl<'a, H: Host> Execution<'a, H> {
    /// Nothing has run yet.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the stages do not form a plan: an unknown or later child, a child
    /// outside its parent's party set, or an output bundle used twice.
    pub fn new(host: &'a H, stages: &'a [Stage]) -> Result<Self, Error> {
        check_plan(stages)?;
        let (started, finished) = (RefCell::default(), RefCell::default());
        Ok(Self { host, stages, started, finished })
    }

    /// Runs one stage in which this party takes part, once; `own` holds its clear inputs by slot.
    /// Its earlier stages must have finished.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a stage that is unknown, not this party's, not ready or already
    /// started; otherwise as [`run_stage`], and the session has failed.
    pub async fn run(&self, id: StageId, own: &BTreeMap<usize, Bits>) -> Result<(), Error> {
        let stage = self.stages.iter().find(|stage| stage.id == id);
        let stage = stage.ok_or(Error::Misuse("the plan has no such stage"))?;
        if !self.started.borrow_mut().insert(id) {
            return Err(Error::Misuse("a stage runs only once"));
        }
        let children = self.children(stage)?;
        let context = self.host.context(stage)?;
        let mut pre = self.host.preprocessing(stage)?;
        let running = run_stage(&context, stage, &mut pre, own, children);
        let finished = self.host.mesh().or_fail(running).await?;
        self.finished.borrow_mut().insert(id, finished);
        Ok(())
    }

    /// Payload bytes this party has sent for each finished stage, preprocessing not included.
    pub fn bytes_sent(&self) -> BTreeMap<StageId, u64> {
        self.finished.borrow().iter().map(|(id, run)| (*id, run.bytes_sent())).collect()
    }

    /// Releases range checks and outputs; every stage of this party must have finished.
    ///
    /// # Errors
    /// As [`AllFinished::new`] and [`AllFinished::release`].
    pub async fn release(self) -> Result<Outputs, Error> {
        let mesh = self.host.mesh();
        let all = AllFinished::new(mesh.me(), self.stages, self.finished.into_inner())?;
        mesh.or_fail(all.release(mesh)).await
    }

    /// Takes what enters `stage` out of the earlier stages.
    fn children(&self, stage: &Stage) -> Result<BTreeMap<usize, Child>, Error> {
        let me = self.host.mesh().me();
        let mut finished = self.finished.borrow_mut();
        let child = |(at, id, bundle): (usize, StageId, usize)| {
            let child = self.stages.iter().find(|stage| stage.id == id);
            let child = child.ok_or(Error::Misuse("an earlier stage is missing"))?;
            let wires = match child.parties.contains(me) {
                true => {
                    let run = finished.get_mut(&id);
                    let run = run.ok_or(Error::Misuse("an earlier stage has not finished"))?;
                    Some(run.carry(bundle).ok_or(Error::Misuse("a bundle does not exist"))?)
                }
                false => None,
            };
            let Stage { parties, backend, evaluator, .. } = *child;
            Ok((at, Child { parties, backend, evaluator, wires }))
        };
        child_sources(stage).map(child).collect()
    }
}

/// Runs all stages of this party, each as soon as its earlier stages are done, and releases the
/// outputs. `own` holds this party's clear inputs by slot.
///
/// # Errors
/// As [`Execution::new`], [`Execution::run`] and [`Execution::release`].
pub async fn execute<H: Host>(
    host: &H,
    stages: &[Stage],
    own: &BTreeMap<usize, Bits>,
) -> Result<Outputs, Error> {
    let execution = Execution::new(host, stages)?;
    let me = host.mesh().me();
    let mine: Vec<_> = stages.iter().filter(|stage| stage.parties.contains(me)).collect();
    let ids: BTreeSet<_> = mine.iter().map(|stage| stage.id).collect();
    let mut waiting: BTreeMap<StageId, Vec<oneshot::Receiver<()>>> = BTreeMap::new();
    let mut waking: BTreeMap<StageId, Vec<oneshot::Sender<()>>> = BTreeMap::new();
    for stage in &mine {
        for (_, child, _) in child_sources(stage).filter(|(_, child, _)| ids.contains(child)) {
            let (done, ready) = oneshot::channel();
            waiting.entry(stage.id).or_default().push(ready);
            waking.entry(child).or_default().push(done);
        }
    }
    let runs = mine.iter().map(|stage| {
        let ready = waiting.remove(&stage.id).unwrap_or_default();
        let done = waking.remove(&stage.id).unwrap_or_default();
        let execution = &execution;
        async move {
            let lost = |_| Error::Misuse("an earlier stage ended without finishing");
            try_join_all(ready).await.map_err(lost)?;
            execution.run(stage.id, own).await?;
            for done in done {
                // Nobody waits any more only when the whole execution is being dropped.
                let _ = done.send(());
            }
            Ok::<_, Error>(())
        }
    });
    try_join_all(runs).await?;
    execution.release().await
}

/// Children come first and inside their parents; every output bundle has at most one use, and
/// every clear input enters once, so that its owner cannot enter two values for it.
fn check_plan(stages: &[Stage]) -> Result<(), Error> {
    let mut used = BTreeSet::new();
    let mut entered = BTreeSet::new();
    let mut earlier: BTreeMap<StageId, &Stage> = BTreeMap::new();
    let mut claim = |stage: &Stage, bundle: usize| {
        let exists = bundle < stage.program.outputs.len();
        match exists && used.insert((stage.id, bundle)) {
            true => Ok(()),
            false => Err(Error::Misuse("an output bundle has more than one use, or none exists")),
        }
    };
    for stage in stages {
        for source in &stage.inputs {
            match source {
                Source::Child { stage: id, bundle } => {
                    let child = earlier.get(id).copied();
                    let child = child.filter(|child| child.parties.is_subset(stage.parties));
                    claim(
                        child.ok_or(Error::Misuse("a stage's child is not before it"))?,
                        *bundle,
                    )?;
                }
                Source::Owner { slot, .. } => {
                    if !entered.insert(*slot) {
                        return Err(Error::Misuse("a clear input enters twice"));
                    }
                }
            }
        }
        for ver in &stage.ver {
            claim(stage, ver.bundle)?;
            let bundle = stage.program.outputs.get(ver.bundle);
            if bundle.map(|bundle| stage.program.wires_of(bundle)) != Some(1) {
                return Err(Error::Misuse("a range check is one bit"));
            }
        }
        for reveal in &stage.reveals {
            claim(stage, reveal.bundle)?;
            if !reveal.recipients.is_subset(stage.parties) {
                return Err(Error::Misuse("a recipient is not in the stage"));
            }
        }
        if earlier.insert(stage.id, stage).is_some() {
            return Err(Error::Misuse("two stages have one number"));
        }
    }
    Ok(())
}
