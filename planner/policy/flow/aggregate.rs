//! What flows into groups and aggregate functions.

use super::rows::ungrouped;
use super::{Beside, Column, Flow, Shape, Table, Tracer, plain};
use crate::policy::usage::Usage;
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use std::collections::BTreeSet;

impl Tracer {
    /// Keys group, arguments are aggregated. Keys in `inner` exist only for the aggregates above
    /// (COUNT(DISTINCT x) is planned as a count over groups by x), which say what they are used for.
    pub(super) fn aggregate(&mut self, node: &Aggregate, inner: &BTreeSet<usize>) -> Vec<Column> {
        let (columns, rows) = match below(&node.input) {
            Some(input) => {
                let only = only_aggregated(node, input);
                let rows = if only.is_empty() { BTreeSet::new() } else { ungrouped(&input.input) };
                (self.aggregate(input, &only), rows)
            }
            None => (self.relation(&node.input), ungrouped(&node.input)),
        };
        let schema = node.input.schema();
        let scan = self.fresh();
        let mut output = Vec::with_capacity(node.schema.fields().len());
        for (index, key) in node.group_expr.iter().enumerate() {
            let value = self.value(key, schema, &columns);
            if inner.contains(&index) {
                output.push(value.of_scan(scan));
            } else {
                self.demand(&value, &Usage::GroupBy, &format!("GROUP BY {}", plain(key)));
                output.push(value.grouped(scan));
            }
        }
        for expr in &node.aggr_expr {
            match plain(expr) {
                Expr::AggregateFunction(call) => self.call(call, node, &columns, &rows),
                other => self.unknown(other.to_string()),
            }
        }
        // Beside the rows that a single group is joined with, its values are constants.
        let made = if node.group_expr.is_empty() { Column::default() } else { Column::made() };
        output.resize(node.schema.fields().len(), made);
        output
    }

    /// One aggregate function, over groups of these tables' rows.
    fn call(
        &mut self,
        call: &AggregateFunction,
        node: &Aggregate,
        columns: &[Column],
        rows: &BTreeSet<Table>,
    ) {
        let schema = node.input.schema();
        let through = Expr::AggregateFunction(call.clone()).to_string();
        let name = call.func.name().to_ascii_lowercase();
        let adds_up = matches!(name.as_str(), "sum" | "avg" | "count");
        // Of equal values one is left; COUNT(DISTINCT …) is judged by what it counts.
        let is_distinct =
            call.params.distinct || call.params.args.iter().any(|at| is_key(at, node));
        let mut chooses = is_distinct && !rows.is_empty() && matches!(name.as_str(), "sum" | "avg");
        self.sums(call, schema, columns);
        for argument in &call.params.args {
            let mut value = self.value(argument, schema, columns);
            // The least of -x is the greatest x, and of (x - 3) * (x - 3) the one next to 3.
            if !adds_up && value.shape > Shape::InOrder {
                value = value.tested();
            }
            // A NULL leaves its row out as FILTER does. What another aggregate has made is not of
            // rows any more, and NULL for whole groups.
            let is_of_rows = !is_output(argument, node);
            let may_leave_out = argument.nullable(schema).unwrap_or(true);
            chooses |= is_of_rows && (value.shape == Shape::Choice || may_leave_out);
            if is_of_rows && name != "count" {
                self.beside(&value, rows, &through);
            }
            self.demand(&value, &Usage::Aggregate(name.clone()), &through);
        }
        for key in &call.params.order_by {
            let value = self.value(&key.expr, schema, columns);
            self.demand(&value, &Usage::Order, &through);
        }
        if let Some(filter) = &call.params.filter {
            self.condition(filter, schema, columns);
            chooses = true;
        }
        if chooses {
            let choosing = rows.iter().map(|table| (table.clone(), through.clone()));
            self.traced.choosing.extend(choosing);
        }
    }

    /// Notes values of other tables, and values that the text has made, among the rows of a table.
    fn beside(&mut self, value: &Column, rows: &BTreeSet<Table>, through: &str) {
        let of = |flow: &Flow| (flow.origin.holder.clone(), flow.origin.table.clone());
        let tables: BTreeSet<Table> = value.flows.iter().map(of).collect();
        for row in rows {
            let others = tables.iter().filter(|table| *table != row).cloned().map(Some);
            for values in others.chain(value.made.then_some(None)) {
                let (rows, through) = (row.clone(), through.to_owned());
                self.traced.beside.insert(Beside { rows, values, through });
            }
        }
    }
}

/// Whether an argument is what the aggregate right below groups by: an aggregate of distinct values
/// looks so.
fn is_key(argument: &Expr, node: &Aggregate) -> bool {
    let (Some(input), Expr::Column(column)) = (below(&node.input), plain(argument)) else {
        return false;
    };
    let index = node.input.schema().index_of_column(column);
    index.is_ok_and(|index| index < input.group_expr.len())
}

/// Whether an argument is what the aggregate right below has computed.
fn is_output(argument: &Expr, node: &Aggregate) -> bool {
    let (Some(input), Expr::Column(column)) = (below(&node.input), plain(argument)) else {
        return false;
    };
    let index = node.input.schema().index_of_column(column);
    index.is_ok_and(|index| index >= input.group_expr.len())
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
