//! Joins of two relations on a key. Both inputs are merged by the key, so that rows that join are
//! neighbours. Where it is cheaper, or the left row must come first, the side is the last bit of
//! what rows are compared by, and the sides' other columns share planes during the merge.

use super::physical::Found;
use super::scattered::{self, Scattered};
use super::table::Table;
use senate_circuit::{Builder, KeyColumn, Lanes, PlaneId, Relation, Word};

/// Intersection of two sets: key, left columns, right columns. Scattered, in half as many lanes as
/// there are rows: a key's two valid rows are neighbours, so one of them stands in an odd lane.
/// Merging costs about N/2·log N·(σ + w) ANDs, matching Nσ, and each payload bit one per lane.
///
/// Range (PROTOCOL.md §8), once it is canonical: set(min N) with any payloads. Inverse: split the
/// columns.
pub(super) fn intersect(
    b: &mut Builder,
    left: &Scattered,
    right: &Scattered,
    keys: usize,
) -> Table {
    let (left, right) = (left.table(), right.table());
    let layout = Layout::of(left, right, keys, Sides::cheapest(left, right, keys));
    let inputs = layout.apply(b, left, right);
    let merged = scattered::merge(b, &inputs, &layout.key(), &layout.side());
    let (pairs, lanes) = (merged.rows.saturating_sub(1), merged.rows / 2);
    let [first, second] = [0, 1].map(|start| {
        let rows = merged.slice(b, start, pairs);
        layout.rows(b, &rows)
    });
    let equal = b.equal(&first.key, &second.key);
    // Valid rows come first among those with one key.
    let equal = b.and(equal, second.valid);
    let equal = Relation::new(equal, Vec::new(), pairs);
    let [before, after] = [0, 1].map(|start| every_other(b, &equal, start, lanes).valid);
    let [back, this, next] = [0, 1, 2].map(|start| {
        let rows = every_other(b, &merged, start, lanes);
        layout.rows(b, &rows)
    });
    let payload = match layout.sides {
        Sides::InKey => {
            let (l, r) = (layout.left_width, layout.right_width);
            let left = b.select(before, &back.payload.bits_at(0, l), &this.payload.bits_at(0, l));
            let right = b.select(after, &next.payload.bits_at(0, r), &this.payload.bits_at(0, r));
            left.with_high(&right)
        }
        // Each row is zero in the other side's planes, whichever comes first.
        Sides::Apart => {
            let other = b.select(before, &back.payload, &next.payload);
            b.xor_words(&this.payload, &other)
        }
    };
    // A row has one partner at most.
    let matched = b.xor(before, after);
    let found = Relation::new(matched, vec![this.key.with_high(&payload)], lanes);
    joined(b, left, right, keys, found, left.rows().min(right.rows()))
}

/// Rows `start`, `start + 2`, …: `lanes` lanes, zero where there is no such row. Free.
fn every_other(b: &mut Builder, relation: &Relation, start: Lanes, lanes: Lanes) -> Relation {
    let rows = (0..lanes).map(|lane| 2 * lane + start).filter(|row| *row < relation.rows);
    let map = b.map(rows.collect());
    relation.gather(b, map).pad(b, lanes)
}

/// PK–FK join: every right row whose key is in the left set, with the left columns; or all right rows,
/// or those whose key is not there, with zeros for what was not found.
///
/// Range: sorted bag(N_right), equal keys with equal left columns, at most N_left distinct keys;
/// verified nowhere, because this operator always runs in the stage that sees all.
pub(super) fn lookup(
    b: &mut Builder,
    left: &Table,
    right: &Table,
    keys: usize,
    found: Found,
) -> Table {
    let layout = Layout::of(left, right, keys, Sides::InKey);
    let order: Vec<_> = layout.key().into_iter().chain(layout.side()).collect();
    let inputs = layout.apply(b, left, right);
    let lanes = left.rows().saturating_add(right.rows());
    let merged = Relation::merge(b, &inputs, &order, lanes);
    let row = layout.rows(b, &merged);
    let side = row.side.unwrap_or(row.valid);
    let is_left = b.not(side);
    let is_left = b.and(is_left, row.valid);
    let own = row.payload.bits_at(0, layout.left_width);
    // What a right row has on the same planes is nobody's.
    let own = if found == Found::Required { own } else { b.mask_word(is_left, &own) };
    // A left row is the first of the rows with its key.
    let key_columns: Vec<_> = (0..keys).collect();
    let same = merged.equals_previous(b, &key_columns);
    let first = b.not(same);
    let (_, partner) = b.copy_down(first, &Word::bit(is_left, lanes).with_high(&own));
    let has_left = partner.bits.first().copied().unwrap_or(is_left);
    let wanted = match found {
        Found::Required => b.all(&[has_left, row.valid, side], lanes),
        Found::Optional => b.and(row.valid, side),
        Found::Excluded => {
            let alone = b.not(has_left);
            b.all(&[alone, row.valid, side], lanes)
        }
    };
    let columns = row
        .key
        .with_high(&partner.bits_at(1, layout.left_width))
        .with_high(&row.payload.bits_at(0, layout.right_width));
    let found = Relation::new(wanted, vec![columns], lanes);
    joined(b, left, right, keys, found, right.rows())
}

/// Every row beside the one lane of `one`, as far as there is a row in it; `None` if it has other
/// lanes. Costs an AND per row at most: nothing is compared, and a lane is copied for free.
pub(super) fn broadcast(b: &mut Builder, rows: Table, one: &Table) -> Option<Table> {
    if one.rows() != 1 {
        return None;
    }
    let lanes = rows.rows();
    let map = b.map(vec![0; lanes as usize]);
    let everywhere = one.relation.gather(b, map);
    let valid = b.and(rows.relation.valid, everywhere.valid);
    let columns = rows.relation.columns.iter().chain(&everywhere.columns).cloned().collect();
    let relation = Relation::new(valid, columns, lanes);
    let fields = rows.fields.iter().chain(&one.fields).cloned().collect();
    Some(Table { fields, relation, zero: false, ..rows })
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

/// How the rows of both inputs share planes: the key, the side if it is a column, the payload.
struct Layout {
    keys: usize,
    left_width: usize,
    right_width: usize,
    sides: Sides,
}

/// Rows in a layout.
struct Rows {
    valid: PlaneId,
    key: Word,
    /// 1 in right rows.
    side: Option<PlaneId>,
    payload: Word,
}

impl Layout {
    fn of(left: &Table, right: &Table, keys: usize, sides: Sides) -> Self {
        let width = |table: &Table| table.word(keys..table.fields.len()).width();
        Self { keys, left_width: width(left), right_width: width(right), sides }
    }

    /// The key's columns, ascending.
    fn key(&self) -> Vec<KeyColumn> {
        (0..self.keys).map(KeyColumn::ascending).collect()
    }

    /// The side, left rows first.
    fn side(&self) -> Vec<KeyColumn> {
        match self.sides {
            Sides::InKey => vec![KeyColumn::ascending(self.keys)],
            Sides::Apart => Vec::new(),
        }
    }

    /// Both inputs with the same columns.
    fn apply(&self, b: &mut Builder, left: &Table, right: &Table) -> [Relation; 2] {
        let payload = |table: &Table| table.word(self.keys..table.fields.len());
        let (first, second) = (payload(left), payload(right));
        let loads = match self.sides {
            Sides::InKey => {
                let width = self.left_width.max(self.right_width);
                let (first, second) = (b.resize(&first, width), b.resize(&second, width));
                let (zero, one) = (b.constant(false, left.rows()), b.constant(true, right.rows()));
                let (zero, one) = (Word::bit(zero, left.rows()), Word::bit(one, right.rows()));
                [vec![zero, first], vec![one, second]]
            }
            Sides::Apart => {
                let after = b.constant_word(0, self.right_width, left.rows());
                let before = b.constant_word(0, self.left_width, right.rows());
                [vec![first.with_high(&after)], vec![before.with_high(&second)]]
            }
        };
        let [first, second] = loads;
        [(left, first), (right, second)].map(|(table, loads)| {
            let keys = table.relation.columns.iter().take(self.keys).cloned();
            Relation::new(table.relation.valid, keys.chain(loads).collect(), table.rows())
        })
    }

    /// The rows of a relation in this layout.
    fn rows(&self, b: &mut Builder, relation: &Relation) -> Rows {
        let key = Word::new(Vec::new(), relation.rows);
        let key = relation.columns.iter().take(self.keys).fold(key, Word::with_high);
        let (side, payload) = match self.sides {
            Sides::InKey => {
                let side = relation.column(b, self.keys);
                (side.bits.first().copied(), relation.column(b, self.keys + 1))
            }
            Sides::Apart => (None, relation.column(b, self.keys)),
        };
        Rows { valid: relation.valid, key, side, payload }
    }
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
