//! A user of this party asks: the plan is proposed to the other participants, run when all accept,
//! and answered.

use super::Daemon;
use crate::agreement::Agreement;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use crate::messages::{Announcement, Go, Purpose, Reply, Report, Rows, SessionId, Verdict};
use crate::query::{Answered, agree};
use crate::request::{Request, Stats};
use crate::transport::Connection;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt, stream};
use senate_circuit::PartyId;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the others may take to report their figures after the answer is there.
const REPORT_MAX: Duration = Duration::from_secs(3);

impl Daemon {
    pub(super) async fn ask(&self, mut connection: Connection, request: Request) {
        let (progress, phases) = watch::channel(String::new());
        let news = stream::unfold(phases, |mut phases| async {
            phases.changed().await.ok()?;
            let phase = phases.borrow_and_update().clone();
            Some((Reply::Progress(phase), phases))
        });
        let work = self.coordinate(request, progress);
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
        progress: watch::Sender<String>,
    ) -> Outcome<Answered> {
        let started = Instant::now();
        let _ = progress.send("planning".to_owned());
        tracing::info!(sql = %request.sql, "query asked");
        let agreement = agree(&self.workspace, request).await?;
        if agreement.plan.asker != self.me {
            return Err(Failure::usage("a query is asked by the party whose daemon is asked"));
        }
        let _ = progress.send("reading tables".to_owned());
        let inputs = inputs::compute(&self.workspace, &self.config, self.me, &agreement).await?;
        let session = fresh_session()?;
        let registration = self.rendezvous.register(session);
        let registration = registration.ok_or_else(|| Failure::unexpected("a session id twice"))?;
        let _ = progress.send("asking the other parties".to_owned());
        let others = agreement.plan.participants.without(self.me);
        let mut invitations = Vec::new();
        for party in others.iter() {
            invitations.push(self.invite(party, session, &agreement).boxed());
        }
        let mut invited = try_join_all(invitations).await?;
        for (_, connection) in &mut invited {
            connection.send(&Go).await?;
        }
        let mut answered = if agreement.plan.participants.contains(self.me) {
            self.sit(&agreement, inputs, registration, started, progress).await?
        } else {
            self.follow(&agreement, &mut invited).await?
        };
        if agreement.plan.participants.contains(self.me) {
            for (_, peer) in &mut invited {
                if let Ok(Ok(Report(Some(stats)))) = timeout(REPORT_MAX, peer.receive()).await {
                    answered.stats.merge(&stats);
                }
            }
        }
        answered.stats.seconds = started.elapsed().as_secs_f64();
        Ok(answered)
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

    /// Waits for participants to finish a query in which this party has no part.
    async fn follow(
        &self,
        agreement: &Agreement,
        invited: &mut [(PartyId, Connection)],
    ) -> Outcome<Answered> {
        let mut all: Option<Stats> = None;
        for (party, connection) in invited {
            let name = self.name(*party);
            let patience = Duration::from_secs(agreement.request.timeout_s);
            let Report(Some(stats)) = connection.receive_within(patience).await? else {
                return Err(Failure::lost(format!("party {name} could not finish")));
            };
            match &mut all {
                Some(all) => all.merge(&stats),
                none => *none = Some(stats),
            }
        }
        Ok(Answered { rows: None, stats: all.unwrap_or_default() })
    }
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

fn fresh_session() -> Outcome<SessionId> {
    use rand::TryRngCore;
    let mut id = [0; 16];
    rand::rngs::OsRng
        .try_fill_bytes(&mut id)
        .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
    Ok(SessionId(id))
}
