//! A party's own tables: read strictly against the declared schema, and queried with DataFusion.

mod csv;
pub mod values;

use crate::failure::{Failure, Outcome};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use senate_planner::ir::Value;
use senate_planner::types::ColumnType;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A column as federation.toml declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredColumn {
    /// Name.
    pub name: String,
    /// Type, domain, nullability.
    pub kind: ColumnType,
    /// No value occurs twice.
    pub unique: bool,
    /// The public dictionary, when there is one.
    pub values: Option<Vec<Value>>,
}

/// One holder's part of a table as federation.toml declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredTable {
    /// The holder.
    pub party: String,
    /// The table.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<DeclaredColumn>,
    /// Public upper bound on the holder's rows.
    pub capacity: u32,
}

impl DeclaredTable {
    /// The Arrow schema of the declared columns.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &DeclaredColumn| {
            Field::new(&column.name, values::arrow_type(column.kind.sql), column.kind.nullable)
        };
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// A file that holds a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Comma-separated values with a header.
    Csv(PathBuf),
    /// Parquet.
    Parquet(PathBuf),
}

impl Source {
    /// `T.csv` or `T.parquet` in the party's folder.
    ///
    /// # Errors
    /// Input when there is neither, or both.
    pub fn by_default(folder: &Path, table: &str) -> Outcome<Self> {
        let [csv, parquet] = ["csv", "parquet"].map(|kind| folder.join(format!("{table}.{kind}")));
        match (csv.exists(), parquet.exists()) {
            (true, false) => Ok(Self::Csv(csv)),
            (false, true) => Ok(Self::Parquet(parquet)),
            (true, true) => Err(Failure::input(format!(
                "table {table} has both {} and {}",
                csv.display(),
                parquet.display()
            ))
            .with_remedy("keep one, or name the source in party.toml")),
            (false, false) => {
                Err(Failure::input(format!("table {table} has no file {}", csv.display()))
                    .with_remedy("add the file, or a [source.TABLE] section to party.toml"))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Csv(path) | Self::Parquet(path) => path,
        }
    }
}

/// Where a cell stands, for messages that name party, file, line and column.
struct Place<'a> {
    table: &'a DeclaredTable,
    path: &'a Path,
    unit: &'static str,
}

impl Place<'_> {
    fn violation(&self, line: usize, column: &str, why: impl fmt::Display) -> Failure {
        let (unit, path) = (self.unit, self.path.display());
        Failure::input(format!("{}: {path}: {unit} {line}, column {column}: {why}", self.party()))
            .with_remedy("correct the data, or change the declaration at all parties")
    }

    fn whole(&self, why: impl fmt::Display) -> Failure {
        Failure::input(format!("{}: {}: {why}", self.party(), self.path.display()))
    }

    fn party(&self) -> String {
        format!("party {}, table {}", self.table.party, self.table.name)
    }
}

/// Reads a table and checks every cell against the declaration.
///
/// # Errors
/// Input, naming party, file, line and column of the first violation.
pub fn load(table: &DeclaredTable, source: &Source) -> Outcome<RecordBatch> {
    let path = source.path();
    let (columns, first, unit) = match source {
        Source::Csv(_) => {
            let place = Place { table, path, unit: "line" };
            let (columns, lines) = read_csv(&place)?;
            (columns, Lines::Listed(lines), "line")
        }
        Source::Parquet(_) => {
            let place = Place { table, path, unit: "row" };
            (read_parquet(&place)?, Lines::Counted, "row")
        }
    };
    let place = Place { table, path, unit };
    check(&place, &columns, &first)?;
    let arrays = table
        .columns
        .iter()
        .zip(&columns)
        .map(|(column, cells)| {
            values::array(cells, column.kind.sql)
                .map_err(|why| place.whole(format!("column {}: {why}", column.name)))
        })
        .collect::<Outcome<Vec<_>>>()?;
    RecordBatch::try_new(table.schema(), arrays).map_err(|error| place.whole(error))
}

/// Cells of one column.
type Cells = Vec<Option<Value>>;

/// How rows are numbered in messages.
enum Lines {
    Listed(Vec<usize>),
    Counted,
}

impl Lines {
    fn of(&self, row: usize) -> usize {
        match self {
            Self::Listed(lines) => lines.get(row).copied().unwrap_or(0),
            Self::Counted => row + 1,
        }
    }
}

fn read_csv(place: &Place<'_>) -> Outcome<(Vec<Cells>, Vec<usize>)> {
    let text = std::fs::read_to_string(place.path).map_err(|error| place.whole(error))?;
    let records =
        csv::records(&text).map_err(|(line, why)| place.whole(format!("line {line}: {why}")))?;
    let mut records = records.into_iter();
    let header = records.next().map(|record| record.fields).unwrap_or_default();
    let header: Vec<&str> = header.iter().map(|name| name.as_deref().unwrap_or("")).collect();
    let positions = positions(place, &header)?;
    let columns = &place.table.columns;
    let (mut cells, mut lines) = (vec![Vec::new(); columns.len()], Vec::new());
    for record in records {
        if record.fields.len() != header.len() {
            let (found, wanted) = (record.fields.len(), header.len());
            return Err(place
                .whole(format!("line {}: {found} fields under {wanted} headings", record.line)));
        }
        for ((column, position), cells) in columns.iter().zip(&positions).zip(&mut cells) {
            let text = record.fields.get(*position).cloned().flatten();
            let cell = text.map(|text| values::parse(&text, column.kind.sql)).transpose();
            cells.push(cell.map_err(|why| place.violation(record.line, &column.name, why))?);
        }
        lines.push(record.line);
    }
    Ok((cells, lines))
}

/// Position of every declared column in the header; no other heading is accepted.
fn positions(place: &Place<'_>, header: &[&str]) -> Outcome<Vec<usize>> {
    let declared = &place.table.columns;
    for heading in header {
        if !declared.iter().any(|column| column.name == *heading) {
            return Err(place.whole(format!("line 1: column `{heading}` is not declared")));
        }
    }
    let position = |column: &DeclaredColumn| {
        let mut found = header.iter().enumerate().filter(|(_, heading)| **heading == column.name);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(position),
            (None, _) => {
                Err(place.whole(format!("line 1: declared column `{}` is missing", column.name)))
            }
            _ => Err(place.whole(format!("line 1: column `{}` occurs twice", column.name))),
        }
    };
    declared.iter().map(position).collect()
}

fn read_parquet(place: &Place<'_>) -> Outcome<Vec<Cells>> {
    let file = std::fs::File::open(place.path).map_err(|error| place.whole(error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|error| place.whole(error))?;
    let schema = datafusion::arrow::record_batch::RecordBatchReader::schema(&reader);
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let positions = positions(place, &header)?;
    let mut cells = vec![Vec::new(); place.table.columns.len()];
    for batch in reader {
        let batch = batch.map_err(|error| place.whole(error))?;
        let wanted = place.table.columns.iter().zip(&positions);
        for ((column, position), cells) in wanted.zip(&mut cells) {
            let array =
                batch.columns().get(*position).ok_or_else(|| place.whole("a short batch"))?;
            let more = values::values(array, column.kind.sql)
                .map_err(|why| place.whole(format!("column {}: {why}", column.name)))?;
            cells.extend(more);
        }
    }
    Ok(cells)
}

/// Capacity, NOT NULL, domain, dictionary and uniqueness.
fn check(place: &Place<'_>, columns: &[Cells], lines: &Lines) -> Outcome<()> {
    let rows = columns.first().map_or(0, Vec::len);
    if rows > place.table.capacity as usize {
        let capacity = place.table.capacity;
        return Err(place
            .whole(format!("{rows} rows exceed the declared capacity {capacity}"))
            .with_remedy("raise the capacity in federation.toml at all parties"));
    }
    for (column, cells) in place.table.columns.iter().zip(columns) {
        let mut seen = HashSet::new();
        for (row, cell) in cells.iter().enumerate() {
            let violation = |why: &str| Err(place.violation(lines.of(row), &column.name, why));
            let Some(value) = cell else {
                if column.kind.nullable {
                    continue;
                }
                return violation("NULL in a NOT NULL column");
            };
            if let Err(why) = values::in_domain(value, &column.kind) {
                return violation(&why);
            }
            if column.values.as_ref().is_some_and(|values| !values.contains(value)) {
                return violation("a value outside the declared values");
            }
            if column.unique && !seen.insert(value) {
                return violation("a value that occurs twice in a unique column");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::parquet::arrow::ArrowWriter;
    use senate_planner::types::SqlType;

    fn column(name: &str, sql: SqlType, low: i128, high: i128) -> DeclaredColumn {
        let kind = ColumnType { sql, low, high, nullable: false };
        DeclaredColumn { name: name.into(), kind, unique: false, values: None }
    }

    fn table() -> DeclaredTable {
        let mut id = column("id", SqlType::Int, 0, 1000);
        id.unique = true;
        let mut name = column("name", SqlType::Varchar { bytes: 4 }, 0, 0);
        name.kind.nullable = true;
        let columns = vec![id, name];
        DeclaredTable { party: "a".into(), name: "t".into(), columns, capacity: 3 }
    }

    fn load_csv(text: &str) -> Outcome<RecordBatch> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        load(&table(), &Source::Csv(path))
    }

    fn refused(text: &str) -> String {
        let failure = load_csv(text).unwrap_err();
        assert_eq!(failure.cause.exit_code(), 6);
        failure.message
    }

    #[test]
    fn a_good_file_in_another_column_order() {
        let batch = load_csv("name,id\n,1\n\"\",2\nabc,3\n").unwrap();
        assert_eq!((batch.num_rows(), batch.column(1).null_count()), (3, 1));
        assert_eq!(load_csv("id,name\n").unwrap().num_rows(), 0);
    }

    #[test]
    fn violations_name_party_line_and_column() {
        let wrong_type = refused("id,name\n1,a\nx,b\n");
        assert!(wrong_type.contains("party a, table t"), "{wrong_type}");
        assert!(
            wrong_type.contains("t.csv: line 3, column id: not a value of type INT"),
            "{wrong_type}"
        );
        for (text, why) in [
            ("id,name\n,a\n", "line 2, column id: NULL in a NOT NULL column"),
            ("id,name\n1001,a\n", "line 2, column id: a value outside 0 to 1000"),
            ("id,name\n1,abcde\n", "line 2, column name: 5 bytes are longer than VARCHAR(4)"),
            ("id,name\n1,a\n1,b\n", "line 3, column id: a value that occurs twice"),
            ("id,name\n1,a\n2,a\n3,a\n4,a\n", "4 rows exceed the declared capacity 3"),
            ("id\n1\n", "declared column `name` is missing"),
            ("id,name,x\n", "column `x` is not declared"),
            ("id,name,id\n", "column `id` occurs twice"),
            ("id,name\n1\n", "line 2: 1 fields under 2 headings"),
            ("", "declared column `id` is missing"),
        ] {
            let message = refused(text);
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn parquet_gives_the_same_rows_and_the_same_checks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let batch = load_csv("id,name\n1,a\n2,\n").unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert_eq!(load(&table(), &Source::Parquet(path.clone())).unwrap(), batch);
        let mut narrow = table();
        narrow.capacity = 1;
        assert_eq!(load(&narrow, &Source::Parquet(path)).unwrap_err().cause.exit_code(), 6);
    }

    #[test]
    fn a_missing_or_ambiguous_file_is_an_input_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Source::by_default(folder.path(), "t").unwrap_err().cause.exit_code(), 6);
        std::fs::write(folder.path().join("t.csv"), "").unwrap();
        assert!(Source::by_default(folder.path(), "t").is_ok());
        std::fs::write(folder.path().join("t.parquet"), "").unwrap();
        assert_eq!(Source::by_default(folder.path(), "t").unwrap_err().cause.exit_code(), 6);
    }
}
