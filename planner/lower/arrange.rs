//! Columns chosen, re-encoded and computed. Row by row, so nothing else changes.

use super::error::LowerError;
use super::expr::Evaluator;
use super::scalar::{self, Scalar};
use super::shape::Field;
use super::table::{Cell, Table};
use crate::ir::Expr;
use senate_circuit::{Builder, PlaneId, Relation};

/// A table and, per lane, values that did not fit their type.
type Fitted = (Table, Vec<PlaneId>);

/// Chosen columns in chosen encodings. With `one_row`, exactly one row whatever came in: its
/// columns are the input's only row's, else zero or NULL.
pub(super) fn arrange(
    b: &mut Builder,
    table: Table,
    columns: &[(usize, Field)],
    one_row: bool,
) -> Result<Fitted, LowerError> {
    let table = if one_row { first_row(b, table) } else { table };
    let same = |(from, to): &(usize, Field)| table.fields.get(*from) == Some(to);
    let zero = table.zero && columns.iter().all(same);
    let exists = table.relation.valid;
    let lanes = table.rows();
    let mut evaluator = Evaluator::over(b, &table);
    let mut words = Vec::new();
    for (from, field) in columns {
        let cell = match table.cell(*from) {
            Some((own, cell)) if own == field => cell,
            _ => {
                let value = evaluator.evaluate(&Expr::Column(*from))?;
                encoded(&mut evaluator, value, field, exists)?
            }
        };
        words.push(cell.word());
    }
    let overflow = std::mem::take(&mut evaluator.overflow);
    let valid = if one_row { b.constant(true, lanes) } else { exists };
    let fields = columns.iter().map(|(_, field)| field.clone()).collect();
    let relation = Relation::new(valid, words, lanes);
    let (limit, prefix) = (table.limit, table.prefix || one_row);
    Ok((Table { fields, relation, limit, prefix, zero: zero || one_row }, overflow))
}

/// Computed columns.
pub(super) fn project(
    b: &mut Builder,
    table: &Table,
    exprs: &[Expr],
    fields: &[Field],
) -> Result<Fitted, LowerError> {
    let exists = table.relation.valid;
    let mut evaluator = Evaluator::over(b, table);
    let mut words = Vec::new();
    let mut copies = true;
    for (expr, field) in exprs.iter().zip(fields) {
        let copied = match expr {
            Expr::Column(from) => table.cell(*from).filter(|(own, _)| *own == field),
            _ => None,
        };
        copies &= copied.is_some();
        let cell = match copied {
            Some((_, cell)) => cell,
            None => {
                let value = evaluator.evaluate(expr)?;
                encoded(&mut evaluator, value, field, exists)?
            }
        };
        words.push(cell.word());
    }
    let overflow = std::mem::take(&mut evaluator.overflow);
    let relation = Relation::new(exists, words, table.rows());
    let (limit, prefix, zero) = (table.limit, table.prefix, table.zero && copies);
    Ok((Table { fields: fields.to_vec(), relation, limit, prefix, zero }, overflow))
}

/// A value in a column's encoding; absent values are zero.
fn encoded(
    evaluator: &mut Evaluator<'_>,
    value: Scalar,
    field: &Field,
    exists: PlaneId,
) -> Result<Cell, LowerError> {
    if let Some(width) = field.ring {
        let b = &mut *evaluator.builder;
        let number = scalar::based(b, &value, 0, width);
        let present = value.present.unwrap_or(exists);
        let number = b.mask_word(present, &number);
        let present = field.kind.nullable.then_some(present);
        return Ok(Cell { value: number, present });
    }
    let value = evaluator.fitted(&value, field.kind)?;
    if !field.kind.nullable {
        return match value.present {
            // The front end promises presence; an absent value is zero all the same.
            Some(present) => {
                let masked = evaluator.builder.mask_word(present, &value.value);
                Ok(Cell { value: masked, present: None })
            }
            None => Ok(Cell { value: value.value, present: None }),
        };
    }
    let present = match value.present {
        Some(present) => evaluator.builder.and(present, exists),
        None => exists,
    };
    let masked = evaluator.builder.mask_word(present, &value.value);
    Ok(Cell { value: masked, present: Some(present) })
}

fn first_row(b: &mut Builder, table: Table) -> Table {
    let mut table = table.canonical(b);
    if table.rows() == 0 {
        table.relation = table.relation.pad(b, 1);
    }
    let mut table = table.sliced(b, 0, 1);
    table.limit = 1;
    table
}
