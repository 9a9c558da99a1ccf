//! What is publicly known of a plaintext plan's result: the domain of each column, which columns
//! are distinct, and how many rows there can be.
//!
//! Everything follows from the declarations in the federation file and the text of the query. A
//! domain only ever contains the true one, so a smaller domain is an economy and never a promise
//! about data beyond what its owner declared; owners' results are validated against it on entry.

use super::Bounds;
use super::narrow::narrow;
use super::scalar::Scope;
use crate::catalog::Federation;
use crate::ir::Expr as Joint;
use crate::types::{ColumnType, SqlType};
use datafusion_common::{DFSchema, TableReference};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, FetchType, JoinType, Limit, LogicalPlan, SkipType,
};

/// Public facts of a plan's result.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Per column, its type; `None` when it has no encoding.
    pub(super) columns: Vec<Option<ColumnType>>,
    /// Sets of columns whose combination is distinct over the rows.
    pub(super) distinct: Vec<Vec<usize>>,
    /// Largest number of rows.
    pub(super) capacity: u32,
}

/// Facts of a plan whose scans are bound to holders ("party"."table").
pub(super) fn facts(plan: &LogicalPlan, bounds: &Bounds) -> Facts {
    match plan {
        LogicalPlan::TableScan(scan) => {
            scanned(&scan.table_name, scan.projection.as_deref(), scan.fetch, plan, bounds)
        }
        LogicalPlan::SubqueryAlias(alias) => facts(&alias.input, bounds),
        LogicalPlan::Filter(filter) => {
            let mut known = facts(&filter.input, bounds);
            for conjunct in split_conjunction(&filter.predicate) {
                narrow(conjunct, filter.input.schema(), &mut known.columns);
            }
            known
        }
        LogicalPlan::Projection(projection) => {
            let known = facts(&projection.input, bounds);
            projected(&projection.expr, projection.input.schema(), &known)
        }
        LogicalPlan::Aggregate(node) => aggregated(node, facts(&node.input, bounds), plan.schema()),
        LogicalPlan::Sort(sort) => limited(facts(&sort.input, bounds), sort.fetch),
        LogicalPlan::Limit(limit) => limited(facts(&limit.input, bounds), fetch(limit)),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let mut known = facts(input, bounds);
            known.distinct = vec![(0..known.columns.len()).collect()];
            known
        }
        LogicalPlan::Union(union) => {
            let mut inputs = union.inputs.iter().map(|input| facts(input, bounds));
            let first = inputs.next().unwrap_or_else(|| unknown(plan.schema(), 0));
            inputs.fold(Facts { distinct: Vec::new(), ..first }, |mut all, next| {
                all.capacity = all.capacity.saturating_add(next.capacity);
                for (column, other) in all.columns.iter_mut().zip(next.columns) {
                    *column = column.zip(other).and_then(|(a, b)| a.hull(b));
                }
                all
            })
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (facts(&join.left, bounds), facts(&join.right, bounds));
            joined(join, left, right)
        }
        LogicalPlan::Window(window) => {
            let mut known = facts(&window.input, bounds);
            let added = unknown(plan.schema(), 0).columns;
            known.columns.extend(added.into_iter().skip(known.columns.len()));
            known
        }
        LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
            let mut known = unknown(&empty.schema, 0);
            for (column, field) in known.columns.iter_mut().zip(empty.schema.fields()) {
                // No rows, no text: the shortest type holds them all.
                if field.data_type().is_string() {
                    *column = Some(ColumnType::full(SqlType::Varchar { bytes: 1 }));
                }
            }
            known
        }
        LogicalPlan::EmptyRelation(empty) => unknown(&empty.schema, 1),
        LogicalPlan::Values(values) => {
            unknown(&values.schema, u32::try_from(values.values.len()).unwrap_or(u32::MAX))
        }
        other => unknown(other.schema(), u32::MAX),
    }
}

/// Smallest and largest sum of 1 to `rows` values of the domain.
pub(super) fn sum_range(kind: &ColumnType, rows: u32) -> Option<(i128, i128)> {
    let rows = i128::from(rows.max(1));
    let low = kind.low.min(kind.low.checked_mul(rows)?);
    let high = kind.high.max(kind.high.checked_mul(rows)?);
    high.checked_sub(low)?;
    Some((low, high))
}

/// Largest number of distinct keys, or `None` above 2^32.
pub(super) fn key_count(keys: impl Iterator<Item = Option<ColumnType>>) -> Option<u32> {
    let mut product = 1u64;
    for key in keys {
        product = product.checked_mul(key?.cardinality()?)?;
    }
    u32::try_from(product).ok()
}

fn unknown(schema: &DFSchema, capacity: u32) -> Facts {
    let column = |field: &arrow_schema::FieldRef| {
        SqlType::from_arrow(field.data_type())
            .map(|sql| ColumnType::full(sql).with_nullable(field.is_nullable()))
    };
    let columns = schema.fields().iter().map(column).collect();
    Facts { columns, distinct: Vec::new(), capacity }
}

fn scanned(
    name: &TableReference,
    projection: Option<&[usize]>,
    fetch: Option<usize>,
    plan: &LogicalPlan,
    bounds: &Bounds,
) -> Facts {
    let federation: &Federation = bounds.federation;
    let table = federation.table(name.table());
    let holder = name.schema().and_then(|party| federation.party(party));
    let (Some(table), Some(party)) = (table, holder) else {
        return unknown(plan.schema(), u32::MAX);
    };
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let columns: Vec<_> =
        projection.unwrap_or(&all).iter().filter_map(|index| table.columns.get(*index)).collect();
    let distinct = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.unique && !column.kind.nullable)
        .map(|(index, _)| vec![index])
        .collect();
    let known = Facts {
        columns: columns.iter().map(|column| Some(column.kind)).collect(),
        distinct,
        capacity: bounds.capacity(table, party),
    };
    limited(known, fetch)
}

fn limited(mut known: Facts, fetch: Option<usize>) -> Facts {
    if let Some(fetch) = fetch.and_then(|fetch| u32::try_from(fetch).ok()) {
        known.capacity = known.capacity.min(fetch);
    }
    known
}

/// LIMIT plus nothing: rows after OFFSET.
fn fetch(limit: &Limit) -> Option<usize> {
    match (limit.get_fetch_type(), limit.get_skip_type()) {
        (Ok(FetchType::Literal(fetch)), Ok(SkipType::Literal(_))) => fetch,
        _ => None,
    }
}

fn projected(exprs: &[Expr], schema: &DFSchema, known: &Facts) -> Facts {
    let columns = exprs.iter().map(|expr| expr_kind(expr, schema, &known.columns)).collect();
    let position =
        |column: usize| exprs.iter().position(|expr| plain_column(expr, schema) == Some(column));
    let distinct = known
        .distinct
        .iter()
        .filter_map(|set| set.iter().map(|column| position(*column)).collect())
        .collect();
    Facts { columns, distinct, capacity: known.capacity }
}

/// The input column an expression passes on unchanged.
pub(super) fn plain_column(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => plain_column(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}

/// Type and domain of an expression over plaintext rows.
pub(super) fn expr_kind(
    expr: &Expr,
    schema: &DFSchema,
    columns: &[Option<ColumnType>],
) -> Option<ColumnType> {
    if let Some(column) = plain_column(expr, schema) {
        return columns.get(column).copied().flatten();
    }
    let arrow = expr.get_type(schema).ok()?;
    let scope = Scope { schema, columns };
    let exact = scope
        .translate(expr)
        .ok()
        .and_then(|node: Joint| scope.kind(&node).ok())
        .filter(|kind| kind.sql.arrow() == arrow && kind.fits_sql_type());
    if exact.is_some() {
        return exact;
    }
    let nullable = is_nullable(expr, schema);
    if arrow.is_string() {
        return shortened(expr, schema, columns).map(|kind| kind.with_nullable(nullable));
    }
    SqlType::from_arrow(&arrow).map(|sql| ColumnType::full(sql).with_nullable(nullable))
}

/// Built-in functions that give NULL for a NULL argument only, and do not say so themselves.
const STRICT: [&str; 16] = [
    "upper",
    "lower",
    "btrim",
    "ltrim",
    "rtrim",
    "substr",
    "left",
    "right",
    "character_length",
    "octet_length",
    "strpos",
    "ascii",
    "starts_with",
    "replace",
    "date_part",
    "concat",
];

fn is_nullable(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => is_nullable(&alias.expr, schema),
        Expr::Cast(cast) => is_nullable(&cast.expr, schema),
        Expr::ScalarFunction(call) if STRICT.contains(&call.func.name()) => {
            call.args.iter().any(|argument| is_nullable(argument, schema))
        }
        _ => expr.nullable(schema).unwrap_or(true),
    }
}

fn shortened(expr: &Expr, schema: &DFSchema, columns: &[Option<ColumnType>]) -> Option<ColumnType> {
    let bytes = super::length::text_bytes(expr, schema, columns)?;
    Some(ColumnType::full(SqlType::Varchar { bytes: bytes.max(1) }))
}

fn aggregated(node: &Aggregate, known: Facts, output: &DFSchema) -> Facts {
    let (keys, schema) = (&node.group_expr, node.input.schema());
    let fallback = unknown(output, 0).columns;
    if keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        return Facts { columns: fallback, distinct: Vec::new(), capacity: u32::MAX };
    }
    let mut columns: Vec<Option<ColumnType>> =
        keys.iter().map(|key| expr_kind(key, schema, &known.columns)).collect();
    let capacity = if keys.is_empty() {
        1
    } else {
        known.capacity.min(key_count(columns.iter().copied()).unwrap_or(u32::MAX))
    };
    let is_grouped = !keys.is_empty();
    for (index, aggregate) in node.aggr_expr.iter().enumerate() {
        let kind = aggregate_kind(aggregate, schema, &known, is_grouped);
        columns.push(kind.or_else(|| fallback.get(keys.len() + index).copied().flatten()));
    }
    Facts { columns, distinct: vec![(0..keys.len()).collect()], capacity }
}

/// Domain of an aggregate over at most `known.capacity` rows; `None` for those not analysed.
fn aggregate_kind(
    expr: &Expr,
    schema: &DFSchema,
    known: &Facts,
    is_grouped: bool,
) -> Option<ColumnType> {
    let call = aggregate_call(expr)?;
    let arrow = expr.get_type(schema).ok()?;
    if call.func.name() == "count" {
        let is_counted = |argument: &Expr| {
            matches!(argument, Expr::Literal(value, _) if !value.is_null())
                || expr_kind(argument, schema, &known.columns).is_some_and(|kind| !kind.nullable)
        };
        let is_positive =
            is_grouped && call.params.filter.is_none() && call.params.args.iter().all(is_counted);
        let high = i128::from(known.capacity.max(1));
        return Some(ColumnType::between(SqlType::BigInt, i128::from(is_positive), high));
    }
    let [argument] = call.params.args.as_slice() else { return None };
    let kind = expr_kind(argument, schema, &known.columns)?;
    let nullable = kind.nullable || call.params.filter.is_some() || !is_grouped;
    match call.func.name() {
        "min" | "max" => Some(kind.with_nullable(nullable)),
        "sum" => {
            let sql = SqlType::from_arrow(&arrow)?;
            let (low, high) = sum_range(&kind, known.capacity)?;
            let sum = ColumnType::between(sql, low, high).with_nullable(nullable);
            (sql.scale() == kind.sql.scale()).then(|| sum.clamped())
        }
        "avg" => {
            let sql = SqlType::from_arrow(&arrow)?;
            Some(average_kind(&kind, sql)?.with_nullable(nullable))
        }
        _ => None,
    }
}

/// Domain of an average in `sql`: that of the values, at the average's scale.
pub(super) fn average_kind(kind: &ColumnType, sql: SqlType) -> Option<ColumnType> {
    let more = u32::try_from(sql.scale().checked_sub(kind.sql.scale())?).ok()?;
    let unit = 10i128.checked_pow(more)?;
    Some(ColumnType::between(sql, kind.low.checked_mul(unit)?, kind.high.checked_mul(unit)?))
}

/// The aggregate call below aliases.
pub(super) fn aggregate_call(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::Alias(alias) => aggregate_call(&alias.expr),
        Expr::AggregateFunction(call) => Some(call),
        _ => None,
    }
}

fn joined(join: &datafusion_expr::Join, left: Facts, right: Facts) -> Facts {
    let keys = |side: &LogicalPlan, pick: fn(&(Expr, Expr)) -> &Expr| -> Vec<usize> {
        join.on.iter().filter_map(|pair| plain_column(pick(pair), side.schema())).collect()
    };
    let is_unique = |known: &Facts, keys: &[usize]| {
        known.distinct.iter().any(|set| set.iter().all(|column| keys.contains(column)))
    };
    let unique_left = is_unique(&left, &keys(&join.left, |pair| &pair.0));
    let unique_right = is_unique(&right, &keys(&join.right, |pair| &pair.1));
    let shift = left.columns.len();
    let shifted = |set: &Vec<usize>| set.iter().map(|column| column + shift).collect();
    let optional = |columns: &[Option<ColumnType>], is_optional: bool| {
        let column = |kind: &Option<ColumnType>| {
            kind.map(|kind| kind.with_nullable(kind.nullable || is_optional))
        };
        columns.iter().map(column).collect::<Vec<_>>()
    };
    let (outer_left, outer_right) = match join.join_type {
        JoinType::Inner => (false, false),
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        JoinType::Full => (true, true),
        JoinType::LeftSemi | JoinType::LeftAnti => return left,
        JoinType::RightSemi | JoinType::RightAnti => return right,
        JoinType::LeftMark => {
            let mut marked = left;
            marked.columns.push(Some(ColumnType::boolean().with_nullable(true)));
            return marked;
        }
        _ => return unknown(&join.schema, u32::MAX),
    };
    let mut columns = optional(&left.columns, outer_left);
    columns.extend(optional(&right.columns, outer_right));
    let mut distinct: Vec<Vec<usize>> = Vec::new();
    if unique_right && !outer_left {
        distinct.extend(left.distinct.clone());
    }
    if unique_left && !outer_right {
        distinct.extend(right.distinct.iter().map(shifted));
    }
    let matches = match (unique_left, unique_right) {
        (true, true) => left.capacity.min(right.capacity),
        (false, true) => left.capacity,
        (true, false) => right.capacity,
        (false, false) => left.capacity.saturating_mul(right.capacity),
    };
    let unmatched = |is_outer: bool, rows: u32| if is_outer { rows } else { 0 };
    let capacity = matches
        .saturating_add(unmatched(outer_right, left.capacity))
        .saturating_add(unmatched(outer_left, right.capacity));
    Facts { columns, distinct, capacity }
}
