//! Grouping: rows that agree on the key, which are neighbours after a merge, become one.
//!
//! Range (PROTOCOL.md §8): a set on the key. MIN and MAX stay in their column's domain; sums are
//! elements of their ring. Inverse: the rows split among the inputs by position, each the only row
//! with its key.

use super::expr::replaces;
use super::physical::Combine;
use super::shape::{Field, ascending};
use super::sort;
use super::table::{Cell, Table};
use senate_circuit::{Builder, Lanes, PlaneId, Relation, Word};

/// What is known and wanted.
pub(super) struct Grouping<'a> {
    /// Number of key columns, the first ones.
    pub keys: usize,
    /// One per further column.
    pub combine: &'a [Combine],
    /// Most rows with the same key.
    pub repeats: Lanes,
    /// Most groups.
    pub groups: Lanes,
}

/// One or two canonical tables, sorted by the key; without keys, tables of any form.
pub(super) fn group(b: &mut Builder, inputs: &[Table], grouping: &Grouping<'_>) -> Option<Table> {
    if grouping.keys == 0 {
        let fields = inputs.first()?.fields.clone();
        let table = Table::stacked(b, inputs, &fields);
        return Some(all_as_one(b, &table, grouping.combine));
    }
    let order = ascending(0..grouping.keys);
    let mut table = match inputs {
        [one] => one.clone(),
        [left, right] => sort::merge(b, left, right, &order, None),
        _ => return None,
    };
    if grouping.repeats <= 1 || table.rows() <= 1 {
        return Some(table);
    }
    let keys: Vec<_> = (0..grouping.keys).collect();
    let same = table.relation.continues_group(b, &keys);
    combine_runs(b, &mut table, same, grouping);
    let continued = b.shift_earlier(same, 1, false);
    let last = b.not(continued);
    table.relation = table.relation.filter(b, last);
    (table.prefix, table.zero) = (false, false);
    table.limit = table.limit.min(grouping.groups);
    Some(table)
}

/// The combination of all rows, in one lane at most: no order needed, one combination per row.
fn all_as_one(b: &mut Builder, table: &Table, combine: &[Combine]) -> Table {
    let valid = table.relation.valid;
    let mut columns = Vec::new();
    for (at, how) in combine.iter().enumerate() {
        let Some((field, cell)) = table.cell(at) else { continue };
        // A lane without a row counts as absent, and absent summands are zero.
        let present = cell.present.map_or(valid, |present| b.and(present, valid));
        let value = match how {
            Combine::Sum if !table.zero => b.mask_word(present, &cell.value),
            _ => cell.value,
        };
        let word = Cell { value, present: Some(present) }.word();
        let nullable = Field { kind: field.kind.with_nullable(true), ..field.clone() };
        let one = b.fold_lanes(&word, |b, x, y| pair(b, x, y, *how, &nullable));
        let Cell { value, present } = Cell::of(&one, &nullable);
        let value = present.map_or(value.clone(), |present| b.mask_word(present, &value));
        columns.push(Cell { value, present: present.filter(|_| field.kind.nullable) }.word());
    }
    let rows = table.rows().min(1);
    let any = if rows == 0 { valid } else { b.any_lane(valid) };
    Table::canonical_of(&table.fields, Relation::new(any, columns, rows))
}

/// In each run's last row the combination of the run.
fn combine_runs(b: &mut Builder, table: &mut Table, same: PlaneId, grouping: &Grouping<'_>) {
    let columns = table.relation.columns.iter_mut().zip(&table.fields).skip(grouping.keys);
    for ((own, field), how) in columns.zip(grouping.combine) {
        *own = if grouping.repeats == 2 {
            let before = own.bits.iter().map(|plane| b.shift_later(*plane, 1, false)).collect();
            let both = pair(b, &Word::new(before, own.lanes), own, *how, field);
            b.select(same, &both, own)
        } else {
            let starts = b.not(same);
            b.segmented_scan(starts, own, |b, x, y| pair(b, x, y, *how, field))
        };
    }
}

/// Two cells of one column combined.
fn pair(b: &mut Builder, x: &Word, y: &Word, how: Combine, field: &Field) -> Word {
    let (x, y) = (Cell::of(x, field), Cell::of(y, field));
    let present = match (x.present, y.present) {
        (Some(p), Some(q)) => Some(b.or(p, q)),
        _ => None,
    };
    let value = match how {
        Combine::Sum => b.add_to_width(&x.value, &y.value, field.value_bits() as usize),
        Combine::Min | Combine::Max => {
            let better = match how {
                Combine::Min => b.less_than(&y.value, &x.value),
                _ => b.less_than(&x.value, &y.value),
            };
            let taken = replaces(b, better, x.present, y.present);
            b.select(taken, &y.value, &x.value)
        }
    };
    Cell { value, present }.word()
}
