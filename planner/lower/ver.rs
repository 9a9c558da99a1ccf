//! Ver (PROTOCOL.md §8): whether a relation that came from an owner or a child stage is in the
//! exact range of what made it. One plane of one lane.
//!
//! # A departure from PROTOCOL.md §8, and why it is safe
//! §8 wants canonical relations. What is merged, with or without grouping, need only be *in front*: valid
//! rows come first, in order, and the other lanes hold anything. Call two such relations *alike* if they
//! have the same valid rows: each class holds one canonical relation, and Ver accepts the classes of
//! those that it would accept by §8. A merge puts valid rows where their keys belong and the others
//! behind them, groups are made of valid rows only, and what is opened is zeroed before: so the class of a
//! result depends on the classes of its inputs, Ver bits and answers depend on classes only, and which
//! member of a class a relation is, is masked wires. A coalition injects a class that it could have had
//! honestly, and a simulator extracts the valid rows.

use super::error::LowerError;
use super::expr::Evaluator;
use super::scalar::{self, Scalar};
use super::scattered::Scattered;
use super::shape::Shape;
use super::table::{Cell, Table, key_columns};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Builder, PlaneId, Word};

/// 1 iff: valid rows come first, in order, strictly if the shape is a set; every other row is zero;
/// absent values are zero, numbers within their domain, strings padded with zeros; claims hold.
pub(super) fn in_range(
    b: &mut Builder,
    table: &Table,
    shape: &Shape,
) -> Result<PlaneId, LowerError> {
    if table.rows() == 0 {
        return Ok(b.constant(true, 1));
    }
    let (mut ok, any) = columns_ok(b, table);
    let invalid = b.not(table.relation.valid);
    let stray = b.and(invalid, any);
    ok.push(b.not(stray));
    let strict = shape.is_set() && !shape.order.is_empty();
    ok.push(follows(b, table, shape, strict));
    ok.extend(claims_ok(b, table, shape)?);
    let row = b.all(&ok, table.rows());
    Ok(b.all_lanes(row))
}

/// 1 iff valid rows come first, in order, and are as [`in_range`] wants them: what other rows hold is
/// nobody's business.
pub(super) fn in_front_range(
    b: &mut Builder,
    table: &Table,
    shape: &Shape,
) -> Result<PlaneId, LowerError> {
    if table.rows() == 0 {
        return Ok(b.constant(true, 1));
    }
    let fine = valid_rows_fine(b, table, shape)?;
    let strict = shape.is_set() && !shape.order.is_empty();
    let ordered = follows(b, table, shape, strict);
    let row = b.and(ordered, fine);
    Ok(b.all_lanes(row))
}

/// 1 iff the set is scattered, and valid rows are as [`in_range`] wants them: what others hold is
/// nobody's business.
pub(super) fn in_scattered_range(
    b: &mut Builder,
    set: &Scattered,
    shape: &Shape,
    keys: usize,
) -> Result<PlaneId, LowerError> {
    let table = set.table();
    if table.rows() == 0 {
        return Ok(b.constant(true, 1));
    }
    let fine = valid_rows_fine(b, table, shape)?;
    let ordered = set.in_order(b, keys);
    let row = b.and(ordered, fine);
    Ok(b.all_lanes(row))
}

/// Per row: 1 where there is none, or its values are as [`in_range`] wants them.
fn valid_rows_fine(b: &mut Builder, table: &Table, shape: &Shape) -> Result<PlaneId, LowerError> {
    let (mut ok, _) = columns_ok(b, table);
    ok.extend(claims_ok(b, table, shape)?);
    let fine = b.all(&ok, table.rows());
    let invalid = b.not(table.relation.valid);
    Ok(b.or(invalid, fine))
}

/// A valid row comes after a valid row that is not larger (smaller, if strict).
fn follows(b: &mut Builder, table: &Table, shape: &Shape, strict: bool) -> PlaneId {
    let order = key_columns(&table.fields, &shape.order);
    let key = table.relation.key(b, &order);
    let pairs = table.rows() - 1;
    let (before, after) = (b.slice_word(&key, 0, pairs), b.slice_word(&key, 1, pairs));
    let ordered =
        if strict { b.less_than(&before, &after) } else { b.less_or_equal(&before, &after) };
    let before = b.slice(table.relation.valid, 0, pairs);
    let fine = b.and(before, ordered);
    let first = b.constant(true, 1);
    let fine = b.concat(&[first, fine]);
    let invalid = b.not(table.relation.valid);
    b.or(invalid, fine)
}

/// Per row: 1 where absent values are zero and every value is in its domain; and 1 where anything
/// is not zero.
fn columns_ok(b: &mut Builder, table: &Table) -> (Vec<PlaneId>, PlaneId) {
    let rows = table.rows();
    let (mut ok, mut any) = (Vec::new(), Vec::new());
    for at in 0..table.fields.len() {
        let Some((field, cell)) = table.cell(at) else { continue };
        let nonzero = match field.kind.sql {
            SqlType::Varchar { .. } => padded(b, &cell.value, &mut ok),
            _ => {
                if field.ring.is_none() && !field.kind.sql.is_bytes() {
                    ok.extend(in_domain(b, &cell, &field.kind, table.relation.valid));
                }
                b.any(&cell.value.bits, rows)
            }
        };
        // An absent value is zero, so the presence plane covers it.
        any.push(match cell.present {
            Some(present) => {
                let absent = b.not(present);
                let stray = b.and(absent, nonzero);
                ok.push(b.not(stray));
                present
            }
            None => nonzero,
        });
    }
    (ok, b.any(&any, rows))
}

/// A string has no byte after a zero byte; 1 where it is not empty.
fn padded(b: &mut Builder, value: &Word, ok: &mut Vec<PlaneId>) -> PlaneId {
    let lanes = value.lanes;
    let bytes: Vec<_> = value.bits.chunks(8).map(|byte| b.any(byte, lanes)).collect();
    for pair in bytes.windows(2) {
        if let [later, earlier] = pair {
            let missing = b.not(*earlier);
            let stray = b.and(missing, *later);
            ok.push(b.not(stray));
        }
    }
    bytes.last().copied().unwrap_or_else(|| b.constant(false, lanes))
}

/// 1 where a number or boolean is in its domain, or there is none.
fn in_domain(b: &mut Builder, cell: &Cell, kind: &ColumnType, valid: PlaneId) -> Option<PlaneId> {
    let lanes = cell.value.lanes;
    if kind.sql == SqlType::Boolean {
        let bit = cell.value.bits.first().copied()?;
        return match (kind.low, kind.high) {
            (0, 1) => None,
            (_, 0) => Some(b.not(bit)),
            _ => {
                let absent = b.not(cell.present.unwrap_or(valid));
                Some(b.or(absent, bit))
            }
        };
    }
    let span = kind.span();
    if span & span.wrapping_add(1) == 0 {
        return None;
    }
    let most = b.constant_word(span, cell.value.width(), lanes);
    Some(b.less_or_equal(&cell.value, &most))
}

/// Per claim: 1 where it holds or there is no row.
fn claims_ok(b: &mut Builder, table: &Table, shape: &Shape) -> Result<Vec<PlaneId>, LowerError> {
    let valid = table.relation.valid;
    let mut evaluator = Evaluator::over(b, table);
    let mut ok = Vec::new();
    for claim in &shape.claims {
        let holds = evaluator.evaluate(claim)?;
        let holds = holds.is_true(evaluator.builder);
        let absent = evaluator.builder.not(valid);
        ok.push(evaluator.builder.or(absent, holds));
    }
    let misfits = std::mem::take(&mut evaluator.overflow);
    ok.extend(misfits.into_iter().map(|misfit| b.not(misfit)));
    Ok(ok)
}

impl<'b> Evaluator<'b> {
    /// Over a table's columns; rings become ordinary numbers.
    pub(super) fn over(b: &'b mut Builder, table: &Table) -> Self {
        let columns = (0..table.fields.len()).filter_map(|at| table.cell(at));
        let columns = columns
            .map(|(field, cell)| {
                let value = match field.ring {
                    Some(width) => {
                        scalar::shifted(b, &cell.value, field.kind.low.wrapping_neg(), width)
                    }
                    None => cell.value,
                };
                Scalar { value, kind: field.kind, present: cell.present }
            })
            .collect();
        let (active, rows) = (table.relation.valid, table.rows());
        Self { builder: b, columns, active, rows, overflow: Vec::new() }
    }
}
