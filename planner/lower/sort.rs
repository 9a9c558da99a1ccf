//! Merge, sort, top and offset. Swaps depend on keys only, so that a merge's range is every sorted
//! bag (PROTOCOL.md §8 "merge of bags"; inverse: split by position) and, truncated, every sorted
//! bag of at most l rows ("top-l of a merge").

use super::table::Table;
use crate::ir::SortKey;
use senate_circuit::{Builder, Lanes, Network};

/// Two canonical tables sorted by `order`, as one; the first `keep` rows.
pub(super) fn merge(
    b: &mut Builder,
    left: &Table,
    right: &Table,
    order: &[SortKey],
    keep: Option<u32>,
) -> Table {
    let rows = left.rows().saturating_add(right.rows());
    let keep = keep.unwrap_or(rows).min(rows);
    let network = Network::merge(left.rows(), right.rows(), keep);
    let stacked = Table::stacked(b, &[left.clone(), right.clone()], &left.fields);
    stacked.networked(b, &network, order)
}

/// A table sorted by `order`, invalid rows last and zero; the first `keep` rows.
pub(super) fn sort(
    b: &mut Builder,
    mut table: Table,
    order: &[SortKey],
    keep: Option<u32>,
) -> Table {
    let keep = keep.unwrap_or(table.limit).min(table.limit);
    let limit = table.limit.min(table.rows());
    let mut network = Network::odd_even_top(table.rows(), keep);
    if limit < table.rows() {
        let fewer = Network::odd_even_top(limit, keep);
        let key = table.word(order.iter().map(|key| key.column)).width() as u64 + 1;
        let row = table.relation.planes().len() as u64;
        let saved = network.comparators().saturating_sub(fewer.comparators()) * (key + row);
        // Moving the few rows together first may be cheaper than sorting all lanes.
        if table.prefix || saved > compaction_ands(table.rows(), row) {
            (table, network) = (table.canonical(b), fewer);
        }
    }
    table.networked(b, &network, order).zeroed(b)
}

/// About what moving the valid rows of `planes` planes together costs.
fn compaction_ands(rows: Lanes, planes: u64) -> u64 {
    let layers = u64::from(Lanes::BITS - rows.leading_zeros());
    u64::from(rows) * (layers * planes / 2 + planes + 3)
}

/// The first `keep` rows of a sorted table.
pub(super) fn first(b: &mut Builder, table: Table, keep: u32) -> Table {
    let limit = table.limit.min(keep);
    // Compaction that only wants these rows is cheaper than cutting afterwards.
    if table.prefix {
        table.canonical(b).sliced(b, 0, limit)
    } else {
        Table { limit, ..table }.canonical(b)
    }
}

/// A sorted table without its first `skip` rows.
pub(super) fn skip(b: &mut Builder, table: Table, skip: u32) -> Table {
    let table = table.canonical(b);
    let (skip, rows) = (skip.min(table.rows()), table.rows());
    table.sliced(b, skip, rows - skip)
}
