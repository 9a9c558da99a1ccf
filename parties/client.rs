//! A party's user and its daemon: the same port, the party's own certificate.

use crate::config::{PartyConfig, Workspace};
use crate::daemon::JobLine;
use crate::failure::{Failure, Outcome};
use crate::ipc;
use crate::messages::{
    Check, Condition, Hello, JobsRequest, Presence, Purpose, Reply, Rows, VERSION,
};
use crate::query::Answered;
use crate::request::Request;
use crate::snapshot::Snapshot;
use crate::tls;
use crate::transport::Connection;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the daemon may take to say what it has measured.
const SNAPSHOT_MAX: Duration = Duration::from_secs(10);

/// How long after its deadline the daemon may take to say so.
const ENDING_MAX: Duration = Duration::from_secs(12);

/// Asks the running daemon of `party`. Dropping the future cancels the query.
///
/// # Errors
/// As the query's; lost when no daemon answers.
pub async fn ask(
    workspace: &Workspace,
    party: &str,
    request: Request,
    progress: &watch::Sender<String>,
) -> Outcome<Answered> {
    let patience = Duration::from_secs(request.timeout_s) + ENDING_MAX;
    let purpose = Purpose::Ask(request, Presence::Attached);
    let answered = timeout(patience, async {
        let connection = greet(workspace, party, purpose).await?;
        follow(connection, party, progress).await
    });
    answered.await.unwrap_or_else(|_| {
        let why = format!("the daemon of {party} did not answer in time");
        Err(Failure::lost_party(party, why))
    })
}

/// Asks the running daemon of `party` and leaves; returns the id under which the answer is kept.
///
/// # Errors
/// Lost when no daemon answers, or it takes no more queries.
pub async fn detach(workspace: &Workspace, party: &str, request: Request) -> Outcome<String> {
    let purpose = Purpose::Ask(request, Presence::Detached);
    let mut connection = greet(workspace, party, purpose).await?;
    match receive(&mut connection, party).await? {
        Reply::Started(id) => Ok(id),
        Reply::Failed(failure) => Err(failure),
        _ => Err(strange(party)),
    }
}

/// The answer of a query that goes on, or whose answer is kept, in the daemon of `party`.
///
/// # Errors
/// As the query's; usage when there is none of this id.
pub async fn attach(
    workspace: &Workspace,
    party: &str,
    id: &str,
    progress: &watch::Sender<String>,
) -> Outcome<Answered> {
    let purpose = Purpose::Jobs(JobsRequest::Attach(id.to_owned()));
    follow(greet(workspace, party, purpose).await?, party, progress).await
}

/// What the daemon of `party` says about its queries.
pub(crate) async fn jobs(
    workspace: &Workspace,
    party: &str,
    request: JobsRequest,
) -> Outcome<Vec<JobLine>> {
    let mut connection = greet(workspace, party, Purpose::Jobs(request)).await?;
    match receive(&mut connection, party).await? {
        Reply::Jobs(lines) => Ok(lines),
        Reply::Failed(failure) => Err(failure),
        _ => Err(strange(party)),
    }
}

/// The links and machines that the daemon of `party` places queries by.
///
/// # Errors
/// Lost when no daemon answers.
pub(crate) async fn snapshot(workspace: &Workspace, party: &str) -> Outcome<Snapshot> {
    let asked = timeout(SNAPSHOT_MAX, async {
        let mut connection = greet(workspace, party, Purpose::Probe).await?;
        let _: Condition = connection.receive().await?;
        connection.send(&Check::Snapshot).await?;
        connection.receive().await
    });
    asked.await.unwrap_or_else(|_| Err(Failure::lost(format!("the daemon of {party}: no answer"))))
}

/// Opens a connection for this purpose.
async fn greet(workspace: &Workspace, party: &str, purpose: Purpose) -> Outcome<Connection> {
    let me = workspace.party(party)?;
    let identity = PartyConfig::read(workspace, me)?.identity(workspace, me)?;
    let addresses = workspace.addresses(me)?;
    let dialled =
        Connection::dial_any(&identity, addresses, identity.fingerprint(), &tls::no_name());
    let mut connection = dialled.await.map_err(|failure| {
        failure.at(format!("the daemon of {party}")).with_remedy(format!(
            "start it: senate serve --workspace {} --as {party}",
            workspace.folder.display()
        ))
    })?;
    let version = VERSION.to_owned();
    let hello = Hello { version, federation: workspace.federation.digest, purpose };
    connection.send(&hello).await?;
    Ok(connection)
}

/// Hears how a query goes on until it ends.
async fn follow(
    mut connection: Connection,
    party: &str,
    progress: &watch::Sender<String>,
) -> Outcome<Answered> {
    loop {
        match receive(&mut connection, party).await? {
            Reply::Progress(phase) => {
                let _ = progress.send(phase);
            }
            Reply::Failed(failure) => return Err(failure),
            Reply::Done(stats, Rows::Elsewhere) => {
                return Ok(Answered { rows: None, stats: *stats });
            }
            Reply::Done(stats, Rows::Follow) => {
                let bytes = connection.receive_bytes(ipc::BYTES_MAX).await?;
                return Ok(Answered { rows: Some(ipc::decode(bytes)?), stats: *stats });
            }
            Reply::Started(_) | Reply::Jobs(_) => return Err(strange(party)),
        }
    }
}

async fn receive(connection: &mut Connection, party: &str) -> Outcome<Reply> {
    connection.receive().await.map_err(|failure| failure.at(format!("the daemon of {party}")))
}

fn strange(party: &str) -> Failure {
    Failure::unexpected(format!("the daemon of {party} gave another kind of answer"))
}
