//! Executions: a planned query with the ticket under which its answer is fetched, once.

use super::handles::Handles;
use super::schema::under;
use super::statements::schema_of_answer;
use super::status::status;
use crate::agreement::Agreement;
use crate::daemon::{Daemon, Job, Keep, User};
use crate::failure::Failure;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::Status;

/// Rows of one message.
const BATCH_ROWS: usize = 8192;

/// A query that a client has asked for.
pub(super) struct Execution {
    agreement: Arc<Agreement>,
    /// Of the answer.
    pub(super) schema: SchemaRef,
    state: Mutex<State>,
}

/// How far the client has come.
#[derive(Default)]
enum State {
    #[default]
    Planned,
    Begun(Arc<Job>),
    /// Before it began.
    Cancelled,
}

impl Execution {
    pub(super) fn new(agreement: Arc<Agreement>) -> Self {
        let schema = schema_of_answer(&agreement);
        Self { agreement, schema, state: Mutex::default() }
    }

    /// The query, which begins now if it has not.
    ///
    /// # Errors
    /// Unavailable when the daemon takes no more; cancelled when the client has said so.
    pub(super) fn begin(&self, daemon: &Arc<Daemon>, user: &User) -> Result<Arc<Job>, Status> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Planned => {}
            State::Begun(job) => return Ok(Arc::clone(job)),
            State::Cancelled => return Err(Status::cancelled("the query was cancelled")),
        }
        // It is planned anew, as every query is when it is asked.
        let request = self.agreement.request.clone();
        let begun = daemon.submit(user.clone(), request, Keep::ForNobody);
        let begun = begun.map_err(|failure| status(&failure))?;
        *state = State::Begun(Arc::clone(&begun));
        Ok(begun)
    }

    /// Asks the query to end; false when it has ended already.
    pub(super) fn cancel(&self, why: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Begun(job) if job.ended().is_some() => return false,
            State::Begun(job) => job.cancel(why),
            State::Planned | State::Cancelled => *state = State::Cancelled,
        }
        true
    }

    /// How far the query is, as its plan's predicted time goes.
    pub(super) fn progress(&self, elapsed: Duration) -> f64 {
        let predicted = Duration::from_nanos(self.agreement.plan.nanos()).as_secs_f64();
        let elapsed = elapsed.as_secs_f64();
        (elapsed / (elapsed + predicted).max(f64::MIN_POSITIVE)).clamp(0.0, 0.99)
    }
}

impl Drop for Execution {
    /// Nobody can fetch the answer any more.
    fn drop(&mut self) {
        self.cancel("its Flight client gave it up");
    }
}

/// A client that fetches an answer: when it has it, or goes away, the query is over.
pub(super) struct Fetching {
    pub(super) job: Arc<Job>,
    pub(super) queries: Arc<Handles<Execution>>,
    pub(super) handle: Vec<u8>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if self.job.ended().is_none() {
            self.job.cancel("its Flight client went away");
        }
        let _ = self.queries.remove(self.job.user(), &self.handle);
    }
}

/// The answer as a stream: the schema at once, rows when they are there.
pub(super) fn answer(
    fetching: Fetching,
    schema: SchemaRef,
) -> BoxStream<'static, Result<FlightData, Status>> {
    let (job, expected) = (Arc::clone(&fetching.job), Arc::clone(&schema));
    let rows = stream::once(async move {
        let end = job.wait().await;
        let rows = match (end.outcome(), end.rows()) {
            (Err(failure), _) => Err(status(&failure)),
            (Ok(_), Some(rows)) => under(&expected, rows),
            (Ok(_), None) => {
                Err(status(&Failure::unexpected("the answer did not come to this party")))
            }
        };
        rows.map(pieces)
    });
    let rows = rows.map_ok(|pieces| stream::iter(pieces).map(Ok::<_, Status>)).try_flatten();
    // With the rows comes how many groups are not among them; the client stays known to the end.
    let told = move |data: Result<FlightData, Status>| {
        let left_out = fetching.job.ended().and_then(|end| end.outcome().ok()?.suppressed_groups);
        let note = left_out.map(|groups| format!("{{\"suppressed_groups\":{groups}}}"));
        data.map(|data| match note {
            Some(note) => data.with_app_metadata(note),
            None => data,
        })
    };
    encoded(rows.boxed(), schema).map(told).boxed()
}

/// Rows that are there already, as a stream.
pub(super) fn at_once(rows: RecordBatch) -> BoxStream<'static, Result<FlightData, Status>> {
    let schema = rows.schema();
    encoded(stream::iter([Ok(rows)]).boxed(), schema)
}

fn encoded(
    rows: BoxStream<'static, Result<RecordBatch, Status>>,
    schema: SchemaRef,
) -> BoxStream<'static, Result<FlightData, Status>> {
    let rows = rows.map_err(|status| FlightError::Tonic(Box::new(status)));
    let data = FlightDataEncoderBuilder::new().with_schema(schema).build(rows);
    data.map_err(Status::from).boxed()
}

fn pieces(rows: RecordBatch) -> Vec<RecordBatch> {
    if rows.num_rows() == 0 {
        return vec![rows];
    }
    let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
    starts.map(|start| rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start))).collect()
}
