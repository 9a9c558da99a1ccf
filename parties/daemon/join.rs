//! Another party proposes a query: policy, own plan, own inputs, then the session.

use super::Daemon;
use super::admission::{Cost, Room};
use super::jobs::{Asked, Job, Keep, User};
use super::lanes::Registration;
use super::work::Unfinished;
use crate::agreement::Agreement;
use crate::catalog::Discord;
use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use crate::inputs::{self, Inputs};
use crate::messages::{Announcement, PublicReason, Report, SessionId, Step, Vacancy, Verdict};
use crate::query::{Answered, agree, alone};
use crate::session::{Bound, Play, Running, Seat};
use crate::transport::Connection;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::{StreamExt, stream};
use senate_circuit::PartyId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Steps that an honest party takes between a proposal and its beginning.
const STEPS_MAX: usize = 3;

impl Daemon {
    /// Takes part in a query that `from` proposes, or refuses; whatever happens, the daemon goes on.
    pub(super) async fn join(
        &self,
        mut connection: Connection,
        from: PartyId,
        query: Announcement,
    ) {
        let _working = self.shelf.work.begin();
        let (session, party, sql) = (query.session, self.name(from), query.request.sql.clone());
        tracing::info!(%session, %party, %sql, "query proposed");
        let (user, keep) = (User::Party(party.clone()), Keep::ForNobody);
        match self.jobs.open(Asked { session, user, party, sql, keep }) {
            Ok(job) => {
                let unfinished = Unfinished { daemon: self, job: &job };
                let outcome = self.take_part(&mut connection, from, &query, &job).await;
                self.close(&job, outcome);
                drop(unfinished);
            }
            Err(failure) => {
                tracing::warn!(%session, %failure, "query refused");
                let _ = connection.send(&Verdict::Refused(PublicReason::Busy)).await;
            }
        }
    }

    async fn take_part(
        &self,
        connection: &mut Connection,
        from: PartyId,
        query: &Announcement,
        job: &Job,
    ) -> Outcome<Answered> {
        if let Err(discord) = self.bulletin.compare(from, &query.standing) {
            let failure = discord.failure(&self.name(from));
            return refuse(connection, PublicReason::Catalog(discord), failure).await;
        }
        let considering = job.unless_cancelled(self.consider(from, query));
        let considered = connection.alive_while(considering, stream::pending::<()>()).await;
        let (agreement, inputs, registration) = match considered.and_then(|accepted| accepted) {
            Ok(accepted) => accepted,
            Err(failure) => return refuse(connection, PublicReason::from(&failure), failure).await,
        };
        if let Err(failure) =
            self.bulletin.trust(agreement.plan.participants, &|party| self.name(party))
        {
            return refuse(connection, PublicReason::Catalog(Discord::Faulty), failure).await;
        }
        self.bulletin.approve(&self.identity, agreement.plan.digest);
        let cost = Cost::of(&agreement.plan, self.me);
        if let Err(failure) = self.admission.could_fit(cost) {
            return refuse(connection, PublicReason::Limits, failure).await;
        }
        let patience = Duration::from_secs(agreement.request.timeout_s);
        let _room = self.room(connection, cost, patience, job).await?;
        let settled = job.unless_cancelled(self.be_settled(connection, &agreement)).await;
        let bound = settled.map_err(|failure| failure.at("the asking side went away"))?;
        let (started, progress) = (job.started(), job.progress());
        let sitting = self.sit(&agreement, inputs, registration, bound, started, progress);
        let outcome = connection
            .alive_while(job.unless_cancelled(sitting), stream::pending::<()>())
            .await
            .and_then(|outcome| outcome);
        let report = match &outcome {
            Ok(answered) => {
                self.keep(job.session(), answered.rows.as_ref());
                Report::Done(Box::new(answered.stats.clone()))
            }
            Err(failure) => Report::Failed(failure.cause, failure.lost.clone()),
        };
        let _ = connection.send(&report).await;
        outcome
    }

    /// Accepts, and takes room as the asking party says (see [`super::admission`]) until it says to
    /// go.
    async fn room(
        &self,
        connection: &mut Connection,
        cost: Cost,
        patience: Duration,
        job: &Job,
    ) -> Outcome<Room> {
        let mut room = self.admission.try_enter(cost);
        let vacancy = if room.is_some() { Vacancy::Taken } else { Vacancy::None };
        let gone = |failure: Failure| failure.at("the asking side went away");
        let accepted = Verdict::Accepted(vacancy, self.bulletin.standing());
        connection.send(&accepted).await.map_err(gone)?;
        job.enter("waiting for the other parties");
        let strange = |what: &str| {
            Failure::aborted(format!("before the query began: party {}: {what}", job.user()))
        };
        for _ in 0..STEPS_MAX {
            let step = job.unless_cancelled(connection.receive_within::<Step>(patience));
            match step.await.map_err(gone)? {
                Step::Leave => room = None,
                Step::Enter => {
                    drop(room.take());
                    room = Some(self.wait_for_room(connection, cost, job).await?);
                    connection.send(&Vacancy::Taken).await.map_err(gone)?;
                }
                Step::Go => return room.ok_or_else(|| strange("told to go without room")),
            }
        }
        Err(strange("more steps than there are"))
    }

    async fn wait_for_room(
        &self,
        connection: &mut Connection,
        cost: Cost,
        job: &Job,
    ) -> Outcome<Room> {
        let (position, positions) = watch::channel(0);
        let entering = self.admission.enter(cost, |at| {
            job.enter(format!("waiting for room behind {at} others"));
            position.send_replace(at);
        });
        let news = stream::unfold(positions, |mut positions| async {
            positions.changed().await.ok()?;
            let at = u32::try_from(*positions.borrow_and_update()).unwrap_or(u32::MAX);
            Some((Vacancy::Behind(at), positions))
        });
        let entered = connection.alive_while(job.unless_cancelled(entering), news.boxed()).await?;
        if entered.is_err() {
            let _ = connection.send(&Vacancy::Never(PublicReason::Busy)).await;
        }
        entered
    }

    /// Everything that is decided before the parties' data meet.
    async fn consider(
        &self,
        from: PartyId,
        query: &Announcement,
    ) -> Outcome<(Arc<Agreement>, Inputs, Registration)> {
        if !self.config.accept.contains(&from) {
            return Err(Failure::refused(format!("{} is not in [accept] from", self.name(from)))
                .with_remedy("add it to party.toml to let its queries run"));
        }
        let agreement = agree(&self.workspace, query.request.clone()).await?;
        if agreement.plan.digest != query.digest {
            return Err(Failure::usage("this party plans the query differently")
                .with_remedy("compare federation.toml and versions"));
        }
        if agreement.plan.asker != from || !agreement.plan.participants.contains(self.me) {
            return Err(Failure::usage("the query names another asker, or not this party"));
        }
        let inputs = inputs::compute(&self.workspace, &self.config, self.me, &agreement).await?;
        let registration = self.rendezvous.register(query.session);
        let registration =
            registration.ok_or_else(|| Failure::usage("a session is announced once"))?;
        Ok((agreement, inputs, registration))
    }

    /// This party's part of an agreed query.
    pub(super) async fn sit(
        &self,
        agreement: &Arc<Agreement>,
        inputs: Inputs,
        registration: Registration,
        bound: Option<Bound>,
        started: Instant,
        progress: watch::Sender<String>,
    ) -> Outcome<Answered> {
        if agreement.plan.stages.is_empty() {
            return alone(agreement, &inputs, started);
        }
        let deadline = started + Duration::from_secs(agreement.request.timeout_s);
        let (agreement, own, opening) = (Arc::clone(agreement), inputs.bits, Instant::now());
        let running = match bound {
            Some(bound) => bound.play(Play { agreement, own, deadline, progress }),
            None => {
                self.sit_fresh(registration, Play { agreement, own, deadline, progress }).await?
            }
        };
        let opening = opening.elapsed().as_secs_f64();
        let played = running.wait().await?;
        let mut stats = played.stats;
        stats.phases.insert("opening links".to_owned(), opening);
        stats.rows = played.answer.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(Answered { rows: played.answer, stats })
    }

    /// A session of the query's own: its links are opened now.
    async fn sit_fresh(&self, mut registration: Registration, play: Play) -> Outcome<Running> {
        let Play { agreement, own, deadline, progress } = play;
        let _ = progress.send("opening links".to_owned());
        let links = self.open_lanes(&mut registration, agreement.plan.participants).await?;
        let (me, federation) = (self.me, Arc::clone(&self.federation));
        Running::start(Seat { me, federation, agreement, own, links, deadline, progress })
    }

    /// A recipient that did not ask finds the answer in its folder.
    fn keep(&self, session: SessionId, rows: Option<&RecordBatch>) {
        let Some(rows) = rows else { return };
        let folder = self.config.folder.join("answers");
        let path = folder.join(format!("{session}.csv"));
        let written = std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::unexpected(error.to_string()))
            .and_then(|()| format::write_file(rows, Format::Csv, &path));
        match written {
            Ok(()) => tracing::info!(%session, path = %path.display(), "answer kept"),
            Err(failure) => tracing::warn!(%session, %failure, "answer not kept"),
        }
    }
}

/// Tells the asking party no more than a public class.
async fn refuse<T>(
    connection: &mut Connection,
    reason: PublicReason,
    failure: Failure,
) -> Outcome<T> {
    let _ = connection.send(&Verdict::Refused(reason)).await;
    Err(failure.at("query refused"))
}
