//! Workspaces nobody has seen before, the binary under test, and plain DataFusion as the oracle.

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

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
    /// Party, capacity, rows as CSV fields.
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
                rows.iter().for_each(|row| csv += &(row.join(",") + "\n"));
                let file = format!("{}/{}.csv", party_name(*party), table.name);
                fs::write(workspace.path().join(file), csv).unwrap();
            }
        }
        fs::write(workspace.path().join("federation.toml"), text).unwrap();
        workspace
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `senate query --local` in CSV: the header and the rows.
    pub(crate) fn answer(&self, sql: &str, more: &[&str]) -> Vec<Vec<String>> {
        let output = self.query(sql, more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {stderr}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    pub(crate) fn query(&self, sql: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
        command.args(["query", "--format", "csv", "--local"]).arg(self.path());
        command.args(more).arg(sql).output().unwrap()
    }

    /// What plain DataFusion says about the union of the tables.
    pub(crate) fn expected(&self, sql: &str) -> Vec<Vec<String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let context = self.datafusion();
            let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
            batches.iter().flat_map(rows_of).collect()
        })
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

fn batch_of(table: &Table, rows: &[Vec<String>]) -> RecordBatch {
    let fields =
        table.columns.iter().map(|(name, kind, _)| Field::new(*name, arrow_type(kind), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = schema.fields().iter().enumerate().map(|(column, field)| {
        let text: ArrayRef =
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[column])));
        cast(&text, field.data_type()).unwrap()
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn arrow_type(kind: &str) -> DataType {
    match kind {
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "DATE" => DataType::Date32,
        "DECIMAL(10,2)" => DataType::Decimal128(10, 2),
        kind if kind.starts_with("VARCHAR") => DataType::Utf8,
        other => panic!("no Arrow type for {other} in this test"),
    }
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let row = |index: usize| columns.iter().map(|column| column.value(index).to_string()).collect();
    (0..batch.num_rows()).map(row).collect()
}
