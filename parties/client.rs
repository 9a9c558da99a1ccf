//! A party's user and its daemon: the same port, the party's own certificate.

use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::messages::{Hello, Purpose, Reply, Rows, VERSION};
use crate::query::Answered;
use crate::request::Request;
use crate::transport::Connection;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::Cursor;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Largest answer that is taken in.
const ANSWER_BYTES_MAX: usize = 4 << 30;

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
    let answered = timeout(patience, converse(workspace, party, request, progress)).await;
    answered.unwrap_or_else(|_| {
        let why = format!("the daemon of {party} did not answer in time");
        Err(Failure::lost_party(party, why))
    })
}

async fn converse(
    workspace: &Workspace,
    party: &str,
    request: Request,
    progress: &watch::Sender<String>,
) -> Outcome<Answered> {
    let me = workspace.party(party)?;
    let identity = PartyConfig::read(workspace, me)?.identity(workspace, me)?;
    let address = workspace.address(me)?;
    let mut connection =
        Connection::dial(&identity, address, identity.fingerprint()).await.map_err(|failure| {
            failure.at(format!("the daemon of {party}")).with_remedy(format!(
                "start it: senate serve --workspace {} --as {party}",
                workspace.folder.display()
            ))
        })?;
    let hello = Hello {
        version: VERSION.to_owned(),
        federation: workspace.federation.digest,
        purpose: Purpose::Ask(request),
    };
    connection.send(&hello).await?;
    loop {
        let reply = connection.receive().await;
        match reply.map_err(|failure| failure.at(format!("the daemon of {party}")))? {
            Reply::Progress(phase) => {
                let _ = progress.send(phase);
            }
            Reply::Failed(failure) => return Err(failure),
            Reply::Done(stats, Rows::Elsewhere) => {
                return Ok(Answered { rows: None, stats: *stats });
            }
            Reply::Done(stats, Rows::Follow) => {
                let bytes = connection.receive_bytes(ANSWER_BYTES_MAX).await?;
                return Ok(Answered { rows: Some(decode(bytes)?), stats: *stats });
            }
        }
    }
}

fn decode(bytes: Vec<u8>) -> Outcome<RecordBatch> {
    let failed = |error| Failure::unexpected(format!("decoding the answer: {error}"));
    let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(failed)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    concat_batches(&schema, &batches).map_err(failed)
}
