//! The split of a plan into plaintext leaves and the joint tree.
//!
//! One rewrite per file, each with the reason why it is valid. The walk is bottom-up: a subtree
//! whose tables belong to one party stays DataFusion's and becomes that party's leaf, whatever its
//! SQL; a union over holders stays a list of plaintext parts as long as operators distribute over
//! it; everything else becomes joint nodes.

mod aggregate;
mod border;
mod facts;
mod join;
mod length;
mod narrow;
mod output;
mod project;
mod scalar;
mod sort;
mod union;

pub(crate) use scalar::literal_value;

use crate::catalog::{Federation, Table};
use crate::ir::{Column, Node};
use crate::policy::threshold;
use crate::sql::{JointQuery, LocalTask, PlanError, PlanOptions};
use crate::types::ColumnType;
use datafusion_common::TableReference;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion_expr::logical_plan::TableScanBuilder;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, LogicalPlan, SubqueryAlias, TableScan};
use senate_circuit::{PartyId, PartySet};
use std::sync::Arc;

/// Splits an optimized plan.
///
/// # Errors
/// [`PlanError::Unsupported`] naming an operator or expression that would have to be joint and
/// cannot be, or a column that cannot be encoded.
pub(crate) fn split(
    plan: &LogicalPlan,
    ordered: bool,
    federation: &Federation,
    options: &PlanOptions,
) -> Result<JointQuery, PlanError> {
    let bounds = Bounds { federation, options };
    let is_guarded = suppresses(plan)?;
    let mut splitter = Splitter { bounds, locals: Vec::new(), is_guarded };
    let relation = splitter.relation(plan)?;
    let joint = splitter.joint(relation)?;
    let (root, output) = output::finish(joint.node, plan.schema())?;
    let (verdict, smallest_groups) = Default::default();
    Ok(JointQuery { locals: splitter.locals, root, output, ordered, verdict, smallest_groups })
}

/// Declared and requested bounds on rows.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    federation: &'a Federation,
    options: &'a PlanOptions,
}

impl Bounds<'_> {
    /// Rows of `party`'s part of `table` that take part in the query, at most.
    fn capacity(&self, table: &Table, party: PartyId) -> u32 {
        let declared = table.holder(party).map_or(0, |holder| holder.capacity);
        let asked = self.options.bounds.get(&(party, table.name.clone()));
        asked.map_or(declared, |bound| declared.min(*bound))
    }
}

struct Splitter<'a> {
    bounds: Bounds<'a>,
    locals: Vec<LocalTask>,
    /// Whether small groups are left out somewhere in the query.
    is_guarded: bool,
}

/// A relation on its way up.
enum Relation {
    /// The bag union of plaintext plans with the same schema. At least one.
    Parts(Vec<Part>),
    /// Secret rows.
    Joint(Joint),
}

/// A plan over one party's tables, bound to them.
#[derive(Clone)]
struct Part {
    party: PartyId,
    plan: LogicalPlan,
}

/// A joint node and what is publicly known of it.
struct Joint {
    node: Node,
    /// Sets of columns whose combination is distinct over the rows.
    distinct: Vec<Vec<usize>>,
}

impl Joint {
    fn columns(&self) -> &[Column] {
        self.node.columns()
    }

    /// The columns' types, as an expression's scope wants them.
    fn kinds(&self) -> Vec<Option<ColumnType>> {
        self.columns().iter().map(|column| Some(column.kind)).collect()
    }
}

impl Splitter<'_> {
    fn relation(&mut self, plan: &LogicalPlan) -> Result<Relation, PlanError> {
        let owners = self.owners(plan)?;
        if owners.len() <= 1 && !suppresses(plan)? {
            // A plan without tables gives the same rows everywhere; the first party computes it.
            let party = owners.leader().or(PartyId::new(0));
            let party = party.ok_or_else(|| PlanError::unsupported("no parties"))?;
            return Ok(Relation::Parts(vec![Part { party, plan: self.bind(plan, party)? }]));
        }
        match plan {
            LogicalPlan::TableScan(_) => owners
                .iter()
                .map(|party| Ok(Part { party, plan: self.bind(plan, party)? }))
                .collect::<Result<_, _>>()
                .map(Relation::Parts),
            LogicalPlan::SubqueryAlias(alias) => match self.relation(&alias.input)? {
                Relation::Joint(joint) => Ok(Relation::Joint(joint)),
                Relation::Parts(parts) => distribute(plan, parts),
            },
            LogicalPlan::Projection(node) => match self.relation(&node.input)? {
                Relation::Parts(parts) => distribute(plan, parts),
                Relation::Joint(joint) => project::project(node, joint).map(Relation::Joint),
            },
            LogicalPlan::Filter(node) => match self.relation(&node.input)? {
                // The circuit looks at the sizes of groups, also at those of a single owner.
                relation @ Relation::Parts(_) if has_threshold(&node.predicate) => {
                    let joint = self.joint(relation)?;
                    project::filter(node, joint).map(Relation::Joint)
                }
                Relation::Parts(parts) => distribute(plan, parts),
                Relation::Joint(joint) => project::filter(node, joint).map(Relation::Joint),
            },
            LogicalPlan::Union(node) => self.union(node, plan),
            LogicalPlan::Aggregate(node) => self.aggregate(node, plan).map(Relation::Joint),
            LogicalPlan::Sort(node) => self.sort(node).map(Relation::Joint),
            LogicalPlan::Limit(node) => self.limit(node).map(Relation::Joint),
            LogicalPlan::Join(node) => self.join(node).map(Relation::Joint),
            LogicalPlan::Window(_) => {
                Err(PlanError::unsupported("window functions over several parties' rows"))
            }
            other => {
                let text = other.display().to_string();
                let name = text.split([':', ' ']).next().unwrap_or_default().to_owned();
                Err(PlanError::unsupported(format!("{name} over several parties' rows")))
            }
        }
    }

    /// The holders of all tables below.
    fn owners(&self, plan: &LogicalPlan) -> Result<PartySet, PlanError> {
        let mut owners = PartySet::EMPTY;
        let federation = self.bounds.federation;
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                owners = owners.union(holders(federation, &scan.table_name));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(owners)
    }

    /// The plan with every scan reading `party`'s part, under the names the text uses.
    fn bind(&self, plan: &LogicalPlan, party: PartyId) -> Result<LogicalPlan, PlanError> {
        let schema = self.bounds.federation.party_name(party);
        let bound = plan.clone().transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) if scan.table_name.schema().is_none() => {
                let name = TableReference::partial(schema.as_str(), scan.table_name.table());
                let TableScan { source, projection, filters, fetch, .. } = scan.clone();
                let own = TableScanBuilder::new(name, source)
                    .with_projection(projection)
                    .with_filters(filters)
                    .with_fetch(fetch)
                    .build()?;
                let input = Arc::new(LogicalPlan::TableScan(own));
                let alias = SubqueryAlias::try_new(input, scan.table_name)?;
                Ok(Transformed::yes(LogicalPlan::SubqueryAlias(alias)))
            }
            other => Ok(Transformed::no(other)),
        });
        Ok(bound.data()?)
    }
}

/// Whether small groups are taken out somewhere in the plan.
fn suppresses(plan: &LogicalPlan) -> Result<bool, PlanError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Filter(node) if has_threshold(&node.predicate));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn has_threshold(predicate: &Expr) -> bool {
    split_conjunction(predicate).into_iter().any(|conjunct| threshold(conjunct).is_some())
}

fn holders(federation: &Federation, name: &TableReference) -> PartySet {
    match name.schema() {
        Some(party) => federation.party(party).map_or(PartySet::EMPTY, PartySet::only),
        None => federation
            .table(name.table())
            .map(|table| table.holders.iter().map(|holder| holder.party).collect())
            .unwrap_or_default(),
    }
}

/// A row-wise operator (σ, π, ρ) over a bag union is the bag union of the operator over its parts.
fn distribute(plan: &LogicalPlan, parts: Vec<Part>) -> Result<Relation, PlanError> {
    let over = |part: Part| {
        let plan = plan.with_new_exprs(plan.expressions(), vec![part.plan])?;
        Ok(Part { party: part.party, plan })
    };
    parts.into_iter().map(over).collect::<Result<_, PlanError>>().map(Relation::Parts)
}

#[cfg(test)]
mod tests;
