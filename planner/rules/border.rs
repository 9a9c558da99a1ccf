//! Where plaintext enters the joint part: a part becomes a leaf, several parts a union of leaves.
//!
//! Valid because a leaf is exactly the part's result. Its public facts (domains, distinct columns,
//! capacity) follow from the text and the declarations, its claims are the filters below it whose
//! columns are still there: every row satisfies them by construction.

use super::facts::{Facts, facts, plain_column};
use super::narrow::narrow;
use super::scalar::Scope;
use super::{Joint, Part, Relation, Splitter};
use crate::ir::{Column, Expr, Leaf, Node, Schema};
use crate::sql::{LocalTask, PlanError};
use crate::types::ColumnType;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{JoinType, LogicalPlan};

impl Splitter<'_> {
    /// The relation as a joint node.
    pub(super) fn joint(&mut self, relation: Relation) -> Result<Joint, PlanError> {
        match relation {
            Relation::Joint(joint) => Ok(joint),
            Relation::Parts(parts) => {
                let known = parts.iter().map(|part| facts(&part.plan, &self.bounds)).collect();
                self.enter(parts, known, OneRow::Unknown)
            }
        }
    }

    /// Makes leaves of parts with these facts. All leaves get the same column types.
    pub(super) fn enter(
        &mut self,
        parts: Vec<Part>,
        mut known: Vec<Facts>,
        one_row: OneRow,
    ) -> Result<Joint, PlanError> {
        let columns = self.common(&parts, &known)?;
        let mut leaves = Vec::with_capacity(parts.len());
        for (part, known) in parts.into_iter().zip(&known) {
            leaves.push(self.leaf(part, &columns, known, one_row));
        }
        let capacity =
            leaves.iter().fold(0u32, |sum, leaf| sum.saturating_add(leaf.schema.capacity));
        let mut inputs: Vec<Node> = leaves.into_iter().map(Node::Leaf).collect();
        if inputs.len() == 1
            && let (Some(node), Some(known)) = (inputs.pop(), known.pop())
        {
            return Ok(Joint { node, distinct: known.distinct });
        }
        let schema = Schema { columns, capacity };
        Ok(Joint { node: Node::Union { inputs, schema }, distinct: Vec::new() })
    }

    /// The smallest common column types.
    fn common(&self, parts: &[Part], known: &[Facts]) -> Result<Vec<Column>, PlanError> {
        let mut columns: Vec<Column> = Vec::new();
        for (part, known) in parts.iter().zip(known) {
            let owner = self.bounds.federation.party_name(part.party);
            for (index, field) in part.plan.schema().fields().iter().enumerate() {
                let refused = |why: &str| {
                    let name = field.name();
                    PlanError::unsupported(format!(
                        "column {name} of {owner} entering the joint part: {why}"
                    ))
                };
                let kind = known.columns.get(index).copied().flatten().ok_or_else(|| {
                    refused(&if field.data_type().is_string() {
                        "no public bound on the length of this text".to_owned()
                    } else {
                        format!("type {} has no encoding", field.data_type())
                    })
                })?;
                match columns.get_mut(index) {
                    None => columns.push(Column { name: field.name().clone(), kind }),
                    Some(column) => {
                        let hull = column.kind.hull(kind);
                        column.kind = hull.ok_or_else(|| refused("types differ"))?;
                    }
                }
            }
        }
        Ok(columns)
    }

    fn leaf(&mut self, part: Part, columns: &[Column], known: &Facts, one_row: OneRow) -> Leaf {
        let slot = self.locals.len();
        let capacity = known.capacity.max(1);
        let schema = Schema { columns: columns.to_vec(), capacity };
        let shortest = known.distinct.iter().min_by_key(|set| (set.len(), (*set).clone()));
        let distinct = shortest.cloned().unwrap_or_default();
        let at_most_one_row = capacity <= 1 || matches!(one_row, OneRow::Yes);
        let kinds: Vec<Option<ColumnType>> = columns.iter().map(|c| Some(c.kind)).collect();
        let claims = claims(&part.plan, &kinds);
        let display = part.plan.display_indent().to_string();
        self.locals.push(LocalTask {
            party: part.party,
            display,
            plan: part.plan.into(),
            schema: schema.clone(),
            distinct: distinct.clone(),
            at_most_one_row,
            claims: claims.clone(),
        });
        Leaf { party: part.party, slot, schema, distinct, at_most_one_row, claims }
    }
}

/// Whether the parts are known to have at most one row for a reason other than their capacity.
#[derive(Clone, Copy)]
pub(super) enum OneRow {
    Yes,
    Unknown,
}

/// Predicates over the plan's columns that all its rows satisfy and that its domains do not imply.
fn claims(plan: &LogicalPlan, columns: &[Option<ColumnType>]) -> Vec<Expr> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => claims(&alias.input, columns),
        LogicalPlan::Sort(sort) => claims(&sort.input, columns),
        LogicalPlan::Limit(limit) => claims(&limit.input, columns),
        LogicalPlan::Filter(filter) => {
            let mut found = claims(&filter.input, columns);
            let scope = Scope { schema: filter.input.schema(), columns };
            for conjunct in split_conjunction(&filter.predicate) {
                let mut narrowed = columns.to_vec();
                let is_bound = narrow(conjunct, scope.schema, &mut narrowed);
                if !is_bound || narrowed != columns {
                    found.extend(scope.translate(conjunct).ok());
                }
            }
            found
        }
        LogicalPlan::Projection(node) => kept(&node.expr, &node.input, columns),
        LogicalPlan::Aggregate(node) => kept(&node.group_expr, &node.input, columns),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let split = join.left.schema().fields().len().min(columns.len());
            let (left, right) = columns.split_at(split);
            let mut found = claims(&join.left, left);
            let moved = |claim: &Expr| claim.remapped(&|column| Some(column + split));
            found.extend(claims(&join.right, right).iter().filter_map(moved));
            found
        }
        _ => Vec::new(),
    }
}

/// The input's claims whose columns are all passed on.
fn kept(
    exprs: &[datafusion_expr::Expr],
    input: &LogicalPlan,
    columns: &[Option<ColumnType>],
) -> Vec<Expr> {
    let schema = input.schema();
    let position =
        |column| exprs.iter().position(|expr| plain_column(expr, schema) == Some(column));
    let below: Vec<Option<ColumnType>> = (0..schema.fields().len())
        .map(|column| position(column).and_then(|index| columns.get(index).copied().flatten()))
        .collect();
    claims(input, &below).iter().filter_map(|claim| claim.remapped(&position)).collect()
}
