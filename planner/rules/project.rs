//! σ and π over secret rows.
//!
//! Valid because both act row by row with DataFusion's own expression semantics (`scalar`).

use super::Joint;
use super::facts::plain_column;
use super::scalar::Scope;
use crate::ir::{Column, Expr, Node, Schema};
use crate::policy::threshold;
use crate::sql::PlanError;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Filter, Projection};

/// The rows for which the predicate is true. Groups that are too small go first, so that their
/// number depends on nothing else that is asked of groups.
pub(super) fn filter(node: &Filter, input: Joint) -> Result<Joint, PlanError> {
    let kinds = input.kinds();
    let scope = Scope { schema: node.input.schema(), columns: &kinds };
    let Joint { node: mut rows, distinct } = input;
    let mut others = Vec::new();
    for conjunct in split_conjunction(&node.predicate) {
        match threshold(conjunct) {
            Some((number, size)) => {
                let predicate = scope.translate(&number.clone().gt_eq(size.clone()))?;
                rows = Node::Suppress { input: Box::new(rows), predicate };
            }
            None => others.push(conjunct.clone()),
        }
    }
    if let Some(others) = conjunction(others) {
        let predicate = scope.translate(&others)?;
        rows = Node::Filter { input: Box::new(rows), predicate };
    }
    Ok(Joint { node: rows, distinct })
}

/// Computed columns.
pub(super) fn project(node: &Projection, input: Joint) -> Result<Joint, PlanError> {
    let kinds = input.kinds();
    let scope = Scope { schema: node.input.schema(), columns: &kinds };
    let exprs = node.expr.iter().map(|e| scope.translate(e)).collect::<Result<Vec<_>, _>>()?;
    let names = node.schema.fields().iter().map(|field| field.name().clone()).collect();
    let position = |column: usize| {
        let input = node.input.schema();
        node.expr.iter().position(|expr| plain_column(expr, input) == Some(column))
    };
    let distinct = input
        .distinct
        .iter()
        .filter_map(|set| set.iter().map(|column| position(*column)).collect())
        .collect();
    Ok(Joint { node: projected(input.node, exprs, names)?, distinct })
}

/// The node's columns replaced by expressions; the node itself when they are its columns in order,
/// whatever they are called (names are for messages; the result's come with its description).
pub(super) fn projected(
    input: Node,
    exprs: Vec<Expr>,
    names: Vec<String>,
) -> Result<Node, PlanError> {
    let is_column = |(index, expr): (usize, &Expr)| *expr == Expr::Column(index);
    let is_same = exprs.len() == input.columns().len() && exprs.iter().enumerate().all(is_column);
    if is_same {
        return Ok(input);
    }
    let (input, exprs) = fused(input, exprs);
    let kinds: Vec<_> = input.columns().iter().map(|column| column.kind).collect();
    let mut columns = Vec::with_capacity(exprs.len());
    for (expr, name) in exprs.iter().zip(names) {
        let kind = expr.kind(&kinds).map_err(|error| PlanError::unsupported(error.to_string()))?;
        columns.push(Column { name, kind });
    }
    let schema = Schema { columns, capacity: input.capacity() };
    Ok(Node::Project { input: Box::new(input), exprs, schema })
}

/// Projections of plain columns below are skipped.
fn fused(input: Node, exprs: Vec<Expr>) -> (Node, Vec<Expr>) {
    if let Node::Project { input: below, exprs: inner, .. } = &input {
        let source = |column: usize| match inner.get(column) {
            Some(Expr::Column(column)) => Some(*column),
            _ => None,
        };
        let over = exprs.iter().map(|expr| expr.remapped(&source)).collect::<Option<Vec<_>>>();
        if let Some(over) = over {
            return fused(below.as_ref().clone(), over);
        }
        let picked: Option<Vec<Expr>> = exprs
            .iter()
            .map(|expr| match expr {
                Expr::Column(column) => inner.get(*column).cloned(),
                _ => None,
            })
            .collect();
        if let Some(picked) = picked {
            return fused(below.as_ref().clone(), picked);
        }
    }
    (input, exprs)
}
