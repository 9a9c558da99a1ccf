//! AND gates of every operator beside the paper's formulas: the table of benches/README.md, printed
//! by `senate bench circuits`, and pinned below so that no change makes an operator dearer unseen.

use super::error::LowerError;
use super::group::{self, Grouping};
use super::physical::{Combine, Found};
use super::scattered::Scattered;
use super::shape::{Field, Shape, ascending};
use super::table::Table;
use super::{join, sort, ver};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Builder, PlaneId, Relation};

/// Bits of a key and of a payload: the paper's fields.
const BITS: u64 = 32;

/// One operator at one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// What is computed, result canonical unless it is said to be below something.
    pub operator: &'static str,
    /// Rows of each input.
    pub rows: u32,
    /// AND gates of our circuit.
    pub and_gates: u64,
    /// AND gates by the paper's formula, rows without a valid bit and results not compacted; `None`
    /// where it has none.
    pub formula: Option<u64>,
}

/// Every operator on inputs of `rows` rows with 32-bit keys and, where there is one, a 32-bit
/// payload.
///
/// # Errors
/// [`LowerError`] for more rows than a circuit can have.
pub fn census(rows: u32) -> Result<Vec<Count>, LowerError> {
    let (n, both) = (u64::from(rows), u64::from(rows) * 2);
    let key = bag(1, rows);
    let keys = Shape { order: ascending(0..1), repeats: 1, ..key.clone() };
    let pairs = Shape { order: ascending(0..1), repeats: 1, ..bag(2, rows) };
    let sums = Shape { fields: vec![plain(), ring()], ..pairs.clone() };
    let order = ascending(0..1);
    let grouped = |combine: &'static [Combine]| {
        move |b: &mut Builder, t: &[Table]| {
            let groups = t.iter().map(Table::rows).fold(0, u32::saturating_add);
            group::group(b, t, &Grouping { keys: 1, combine, repeats: 2, groups })
        }
    };
    let merge = merge_formula(both, BITS, BITS);
    let intersection = Some(merge + n.saturating_sub(1) * (2 * BITS - 1 + BITS));
    let counts = [
        ("verify a set", ands(&[], |b, _| verified(b, &keys))?, Some(ver_formula(n))),
        (
            "verify a set to merge",
            ands(&[], |b, _| verified_in_front(b, &keys))?,
            Some(ver_formula(n)),
        ),
        (
            "verify a set to intersect",
            ands(&[], |b, _| verified_scattered(b, &keys))?,
            Some(ver_formula(n)),
        ),
        (
            "merge",
            ands(&[&key, &key], |b, t| Some(sort::merge(b, t.first()?, t.get(1)?, &order, None)))?,
            Some(merge),
        ),
        (
            "first 10 of a merge",
            ands(&[&key, &key], |b, t| {
                Some(sort::merge(b, t.first()?, t.get(1)?, &order, Some(10)))
            })?,
            None,
        ),
        (
            "sort",
            ands(&[&key], |b, t| Some(sort::sort(b, t.first()?.clone(), &order, None)))?,
            Some(sort_formula(n)),
        ),
        (
            "first 10 of a sort",
            ands(&[&key], |b, t| Some(sort::sort(b, t.first()?.clone(), &order, Some(10))))?,
            None,
        ),
        ("intersection", ands(&[&keys, &keys], intersected)?, intersection),
        ("intersection below another", ands_in_place(&[&keys, &keys], intersected)?, intersection),
        (
            "distinct union",
            ands(&[&keys, &keys], grouped(&[]))?,
            Some(merge + both.saturating_sub(1) * (2 * BITS - 1)),
        ),
        (
            "group and sum",
            ands(&[&sums, &sums], grouped(&[Combine::Sum]))?,
            Some(merge_formula(both, BITS, 2 * BITS) + both * (3 * BITS + BITS)),
        ),
        ("join of sets with payloads", ands(&[&pairs, &pairs], intersected)?, None),
        (
            "key join",
            ands(&[&pairs, &pairs], |b, t| {
                Some(join::lookup(b, t.first()?, t.get(1)?, 1, Found::Required))
            })?,
            None,
        ),
    ];
    let count = |(operator, and_gates, formula)| Count { operator, rows, and_gates, formula };
    Ok(counts.map(count).to_vec())
}

fn plain() -> Field {
    Field::plain(ColumnType::full(SqlType::Int))
}

fn ring() -> Field {
    Field { ring: Some(BITS as u32), ..plain() }
}

fn bag(columns: usize, rows: u32) -> Shape {
    let fields = vec![plain(); columns];
    Shape { fields, rows, order: ascending(0..columns), repeats: rows, claims: Vec::new() }
}

/// AND gates of an operator's circuit and of making its result canonical.
fn ands(
    inputs: &[&Shape],
    operator: impl Fn(&mut Builder, &[Table]) -> Option<Table>,
) -> Result<u64, LowerError> {
    ands_in_place(inputs, |b, tables| operator(b, tables).map(|table| table.canonical(b)))
}

/// AND gates of an operator's circuit.
fn ands_in_place(
    inputs: &[&Shape],
    operator: impl Fn(&mut Builder, &[Table]) -> Option<Table>,
) -> Result<u64, LowerError> {
    let mut b = Builder::new();
    let tables = inputs.iter().map(|shape| Table::input(&mut b, &shape.fields, shape.rows));
    let tables: Vec<_> = tables.collect();
    let table = operator(&mut b, &tables).ok_or_else(|| LowerError::malformed("an operator"))?;
    b.output(&table.relation.planes());
    Ok(b.finish()?.ands())
}

fn intersected(b: &mut Builder, tables: &[Table]) -> Option<Table> {
    let left = Scattered::of_canonical(b, tables.first()?.clone(), 1);
    let right = Scattered::of_canonical(b, tables.get(1)?.clone(), 1);
    Some(join::intersect(b, &left, &right, 1))
}

fn verified(b: &mut Builder, shape: &Shape) -> Option<Table> {
    let table = Table::input(b, &shape.fields, shape.rows);
    let ok = ver::in_range(b, &table, shape).ok()?;
    Some(bit(ok))
}

fn verified_in_front(b: &mut Builder, shape: &Shape) -> Option<Table> {
    let table = Table::input(b, &shape.fields, shape.rows);
    Some(bit(ver::in_front_range(b, &table, shape).ok()?))
}

fn verified_scattered(b: &mut Builder, shape: &Shape) -> Option<Table> {
    let table = Table::input(b, &shape.fields, shape.rows);
    let set = Scattered::of_canonical(b, table, 1);
    let ok = ver::in_scattered_range(b, &set, shape, 1).ok()?;
    Some(bit(ok))
}

fn bit(plane: PlaneId) -> Table {
    Table::canonical_of(&[], Relation::new(plane, Vec::new(), 1))
}

fn ceil_log2(rows: u64) -> u64 {
    u64::from(u64::BITS - rows.saturating_sub(1).leading_zeros())
}

/// N/2·⌈log N⌉·(σ + w).
fn merge_formula(rows: u64, key: u64, row: u64) -> u64 {
    rows / 2 * ceil_log2(rows) * (key + row)
}

/// N·log N·(log N + 1)/4·(σ + w), a full bitonic sort.
fn sort_formula(rows: u64) -> u64 {
    let log = ceil_log2(rows);
    rows * log * (log + 1) / 4 * (2 * BITS)
}

/// (n − 1)σ + n − 2.
fn ver_formula(rows: u64) -> u64 {
    (rows.saturating_sub(1) * BITS + rows).saturating_sub(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operator by operator in the order of [`census`], for 64, 600 and 1 000 rows.
    const PINNED: [[u64; 3]; 13] = [
        [4318, 40766, 67966],
        [2206, 20966, 34966],
        [2079, 19767, 32967],
        [25410, 368082, 658482],
        [3498, 6138, 6138],
        [35838, 814902, 1550934],
        [21186, 227370, 359370],
        [38030, 515073, 919275],
        [29474, 406450, 722450],
        [48972, 645929, 1153153],
        [87788, 1127833, 2010065],
        [71409, 949932, 1699142],
        [100805, 1311904, 2351076],
    ];

    #[test]
    fn no_operator_has_more_gates_than_pinned() {
        let counts = [64, 600, 1000].map(|rows| census(rows).unwrap());
        let [small, middle, large] = counts.each_ref().map(|counts| counts.iter());
        let rows = small.zip(middle).zip(large);
        let now: Vec<_> = rows.map(|((a, b), c)| [a.and_gates, b.and_gates, c.and_gates]).collect();
        let dearer = |(now, pinned): (&[u64; 3], &[u64; 3])| {
            now.iter().zip(pinned).any(|(now, pinned)| now > pinned)
        };
        let any = now.iter().zip(&PINNED).any(dearer);
        assert!(!any && now.len() == PINNED.len(), "pinned {PINNED:?}, now {now:?}");
    }

    #[test]
    fn operators_stay_below_the_papers_formulas() {
        for rows in [64, 600, 1000] {
            for count in census(rows).unwrap() {
                // Ours also carry a valid bit, verify padding and move the rows together.
                let most = if count.operator == "verify a set" { 2.1 } else { 1.55 };
                if let Some(formula) = count.formula {
                    let ratio = count.and_gates as f64 / formula as f64;
                    assert!(ratio < most, "{count:?}: {ratio}");
                }
            }
        }
    }
}
