//! Joins of two relations on a key. Both inputs are merged by (key, side), so that rows that join
//! are neighbours; the sides' other columns share planes during the merge.

use super::shape::{Field, ascending};
use super::sort;
use super::table::Table;
use crate::types::ColumnType;
use senate_circuit::{Builder, Lanes, PlaneId, Relation, Word};

/// Intersection of two sets: key, left columns, right columns.
///
/// Range (PROTOCOL.md §8): set(min N) with any payloads. Inverse: split the columns.
pub(super) fn intersect(b: &mut Builder, left: &Table, right: &Table, keys: usize) -> Table {
    let merged = Merged::new(b, left, right, keys);
    let lanes = merged.relation.rows.saturating_sub(1);
    let (this, next) = (merged.row(b, 0, lanes), merged.row(b, 1, lanes));
    let equal = b.equal(&this.key, &next.key);
    let matched = b.and(equal, next.valid);
    let columns = this
        .key
        .with_high(&this.payload.bits_at(0, merged.left_width))
        .with_high(&next.payload.bits_at(0, merged.right_width));
    let limit = left.rows().min(right.rows());
    let found = Relation::new(matched, vec![columns], lanes);
    let found = halved(b, &found);
    joined(b, left, right, keys, found, limit)
}

/// PK–FK join: every right row whose key is in the left set, with the left columns.
///
/// Range: sorted bag(N_right), equal keys with equal left columns, at most N_left distinct keys;
/// verified nowhere, because this operator always runs in the stage that sees all.
pub(super) fn lookup(b: &mut Builder, left: &Table, right: &Table, keys: usize) -> Table {
    let merged = Merged::new(b, left, right, keys);
    let lanes = merged.relation.rows;
    let row = merged.row(b, 0, lanes);
    let is_left = b.not(row.side);
    let is_left = b.and(is_left, row.valid);
    let own = row.payload.bits_at(0, merged.left_width);
    let (some, found) = b.copy_down(is_left, &row.key.clone().with_high(&own));
    let width = row.key.width();
    let equal = b.equal(&row.key, &found.bits_at(0, width));
    let wanted = b.all(&[equal, some, row.valid, row.side], lanes);
    let columns = row
        .key
        .with_high(&found.bits_at(width, merged.left_width))
        .with_high(&row.payload.bits_at(0, merged.right_width));
    let found = Relation::new(wanted, vec![columns], lanes);
    joined(b, left, right, keys, found, right.rows())
}

/// Both inputs by (key, side); columns: the key's, the side, the payload of either side.
struct Merged {
    relation: Relation,
    keys: usize,
    left_width: usize,
    right_width: usize,
}

/// The rows, shifted.
struct Rows {
    valid: PlaneId,
    key: Word,
    side: PlaneId,
    payload: Word,
}

impl Merged {
    fn new(b: &mut Builder, left: &Table, right: &Table, keys: usize) -> Self {
        let payload = |table: &Table| table.word(keys..table.fields.len());
        let loads = (payload(left), payload(right));
        let (left_width, right_width) = (loads.0.width(), loads.1.width());
        let width = left_width.max(right_width);
        let mut fields: Vec<_> = left.fields.iter().take(keys).cloned().collect();
        fields.push(Field::plain(ColumnType::boolean()));
        let parts = [(left, loads.0, false), (right, loads.1, true)].map(|(table, load, side)| {
            let rows = table.rows();
            let mut columns: Vec<_> = table.relation.columns.iter().take(keys).cloned().collect();
            columns.push(Word::bit(b.constant(side, rows), rows));
            columns.push(b.resize(&load, width));
            let relation = Relation::new(table.relation.valid, columns, rows);
            Table::canonical_of(&fields, relation)
        });
        let [first, second] = &parts;
        let relation = sort::merge(b, first, second, &ascending(0..=keys), None).relation;
        Self { relation, keys, left_width, right_width }
    }

    /// Rows `start .. start + lanes`.
    fn row(&self, b: &mut Builder, start: Lanes, lanes: Lanes) -> Rows {
        let rows = self.relation.slice(b, start, lanes);
        let key = Word::new(Vec::new(), lanes);
        let key = rows.columns.iter().take(self.keys).fold(key, Word::with_high);
        let side = rows.column(b, self.keys);
        let side = side.bits.first().copied().unwrap_or(rows.valid);
        Rows { valid: rows.valid, key, side, payload: rows.column(b, self.keys + 1) }
    }
}

/// Half as many lanes: of two neighbours at most one is valid, since a key occurs at most twice.
fn halved(b: &mut Builder, found: &Relation) -> Relation {
    let (pairs, odd) = (found.rows / 2, found.rows % 2);
    let first = b.map((0..pairs).map(|i| 2 * i).collect());
    let second = b.map((0..pairs).map(|i| 2 * i + 1).collect());
    let (x, y) = (found.gather(b, first), found.gather(b, second));
    let columns = x.columns.iter().zip(&y.columns);
    let columns = columns.map(|(x, z)| b.select(y.valid, z, x)).collect();
    let chosen = Relation::new(b.xor(x.valid, y.valid), columns, pairs);
    let rest = found.slice(b, found.rows - odd, odd);
    Relation::concat(b, &[chosen, rest])
}

/// The found rows, whose one column is cut into key, left and right columns.
fn joined(
    b: &mut Builder,
    left: &Table,
    right: &Table,
    keys: usize,
    found: Relation,
    limit: Lanes,
) -> Table {
    let mut fields = left.fields.clone();
    fields.extend(right.fields.iter().skip(keys).cloned());
    let widths: Vec<_> = fields.iter().map(|field| field.planes() as usize).collect();
    let relation = Relation::from_planes(b, &found.planes(), &widths, found.rows);
    let limit = limit.min(relation.rows);
    Table { fields, relation, limit, prefix: false, zero: false }
}
