//! Joins of two relations on a key. Both inputs are merged by the key, so that rows that join are
//! neighbours. Where it is cheaper, or the left row must come first, the side is the last bit of
//! the key, and the sides' other columns share planes during the merge.

use super::shape::{Field, ascending};
use super::sort;
use super::table::Table;
use crate::types::ColumnType;
use senate_circuit::{Builder, Lanes, PlaneId, Relation, Word};

/// Intersection of two sets: key, left columns, right columns.
///
/// Range (PROTOCOL.md §8): set(min N) with any payloads. Inverse: split the columns.
pub(super) fn intersect(b: &mut Builder, left: &Table, right: &Table, keys: usize) -> Table {
    let merged = Merged::new(b, left, right, keys, Sides::cheapest(left, right, keys));
    let lanes = merged.relation.rows.saturating_sub(1);
    let (this, next) = (merged.row(b, 0, lanes), merged.row(b, 1, lanes));
    let equal = b.equal(&this.key, &next.key);
    let matched = b.and(equal, next.valid);
    let payload = match this.side {
        Some(_) => this
            .payload
            .bits_at(0, merged.left_width)
            .with_high(&next.payload.bits_at(0, merged.right_width)),
        // Each row is zero in the other side's planes, whichever comes first.
        None => b.xor_words(&this.payload, &next.payload),
    };
    let columns = this.key.with_high(&payload);
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
    let merged = Merged::new(b, left, right, keys, Sides::InKey);
    let lanes = merged.relation.rows;
    let row = merged.row(b, 0, lanes);
    let side = row.side.unwrap_or(row.valid);
    let is_left = b.not(side);
    let is_left = b.and(is_left, row.valid);
    let own = row.payload.bits_at(0, merged.left_width);
    // A left row is the first of the rows with its key.
    let key_columns: Vec<_> = (0..keys).collect();
    let same = merged.relation.equals_previous(b, &key_columns);
    let first = b.not(same);
    let (_, found) = b.copy_down(first, &Word::bit(is_left, lanes).with_high(&own));
    let has_left = found.bits.first().copied().unwrap_or(is_left);
    let wanted = b.all(&[has_left, row.valid, side], lanes);
    let columns = row
        .key
        .with_high(&found.bits_at(1, merged.left_width))
        .with_high(&row.payload.bits_at(0, merged.right_width));
    let found = Relation::new(wanted, vec![columns], lanes);
    joined(b, left, right, keys, found, right.rows())
}

/// How merged rows say which input they come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    /// By one more key bit, right rows after left ones; payloads share planes.
    InKey,
    /// Not at all; each side has payload planes of its own.
    Apart,
}

impl Sides {
    /// A key bit is compared and exchanged in each comparator, a payload plane exchanged.
    fn cheapest(left: &Table, right: &Table, keys: usize) -> Self {
        let width = |table: &Table| table.word(keys..table.fields.len()).width();
        if width(left).min(width(right)) <= 2 { Self::Apart } else { Self::InKey }
    }
}

/// Both inputs by the key; columns: the key's, the side if it is a column, the payload.
struct Merged {
    relation: Relation,
    keys: usize,
    left_width: usize,
    right_width: usize,
    sides: Sides,
}

/// The rows, shifted.
struct Rows {
    valid: PlaneId,
    key: Word,
    /// 1 in right rows.
    side: Option<PlaneId>,
    payload: Word,
}

impl Merged {
    fn new(b: &mut Builder, left: &Table, right: &Table, keys: usize, sides: Sides) -> Self {
        let payload = |table: &Table| table.word(keys..table.fields.len());
        let loads = (payload(left), payload(right));
        let (left_width, right_width) = (loads.0.width(), loads.1.width());
        let mut fields: Vec<_> = left.fields.iter().take(keys).cloned().collect();
        let none = |b: &mut Builder, table: &Table, width| b.constant_word(0, width, table.rows());
        let loads = match sides {
            Sides::InKey => {
                fields.push(Field::plain(ColumnType::boolean()));
                let width = left_width.max(right_width);
                let (first, second) = (b.resize(&loads.0, width), b.resize(&loads.1, width));
                let (zero, one) = (b.constant(false, left.rows()), b.constant(true, right.rows()));
                let (zero, one) = (Word::bit(zero, left.rows()), Word::bit(one, right.rows()));
                (vec![zero, first], vec![one, second])
            }
            Sides::Apart => {
                let first = loads.0.with_high(&none(b, left, right_width));
                let second = none(b, right, left_width).with_high(&loads.1);
                (vec![first], vec![second])
            }
        };
        let [first, second] = [(left, loads.0), (right, loads.1)].map(|(table, loads)| {
            let own = table.relation.columns.iter().take(keys).cloned();
            let relation =
                Relation::new(table.relation.valid, own.chain(loads).collect(), table.rows());
            Table::canonical_of(&fields, relation)
        });
        let order = ascending(0..fields.len());
        let relation = sort::merge(b, &first, &second, &order, None).relation;
        Self { relation, keys, left_width, right_width, sides }
    }

    /// Rows `start .. start + lanes`.
    fn row(&self, b: &mut Builder, start: Lanes, lanes: Lanes) -> Rows {
        let rows = self.relation.slice(b, start, lanes);
        let key = Word::new(Vec::new(), lanes);
        let key = rows.columns.iter().take(self.keys).fold(key, Word::with_high);
        let (side, payload) = match self.sides {
            Sides::InKey => {
                let side = rows.column(b, self.keys);
                (side.bits.first().copied(), rows.column(b, self.keys + 1))
            }
            Sides::Apart => (None, rows.column(b, self.keys)),
        };
        Rows { valid: rows.valid, key, side, payload }
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
