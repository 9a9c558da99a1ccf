//! Workspaces nobody has seen before, the binary under test, and plain DataFusion as the oracle.

use datafusion::arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

/// All that a policy can allow.
pub(crate) const EVERY_ROLE: &str =
    r#"["join_key", "group_by", "filter", "output", "aggregate", "aggregate(median, stddev)"]"#;

/// A NULL among rows: in CSV an empty field without quotes.
pub(crate) const NULL: &str = "NULL!";

/// A small deterministic generator: tests only.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// A number between `low` and `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
}

/// One table: columns as in federation.toml, and each holder's capacity and rows.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Name, SQL type, further keys of the TOML table ("unique = true").
    pub(crate) columns: Vec<(&'static str, &'static str, &'static str)>,
    /// Party, capacity, rows as text without quotes.
    pub(crate) parts: Vec<(usize, usize, Vec<Vec<String>>)>,
}

/// A federation on disk.
pub(crate) struct Workspace {
    folder: TempDir,
    parties: usize,
    tables: Vec<Table>,
}

pub(crate) fn party_name(party: usize) -> String {
    format!("org_{}", (b'a' + party as u8) as char)
}

impl Workspace {
    pub(crate) fn new(parties: usize, tables: Vec<Table>) -> Self {
        let workspace = Self { folder: tempfile::tempdir().unwrap(), parties, tables };
        let mut text = "name = \"unseen\"\n".to_owned();
        for party in 0..parties {
            let name = party_name(party);
            let port = 7400 + party;
            writeln!(text, "[[party]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"").unwrap();
            fs::create_dir(workspace.path().join(name)).unwrap();
        }
        for table in &workspace.tables {
            text += &table_toml(table);
            for (party, _, rows) in &table.parts {
                let header: Vec<&str> = table.columns.iter().map(|column| column.0).collect();
                let mut csv = header.join(",") + "\n";
                for row in rows {
                    let fields: Vec<String> = row.iter().map(|field| csv_field(field)).collect();
                    csv += &(fields.join(",") + "\n");
                }
                let file = format!("{}/{}.csv", party_name(*party), table.name);
                fs::write(workspace.path().join(file), csv).unwrap();
            }
        }
        fs::write(workspace.path().join("federation.toml"), text).unwrap();
        for party in 0..parties {
            let file = workspace.path().join(party_name(party)).join("party.toml");
            fs::write(file, policy_toml(&workspace.tables, party)).unwrap();
        }
        workspace
    }

    pub(crate) fn into_tables(self) -> Vec<Table> {
        self.tables
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `senate query --local` in CSV: the rows.
    pub(crate) fn answer(&self, sql: &str, more: &[&str]) -> Vec<Vec<String>> {
        let output = self.query(sql, more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {stderr}");
        let text = String::from_utf8(output.stdout).unwrap();
        csv_rows(&text).into_iter().skip(1).collect()
    }

    pub(crate) fn query(&self, sql: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
        command.args(["query", "--format", "csv", "--local"]).arg(self.path());
        command.args(more).arg(sql).output().unwrap()
    }

    /// What plain DataFusion says about the union of the tables.
    pub(crate) fn expected(&self, sql: &str) -> Vec<Vec<String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let batches = runtime.block_on(self.union(sql));
        batches.iter().flat_map(rows_of).collect()
    }

    /// As [`Self::expected`], in DataFusion's types.
    pub(crate) async fn union(&self, sql: &str) -> Vec<RecordBatch> {
        let context = self.datafusion();
        let frame = context.sql(sql).await;
        let frame = frame.unwrap_or_else(|error| panic!("{sql}: {error}"));
        frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn datafusion(&self) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        let context = SessionContext::new_with_config(config);
        for party in 0..self.parties {
            let schema = datafusion::catalog::MemorySchemaProvider::new();
            let catalog = context.catalog("datafusion").unwrap();
            catalog.register_schema(&party_name(party), Arc::new(schema)).unwrap();
        }
        for table in &self.tables {
            let mut all = Vec::new();
            for (party, _, rows) in &table.parts {
                let batch = batch_of(table, rows);
                let part = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap();
                let name = format!("{}.{}", party_name(*party), table.name);
                context.register_table(name.as_str(), Arc::new(part)).unwrap();
                all.push(batch);
            }
            let union = MemTable::try_new(all[0].schema(), vec![all]).unwrap();
            context.register_table(table.name, Arc::new(union)).unwrap();
        }
        context
    }
}

fn table_toml(table: &Table) -> String {
    let columns = table.columns.iter().map(|(name, kind, more)| {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        format!("{{ name = \"{name}\", type = \"{kind}\"{more} }}")
    });
    let holders = table.parts.iter().map(|(party, capacity, _)| {
        format!("{{ party = \"{}\", capacity = {capacity} }}", party_name(*party))
    });
    format!(
        "[[table]]\nname = \"{}\"\ncolumns = [{}]\nheld_by = [{}]\n",
        table.name,
        columns.collect::<Vec<_>>().join(", "),
        holders.collect::<Vec<_>>().join(", ")
    )
}

/// A policy that allows everything to everybody, column by column.
fn policy_toml(tables: &[Table], party: usize) -> String {
    let mut text = "[accept]\nfrom = []\n[policy]\nrecipients = [\"*\"]\n".to_owned();
    for table in tables.iter().filter(|table| table.parts.iter().any(|part| part.0 == party)) {
        writeln!(text, "[policy.table.{}.columns]", table.name).unwrap();
        for (column, ..) in &table.columns {
            writeln!(text, "{column} = {EVERY_ROLE}").unwrap();
        }
    }
    text
}

fn batch_of(table: &Table, rows: &[Vec<String>]) -> RecordBatch {
    let fields = table.columns.iter().map(|(name, kind, more)| {
        Field::new(*name, arrow_type(kind), more.contains("nullable = true"))
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = schema.fields().iter().enumerate().map(|(column, field)| {
        let cells = rows.iter().map(|row| Some(row[column].as_str()).filter(|cell| *cell != NULL));
        if let DataType::FixedSizeBinary(length) = field.data_type() {
            let bytes = cells.map(|cell| cell.map(unhexed));
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, *length);
            return Arc::new(array.unwrap()) as ArrayRef;
        }
        let text: ArrayRef = Arc::new(StringArray::from_iter(cells));
        cast(&text, field.data_type()).unwrap()
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn arrow_type(kind: &str) -> DataType {
    let (name, sizes) = kind.split_once('(').unwrap_or((kind, ""));
    let mut sizes = sizes.trim_end_matches(')').split(',').filter_map(|size| size.parse().ok());
    let mut size = || sizes.next().unwrap_or(0);
    match name {
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(
            match sizes.next() {
                Some(0) => TimeUnit::Second,
                Some(3) => TimeUnit::Millisecond,
                Some(6) => TimeUnit::Microsecond,
                _ => TimeUnit::Nanosecond,
            },
            None,
        ),
        "DECIMAL" => DataType::Decimal128(size() as u8, size() as i8),
        "VARCHAR" => DataType::Utf8,
        "BINARY" => DataType::FixedSizeBinary(size()),
        other => panic!("no Arrow type for {other} in this test"),
    }
}

fn unhexed(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn csv_field(text: &str) -> String {
    match text {
        NULL => String::new(),
        "" => "\"\"".to_owned(),
        text if text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        text => text.to_owned(),
    }
}

/// RFC 4180, where an empty field without quotes is [`NULL`].
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut is_inside, mut was_quoted) = (false, false);
    for letter in text.chars() {
        match letter {
            '"' if is_inside => is_inside = false,
            '"' => {
                // A second quote right after a closing one is a quote in the text.
                if was_quoted {
                    field.push('"');
                }
                (is_inside, was_quoted) = (true, true);
            }
            ',' | '\n' if !is_inside => {
                let is_null = field.is_empty() && !was_quoted;
                row.push(if is_null { NULL.to_owned() } else { std::mem::take(&mut field) });
                was_quoted = false;
                if letter == '\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            '\r' if !is_inside => {}
            letter => field.push(letter),
        }
    }
    rows
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null(NULL);
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let row = |index: usize| columns.iter().map(|column| column.value(index).to_string()).collect();
    (0..batch.num_rows()).map(row).collect()
}
