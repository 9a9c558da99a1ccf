//! The cells of a source, with types from what the source says of them.

use super::Wishes;
use super::words::{guess, resembled};
use crate::failure::{Failure, Outcome};
use crate::tables::postgres::{Inferred, inferred, sample};
use crate::tables::{Cells, FileFormat, Source, file_records, parquet_batches, twice, values};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use senate_planner::catalog::sql_type;
use senate_planner::ir::Value;
use senate_planner::types::SqlType;
use std::collections::BTreeSet;

/// Long enough for any string that can be declared.
const TEXT: SqlType = SqlType::Varchar { bytes: u32::MAX };

/// A column and all that is in it.
pub(super) struct Observed {
    pub(super) name: String,
    pub(super) kind: SqlType,
    pub(super) cells: Cells,
    /// What the texts would be, were they written otherwise.
    pub(super) resembles: Option<&'static str>,
}

/// All columns but the excluded ones.
pub(super) async fn observe(source: &Source, wishes: &Wishes) -> Outcome<Vec<Observed>> {
    match source {
        Source::File { format: FileFormat::Csv, path, ignored } => {
            let (header, columns) = file_records(path)?;
            check(&header, ignored, wishes)?;
            let named = header.into_iter().zip(columns);
            let kept = named
                .filter(|(name, _)| !ignored.contains(name) && !wishes.excluded.contains(name));
            kept.map(|(name, cells)| from_text(name, None, &cells, wishes)).collect()
        }
        Source::File { format: FileFormat::Parquet, path, ignored } => {
            let (schema, batches) = parquet_batches(path).map_err(Failure::input)?;
            let names: Vec<String> =
                schema.fields().iter().map(|field| field.name().clone()).collect();
            check(&names, ignored, wishes)?;
            let kept = names
                .iter()
                .enumerate()
                .filter(|(_, name)| !ignored.contains(name) && !wishes.excluded.contains(*name));
            kept.map(|(position, name)| from_arrow(name, position, &schema, &batches, wishes))
                .collect()
        }
        Source::Postgres(relation) => {
            let (found, records) = sample(relation).await?;
            let names: Vec<String> = found.iter().map(|column| column.name.clone()).collect();
            check(&names, &[], wishes)?;
            let mut observed = Vec::new();
            for (position, column) in found.into_iter().enumerate() {
                if wishes.excluded.contains(&column.name) {
                    continue;
                }
                let hint = inferred(&column.kind).ok_or_else(|| {
                    let why = format!("type {} has no counterpart", column.kind);
                    untyped(&column.name, &why).with_remedy(format!(
                        "cast it in --query, or leave it out with --exclude {}",
                        column.name
                    ))
                })?;
                let cells: Vec<Option<&str>> = records
                    .iter()
                    .map(|record| record.fields.get(position).and_then(Option::as_deref))
                    .collect();
                observed.push(from_text(column.name, Some(hint), &cells, wishes)?);
            }
            Ok(observed)
        }
    }
}

/// The wishes are about columns of the source, and no two that are kept have one name.
fn check(header: &[String], ignored: &[String], wishes: &Wishes) -> Outcome<()> {
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    wishes.check(&names, ignored)?;
    let is_kept = |name: &&String| !ignored.contains(*name) && !wishes.excluded.contains(*name);
    let mut seen = BTreeSet::new();
    match header.iter().filter(is_kept).find(|name| !seen.insert(*name)) {
        Some(name) => Err(twice(name)),
        None => Ok(()),
    }
}

fn untyped(name: &str, why: &str) -> Failure {
    Failure::input(format!("column {name:?}: {why}"))
}

/// A column of texts: its type as wished, as the database says, or as the texts look.
fn from_text<T: AsRef<str>>(
    name: String,
    hint: Option<Inferred>,
    texts: &[Option<T>],
    wishes: &Wishes,
) -> Outcome<Observed> {
    let present = || texts.iter().flatten().map(|text| -> &str { text.as_ref() });
    let wished = wishes.kinds.get(&name).map(|wish| sql_type(wish).map_err(Failure::usage));
    let wished = wished.transpose()?;
    let is_guessed = wished.is_none() && hint.is_none();
    let kind = match (wished, hint) {
        (Some(wished), _) => Some(wished),
        (None, Some(Inferred::Exactly(kind))) => Some(kind),
        (None, Some(Inferred::Text)) => Some(TEXT),
        (None, Some(Inferred::Number)) => match guess(present()) {
            Some(SqlType::Int | SqlType::BigInt) => {
                Some(SqlType::Decimal { precision: 18, scale: 0 })
            }
            Some(SqlType::Varchar { .. }) => None,
            other => other,
        },
        (None, Some(Inferred::Bytes)) => {
            // Two digits a byte, after \x.
            let length = present().next().map(|text| text.len().saturating_sub(2) / 2);
            length
                .and_then(|length| u32::try_from(length).ok())
                .map(|bytes| SqlType::Binary { bytes })
        }
        (None, None) => guess(present()),
    };
    let resembles = match kind {
        Some(SqlType::Varchar { .. }) if is_guessed => resembled(present()),
        _ => None,
    };
    let kind = kind.ok_or_else(|| {
        untyped(&name, "no value to infer a type from").with_remedy(format!(
            "declare it: --column {name}=TYPE, or leave it out: --exclude {name}"
        ))
    })?;
    let cell =
        |text: &Option<T>| text.as_ref().map(|text| values::parse(text.as_ref(), kind)).transpose();
    let cells = texts.iter().map(cell).collect::<Result<Vec<_>, _>>();
    let cells = cells.map_err(|why| {
        untyped(&name, &why).with_remedy(format!("declare another type: --column {name}=TYPE"))
    })?;
    Ok(Observed { name, kind, cells, resembles })
}

fn from_arrow(
    name: &str,
    position: usize,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    wishes: &Wishes,
) -> Outcome<Observed> {
    let found = schema.field(position).data_type();
    let wished = wishes.kinds.get(name).map(|wish| sql_type(wish).map_err(Failure::usage));
    let kind = match wished.transpose()? {
        Some(wished) => Some(wished),
        None => match found {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(TEXT),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Some(SqlType::Binary { bytes: 1 })
            }
            DataType::Int8 | DataType::UInt8 => Some(SqlType::SmallInt),
            DataType::UInt16 => Some(SqlType::Int),
            DataType::UInt32 | DataType::UInt64 => Some(SqlType::BigInt),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                Some(SqlType::Decimal { precision: *precision, scale: *scale })
            }
            DataType::Timestamp(unit, Some(zone)) if values::is_utc(zone) => {
                SqlType::from_arrow(&DataType::Timestamp(*unit, None))
            }
            other => SqlType::from_arrow(other),
        },
    };
    let kind = kind.ok_or_else(|| {
        untyped(name, &format!("Arrow type {found} has no counterpart")).with_remedy(format!(
            "write it as a date, a timestamp without a zone, a decimal, an integer or text, or leave it \
             out: --exclude {name}"
        ))
    })?;
    let mut cells = Vec::new();
    for batch in batches {
        let array = batch.columns().get(position).ok_or_else(|| untyped(name, "a short batch"))?;
        let more = values::values(array, kind).map_err(|why| untyped(name, &why))?;
        cells.extend(more);
    }
    let first = cells.iter().flatten().find_map(|value: &Value| match value {
        Value::Bytes(bytes) => u32::try_from(bytes.len()).ok(),
        _ => None,
    });
    let kind = match (kind, first) {
        (SqlType::Binary { .. }, Some(bytes)) if !wishes.kinds.contains_key(name) => {
            SqlType::Binary { bytes }
        }
        (kind, _) => kind,
    };
    Ok(Observed { name: name.to_owned(), kind, cells, resembles: None })
}
