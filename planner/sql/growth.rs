//! How large expressions become once what they are made of is in place: optimizers move conditions
//! below the columns that they are about, and a column that is used twice, made of one that is used
//! twice, and so on, doubles with every line of the text.

use super::PlanError;
use super::bounds::too_large;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::{Expr, LogicalPlan, Subquery};

/// Operators and columns of an expression with all that it is made of.
const GROWN_MAX: usize = 2_000;

/// Functions that use an operand twice.
const TWICE: [&str; 5] = ["abs", "coalesce", "nullif", "nvl", "nvl2"];

/// Checks a plan as the text says it.
///
/// # Errors
/// [`PlanError::Unsupported`] for expressions that grow too large.
pub(super) fn check(plan: &LogicalPlan) -> std::result::Result<(), PlanError> {
    let mut largest = 0;
    sizes(plan, &mut largest)?;
    match largest > GROWN_MAX {
        true => Err(too_large("operators in one expression, columns in place", GROWN_MAX)),
        false => Ok(()),
    }
}

/// Sizes of what the columns of `plan` are made of, and the largest expression in it so far.
fn sizes(plan: &LogicalPlan, largest: &mut usize) -> Result<Vec<usize>> {
    let mut inputs = Vec::new();
    for input in plan.inputs() {
        inputs.push(sizes(input, largest)?);
    }
    let below: Vec<usize> = inputs.concat();
    let mut schema = DFSchema::empty();
    for input in plan.inputs() {
        schema.merge(input.schema());
    }
    let mut grown = Vec::new();
    plan.apply_expressions(|expr| {
        let size = size(expr, &schema, &below, largest)?;
        *largest = size.max(*largest);
        grown.push(size);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let columns = plan.schema().fields().len();
    Ok(match plan {
        LogicalPlan::Projection(_) => grown,
        // Nothing moves below an aggregate but conditions on its keys.
        LogicalPlan::Aggregate(node) => {
            let keys = grown.into_iter().take(node.group_expr.len());
            keys.chain(std::iter::repeat(1)).take(columns).collect()
        }
        LogicalPlan::Union(_) => {
            let widest = |column: usize| inputs.iter().filter_map(|sizes| sizes.get(column)).max();
            (0..columns).map(|column| widest(column).copied().unwrap_or(1)).collect()
        }
        // The columns of the inputs, perhaps with others behind them.
        _ => below.into_iter().chain(std::iter::repeat(1)).take(columns).collect(),
    })
}

/// Size of an expression over columns of these sizes.
fn size(expr: &Expr, schema: &DFSchema, below: &[usize], largest: &mut usize) -> Result<usize> {
    let own = match expr {
        Expr::Column(column) => {
            let index = schema.maybe_index_of_column(column);
            return Ok(index.and_then(|index| below.get(index)).copied().unwrap_or(1));
        }
        Expr::ScalarSubquery(Subquery { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery: Subquery { subquery, .. }, .. })
        | Expr::Exists(Exists { subquery: Subquery { subquery, .. }, .. }) => {
            sizes(subquery, largest)?.into_iter().max().unwrap_or(1)
        }
        // Lists of constants stay lists.
        Expr::Literal(..) => 0,
        _ => 1,
    };
    // Each part is looked at once, however deep it lies.
    let (mut parts, mut first) = (0usize, None);
    expr.apply_children(|part| {
        let part = size(part, schema, below, largest)?;
        first.get_or_insert(part);
        parts = parts.saturating_add(part);
        Ok(TreeNodeRecursion::Continue)
    })?;
    // Some are written with an operand twice where they meet other parties' rows.
    let times = match expr {
        Expr::ScalarFunction(call) if TWICE.contains(&call.func.name()) => 2,
        Expr::Between(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) => 2,
        Expr::IsFalse(_) | Expr::IsNotFalse(_) => 2,
        Expr::InList(list) if first.is_some_and(|value| value > 1) => list.list.len().max(1),
        Expr::Case(case) if case.expr.is_some() => case.when_then_expr.len().max(1),
        _ => 1,
    };
    Ok(parts.saturating_mul(times).saturating_add(own))
}
