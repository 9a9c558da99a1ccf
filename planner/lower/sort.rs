//! Merge, sort, top and offset. Swaps depend on keys only, so that a merge's range is every sorted
//! bag (PROTOCOL.md §8 "merge of bags"; inverse: split by position) and, truncated, every sorted
//! bag of at most l rows ("top-l of a merge").

use super::table::Table;
use crate::ir::SortKey;
use senate_circuit::{Builder, Network};

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
pub(super) fn sort(b: &mut Builder, table: Table, order: &[SortKey], keep: Option<u32>) -> Table {
    let table = if compacts_first(&table) { table.canonical(b) } else { table };
    let keep = keep.unwrap_or(table.limit).min(table.limit);
    let network = Network::odd_even_top(table.rows(), keep);
    table.networked(b, &network, order).zeroed(b)
}

/// Whether moving the few valid rows together first is cheaper than sorting all lanes.
fn compacts_first(table: &Table) -> bool {
    let log = |rows: u32| u64::from(u32::BITS - rows.leading_zeros());
    let swaps = |rows: u32| u64::from(rows) * log(rows) * log(rows) / 4;
    let (rows, limit) = (table.rows(), table.limit.min(table.rows()));
    let compaction = u64::from(rows) * (log(rows) + 1);
    limit < rows && (table.prefix || swaps(rows) > swaps(limit) + compaction)
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
