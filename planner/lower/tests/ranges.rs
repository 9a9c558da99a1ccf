//! Ver accepts exactly an operator's range (PROTOCOL.md §8), by brute force on real circuits: the
//! set of outputs over all inputs that owners' Vers accept equals the set of relations that the
//! consumer's Ver accepts.

use crate::ir::{BinaryOp, Expr, SortKey, Value};
use crate::lower::group::{self, Grouping};
use crate::lower::physical::Combine;
use crate::lower::scattered::Scattered;
use crate::lower::shape::{Field, Shape, ascending};
use crate::lower::table::Table;
use crate::lower::{join, sort, ver};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Bits, Builder, Program};
use std::collections::BTreeSet;

pub(super) fn field(low: i128, high: i128) -> Field {
    Field::plain(ColumnType::between(SqlType::Int, low, high))
}

pub(super) fn ring(width: u32) -> Field {
    Field { ring: Some(width), ..field(0, (1 << width) - 1) }
}

pub(super) fn bag(fields: &[Field], rows: u32, order: Vec<SortKey>) -> Shape {
    Shape { fields: fields.to_vec(), rows, order, repeats: rows, claims: Vec::new() }
}

pub(super) fn set(fields: &[Field], rows: u32, keys: usize) -> Shape {
    Shape { repeats: 1, ..bag(fields, rows, ascending(0..keys)) }
}

/// All bit strings that a Ver accepts.
pub(super) fn accepted(shape: &Shape) -> BTreeSet<Vec<bool>> {
    let mut b = Builder::new();
    let table = Table::input(&mut b, &shape.fields, shape.rows);
    let ok = ver::in_range(&mut b, &table, shape).unwrap();
    b.output(&[ok]);
    let program = b.finish().unwrap();
    let width = shape.wires() as usize;
    assert!(width <= 16, "{width}");
    let all = (0..1u64 << width).map(|word| Bits::from_words(vec![word], width));
    let passes = |bits: &Bits| program.evaluate(std::slice::from_ref(bits)).unwrap()[0].bit(0);
    all.filter(passes).map(|bits| bits.iter().collect()).collect()
}

/// An operator's circuit over these inputs.
pub(super) fn circuit(
    inputs: &[Shape],
    operator: impl Fn(&mut Builder, &[Table]) -> Table,
) -> Program {
    let mut b = Builder::new();
    let tables: Vec<_> =
        inputs.iter().map(|shape| Table::input(&mut b, &shape.fields, shape.rows)).collect();
    let table = operator(&mut b, &tables).canonical(&mut b);
    b.output(&table.relation.planes());
    b.finish().unwrap()
}

/// The outputs over all accepted inputs.
fn range(inputs: &[Shape], program: &Program) -> BTreeSet<Vec<bool>> {
    let mut all: Vec<Vec<Bits>> = vec![Vec::new()];
    for shape in inputs {
        let options: Vec<Bits> =
            accepted(shape).into_iter().map(|bits| bits.into_iter().collect()).collect();
        let longer = |prefix: &Vec<Bits>| {
            let prefix = prefix.clone();
            options.iter().map(move |bits| [prefix.clone(), vec![bits.clone()]].concat())
        };
        all = all.iter().flat_map(|prefix| longer(prefix).collect::<Vec<_>>()).collect();
    }
    all.iter().map(|inputs| program.evaluate(inputs).unwrap()[0].iter().collect()).collect()
}

fn exact(
    name: &str,
    inputs: &[Shape],
    output: &Shape,
    operator: impl Fn(&mut Builder, &[Table]) -> Table,
) {
    let program = circuit(inputs, operator);
    let (range, ver) = (range(inputs, &program), accepted(output));
    assert_eq!(range.difference(&ver).count(), 0, "{name}: reachable but rejected");
    assert_eq!(ver.difference(&range).count(), 0, "{name}: accepted but unreachable");
}

pub(super) fn groups(
    keys: usize,
    combine: &'static [Combine],
    repeats: u32,
    groups: u32,
) -> impl Fn(&mut Builder, &[Table]) -> Table {
    move |b, tables| {
        let grouping = Grouping { keys, combine, repeats, groups };
        group::group(b, tables, &grouping).unwrap()
    }
}

#[test]
fn merge_of_bags() {
    let fields = [field(0, 2), field(0, 1)];
    let shape = |rows| bag(&fields, rows, ascending(0..1));
    exact("merge by key", &[shape(2), shape(1)], &shape(3), |b, t| {
        sort::merge(b, &t[0], &t[1], &ascending(0..1), None)
    });
    let down = vec![SortKey { column: 0, descending: true, nulls_first: false }];
    let nullable = [Field::plain(ColumnType::between(SqlType::Int, 3, 5).with_nullable(true))];
    let shape = |rows| bag(&nullable, rows, down.clone());
    exact("merge of nullable, descending", &[shape(2), shape(2)], &shape(4), |b, t| {
        sort::merge(b, &t[0], &t[1], &down, None)
    });
}

#[test]
fn top_of_a_merge() {
    let fields = [field(0, 4)];
    let shape = |rows| bag(&fields, rows, ascending(0..1));
    exact("top 3", &[shape(2), shape(2)], &shape(3), |b, t| {
        sort::merge(b, &t[0], &t[1], &ascending(0..1), Some(3))
    });
}

/// Of two canonical sets with one key column.
pub(super) fn intersected(b: &mut Builder, tables: &[Table]) -> Table {
    let [left, right] = [0, 1].map(|at| Scattered::of_canonical(b, tables[at].clone(), 1));
    join::intersect(b, &left, &right, 1)
}

#[test]
fn intersection_of_sets() {
    let left = [field(0, 2), field(0, 1)];
    let right = [field(0, 2), field(5, 6)];
    let both = [left[0].clone(), left[1].clone(), right[1].clone()];
    let inputs = [set(&left, 2, 1), set(&right, 3, 1)];
    exact("intersection", &inputs, &set(&both, 2, 1), intersected);
}

#[test]
fn distinct_union() {
    let fields = [field(0, 4)];
    let inputs = [set(&fields, 1, 1), set(&fields, 2, 1)];
    exact("of sets", &inputs, &set(&fields, 3, 1), groups(1, &[], 2, 3));
    let inputs = [bag(&fields, 2, ascending(0..1)), bag(&fields, 1, ascending(0..1))];
    exact("of bags", &inputs, &set(&fields, 3, 1), groups(1, &[], 3, 3));
}

#[test]
fn grouped_extremes() {
    let fields = [field(0, 2), field(4, 6)];
    let inputs = [set(&fields, 1, 1), set(&fields, 2, 1)];
    for combine in [&[Combine::Min] as &[_], &[Combine::Max]] {
        exact("extreme", &inputs, &set(&fields, 3, 1), groups(1, combine, 2, 3));
    }
    let value = ColumnType::between(SqlType::Int, 4, 5).with_nullable(true);
    let fields = [field(0, 1), Field::plain(value)];
    let inputs = [set(&fields, 1, 1), set(&fields, 1, 1)];
    exact("nullable", &inputs, &set(&fields, 2, 1), groups(1, &[Combine::Min], 2, 2));
}

#[test]
fn grouped_sums_in_their_ring() {
    let fields = [field(0, 2), ring(2)];
    let inputs = [set(&fields, 1, 1), set(&fields, 2, 1)];
    exact("sum", &inputs, &set(&fields, 3, 1), groups(1, &[Combine::Sum], 2, 3));
    let fields = [field(0, 1), ring(2)];
    let inputs = [bag(&fields, 2, ascending(0..1)), bag(&fields, 1, ascending(0..1))];
    exact("of raw rows", &inputs, &set(&fields, 3, 1), groups(1, &[Combine::Sum], 3, 3));
    let fields = [ring(3)];
    let inputs = [set(&fields, 1, 0), set(&fields, 1, 0)];
    exact("without key", &inputs, &set(&fields, 1, 0), groups(0, &[Combine::Sum], 2, 1));
}

/// A sum with a claim on its parts has gaps in its range: why sums go through a ring.
#[test]
fn a_sum_of_claimed_parts_would_not_be_exact() {
    let parts = [field(0, 1), Field { ring: Some(3), ..field(2, 3) }];
    let claimed = |rows| {
        let at_least = |least| {
            let value = Box::new(Expr::Column(1));
            let kind = ColumnType::between(SqlType::Int, least, least);
            let bound = Expr::Literal(Some(Value::Integer(least)), kind);
            Expr::Binary(BinaryOp::GreaterEqual, value, Box::new(bound))
        };
        let fields = [field(0, 1), field(0, 7)];
        Shape { claims: vec![at_least(2)], ..set(&fields, rows, 1) }
    };
    let program = circuit(&[claimed(1), claimed(1)], |b, t| {
        let as_ring = |table: &Table| Table { fields: parts.to_vec(), ..table.clone() };
        let tables = [as_ring(&t[0]), as_ring(&t[1])];
        groups(1, &[Combine::Sum], 2, 2)(b, &tables)
    });
    let reachable = range(&[claimed(1), claimed(1)], &program);
    assert_ne!(reachable, accepted(&claimed(2)));
}

#[test]
fn claims_strings_and_domains() {
    let name = Field::plain(ColumnType::full(SqlType::Varchar { bytes: 1 }));
    let word = bag(&[name], 1, Vec::new());
    assert_eq!(accepted(&word).len(), 1 + 256);
    let long = Field::plain(ColumnType::full(SqlType::Varchar { bytes: 2 }));
    let mut b = Builder::new();
    let shape = bag(&[long], 1, Vec::new());
    let table = Table::input(&mut b, &shape.fields, 1);
    let ok = ver::in_range(&mut b, &table, &shape).unwrap();
    b.output(&[ok]);
    let program = b.finish().unwrap();
    let check = |valid: bool, first: u8, second: u8| {
        let mut bits = Bits::repeat(valid, 1);
        bits.extend_from(&Bits::from_bytes(&[second, first], 16).unwrap());
        program.evaluate(&[bits]).unwrap()[0].bit(0)
    };
    assert!(check(true, b'a', b'b') && check(true, b'a', 0) && check(true, 0, 0));
    assert!(!check(true, 0, b'b') && !check(false, b'a', 0) && check(false, 0, 0));
    let narrow = bag(&[field(10, 14)], 1, Vec::new());
    assert_eq!(accepted(&narrow).len(), 1 + 5);
    let even = Expr::Binary(
        BinaryOp::NotEqual,
        Box::new(Expr::Column(0)),
        Box::new(Expr::Literal(Some(Value::Integer(12)), narrow.fields[0].kind)),
    );
    assert_eq!(accepted(&Shape { claims: vec![even], ..narrow }).len(), 1 + 4);
    let always = ColumnType::between(SqlType::Boolean, 1, 1);
    assert_eq!(accepted(&bag(&[Field::plain(always)], 2, Vec::new())).len(), 3);
}
