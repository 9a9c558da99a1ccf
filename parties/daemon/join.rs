//! Another party proposes a query: policy, own plan, own inputs, then the session.

use super::Daemon;
use super::lanes::Registration;
use crate::agreement::Agreement;
use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use crate::inputs::{self, Inputs};
use crate::messages::{Announcement, Go, PublicReason, Report, SessionId, Verdict};
use crate::query::{Answered, agree, alone};
use crate::session::{Bound, Play, Running, Seat};
use crate::transport::Connection;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::stream;
use senate_circuit::PartyId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

impl Daemon {
    /// Takes part in a query that `from` proposes, or refuses; whatever happens, the daemon goes on.
    pub(super) async fn join(
        &self,
        mut connection: Connection,
        from: PartyId,
        query: Announcement,
    ) {
        let (session, party) = (query.session, self.name(from));
        let (started, _working) = (Instant::now(), self.shelf.work.begin());
        tracing::info!(%session, %party, sql = %query.request.sql, "query proposed");
        let considered = connection
            .alive_while(self.consider(from, &query), stream::pending::<()>())
            .await
            .and_then(|considered| considered);
        let (agreement, inputs, registration) = match considered {
            Ok(accepted) => accepted,
            Err(failure) => {
                let remedy = failure.remedy.as_deref().unwrap_or_default();
                tracing::warn!(%session, %party, %failure, remedy, "query refused");
                let _ = connection.send(&Verdict::Refused(PublicReason::from(&failure))).await;
                return;
            }
        };
        let patience = Duration::from_secs(agreement.request.timeout_s);
        let agreed = async {
            connection.send(&Verdict::Accepted).await?;
            connection.receive_within::<Go>(patience).await?;
            self.be_settled(&mut connection, &agreement).await
        };
        let bound = match agreed.await {
            Ok(bound) => bound,
            Err(failure) => {
                return tracing::info!(%session, %party, %failure, "the asking side went away");
            }
        };
        let (progress, _) = watch::channel(String::new());
        let sitting = self.sit(&agreement, inputs, registration, bound, started, progress);
        let outcome = connection
            .alive_while(sitting, stream::pending::<()>())
            .await
            .and_then(|outcome| outcome);
        let report = match outcome {
            Ok(answered) => {
                tracing::info!(%session, "query answered: {}", answered.stats.summary());
                self.keep(session, answered.rows.as_ref());
                Report::Done(Box::new(answered.stats))
            }
            Err(failure) => {
                tracing::warn!(%session, %party, %failure, "query failed");
                Report::Failed(failure.cause, failure.lost)
            }
        };
        let _ = connection.send(&report).await;
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
            .and_then(|()| std::fs::File::create(&path))
            .map_err(|error| Failure::unexpected(error.to_string()))
            .and_then(|mut file| format::write(rows, Format::Csv, &mut file));
        match written {
            Ok(()) => tracing::info!(%session, path = %path.display(), "answer kept"),
            Err(failure) => tracing::warn!(%session, %failure, "answer not kept"),
        }
    }
}
