//! Outer and anti-joins: the rows of one side looked up in a set of keys of the other.
//!
//! Valid because a row meets one row of a set at most: A ⟕ B keeps every row of A once, beside its
//! partner or NULLs, and A ▷ B = A ▷ δ(π_k B) keeps those without a partner.

use super::semi::null_safe;
use super::step::is_within;
use super::unwidened;
use crate::ir::{Column, Expr, Kept, Node, Schema};
use crate::rules::facts::plain_column;
use crate::rules::project::projected;
use crate::rules::{Joint, Splitter};
use crate::sql::PlanError;
use datafusion_common::NullEquality;
use datafusion_expr::{
    Aggregate, Expr as Logical, ExprSchemable, Join, JoinType, LogicalPlan, Projection,
};
use std::sync::Arc;

/// One side of a join: its columns, then computed keys.
struct Side {
    joint: Joint,
    /// How many columns it had.
    width: usize,
    keys: Vec<usize>,
}

impl Splitter<'_> {
    /// LEFT and RIGHT JOIN on equal keys, unique on the side that may be missing.
    pub(super) fn outer_join(&mut self, node: &Join) -> Result<Joint, PlanError> {
        let what = "a LEFT or RIGHT JOIN across parties";
        let is_left = node.join_type == JoinType::Left;
        let (rows, set, keys) = self.sides(node, is_left, what)?;
        let (own, other): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let rows = self.side(rows, own, what)?;
        let set = self.side(set, other, what)?;
        if !set.joint.distinct.iter().any(|columns| is_within(columns, &set.keys)) {
            return Err(PlanError::unsupported(format!(
                "{what} in which the key may repeat on the side whose rows may be missing (declare \
                 unique = true for a column that is never NULL; it says so of each party's rows, so of \
                 a table that several hold join one part, PARTY.TABLE, or group by the key)"
            )));
        }
        let (row_width, set_width) = (rows.width, set.width);
        let all = rows.joint.columns().len();
        let joint = self.probe(rows, set, Kept::All)?;
        let of_rows = 0..row_width;
        let of_set = all..all + set_width;
        let chosen: Vec<usize> =
            if is_left { of_rows.chain(of_set).collect() } else { of_set.chain(of_rows).collect() };
        chosen_of(joint, &chosen)
    }

    /// NOT EXISTS, NOT IN where nothing is NULL, and EXCEPT.
    pub(super) fn anti_join(&mut self, node: &Join) -> Result<Joint, PlanError> {
        let what = "NOT IN, NOT EXISTS or EXCEPT across parties";
        let (rows, probed, keys) = self.sides(node, node.join_type == JoinType::LeftAnti, what)?;
        for (own, other) in &keys {
            if node.null_aware
                && (own.nullable(rows.schema())? || other.nullable(probed.schema())?)
            {
                return Err(PlanError::unsupported(format!("{what} of values that may be NULL")));
            }
        }
        let keys = match node.null_equality {
            NullEquality::NullEqualsNothing => keys,
            NullEquality::NullEqualsNull => null_safe(keys, rows.schema(), probed.schema())?,
        };
        let (own, other): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let distinct = Aggregate::try_new(Arc::clone(probed), other, Vec::new())?;
        let set = LogicalPlan::Aggregate(distinct);
        let of_set = set.schema().columns().into_iter().map(Logical::Column).collect();
        let rows = self.side(rows, own, what)?;
        let set = self.side(&set, of_set, what)?;
        let chosen: Vec<usize> = (0..rows.width).collect();
        let joint = self.probe(rows, set, Kept::Unmatched)?;
        chosen_of(joint, &chosen)
    }

    /// The side whose rows are kept, the other one, and the keys of both.
    #[expect(clippy::type_complexity, reason = "borrowed from the join")]
    fn sides<'a>(
        &self,
        node: &'a Join,
        keeps_left: bool,
        what: &str,
    ) -> Result<(&'a Arc<LogicalPlan>, &'a Arc<LogicalPlan>, Vec<(Logical, Logical)>), PlanError>
    {
        if self.is_guarded {
            return Err(PlanError::unsupported(format!(
                "{what} in a query about a table with a smallest group"
            )));
        }
        if node.filter.is_some() || node.on.is_empty() {
            let why = format!("{what} with a condition other than equality");
            return Err(PlanError::unsupported(why));
        }
        Ok(match keeps_left {
            true => (&node.left, &node.right, node.on.clone()),
            false => {
                let swapped = node.on.iter().map(|(left, right)| (right.clone(), left.clone()));
                (&node.right, &node.left, swapped.collect())
            }
        })
    }

    /// A side with its keys as columns.
    fn side(
        &mut self,
        plan: &LogicalPlan,
        keys: Vec<Logical>,
        what: &str,
    ) -> Result<Side, PlanError> {
        let schema = plan.schema();
        let width = schema.fields().len();
        let mut exprs: Vec<Logical> = schema.columns().into_iter().map(Logical::Column).collect();
        let mut positions = Vec::with_capacity(keys.len());
        for key in keys {
            let position = plain_column(unwidened(&key, schema), schema).unwrap_or_else(|| {
                let name = format!("join key {}", exprs.len());
                exprs.push(key.alias(name));
                exprs.len() - 1
            });
            positions.push(position);
        }
        let relation = match exprs.len() == width {
            true => self.relation(plan)?,
            false => {
                let plan = Projection::try_new(exprs, Arc::new(plan.clone()))?;
                self.relation(&LogicalPlan::Projection(plan))?
            }
        };
        let joint = self.joint(relation)?;
        let known = |position: &usize| joint.columns().get(*position).is_some();
        match positions.iter().all(known) {
            true => Ok(Side { joint, width, keys: positions }),
            false => Err(PlanError::unsupported(format!("{what} on such keys"))),
        }
    }

    fn probe(&mut self, rows: Side, mut set: Side, kept: Kept) -> Result<Joint, PlanError> {
        let nullable =
            |key: &usize| rows.joint.columns().get(*key).is_some_and(|c| c.kind.nullable);
        if rows.keys.iter().any(nullable) {
            return Err(PlanError::unsupported(
                "a LEFT JOIN, NOT EXISTS or EXCEPT across parties whose rows may have NULL for a key",
            ));
        }
        self.rely_on(&mut set.joint, &set.keys);
        let mut columns: Vec<Column> = rows.joint.columns().to_vec();
        if kept == Kept::All {
            let optional = |column: &Column| {
                let kind = column.kind.with_nullable(true);
                Column { name: column.name.clone(), kind }
            };
            columns.extend(set.joint.columns().iter().map(optional));
        }
        let schema = Schema { columns, capacity: rows.joint.node.capacity() };
        let keys = [rows.keys, set.keys];
        let inputs = Box::new([rows.joint.node, set.joint.node]);
        let node = Node::Probe { inputs, keys, kept, schema };
        Ok(Joint { node, distinct: rows.joint.distinct })
    }
}

/// These columns of a joint relation.
fn chosen_of(joint: Joint, chosen: &[usize]) -> Result<Joint, PlanError> {
    let names = chosen.iter().filter_map(|at| joint.columns().get(*at));
    let names = names.map(|column| column.name.clone()).collect();
    let place = |column: &usize| chosen.iter().position(|other| other == column);
    let distinct =
        joint.distinct.iter().filter_map(|set| set.iter().map(place).collect()).collect();
    let exprs = chosen.iter().map(|at| Expr::Column(*at)).collect();
    Ok(Joint { node: projected(joint.node, exprs, names)?, distinct })
}
