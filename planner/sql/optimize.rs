//! DataFusion's planner and optimizer, with total orders made explicit before it runs.

use super::context::Catalog;
use super::{PlanError, growth, subquery};
use crate::ir::Value;
use crate::rules::literal_value;
use crate::types::SqlType;
use arrow_schema::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{
    BinaryExpr, Expr, LogicalPlan, Operator, Projection, Sort, SortExpr, Volatility,
};
use datafusion_optimizer::OptimizerContext;
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::optimizer::Optimizer;
use datafusion_sql::planner::SqlToRel;
use datafusion_sql::sqlparser::ast::Statement;
use std::collections::HashMap;
use std::sync::Arc;

/// The rule that is left out.
const COMMON: &str = "common_sub_expression_eliminate";

/// A plan as the text says it, with total orders.
pub(super) struct Logical {
    pub(super) plan: LogicalPlan,
    /// The text has an ORDER BY at its top.
    pub(super) ordered: bool,
}

/// Plans a statement.
///
/// # Errors
/// [`PlanError::Sql`] for unknown names and types, [`PlanError::Unsupported`] for the rest.
pub(super) fn logical(statement: Statement, context: &Catalog) -> Result<Logical, PlanError> {
    let raw = SqlToRel::new(context).sql_statement_to_plan(statement)?;
    growth::check(&raw)?;
    refuse_volatile(&raw)?;
    refuse_placeholders(&raw)?;
    let ordered = is_ordered(&raw);
    let plan = raw.transform_down_with_subqueries(total_order).data()?;
    Ok(Logical { plan, ordered })
}

/// The plan with types resolved, optimized.
///
/// # Errors
/// As [`logical`].
pub(super) fn optimized(raw: LogicalPlan, context: &Catalog) -> Result<LogicalPlan, PlanError> {
    let config = Arc::new(context.options().clone());
    let plan = Analyzer::new().execute_and_check(raw, &config, |_, _| {})?;
    refuse_overflow(&plan)?;
    subquery::refuse_several_rows(&plan)?;
    let rules = OptimizerContext::new_with_config_options(config);
    let plan = optimizer().optimize(plan, &rules, |_, _| {})?;
    refuse_nul(&plan)?;
    subquery::refuse_left(&plan)?;
    Ok(plan)
}

/// DataFusion's rules without the one that computes what is used twice once: its names for that,
/// `__common_expr_1` and so on, would meet those that an owner's own optimizer gives, and hide them.
/// Circuits share what is equal by themselves.
fn optimizer() -> Optimizer {
    let rules = Optimizer::new().rules.into_iter();
    Optimizer::with_rules(rules.filter(|rule| rule.name() != COMMON).collect())
}

/// Types of the parameters of a statement by name (`$1`), as far as they are known.
///
/// # Errors
/// [`PlanError::Sql`] for unknown names and types.
pub(super) fn parameters(
    statement: Statement,
    context: &Catalog,
) -> Result<HashMap<String, Option<DataType>>, PlanError> {
    Ok(SqlToRel::new(context).sql_statement_to_plan(statement)?.get_parameter_types()?)
}

/// Parameters that nobody gave a value.
fn refuse_placeholders(plan: &LogicalPlan) -> Result<(), PlanError> {
    match plan.get_parameter_names()?.into_iter().min() {
        None => Ok(()),
        Some(name) => Err(PlanError::Sql(format!("parameter {name} has no value"))),
    }
}

/// Functions whose value differs between calls or parties.
fn refuse_volatile(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(ScalarFunction { func, .. }) = expr
                    && func.signature().volatility != Volatility::Immutable
                {
                    refused = Some(func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match refused {
        None => Ok(()),
        Some(name) => Err(PlanError::unsupported(format!(
            "function {name}, whose value may differ between parties"
        ))),
    }
}

/// A NUL character in a constant, which no column's text has: a row that comes to it would make its
/// owner stop.
fn refuse_nul(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Literal(value, _) = expr {
                    found |= value.try_as_str().flatten().is_some_and(|text| text.contains('\0'));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match found {
        false => Ok(()),
        true => Err(PlanError::unsupported("a NUL character in text")),
    }
}

/// Arithmetic between constants that exceeds its type: folding would wrap it.
fn refuse_overflow(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let exceeds = |(value, kind): (i128, DataType)| {
                    let range = SqlType::from_arrow(&kind).map(SqlType::range);
                    range.is_some_and(|(low, high)| value < low || high < value)
                };
                if constant(expr).is_some_and(exceeds) {
                    refused = Some(expr.to_string());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match refused {
        None => Ok(()),
        Some(text) => {
            Err(PlanError::Sql(format!("numeric overflow: {text} does not fit its type")))
        }
    }
}

/// The exact value of +, −, * over integer constants, and their type.
fn constant(expr: &Expr) -> Option<(i128, DataType)> {
    match expr {
        Expr::Alias(alias) => constant(&alias.expr),
        Expr::Literal(value, _) => {
            let kind = value.data_type();
            match literal_value(value)? {
                Value::Integer(value) if kind.is_integer() => Some((value, kind)),
                _ => None,
            }
        }
        Expr::Negative(inner) => {
            let (value, kind) = constant(inner)?;
            Some((value.checked_neg()?, kind))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let ((left, kind), (right, other)) = (constant(left)?, constant(right)?);
            let value = match op {
                Operator::Plus => left.checked_add(right),
                Operator::Minus => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                _ => None,
            };
            (kind == other).then_some((value?, kind))
        }
        _ => None,
    }
}

fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(Projection { input, .. }) => is_ordered(input),
        LogicalPlan::Limit(limit) => is_ordered(&limit.input),
        _ => false,
    }
}

/// Ties under ORDER BY are broken by the remaining output columns ascending, before LIMIT; a LIMIT
/// without ORDER BY takes the first rows by all columns. Every total order refines the order the
/// text asks for, so the result is one that SQL allows, and the same at every party.
fn total_order(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Sort(sort) => {
                let preferred = projection.expr.iter().filter_map(|expr| match expr {
                    Expr::Column(column) => Some(column.clone()),
                    _ => None,
                });
                let input = completed(sort.clone(), preferred.collect());
                let plan = Projection::try_new(projection.expr, Arc::new(input))?;
                Ok(Transformed::yes(LogicalPlan::Projection(plan)))
            }
            _ => Ok(Transformed::no(LogicalPlan::Projection(projection))),
        },
        LogicalPlan::Sort(sort) => Ok(Transformed::yes(completed(sort, Vec::new()))),
        LogicalPlan::Limit(mut limit) if !is_ordered(&limit.input) => {
            let sort = Sort { expr: Vec::new(), input: limit.input, fetch: None };
            limit.input = Arc::new(completed(sort, Vec::new()));
            Ok(Transformed::yes(LogicalPlan::Limit(limit)))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// The sort with every column of its input among its keys: those given first, then the others.
fn completed(mut sort: Sort, preferred: Vec<Column>) -> LogicalPlan {
    for column in preferred.into_iter().chain(sort.input.schema().columns()) {
        let column = Expr::Column(column);
        if !sort.expr.iter().any(|key| key.expr == column) {
            sort.expr.push(SortExpr::new(column, true, false));
        }
    }
    LogicalPlan::Sort(sort)
}
