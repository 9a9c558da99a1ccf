//! A query of this party from its first plan to its answer: proposed to the other participants,
//! given room at each, run, and ended the same way whoever waits for it.

use super::Daemon;
use super::admission::{Cost, Room};
use super::diary::Page;
use super::jobs::{Asked, Job, Keep, User};
use super::reports::Reports;
use crate::agreement::Agreement;
use crate::audit::Head;
use crate::failure::{Cause, Failure, Outcome};
use crate::inputs;
use crate::messages::{
    Announcement, Approval, Ended, PublicReason, Purpose, SessionId, Step, Vacancy, Verdict,
};
use crate::policies::Bundle;
use crate::query::Answered;
use crate::request::{Request, Stopwatch};
use crate::session::Bound;
use crate::transport::Connection;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use senate_circuit::{PartyId, PartySet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{timeout, timeout_at};

/// How long after its deadline a query may take to end everywhere.
const ENDING_MAX: Duration = Duration::from_secs(8);

/// How long others may take to say that they do not take part either.
const OTHERS_MAX: Duration = Duration::from_millis(700);

/// A participant that has accepted.
struct Invited {
    party: PartyId,
    connection: Connection,
    vacancy: Vacancy,
    head: Head,
}

/// A query as the others are invited to it.
struct Invitation<'a> {
    agreement: &'a Arc<Agreement>,
    policies: Bundle,
    head: Head,
}

/// Closes a query even if the work on it breaks off.
pub(super) struct Unfinished<'a> {
    pub(super) daemon: &'a Daemon,
    pub(super) job: &'a Arc<Job>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.job.ended().is_none() {
            self.daemon.close(self.job, Err(Failure::unexpected("the query's thread ended")));
        }
    }
}

impl Daemon {
    /// Begins a query of this party in the name of `user`.
    ///
    /// # Errors
    /// Lost while the daemon drains or has too many queries.
    pub(crate) fn submit(
        self: &Arc<Self>,
        user: User,
        request: Request,
        keep: Keep,
    ) -> Outcome<Arc<Job>> {
        if self.draining() {
            return Err(self.shutting_down());
        }
        request.check()?;
        let (session, party) = (fresh_session()?, self.name(self.member.me));
        let sql = request.sql.clone();
        tracing::info!(%session, %user, %sql, "query asked");
        let job = self.jobs.open(Asked { session, user, party, sql, keep })?;
        let (daemon, running, runtime) = (Arc::clone(self), Arc::clone(&job), Handle::current());
        // A thread of its own: reading tables and running local tasks is work.
        tokio::task::spawn_blocking(move || {
            let unfinished = Unfinished { daemon: &daemon, job: &running };
            let outcome = runtime.block_on(daemon.work(&running, request));
            daemon.close(&running, outcome);
            drop(unfinished);
        });
        Ok(job)
    }

    /// The query has ended: whoever waits for it is told, and the figures count it.
    pub(super) fn close(&self, job: &Arc<Job>, outcome: Outcome<Answered>) {
        let seconds = job.started().elapsed().as_secs_f64();
        let told = outcome.as_ref().map(|answered| &answered.stats);
        self.metrics.ended(job.user(), told, seconds);
        if let Ok(answered) = &outcome {
            let own = answered.stats.bytes_sent.get(&self.name(self.member.me));
            self.metrics.sent(own.copied().unwrap_or_default());
        }
        let session = job.session();
        match &outcome {
            Ok(answered) => {
                tracing::info!(%session, "query answered: {}", answered.stats.summary());
            }
            Err(failure) => {
                let remedy = failure.remedy.as_deref();
                tracing::warn!(%session, user = %job.user(), %failure, remedy, "query failed");
            }
        }
        self.jobs.close(job, outcome);
    }

    async fn work(&self, job: &Job, request: Request) -> Outcome<Answered> {
        let patience = Duration::from_secs(request.timeout_s) + ENDING_MAX;
        let answered = timeout(patience, job.unless_cancelled(self.coordinate(job, request)));
        answered.await.unwrap_or_else(|_| {
            Err(Failure::lost(format!("timed out during {}", job.phase()))
                .with_remedy("allow more with --timeout"))
        })
    }

    async fn coordinate(&self, job: &Job, mut request: Request) -> Outcome<Answered> {
        request.snapshot = self.measured.snapshot(self.member.me, &self.member.federation);
        let _working = self.shelf.work.begin();
        let mut watch = Stopwatch::default();
        watch.enter("planning");
        job.enter("asking the owners what they allow");
        let (policies, agreement) = self.agreed(job, &request).await?;
        if agreement.plan.asker != self.member.me {
            return Err(Failure::usage("a query is asked by the party whose daemon is asked"));
        }
        self.admission.could_fit(Cost::of(&agreement.plan, self.member.me))?;
        self.bulletin.trust(agreement.plan.participants, &|party| self.name(party))?;
        let mut page = self.begin_own(job, &agreement)?;
        // What concerns one party alone nobody else hears of.
        if agreement.plan.participants.len() > 1 {
            self.bulletin.approve(&self.member.identity, agreement.plan.digest);
        }
        let invitation = Invitation { agreement: &agreement, policies, head: page.head };
        let outcome = self.perform(job, &invitation, &mut page, &mut watch).await;
        let warnings = page.suspicions().to_vec();
        // Without its ending in the log there is no answer.
        page.end(outcome.as_ref().map(|_| "answered"))?;
        let mut answered = outcome?;
        answered.stats.warnings = warnings;
        answered.stats.seconds = job.started().elapsed().as_secs_f64();
        answered.stats.add_phases(watch, "joint part");
        self.shelf.remember(self.member.me, &agreement);
        Ok(answered)
    }

    /// Everything after the query is in the log.
    async fn perform(
        &self,
        job: &Job,
        invitation: &Invitation<'_>,
        page: &mut Page<'_>,
        watch: &mut Stopwatch,
    ) -> Outcome<Answered> {
        let (agreement, started) = (invitation.agreement, job.started());
        let cost = Cost::of(&agreement.plan, self.member.me);
        enter(watch, job, "reading tables");
        let inputs =
            inputs::compute(&self.member.workspace, &self.config, self.member.me, agreement)
                .await?;
        let registration = self.rendezvous.register(job.session());
        let registration = registration.ok_or_else(|| Failure::unexpected("a session id twice"))?;
        enter(watch, job, "asking the other parties");
        let deadline = started + Duration::from_secs(agreement.request.timeout_s);
        let mut invited = self.invite_all(job, invitation).await?;
        for other in &invited {
            page.note_head(other.party, other.head);
        }
        enter(watch, job, "waiting for room");
        let room = timeout_at(deadline.into(), self.room_everywhere(&mut invited, cost, job));
        let room = room.await.unwrap_or_else(|_| {
            Err(Failure::lost(format!("timed out while {}", job.phase()))
                .with_remedy("allow more with --timeout, or ask when fewer queries run"))
        });
        let _room = match room {
            Ok(room) => room,
            Err(failure) => {
                self.dismiss(&mut invited, failure.cause, failure.lost.clone()).await;
                return Err(failure);
            }
        };
        let (reports, bound) = self.go(invited, agreement).await?;
        enter(watch, job, "joint part");
        if !agreement.plan.participants.contains(self.member.me) {
            return Ok(Answered { rows: None, stats: reports.alone(agreement).await? });
        }
        let sitting = self.sit(agreement, inputs, registration, bound, started, job.progress());
        reports.beside(sitting, || job.phase()).await
    }

    /// Every other participant accepts.
    async fn invite_all(&self, job: &Job, invitation: &Invitation<'_>) -> Outcome<Vec<Invited>> {
        let others = invitation.agreement.plan.participants.without(self.member.me);
        let invite = |party| async move { (party, self.invite(party, job, invitation).await) };
        let invitations = others.iter().map(|party| invite(party).boxed());
        let mut answers: FuturesUnordered<_> = invitations.collect();
        let (mut invited, mut failures) = (Vec::new(), Vec::new());
        let refused = loop {
            match answers.next().await {
                None => return Ok(invited),
                Some((_, Ok(accepted))) => invited.push(accepted),
                Some((party, Err(failure))) => {
                    let cause = failure.cause;
                    failures.push(failure);
                    break (cause, self.name(party));
                }
            }
        };
        // Whoever asks wants to hear of all that will not at once.
        let others = async {
            while let Some((_, answer)) = answers.next().await {
                match answer {
                    Ok(accepted) => invited.push(accepted),
                    Err(failure) => failures.push(failure),
                }
            }
        };
        let _ = timeout(OTHERS_MAX, others).await;
        self.dismiss(&mut invited, refused.0, Some(refused.1)).await;
        Err(Failure::together(failures)
            .unwrap_or_else(|| Failure::unexpected("a refusal without a reason")))
    }

    /// Proposes the query to `party`, which accepts, perhaps once its operator has approved it.
    async fn invite(
        &self,
        party: PartyId,
        job: &Job,
        invitation: &Invitation<'_>,
    ) -> Outcome<Invited> {
        let (name, request) = (self.name(party), &invitation.agreement.request);
        let deadline = job.started() + Duration::from_secs(request.timeout_s);
        let late = |waits: Option<Approval>| match waits {
            Some(id) => PublicReason::Unapproved(id).failure(&name),
            None => Failure::lost_party(&name, format!("party {name} did not answer in time")),
        };
        let announcement = Announcement {
            session: job.session(),
            request: request.clone(),
            digest: invitation.agreement.plan.digest,
            policies: invitation.policies.clone(),
            standing: self.bulletin.standing(),
            head: invitation.head,
        };
        let dialled = self.member.dial_patiently(party, Purpose::Announce(announcement));
        let dialled = timeout_at(deadline.into(), dialled).await;
        let mut connection = dialled.map_err(|_| late(None))??;
        let mut waits = None;
        loop {
            let verdict = timeout_at(deadline.into(), connection.receive()).await;
            let verdict = verdict.map_err(|_| late(waits))?;
            match verdict.map_err(|failure| failure.at(format!("party {name}")))? {
                Verdict::Accepted(Vacancy::Never(reason), ..) | Verdict::Refused(reason) => {
                    return Err(reason.failure(&name));
                }
                Verdict::Accepted(vacancy, standing, head) => {
                    let compared = self.bulletin.compare(party, &standing);
                    compared.map_err(|discord| discord.failure(&name))?;
                    return Ok(Invited { party, connection, vacancy, head });
                }
                Verdict::Waiting(id) => {
                    waits = Some(id);
                    job.enter(format!("waiting for approval of {name} (query {id})"));
                }
            }
        }
    }

    /// Room at this party and all that are invited: at once if everybody has some, otherwise at one
    /// after the other (see [`super::admission`]). Returns this party's.
    async fn room_everywhere(
        &self,
        invited: &mut [Invited],
        cost: Cost,
        job: &Job,
    ) -> Outcome<Room> {
        let own = self.admission.try_enter(cost);
        let is_everywhere = invited.iter().all(|other| other.vacancy == Vacancy::Taken);
        match own {
            Some(own) if is_everywhere => return Ok(own),
            _ => drop(own),
        }
        for other in invited.iter_mut().filter(|other| other.vacancy == Vacancy::Taken) {
            self.step(other, Step::Leave).await?;
            other.vacancy = Vacancy::None;
        }
        let mut own = None;
        let others: PartySet = invited.iter().map(|other| other.party).collect();
        for party in others.union(PartySet::only(self.member.me)).iter() {
            match invited.iter_mut().find(|other| other.party == party) {
                Some(other) => self.room_at(other, job).await?,
                None => {
                    let queued = |at: usize| job.enter(queued(&self.name(party), at));
                    own = Some(self.admission.enter(cost, queued).await?);
                }
            }
        }
        own.ok_or_else(|| Failure::unexpected("no room at the asking party"))
    }

    /// Waits until the other party has room.
    async fn room_at(&self, other: &mut Invited, job: &Job) -> Outcome<()> {
        let name = self.name(other.party);
        self.step(other, Step::Enter).await?;
        loop {
            let vacancy = other.connection.receive().await;
            match vacancy.map_err(|failure| failure.at(format!("party {name}")))? {
                Vacancy::Taken => break,
                Vacancy::None => job.enter(queued(&name, 0)),
                Vacancy::Behind(at) => job.enter(queued(&name, at as usize)),
                Vacancy::Never(reason) => return Err(reason.failure(&name)),
            }
        }
        other.vacancy = Vacancy::Taken;
        Ok(())
    }

    /// Everybody has room and is told to begin, and in which session.
    async fn go(
        &self,
        mut invited: Vec<Invited>,
        agreement: &Agreement,
    ) -> Outcome<(Reports<'_>, Option<Bound>)> {
        for other in &mut invited {
            self.step(other, Step::Go).await?;
        }
        let others = invited.into_iter().map(|other| (other.party, other.connection));
        let mut others: Vec<(PartyId, Connection)> = others.collect();
        let bound = self.settle(agreement, &mut others).await?;
        Ok((Reports::of(self, others), bound))
    }

    /// Tells those that have accepted why the query does not begin, if they still listen.
    async fn dismiss(&self, invited: &mut [Invited], cause: Cause, party: Option<String>) {
        let ended = Ended { cause, party };
        let telling = invited.iter_mut().map(|other| self.step(other, Step::Ended(ended.clone())));
        let _ = timeout(OTHERS_MAX, join_all(telling)).await;
    }

    async fn step(&self, other: &mut Invited, step: Step) -> Outcome<()> {
        let name = self.name(other.party);
        other.connection.send(&step).await.map_err(|failure| {
            let failure = failure.at(format!("party {name}"));
            Failure { lost: Some(name), ..failure }
        })
    }
}

/// The next phase begins.
fn enter(watch: &mut Stopwatch, job: &Job, phase: &str) {
    watch.enter(phase);
    job.enter(phase);
}

/// What a user sees while a query waits.
fn queued(party: &str, before: usize) -> String {
    match before {
        0 => format!("waiting for room at {party}, next in its queue"),
        1 => format!("waiting for room at {party} behind one query"),
        more => format!("waiting for room at {party} behind {more} queries"),
    }
}

pub(super) fn fresh_session() -> Outcome<SessionId> {
    use rand::TryRngCore;
    let mut id = [0; 16];
    rand::rngs::OsRng
        .try_fill_bytes(&mut id)
        .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
    Ok(SessionId(id))
}
