//! What merges and groups take: of two relations with the same valid rows in front, Ver accepts both
//! or neither, and nobody can tell afterwards which one it was.

use super::inverses::{bundle, rows};
use super::ranges::{accepted, bag, circuit, field, groups, ring, set};
use crate::lower::physical::Combine;
use crate::lower::shape::{Field, Shape, ascending};
use crate::lower::table::Table;
use crate::lower::{sort, ver};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Bits, Builder, Program};
use std::collections::BTreeSet;

/// Whether a merge's Ver passes.
fn ver_of(shape: &Shape) -> Program {
    let mut b = Builder::new();
    let table = Table::input(&mut b, &shape.fields, shape.rows);
    let ok = ver::in_front_range(&mut b, &table, shape).unwrap();
    b.output(&[ok]);
    b.finish().unwrap()
}

fn passes(program: &Program, bits: &Bits) -> bool {
    program.evaluate(std::slice::from_ref(bits)).unwrap()[0].bit(0)
}

fn all(shape: &Shape) -> impl Iterator<Item = Bits> {
    let width = shape.wires() as usize;
    assert!(width <= 16, "{width}");
    (0..1u64 << width).map(move |word| Bits::from_words(vec![word], width))
}

/// The valid rows as a canonical relation.
fn tidied(bits: &Bits, shape: &Shape) -> Bits {
    bundle(&rows(&bits.iter().collect::<Vec<_>>(), shape), shape)
}

/// Everything that a merge's Ver accepts.
fn allowed(shape: &Shape) -> Vec<Bits> {
    let ver = ver_of(shape);
    all(shape).filter(|bits| passes(&ver, bits)).collect()
}

#[test]
fn ver_accepts_the_valid_rows_of_canonical_relations_in_front_of_anything() {
    let nullable = ColumnType::between(SqlType::Int, 1, 2).with_nullable(true);
    let boolean = ColumnType::between(SqlType::Boolean, 1, 1);
    let [nullable, boolean] = [nullable, boolean].map(Field::plain);
    let shapes = [
        set(&[field(0, 2)], 3, 1),
        set(&[field(0, 1), field(0, 2)], 3, 1),
        bag(&[field(0, 2), field(0, 1)], 3, ascending(0..1)),
        bag(&[nullable, boolean], 3, ascending(0..2)),
        set(&[field(0, 1), ring(2)], 3, 1),
        set(&[field(0, 4)], 0, 1),
    ];
    for shape in &shapes {
        let (ver, canonical) = (ver_of(shape), accepted(shape));
        let mut classes = BTreeSet::new();
        for bits in all(shape) {
            let valid: Vec<_> = bits.iter().take(shape.rows as usize).collect();
            let in_front = valid.is_sorted_by(|before, after| before >= after);
            let class: Vec<_> = tidied(&bits, shape).iter().collect();
            let fits = in_front && canonical.contains(&class);
            assert_eq!(passes(&ver, &bits), fits, "{shape:?}: {bits:?}");
            classes.extend(fits.then_some(class));
        }
        assert_eq!(classes, canonical, "{shape:?}");
    }
}

/// The operator on all pairs that Ver accepts: made canonical, what it gives is what it gives of the
/// valid rows alone, and as it is the next Ver accepts it.
fn indifferent(
    inputs: [&Shape; 2],
    output: &Shape,
    operator: impl Fn(&mut Builder, &[Table]) -> Table,
) {
    let zeroed = circuit(&inputs.map(Shape::clone), |b, tables| {
        let any = tables.iter().map(|table| Table { zero: false, ..table.clone() });
        operator(b, &any.collect::<Vec<_>>())
    });
    let mut b = Builder::new();
    let tables = inputs.map(|shape| Table::input(&mut b, &shape.fields, shape.rows));
    let table = operator(&mut b, &tables.map(|table| Table { zero: false, ..table }));
    let table = table.in_front(&mut b);
    let ok = ver::in_front_range(&mut b, &table, output).unwrap();
    b.output(&[ok]);
    let next = b.finish().unwrap();
    for left in allowed(inputs[0]) {
        for right in allowed(inputs[1]) {
            let tidy = [tidied(&left, inputs[0]), tidied(&right, inputs[1])];
            let given = [left.clone(), right];
            let of = |program: &Program, of: &[Bits; 2]| program.evaluate(of).unwrap();
            assert_eq!(of(&zeroed, &given), of(&zeroed, &tidy), "{given:?}");
            assert!(of(&next, &given)[0].bit(0), "{given:?}");
        }
    }
}

#[test]
fn what_comes_of_a_relation_depends_on_its_valid_rows_only() {
    let pair = [field(0, 1), field(0, 1)];
    let by_key = |rows| bag(&pair, rows, ascending(0..1));
    indifferent([&by_key(2), &by_key(2)], &by_key(4), |b, t| {
        sort::merge(b, &t[0], &t[1], &ascending(0..1), None)
    });
    indifferent([&by_key(2), &by_key(2)], &by_key(3), |b, t| {
        sort::merge(b, &t[0], &t[1], &ascending(0..1), Some(3))
    });
    let keys = |rows| set(&[field(0, 3)], rows, 1);
    indifferent([&keys(2), &keys(3)], &keys(5), groups(1, &[], 2, 5));
    let summed = |rows| set(&[field(0, 1), ring(2)], rows, 1);
    indifferent([&summed(2), &summed(2)], &summed(4), groups(1, &[Combine::Sum], 2, 4));
    let raw = |rows| bag(&[field(0, 1), ring(1)], rows, ascending(0..1));
    indifferent([&raw(3), &raw(1)], &set(&raw(4).fields, 4, 1), groups(1, &[Combine::Sum], 4, 4));
    let chosen = ColumnType::between(SqlType::Int, 4, 5).with_nullable(true);
    let fields = [field(0, 1), Field::plain(chosen)];
    let most = |rows| set(&fields, rows, 1);
    indifferent([&most(2), &most(2)], &most(4), groups(1, &[Combine::Max], 2, 4));
}
