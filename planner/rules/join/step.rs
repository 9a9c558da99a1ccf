//! The order of joins: at each step the largest set of inputs that share a key.
//!
//! Valid for any order. A step needs all its inputs but one to be distinct on the key, since only
//! then is the number of result rows bounded by an input's capacity.

use super::{Classes, Flat, Id, Secret};
use crate::ir::{Column, Expr, Node, Schema};
use crate::rules::project::projected;
use crate::rules::{Joint, Splitter};
use crate::sql::PlanError;
use std::collections::BTreeSet;

/// Inputs to join next, with their key columns by position.
struct Step {
    /// Positions in the list of inputs, ascending.
    inputs: Vec<usize>,
    keys: Vec<Vec<usize>>,
    unique: Vec<bool>,
}

impl Splitter<'_> {
    /// Joins until one relation is left.
    pub(super) fn steps(
        &mut self,
        flat: &Flat,
        mut secrets: Vec<Secret>,
        wanted: &BTreeSet<Id>,
        enforced: &mut Classes,
    ) -> Result<Secret, PlanError> {
        let mut classes = Classes::new(flat.fields.len());
        for (left, right) in &flat.equalities {
            classes.merge(*left, *right);
        }
        while secrets.len() > 1 {
            let step = next(&secrets, &classes).or_else(|| product(&secrets));
            let step = step.ok_or_else(|| refused(flat, &secrets, &classes))?;
            let mut members = Vec::with_capacity(step.inputs.len());
            for index in step.inputs.iter().rev() {
                members.push(secrets.remove(*index));
            }
            members.reverse();
            for member in members.iter().zip(&step.keys) {
                enforce(member, &members, &step.keys, enforced);
            }
            for ((member, keys), unique) in members.iter_mut().zip(&step.keys).zip(&step.unique) {
                if *unique {
                    self.rely_on(&mut member.joint, keys);
                }
            }
            let at = step.inputs.first().copied().unwrap_or(0);
            let joined =
                pruned(flat, joined(members, step)?, wanted, (&classes, enforced), &secrets)?;
            secrets.insert(at, joined);
        }
        secrets.pop().ok_or_else(|| PlanError::unsupported("a join without inputs"))
    }

    /// A leaf states one set of distinct columns: the one this join relies on.
    pub(super) fn rely_on(&mut self, joint: &mut Joint, keys: &[usize]) {
        if let Node::Leaf(leaf) = &mut joint.node
            && let Some(set) = joint.distinct.iter().find(|set| is_within(set, keys))
        {
            leaf.distinct.clone_from(set);
            if let Some(task) = self.locals.get_mut(leaf.slot) {
                task.distinct.clone_from(set);
            }
        }
    }
}

pub(super) fn is_within(set: &[usize], keys: &[usize]) -> bool {
    set.iter().all(|column| keys.contains(column))
}

/// The step with most inputs; the first of several.
fn next(secrets: &[Secret], classes: &Classes) -> Option<Step> {
    let mut best: Option<Step> = None;
    for (left, first) in secrets.iter().enumerate() {
        for second in secrets.iter().skip(left + 1) {
            let shared: BTreeSet<Id> = classes_of(first, classes)
                .intersection(&classes_of(second, classes))
                .copied()
                .collect();
            let size = best.as_ref().map_or(1, |step| step.inputs.len());
            if let Some(step) = step(secrets, classes, &shared)
                && step.inputs.len() > size
            {
                best = Some(step);
            }
        }
    }
    best
}

/// Classes with more than one column that the input has a column of.
fn classes_of(secret: &Secret, classes: &Classes) -> BTreeSet<Id> {
    secret.columns.iter().map(|column| classes.of(*column)).collect()
}

/// All inputs that have the whole key; of those not distinct on it only the first.
fn step(secrets: &[Secret], classes: &Classes, key: &BTreeSet<Id>) -> Option<Step> {
    if key.is_empty() {
        return None;
    }
    let mut step = Step { inputs: Vec::new(), keys: Vec::new(), unique: Vec::new() };
    for (index, secret) in secrets.iter().enumerate() {
        let position =
            |class: &Id| secret.columns.iter().position(|column| classes.of(*column) == *class);
        let Some(columns) = key.iter().map(position).collect::<Option<Vec<usize>>>() else {
            continue;
        };
        let is_unique = secret.joint.distinct.iter().any(|set| is_within(set, &columns));
        if is_unique || step.unique.iter().all(|unique| *unique) {
            step.inputs.push(index);
            step.keys.push(columns);
            step.unique.push(is_unique);
        }
    }
    (step.inputs.len() > 1).then_some(step)
}

/// Without a common key: the rows of one input beside those of all inputs that have one at most. None
/// if more than one input may have several.
fn product(secrets: &[Secret]) -> Option<Step> {
    let one_row = |secret: &Secret| secret.joint.node.capacity() == 1;
    let unique: Vec<bool> = secrets.iter().map(one_row).collect();
    let several = unique.iter().filter(|unique| !**unique).count();
    let (inputs, keys) = (0..secrets.len()).map(|index| (index, Vec::new())).unzip();
    (several <= 1).then_some(Step { inputs, keys, unique })
}

/// The key columns of all members are equal from here on.
fn enforce(
    (member, keys): (&Secret, &Vec<usize>),
    members: &[Secret],
    all: &[Vec<usize>],
    enforced: &mut Classes,
) {
    let (Some(first), Some(first_keys)) = (members.first(), all.first()) else { return };
    for (own, other) in keys.iter().zip(first_keys) {
        if let (Some(own), Some(other)) = (member.columns.get(*own), first.columns.get(*other)) {
            enforced.merge(*own, *other);
        }
    }
}

fn joined(members: Vec<Secret>, step: Step) -> Result<Secret, PlanError> {
    let Step { keys, unique, .. } = step;
    let repeated = unique.iter().position(|unique| !unique);
    let capacity = match repeated.and_then(|index| members.get(index)) {
        Some(member) => member.joint.node.capacity(),
        None => members.iter().map(|m| m.joint.node.capacity()).min().unwrap_or(0),
    };
    let (mut columns, mut described, mut inputs) = (Vec::new(), Vec::<Column>::new(), Vec::new());
    let mut distinct = Vec::new();
    for (index, member) in members.into_iter().enumerate() {
        let shift = columns.len();
        let own = member.joint.columns();
        // A member's rows repeat in the result only if another member's key may repeat.
        if repeated.is_none_or(|repeated| repeated == index) {
            let moved = |set: &Vec<usize>| set.iter().map(|column| column + shift).collect();
            distinct.extend(member.joint.distinct.iter().map(moved));
        }
        described.extend(own.iter().cloned());
        columns.extend(member.columns);
        inputs.push(member.joint.node);
    }
    let schema = Schema { columns: described, capacity };
    let node = Node::Join { inputs, keys, unique, schema };
    Ok(Secret { joint: Joint { node, distinct }, columns })
}

/// Without the columns that nothing above needs.
fn pruned(
    flat: &Flat,
    secret: Secret,
    wanted: &BTreeSet<Id>,
    (classes, enforced): (&Classes, &Classes),
    rest: &[Secret],
) -> Result<Secret, PlanError> {
    let open: BTreeSet<Id> = rest.iter().flat_map(|other| classes_of(other, classes)).collect();
    if rest.is_empty() {
        return Ok(secret);
    }
    let is_needed = |id: Id| {
        let mut own = flat.equalities.iter().filter(|(l, r)| *l == id || *r == id);
        let is_open = open.contains(&classes.of(id));
        wanted.contains(&id) || own.any(|(l, r)| is_open || enforced.of(*l) != enforced.of(*r))
    };
    let kept: Vec<usize> = secret
        .columns
        .iter()
        .enumerate()
        .filter(|(_, id)| is_needed(**id))
        .map(|(position, _)| position)
        .collect();
    if kept.len() == secret.columns.len() {
        return Ok(secret);
    }
    let own = secret.joint.columns();
    let names = kept.iter().filter_map(|p| own.get(*p)).map(|c| c.name.clone()).collect();
    let place = |column: &usize| kept.iter().position(|position| position == column);
    let distinct =
        secret.joint.distinct.iter().filter_map(|set| set.iter().map(place).collect()).collect();
    let columns = kept.iter().filter_map(|p| secret.columns.get(*p).copied()).collect();
    let exprs = kept.iter().map(|position| Expr::Column(*position)).collect();
    let node = projected(secret.joint.node, exprs, names)?;
    Ok(Secret { joint: Joint { node, distinct }, columns })
}

/// Why no step is possible.
fn refused(flat: &Flat, secrets: &[Secret], classes: &Classes) -> PlanError {
    let shared = secrets.iter().enumerate().find_map(|(index, first)| {
        secrets.iter().skip(index + 1).find_map(|second| {
            let own = classes_of(first, classes);
            own.intersection(&classes_of(second, classes)).next().copied()
        })
    });
    PlanError::unsupported(match shared {
        Some(id) => format!(
            "a join on {} whose key is not known to be unique on all sides but one (declare unique = \
             true for a column that is never NULL; it says so of each party's rows, so of a table \
             that several hold join one part, PARTY.TABLE, or group by the key)",
            key_of(flat, id, classes)
        ),
        None => {
            "a join across parties without an equality (cross join), in which more than one side \
                 may have several rows"
                .to_owned()
        }
    })
}

/// The columns of a key, as the query names them.
fn key_of(flat: &Flat, id: Id, classes: &Classes) -> String {
    let same = |other: &Id| classes.of(*other) == classes.of(id);
    let named = (0..flat.fields.len()).filter(same).filter_map(|id| {
        let (qualifier, field) = flat.fields.get(id)?;
        Some(format!("{}.{}", qualifier.as_ref()?, field.name()))
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { "a computed key".to_owned() } else { named.join(" = ") }
}
