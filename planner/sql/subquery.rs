//! Subqueries that DataFusion would answer with something else than SQL says, or not at all.

use super::PlanError;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, LogicalPlan};

/// Refuses scalar subqueries that may have several rows: as joins, which they become, they would
/// repeat the rows around them, and whether they have several is secret. Correlated ones are
/// DataFusion's to judge: it takes aggregates only.
///
/// # Errors
/// [`PlanError::Unsupported`] naming the first of them.
pub(super) fn refuse_several_rows(plan: &LogicalPlan) -> Result<(), PlanError> {
    refuse(plan, |expr| match expr {
        Expr::ScalarSubquery(node)
            if node.outer_ref_columns.is_empty()
                && node.subquery.max_rows().is_none_or(|rows| rows > 1) =>
        {
            Some("a scalar subquery that may have more than one row (aggregate it, or LIMIT 1)")
        }
        _ => None,
    })
}

/// Refuses what is left of subqueries in a plan that has been optimized: those in WHERE are joins by
/// now, others nobody can run.
///
/// # Errors
/// As [`refuse_several_rows`].
pub(super) fn refuse_left(plan: &LogicalPlan) -> Result<(), PlanError> {
    refuse(plan, |expr| match expr {
        Expr::InSubquery(_) => {
            Some("an IN subquery outside of the conditions that WHERE joins by AND")
        }
        Expr::Exists(_) => {
            Some("an EXISTS subquery outside of the conditions that WHERE joins by AND")
        }
        Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Some("a subquery here (put it into FROM, or use WITH)")
        }
        Expr::OuterReferenceColumn(..) => {
            Some("a subquery that refers to the query around it here")
        }
        _ => None,
    })
}

/// The first expression that `why` has something against.
fn refuse(
    plan: &LogicalPlan,
    why: impl Fn(&Expr) -> Option<&'static str>,
) -> Result<(), PlanError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                refused = refused.or_else(|| why(expr));
                Ok(match refused {
                    None => TreeNodeRecursion::Continue,
                    Some(_) => TreeNodeRecursion::Stop,
                })
            })
        })
    })?;
    refused.map_or(Ok(()), |what| Err(PlanError::unsupported(what)))
}
