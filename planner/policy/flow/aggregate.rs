//! What flows into groups and aggregate functions.

use super::{Column, Flow, Tracer, plain};
use crate::policy::usage::Usage;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use std::collections::BTreeSet;

impl Tracer {
    /// Keys group, arguments are aggregated. Keys in `inner` exist only for the aggregates above
    /// (COUNT(DISTINCT x) is planned as a count over groups by x), which say what they are used for.
    pub(super) fn aggregate(&mut self, node: &Aggregate, inner: &BTreeSet<usize>) -> Vec<Column> {
        let columns = match below(&node.input) {
            Some(input) => self.aggregate(input, &only_aggregated(node, input)),
            None => self.relation(&node.input),
        };
        let schema = node.input.schema();
        let scan = self.fresh();
        let mut output = Vec::with_capacity(node.schema.fields().len());
        for (index, key) in node.group_expr.iter().enumerate() {
            let value = self.value(key, schema, &columns);
            if !inner.contains(&index) {
                self.demand(&value, &Usage::GroupBy, &format!("GROUP BY {}", plain(key)));
            }
            output.push(value.grouped(scan));
        }
        for expr in &node.aggr_expr {
            match plain(expr) {
                Expr::AggregateFunction(call) => self.call(call, node, &columns),
                other => self.unknown(other.to_string()),
            }
        }
        output.resize(node.schema.fields().len(), Column::default());
        output
    }

    fn call(&mut self, call: &AggregateFunction, node: &Aggregate, columns: &[Column]) {
        let schema = node.input.schema();
        let through = Expr::AggregateFunction(call.clone()).to_string();
        let usage = Usage::Aggregate(call.func.name().to_ascii_lowercase());
        let mut chosen = false;
        for argument in &call.params.args {
            let value = self.value(argument, schema, columns);
            // A NULL leaves its row out as FILTER does.
            let may_leave_out = argument.nullable(schema).unwrap_or(true);
            let chooses = |flow: &Flow| (flow.tested || may_leave_out) && !flow.grouped;
            chosen |= value.flows.iter().any(chooses);
            self.demand(&value, &usage, &through);
        }
        for key in &call.params.order_by {
            let value = self.value(&key.expr, schema, columns);
            self.demand(&value, &Usage::Order, &through);
        }
        if let Some(filter) = &call.params.filter {
            let value = self.condition(filter, schema, columns);
            chosen |= value.flows.iter().any(|flow| !flow.grouped);
        }
        if chosen {
            self.traced.choosing.insert(through);
        }
    }
}

/// The aggregate right below, whatever it is called.
fn below(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(node) => Some(node),
        LogicalPlan::SubqueryAlias(alias) => below(&alias.input),
        _ => None,
    }
}

/// Keys of `input` that `node` uses as arguments of its aggregates only, when nothing else of the
/// groups of `input` can be told: its own aggregates are only combined further.
fn only_aggregated(node: &Aggregate, input: &Aggregate) -> BTreeSet<usize> {
    let position = |expr: &Expr| match plain(expr) {
        Expr::Column(column) => node.input.schema().index_of_column(column).ok(),
        _ => None,
    };
    let keys = input.group_expr.len();
    let mut aggregated = BTreeSet::new();
    for expr in &node.aggr_expr {
        let Expr::AggregateFunction(call) = plain(expr) else { return BTreeSet::new() };
        let [argument] = call.params.args.as_slice() else { return BTreeSet::new() };
        let Some(index) = position(argument) else { return BTreeSet::new() };
        if index < keys && call.params.filter.is_none() {
            aggregated.insert(index);
        } else if !is_combined(call, input.aggr_expr.get(index.wrapping_sub(keys))) {
            return BTreeSet::new();
        }
    }
    for key in &node.group_expr {
        match position(key) {
            Some(index) => aggregated.remove(&index),
            None => return BTreeSet::new(),
        };
    }
    aggregated
}

/// Sums of sums, least of least, greatest of greatest: the same as over the rows themselves.
fn is_combined(call: &AggregateFunction, inner: Option<&Expr>) -> bool {
    let Some(Expr::AggregateFunction(inner)) = inner.map(plain) else { return false };
    let (outer, inner) = (call.func.name(), inner.func.name());
    call.params.filter.is_none() && outer == inner && matches!(outer, "sum" | "min" | "max")
}
