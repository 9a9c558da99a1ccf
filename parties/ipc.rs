//! Rows between the processes of one party: an Arrow IPC stream.

use crate::failure::{Failure, Outcome};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use std::io::Cursor;

/// Longest stream that is read.
pub(crate) const BYTES_MAX: usize = 4 << 30;

/// The rows as a stream.
///
/// # Errors
/// Unexpected when Arrow cannot write them.
pub(crate) fn encode(rows: &RecordBatch) -> Outcome<Vec<u8>> {
    let failed = |error| Failure::unexpected(format!("encoding the answer: {error}"));
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// The rows of a stream.
///
/// # Errors
/// Unexpected when it is none.
pub(crate) fn decode(bytes: Vec<u8>) -> Outcome<RecordBatch> {
    let failed = |error| Failure::unexpected(format!("decoding the answer: {error}"));
    let reader = StreamReader::try_new(Cursor::new(bytes), None).map_err(failed)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    concat_batches(&schema, &batches).map_err(failed)
}
