//! Another party proposes a query: policy, own plan, own inputs, then the session.

use super::Daemon;
use super::admission::{Cost, Room};
use super::consent::{Permission, Refused};
use super::diary::Page;
use super::jobs::{Asked, Job, Keep, User};
use super::work::Unfinished;
use crate::agreement::Agreement;
use crate::approvals::{Matter, Scope};
use crate::audit::Head;
use crate::catalog::Discord;
use crate::failure::{Cause, Failure, Outcome};
use crate::format::{self, Format};
use crate::inputs::{self, Inputs};
use crate::lanes::Registration;
use crate::messages::{
    Announcement, Ended, PublicReason, Report, SessionId, Step, Vacancy, Verdict,
};
use crate::query::{Answered, alone};
use crate::session::{Bound, Hired, Play, Running, Seat};
use crate::transport::Connection;
use datafusion::arrow::record_batch::RecordBatch;
use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::{StreamExt, stream};
use senate_circuit::PartyId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Steps that an honest party takes between a proposal and its beginning.
const STEPS_MAX: usize = 3;

/// A query in which this party takes part.
struct Accepted<'a> {
    agreement: Arc<Agreement>,
    inputs: Inputs,
    registration: Registration,
    page: Page<'a>,
}

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
        if let Err(failure) = query.request.check() {
            tracing::warn!(%session, %party, %failure, "query refused");
            let _ = connection.send(&Verdict::Refused(PublicReason::Limits)).await;
            return;
        }
        tracing::info!(%session, %party, %sql, "query proposed");
        // Who learns the answer without having asked comes for it later.
        let is_recipient = query.request.recipients.contains(&self.name(self.member.me));
        let keep = if is_recipient { Keep::ForLater } else { Keep::ForNobody };
        let user = User::Party(party.clone());
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
        let (news, waits) = mpsc::unbounded();
        let considering = async { Ok(self.consider(from, query, job, news).await) };
        let considered = connection.alive_while(job.unless_cancelled(considering), waits).await;
        let accepted = match considered.and_then(|considered| considered)? {
            Ok(accepted) => accepted,
            Err(Refused { failure, public, is_logged }) => {
                let logged = match is_logged {
                    true => Ok(()),
                    false => self.log_refusal(job, &query.request, &failure),
                };
                let _ = connection.send(&Verdict::Refused(public)).await;
                return Err(logged.err().unwrap_or_else(|| failure.at("query refused")));
            }
        };
        let Accepted { agreement, inputs, registration, page } = accepted;
        let sitting = self.take_seat(connection, &agreement, inputs, registration, page.head, job);
        let outcome = sitting.await;
        // Without its ending in the log there is no answer.
        let logged = page.end(outcome.as_ref().map(|_| "answered"));
        let outcome = logged.and(outcome);
        let report = match &outcome {
            Ok(answered) => {
                self.keep(job.session(), answered.rows.as_ref());
                // How many rows there are, and groups that are not, is for recipients only.
                Report::Done(answered.stats.figures(&self.name(self.member.me)))
            }
            Err(failure) => Report::Failed(failure.cause, failure.lost.clone()),
        };
        let _ = connection.send(&report).await;
        outcome
    }

    /// Accepts, waits until all have, and runs this party's part.
    async fn take_seat(
        &self,
        connection: &mut Connection,
        agreement: &Arc<Agreement>,
        inputs: Inputs,
        registration: Registration,
        head: Head,
        job: &Job,
    ) -> Outcome<Answered> {
        let cost = Cost::of(&agreement.plan, self.member.me);
        let patience = Duration::from_secs(agreement.request.timeout_s);
        let _room = self.room(connection, cost, (patience, head), job).await?;
        let settled = job.unless_cancelled(self.be_settled(connection, agreement)).await;
        let bound = settled
            .map_err(|failure| failure.at("the asking side ended the query or went away"))?;
        let (started, progress) = (job.started(), job.progress());
        let sitting = self.sit(agreement, inputs, registration, bound, started, progress);
        connection
            .alive_while(job.unless_cancelled(sitting), stream::pending::<()>())
            .await
            .and_then(|outcome| outcome)
    }

    /// Accepts, and takes room as the asking party says (see [`super::admission`]) until it says to
    /// go.
    async fn room(
        &self,
        connection: &mut Connection,
        cost: Cost,
        (patience, head): (Duration, Head),
        job: &Job,
    ) -> Outcome<Room> {
        let mut room = self.admission.try_enter(cost);
        let vacancy = if room.is_some() { Vacancy::Taken } else { Vacancy::None };
        let gone = |failure: Failure| failure.at("the asking side ended the query or went away");
        let accepted = Verdict::Accepted(vacancy, self.bulletin.standing(), head);
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
                Step::Ended(end) => return Err(self.ended_before(end, job)),
                Step::Go => return room.ok_or_else(|| strange("told to go without room")),
            }
        }
        Err(strange("more steps than there are"))
    }

    /// The asking party says why the query does not begin.
    fn ended_before(&self, end: Ended, job: &Job) -> Failure {
        // A name that is none of the federation's is not repeated.
        let of = |name: &String| self.member.federation.parties.iter().any(|p| p.name == *name);
        let party = end.party.filter(of);
        let who = party.as_ref().map_or("a party".to_owned(), |name| format!("party {name}"));
        let why = match end.cause {
            Cause::Refused => format!("{who} refused it"),
            Cause::Input => format!("the rows of {who} break their declaration"),
            Cause::Lost => format!("{who} did not answer"),
            Cause::Interrupted => "it was cancelled".to_owned(),
            _ => format!("{who} failed"),
        };
        let failure = Failure::new(end.cause, format!("{} says: {why}", job.user()));
        Failure { lost: party.filter(|_| end.cause == Cause::Lost), ..failure }
            .at("the query did not begin")
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
        job: &Job,
        news: UnboundedSender<Verdict>,
    ) -> Result<Accepted<'_>, Refused> {
        self.bulletin.compare(from, &query.standing).map_err(|discord| {
            let failure = discord.failure(&self.name(from));
            Refused { failure, public: PublicReason::Catalog(discord), is_logged: false }
        })?;
        let (agreement, permission) = self.permitted(from, query, job, &news).await?;
        if agreement.plan.digest != query.digest {
            return Err(Failure::usage("this party plans the query differently")
                .with_remedy("compare federation.toml and versions")
                .into());
        }
        if agreement.plan.asker != from || !agreement.plan.participants.contains(self.member.me) {
            let why = "the query names another asker, or not this party";
            return Err(Failure::usage(why).into());
        }
        self.bulletin.trust(agreement.plan.participants, &|party| self.name(party)).map_err(
            |failure| Refused {
                failure,
                public: PublicReason::Catalog(Discord::Faulty),
                is_logged: false,
            },
        )?;
        self.admission.could_fit(Cost::of(&agreement.plan, self.member.me)).map_err(|failure| {
            Refused { failure, public: PublicReason::Limits, is_logged: false }
        })?;
        let registration = self.rendezvous.register(query.session);
        let registration =
            registration.ok_or_else(|| Failure::usage("a session is announced once"))?;
        let Permission { approval } = permission;
        let page =
            self.begin_other(job, &agreement, approval, (from, query.head)).map_err(|failure| {
                match failure.cause {
                    Cause::Refused => {
                        Refused { failure, public: PublicReason::Budget, is_logged: false }
                    }
                    _ => failure.into(),
                }
            })?;
        let id = Matter::of(&query.request, Scope::Query, &self.member.workspace)?.id();
        self.approvals.settle(&id);
        // Its rows are used from here on, and that is in the log and counted.
        let workspace = Arc::clone(&self.member.workspace);
        let (config, agreed) = (self.config.clone(), Arc::clone(&agreement));
        let inputs = inputs::compute_aside(workspace, config, self.member.me, agreed).await;
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(failure) => {
                page.end(Err(&failure))?;
                return Err(Refused { is_logged: true, ..failure.into() });
            }
        };
        self.bulletin.approve(&self.member.identity, agreement.plan.digest);
        Ok(Accepted { agreement, inputs, registration, page })
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
        let play = Play { agreement, own, deadline, progress };
        let running = match bound {
            Some(bound) => bound.play(play),
            None => self.sit_fresh(registration, play).await?,
        };
        let opening = opening.elapsed().as_secs_f64();
        let played = running.wait().await?;
        let mut stats = played.stats;
        stats.phases.insert("opening links".to_owned(), opening);
        stats.rows = played.answer.as_ref().map_or(0, RecordBatch::num_rows);
        Ok(Answered { rows: played.answer, stats })
    }

    /// A session of the query's own, in a worker if there are some: its links are opened now.
    async fn sit_fresh(&self, mut registration: Registration, play: Play) -> Outcome<Running> {
        if self.workers.are_used() {
            let worker = self.workers.hire().await.inspect_err(|failure| {
                tracing::warn!(session = %registration.session(), %failure, "no session worker");
            })?;
            return Ok(Hired { worker, registration }.start(play));
        }
        let _ = play.progress.send("opening links".to_owned());
        let participants = play.agreement.plan.participants;
        let links = self.member.open_lanes(&mut registration, participants).await?;
        Running::start(Seat {
            me: self.member.me,
            federation: Arc::clone(&self.member.federation),
            links,
            play,
        })
    }

    /// A recipient that did not ask finds the answer in its folder.
    fn keep(&self, session: SessionId, rows: Option<&RecordBatch>) {
        let Some(rows) = rows else { return };
        let folder = self.config.folder.join("answers");
        let path = folder.join(format!("{session}.csv"));
        let mut maker = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        let written = maker
            .recursive(true)
            .create(&folder)
            .map_err(|error| Failure::unexpected(error.to_string()))
            .and_then(|()| format::write_file(rows, Format::Csv, &path));
        match written {
            Ok(()) => tracing::info!(%session, path = %path.display(), "answer kept"),
            Err(failure) => tracing::warn!(%session, %failure, "answer not kept"),
        }
    }
}
