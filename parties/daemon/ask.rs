//! A user of this party asks a question, or about questions: what is said on the connection. The
//! query itself does not depend on it.

use super::Daemon;
use super::jobs::{End, Found, Job, JobLine, JobState, Keep, User};
use crate::failure::{Failure, Outcome};
use crate::ipc;
use crate::messages::{JobsRequest, Presence, Reply, Rows};
use crate::request::{Request, Stats};
use crate::transport::Connection;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long whoever cancels waits to hear that the query has ended.
const CANCELLING_MAX: Duration = Duration::from_secs(2);
/// Characters of a question that a list shows.
const LISTED_CHARACTERS: usize = 200;

impl Daemon {
    pub(super) async fn ask(
        self: &Arc<Self>,
        mut connection: Connection,
        request: Request,
        presence: Presence,
    ) {
        let keep = match presence {
            Presence::Attached => Keep::ForNobody,
            Presence::Detached => Keep::ForLater,
        };
        let told = match (self.submit(User::Operator, request, keep), presence) {
            (Ok(job), Presence::Attached) => self.follow(connection, &job, keep).await,
            (Ok(job), Presence::Detached) => {
                connection.send(&Reply::Started(job.id().to_owned())).await
            }
            (Err(failure), _) => connection.send(&Reply::Failed(failure)).await,
        };
        if let Err(failure) = told {
            tracing::debug!(%failure, "the user was not told");
        }
    }

    pub(super) async fn ask_jobs(&self, mut connection: Connection, request: JobsRequest) {
        let user = User::Operator;
        let find = |id: &str| self.jobs.find(&user, id);
        let reply = match request {
            JobsRequest::List => Ok(self.jobs.list(&user).into_iter().map(listed).collect()),
            JobsRequest::Show(id) => find(&id).map(|found| vec![line(&found)]),
            JobsRequest::Cancel(id) => match find(&id) {
                Ok(found) => {
                    if let Found::Here(job) = &found {
                        job.cancel("cancelled by the operator");
                        let _ = timeout(CANCELLING_MAX, job.wait()).await;
                    }
                    Ok(vec![line(&found)])
                }
                Err(failure) => Err(failure),
            },
            JobsRequest::Attach(id) => match find(&id).and_then(|found| attachable(found, &user)) {
                Ok(job) => {
                    // Somebody else may wait for it.
                    if let Err(failure) = self.follow(connection, &job, Keep::ForLater).await {
                        tracing::debug!(%failure, "the user was not told");
                    }
                    return;
                }
                Err(failure) => Err(failure),
            },
        };
        let reply = reply.map_or_else(Reply::Failed, Reply::Jobs);
        if let Err(failure) = connection.send(&reply).await {
            tracing::debug!(%failure, "the user was not told");
        }
    }

    /// Tells the user how the query goes on, and its answer. A query that is for nobody else is
    /// cancelled when the user leaves.
    async fn follow(&self, mut connection: Connection, job: &Arc<Job>, keep: Keep) -> Outcome<()> {
        let phases = job.progress().subscribe();
        let news = stream::unfold(phases, |mut phases| async {
            phases.changed().await.ok()?;
            let phase = phases.borrow_and_update().clone();
            Some((Reply::Progress(phase), phases))
        });
        match connection.alive_while(job.wait(), news.boxed()).await {
            Ok(end) => answer(&mut connection, &end).await,
            Err(failure) => {
                if keep == Keep::ForNobody {
                    job.cancel(&failure.to_string());
                }
                Err(failure)
            }
        }
    }
}

/// The query, if its answer can be fetched by `user`.
fn attachable(found: Found, user: &User) -> Outcome<Arc<Job>> {
    match found {
        Found::Here(job) if job.user() == user => Ok(job),
        // Another party's question whose answer this party receives.
        Found::Here(job)
            if matches!(job.user(), User::Party(_)) && job.keep() == Keep::ForLater =>
        {
            Ok(job)
        }
        Found::Here(job) => {
            Err(Failure::refused(format!("query {} was asked by {}", job.id(), job.user()))
                .with_remedy("its answer is for whoever asked; `show` and `cancel` work"))
        }
        Found::Past(JobLine { id, state, .. }) => {
            Err(Failure::usage(format!("query {id} is over: {state}"))
                .with_remedy("ask again; with --detach the answer is kept"))
        }
    }
}

fn line(found: &Found) -> JobLine {
    match found {
        Found::Here(job) => job.line(),
        Found::Past(line) => line.clone(),
    }
}

/// A line whose texts have a bounded length.
fn listed(mut line: JobLine) -> JobLine {
    let short = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(LISTED_CHARACTERS) {
            text.truncate(end);
            text.push('…');
        }
    };
    short(&mut line.sql);
    if let JobState::Failed(text) | JobState::Running(text) = &mut line.state {
        short(text);
    }
    line
}

async fn answer(connection: &mut Connection, end: &End) -> Outcome<()> {
    match (end.outcome(), end.rows()) {
        (Err(failure), _) => connection.send(&Reply::Failed(failure)).await,
        (Ok(stats), rows) => send_rows(connection, rows, stats.clone()).await,
    }
}

async fn send_rows(
    connection: &mut Connection,
    rows: Option<&RecordBatch>,
    stats: Stats,
) -> Outcome<()> {
    let Some(rows) = rows else {
        return connection.send(&Reply::Done(Box::new(stats), Rows::Elsewhere)).await;
    };
    let bytes = ipc::encode(rows)?;
    connection.send(&Reply::Done(Box::new(stats), Rows::Follow)).await?;
    connection.send_bytes(&bytes).await
}
