//! An owner's local result as the bits of its input bundle.

use super::{Row, arrow, cell};
use crate::ir::Schema;
use crate::lower::LeafLayout;
use arrow_array::RecordBatch;
use senate_circuit::Bits;
use std::cmp::Ordering;

/// Why a local result does not fit what the plan declares. Names places, never values.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EncodeError {
    /// More rows than the public capacity.
    #[error("{rows} rows, but the declared capacity is {capacity}")]
    TooManyRows {
        /// Rows of the local result.
        rows: usize,
        /// The bound.
        capacity: u32,
    },
    /// A value outside the column's declared domain, or NULL where none may be.
    #[error("column {column}, row {row}: value outside the declared domain {domain}")]
    OutsideDomain {
        /// Column name.
        column: String,
        /// Position in the local result, from 1.
        row: usize,
        /// The domain.
        domain: String,
    },
    /// Two rows with one key where the plan relies on distinct keys.
    #[error("column {columns}: duplicate key where the declaration says unique")]
    Duplicate {
        /// The key's columns.
        columns: String,
    },
    /// An Arrow column that is not of the declared type.
    #[error("column {column}: the local result has type {found}, expected {expected}")]
    Type {
        /// Column name.
        column: String,
        /// Arrow type found.
        found: String,
        /// SQL type expected.
        expected: String,
    },
    /// A number of columns other than the plan's.
    #[error("the local result has {found} columns, expected {expected}")]
    Columns {
        /// Columns found.
        found: usize,
        /// Columns expected.
        expected: usize,
    },
}

/// The input bundle for a local result: rows checked, put in canonical order, padded to capacity.
///
/// `schema` is the local task's: the names and types of the batches' columns.
///
/// # Errors
/// [`EncodeError`] when the rows are not what the plan declares (exit code 6).
pub fn bits_of(
    layout: &LeafLayout,
    schema: &Schema,
    batches: &[RecordBatch],
) -> Result<Bits, EncodeError> {
    let mut rows = Vec::new();
    for batch in batches {
        arrow::read(batch, schema, &mut rows)?;
    }
    bits_of_rows(layout, schema, &rows)
}

/// As [`bits_of`], from plain rows.
///
/// # Errors
/// As [`bits_of`].
pub fn bits_of_rows(
    layout: &LeafLayout,
    schema: &Schema,
    rows: &[Row],
) -> Result<Bits, EncodeError> {
    let shape = &layout.shape;
    if rows.len() > layout.capacity as usize {
        return Err(EncodeError::TooManyRows { rows: rows.len(), capacity: layout.capacity });
    }
    let mut kept: Vec<(usize, Row)> =
        rows.iter().enumerate().filter_map(|(at, row)| chosen(layout, at, row)).collect();
    kept.sort_by(|(_, left), (_, right)| cell::compare(left, right, &shape.order));
    if shape.repeats <= 1 && !shape.order.is_empty() {
        check_distinct(layout, schema, &kept)?;
    }
    let encoded = kept.iter().map(|(at, row)| encoded(layout, schema, *at, row));
    let mut encoded = encoded.collect::<Result<Vec<_>, _>>()?;
    encoded.truncate(shape.rows as usize);
    let mut bundle = Bits::default();
    for plane in 0..shape.planes() as usize {
        let lanes: Bits = encoded.iter().map(|row| row.bit(plane)).collect();
        bundle.extend_from(&lanes);
        bundle.extend_from(&Bits::zeros(shape.rows as usize - encoded.len()));
    }
    Ok(bundle)
}

/// The layout's columns of a row, unless the row is one that the owner drops.
fn chosen(layout: &LeafLayout, at: usize, row: &Row) -> Option<(usize, Row)> {
    let cell = |source: usize| row.get(source).cloned().flatten();
    let null_key = |source: usize| cell(source).is_none();
    if layout.columns.iter().any(|column| column.skip_null && null_key(column.source)) {
        return None;
    }
    Some((at, layout.columns.iter().map(|column| cell(column.source)).collect()))
}

/// One row's planes: valid, then its columns.
fn encoded(
    layout: &LeafLayout,
    schema: &Schema,
    at: usize,
    row: &Row,
) -> Result<Bits, EncodeError> {
    let mut bits = Bits::repeat(true, 1);
    let columns = layout.columns.iter().zip(&layout.shape.fields).zip(row);
    for ((column, field), value) in columns {
        let declared = schema.columns.get(column.source).map(|declared| declared.kind);
        let fits = declared.is_some_and(|kind| kind.contains(value.as_ref()));
        let cell = if fits { cell::to_bits(value.as_ref(), field) } else { None };
        let cell = cell.ok_or_else(|| EncodeError::OutsideDomain {
            column: name(schema, column.source),
            row: at + 1,
            domain: declared.map_or_else(String::new, |kind| kind.to_string()),
        })?;
        bits.extend_from(&cell);
    }
    Ok(bits)
}

fn check_distinct(
    layout: &LeafLayout,
    schema: &Schema,
    rows: &[(usize, Row)],
) -> Result<(), EncodeError> {
    let order = &layout.shape.order;
    let same = |pair: &[(usize, Row)]| match pair {
        [(_, left), (_, right)] => cell::compare(left, right, order) == Ordering::Equal,
        _ => false,
    };
    if rows.windows(2).any(same) {
        let columns = order.iter().filter_map(|key| layout.columns.get(key.column));
        let names: Vec<_> = columns.map(|column| name(schema, column.source)).collect();
        return Err(EncodeError::Duplicate { columns: names.join(", ") });
    }
    Ok(())
}

fn name(schema: &Schema, column: usize) -> String {
    schema.columns.get(column).map_or_else(String::new, |column| column.name.clone())
}
