//! Aggregation: combine rows that agree on the keys, over the union of the inputs.

use super::leaf::{self, Uniqueness};
use super::{arranged, fields, flatten, place as place_node, sort, total_rows, unary};
use crate::ir::{Aggregate, AggregateFunction, Column, Node};
use crate::lower::error::LowerError;
use crate::lower::physical::{Combine, Operator, Physical};
use crate::lower::shape::{Field, Shape, ascending, bits_for, columns_of};
use crate::lower::tree::{self, Costing};

/// One row per key. Sums run in a ring that holds every honest sum; the last step turns them into
/// the types of `columns`.
pub(super) fn place(
    input: &Node,
    keys: &[usize],
    aggregates: &[Aggregate],
    columns: &[Column],
    costing: &Costing,
) -> Result<Physical, LowerError> {
    let parts = flatten(input);
    let targets = targets(&parts, keys, aggregates, columns)?;
    let combine: Vec<_> = aggregates.iter().map(|a| combination(a.function)).collect();
    let inputs = parts.into_iter().map(|part| keyed(part, &targets, keys.len(), costing));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let _checked = total_rows(&inputs)?;
    let tree = match <[Physical; 1]>::try_from(inputs) {
        Ok([one]) => group(vec![one], keys.len(), &combine),
        Err(many) => {
            let pair = |a, b| group(vec![a, b], keys.len(), &combine);
            tree::binary(many, &pair, costing)?
        }
    };
    Ok(finished(tree, columns, keys.is_empty()))
}

/// One input with columns keys, then arguments, in the encodings of `targets`, sorted by the keys.
fn keyed(
    part: &Node,
    targets: &[(usize, Field)],
    keys: usize,
    costing: &Costing,
) -> Result<Physical, LowerError> {
    if let Node::Leaf(leaf) = part {
        return leaf::keyed(leaf, targets, keys, Uniqueness::FromLeaf);
    }
    let tree = arranged(place_node(part, costing)?, targets.to_vec());
    let order = ascending(0..keys);
    Ok(if tree.shape.order.starts_with(&order) { tree } else { sort::sorted(tree, order, None) })
}

fn combination(function: AggregateFunction) -> Combine {
    match function {
        AggregateFunction::Sum { .. } => Combine::Sum,
        AggregateFunction::Min => Combine::Min,
        AggregateFunction::Max => Combine::Max,
    }
}

/// Source column and encoding per key and argument.
fn targets(
    parts: &[&Node],
    keys: &[usize],
    aggregates: &[Aggregate],
    columns: &[Column],
) -> Result<Vec<(usize, Field)>, LowerError> {
    let mut targets = Vec::new();
    for (key, column) in keys.iter().zip(columns) {
        targets.push((*key, Field::plain(column.kind)));
    }
    for (aggregate, column) in aggregates.iter().zip(columns.iter().skip(keys.len())) {
        let mut field = Field::plain(column.kind);
        field.kind.nullable = argument_nullable(parts, aggregate.argument)?;
        if let AggregateFunction::Sum { zero_if_empty } = aggregate.function {
            let nothing = zero_if_empty && (keys.is_empty() || field.kind.nullable);
            let (low, high) = sum_interval(parts, keys, aggregate.argument, nothing)?;
            // The front end's bound may be tighter: it knows what the parts are sums of.
            let (low, high) = (low.max(column.kind.low), high.min(column.kind.high));
            let (low, high) = if low <= high { (low, high) } else { (low, low) };
            let span = high.checked_sub(low).ok_or(LowerError::TooWide { what: "SUM" })?;
            (field.kind.low, field.kind.high) = (low, high);
            field.ring = Some(bits_for(span.cast_unsigned()).max(1));
            field.kind.nullable &= !zero_if_empty;
        }
        targets.push((aggregate.argument, field));
    }
    if targets.len() != columns.len() {
        return Err(LowerError::malformed("an aggregate's columns"));
    }
    Ok(targets)
}

fn argument_nullable(parts: &[&Node], column: usize) -> Result<bool, LowerError> {
    parts.iter().try_fold(false, |nullable, part| {
        let column = part.columns().get(column);
        let column = column.ok_or_else(|| LowerError::malformed("an aggregate's argument"))?;
        Ok(nullable || column.kind.nullable)
    })
}

/// Least and greatest sum over at least one row that honest owners can cause; 0 too where a group
/// may have nothing to add up.
fn sum_interval(
    parts: &[&Node],
    keys: &[usize],
    column: usize,
    nothing: bool,
) -> Result<(i128, i128), LowerError> {
    let wide = || LowerError::TooWide { what: "SUM" };
    let (mut sums, mut ones) = ((0i128, 0i128), (i128::MAX, i128::MIN));
    for part in parts {
        let kind = part.columns().get(column).map(|column| column.kind);
        let kind = kind.ok_or_else(|| LowerError::malformed("an aggregate's argument"))?;
        let rows = i128::from(rows_per_key(part, keys));
        let least = kind.low.min(0).checked_mul(rows).and_then(|low| sums.0.checked_add(low));
        let most = kind.high.max(0).checked_mul(rows).and_then(|high| sums.1.checked_add(high));
        sums = (least.ok_or_else(wide)?, most.ok_or_else(wide)?);
        ones = (ones.0.min(kind.low), ones.1.max(kind.high));
    }
    // One row alone is the least sum when nothing is negative, the greatest when nothing is positive.
    let low = if sums.0 == 0 && !nothing { ones.0.max(0) } else { sums.0 };
    let high = if sums.1 == 0 && !nothing { ones.1.min(0) } else { sums.1 };
    Ok((low.min(high), high))
}

fn rows_per_key(part: &Node, keys: &[usize]) -> u32 {
    match part {
        Node::Leaf(leaf) if leaf.at_most_one_row => 1,
        Node::Leaf(leaf)
            if !leaf.distinct.is_empty() && leaf.distinct.iter().all(|c| keys.contains(c)) =>
        {
            1
        }
        _ => part.capacity(),
    }
}

/// Merge and combine. Exact (PROTOCOL.md §8 "grouped MIN/MAX", "grouped SUM of pre-aggregates mod
/// 2^w", "distinct union") when every row of the output can be some owner's only row with its key:
/// sums in their ring, claims only on keys and at most one MIN or MAX, the same at all inputs.
fn group(inputs: Vec<Physical>, keys: usize, combine: &[Combine]) -> Physical {
    let rows = inputs.iter().fold(0u32, |sum, input| sum.saturating_add(input.shape.rows));
    let first = inputs.first().map(|input| input.shape.clone());
    let first = first.unwrap_or_else(|| empty_shape(keys));
    let alike = |p: &Physical| p.shape.claims == first.claims && p.shape.fields == first.fields;
    let same = inputs.iter().all(alike);
    let exact = same
        && inputs.iter().all(|input| input.exact)
        && first.claims.iter().all(|claim| closed(claim, keys, combine));
    let rows = if keys == 0 { rows.min(1) } else { rows };
    let claims = if exact { first.claims.clone() } else { Vec::new() };
    let shape = Shape { rows, order: ascending(0..keys), repeats: 1, claims, ..first };
    let parties = Physical::parties_of(&inputs);
    let operator = Operator::Group { keys, combine: combine.to_vec() };
    Physical { operator, inputs, parties, shape, exact }
}

fn closed(claim: &crate::ir::Expr, keys: usize, combine: &[Combine]) -> bool {
    let mut columns = Vec::new();
    columns_of(claim, &mut columns);
    columns.retain(|column| *column >= keys);
    columns.sort_unstable();
    columns.dedup();
    let chosen = |k: &usize| matches!(combine.get(k - keys), Some(Combine::Min | Combine::Max));
    columns.len() <= 1 && columns.iter().all(chosen)
}

fn empty_shape(keys: usize) -> Shape {
    let order = ascending(0..keys);
    Shape { fields: Vec::new(), rows: 0, order, repeats: 1, claims: Vec::new() }
}

/// Sums out of their rings; without keys, exactly one row.
fn finished(tree: Physical, columns: &[Column], one_row: bool) -> Physical {
    let wanted = fields(columns);
    if tree.shape.fields == wanted && !one_row {
        return tree;
    }
    let columns: Vec<_> = wanted.iter().cloned().enumerate().collect();
    let rows = if one_row { 1 } else { tree.shape.rows };
    let mut shape = super::moved(&tree.shape, wanted, &|column| Some(column));
    shape.rows = rows;
    unary(Operator::Arrange { columns, one_row }, tree, shape)
}
