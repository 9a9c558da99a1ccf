//! ORDER BY and LIMIT: owners sort, joint stages merge, and nothing after the first rows is kept.

use super::leaf::{self, Want};
use super::{converted, fields, flatten, place as place_node, total_rows, unary};
use crate::ir::{Node, SortKey};
use crate::lower::error::LowerError;
use crate::lower::physical::{Operator, Physical};
use crate::lower::shape::{Shape, ascending};
use crate::lower::tree::{self, Costing};

/// Rows of `input` by `keys`, ties by all other columns ascending, rows `skip .. skip + fetch`.
pub(super) fn place(
    input: &Node,
    keys: &[SortKey],
    fetch: Option<u32>,
    skip: u32,
    costing: &Costing,
) -> Result<Physical, LowerError> {
    let width = input.schema().columns.len();
    let order = total_order(keys, width);
    let keep = fetch.map(|fetch| fetch.saturating_add(skip));
    let tree = match input {
        Node::Union { schema, .. } if width > 0 => {
            let wanted = fields(&schema.columns);
            let parts = flatten(input).into_iter().map(|part| {
                let tree = match part {
                    Node::Leaf(leaf) => {
                        leaf::whole(leaf, Want::Sorted { order: order.clone(), keep })?
                    }
                    _ => place_node(part, costing)?,
                };
                let tree = converted(tree, &wanted);
                let done = tree.shape.order == order;
                Ok(if done { tree } else { sorted(tree, order.clone(), keep) })
            });
            let parts = parts.collect::<Result<Vec<_>, LowerError>>()?;
            let _checked = total_rows(&parts)?;
            tree::binary(parts, &|a, b| merge(a, b, keep), costing)?
        }
        Node::Leaf(leaf) => leaf::whole(leaf, Want::Sorted { order, keep })?,
        _ => {
            let tree = place_node(input, costing)?;
            let known = &tree.shape.order;
            let done = tree.shape.is_set() && !known.is_empty() && order.starts_with(known);
            if done { first(tree, keep) } else { sorted(tree, order, keep) }
        }
    };
    Ok(skipped(tree, skip))
}

/// `input` sorted in its consumer's stage.
pub(super) fn sorted(input: Physical, order: Vec<SortKey>, keep: Option<u32>) -> Physical {
    let rows = keep.map_or(input.shape.rows, |keep| keep.min(input.shape.rows));
    let shape = Shape { order: order.clone(), rows, repeats: rows, ..input.shape.clone() };
    unary(Operator::Sort { order, keep }, input, shape)
}

/// The first `keep` rows of a relation that is sorted already.
fn first(input: Physical, keep: Option<u32>) -> Physical {
    match keep {
        Some(keep) if keep < input.shape.rows => {
            let shape = Shape { rows: keep, ..input.shape.clone() };
            unary(Operator::First(keep), input, shape)
        }
        _ => input,
    }
}

fn skipped(input: Physical, skip: u32) -> Physical {
    if skip == 0 {
        return input;
    }
    let rows = input.shape.rows.saturating_sub(skip);
    let shape = Shape { rows, ..input.shape.clone() };
    unary(Operator::Skip(skip.min(input.shape.rows)), input, shape)
}

fn total_order(keys: &[SortKey], width: usize) -> Vec<SortKey> {
    let mut order: Vec<SortKey> = Vec::new();
    for key in keys.iter().copied().chain(ascending(0..width)) {
        if key.column < width && order.iter().all(|earlier| earlier.column != key.column) {
            order.push(key);
        }
    }
    order
}

/// Merge of two sorted bags. Exact (PROTOCOL.md §8 "merge of bags", "top-l of a merge") when both
/// inputs are arbitrary bags of the same rows.
fn merge(left: Physical, right: Physical, keep: Option<u32>) -> Physical {
    let sum = left.shape.rows.saturating_add(right.shape.rows);
    let rows = keep.map_or(sum, |keep| keep.min(sum));
    let bag = |p: &Physical| p.exact && (p.shape.repeats >= p.shape.rows);
    let same = left.shape.claims == right.shape.claims && left.shape.fields == right.shape.fields;
    let exact = bag(&left) && bag(&right) && same;
    let claims = if same { left.shape.claims.clone() } else { Vec::new() };
    let shape = Shape { rows, repeats: rows, claims, ..left.shape.clone() };
    let parties = left.parties.union(right.parties);
    let operator = Operator::Merge { keep: keep.filter(|keep| *keep < sum) };
    Physical { operator, inputs: vec![left, right], parties, shape, exact }
}
