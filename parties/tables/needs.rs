//! What the local tasks of a query read of a party's tables, so that a database is asked for no
//! more.

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use std::collections::{BTreeMap, BTreeSet};

/// The part of a table that is read; by default all of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Need {
    /// Names of the columns; `None` is all.
    pub columns: Option<BTreeSet<String>>,
    /// Rows for which this is not true are read by nobody; `None` is all rows.
    pub filter: Option<Expr>,
}

impl Need {
    /// Whether the column is needed.
    pub fn has(&self, column: &str) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.contains(column))
    }

    fn of(scan: &TableScan) -> Self {
        let mut columns: BTreeSet<String> =
            scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
        let filtered = scan.filters.iter().flat_map(Expr::column_refs);
        columns.extend(filtered.map(|column| column.name.clone()));
        Self { columns: Some(columns), filter: conjunction(scan.filters.clone()) }
    }

    fn or(self, other: Self) -> Self {
        let columns = self.columns.zip(other.columns).map(|(mut columns, more)| {
            columns.extend(more);
            columns
        });
        let filter = self.filter.zip(other.filter).map(|(one, other)| one.or(other));
        Self { columns, filter }
    }
}

/// What `plans` read of the tables of `party`, by table. Tables that are not named are not read.
///
/// # Errors
/// When a plan cannot be walked.
pub fn needs<'a>(
    plans: impl IntoIterator<Item = &'a LogicalPlan>,
    party: &str,
) -> Result<BTreeMap<String, Need>, DataFusionError> {
    let mut needs: BTreeMap<String, Need> = BTreeMap::new();
    for plan in plans {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && scan.table_name.schema() == Some(party)
            {
                let need = Need::of(scan);
                let table = scan.table_name.table().to_owned();
                let need = match needs.remove(&table) {
                    Some(other) => other.or(need),
                    None => need,
                };
                needs.insert(table, need);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::TableReference;
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::logical_expr::builder::LogicalTableSource;
    use datafusion::prelude::{col, lit};
    use std::sync::Arc;

    fn scan(table: &str, filters: Vec<Expr>, projection: Option<Vec<usize>>) -> LogicalPlan {
        let field = |name| Field::new(name, DataType::Int32, false);
        let source = LogicalTableSource::new(Arc::new(Schema::new(vec![
            field("x"),
            field("y"),
            field("z"),
        ])));
        let name = TableReference::partial("a", table);
        LogicalPlanBuilder::scan_with_filters(name, Arc::new(source), projection, filters)
            .unwrap()
            .build()
            .unwrap()
    }

    #[test]
    fn a_scan_needs_its_columns_and_those_of_its_filters() {
        let filter = col("a.t.y").eq(lit(3));
        let plans = [scan("t", vec![filter.clone()], Some(vec![0])), scan("u", vec![], None)];
        let needs = needs(&plans, "a").unwrap();
        assert!(needs["t"].has("x") && needs["t"].has("y") && !needs["t"].has("z"));
        assert_eq!(needs["t"].filter, Some(filter));
        assert!(needs["u"].has("z") && needs["u"].filter.is_none());
        assert!(!needs.contains_key("v") && super::needs(&plans, "b").unwrap().is_empty());
    }

    #[test]
    fn two_scans_need_what_either_needs() {
        let (one, other) = (col("a.t.x").gt(lit(1)), col("a.t.z").lt(lit(2)));
        let filtered = [
            scan("t", vec![one.clone()], Some(vec![0])),
            scan("t", vec![other.clone()], Some(vec![0])),
        ];
        let both = needs(&filtered, "a").unwrap();
        assert_eq!(both["t"].filter, Some(one.or(other)));
        assert!(both["t"].has("x") && both["t"].has("z") && !both["t"].has("y"));
        let all = [filtered[0].clone(), scan("t", vec![], Some(vec![1]))];
        assert_eq!(needs(&all, "a").unwrap()["t"].filter, None);
    }
}
