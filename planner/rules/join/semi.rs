//! Semi-joins (IN and EXISTS subqueries): A ⋉ B = π_A(A ⋈ δ(π_k B)).
//!
//! Valid because the distinct keys of B are a set: every row of A meets at most one of them, so the
//! inner join neither loses nor repeats a row of A.

use crate::rules::{Joint, Splitter};
use crate::sql::PlanError;
use datafusion_expr::{
    Aggregate, Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection,
};
use std::sync::Arc;

impl Splitter<'_> {
    pub(super) fn semi_join(&mut self, node: &Join) -> Result<Joint, PlanError> {
        if node.filter.is_some() || node.on.is_empty() {
            return Err(PlanError::unsupported(
                "IN or EXISTS across parties with a condition other than equality",
            ));
        }
        let (kept, probed, keys): (_, _, Vec<(Expr, Expr)>) = match node.join_type {
            JoinType::RightSemi => {
                let swapped = node.on.iter().map(|(l, r)| (r.clone(), l.clone()));
                (&node.right, &node.left, swapped.collect())
            }
            _ => (&node.left, &node.right, node.on.clone()),
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
