//! Inputs of one party that are joined with each other are joined by that party.
//!
//! Valid by associativity; the result has no more rows than declared keys allow, and what one party
//! can compute alone needs no cryptography.

use super::{Atom, Classes, Flat, Id};
use crate::rules::{Part, Relation};
use crate::sql::PlanError;
use datafusion_common::Column;
use datafusion_expr::binary::comparison_coercion;
use datafusion_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, cast};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Joins atoms of the same party until none are connected by an equality; notes which equalities
/// hold from then on.
pub(super) fn merge(flat: &mut Flat, enforced: &mut Classes) -> Result<(), PlanError> {
    while let Some((left, right)) = connected(flat) {
        let right_atom = flat.atoms.remove(right);
        let left_atom = flat.atoms.remove(left);
        for (left, right) in between(flat, &left_atom.columns, &right_atom.columns) {
            enforced.merge(left, right);
        }
        flat.atoms.insert(left, joined(flat, left_atom, right_atom)?);
    }
    Ok(())
}

/// Drops from plaintext inputs what neither the result nor a joint equality needs: of columns that
/// are equal by now one is enough.
pub(super) fn trim(
    flat: &mut Flat,
    wanted: &BTreeSet<Id>,
    enforced: &Classes,
) -> Result<(), PlanError> {
    if !flat.filters.is_empty() {
        return Ok(());
    }
    let kind = |id: Id| flat.fields.get(id).map(|(_, field)| field.data_type());
    for atom in &mut flat.atoms {
        let in_equality = |id: Id| flat.equalities.iter().any(|(l, r)| *l == id || *r == id);
        let mut kept: Vec<Id> = Vec::new();
        for id in atom.columns.iter().copied() {
            let is_same =
                |other: &Id| enforced.of(*other) == enforced.of(id) && kind(*other) == kind(id);
            if (wanted.contains(&id) || in_equality(id)) && !kept.iter().any(is_same) {
                kept.push(id);
            }
        }
        let Relation::Parts(parts) = &mut atom.relation else { continue };
        if kept.len() == atom.columns.len() {
            continue;
        }
        for part in parts {
            let columns = part.plan.schema().columns();
            let named = kept.iter().filter_map(|id| {
                let position = atom.columns.iter().position(|column| column == id)?;
                columns.get(position).cloned().map(Expr::Column)
            });
            let plan = Projection::try_new(named.collect(), Arc::new(part.plan.clone()))?;
            part.plan = LogicalPlan::Projection(plan);
        }
        atom.columns = kept;
    }
    Ok(())
}

/// The first two atoms, in order, of one party and with an equality between them.
fn connected(flat: &Flat) -> Option<(usize, usize)> {
    let mut pairs = (0..flat.atoms.len())
        .flat_map(|left| (left + 1..flat.atoms.len()).map(move |right| (left, right)));
    pairs.find(|(left, right)| match (flat.atoms.get(*left), flat.atoms.get(*right)) {
        (Some(left), Some(right)) => {
            let same = part(left).zip(part(right)).is_some_and(|(l, r)| l.party == r.party);
            same && !between(flat, &left.columns, &right.columns).is_empty()
        }
        _ => false,
    })
}

fn part(atom: &Atom) -> Option<&Part> {
    match &atom.relation {
        Relation::Parts(parts) if parts.len() == 1 => parts.first(),
        _ => None,
    }
}

/// The equalities between two sets of columns, the first set's column first.
fn between(flat: &Flat, left: &[Id], right: &[Id]) -> Vec<(Id, Id)> {
    let oriented = |(a, b): &(Id, Id)| {
        if left.contains(a) && right.contains(b) {
            Some((*a, *b))
        } else if left.contains(b) && right.contains(a) {
            Some((*b, *a))
        } else {
            None
        }
    };
    flat.equalities.iter().filter_map(oriented).collect()
}

fn joined(flat: &Flat, left: Atom, right: Atom) -> Result<Atom, PlanError> {
    let pairs = between(flat, &left.columns, &right.columns);
    let (Some(own), Some(other)) = (part(&left), part(&right)) else {
        return Err(PlanError::unsupported("a local join of joint rows"));
    };
    let mut keys = (Vec::new(), Vec::new());
    for (l, r) in pairs {
        let (left, right) = comparable(flat, l, r)?;
        keys.0.push(left);
        keys.1.push(right);
    }
    let party = own.party;
    let plan = LogicalPlanBuilder::from(own.plan.clone())
        .join_with_expr_keys(other.plan.clone(), JoinType::Inner, keys, None)?
        .build()?;
    let columns = left.columns.into_iter().chain(right.columns).collect();
    Ok(Atom { relation: Relation::Parts(vec![Part { party, plan }]), columns })
}

/// Two key columns brought to one type.
fn comparable(flat: &Flat, left: Id, right: Id) -> Result<(Expr, Expr), PlanError> {
    let missing = || PlanError::unsupported("a join key without a column");
    let column = |id: Id| {
        let (qualifier, field) = flat.fields.get(id).cloned().ok_or_else(missing)?;
        let column = Expr::Column(Column::new(qualifier, field.name()));
        Ok::<_, PlanError>((column, field.data_type().clone()))
    };
    let ((left, left_type), (right, right_type)) = (column(left)?, column(right)?);
    if left_type == right_type {
        return Ok((left, right));
    }
    let common = comparison_coercion(&left_type, &right_type).ok_or_else(|| {
        PlanError::unsupported(format!("a join of {left_type} with {right_type}"))
    })?;
    Ok((cast(left, common.clone()), cast(right, common)))
}
