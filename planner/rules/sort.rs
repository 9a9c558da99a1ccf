//! ORDER BY and LIMIT.
//!
//! Valid because the order is total on rows up to equality (the optimizer's input has every column
//! among the keys): the first l rows of a union are among the first l of each part, so owners keep
//! only those, and the joint sort picks from them.

use super::facts::plain_column;
use super::project::projected;
use super::scalar::Scope;
use super::{Joint, Part, Relation, Splitter};
use crate::ir::{Expr, Node, SortKey};
use crate::sql::PlanError;
use datafusion_expr::{FetchType, Limit, LogicalPlan, SkipType, Sort};
use std::sync::Arc;

impl Splitter<'_> {
    pub(super) fn sort(&mut self, node: &Sort) -> Result<Joint, PlanError> {
        let input = match self.relation(&node.input)? {
            Relation::Parts(parts) if node.fetch.is_some() => {
                let first = |part: Part| {
                    let input = Arc::new(part.plan);
                    let sort = Sort { expr: node.expr.clone(), input, fetch: node.fetch };
                    Part { party: part.party, plan: LogicalPlan::Sort(sort) }
                };
                Relation::Parts(parts.into_iter().map(first).collect())
            }
            input => input,
        };
        let input = self.joint(input)?;
        let fetch = node.fetch.map(rows).transpose()?;
        ordered(node, input, fetch)
    }

    pub(super) fn limit(&mut self, node: &Limit) -> Result<Joint, PlanError> {
        let refused = || PlanError::unsupported("LIMIT or OFFSET that is not a number");
        let SkipType::Literal(skip) = node.get_skip_type()? else { return Err(refused()) };
        let FetchType::Literal(fetch) = node.get_fetch_type()? else { return Err(refused()) };
        let (skip, fetch) = (rows(skip)?, fetch.map(rows).transpose()?);
        let input = self.relation(&node.input)?;
        let mut joint = self.joint(input)?;
        if !limited(&mut joint.node, skip, fetch) {
            let input = Box::new(joint.node);
            joint.node = Node::Sort { input, keys: Vec::new(), fetch, skip };
        }
        Ok(joint)
    }
}

/// The sort of a joint relation. Keys that are not columns are computed first, dropped after.
fn ordered(node: &Sort, input: Joint, fetch: Option<u32>) -> Result<Joint, PlanError> {
    let Joint { node: mut below, distinct } = input;
    let width = below.columns().len();
    let kinds: Vec<_> = below.columns().iter().map(|column| Some(column.kind)).collect();
    let scope = Scope { schema: node.input.schema(), columns: &kinds };
    let mut exprs: Vec<Expr> = (0..width).map(Expr::Column).collect();
    let mut keys = Vec::with_capacity(node.expr.len());
    for key in &node.expr {
        let column = match plain_column(&key.expr, scope.schema) {
            Some(column) => column,
            None => {
                exprs.push(scope.translate(&key.expr)?);
                exprs.len() - 1
            }
        };
        keys.push(SortKey { column, descending: !key.asc, nulls_first: key.nulls_first });
    }
    let mut names: Vec<String> = below.columns().iter().map(|c| c.name.clone()).collect();
    let is_widened = exprs.len() > width;
    if is_widened {
        names.extend((width..exprs.len()).map(|index| format!("key{index}")));
        below = projected(below, exprs, names.clone())?;
    } else {
        drop_implied(&mut keys, width);
    }
    let mut sorted = Node::Sort { input: Box::new(below), keys, fetch, skip: 0 };
    if is_widened {
        names.truncate(width);
        sorted = projected(sorted, (0..width).map(Expr::Column).collect(), names)?;
    }
    Ok(Joint { node: sorted, distinct })
}

/// Drops trailing keys that say what a sort does anyway with the columns that are not keys.
fn drop_implied(keys: &mut Vec<SortKey>, width: usize) {
    while let Some((last, rest)) = keys.split_last() {
        let others = (0..width).filter(|column| rest.iter().all(|key| key.column != *column));
        let is_first = others.min() == Some(last.column);
        let is_plain = !last.descending && !last.nulls_first;
        if !(is_plain && is_first && implied_after(keys, width)) {
            break;
        }
        keys.pop();
    }
}

/// Whether the columns that are not keys all come after the last key.
fn implied_after(keys: &[SortKey], width: usize) -> bool {
    let Some(last) = keys.last() else { return true };
    (0..width).filter(|c| keys.iter().all(|key| key.column != *c)).all(|c| c > last.column)
}

/// Puts LIMIT and OFFSET on the sort below projections. False when there is none.
fn limited(node: &mut Node, skip: u32, fetch: Option<u32>) -> bool {
    match node {
        Node::Project { input, schema, .. } => {
            let is_limited = limited(input, skip, fetch);
            schema.capacity = input.capacity();
            is_limited
        }
        Node::Sort { fetch: own, skip: own_skip, .. } => {
            let left = own.map(|own| own.saturating_sub(skip));
            *own = match (left, fetch) {
                (Some(left), Some(fetch)) => Some(left.min(fetch)),
                (left, fetch) => left.or(fetch),
            };
            *own_skip = own_skip.saturating_add(skip);
            true
        }
        _ => false,
    }
}

fn rows(number: usize) -> Result<u32, PlanError> {
    u32::try_from(number).map_err(|_| PlanError::unsupported("LIMIT or OFFSET above 2^32"))
}
