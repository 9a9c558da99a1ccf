//! A party's own tables: read strictly against the declared schema, and queried with DataFusion.

mod check;
mod csv;
mod files;
mod needs;
pub mod postgres;
pub mod values;

pub(crate) use check::Cells;
pub use files::FileFormat;
pub(crate) use files::{file_records, parquet_batches, twice};
pub use needs::{Need, needs};

use crate::failure::{Failure, Outcome};
use check::{Lines, check};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use postgres::Relation;
use senate_planner::ir::Value;
use senate_planner::types::ColumnType;
use std::collections::BTreeSet;
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
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// Where a table's rows are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file, or a directory of part files.
    File {
        /// How it is written.
        format: FileFormat,
        /// Where it is.
        path: PathBuf,
        /// Columns in it that are no part of the declared table and are left out.
        ignored: Vec<String>,
    },
    /// A relation in a PostgreSQL database.
    Postgres(Relation),
}

impl Source {
    /// Comma-separated values with a header.
    pub fn csv(path: PathBuf) -> Self {
        Self::File { format: FileFormat::Csv, path, ignored: Vec::new() }
    }

    /// Parquet: a file, or a directory of part files.
    pub fn parquet(path: PathBuf) -> Self {
        Self::File { format: FileFormat::Parquet, path, ignored: Vec::new() }
    }

    /// The source with these columns left out, too, where it is a file; a query names its columns.
    #[must_use]
    pub fn without(mut self, excluded: &BTreeSet<String>) -> Self {
        if let Self::File { ignored, .. } = &mut self {
            let more = excluded.iter().filter(|name| !ignored.contains(name));
            let more: Vec<String> = more.cloned().collect();
            ignored.extend(more);
        }
        self
    }

    /// `T.csv` or `T.parquet` in the party's folder.
    ///
    /// # Errors
    /// Input when there is neither, or both.
    pub fn by_default(folder: &Path, table: &str) -> Outcome<Self> {
        let [csv, parquet] = ["csv", "parquet"].map(|kind| folder.join(format!("{table}.{kind}")));
        match (csv.exists(), parquet.exists()) {
            (true, false) => Ok(Self::csv(csv)),
            (false, true) => Ok(Self::parquet(parquet)),
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
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => path.display().fmt(f),
            Self::Postgres(relation) => relation.fmt(f),
        }
    }
}

/// Where a cell stands, for messages that name party, table, source, row and column.
pub(crate) struct Place<'a> {
    table: &'a DeclaredTable,
    source: String,
}

impl Place<'_> {
    fn violation(&self, spot: &str, column: &str, why: impl fmt::Display) -> Failure {
        self.whole(format!("{spot}, column {column}: {why}"))
            .with_remedy("correct the data, or change the declaration at all parties")
    }

    fn whole(&self, why: impl fmt::Display) -> Failure {
        let DeclaredTable { party, name, .. } = self.table;
        Failure::input(format!("party {party}, table {name}: {}: {why}", self.source))
    }
}

/// Reads a whole table and checks every cell against the declaration.
///
/// # Errors
/// Input, naming party, source, row and column of the first violation.
pub async fn load(table: &DeclaredTable, source: &Source) -> Outcome<RecordBatch> {
    load_needed(table, source, &Need::default()).await
}

/// Reads a table: from a database only the needed columns and, where their filters translate, rows.
/// Every cell that is read is checked against the declaration, the capacity for the whole table.
///
/// # Errors
/// As [`load`]; lost when a database does not answer.
pub async fn load_needed(
    table: &DeclaredTable,
    source: &Source,
    need: &Need,
) -> Outcome<RecordBatch> {
    let place = Place { table, source: source.to_string() };
    match source {
        Source::File { format, path, ignored } => {
            let (columns, lines) = files::read(&place, *format, path, ignored)?;
            let all: Vec<&DeclaredColumn> = table.columns.iter().collect();
            batch(&place, &all, &columns, &lines)
        }
        Source::Postgres(relation) => {
            let (read, columns) = postgres::read(&place, relation, need).await?;
            batch(&place, &read, &columns, &Lines::Counted)
        }
    }
}

/// The checked cells of these columns.
fn batch(
    place: &Place<'_>,
    declared: &[&DeclaredColumn],
    columns: &[Cells],
    lines: &Lines,
) -> Outcome<RecordBatch> {
    check(place, declared, columns, lines)?;
    let arrays = declared.iter().zip(columns).map(|(column, cells)| {
        values::array(cells, column.kind.sql)
            .map_err(|why| place.whole(format!("column {}: {why}", column.name)))
    });
    let arrays = arrays.collect::<Outcome<Vec<_>>>()?;
    let schema = Schema::new(declared.iter().map(|column| field(column)).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|error| place.whole(error))
}

fn field(column: &DeclaredColumn) -> Field {
    Field::new(&column.name, column.kind.sql.arrow(), column.kind.nullable)
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

    fn wait<T>(work: impl Future<Output = T>) -> T {
        futures_executor::block_on(work)
    }

    fn load_csv(text: &str) -> Outcome<RecordBatch> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        wait(load(&table(), &Source::csv(path)))
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
            ("id,name\n1,a\n\n", "t.csv: line 3: the line is empty"),
            ("", "declared column `id` is missing"),
        ] {
            let message = refused(text);
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_names_the_line_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        for (bytes, why, remedy) in [
            (&b"id,name\n1,\xfc\n"[..], "line 2: not UTF-8", "save the file as UTF-8"),
            (b"id,name\n1,a\n\r\n", "line 3: the line is empty", "remove it"),
            (b"id,name\n1\n", "line 2: 1 fields", "one field for each heading"),
            (b"id,name\n1,a\"b\n", "line 2: a quote inside", "stands in quotes"),
            (b"id\n1\n", "declared column `name` is missing", "add it to the source"),
            (b"id,name,id\n", "column `id` occurs twice", "a name of its own"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let failure = wait(load(&table(), &Source::csv(path.clone()))).unwrap_err();
            assert_eq!(failure.cause.exit_code(), 6);
            assert!(
                failure.message.contains("t.csv: ") && failure.message.contains(why),
                "{failure}"
            );
            assert!(failure.remedy.unwrap().contains(remedy), "{why}");
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
        assert_eq!(wait(load(&table(), &Source::parquet(path.clone()))).unwrap(), batch);
        let mut narrow = table();
        narrow.capacity = 1;
        assert_eq!(wait(load(&narrow, &Source::parquet(path))).unwrap_err().cause.exit_code(), 6);
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

    #[test]
    fn a_directory_of_part_files_is_one_table_and_violations_name_the_part() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, csv: &str| {
            let batch = load_csv(csv).unwrap();
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        let source = Source::parquet(folder.path().to_owned());
        assert!(wait(load(&table(), &source)).unwrap_err().message.contains("no part file"));
        part("part-1.parquet", "id,name\n3,c\n");
        part("part-0.parquet", "id,name\n1,a\n2,\n");
        std::fs::write(folder.path().join("_SUCCESS"), "").unwrap();
        let whole = load_csv("id,name\n1,a\n2,\n3,c\n").unwrap();
        assert_eq!(wait(load(&table(), &source)).unwrap(), whole);
        part("part-1.parquet", "id,name\n2,c\n");
        let message = wait(load(&table(), &source)).unwrap_err().message;
        assert!(message.contains("part-1.parquet: row 1, column id: a value that"), "{message}");
        std::fs::create_dir(folder.path().join("day=1")).unwrap();
        let message = wait(load(&table(), &source)).unwrap_err().message;
        assert!(message.contains("day=1"), "{message}");
    }

    #[test]
    fn columns_that_are_ignored_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "id,ssn,name\n1,secret,a\n").unwrap();
        let ignored = vec!["ssn".to_owned()];
        let source = Source::File { format: FileFormat::Csv, path, ignored };
        assert_eq!(wait(load(&table(), &source)).unwrap(), load_csv("id,name\n1,a\n").unwrap());
    }
}
