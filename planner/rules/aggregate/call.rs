//! Aggregate calls as combinations of partial COUNT, SUM, MIN and MAX.

use crate::ir::Expr;
use crate::rules::facts::{Facts, aggregate_call, average_kind, expr_kind, sum_range};
use crate::rules::scalar::{Scope, not, number};
use crate::sql::PlanError;
use crate::types::{ColumnType, SqlType};
use arrow_schema::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{
    Aggregate, AggregateUDF, Expr as Logical, ExprSchemable, LogicalPlan, cast, lit,
};
use datafusion_functions_aggregate::count::count_udaf;
use datafusion_functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion_functions_aggregate::sum::sum_udaf;
use std::sync::Arc;

/// The four functions that combine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Combined {
    Count,
    Sum,
    Min,
    Max,
}

/// A partial aggregate: function, argument (`None` counts rows) and FILTER.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) function: Combined,
    pub(super) argument: Option<Logical>,
    filter: Option<Logical>,
}

/// An aggregate of the query as positions of partials.
pub(super) enum Call {
    Partial(usize),
    Average { sum: usize, count: usize },
}

/// A query's aggregates.
pub(super) struct Calls {
    /// The partials they need, each once.
    pub(super) partials: Vec<Partial>,
    /// The aggregates in terms of the partials; a COUNT(DISTINCT …) comes after all of these.
    pub(super) calls: Vec<Call>,
    /// The expression whose distinct values are counted.
    pub(super) distinct: Option<Logical>,
}

/// The aggregates of a node.
pub(super) fn calls(node: &Aggregate) -> Result<Calls, PlanError> {
    let mut partials: Vec<Partial> = Vec::new();
    let mut position = |partial: Partial| {
        let known = partials.iter().position(|other| *other == partial);
        known.unwrap_or_else(|| {
            partials.push(partial);
            partials.len() - 1
        })
    };
    let (mut calls, mut distinct, mut counted) = (Vec::new(), None, Vec::new());
    for (index, expr) in node.aggr_expr.iter().enumerate() {
        if let Some(argument) = count_distinct(expr) {
            let is_other =
                |other: &Logical| origin(other, &node.input) != origin(argument, &node.input);
            if distinct.replace(argument).is_some_and(is_other) {
                let what = "COUNT(DISTINCT …) of several expressions over several parties' rows";
                return Err(PlanError::unsupported(what));
            }
            counted.push(index);
            calls.push(Call::Partial(0));
            continue;
        }
        let call = aggregate_call(expr).ok_or_else(|| {
            PlanError::unsupported(format!("aggregate {expr} over several parties' rows"))
        })?;
        let (name, argument) = checked(call, node.input.schema())?;
        let filter = call.params.filter.as_deref().cloned();
        let partial = |function, argument: Option<Logical>| Partial {
            function,
            argument,
            filter: filter.clone(),
        };
        calls.push(match (name, argument) {
            ("count", argument) => Call::Partial(position(partial(Combined::Count, argument))),
            ("sum", Some(argument)) => {
                Call::Partial(position(partial(Combined::Sum, Some(argument))))
            }
            ("min", Some(argument)) => {
                Call::Partial(position(partial(Combined::Min, Some(argument))))
            }
            ("max", Some(argument)) => {
                Call::Partial(position(partial(Combined::Max, Some(argument))))
            }
            ("avg", Some(argument)) => Call::Average {
                sum: position(partial(Combined::Sum, Some(argument.clone()))),
                count: position(partial(
                    Combined::Count,
                    argument.nullable(node.input.schema())?.then(|| uncast(argument)),
                )),
            },
            (name, _) => {
                let what = format!("aggregate {name} over several parties' rows");
                return Err(PlanError::unsupported(what));
            }
        });
    }
    // Its column follows those of the partials.
    for index in counted {
        if let Some(call) = calls.get_mut(index) {
            *call = Call::Partial(partials.len());
        }
    }
    Ok(Calls { partials, calls, distinct: distinct.cloned() })
}

/// What a cast is of, under its own name: it is NULL exactly when that is, and DataFusion gives both one
/// name, as it does to an expression that it has computed once for several aggregates.
fn uncast(expr: Logical) -> Logical {
    match expr {
        Logical::Cast(cast) => uncast(*cast.expr),
        Logical::Alias(alias) => uncast(*alias.expr),
        expr => expr,
    }
}

/// What a COUNT(DISTINCT …) without further modifiers counts.
fn count_distinct(expr: &Logical) -> Option<&Logical> {
    let call = aggregate_call(expr)?;
    let params = &call.params;
    let plain = params.filter.is_none() && params.order_by.is_empty();
    match params.args.as_slice() {
        [argument] if params.distinct && plain && call.func.name() == "count" => Some(argument),
        _ => None,
    }
}

/// The expression as the nodes below name it, so that one column under two names is recognised.
fn origin(expr: &Logical, input: &LogicalPlan) -> Logical {
    let below = match (expr, input) {
        (Logical::Alias(alias), _) => Some((alias.expr.as_ref().clone(), input)),
        (Logical::Column(name), LogicalPlan::Projection(node)) => {
            let index = node.schema.index_of_column(name).ok();
            let expr = index.and_then(|index| node.expr.get(index));
            expr.map(|expr| (expr.clone(), node.input.as_ref()))
        }
        (Logical::Column(name), LogicalPlan::SubqueryAlias(node)) => {
            let index = node.schema.index_of_column(name).ok();
            let column = index.and_then(|index| node.input.schema().columns().get(index).cloned());
            column.map(|column| (Logical::Column(column), node.input.as_ref()))
        }
        (Logical::Column(_), LogicalPlan::Filter(node)) => {
            Some((expr.clone(), node.input.as_ref()))
        }
        _ => None,
    };
    below.map_or_else(|| expr.clone(), |(expr, input)| origin(&expr, input))
}

/// Name and argument of a call without modifiers. COUNT of a value that is never NULL counts rows.
fn checked<'a>(
    call: &'a AggregateFunction,
    schema: &DFSchema,
) -> Result<(&'a str, Option<Logical>), PlanError> {
    let name = call.func.name();
    let params = &call.params;
    // DISTINCT changes nothing for MIN and MAX.
    if params.distinct && !matches!(name, "min" | "max") {
        let what = format!("{name}(DISTINCT …) over several parties' rows");
        return Err(PlanError::unsupported(what));
    }
    if !params.order_by.is_empty() || params.null_treatment.is_some() {
        return Err(PlanError::unsupported(format!("{name} with ORDER BY or NULLS inside")));
    }
    match params.args.as_slice() {
        [argument] if name == "count" && !argument.nullable(schema)? => Ok((name, None)),
        [argument] => Ok((name, Some(argument.clone()))),
        _ => Err(PlanError::unsupported(format!("{name} of several arguments"))),
    }
}

/// COUNT(*).
pub(super) fn count_rows() -> Result<Logical, PlanError> {
    Ok(Partial::rows().plain(count_udaf(), one()))
}

fn one() -> Logical {
    lit(ScalarValue::Int64(Some(1)))
}

impl Partial {
    /// COUNT(*).
    pub(super) fn rows() -> Self {
        Self { function: Combined::Count, argument: None, filter: None }
    }

    /// Header of the partial's column.
    pub(super) fn name(&self) -> String {
        let function = match self.function {
            Combined::Count => "count",
            Combined::Sum => "sum",
            Combined::Min => "min",
            Combined::Max => "max",
        };
        match &self.argument {
            None => format!("{function}(*)"),
            Some(argument) => format!("{function}({argument})"),
        }
    }

    /// The aggregate an owner computes. Sums that might exceed 64 bits are computed in decimals.
    pub(super) fn local(&self, schema: &DFSchema, known: &Facts) -> Result<Logical, PlanError> {
        let argument = self.argument.clone().unwrap_or_else(one);
        Ok(match self.function {
            Combined::Count => self.plain(count_udaf(), argument),
            Combined::Min => self.plain(min_udaf(), argument),
            Combined::Max => self.plain(max_udaf(), argument),
            Combined::Sum => {
                let kind = expr_kind(&argument, schema, &known.columns);
                let is_integer = kind.is_some_and(|kind| kind.sql.scale() == 0);
                let (low, high) = SqlType::BigInt.range();
                let fits = kind
                    .and_then(|kind| sum_range(&kind, known.capacity))
                    .is_some_and(|(l, h)| low <= l && h <= high);
                let is_wide = is_integer && !fits && !is_decimal(kind);
                let argument =
                    if is_wide { cast(argument, DataType::Decimal128(20, 0)) } else { argument };
                self.plain(sum_udaf(), argument)
            }
        })
    }

    fn plain(&self, function: Arc<AggregateUDF>, argument: Logical) -> Logical {
        let filter = self.filter.clone().map(Box::new);
        let arguments = vec![argument];
        Logical::AggregateFunction(AggregateFunction::new_udf(
            function,
            arguments,
            false,
            filter,
            Vec::new(),
            None,
        ))
    }

    /// Whether a part's partial is never NULL when the part has rows for the key.
    pub(super) fn is_filled(&self, schema: &DFSchema, known: &Facts) -> bool {
        let is_present = |argument: &Logical| {
            expr_kind(argument, schema, &known.columns).is_some_and(|kind| !kind.nullable)
        };
        self.function == Combined::Count
            || (self.filter.is_none() && self.argument.as_ref().is_some_and(is_present))
    }

    /// The value a secret row contributes: 1 or 0 for counts; NULL where FILTER excludes it.
    pub(super) fn per_row(&self, scope: &Scope) -> Result<Expr, PlanError> {
        let argument = self.argument.as_ref().map(|a| scope.translate(a)).transpose()?;
        let filter = self.filter.as_ref().map(|f| scope.translate(f)).transpose()?;
        let value = match (self.function, argument) {
            (Combined::Count, Some(argument)) if scope.kind(&argument)?.nullable => {
                let present = not(Expr::IsNull(Box::new(argument)));
                let otherwise = Box::new(number(0, SqlType::BigInt));
                Expr::Case { branches: vec![(present, number(1, SqlType::BigInt))], otherwise }
            }
            (Combined::Count, _) => number(1, SqlType::BigInt),
            (_, Some(argument)) => argument,
            (_, None) => return Err(PlanError::unsupported("an aggregate without argument")),
        };
        let Some(filter) = filter else { return Ok(value) };
        let otherwise = match self.function {
            Combined::Count => number(0, SqlType::BigInt),
            _ => Expr::Literal(None, scope.kind(&value)?.with_nullable(true)),
        };
        Ok(Expr::Case { branches: vec![(filter, value)], otherwise: Box::new(otherwise) })
    }
}

impl Call {
    /// The aggregate's value over keys and combined partials, in DataFusion's type.
    pub(super) fn finished(
        &self,
        keys: usize,
        kinds: &[ColumnType],
        values: &[Option<ColumnType>],
        arrow: &DataType,
    ) -> Result<Expr, PlanError> {
        let kind = |partial: usize| {
            let kind = kinds.get(keys + partial).copied();
            kind.ok_or_else(|| PlanError::unsupported("an aggregate without a column"))
        };
        match self {
            Self::Partial(partial) => {
                let column = Expr::Column(keys + partial);
                let own = kind(*partial)?;
                Ok(match SqlType::from_arrow(arrow) {
                    // The type follows DataFusion; the domain stays, and may exceed it.
                    Some(sql) if sql != own.sql && sql.is_comparable(own.sql) => {
                        Expr::Cast(Box::new(column), ColumnType { sql, ..own })
                    }
                    _ => column,
                })
            }
            Self::Average { sum, count } => {
                let refused = || PlanError::unsupported(format!("AVG of type {arrow}"));
                let sql = SqlType::from_arrow(arrow).ok_or_else(refused)?;
                let (sum_kind, count_kind) = (kind(*sum)?, kind(*count)?);
                // An average lies between the smallest and the largest value.
                let value = values.get(*sum).copied().flatten();
                let wide = value
                    .and_then(|value| average_kind(&value, sql))
                    .map_or(ColumnType::full(sql), ColumnType::clamped);
                let nullable = sum_kind.nullable || count_kind.low <= 0;
                Ok(Expr::AvgQuotient {
                    sum: Box::new(Expr::Column(keys + sum)),
                    count: Box::new(Expr::Column(keys + count)),
                    kind: wide.with_nullable(nullable),
                })
            }
        }
    }
}

fn is_decimal(kind: Option<ColumnType>) -> bool {
    kind.is_some_and(|kind| matches!(kind.sql, SqlType::Decimal { .. }))
}
