//! Inner equi-joins: a tree of binary joins becomes joins of m inputs on a common key.
//!
//! Valid because inner joins are associative and commutative: the result is the rows of the
//! product that satisfy all equalities and filters. Joins within one party are done there first;
//! every equality that no join step enforced is applied as a filter at the end.

mod classes;
mod local;
mod probe;
mod semi;
mod step;

use super::facts::plain_column;
use super::project::projected;
use super::scalar::Scope;
use super::{Joint, Relation, Splitter};
use crate::ir::{BinaryOp, Expr, Node};
use crate::sql::PlanError;
use crate::types::SqlType;
use arrow_schema::FieldRef;
use classes::Classes;
use datafusion_common::{DFSchema, NullEquality, TableReference};
use datafusion_expr::{
    Expr as Logical, ExprSchemable, Join, JoinType, LogicalPlan, Projection, lit,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A column of any of the joined inputs, by position in [`Flat::fields`].
type Id = usize;

/// The inputs of a flattened tree of joins.
struct Flat {
    /// Every column of every input, with its name in the plan.
    fields: Vec<(Option<TableReference>, FieldRef)>,
    atoms: Vec<Atom>,
    equalities: Vec<(Id, Id)>,
    filters: Vec<Logical>,
}

/// An input of the join, or the result of joining some.
struct Atom {
    relation: Relation,
    /// Which column stands at each position.
    columns: Vec<Id>,
}

/// An atom whose rows are secret.
struct Secret {
    joint: Joint,
    columns: Vec<Id>,
}

impl Splitter<'_> {
    pub(super) fn join(&mut self, node: &Join) -> Result<Joint, PlanError> {
        let inner = as_inner(node);
        match node.join_type {
            _ if inner.is_some() => {}
            JoinType::LeftSemi | JoinType::RightSemi => return self.semi_join(node),
            JoinType::Left | JoinType::Right => return self.outer_join(node),
            JoinType::LeftAnti | JoinType::RightAnti => return self.anti_join(node),
            JoinType::LeftMark | JoinType::RightMark => {
                let what = "EXISTS or IN across parties as a part of OR, NOT or CASE";
                return Err(PlanError::unsupported(what));
            }
            other => {
                return Err(PlanError::unsupported(format!("{other} JOIN across parties")));
            }
        }
        let mut flat =
            Flat { fields: Vec::new(), atoms: Vec::new(), equalities: vec![], filters: vec![] };
        let mut pairs = Vec::new();
        self.flatten(inner.as_ref().unwrap_or(node), &mut flat, &mut pairs)?;
        for (left, right) in &pairs {
            let pair = (flat.key(left)?, flat.key(right)?);
            flat.equalities.push(pair);
        }
        let mut enforced = Classes::new(flat.fields.len());
        local::merge(&mut flat, &mut enforced)?;
        let wanted = wanted(&flat, node.schema.as_ref())?;
        local::trim(&mut flat, &wanted, &enforced)?;
        let mut secrets = Vec::with_capacity(flat.atoms.len());
        for Atom { relation, columns } in std::mem::take(&mut flat.atoms) {
            secrets.push(Secret { joint: self.joint(relation)?, columns });
        }
        let joined = self.steps(&flat, secrets, &wanted, &mut enforced)?;
        finish(&flat, joined, node.schema.as_ref(), enforced)
    }

    /// Collects inputs, equalities and filters of the joins below that are not one party's.
    fn flatten(
        &mut self,
        node: &Join,
        flat: &mut Flat,
        pairs: &mut Vec<(Logical, Logical)>,
    ) -> Result<(), PlanError> {
        if node.null_equality == NullEquality::NullEqualsNull
            && let Some((x, _)) = nullable_pair(node)?
        {
            let what = format!("IS NOT DISTINCT FROM across parties where both may be NULL ({x})");
            return Err(PlanError::unsupported(what));
        }
        for side in [&node.left, &node.right] {
            match self.inner_join(side)? {
                Some(inner) => self.flatten(&inner, flat, pairs)?,
                None => {
                    let relation = self.relation(side)?;
                    let start = flat.fields.len();
                    let fields = side.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f)));
                    flat.fields.extend(fields);
                    let columns = (start..flat.fields.len()).collect();
                    flat.atoms.push(Atom { relation, columns });
                }
            }
        }
        pairs.extend(node.on.iter().cloned());
        flat.filters.extend(node.filter.clone());
        Ok(())
    }

    /// The join at the top of `plan`, seen through projections that only drop columns.
    fn inner_join(&self, plan: &LogicalPlan) -> Result<Option<Join>, PlanError> {
        match plan {
            LogicalPlan::Join(join) => match as_inner(join) {
                Some(join) if self.owners(plan)?.len() > 1 => Ok(Some(join)),
                _ => Ok(None),
            },
            LogicalPlan::Projection(node)
                if node.expr.iter().all(|expr| matches!(expr, Logical::Column(_))) =>
            {
                self.inner_join(&node.input)
            }
            _ => Ok(None),
        }
    }
}

/// An inner join that has the same rows: also of an outer one that brings the one row of an aggregate
/// beside every row, as scalar subqueries do.
fn as_inner(join: &Join) -> Option<Join> {
    let is_true = |filter: &Logical| *filter == lit(true);
    let is_free = join.on.is_empty() && join.filter.as_ref().is_none_or(is_true);
    match join.join_type {
        JoinType::Inner => Some(join.clone()),
        JoinType::Left if is_free && is_one_row(&join.right) => {
            Some(Join { join_type: JoinType::Inner, ..join.clone() })
        }
        _ => None,
    }
}

/// Whether the plan has exactly one row whatever the tables hold.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Projection(node) => is_one_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        _ => false,
    }
}

/// The first key of a join that may be NULL on both sides.
fn nullable_pair(node: &Join) -> Result<Option<(&Logical, &Logical)>, PlanError> {
    for (x, y) in &node.on {
        if x.nullable(node.left.schema())? && y.nullable(node.right.schema())? {
            return Ok(Some((x, y)));
        }
    }
    Ok(None)
}

impl Flat {
    /// The column of this name.
    fn id(&self, schema: &DFSchema, index: usize) -> Result<Id, PlanError> {
        let (qualifier, field) = schema.qualified_field(index);
        self.fields
            .iter()
            .position(|(q, f)| q.as_ref() == qualifier && f.name() == field.name())
            .ok_or_else(|| PlanError::unsupported(format!("join column {}", field.name())))
    }

    /// Names and types of these columns.
    fn schema(&self, columns: &[Id]) -> Result<DFSchema, PlanError> {
        let fields = columns.iter().filter_map(|id| self.fields.get(*id).cloned()).collect();
        Ok(DFSchema::new_with_metadata(fields, HashMap::new())?)
    }

    /// The column that holds a join key, computed by its input when it is an expression.
    fn key(&mut self, expr: &Logical) -> Result<Id, PlanError> {
        for index in 0..self.atoms.len() {
            let Some(atom) = self.atoms.get(index) else { break };
            let schema = self.schema(&atom.columns)?;
            if !expr.column_refs().iter().all(|c| schema.maybe_index_of_column(c).is_some()) {
                continue;
            }
            let expr = unwidened(expr, &schema);
            if let Some(position) = plain_column(expr, &schema) {
                let id = atom.columns.get(position).copied();
                return id.ok_or_else(|| PlanError::unsupported(format!("join key {expr}")));
            }
            return self.computed(index, expr, &schema);
        }
        Err(PlanError::unsupported(format!("join key {expr} over more than one input")))
    }

    fn computed(
        &mut self,
        index: usize,
        expr: &Logical,
        schema: &DFSchema,
    ) -> Result<Id, PlanError> {
        let id = self.fields.len();
        let name = format!("join key {id}");
        let missing = || PlanError::unsupported(format!("join key {expr}"));
        let mut atom = self.atoms.remove(index);
        let (field, relation) = match atom.relation {
            Relation::Parts(parts) => {
                let mut own = Vec::with_capacity(parts.len());
                for mut part in parts {
                    let columns = part.plan.schema().columns();
                    let mut exprs: Vec<Logical> =
                        columns.into_iter().map(Logical::Column).collect();
                    exprs.push(expr.clone().alias(&name));
                    let plan = Projection::try_new(exprs, Arc::new(part.plan))?;
                    part.plan = LogicalPlan::Projection(plan);
                    own.push(part);
                }
                let field =
                    own.first().and_then(|part| part.plan.schema().fields().last().cloned());
                (field.ok_or_else(missing)?, Relation::Parts(own))
            }
            Relation::Joint(joint) => {
                let kinds = joint.kinds();
                let key = Scope { schema, columns: &kinds }.translate(expr)?;
                let width = kinds.len();
                let mut exprs: Vec<Expr> = (0..width).map(Expr::Column).collect();
                exprs.push(key);
                let mut names: Vec<String> =
                    joint.columns().iter().map(|column| column.name.clone()).collect();
                names.push(name.clone());
                let Joint { node, distinct } = joint;
                let node = projected(node, exprs, names)?;
                let arrow = expr.get_type(schema)?;
                let field = Arc::new(arrow_schema::Field::new(&name, arrow, false));
                (field, Relation::Joint(Joint { node, distinct }))
            }
        };
        self.fields.push((None, field));
        atom.columns.push(id);
        atom.relation = relation;
        self.atoms.insert(index, atom);
        Ok(id)
    }
}

/// The integer below a cast to a larger integer type: equal before exactly when equal after.
fn unwidened<'a>(expr: &'a Logical, schema: &DFSchema) -> &'a Logical {
    let range =
        |arrow| SqlType::from_arrow(arrow).filter(|sql| sql.is_number()).map(|sql| sql.range());
    if let Logical::Cast(cast) = expr
        && let Ok(own) = cast.expr.get_type(schema)
        && own.is_integer()
        && cast.field.data_type().is_integer()
        && let (Some((low, high)), Some((from, to))) = (range(&own), range(cast.field.data_type()))
        && from <= low
        && high <= to
    {
        return unwidened(&cast.expr, schema);
    }
    expr
}

/// Columns that the result or a filter needs.
fn wanted(flat: &Flat, output: &DFSchema) -> Result<BTreeSet<Id>, PlanError> {
    let mut wanted = BTreeSet::new();
    for index in 0..output.fields().len() {
        wanted.insert(flat.id(output, index)?);
    }
    let all: Vec<Id> = (0..flat.fields.len()).collect();
    let schema = flat.schema(&all)?;
    for filter in &flat.filters {
        wanted.extend(filter.column_refs().iter().filter_map(|c| schema.maybe_index_of_column(c)));
    }
    Ok(wanted)
}

/// Equalities no step enforced, the filters, and the columns of the plan.
fn finish(
    flat: &Flat,
    joined: Secret,
    output: &DFSchema,
    mut enforced: Classes,
) -> Result<Joint, PlanError> {
    let Secret { mut joint, columns } = joined;
    let position = |id: Id| {
        let found = columns.iter().position(|column| *column == id);
        found.ok_or_else(|| PlanError::unsupported("a join column that was dropped"))
    };
    for (left, right) in &flat.equalities {
        if enforced.merge(*left, *right) {
            let (left, right) = (Expr::Column(position(*left)?), Expr::Column(position(*right)?));
            let predicate = Expr::Binary(BinaryOp::Equal, Box::new(left), Box::new(right));
            joint.node = Node::Filter { input: Box::new(joint.node), predicate };
        }
    }
    let schema = flat.schema(&columns)?;
    for filter in &flat.filters {
        let kinds = joint.kinds();
        let predicate = Scope { schema: &schema, columns: &kinds }.translate(filter)?;
        joint.node = Node::Filter { input: Box::new(joint.node), predicate };
    }
    // A column that was dropped equals another of its class.
    let kind = |id: Id| flat.fields.get(id).map(|(_, field)| field.data_type());
    let equal = |id: Id| {
        let is_same =
            |other: &Id| enforced.of(*other) == enforced.of(id) && kind(*other) == kind(id);
        columns.iter().position(is_same)
    };
    let mut exprs = Vec::with_capacity(output.fields().len());
    for index in 0..output.fields().len() {
        let id = flat.id(output, index)?;
        let found = columns.iter().position(|column| *column == id).or_else(|| equal(id));
        let found =
            found.ok_or_else(|| PlanError::unsupported("a join column that was dropped"))?;
        exprs.push(Expr::Column(found));
    }
    let place = |column: &usize| exprs.iter().position(|expr| *expr == Expr::Column(*column));
    let distinct =
        joint.distinct.iter().filter_map(|set| set.iter().map(place).collect()).collect();
    let names = output.fields().iter().map(|field| field.name().clone()).collect();
    Ok(Joint { node: projected(joint.node, exprs, names)?, distinct })
}
