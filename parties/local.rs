//! The plaintext part of a query at one party: DataFusion over the party's own tables.

mod checked;

use crate::failure::{Failure, Outcome};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows by the name that a plan's table scans use.
pub type Tables = BTreeMap<(String, String), RecordBatch>;

/// DataFusion as every party configures it.
pub fn context() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let options = config.options_mut();
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    // It takes `x IS TRUE` to be nullable in one plan and not in the other, and refuses the query.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.sql_parser.parse_float_as_decimal = true;
    SessionContext::new_with_config(config)
}

/// Executes a plan whose table scans name "party"."table" on `tables`.
///
/// # Errors
/// Unexpected when the plan names a table that is not there; input when a computation fails on the
/// rows (a division by zero, a numeric overflow).
pub async fn run(plan: &LogicalPlan, tables: &Tables) -> Outcome<RecordBatch> {
    let bound = plan
        .clone()
        .transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => bind(&scan, tables).map(Transformed::yes),
            other => Ok(Transformed::no(other)),
        })
        .map_err(failed)?
        .data;
    let bound = checked::checked(bound).map_err(failed)?;
    let context = context();
    // It takes some columns to be nullable that are not, and the plan is refused.
    context.remove_optimizer_rule("common_sub_expression_eliminate");
    collect(&context, bound).await.map_err(failed)
}

/// For every scan of "party"."table" in the plan: how many rows pass the filters right above it.
///
/// # Errors
/// As [`run`].
pub async fn rows_passing(
    plan: &LogicalPlan,
    party: &str,
    table: &str,
    tables: &Tables,
) -> Outcome<Vec<usize>> {
    let mut chains = Vec::new();
    let found = plan.apply_with_subqueries(|node| {
        Ok(match scan_below(node) {
            Some(name) => {
                if name.schema() == Some(party) && name.table() == table {
                    chains.push(node.clone());
                }
                TreeNodeRecursion::Jump
            }
            None => TreeNodeRecursion::Continue,
        })
    });
    found.map_err(failed)?;
    let mut counts = Vec::with_capacity(chains.len());
    for chain in chains {
        counts.push(run(&chain, tables).await?.num_rows());
    }
    Ok(counts)
}

/// The table of a scan with nothing but row-wise operators above it.
fn scan_below(node: &LogicalPlan) -> Option<&TableReference> {
    match node {
        LogicalPlan::TableScan(scan) => Some(&scan.table_name),
        LogicalPlan::SubqueryAlias(alias) => scan_below(&alias.input),
        LogicalPlan::Filter(filter) => scan_below(&filter.input),
        LogicalPlan::Projection(projection) => scan_below(&projection.input),
        _ => None,
    }
}

/// All rows of a plan in one batch.
pub(crate) async fn collect(
    context: &SessionContext,
    plan: LogicalPlan,
) -> Result<RecordBatch, DataFusionError> {
    let frame = DataFrame::new(context.state(), plan);
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    // Physical nullability may be narrower than the plan's.
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    Ok(concat_batches(&schema, &batches)?)
}

/// The scan over real rows. Its filters become a node of their own: a scan in memory ignores them.
fn bind(scan: &TableScan, tables: &Tables) -> Result<LogicalPlan, DataFusionError> {
    let name = (
        scan.table_name.schema().unwrap_or_default().to_owned(),
        scan.table_name.table().to_owned(),
    );
    let rows = tables.get(&name).ok_or_else(|| {
        DataFusionError::Plan(format!("the plan names {}.{} outside its party", name.0, name.1))
    })?;
    // Columns that no scan needs may not have been read.
    let declared = scan.source.schema();
    let there = declared.fields().iter().filter_map(|field| {
        rows.column_by_name(field.name()).map(|column| (Arc::clone(field), column))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = there.unzip();
    let columns =
        columns.iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let table = MemTable::try_new(schema, vec![vec![rows]])?;
    let source = provider_as_source(Arc::new(table));
    let mut builder = LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)?;
    if let Some(predicate) = conjunction(scan.filters.clone()) {
        builder = builder.filter(predicate)?;
    }
    if scan.projection.is_some() {
        builder = builder.project(scan.projected_schema.columns().into_iter().map(Expr::Column))?;
    }
    builder.limit(0, scan.fetch)?.build()
}

/// The texts of such errors have values in them, which belong in no log.
fn failed(error: DataFusionError) -> Failure {
    match error.find_root() {
        DataFusionError::ArrowError(arrow, _) if is_overflow(arrow) => {
            Failure::input("local computation: numeric overflow")
                .with_remedy("cast to a wider type in the query")
        }
        DataFusionError::ArrowError(arrow, _) if matches!(**arrow, ArrowError::DivideByZero) => {
            Failure::input("local computation: division by zero")
                .with_remedy("filter such rows out, or divide by NULLIF(…, 0)")
        }
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => Failure::input(
            "local computation: an expression fails for a value of this party's rows",
        )
        .with_remedy("see which of the query's casts and functions some rows do not allow"),
        _ => Failure::unexpected(format!("local computation: {}", error.strip_backtrace())),
    }
}

/// Whether a number did not fit its type (other casts fail for the text they are given).
fn is_overflow(error: &ArrowError) -> bool {
    match error {
        ArrowError::ArithmeticOverflow(_) => true,
        ArrowError::CastError(why) => {
            why.contains("out of range") || why.contains("Can't cast value")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::builder::LogicalTableSource;
    use datafusion::prelude::{col, lit};

    fn rows() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int32Array::from(vec![1, 2, 3])) as _),
            ("name", Arc::new(StringArray::from(vec!["x", "y", "x"])) as _),
        ])
        .unwrap()
    }

    fn tables() -> Tables {
        BTreeMap::from([(("a".to_owned(), "t".to_owned()), rows())])
    }

    fn scan(filters: Vec<Expr>, projection: Option<Vec<usize>>) -> LogicalPlanBuilder {
        let field = |name, kind| Field::new(name, kind, false);
        let fields = vec![field("id", DataType::Int32), field("name", DataType::Utf8View)];
        let source = LogicalTableSource::new(Arc::new(Schema::new(fields)));
        let name = TableReference::partial("a", "t");
        LogicalPlanBuilder::scan_with_filters(name, Arc::new(source), projection, filters).unwrap()
    }

    #[tokio::test]
    async fn filters_of_a_scan_hold_even_on_columns_that_it_drops() {
        let plan = scan(vec![col("a.t.name").eq(lit("x"))], Some(vec![0])).build().unwrap();
        let result = run(&plan, &tables()).await.unwrap();
        let ids = result.column(0).as_any().downcast_ref::<Int32Array>().unwrap();
        assert_eq!((result.num_columns(), ids.values().to_vec()), (1, vec![1, 3]));
    }

    #[tokio::test]
    async fn rows_can_be_counted_without_any_column() {
        let count = datafusion::functions_aggregate::expr_fn::count(lit(1));
        let plan = scan(vec![], Some(vec![])).aggregate(Vec::<Expr>::new(), [count]).unwrap();
        let result = run(&plan.build().unwrap(), &tables()).await.unwrap();
        let counts = result.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        assert_eq!(counts.values().to_vec(), [3]);
    }

    #[tokio::test]
    async fn columns_that_are_not_needed_need_not_be_there() {
        let plan = scan(vec![], Some(vec![0])).build().unwrap();
        let mut tables = tables();
        let narrow = rows().project(&[0]).unwrap();
        tables.insert(("a".to_owned(), "t".to_owned()), narrow.clone());
        let result = run(&plan, &tables).await.unwrap();
        assert_eq!(result.columns(), narrow.columns());
        let plan = scan(vec![], None).build().unwrap();
        assert_eq!(run(&plan, &tables).await.unwrap().num_columns(), 1);
    }

    #[tokio::test]
    async fn another_partys_table_is_never_found() {
        let plan = scan(vec![], None).build().unwrap();
        assert_eq!(run(&plan, &Tables::new()).await.unwrap_err().cause.exit_code(), 1);
    }
}
