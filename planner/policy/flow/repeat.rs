//! Joins that repeat rows. A row that comes a hundred times weighs a hundred times as much in a sum:
//! who says how often each comes reads single ones off the sum of many.

use super::expr::keeps_values;
use super::rows::ungrouped;
use super::{Table, of_scan, plain};
use datafusion_common::DFSchema;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::{Distinct, Expr, ExprSchemable, Join, JoinType, LogicalPlan};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// Whether no two rows of a table have the same value in a column.
pub(in crate::policy) type Unique<'a> = &'a dyn Fn(&Table, &str) -> bool;

/// The tables whose rows may meet several rows of the other side of a join before they are grouped.
pub(in crate::policy) fn repeated(plan: &LogicalPlan, unique: Unique<'_>) -> BTreeSet<Table> {
    let asked = Asked { unique, answers: RefCell::default() };
    let mut found = BTreeSet::new();
    let seen = plan.apply_with_subqueries(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(TreeNodeRecursion::Continue) };
        if matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
        ) {
            let (left, right) = keys(join);
            if !asked.is_one(&join.right, &right) {
                found.extend(ungrouped(&join.left));
            }
            if !asked.is_one(&join.left, &left) {
                found.extend(ungrouped(&join.right));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if seen.is_err() {
        found.extend(ungrouped(plan));
    }
    found
}

/// Positions of the columns that a join holds equal, on its left and on its right.
fn keys(join: &Join) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let left = join.on.iter().filter_map(|(key, _)| position(key, join.left.schema()));
    let right = join.on.iter().filter_map(|(_, key)| position(key, join.right.schema()));
    (left.collect(), right.collect())
}

/// The column that tells the expression's value and is told by it.
fn position(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match plain(expr) {
        Expr::Column(column) => schema.index_of_column(column).ok(),
        Expr::Cast(cast) => {
            let (from, to) = (cast.expr.get_type(schema).ok()?, expr.get_type(schema).ok()?);
            keeps_values(&from, &to).then(|| position(&cast.expr, schema))?
        }
        _ => None,
    }
}

/// Most questions about one query, each with its own keys: a join asks each side two of them, and so
/// on below. Who asks more is told that rows may repeat.
const QUESTIONS_MAX: usize = 20_000;

/// What has been asked about a plan's nodes.
struct Asked<'a> {
    unique: Unique<'a>,
    answers: RefCell<HashMap<(*const LogicalPlan, BTreeSet<usize>), bool>>,
}

impl Asked<'_> {
    /// Whether at most one row of the plan has given values in these of its columns.
    fn is_one(&self, plan: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
        let question = (std::ptr::from_ref(plan), keys.clone());
        if let Some(answer) = self.answers.borrow().get(&question) {
            return *answer;
        }
        if self.answers.borrow().len() >= QUESTIONS_MAX {
            return false;
        }
        let answer = self.answer(plan, keys);
        self.answers.borrow_mut().insert(question, answer);
        answer
    }

    fn answer(&self, plan: &LogicalPlan, keys: &BTreeSet<usize>) -> bool {
        let below = |exprs: &[Expr], input: &LogicalPlan| {
            let key = |index: &usize| position(exprs.get(*index)?, input.schema());
            self.is_one(input, &keys.iter().filter_map(key).collect())
        };
        if plan.max_rows().is_some_and(|rows| rows <= 1) {
            return true;
        }
        match plan {
            LogicalPlan::TableScan(scan) => {
                let (table, fields) = (of_scan(scan), plan.schema().fields());
                let mut names = keys.iter().filter_map(|index| fields.get(*index));
                names.any(|field| (self.unique)(&table, field.name()))
            }
            LogicalPlan::Projection(node) => below(&node.expr, &node.input),
            LogicalPlan::Aggregate(node) => {
                (0..node.group_expr.len()).all(|key| keys.contains(&key))
                    || below(&node.group_expr, &node.input)
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                (0..input.schema().fields().len()).all(|key| keys.contains(&key))
                    || self.is_one(input, keys)
            }
            LogicalPlan::Join(join) => self.is_one_of_join(join, keys),
            LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_) => {
                plan.inputs().into_iter().all(|input| self.is_one(input, keys))
            }
            _ => false,
        }
    }

    /// One row of one side, and for it one of the other.
    fn is_one_of_join(&self, join: &Join, keys: &BTreeSet<usize>) -> bool {
        let width = join.left.schema().fields().len();
        let left: BTreeSet<usize> = keys.iter().copied().filter(|key| *key < width).collect();
        let right: BTreeSet<usize> = keys.iter().filter_map(|key| key.checked_sub(width)).collect();
        let (on_left, on_right) = self::keys(join);
        let one_of = |plan: &LogicalPlan, own: &BTreeSet<usize>| self.is_one(plan, own);
        let from_left = || one_of(&join.left, &left) && one_of(&join.right, &(&right | &on_right));
        let from_right = || one_of(&join.right, &right) && one_of(&join.left, &(&left | &on_left));
        match join.join_type {
            JoinType::Inner => from_left() || from_right(),
            JoinType::Left => from_left(),
            JoinType::Right => from_right(),
            JoinType::Full => false,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                one_of(&join.left, &left)
            }
            JoinType::RightSemi | JoinType::RightAnti => one_of(&join.right, keys),
            JoinType::RightMark => {
                let width = join.right.schema().fields().len();
                let own = keys.iter().copied().filter(|key| *key < width).collect();
                one_of(&join.right, &own)
            }
        }
    }
}
