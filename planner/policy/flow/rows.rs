//! Whose rows an aggregate takes together.

use super::{Table, of_scan};
use datafusion_expr::{JoinType, LogicalPlan};
use std::collections::BTreeSet;

/// The tables of which rows, not only groups of rows, are in the plan's result. They are what the
/// smallest groups of the next aggregate are counted of.
pub(super) fn ungrouped(plan: &LogicalPlan) -> BTreeSet<Table> {
    match plan {
        LogicalPlan::TableScan(scan) => BTreeSet::from([of_scan(scan)]),
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => BTreeSet::new(),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => ungrouped(&join.left),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                ungrouped(&join.right)
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                ungrouped(&join.left).into_iter().chain(ungrouped(&join.right)).collect()
            }
        },
        other => other.inputs().into_iter().flat_map(ungrouped).collect(),
    }
}
