//! Results as text and as files.

use crate::failure::{Failure, Outcome};
use crate::say::printable;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

/// How a result is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// RFC 4180 with a header; NULL is an empty field, the empty string is `""`.
    Csv,
    /// An array of objects.
    Json,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
}

/// Writes `rows` to `out`.
///
/// # Errors
/// Unexpected when `out` cannot be written.
pub fn write(rows: &RecordBatch, format: Format, out: &mut (dyn Write + Send)) -> Outcome<()> {
    let written = match format {
        Format::Table => shown(rows)
            .and_then(|rows| pretty_format_batches(&[rows]))
            .and_then(|table| Ok(writeln!(out, "{table}")?)),
        Format::Csv => csv(rows, out),
        Format::Json => json(rows, out),
        Format::Parquet => parquet(rows, out),
        Format::Arrow => arrow(rows, out),
    };
    match written.and_then(|()| Ok(out.flush()?)) {
        // A reader that has seen enough, like `head`, has gone.
        Err(ArrowError::IoError(_, error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure::unexpected(format!("writing the result: {error}")))
        }
    }
}

/// The rows with texts that keep to their cells: other parties wrote them.
fn shown(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = rows.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8 => {
            let cells = column.as_string::<i32>().iter();
            Arc::new(cells.map(|cell| cell.map(printable)).collect::<StringArray>()) as ArrayRef
        }
        _ => Arc::clone(column),
    });
    let fields = rows.schema_ref().fields().iter().map(|field| {
        Arc::new(field.as_ref().clone().with_name(printable(field.name()))) as FieldRef
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.collect())
}

/// Writes `rows` to the file `path`, which afterwards holds all of them or is as it was: a full
/// disk leaves no part of an answer. Devices and pipes are written to.
///
/// # Errors
/// Usage when the file cannot be written.
pub fn write_file(rows: &RecordBatch, format: Format, path: &Path) -> Outcome<()> {
    crate::private::replace(path, 0o666, |file| {
        write(rows, format, file).map_err(|failure| failure.at(path.display()))
    })
}

fn csv(rows: &RecordBatch, out: &mut dyn Write) -> Result<(), ArrowError> {
    let schema = rows.schema();
    let header = schema.fields().iter().map(|field| quoted(field.name()));
    writeln!(out, "{}", header.collect::<Vec<_>>().join(","))?;
    let cells = formatters(rows)?;
    for row in 0..rows.num_rows() {
        let fields = rows.columns().iter().zip(&cells).map(|(column, cells)| {
            if column.is_null(row) {
                Ok(String::new())
            } else {
                cells.value(row).try_to_string().map(|text| quoted(&text))
            }
        });
        writeln!(out, "{}", fields.collect::<Result<Vec<_>, _>>()?.join(","))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn json(rows: &RecordBatch, out: &mut dyn Write) -> Result<(), ArrowError> {
    let schema = rows.schema();
    let cells = formatters(rows)?;
    let names = distinct(schema.fields().iter().map(|field| field.name().as_str()));
    let string = |text: &str| {
        serde_json::to_string(text).map_err(|error| ArrowError::JsonError(error.to_string()))
    };
    write!(out, "[")?;
    for row in 0..rows.num_rows() {
        write!(out, "{}", if row == 0 { "\n  {" } else { ",\n  {" })?;
        for (position, (field, cells)) in schema.fields().iter().zip(&cells).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let value = cells.value(row).try_to_string()?;
            let value = match field.data_type() {
                _ if rows.column(position).is_null(row) => "null".to_owned(),
                kind if kind.is_numeric() || *kind == DataType::Boolean => value,
                _ => string(&value)?,
            };
            write!(out, "{comma}{}: {value}", string(&names[position])?)?;
        }
        write!(out, "}}")?;
    }
    writeln!(out, "{}", if rows.num_rows() == 0 { "]" } else { "\n]" })?;
    Ok(())
}

/// The names, those that occur again with a number: an object has each member once.
fn distinct<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let mut taken: BTreeSet<String> = names.clone().map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    let unique = |name: &str| {
        if seen.insert(name.to_owned()) {
            return name.to_owned();
        }
        let mut numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = numbered.find(|name| taken.insert(name.clone()));
        free.unwrap_or_else(|| name.to_owned())
    };
    names.map(unique).collect()
}

fn parquet(rows: &RecordBatch, out: &mut (dyn Write + Send)) -> Result<(), ArrowError> {
    let mut writer = ArrowWriter::try_new(out, rows.schema(), None)?;
    writer.write(rows)?;
    writer.close()?;
    Ok(())
}

fn arrow(rows: &RecordBatch, out: &mut dyn Write) -> Result<(), ArrowError> {
    let mut writer = FileWriter::try_new(out, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()
}

fn formatters(rows: &RecordBatch) -> Result<Vec<ArrayFormatter<'_>>, ArrowError> {
    const OPTIONS: &FormatOptions<'static> = &FormatOptions::new();
    rows.columns().iter().map(|column| ArrayFormatter::try_new(column, OPTIONS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Date32Array, Decimal128Array, Int32Array, StringArray};
    use datafusion::arrow::ipc::reader::FileReader;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let price = Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(9, 2);
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int32Array::from(vec![1, 2])) as _, false),
            ("a \"name\"", Arc::new(StringArray::from(vec![Some(""), None])) as _, true),
            ("price", Arc::new(price.unwrap()) as _, true),
            ("day", Arc::new(Date32Array::from(vec![0, 18_000])) as _, false),
        ])
        .unwrap()
    }

    fn written(rows: &RecordBatch, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        write(rows, format, &mut out).unwrap();
        out
    }

    fn text(format: Format) -> String {
        String::from_utf8(written(&rows(), format)).unwrap()
    }

    #[test]
    fn csv_tells_null_from_the_empty_string() {
        let wanted = "id,\"a \"\"name\"\"\",price,day\n1,\"\",-0.05,1970-01-01\n2,,,2019-04-14\n";
        assert_eq!(text(Format::Csv), wanted);
    }

    #[test]
    fn json_is_an_array_of_objects() {
        let wanted = "[\n  {\"id\": 1, \"a \\\"name\\\"\": \"\", \"price\": -0.05, \
                      \"day\": \"1970-01-01\"},\n  {\"id\": 2, \"a \\\"name\\\"\": null, \
                      \"price\": null, \"day\": \"2019-04-14\"}\n]\n";
        assert_eq!(text(Format::Json), wanted);
        let parsed: serde_json::Value = serde_json::from_str(wanted).unwrap();
        assert_eq!(parsed[1]["id"], 2);
        let empty = written(&rows().slice(0, 0), Format::Json);
        assert_eq!(empty, b"[]\n");
    }

    #[test]
    fn equal_names_get_numbers_in_json() {
        let names = ["id", "x", "id", "id_2", "id"];
        assert_eq!(distinct(names.into_iter()), ["id", "x", "id_3", "id_2", "id_4"]);
    }

    #[test]
    fn files_read_back_as_they_were() {
        let rows = rows();
        let parquet = written(&rows, Format::Parquet);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        std::fs::write(&path, parquet).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        assert_eq!(read.next().unwrap().unwrap().columns(), rows.columns());
        let arrow = std::io::Cursor::new(written(&rows, Format::Arrow));
        let mut read = FileReader::try_new(arrow, None).unwrap();
        assert_eq!(read.next().unwrap().unwrap(), rows);
    }

    #[test]
    fn a_table_has_a_header() {
        assert!(text(Format::Table).contains("| id |"));
    }
}
