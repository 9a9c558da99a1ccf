//! What DataFusion's SQL planner may name: the federation's tables and built-in functions.

use super::average::average;
use crate::catalog::{Federation, Table};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tables by reference, functions by name, and the fixed planning options.
pub(super) struct Catalog<'a> {
    federation: &'a Federation,
    options: ConfigOptions,
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    windows: BTreeMap<String, Arc<WindowUDF>>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
}

/// A table's schema. It declares neither keys nor filters: both are handled by our own rules.
#[derive(Debug)]
struct Declared(SchemaRef);

impl TableSource for Declared {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }
}

impl<'a> Catalog<'a> {
    pub(super) fn new(federation: &'a Federation) -> Self {
        let mut options = ConfigOptions::default();
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        options.optimizer.skip_failed_rules = false;
        let mut scalars = BTreeMap::new();
        for function in datafusion_functions::all_default_functions() {
            for alias in function.aliases() {
                scalars.insert(alias.clone(), Arc::clone(&function));
            }
            scalars.insert(function.name().to_owned(), function);
        }
        let mut aggregates = BTreeMap::new();
        for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
            for alias in function.aliases() {
                aggregates.insert(alias.clone(), Arc::clone(&function));
            }
            aggregates.insert(function.name().to_owned(), function);
        }
        aggregates.insert("avg".to_owned(), average());
        aggregates.insert("mean".to_owned(), average());
        let windows = datafusion_functions_window::all_default_window_functions()
            .into_iter()
            .map(|function| (function.name().to_owned(), function))
            .collect();
        let expr_planners: Vec<Arc<dyn ExprPlanner>> = vec![
            Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
            Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
            Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
            Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
            Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
        ];
        Self { federation, options, scalars, aggregates, windows, expr_planners }
    }

    fn table(&self, name: &TableReference) -> Result<&Table> {
        let missing = |what: String| DataFusionError::Plan(what);
        let table = self
            .federation
            .table(name.table())
            .ok_or_else(|| missing(format!("no table {} in the federation", name.table())))?;
        match name {
            TableReference::Bare { .. } => Ok(table),
            TableReference::Partial { schema, .. } => {
                let party = self
                    .federation
                    .party(schema)
                    .ok_or_else(|| missing(format!("no party {schema} in the federation")))?;
                table
                    .holder(party)
                    .map(|_| table)
                    .ok_or_else(|| missing(format!("{schema} holds no table {}", table.name)))
            }
            TableReference::Full { .. } => {
                Err(missing(format!("{name}: a table is named table or party.table")))
            }
        }
    }
}

impl ContextProvider for Catalog<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let table = self.table(&name)?;
        let field = |column: &crate::catalog::TableColumn| {
            Field::new(&column.name, column.kind.sql.arrow(), column.kind.nullable)
        };
        let fields: Vec<Field> = table.columns.iter().map(field).collect();
        Ok(Arc::new(Declared(Arc::new(Schema::new(fields)))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }
}
