//! Joint plan to operator tree: an operator per node, the order each consumer wants pushed down to
//! the owners, and exactness of every range (PROTOCOL.md §8).

mod aggregate;
mod join;
mod leaf;
mod sort;

use super::error::{LowerError, ROWS_MAX};
use super::physical::{Operator, Physical};
use super::shape::{Field, Shape, ascending, renumber};
use super::tree::Costing;
use crate::ir::{Column, Expr, Node, SortKey};
use leaf::Want;

/// The operator tree of the result. Its rows come in the order of the query, or in some other order
/// that depends on output values only.
pub(crate) fn root(
    node: &Node,
    ordering: Ordering,
    costing: &Costing,
) -> Result<Physical, LowerError> {
    match node {
        Node::Sort { .. } => return place(node, costing),
        Node::Leaf(leaf) if ordering == Ordering::ByQuery => {
            return leaf::whole(leaf, Want::AsGiven);
        }
        Node::Union { .. } | Node::Leaf(_) => return sort::place(node, &[], None, 0, costing),
        Node::Project { input, exprs, schema } if ordered(input, ordering) => {
            let input = root(input, ordering, costing)?;
            let shape = projected(&input.shape, exprs, &schema.columns);
            return Ok(unary(Operator::Project(exprs.clone()), input, shape));
        }
        _ => {}
    }
    let tree = place(node, costing)?;
    if tree.shape.is_set() && !tree.shape.order.is_empty() || tree.shape.rows <= 1 {
        return Ok(tree);
    }
    let order = ascending(0..tree.shape.fields.len());
    Ok(sort::sorted(tree, order, None))
}

/// Whether the query says in which order rows are returned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ordering {
    /// ORDER BY: the revealed order is the answer's.
    ByQuery,
    /// No ORDER BY: the recipient sorts by all output columns.
    Free,
}

/// Whether the rows' order is the query's, so that computing columns of each row keeps it.
fn ordered(node: &Node, ordering: Ordering) -> bool {
    match node {
        Node::Sort { .. } => true,
        Node::Leaf(_) => ordering == Ordering::ByQuery,
        Node::Project { input, .. } => ordered(input, ordering),
        _ => false,
    }
}

/// The operator tree of a node, columns as in the node.
fn place(node: &Node, costing: &Costing) -> Result<Physical, LowerError> {
    match node {
        Node::Leaf(leaf) => leaf::whole(leaf, Want::Nothing),
        Node::Union { schema, .. } => {
            let parts = flatten(node);
            let parts = parts.into_iter().map(|part| {
                let tree = place(part, costing)?;
                Ok(converted(tree, &fields(&schema.columns)))
            });
            concat(parts.collect::<Result<_, LowerError>>()?)
        }
        Node::Filter { input, predicate } => {
            let input = place(input, costing)?;
            let mut shape = input.shape.clone();
            shape.claims.push(predicate.clone());
            Ok(unary(Operator::Filter(predicate.clone()), input, shape))
        }
        // Never a stage of its own: what it counts is opened by the root stage only.
        Node::Suppress { input, predicate } => {
            let input = place(input, costing)?;
            let mut shape = input.shape.clone();
            shape.claims.push(predicate.clone());
            Ok(unary(Operator::Suppress(predicate.clone()), input, shape))
        }
        Node::Project { input, exprs, schema } => {
            let input = place(input, costing)?;
            let shape = projected(&input.shape, exprs, &schema.columns);
            Ok(unary(Operator::Project(exprs.clone()), input, shape))
        }
        Node::Aggregate { input, keys, aggregates, schema } => {
            aggregate::place(input, keys, aggregates, &schema.columns, costing)
        }
        Node::Join { inputs, keys, unique, schema } => {
            join::place(inputs, keys, unique, &schema.columns, costing)
        }
        Node::Probe { inputs, keys, kept, schema } => {
            join::probe(inputs, keys, *kept, &schema.columns, costing)
        }
        Node::Sort { input, keys, fetch, skip } => sort::place(input, keys, *fetch, *skip, costing),
    }
}

/// The inputs of nested unions; the node itself when it is none.
fn flatten(node: &Node) -> Vec<&Node> {
    match node {
        Node::Union { inputs, .. } => inputs.iter().flat_map(flatten).collect(),
        _ => vec![node],
    }
}

fn fields(columns: &[Column]) -> Vec<Field> {
    columns.iter().map(|column| Field::plain(column.kind)).collect()
}

/// An operator over one input, evaluated in the stage of its consumer.
fn unary(operator: Operator, input: Physical, shape: Shape) -> Physical {
    Physical { operator, parties: input.parties, inputs: vec![input], shape, exact: false }
}

/// The same columns in these encodings.
fn converted(input: Physical, fields: &[Field]) -> Physical {
    if input.shape.fields == fields {
        return input;
    }
    arranged(input, fields.iter().cloned().enumerate().collect())
}

/// Chosen columns in chosen encodings; exact when it only permutes.
fn arranged(input: Physical, columns: Vec<(usize, Field)>) -> Physical {
    let shape = &input.shape;
    let same = |(from, to): &(usize, Field)| shape.fields.get(*from) == Some(to);
    let permutes = columns.len() == shape.fields.len()
        && columns.iter().all(same)
        && (0..columns.len()).all(|k| columns.iter().any(|(from, _)| *from == k));
    if permutes && columns.iter().enumerate().all(|(k, (from, _))| k == *from) {
        return input;
    }
    let to = |from: usize| columns.iter().position(|(source, _)| *source == from);
    let shape = moved(shape, columns.iter().map(|(_, field)| field.clone()).collect(), &to);
    let exact = permutes && input.exact;
    let operator = Operator::Arrange { columns, one_row: false };
    Physical { exact, ..unary(operator, input, shape) }
}

/// What stays known about rows when columns move; `to` is a column's new place.
fn moved(shape: &Shape, fields: Vec<Field>, to: &dyn Fn(usize) -> Option<usize>) -> Shape {
    let order: Vec<SortKey> = shape
        .order
        .iter()
        .map_while(|key| to(key.column).map(|column| SortKey { column, ..*key }))
        .collect();
    let whole = order.len() == shape.order.len();
    let repeats = if whole { shape.repeats } else { shape.rows };
    let claims = shape.claims.iter().filter_map(|claim| renumber(claim, to)).collect();
    Shape { fields, rows: shape.rows, order, repeats, claims }
}

fn projected(shape: &Shape, exprs: &[Expr], columns: &[Column]) -> Shape {
    let to = |from: usize| {
        exprs.iter().zip(columns).position(|(expr, column)| {
            let same = shape.fields.get(from).is_some_and(|f| *f == Field::plain(column.kind));
            matches!(expr, Expr::Column(c) if *c == from) && same
        })
    };
    moved(shape, fields(columns), &to)
}

fn concat(parts: Vec<Physical>) -> Result<Physical, LowerError> {
    let Some(first) = parts.first() else {
        return Err(LowerError::malformed("a union without inputs"));
    };
    let fields = first.shape.fields.clone();
    let rows = total_rows(&parts)?;
    let shape = Shape { fields, rows, order: Vec::new(), repeats: rows, claims: Vec::new() };
    let parties = Physical::parties_of(&parts);
    Ok(Physical { operator: Operator::Concat, inputs: parts, parties, shape, exact: false })
}

/// Rows of one relation, unless they are too many.
pub(super) fn few_enough(rows: u64) -> Result<u32, LowerError> {
    let fits = u32::try_from(rows).ok().filter(|rows| *rows <= ROWS_MAX);
    fits.ok_or(LowerError::TooManyRows { rows })
}

fn total_rows(parts: &[Physical]) -> Result<u32, LowerError> {
    let rows = parts.iter().fold(0, |sum, part| sum + u64::from(part.shape.rows));
    few_enough(rows)
}
