//! The opened bits of the root stage as rows and as an Arrow batch of DataFusion's types.

use super::{Row, arrow, cell};
use crate::lower::{Ordering, Shape, ascending};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use senate_circuit::Bits;
use std::sync::Arc;

/// The public description of a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultSchema {
    /// Header and Arrow type per column.
    pub columns: Vec<(String, DataType)>,
    /// Encodings and capacity.
    pub shape: Shape,
    /// Whether the rows' order is the query's; otherwise all columns ascending.
    pub ordering: Ordering,
}

impl ResultSchema {
    /// The Arrow schema; all columns nullable, as results may be.
    pub fn arrow(&self) -> Arc<Schema> {
        let field = |(name, kind): &(String, DataType)| Field::new(name, kind.clone(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// Why opened bits are no result. Only a defect or an owner outside its domain causes this.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// A bundle of another size than the plan's.
    #[error("the result has {found} bits, expected {expected}")]
    Size {
        /// Bits opened.
        found: usize,
        /// Bits of the plan.
        expected: usize,
    },
    /// A value that its column cannot hold.
    #[error("result column {column}: a value outside the column's domain")]
    Value {
        /// Column name.
        column: String,
    },
}

/// The rows of the result, ordered as the query or by all columns ascending.
///
/// # Errors
/// [`DecodeError`] when the bits are not those of a result.
pub fn rows_of(result: &ResultSchema, bits: &Bits) -> Result<Vec<Row>, DecodeError> {
    let shape = &result.shape;
    let (lanes, planes) = (shape.rows as usize, shape.planes() as usize);
    if bits.len() != lanes * planes {
        return Err(DecodeError::Size { found: bits.len(), expected: lanes * planes });
    }
    let mut rows = Vec::new();
    for lane in (0..lanes).filter(|lane| bits.bit(*lane)) {
        let mut plane = 1;
        let mut row = Row::new();
        for (at, field) in shape.fields.iter().enumerate() {
            let width = field.planes() as usize;
            let cell: Bits = (plane..plane + width).map(|k| bits.bit(k * lanes + lane)).collect();
            plane += width;
            row.push(cell::from_bits(&cell, field).ok_or_else(|| outside(result, at))?);
        }
        rows.push(row);
    }
    if result.ordering == Ordering::Free {
        let order = ascending(0..shape.fields.len());
        rows.sort_by(|left, right| cell::compare(left, right, &order));
    }
    Ok(rows)
}

/// The result as one batch.
///
/// # Errors
/// As [`rows_of`].
pub fn batch_of(result: &ResultSchema, bits: &Bits) -> Result<RecordBatch, DecodeError> {
    let rows = rows_of(result, bits)?;
    let arrays = result.columns.iter().enumerate().map(|(at, (_, kind))| {
        let values: Vec<_> = rows.iter().map(|row| row.get(at).cloned().flatten()).collect();
        arrow::write(&values, kind).ok_or_else(|| outside(result, at))
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(result.arrow(), arrays, &options)
        .map_err(|_| outside(result, 0))
}

fn outside(result: &ResultSchema, at: usize) -> DecodeError {
    let column = result.columns.get(at).map_or_else(|| at.to_string(), |(name, _)| name.clone());
    DecodeError::Value { column }
}
