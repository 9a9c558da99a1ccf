//! Bound parameters as literals of SQL. What is bound becomes part of the text that every
//! participant sees and agrees to.

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, UInt64Type,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use futures_util::TryStreamExt;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Status};

/// How long a client may take to send one row.
const BINDING_MAX: Duration = Duration::from_secs(30);
/// Messages in which one row may come.
const BATCHES_MAX: usize = 16;
/// Longest text or bytes of one parameter.
const PARAMETER_BYTES_MAX: usize = 64 << 10;

/// The literals of the one row that a client binds.
///
/// # Errors
/// Invalid argument for no row, several rows, or a value without a literal.
pub(super) async fn bound(
    request: Request<PeekableFlightDataStream>,
) -> Result<Vec<String>, Status> {
    let data = request.into_inner().map_err(FlightError::from);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
    let reading = async {
        let mut row = None;
        for _ in 0..BATCHES_MAX {
            let malformed = |error: FlightError| Status::invalid_argument(error.to_string());
            let Some(batch) = batches.try_next().await.map_err(malformed)? else {
                return row.ok_or_else(|| Status::invalid_argument("no row of parameters"));
            };
            match (batch.num_rows(), &row) {
                (0, _) => {}
                (1, None) => row = Some(batch),
                _ => {
                    let why = "one row of parameters at a time: a query runs once for each";
                    return Err(Status::unimplemented(why));
                }
            }
        }
        Err(Status::invalid_argument("too many messages for one row of parameters"))
    };
    let late = |_| Status::deadline_exceeded("the parameters did not arrive in time");
    literals(&timeout(BINDING_MAX, reading).await.map_err(late)??)
}

/// One literal for each column of the first row.
fn literals(row: &RecordBatch) -> Result<Vec<String>, Status> {
    let columns = row.columns().iter().enumerate();
    let literal = |(at, column): (usize, &ArrayRef)| {
        literal(column.as_ref()).ok_or_else(|| {
            let kind = row.column(at).data_type();
            let why = format!("parameter {}: no literal for this value of type {kind}", at + 1);
            Status::invalid_argument(why)
        })
    };
    columns.map(literal).collect()
}

/// The first value as SQL writes it; negative numbers in parentheses, so that no sign before the
/// place makes a comment of them.
fn literal(column: &dyn Array) -> Option<String> {
    if column.is_null(0) {
        return Some("NULL".to_owned());
    }
    let signed = |text: String| match text.starts_with('-') {
        true => format!("({text})"),
        false => text,
    };
    let converted = |kind: &DataType| cast(column, kind).ok().filter(|column| column.is_valid(0));
    match column.data_type() {
        DataType::Boolean => Some(column.as_boolean().value(0).to_string().to_uppercase()),
        kind if kind.is_unsigned_integer() => {
            let column = converted(&DataType::UInt64)?;
            Some(column.as_primitive::<UInt64Type>().value(0).to_string())
        }
        kind if kind.is_signed_integer() => {
            let column = converted(&DataType::Int64)?;
            Some(signed(column.as_primitive::<Int64Type>().value(0).to_string()))
        }
        kind if kind.is_floating() => {
            let column = converted(&DataType::Float64)?;
            let value = column.as_primitive::<Float64Type>().value(0);
            // As decimal digits, never with an exponent, and always with a point: 2 would be an integer.
            value.is_finite().then(|| {
                let digits = format!("{value}");
                signed(if digits.contains('.') { digits } else { digits + ".0" })
            })
        }
        DataType::Decimal128(..) => {
            let column = column.as_primitive::<Decimal128Type>();
            Some(signed(column.value_as_string(0)))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let column = converted(&DataType::Utf8)?;
            let text = column.as_string::<i32>().value(0);
            let is_short = text.len() <= PARAMETER_BYTES_MAX;
            is_short.then(|| format!("'{}'", text.replace('\'', "''")))
        }
        DataType::Date32 | DataType::Date64 => {
            let column = converted(&DataType::Date32)?;
            let date = column.as_primitive::<Date32Type>().value_as_date(0)?;
            Some(format!("DATE '{date}'"))
        }
        DataType::Timestamp(_, None) => {
            let text = array_value_to_string(column, 0).ok()?;
            Some(format!("TIMESTAMP '{text}'"))
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let column = converted(&DataType::Binary)?;
            let bytes = column.as_binary::<i32>().value(0);
            let is_short = bytes.len() <= PARAMETER_BYTES_MAX;
            let digits = || bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
            is_short.then(|| format!("X'{}'", digits()))
        }
        DataType::Null => Some("NULL".to_owned()),
        _ => None,
    }
}

/// A literal of this type, to find out what a query gives before anything is bound.
pub(super) fn sample(kind: &DataType) -> Option<String> {
    let text = match kind {
        DataType::Boolean => "TRUE".to_owned(),
        kind if kind.is_integer() => "1".to_owned(),
        kind if kind.is_numeric() => "1.0".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "'a'".to_owned(),
        DataType::Date32 => "DATE '2000-01-01'".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP '2000-01-01T00:00:00'".to_owned(),
        DataType::FixedSizeBinary(bytes) => {
            format!("X'{}'", "00".repeat(usize::try_from(*bytes).ok()?))
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
        ListArray, StringArray, UInt8Array,
    };
    use std::sync::Arc;

    fn of(column: impl Array + 'static) -> Option<String> {
        literal(&column)
    }

    #[test]
    fn values_become_literals_that_cannot_leave_their_place() {
        assert_eq!(of(Int32Array::from(vec![-5])).unwrap(), "(-5)");
        assert_eq!(of(UInt8Array::from(vec![7])).unwrap(), "7");
        assert_eq!(of(BooleanArray::from(vec![true])).unwrap(), "TRUE");
        assert_eq!(of(StringArray::from(vec!["a' OR '1'='1"])).unwrap(), "'a'' OR ''1''=''1'");
        assert_eq!(of(StringArray::from(vec!["-- \\'"])).unwrap(), "'-- \\'''");
        assert_eq!(of(Float64Array::from(vec![-1e-7])).unwrap(), "(-0.0000001)");
        assert_eq!(of(Float64Array::from(vec![2.0])).unwrap(), "2.0");
        let decimal = Decimal128Array::from(vec![-1234]).with_precision_and_scale(9, 2).unwrap();
        assert_eq!(of(decimal).unwrap(), "(-12.34)");
        assert_eq!(of(Date32Array::from(vec![0])).unwrap(), "DATE '1970-01-01'");
        assert_eq!(of(BinaryArray::from(vec![&b"\x00\xff'"[..]])).unwrap(), "X'00FF27'");
        assert_eq!(of(Int32Array::from(vec![None])).unwrap(), "NULL");
    }

    #[test]
    fn what_has_no_literal_is_refused() {
        assert_eq!(of(Float64Array::from(vec![f64::NAN])), None);
        assert_eq!(of(StringArray::from(vec!["x".repeat(PARAMETER_BYTES_MAX + 1)])), None);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        let row = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).unwrap();
        let status = literals(&row).unwrap_err();
        assert!(status.message().starts_with("parameter 1: no literal"), "{status}");
    }
}
