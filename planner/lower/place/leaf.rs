//! Owners' inputs: columns in the encodings and rows in the order that the consumer wants.

use super::arranged;
use crate::ir::{Expr, Leaf, SortKey};
use crate::lower::error::LowerError;
use crate::lower::physical::{LeafColumn, Operator, Physical};
use crate::lower::shape::{Field, Shape, ascending, renumber};
use senate_circuit::PartySet;

/// How the consumer wants an owner's rows.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// Any order, unless the leaf is a set, which is then verified.
    Nothing,
    /// In the order in which the owner's own query gives them, which is the answer's order.
    AsGiven,
    /// Sorted by all columns in this order; at most `keep` rows.
    Sorted {
        /// Columns of the leaf.
        order: Vec<SortKey>,
        /// Pushed-down LIMIT.
        keep: Option<u32>,
    },
}

/// All columns of the leaf in their own encodings.
pub(super) fn whole(leaf: &Leaf, want: Want) -> Result<Physical, LowerError> {
    let columns = leaf.schema.columns.iter().enumerate();
    let columns = columns
        .map(|(source, column)| {
            let column_from = LeafColumn { source, skip_null: false };
            (column_from, Field::plain(column.kind))
        })
        .collect();
    let capacity = capacity(leaf);
    let (order, repeats, keep) = match want {
        Want::AsGiven => (Vec::new(), capacity, None),
        Want::Nothing if leaf.distinct.is_empty() => (Vec::new(), capacity, None),
        Want::Nothing => (ascending(leaf.distinct.iter().copied()), 1, None),
        Want::Sorted { order, keep } => (order, capacity, keep),
    };
    let rows = keep.map_or(capacity, |keep| keep.min(capacity));
    Ok(owned(leaf, columns, Rows { order, repeats, rows }))
}

/// Chosen columns of the leaf, sorted by the first `keys` of them; rows with a NULL in a key that
/// is wanted without NULL are dropped by the owner.
pub(super) fn keyed(
    leaf: &Leaf,
    columns: &[(usize, Field)],
    keys: usize,
    set: Uniqueness,
) -> Result<Physical, LowerError> {
    let rows = capacity(leaf);
    let key_columns: Vec<_> = columns.iter().take(keys).map(|(source, _)| *source).collect();
    let known = !leaf.distinct.is_empty() && leaf.distinct.iter().all(|c| key_columns.contains(c));
    let repeats = if known || set == Uniqueness::Claimed || rows <= 1 { 1 } else { rows };
    let skip = |k: usize, source: usize| {
        let nullable = leaf.schema.columns.get(source).is_some_and(|c| c.kind.nullable);
        let wanted = columns.get(k).is_some_and(|(_, field)| !field.kind.nullable);
        k < keys && nullable && wanted
    };
    if by_owner(leaf, columns) {
        let chosen = columns.iter().enumerate().map(|(k, (source, field))| {
            (LeafColumn { source: *source, skip_null: skip(k, *source) }, field.clone())
        });
        let order = ascending(0..keys);
        let rows = Rows { order, repeats, rows };
        return Ok(owned(leaf, chosen.collect(), rows));
    }
    let all = leaf.schema.columns.iter().enumerate().map(|(source, column)| {
        let k = columns.iter().position(|(from, _)| *from == source);
        let skip_null = k.is_some_and(|k| skip(k, source));
        let field = Field::plain(column.kind);
        let field = if skip_null { field.present() } else { field };
        (LeafColumn { source, skip_null }, field)
    });
    let order = ascending(key_columns);
    let rows = Rows { order, repeats, rows };
    Ok(arranged(owned(leaf, all.collect(), rows), columns.to_vec()))
}

/// Whether the plan says that a leaf's key is distinct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Uniqueness {
    /// It does: the owner's input is verified to be a set.
    Claimed,
    /// Only if the leaf itself is known to be one.
    FromLeaf,
}

struct Rows {
    order: Vec<SortKey>,
    repeats: u32,
    rows: u32,
}

fn capacity(leaf: &Leaf) -> u32 {
    if leaf.at_most_one_row { leaf.schema.capacity.min(1) } else { leaf.schema.capacity }
}

/// Whether the owner itself can put its rows into these encodings without weakening what is
/// verified about them: no column twice, and claims only on columns that keep their encoding.
fn by_owner(leaf: &Leaf, columns: &[(usize, Field)]) -> bool {
    let own = |(source, field): &(usize, Field)| {
        leaf.schema.columns.get(*source).is_some_and(|column| {
            let plain = Field::plain(column.kind);
            field.ring.is_some() || *field == plain || *field == plain.present()
        })
    };
    let once = |k: usize| columns.iter().filter(|(source, _)| *source == k).count() <= 1;
    columns.iter().all(own)
        && (0..leaf.schema.columns.len()).all(once)
        && leaf.claims.iter().all(|claim| renumbered(claim, columns).is_some())
}

fn renumbered(claim: &Expr, columns: &[(usize, Field)]) -> Option<Expr> {
    let plain = |column: usize| {
        columns.iter().position(|(source, field)| *source == column && field.ring.is_none())
    };
    renumber(claim, &plain)
}

fn owned(leaf: &Leaf, columns: Vec<(LeafColumn, Field)>, rows: Rows) -> Physical {
    let pairs: Vec<_> = columns.iter().map(|(c, field)| (c.source, field.clone())).collect();
    let claims = leaf.claims.iter().filter_map(|claim| renumbered(claim, &pairs)).collect();
    let (columns, fields) = columns.into_iter().unzip();
    let Rows { order, repeats, rows } = rows;
    let (party, slot, capacity) = (leaf.party, leaf.slot, capacity(leaf));
    Physical {
        operator: Operator::Leaf { party, slot, columns, capacity },
        inputs: Vec::new(),
        parties: PartySet::only(leaf.party),
        shape: Shape { fields, rows, order, repeats, claims },
        exact: true,
    }
}
