//! Inverses (PROTOCOL.md §8): every relation in an operator's range comes from these inputs, which
//! is what a simulator feeds the functionality when a whole child stage is corrupt.

use super::ranges::{accepted, bag, circuit, field, groups, intersected, ring, set};
use crate::lower::physical::Combine;
use crate::lower::shape::{Shape, ascending};
use crate::lower::sort;
use senate_circuit::{Bits, Program};

/// A row's planes, without the valid plane.
pub(super) type Planes = Vec<bool>;

/// The valid rows of a canonical relation.
pub(super) fn rows(bits: &[bool], shape: &Shape) -> Vec<Planes> {
    let (lanes, planes) = (shape.rows as usize, shape.planes() as usize);
    let row = |lane: usize| (1..planes).map(|plane| bits[plane * lanes + lane]).collect();
    (0..lanes).filter(|lane| bits[*lane]).map(row).collect()
}

/// Inverse of [`rows`].
pub(super) fn bundle(rows: &[Planes], shape: &Shape) -> Bits {
    let lanes = 0..shape.rows as usize;
    let valid: Bits = lanes.clone().map(|lane| lane < rows.len()).collect();
    (0..shape.planes() as usize - 1).fold(valid, |mut bits, plane| {
        let lane = |lane: usize| rows.get(lane).is_some_and(|row: &Planes| row[plane]);
        bits.extend_from(&lanes.clone().map(lane).collect());
        bits
    })
}

/// Merge, distinct union, MIN, MAX, SUM: the rows split among the inputs by position.
fn by_position(rows: &[Planes], inputs: &[Shape]) -> Vec<Vec<Planes>> {
    let mut rest = rows;
    let part = |shape: &Shape| {
        let (own, others) = rest.split_at(rest.len().min(shape.rows as usize));
        rest = others;
        own.to_vec()
    };
    inputs.iter().map(part).collect()
}

/// Intersection: the key and either side's columns.
fn by_columns(rows: &[Planes], key: usize, left: usize) -> Vec<Vec<Planes>> {
    let left_row = |row: &Planes| row[..key + left].to_vec();
    let right_row = |row: &Planes| [&row[..key], &row[key + left..]].concat();
    vec![rows.iter().map(left_row).collect(), rows.iter().map(right_row).collect()]
}

/// C(inverse(y)) = y for every y that Ver accepts, on inputs that the owners' Vers accept.
fn inverts(
    inputs: &[Shape],
    output: &Shape,
    program: &Program,
    inverse: impl Fn(&[Planes]) -> Vec<Vec<Planes>>,
) {
    let fine: Vec<_> = inputs.iter().map(accepted).collect();
    for y in accepted(output) {
        let parts = inverse(&rows(&y, output));
        let bits: Vec<Bits> = parts.iter().zip(inputs).map(|(p, shape)| bundle(p, shape)).collect();
        for (bits, fine) in bits.iter().zip(&fine) {
            assert!(fine.contains(&bits.iter().collect::<Vec<_>>()));
        }
        let back = program.evaluate(&bits).unwrap().remove(0);
        assert!(back.iter().eq(y.iter().copied()));
    }
}

#[test]
fn merges_split_by_position() {
    let fields = [field(0, 4)];
    let shape = |rows| bag(&fields, rows, ascending(0..1));
    let inputs = [shape(1), shape(2)];
    for keep in [None, Some(2)] {
        let output = shape(keep.unwrap_or(3));
        let program = circuit(&inputs, |b, t| sort::merge(b, &t[0], &t[1], &ascending(0..1), keep));
        inverts(&inputs, &output, &program, |rows| by_position(rows, &inputs));
    }
}

#[test]
fn groups_split_by_position() {
    for (value, combine) in [
        (field(4, 6), &[Combine::Min] as &[_]),
        (field(4, 6), &[Combine::Max]),
        (ring(2), &[Combine::Sum]),
    ] {
        let fields = [field(0, 2), value];
        let inputs = [set(&fields, 1, 1), set(&fields, 2, 1)];
        let program = circuit(&inputs, groups(1, combine, 2, 3));
        inverts(&inputs, &set(&fields, 3, 1), &program, |rows| by_position(rows, &inputs));
    }
    let fields = [field(0, 4)];
    let inputs = [set(&fields, 1, 1), set(&fields, 2, 1)];
    let program = circuit(&inputs, groups(1, &[], 2, 3));
    inverts(&inputs, &set(&fields, 3, 1), &program, |rows| by_position(rows, &inputs));
}

#[test]
fn intersections_split_by_columns() {
    let (left, right) = ([field(0, 2), field(0, 1)], [field(0, 2), field(5, 6)]);
    let both = [left[0].clone(), left[1].clone(), right[1].clone()];
    let inputs = [set(&left, 2, 1), set(&right, 3, 1)];
    let program = circuit(&inputs, intersected);
    inverts(&inputs, &set(&both, 2, 1), &program, |rows| by_columns(rows, 2, 1));
}
