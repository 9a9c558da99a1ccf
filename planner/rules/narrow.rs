//! Filters with constants narrow the domains of the columns they bound.
//!
//! Valid because every row that passes satisfies the filter, so no value outside the narrowed
//! domain can occur; the domain is checked where the rows enter, which makes a claim superfluous.

use super::facts::plain_column;
use crate::ir::Value;
use crate::types::{ColumnType, SqlType};
use datafusion_common::DFSchema;
use datafusion_expr::{BinaryExpr, Expr, Operator};

/// Narrows the domain of a column that the conjunct bounds by a constant. True when the conjunct
/// says nothing beyond the narrowed domain.
pub(super) fn narrow(
    conjunct: &Expr,
    schema: &DFSchema,
    columns: &mut [Option<ColumnType>],
) -> bool {
    match conjunct {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if let Some(constant) = constant(right) {
                bound(left, *op, constant, schema, columns)
            } else if let (Some(constant), Some(op)) = (constant(left), op.swap()) {
                bound(right, op, constant, schema, columns)
            } else {
                false
            }
        }
        Expr::Between(between) if !between.negated => {
            let (Some(low), Some(high)) = (constant(&between.low), constant(&between.high)) else {
                return false;
            };
            bound(&between.expr, Operator::GtEq, low, schema, columns)
                && bound(&between.expr, Operator::LtEq, high, schema, columns)
        }
        Expr::IsNotNull(column) => {
            let kind =
                plain_column(column, schema).and_then(|index| columns.get_mut(index)?.as_mut());
            let Some(kind) = kind else { return false };
            *kind = kind.with_nullable(false);
            true
        }
        _ => false,
    }
}

/// An integer, date, timestamp or unscaled decimal with its scale.
#[derive(Clone, Copy)]
struct Constant {
    value: i128,
    scale: i8,
}

fn constant(expr: &Expr) -> Option<Constant> {
    let Expr::Literal(value, _) = expr else { return None };
    let scale = SqlType::from_arrow(&value.data_type()).map_or(0, SqlType::scale);
    match super::scalar::literal_value(value)? {
        Value::Integer(value) => Some(Constant { value, scale }),
        Value::Boolean(_) | Value::Bytes(_) => None,
    }
}

fn bound(
    column: &Expr,
    operator: Operator,
    constant: Constant,
    schema: &DFSchema,
    columns: &mut [Option<ColumnType>],
) -> bool {
    let Some(index) = plain_column(column, schema) else { return false };
    let Some(Some(kind)) = columns.get_mut(index) else { return false };
    if kind.sql.is_bytes() || kind.sql.scale() != constant.scale {
        return false;
    }
    let value = constant.value;
    let (low, high) = match operator {
        Operator::Eq => (value, value),
        Operator::Lt => (i128::MIN, value.saturating_sub(1)),
        Operator::LtEq => (i128::MIN, value),
        Operator::Gt => (value.saturating_add(1), i128::MAX),
        Operator::GtEq => (value, i128::MAX),
        _ => return false,
    };
    let (low, high) = (kind.low.max(low), kind.high.min(high));
    // A contradiction leaves no rows: keep some domain, and the claim.
    if low > high {
        return false;
    }
    *kind = ColumnType { low, high, nullable: false, ..*kind };
    true
}
