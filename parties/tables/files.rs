//! Tables in files: CSV with a header, Parquet in one file or a directory of part files.

use super::check::{Cells, Lines};
use super::{DeclaredColumn, Place, csv, values};
use crate::failure::{Failure, Outcome};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchReader};
use datafusion::parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::path::{Path, PathBuf};

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Parquet.
    Parquet,
}

/// The declared columns' cells, and how to name a row.
///
/// # Errors
/// Input when a file is unreadable, malformed, or has other columns.
pub(super) fn read(
    place: &Place<'_>,
    format: FileFormat,
    path: &Path,
    ignored: &[String],
) -> Outcome<(Vec<Cells>, Lines)> {
    match format {
        FileFormat::Csv => read_csv(place, path, ignored),
        FileFormat::Parquet => {
            let parts = parts(path).map_err(|why| place.whole(why))?;
            let mut cells = vec![Vec::new(); place.table.columns.len()];
            let mut lines = Vec::with_capacity(parts.len());
            for part in &parts {
                let name = part.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let source = part.display().to_string();
                let before = cells.first().map_or(0, Vec::len);
                read_part(&Place { source, ..*place }, part, ignored, &mut cells)?;
                lines.push((name, cells.first().map_or(0, Vec::len) - before));
            }
            let is_one = matches!(parts.as_slice(), [only] if only == path);
            Ok((cells, if is_one { Lines::Counted } else { Lines::Parts(lines) }))
        }
    }
}

fn read_csv(place: &Place<'_>, path: &Path, ignored: &[String]) -> Outcome<(Vec<Cells>, Lines)> {
    let (header, records) = records(path).map_err(|failure| placed(place, failure))?;
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let positions = positions(place, &header, ignored)?;
    let columns = &place.table.columns;
    let (mut cells, mut lines) = (vec![Vec::new(); columns.len()], Vec::new());
    for record in records {
        for ((column, position), cells) in columns.iter().zip(&positions).zip(&mut cells) {
            let text = record.fields.get(*position).cloned().flatten();
            let cell = text.map(|text| values::parse(&text, column.kind.sql)).transpose();
            let spot = || format!("line {}", record.line);
            cells.push(cell.map_err(|why| place.violation(&spot(), &column.name, why))?);
        }
        lines.push(record.line);
    }
    Ok((cells, Lines::Listed(lines)))
}

/// Position of every declared column in the header; no other heading is accepted.
fn positions(place: &Place<'_>, header: &[&str], ignored: &[String]) -> Outcome<Vec<usize>> {
    let declared = &place.table.columns;
    for heading in header {
        let known = declared.iter().map(|column| &column.name).chain(ignored);
        if !known.into_iter().any(|name| name == heading) {
            return Err(place.whole(format!("column `{heading}` is not declared")).with_remedy(
                "declare it, or list it under `ignore` in its [source.TABLE] of party.toml",
            ));
        }
    }
    let position = |column: &DeclaredColumn| {
        let mut found = header.iter().enumerate().filter(|(_, heading)| **heading == column.name);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(position),
            (None, _) => Err(place
                .whole(format!("declared column `{}` is missing", column.name))
                .with_remedy(
                    "add it to the source, or publish the table again without it: senate publish",
                )),
            _ => Err(placed(place, twice(&column.name))),
        }
    };
    declared.iter().map(position).collect()
}

/// With party, table and source.
fn placed(place: &Place<'_>, failure: Failure) -> Failure {
    Failure { remedy: failure.remedy, ..place.whole(failure.message) }
}

/// Two columns of one name; the caller names the source.
pub(crate) fn twice(name: &str) -> Failure {
    Failure::input(format!("column `{name}` occurs twice"))
        .with_remedy("give each column of the source a name of its own")
}

/// The file itself, or the part files of a directory in the order of their names. As other tools
/// have it, names that begin with `_` or `.` are no part files.
///
/// # Errors
/// Why there are none.
pub(super) fn parts(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| error.to_string())? {
        let part = entry.map_err(|error| error.to_string())?.path();
        let name = part.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if part.is_dir() || !name.ends_with(".parquet") {
            return Err(format!("{name} is no part file; a directory holds *.parquet files only"));
        }
        parts.push(part);
    }
    parts.sort();
    if parts.is_empty() { Err("the directory has no part file".to_owned()) } else { Ok(parts) }
}

/// Opens a Parquet file.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn open_parquet(path: &Path) -> Result<ParquetRecordBatchReader, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|error| error.to_string())
}

fn read_part(
    place: &Place<'_>,
    path: &Path,
    ignored: &[String],
    cells: &mut [Cells],
) -> Outcome<()> {
    let reader = open_parquet(path).map_err(|error| place.whole(error))?;
    let schema = reader.schema();
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let positions = positions(place, &header, ignored)?;
    for batch in reader {
        let batch = batch.map_err(|error| place.whole(error))?;
        let wanted = place.table.columns.iter().zip(&positions);
        for ((column, position), cells) in wanted.zip(cells.iter_mut()) {
            let array =
                batch.columns().get(*position).ok_or_else(|| place.whole("a short batch"))?;
            let more = values::values(array, column.kind.sql)
                .map_err(|why| place.whole(format!("column {}: {why}", column.name)))?;
            cells.extend(more);
        }
    }
    Ok(())
}

/// A CSV file's header and its records, with a field under each heading.
///
/// # Errors
/// Input with line, reason and remedy; the caller names the file.
fn records(path: &Path) -> Outcome<(Vec<String>, Vec<csv::Record>)> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::input(error.to_string()).with_remedy(
            "see that the file is there and may be read, or name another in party.toml: [source.TABLE]",
        )
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Failure::input(format!("line {line}: not UTF-8"))
            .with_remedy("save the file as UTF-8, as in iconv -f WINDOWS-1252 -t UTF-8 FILE")
    })?;
    let wrong = |line: usize, why: &str| Failure::input(format!("line {line}: {why}"));
    let records = csv::records(text).map_err(|(line, why)| {
        wrong(line, &why).with_remedy(
            "a field with a comma, a quote or a line break stands in quotes, its quotes doubled",
        )
    })?;
    let mut records = records.into_iter();
    let header = records.next().map(|record| record.fields).unwrap_or_default();
    let header: Vec<String> = header.into_iter().map(Option::unwrap_or_default).collect();
    let records: Vec<csv::Record> = records.collect();
    for csv::Record { line, fields } in &records {
        let (found, wanted) = (fields.len(), header.len());
        match fields.as_slice() {
            _ if found == wanted => {}
            [None] => {
                return Err(wrong(*line, "the line is empty")
                    .with_remedy("remove it; an empty line is no row"));
            }
            _ => {
                return Err(wrong(*line, &format!("{found} fields under {wanted} headings"))
                    .with_remedy("give the line one field for each heading"));
            }
        }
    }
    Ok((header, records))
}

/// A column of a text file; an absent text is NULL.
pub(crate) type Texts = Vec<Option<String>>;

/// A CSV file's header and its columns, as text.
///
/// # Errors
/// As [`records`]'s.
pub(crate) fn file_records(path: &Path) -> Outcome<(Vec<String>, Vec<Texts>)> {
    let (header, records) = records(path)?;
    let mut columns = vec![Vec::new(); header.len()];
    for record in records {
        columns.iter_mut().zip(record.fields).for_each(|(column, field)| column.push(field));
    }
    Ok((header, columns))
}

/// All rows of a Parquet file or of a directory of part files with one schema.
///
/// # Errors
/// Why they cannot be read.
pub(crate) fn parquet_batches(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    let (mut schema, mut batches) = (None::<SchemaRef>, Vec::new());
    for part in parts(path)? {
        let reader = open_parquet(&part).map_err(|why| format!("{}: {why}", part.display()))?;
        let own = reader.schema();
        let first = schema.get_or_insert_with(|| own.clone());
        if first.fields() != own.fields() {
            return Err(format!("{}: another schema than the first part's", part.display()));
        }
        let rows = reader.collect::<Result<Vec<_>, _>>();
        batches.extend(rows.map_err(|error| format!("{}: {error}", part.display()))?);
    }
    schema.map(|schema| (schema, batches)).ok_or_else(|| "no part file".to_owned())
}
