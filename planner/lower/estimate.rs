//! AND gates of an operator before its circuit exists, for choosing trees. Formulas of [Senate]
//! appendix and [HEK12], σ key planes, w planes per row; only their order matters.

use super::physical::{Operator, Physical};
use super::shape::Shape;

/// Gates of the operator itself; its inputs' shapes are read off its own where they are gone.
pub(super) fn and_gates(relation: &Physical) -> u64 {
    let shape = &relation.shape;
    let rows_in = relation.inputs.iter().map(|input| u64::from(input.shape.rows)).sum::<u64>();
    let rows_in = rows_in.max(u64::from(shape.rows));
    let (planes, keys) = (u64::from(shape.planes()), u64::from(shape.key_planes()));
    let merge = merge_gates(rows_in, keys, planes);
    match &relation.operator {
        Operator::Merge { .. } => merge,
        Operator::Group { .. } => {
            merge + rows_in * (keys + 2 * planes) + compact_gates(rows_in, planes)
        }
        // Of several intersections the last alone moves its rows, in whatever tree.
        Operator::Intersect { .. } => merge + rows_in * (keys + planes),
        Operator::Lookup { .. } => {
            merge + rows_in * (keys + planes) + compact_gates(rows_in / 2, planes)
        }
        Operator::Sort { .. } => merge * log2(rows_in).div_ceil(2),
        Operator::Filter(_) | Operator::Suppress(_) | Operator::Project(_) => rows_in * planes,
        _ => 0,
    }
}

/// Gates of verifying the order of a relation.
pub(super) fn ver_gates(shape: &Shape) -> u64 {
    u64::from(shape.rows) * u64::from(1 + shape.key_planes())
}

fn merge_gates(rows: u64, keys: u64, planes: u64) -> u64 {
    rows.div_ceil(2) * log2(rows) * (keys + planes)
}

fn compact_gates(rows: u64, planes: u64) -> u64 {
    rows.div_ceil(2) * log2(rows) * (planes + 1)
}

fn log2(rows: u64) -> u64 {
    u64::from(64 - rows.saturating_sub(1).leading_zeros())
}
