//! GROUP BY, aggregates and DISTINCT.
//!
//! Over a bag union of parts: every owner aggregates its own rows, and the joint node combines the
//! partial results of equal keys. Valid because COUNT and SUM of a union are the sums of the parts'
//! COUNTs and SUMs, MIN and MAX likewise, and AVG is the quotient of SUM and COUNT; a part has at
//! most one row per key. Without keys, an owner without rows contributes no row, and the joint node
//! still gives exactly one.
//! Over secret rows the same combining functions apply to the rows themselves, with 1 for a count.

mod call;
mod distinct;

use super::border::OneRow;
use super::facts::{Facts, expr_kind, facts, key_count, sum_range};
use super::project::projected;
use super::scalar::{Scope, number};
use super::{Joint, Part, Relation, Splitter};
use crate::ir::{self, AggregateFunction, Column, Expr, Node, Schema};
use crate::sql::PlanError;
use crate::types::{ColumnType, SqlType};
use call::{Call, Calls, Combined, Partial, calls};
use datafusion_common::ScalarValue;
use datafusion_expr::{Aggregate, Expr as Logical, Filter, LogicalPlan, Projection, lit};
use std::sync::Arc;

impl Splitter<'_> {
    pub(super) fn aggregate(
        &mut self,
        node: &Aggregate,
        plan: &LogicalPlan,
    ) -> Result<Joint, PlanError> {
        if node.group_expr.iter().any(|key| matches!(key, Logical::GroupingSet(_))) {
            return Err(PlanError::unsupported("GROUPING SETS over several parties' rows"));
        }
        let Calls { partials, calls, distinct } = calls(node)?;
        let keys = node.group_expr.len();
        let inner = distinct.as_ref().map(|d| distinct::by_value(node, d)).transpose()?;
        let node = inner.as_ref().unwrap_or(node);
        let (combined, values) = match self.relation(&node.input)? {
            Relation::Parts(parts) => {
                let known: Vec<Facts> =
                    parts.iter().map(|part| facts(&part.plan, &self.bounds)).collect();
                let values = values(node, &partials, known.iter().map(|k| k.columns.as_slice()));
                (self.over_parts(node, parts, &known, &partials)?, values)
            }
            Relation::Joint(input) => {
                let values = values(node, &partials, [input.kinds().as_slice()].into_iter());
                (over_rows(node, input, &partials)?, values)
            }
        };
        let combined = match distinct {
            Some(_) => distinct::counted(combined, keys, &partials)?,
            None => combined,
        };
        finished(combined, keys, &calls, &values, plan)
    }

    /// Partial aggregates at the owners, combined.
    fn over_parts(
        &mut self,
        node: &Aggregate,
        parts: Vec<Part>,
        inputs: &[Facts],
        partials: &[Partial],
    ) -> Result<Node, PlanError> {
        let keys = node.group_expr.len();
        let mut own = Vec::with_capacity(parts.len());
        let mut known = Vec::with_capacity(parts.len());
        for (part, input) in parts.into_iter().zip(inputs) {
            let plan = partial_plan(node, part.plan, partials, input)?;
            let mut result = facts(&plan, &self.bounds);
            result.capacity = if keys == 0 { 1 } else { result.capacity };
            // A part without rows has no partial row, so nothing is NULL but for NULL arguments.
            for (kind, partial) in result.columns.iter_mut().skip(keys).zip(partials) {
                let is_filled = partial.is_filled(node.input.schema(), input);
                *kind = kind.map(|kind| kind.with_nullable(kind.nullable && !is_filled));
            }
            known.push(result);
            own.push(Part { party: part.party, plan });
        }
        let ranges: Vec<ColumnType> = (0..partials.len())
            .map(|index| combined_range(keys + index, partials.get(index), &known))
            .collect::<Option<_>>()
            .ok_or_else(|| PlanError::unsupported("a sum that needs more than 127 bits"))?;
        let one_row = if keys == 0 { OneRow::Yes } else { OneRow::Unknown };
        let input = self.enter(own, known, one_row)?.node;
        let arguments = (keys..keys + partials.len()).collect();
        combine(input, keys, partials, arguments, ranges)
    }
}

/// Domain of each partial's argument over all inputs.
fn values<'a>(
    node: &Aggregate,
    partials: &[Partial],
    inputs: impl Iterator<Item = &'a [Option<ColumnType>]> + Clone,
) -> Vec<Option<ColumnType>> {
    let schema = node.input.schema();
    let domain = |partial: &Partial| {
        let argument = partial.argument.as_ref()?;
        inputs
            .clone()
            .map(|columns| expr_kind(argument, schema, columns))
            .reduce(|all, next| all?.hull(next?))
            .flatten()
    };
    partials.iter().map(domain).collect()
}

/// The owner's plan: keys and partial aggregates; without keys, no row when there are no rows.
fn partial_plan(
    node: &Aggregate,
    input: LogicalPlan,
    partials: &[Partial],
    known: &Facts,
) -> Result<LogicalPlan, PlanError> {
    let mut exprs: Vec<Logical> = partials
        .iter()
        .map(|partial| partial.local(node.input.schema(), known))
        .collect::<Result<_, _>>()?;
    if !node.group_expr.is_empty() {
        let plan = Aggregate::try_new(Arc::new(input), node.group_expr.clone(), exprs)?;
        return Ok(LogicalPlan::Aggregate(plan));
    }
    exprs.push(call::count_rows()?.alias("rows in part"));
    let plan =
        Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), Vec::new(), exprs)?));
    let mut columns = plan.schema().columns();
    let rows = columns.pop().ok_or_else(|| PlanError::unsupported("an empty aggregate"))?;
    let predicate = Logical::Column(rows).gt(lit(ScalarValue::Int64(Some(0))));
    let filter = Filter::try_new(predicate, plan)?;
    let exprs = columns.into_iter().map(Logical::Column).collect();
    let projection = Projection::try_new(exprs, Arc::new(LogicalPlan::Filter(filter)))?;
    Ok(LogicalPlan::Projection(projection))
}

/// Domain of a combined partial: over any non-empty choice of owners.
fn combined_range(column: usize, partial: Option<&Partial>, known: &[Facts]) -> Option<ColumnType> {
    let mut kinds = known.iter().map(|facts| facts.columns.get(column).copied().flatten());
    let first = kinds.next()??;
    let is_sum = matches!(partial?.function, Combined::Count | Combined::Sum);
    kinds.try_fold(first, |all, next| {
        let next = next?;
        let hull = all.hull(next)?;
        if !is_sum {
            return Some(hull);
        }
        let low = hull.low.min(all.low.checked_add(next.low)?);
        let high = hull.high.max(all.high.checked_add(next.high)?);
        high.checked_sub(low)?;
        Some(ColumnType { low, high, ..hull })
    })
}

/// The combining functions over rows themselves.
fn over_rows(node: &Aggregate, input: Joint, partials: &[Partial]) -> Result<Node, PlanError> {
    let kinds = input.kinds();
    let scope = Scope { schema: node.input.schema(), columns: &kinds };
    let rows = input.node.capacity();
    let mut exprs: Vec<Expr> =
        node.group_expr.iter().map(|key| scope.translate(key)).collect::<Result<_, _>>()?;
    let mut names: Vec<String> =
        node.group_expr.iter().map(|key| key.schema_name().to_string()).collect();
    let keys = exprs.len();
    let mut arguments = Vec::with_capacity(partials.len());
    let mut ranges = Vec::with_capacity(partials.len());
    for partial in partials {
        let expr = partial.per_row(&scope)?;
        let kind = scope.kind(&expr)?;
        let (low, high) = match partial.function {
            Combined::Count | Combined::Sum => sum_range(&kind, rows)
                .ok_or_else(|| PlanError::unsupported("a sum that needs more than 127 bits"))?,
            Combined::Min | Combined::Max => (kind.low, kind.high),
        };
        ranges.push(ColumnType { low, high, ..kind });
        let position = exprs.iter().position(|other| *other == expr);
        arguments.push(position.unwrap_or(exprs.len()));
        if position.is_none() {
            names.push(partial.name());
            exprs.push(expr);
        }
    }
    // A row without columns still counts: keep one.
    if exprs.is_empty() {
        exprs.push(number(1, SqlType::BigInt));
        names.push("1".to_owned());
    }
    let input = projected(input.node, exprs, names)?;
    combine(input, keys, partials, arguments, ranges)
}

/// The joint aggregate over keys 0..`keys` and one argument column per partial.
fn combine(
    input: Node,
    keys: usize,
    partials: &[Partial],
    arguments: Vec<usize>,
    ranges: Vec<ColumnType>,
) -> Result<Node, PlanError> {
    let mut columns: Vec<Column> = input.columns().iter().take(keys).cloned().collect();
    let groups = key_count(columns.iter().map(|column| Some(column.kind)));
    let capacity = if keys == 0 { 1 } else { input.capacity().min(groups.unwrap_or(u32::MAX)) };
    let mut aggregates = Vec::with_capacity(partials.len());
    for ((partial, argument), range) in partials.iter().zip(arguments).zip(ranges) {
        let function = match partial.function {
            Combined::Count => AggregateFunction::Sum { zero_if_empty: true },
            Combined::Sum => AggregateFunction::Sum { zero_if_empty: false },
            Combined::Min => AggregateFunction::Min,
            Combined::Max => AggregateFunction::Max,
        };
        let kind = match partial.function {
            Combined::Count => ColumnType {
                low: if keys == 0 { range.low.min(0) } else { range.low },
                nullable: false,
                ..range
            },
            _ => range.with_nullable(range.nullable || keys == 0),
        };
        columns.push(Column { name: partial.name(), kind });
        aggregates.push(ir::Aggregate { function, argument });
    }
    let schema = Schema { columns, capacity };
    let keys = (0..keys).collect();
    Ok(Node::Aggregate { input: Box::new(input), keys, aggregates, schema })
}

/// The plan's own columns from keys and combined partials.
fn finished(
    node: Node,
    keys: usize,
    calls: &[Call],
    values: &[Option<ColumnType>],
    plan: &LogicalPlan,
) -> Result<Joint, PlanError> {
    let kinds: Vec<ColumnType> = node.columns().iter().map(|column| column.kind).collect();
    let mut exprs: Vec<Expr> = (0..keys).map(Expr::Column).collect();
    for (call, field) in calls.iter().zip(plan.schema().fields().iter().skip(keys)) {
        exprs.push(call.finished(keys, &kinds, values, field.data_type())?);
    }
    let names = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let node = projected(node, exprs, names)?;
    Ok(Joint { node, distinct: vec![(0..keys).collect()] })
}
