//! Inner equi-joins of m inputs on one key, at most one of them with repeated keys; without a key,
//! the product of relations of which all but one have one row at most.

use super::leaf::{self, Uniqueness};
use super::{arranged, fields, place as place_node, sort, unary};
use crate::ir::{BinaryOp, Column, Expr, Kept, Node};
use crate::lower::error::LowerError;
use crate::lower::physical::{Found, Operator, Physical};
use crate::lower::shape::{Field, Shape, ascending, renumber};
use crate::lower::tree::{self, Costing};
use crate::types::ColumnType;

/// Sets are intersected in a tree chosen by cost; the input with repeated keys comes last.
pub(super) fn place(
    inputs: &[Node],
    keys: &[Vec<usize>],
    unique: &[bool],
    columns: &[Column],
    costing: &Costing,
) -> Result<Physical, LowerError> {
    if inputs.len() < 2 || keys.len() != inputs.len() || unique.len() != inputs.len() {
        return Err(LowerError::malformed("a join's keys"));
    }
    if keys.iter().all(Vec::is_empty) {
        return product(inputs, unique, columns, costing);
    }
    let key_fields = common_keys(inputs, keys)?;
    let (mut sets, mut bags) = (Vec::new(), Vec::new());
    for (i, ((input, key), unique)) in inputs.iter().zip(keys).zip(unique).enumerate() {
        let side = side(input, key, *unique, &key_fields, costing)?;
        let side = Side { tree: side, sources: sources(inputs, i, key) };
        if side.tree.shape.is_set() { sets.push(side) } else { bags.push(side) }
    }
    if bags.len() > 1 || sets.is_empty() {
        let what = "a join in which the keys of two inputs may repeat (declare one `unique`)";
        return Err(LowerError::unsupported(what));
    }
    let k = key_fields.len();
    let (trees, sources): (Vec<_>, Vec<_>) =
        sets.into_iter().map(|side| (side.tree, side.sources)).unzip();
    let (tree, order) = tree::binary_with_order(trees, &|a, b| intersect(a, b, k), costing)?;
    let mut payload: Vec<usize> =
        order.iter().filter_map(|i| sources.get(*i)).flatten().copied().collect();
    let tree = match bags.pop() {
        Some(bag) => {
            payload.extend(bag.sources);
            lookup(tree, bag.tree, k)
        }
        None => tree,
    };
    output(tree, inputs, keys, &payload, columns)
}

/// The rows of one input beside the single rows of the others. Like a filter it stays in the stage of
/// its consumer: in its range, what comes from one row is the same everywhere.
fn product(
    inputs: &[Node],
    unique: &[bool],
    columns: &[Column],
    costing: &Costing,
) -> Result<Physical, LowerError> {
    let many = unique.iter().position(|unique| !unique).unwrap_or(0);
    let mut order = vec![many];
    order.extend((0..inputs.len()).filter(|index| *index != many));
    let trees = order.iter().filter_map(|index| inputs.get(*index));
    let mut trees = trees.map(|input| place_node(input, costing));
    let rows = trees.next().ok_or_else(|| LowerError::malformed("a product's inputs"))??;
    let tree = trees.try_fold(rows, |rows, one| broadcast(rows, one?))?;
    let starts: Vec<usize> = order
        .iter()
        .scan(0, |next, index| {
            let start = *next;
            *next += inputs.get(*index).map_or(0, |input| input.columns().len());
            Some(start)
        })
        .collect();
    let chosen = inputs.iter().enumerate().flat_map(|(index, input)| {
        let at = order.iter().position(|other| *other == index);
        let start = at.and_then(|at| starts.get(at)).copied().unwrap_or(0);
        (0..input.columns().len()).map(move |column| start + column)
    });
    Ok(arranged(tree, chosen.zip(fields(columns)).collect()))
}

fn broadcast(rows: Physical, one: Physical) -> Result<Physical, LowerError> {
    if one.shape.rows > 1 {
        let what = "a join without an equality in which two inputs may have several rows";
        return Err(LowerError::unsupported(what));
    }
    let mut shape = rows.shape.clone();
    let before = shape.fields.len();
    shape.fields.extend(one.shape.fields.iter().cloned());
    let moved = one.shape.claims.iter().filter_map(|claim| renumber(claim, &|c| Some(c + before)));
    shape.claims.extend(moved);
    let parties = rows.parties.union(one.parties);
    let inputs = vec![rows, one];
    Ok(Physical { operator: Operator::Broadcast, inputs, parties, shape, exact: false })
}

/// One input, columns key then payload, and where the payload stands in the join's output.
struct Side {
    tree: Physical,
    sources: Vec<usize>,
}

/// Output positions of input `i`'s payload columns, in order.
fn sources(inputs: &[Node], i: usize, key: &[usize]) -> Vec<usize> {
    let before: usize = inputs.iter().take(i).map(|input| input.schema().columns.len()).sum();
    let width = inputs.get(i).map_or(0, |input| input.schema().columns.len());
    (0..width).filter(|c| !key.contains(c)).map(|c| before + c).collect()
}

fn common_keys(inputs: &[Node], keys: &[Vec<usize>]) -> Result<Vec<Field>, LowerError> {
    let width = keys.first().map_or(0, Vec::len);
    if width == 0 || keys.iter().any(|key| key.len() != width) {
        return Err(LowerError::unsupported("a join without an equality between its inputs"));
    }
    (0..width)
        .map(|k| {
            let kinds = inputs.iter().zip(keys).map(|(input, key)| {
                let columns = input.schema().columns;
                key.get(k).and_then(|c| columns.get(*c)).map(|column| column.kind)
            });
            let kinds: Option<Vec<ColumnType>> = kinds.collect();
            let kinds = kinds.ok_or_else(|| LowerError::malformed("a join's key column"))?;
            common(&kinds).map(Field::plain)
        })
        .collect()
}

/// The smallest type that holds the values of all, without NULL.
fn common(kinds: &[ColumnType]) -> Result<ColumnType, LowerError> {
    let hull = kinds.iter().copied().map(Some).reduce(|a, b| a?.hull(b?)).flatten();
    let refused = || LowerError::unsupported("a join on keys of different types or scales");
    hull.map(|kind| kind.with_nullable(false)).ok_or_else(refused)
}

fn side(
    input: &Node,
    key: &[usize],
    unique: bool,
    key_fields: &[Field],
    costing: &Costing,
) -> Result<Physical, LowerError> {
    let schema = input.schema();
    let mut columns: Vec<_> = key.iter().copied().zip(key_fields.iter().cloned()).collect();
    for (c, column) in schema.columns.iter().enumerate() {
        if !key.contains(&c) {
            columns.push((c, Field::plain(column.kind)));
        }
    }
    if let Node::Leaf(leaf) = input {
        let set = if unique { Uniqueness::Claimed } else { Uniqueness::FromLeaf };
        return leaf::keyed(leaf, &columns, key.len(), set);
    }
    let tree = without_null_keys(place_node(input, costing)?, key);
    let known = tree.shape.is_set() && tree.shape.order.iter().all(|o| key.contains(&o.column));
    let tree = arranged(tree, columns);
    let order = ascending(0..key.len());
    if tree.shape.order == order {
        return Ok(tree);
    }
    let mut tree = sort::sorted(tree, order, None);
    if known {
        tree.shape.repeats = 1;
    }
    Ok(tree)
}

/// A NULL key joins nothing.
fn without_null_keys(tree: Physical, key: &[usize]) -> Physical {
    let nullable = |c: &&usize| tree.shape.fields.get(**c).is_some_and(|f| f.kind.nullable);
    let present = key
        .iter()
        .filter(nullable)
        .map(|c| Expr::Not(Box::new(Expr::IsNull(Box::new(Expr::Column(*c))))));
    let all = present.reduce(|a, b| Expr::Binary(BinaryOp::And, Box::new(a), Box::new(b)));
    match all {
        Some(predicate) => {
            let shape = tree.shape.clone();
            unary(Operator::Filter(predicate), tree, shape)
        }
        None => tree,
    }
}

/// Exact (PROTOCOL.md §8 "intersection of sets, compacted"): set(min N), N the inputs' lanes, with
/// both payloads, each row satisfying both sides' claims. Intersections below it may leave their
/// results scattered, in a few more lanes.
fn intersect(left: Physical, right: Physical, keys: usize) -> Physical {
    let (left, right) = (left.scattered(), right.scattered());
    let rows = left.shape.rows.min(right.shape.rows);
    let lanes = left.shape.rows.midpoint(right.shape.rows);
    let exact = left.exact && right.exact;
    let (of_left, of_right) = (left.pooled(), right.pooled());
    let pooled = (of_left.0 + of_right.0, of_left.1 + of_right.1);
    let operator = Operator::Intersect { keys, lanes, pooled, compacted: true };
    joined(left, right, keys, operator, (rows, 1), exact)
}

/// PK–FK join: stays in the stage that sees all, because its range is more than a sorted bag
/// (equal keys have equal PK-side columns, and at most N_PK distinct keys).
fn lookup(left: Physical, right: Physical, keys: usize) -> Physical {
    let rows = right.shape.rows;
    let operator = Operator::Lookup { keys, found: Found::Required };
    joined(left, right, keys, operator, (rows, rows), false)
}

/// Rows looked up in a set, in the stage that sees all, as [`lookup`].
pub(super) fn probe(
    [rows, set]: &[Node; 2],
    [row_key, set_key]: &[Vec<usize>; 2],
    kept: Kept,
    columns: &[Column],
    costing: &Costing,
) -> Result<Physical, LowerError> {
    let nodes = [rows.clone(), set.clone()];
    let key_fields = common_keys(&nodes, &[row_key.clone(), set_key.clone()])?;
    let (k, row_width) = (key_fields.len(), rows.columns().len());
    if row_key.iter().any(|c| rows.columns().get(*c).is_none_or(|column| column.kind.nullable)) {
        return Err(LowerError::malformed("rows with a NULL key, which meet nothing"));
    }
    let set_columns = set.columns();
    let set = side(set, set_key, true, &key_fields, costing)?;
    if !set.shape.is_set() {
        return Err(LowerError::unsupported("a LEFT JOIN with keys that may repeat"));
    }
    // Behind the key, with `All`: every column of the set, the key's own included, which is NULL where
    // the rows' key is not found.
    let mut of_set: Vec<_> = key_fields.iter().cloned().enumerate().collect();
    if kept == Kept::All {
        let mut payload = k..;
        for (c, column) in set_columns.iter().enumerate() {
            let (from, kind) = match set_key.iter().position(|key| *key == c) {
                Some(at) => (at, key_fields.get(at).map_or(column.kind, |field| field.kind)),
                None => (payload.next().unwrap_or(k), column.kind),
            };
            of_set.push((from, Field::plain(kind.with_nullable(true))));
        }
    }
    let from_set = of_set.len() - k;
    let set = arranged(set, of_set);
    let rows = side(rows, row_key, false, &key_fields, costing)?;
    let found = match kept {
        Kept::All => Found::Optional,
        Kept::Unmatched => Found::Excluded,
    };
    let (capacity, repeats) = (rows.shape.rows, rows.shape.repeats);
    // What holds of the set's rows does not hold of NULLs.
    let set = Physical { shape: Shape { claims: Vec::new(), ..set.shape.clone() }, ..set };
    let operator = Operator::Lookup { keys: k, found };
    let tree = joined(set, rows, k, operator, (capacity, repeats), false);
    let mut payload = k + from_set..;
    let of_rows = (0..row_width).map(|c| match row_key.iter().position(|key| *key == c) {
        Some(at) => at,
        None => payload.next().unwrap_or(0),
    });
    let chosen: Vec<usize> = of_rows.chain(k..k + from_set).collect();
    if chosen.len() != columns.len() {
        return Err(LowerError::malformed("the columns of a LEFT JOIN"));
    }
    Ok(arranged(tree, chosen.into_iter().zip(fields(columns)).collect()))
}

fn joined(
    left: Physical,
    right: Physical,
    keys: usize,
    operator: Operator,
    (rows, repeats): (u32, u32),
    exact: bool,
) -> Physical {
    let shift = left.shape.fields.len().saturating_sub(keys);
    let mut fields = left.shape.fields.clone();
    fields.extend(right.shape.fields.iter().skip(keys).cloned());
    let to = |c: usize| Some(if c < keys { c } else { c + shift });
    let mut claims = left.shape.claims.clone();
    claims.extend(right.shape.claims.iter().filter_map(|claim| renumber(claim, &to)));
    let shape = Shape { fields, rows, order: ascending(0..keys), repeats, claims };
    let parties = left.parties.union(right.parties);
    Physical { operator, inputs: vec![left, right], parties, shape, exact }
}

/// Columns in the join's order: all of input 0, then all of input 1, …; `payload` lists the output
/// positions of the tree's columns after the key.
fn output(
    tree: Physical,
    inputs: &[Node],
    keys: &[Vec<usize>],
    payload: &[usize],
    columns: &[Column],
) -> Result<Physical, LowerError> {
    let k = keys.first().map_or(0, Vec::len);
    let mut chosen = Vec::new();
    for (input, key) in inputs.iter().zip(keys) {
        for c in 0..input.schema().columns.len() {
            let at = chosen.len();
            let from = match key.iter().position(|column| *column == c) {
                Some(position) => Some(position),
                None => payload.iter().position(|out| *out == at).map(|p| k + p),
            };
            chosen.push(from.ok_or_else(|| LowerError::malformed("a join's columns"))?);
        }
    }
    if chosen.len() != columns.len() {
        return Err(LowerError::malformed("a join's output columns"));
    }
    Ok(arranged(tree, chosen.into_iter().zip(fields(columns)).collect()))
}
