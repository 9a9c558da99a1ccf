//! A user of this party asks: the plan is proposed to the other participants, run when all accept,
//! and answered.

use super::Daemon;
use super::reports::Reports;
use crate::agreement::Agreement;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use crate::messages::{Announcement, Go, Purpose, Reply, Rows, SessionId, Verdict};
use crate::query::{Answered, agree};
use crate::request::{Request, Stats, Stopwatch};
use crate::session::Bound;
use crate::transport::Connection;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt, stream};
use senate_circuit::PartyId;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

/// How long after its deadline a query may take to end everywhere.
const ENDING_MAX: Duration = Duration::from_secs(8);

impl Daemon {
    pub(super) async fn ask(&self, mut connection: Connection, request: Request) {
        let (progress, phases) = watch::channel(String::new());
        let news = stream::unfold(phases, |mut phases| async {
            phases.changed().await.ok()?;
            let phase = phases.borrow_and_update().clone();
            Some((Reply::Progress(phase), phases))
        });
        let patience = Duration::from_secs(request.timeout_s) + ENDING_MAX;
        let work = async {
            let answered = timeout(patience, self.coordinate(request, &progress)).await;
            answered.unwrap_or_else(|_| Err(timed_out(&progress.borrow())))
        };
        let outcome = connection.alive_while(work, news.boxed()).await;
        let told = match outcome.and_then(|outcome| outcome) {
            Ok(Answered { rows, stats }) => answer(&mut connection, rows, stats).await,
            Err(failure) => {
                tracing::warn!(%failure, "query failed");
                connection.send(&Reply::Failed(failure)).await
            }
        };
        if let Err(failure) = told {
            tracing::debug!(%failure, "the user was not told");
        }
    }

    async fn coordinate(
        &self,
        request: Request,
        progress: &watch::Sender<String>,
    ) -> Outcome<Answered> {
        let _working = self.shelf.work.begin();
        let mut watch = Stopwatch::default();
        let started = Instant::now();
        let mut enter = |phase: &str| {
            watch.enter(phase);
            let _ = progress.send(phase.to_owned());
        };
        enter("planning");
        tracing::info!(sql = %request.sql, "query asked");
        let agreement = agree(&self.workspace, request).await?;
        if agreement.plan.asker != self.me {
            return Err(Failure::usage("a query is asked by the party whose daemon is asked"));
        }
        enter("reading tables");
        let inputs = inputs::compute(&self.workspace, &self.config, self.me, &agreement).await?;
        let session = fresh_session()?;
        let registration = self.rendezvous.register(session);
        let registration = registration.ok_or_else(|| Failure::unexpected("a session id twice"))?;
        enter("asking the other parties");
        let (reports, bound) = self.invite_all(session, &agreement, started).await?;
        enter("joint part");
        let mut answered = if agreement.plan.participants.contains(self.me) {
            let own = progress.clone();
            let sitting = self.sit(&agreement, inputs, registration, bound, started, own);
            reports.beside(sitting, || progress.borrow().clone()).await?
        } else {
            Answered { rows: None, stats: reports.alone().await? }
        };
        answered.stats.seconds = started.elapsed().as_secs_f64();
        answered.stats.add_phases(watch, "joint part");
        self.shelf.remember(self.me, &agreement);
        Ok(answered)
    }

    /// Every other participant accepts, and is told to go on and in which session.
    async fn invite_all(
        &self,
        session: SessionId,
        agreement: &Agreement,
        started: Instant,
    ) -> Outcome<(Reports<'_>, Option<Bound>)> {
        let deadline = started + Duration::from_secs(agreement.request.timeout_s);
        let others = agreement.plan.participants.without(self.me);
        let invitations = others.iter().map(|party| {
            let invited = timeout_at(deadline.into(), self.invite(party, session, agreement));
            async move {
                invited.await.unwrap_or_else(|_| {
                    let name = self.name(party);
                    let why = format!("party {name} did not answer in time");
                    Err(Failure::lost_party(&name, why))
                })
            }
            .boxed()
        });
        let mut invited = try_join_all(invitations).await?;
        for (party, connection) in &mut invited {
            let name = self.name(*party);
            connection.send(&Go).await.map_err(|failure| {
                let failure = failure.at(format!("party {name}"));
                Failure { lost: Some(name), ..failure }
            })?;
        }
        let bound = self.settle(agreement, &mut invited).await?;
        Ok((Reports::of(self, invited), bound))
    }

    /// Proposes the query to `party`; returns the connection on which it accepted.
    async fn invite(
        &self,
        party: PartyId,
        session: SessionId,
        agreement: &Agreement,
    ) -> Outcome<(PartyId, Connection)> {
        let (request, digest) = (agreement.request.clone(), agreement.plan.digest);
        let announcement = Announcement { session, request, digest };
        let mut connection = self.dial(party, Purpose::Announce(announcement)).await?;
        let name = self.name(party);
        match connection.receive().await.map_err(|failure| failure.at(format!("party {name}")))? {
            Verdict::Accepted => Ok((party, connection)),
            Verdict::Refused(reason) => Err(reason.failure(&name)),
        }
    }
}

fn timed_out(phase: &str) -> Failure {
    Failure::lost(format!("timed out during {phase}")).with_remedy("allow more with --timeout")
}

async fn answer(
    connection: &mut Connection,
    rows: Option<RecordBatch>,
    stats: Stats,
) -> Outcome<()> {
    let Some(rows) = rows else {
        return connection.send(&Reply::Done(Box::new(stats), Rows::Elsewhere)).await;
    };
    let failed = |error| Failure::unexpected(format!("encoding the answer: {error}"));
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(failed)?;
    writer.write(&rows).map_err(failed)?;
    let bytes = writer.into_inner().map_err(failed)?;
    connection.send(&Reply::Done(Box::new(stats), Rows::Follow)).await?;
    connection.send_bytes(&bytes).await
}

pub(super) fn fresh_session() -> Outcome<SessionId> {
    use rand::TryRngCore;
    let mut id = [0; 16];
    rand::rngs::OsRng
        .try_fill_bytes(&mut id)
        .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
    Ok(SessionId(id))
}
