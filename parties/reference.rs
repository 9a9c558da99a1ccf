//! What the answer would be if all rows were in one place: plain DataFusion over the union of the
//! tables. Only for demonstrations, where one machine has everybody's rows.

use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::local;
use crate::tables::{self, DeclaredTable};
use datafusion::arrow::compute::{
    SortColumn, concat_batches, lexsort_to_indices, take_record_batch,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use senate_circuit::PartyId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs `sql` on the union of the parties' tables.
///
/// # Errors
/// Those of reading the tables and of DataFusion.
pub async fn answer(workspace: &Workspace, sql: &str) -> Outcome<RecordBatch> {
    let context = local::context();
    let mut parts: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    for party in (0..workspace.federation.parties.len()).filter_map(PartyId::new) {
        let config = PartyConfig::read(workspace, party)?;
        schema(&context, &workspace.federation.party_name(party)).map_err(failed)?;
        for table in workspace.tables_of(party) {
            let rows = tables::load(&table, &config.source(&table.name)?).await?;
            holder(&context, &table, rows.clone()).map_err(failed)?;
            parts.entry(table.name).or_default().push(rows);
        }
    }
    for (name, parts) in parts {
        union(&context, name, &parts).map_err(failed)?;
    }
    let frame = context.sql(sql).await.map_err(failed)?;
    local::collect(&context, frame.into_unoptimized_plan()).await.map_err(failed)
}

/// The rows in ascending order of all columns, NULLs last.
///
/// # Errors
/// When a column's type has no order.
pub fn sorted(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if rows.num_columns() == 0 || rows.num_rows() < 2 {
        return Ok(rows.clone());
    }
    let options = datafusion::arrow::compute::SortOptions { descending: false, nulls_first: false };
    let column = |values: &Arc<dyn datafusion::arrow::array::Array>| SortColumn {
        values: Arc::clone(values),
        options: Some(options),
    };
    let columns: Vec<SortColumn> = rows.columns().iter().map(column).collect();
    take_record_batch(rows, &lexsort_to_indices(&columns, None)?)
}

fn schema(context: &SessionContext, party: &str) -> Result<(), DataFusionError> {
    let catalog = context
        .catalog("datafusion")
        .ok_or_else(|| DataFusionError::Internal("no default catalog".to_owned()))?;
    catalog.register_schema(party, Arc::new(MemorySchemaProvider::new()))?;
    Ok(())
}

fn holder(
    context: &SessionContext,
    table: &DeclaredTable,
    rows: RecordBatch,
) -> Result<(), DataFusionError> {
    let name = TableReference::partial(table.party.as_str(), table.name.as_str());
    let rows = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    context.register_table(name, Arc::new(rows))?;
    Ok(())
}

fn union(
    context: &SessionContext,
    name: String,
    parts: &[RecordBatch],
) -> Result<(), DataFusionError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let rows = concat_batches(&first.schema(), parts)?;
    let rows = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    context.register_table(TableReference::bare(name), Arc::new(rows))?;
    Ok(())
}

fn failed(error: DataFusionError) -> Failure {
    Failure::usage(format!("plain DataFusion: {}", error.strip_backtrace()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::Question;
    use datafusion::arrow::array::Int32Array;
    use std::path::Path;

    #[tokio::test]
    async fn every_packaged_question_has_an_answer() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        for question in Question::ALL {
            let workspace = Workspace::open(&folder.join(question.name())).unwrap();
            let sql = question.generate(Question::PARTIES, question.rows()).query;
            let rows = answer(&workspace, &sql).await.unwrap();
            assert!(rows.num_rows() > 0, "{}", question.name());
            let mut text = Vec::new();
            let rows = if sql.contains("ORDER BY") { rows } else { sorted(&rows).unwrap() };
            crate::format::write(&rows, crate::format::Format::Csv, &mut text).unwrap();
            let path = folder.join(question.name()).join("answer.csv");
            if std::env::var_os("SENATE_WRITE_QUERIES").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(std::fs::read(&path).unwrap(), text, "{}", question.name());
        }
    }

    #[test]
    fn rows_are_sorted_by_all_columns() {
        let column = |values: Vec<Option<i32>>| Arc::new(Int32Array::from(values)) as _;
        let rows = |a, b| RecordBatch::try_from_iter([("a", column(a)), ("b", column(b))]).unwrap();
        let mixed = rows(vec![None, Some(2), Some(2)], vec![Some(0), Some(5), Some(4)]);
        let wanted = rows(vec![Some(2), Some(2), None], vec![Some(4), Some(5), Some(0)]);
        assert_eq!(sorted(&mixed).unwrap(), wanted);
    }
}
