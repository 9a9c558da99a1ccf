//! How long a computed text can be: the public bound that lets it enter the joint part.
//!
//! Valid because every function here is bounded by its arguments' bounds for each row. (`upper` and
//! `lower` can lengthen some letters; such a row is refused on entry like any over-long text.)

use super::facts::expr_kind;
use crate::types::{ColumnType, SqlType};
use datafusion_common::DFSchema;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

/// Most bytes of the text that `expr` gives; `None` when there is no bound.
pub(super) fn text_bytes(
    expr: &Expr,
    schema: &DFSchema,
    columns: &[Option<ColumnType>],
) -> Option<u32> {
    let inner = |expr: &Expr| text_bytes(expr, schema, columns);
    let sum =
        |exprs: &[&Expr]| exprs.iter().try_fold(0u32, |sum, expr| sum.checked_add(inner(expr)?));
    let most =
        |exprs: &[&Expr]| exprs.iter().try_fold(0u32, |most, expr| Some(most.max(inner(expr)?)));
    match expr {
        Expr::Alias(alias) => inner(&alias.expr),
        Expr::Literal(value, _) => match value.try_as_str() {
            Some(text) => u32::try_from(text.unwrap_or_default().len()).ok(),
            None => printed(SqlType::from_arrow(&value.data_type())?),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            sum(&[left, right])
        }
        Expr::Cast(cast) if cast.field.data_type().is_string() => inner(&cast.expr),
        Expr::TryCast(cast) if cast.field.data_type().is_string() => inner(&cast.expr),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            most(&results.chain(case.else_expr.as_deref()).collect::<Vec<_>>())
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match func.name() {
            "btrim" | "ltrim" | "rtrim" | "substr" | "left" | "right" | "reverse" | "nullif"
            | "split_part" => inner(args.first()?),
            // The upper case of a character may be three others, of two bytes as well.
            "upper" | "lower" => inner(args.first()?)?.checked_mul(3),
            "concat" => sum(&args.iter().collect::<Vec<_>>()),
            "coalesce" | "greatest" | "least" | "nvl" => most(&args.iter().collect::<Vec<_>>()),
            _ => None,
        },
        // A column, or a value of another type; any other text has no bound.
        _ if matches!(expr, Expr::Column(_)) || !expr.get_type(schema).ok()?.is_string() => {
            printed(expr_kind(expr, schema, columns)?.sql)
        }
        _ => None,
    }
}

/// Most bytes of a value written as text.
fn printed(sql: SqlType) -> Option<u32> {
    Some(match sql {
        SqlType::Boolean => 5,
        SqlType::SmallInt => 6,
        SqlType::Int => 11,
        SqlType::BigInt | SqlType::UnsignedBigInt => 20,
        // Sign, leading zero and point.
        SqlType::Decimal { precision, .. } => u32::from(precision) + 3,
        // Years have up to seven digits and a sign.
        SqlType::Date => 14,
        // A date, a time and a point with nine digits.
        SqlType::Timestamp { .. } => 14 + 9 + 10,
        SqlType::Varchar { bytes } => bytes,
        SqlType::Binary { .. } => return None,
    })
}
