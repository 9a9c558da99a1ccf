//! Semi-joins (IN and EXISTS subqueries): A ⋉ B = π_A(A ⋈ δ(π_k B)).
//!
//! Valid because the distinct keys of B are a set: every row of A meets at most one of them, so the
//! inner join neither loses nor repeats a row of A.

use crate::rules::{Joint, Splitter};
use crate::sql::PlanError;
use datafusion_common::{DFSchema, NullEquality, ScalarValue};
use datafusion_expr::{
    Aggregate, Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection,
    lit,
};
use datafusion_functions::expr_fn::coalesce;
use std::sync::Arc;

impl Splitter<'_> {
    pub(super) fn semi_join(&mut self, node: &Join) -> Result<Joint, PlanError> {
        if node.filter.is_some() || node.on.is_empty() {
            return Err(PlanError::unsupported(
                "a semi-join across parties (IN, EXISTS, or a join of which one side only chooses \
                 rows) with a condition other than equality",
            ));
        }
        let (kept, probed, keys): (_, _, Vec<(Expr, Expr)>) = match node.join_type {
            JoinType::RightSemi => {
                let swapped = node.on.iter().map(|(l, r)| (r.clone(), l.clone()));
                (&node.right, &node.left, swapped.collect())
            }
            _ => (&node.left, &node.right, node.on.clone()),
        };
        let keys = match node.null_equality {
            NullEquality::NullEqualsNothing => keys,
            NullEquality::NullEqualsNull => null_safe(keys, kept.schema(), probed.schema())?,
        };
        let (own, other): (Vec<Expr>, Vec<Expr>) = keys.into_iter().unzip();
        let distinct = Aggregate::try_new(Arc::clone(probed), other, Vec::new())?;
        let set = Arc::new(LogicalPlan::Aggregate(distinct));
        let keys = set.schema().columns().into_iter().map(Expr::Column).collect();
        let joined = LogicalPlanBuilder::from(kept.as_ref().clone())
            .join_with_expr_keys(set.as_ref().clone(), JoinType::Inner, (own, keys), None)?
            .build()?;
        let columns = kept.schema().columns().into_iter().map(Expr::Column).collect();
        let plan = Projection::try_new(columns, Arc::new(joined))?;
        let relation = self.relation(&LogicalPlan::Projection(plan))?;
        self.joint(relation)
    }
}

/// Keys that are equal by = exactly when the given ones are or both are NULL: x and y become
/// COALESCE(x, 0), x IS NULL and COALESCE(y, 0), y IS NULL where both may be NULL.
pub(super) fn null_safe(
    keys: Vec<(Expr, Expr)>,
    left: &DFSchema,
    right: &DFSchema,
) -> Result<Vec<(Expr, Expr)>, PlanError> {
    let mut safe = Vec::with_capacity(keys.len());
    for (x, y) in keys {
        if !(x.nullable(left)? && y.nullable(right)?) {
            safe.push((x, y));
            continue;
        }
        let filled = |expr: &Expr, schema: &DFSchema| {
            let value = ScalarValue::new_default(&expr.get_type(schema)?)?;
            Ok::<_, PlanError>(coalesce(vec![expr.clone(), lit(value)]))
        };
        safe.push((filled(&x, left)?, filled(&y, right)?));
        safe.push((x.is_null(), y.is_null()));
    }
    Ok(safe)
}
