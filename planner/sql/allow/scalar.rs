//! The allow-list over scalar expressions.

use super::{Checked, absent, order_item, query};
use crate::sql::PlanError;
use crate::sql::bounds::{CHAIN_MAX, too_large};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment,
    ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value, WindowSpec, WindowType,
};

/// Checks an expression and everything below it.
pub(super) fn expr(node: &Expr) -> Checked {
    match node {
        Expr::Value(value) => match &value.value {
            // DataFusion's decimals of negative scale make its optimizer panic.
            Value::Number(text, _) => {
                absent(is_of_negative_scale(text), "an exponent in a number (write it out)")
            }
            _ => Ok(()),
        },
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::TypedString(_) => Ok(()),
        Expr::Interval(interval) => expr(&interval.value),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) | Expr::Nested(inner) => expr(inner),
        Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => expr(inner),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            // `a IS DISTINCT FROM b AND c` parses as `a IS DISTINCT FROM (b AND c)`.
            absent(matches!(**right, Expr::BinaryOp { .. }), AMBIGUOUS_DISTINCT)?;
            expr(left)?;
            expr(right)
        }
        Expr::InList { expr: inner, list, negated: _ } => {
            expr(inner)?;
            list.iter().try_for_each(expr)
        }
        Expr::InSubquery { expr: inner, subquery, negated: _ } => {
            expr(inner)?;
            query(subquery)
        }
        Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => query(subquery),
        Expr::Between { expr: inner, negated: _, low, high } => {
            [inner, low, high].into_iter().try_for_each(|e| expr(e))
        }
        Expr::BinaryOp { .. } => chain(node),
        Expr::UnaryOp { op, expr: inner } => {
            let is_known = matches!(op, UnaryOperator::Plus | UnaryOperator::Minus)
                || matches!(op, UnaryOperator::Not);
            absent(!is_known, &format!("operator {op}"))?;
            expr(inner)
        }
        Expr::Like { negated: _, any, expr: inner, pattern, escape_char }
        | Expr::ILike { negated: _, any, expr: inner, pattern, escape_char } => {
            absent(*any, "LIKE ANY")?;
            let is_usual = escape_char.as_ref().is_none_or(
                |escape| matches!(&escape.value, Value::SingleQuotedString(text) if text == "\\"),
            );
            absent(!is_usual, "LIKE with another ESCAPE than \\")?;
            expr(inner)?;
            expr(pattern)
        }
        Expr::Cast { kind, expr: inner, data_type, array, format } => {
            let sizes = match data_type {
                DataType::Decimal(sizes) | DataType::Numeric(sizes) | DataType::Dec(sizes) => sizes,
                _ => &ExactNumberInfo::None,
            };
            let is_negative =
                matches!(sizes, ExactNumberInfo::PrecisionAndScale(_, scale) if *scale < 0);
            absent(is_negative, "a DECIMAL with a negative scale")?;
            absent(*array || format.is_some(), "CAST with ARRAY or FORMAT")?;
            absent(matches!(kind, CastKind::SafeCast), "SAFE_CAST")?;
            expr(inner)
        }
        Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
            for CaseWhen { condition, result } in conditions {
                expr(condition)?;
                expr(result)?;
            }
            operand.iter().chain(else_result).try_for_each(|e| expr(e))
        }
        Expr::Function(call) => function(call),
        other => text_function(other),
    }
}

/// Operations whose left operand is the next one: a + b + c.
fn chain(node: &Expr) -> Checked {
    let (mut first, mut length) = (node, 0);
    while let Expr::BinaryOp { left, op, right } = first {
        binary(op)?;
        expr(right)?;
        first = left;
        length += 1;
        if length > CHAIN_MAX {
            return Err(too_large("operators in a row", CHAIN_MAX));
        }
    }
    expr(first)
}

/// Whether a number in SQL ends left of its decimal point, like 1e2.
fn is_of_negative_scale(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return false };
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    !exponent.parse::<usize>().is_ok_and(|exponent| exponent <= decimals)
        && !exponent.starts_with('-')
}

const AMBIGUOUS_DISTINCT: &str =
    "IS [NOT] DISTINCT FROM followed by an operator (put it in parentheses)";

/// The functions with a syntax of their own.
fn text_function(node: &Expr) -> Checked {
    match node {
        Expr::Extract { field: _, syntax: _, expr: inner } => expr(inner),
        Expr::Ceil { expr: inner, field } | Expr::Floor { expr: inner, field } => {
            let is_plain = match field {
                CeilFloorKind::DateTimeField(field) => matches!(field, DateTimeField::NoDateTime),
                CeilFloorKind::Scale(_) => false,
            };
            absent(!is_plain, "CEIL or FLOOR TO")?;
            expr(inner)
        }
        Expr::Position { expr: inner, r#in } => {
            expr(inner)?;
            expr(r#in)
        }
        Expr::Substring {
            expr: inner,
            substring_from,
            substring_for,
            special: _,
            shorthand: _,
        } => {
            expr(inner)?;
            substring_from.iter().chain(substring_for).try_for_each(|e| expr(e))
        }
        Expr::Trim { trim_where: _, trim_what, expr: inner, trim_characters } => {
            absent(trim_characters.is_some(), "TRIM with a list of characters")?;
            expr(inner)?;
            trim_what.iter().try_for_each(|e| expr(e))
        }
        Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) => {
            Err(PlanError::unsupported("ROLLUP, CUBE and GROUPING SETS"))
        }
        Expr::AnyOp { .. } | Expr::AllOp { .. } => Err(PlanError::unsupported("ANY and ALL")),
        other => Err(PlanError::unsupported(format!("expression {other}"))),
    }
}

fn binary(operator: &BinaryOperator) -> Checked {
    match operator {
        BinaryOperator::Plus
        | BinaryOperator::Minus
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo
        | BinaryOperator::StringConcat
        | BinaryOperator::Gt
        | BinaryOperator::Lt
        | BinaryOperator::GtEq
        | BinaryOperator::LtEq
        | BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::And
        | BinaryOperator::Or => Ok(()),
        other => Err(PlanError::unsupported(format!("operator {other}"))),
    }
}

fn function(call: &Function) -> Checked {
    let Function {
        name,
        uses_odbc_syntax,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = call;
    absent(*uses_odbc_syntax, "ODBC call syntax")?;
    absent(!matches!(parameters, FunctionArguments::None), "parametric functions")?;
    absent(null_treatment.is_some(), "IGNORE or RESPECT NULLS")?;
    absent(!within_group.is_empty(), "WITHIN GROUP")?;
    filter.iter().try_for_each(|e| expr(e))?;
    match args {
        FunctionArguments::None => {}
        FunctionArguments::Subquery(_) => {
            return Err(PlanError::unsupported(format!("a subquery as argument of {name}")));
        }
        FunctionArguments::List(list) => {
            match list.duplicate_treatment {
                None | Some(DuplicateTreatment::Distinct | DuplicateTreatment::All) => {}
            }
            absent(!list.clauses.is_empty(), &format!("clauses inside the arguments of {name}"))?;
            list.args.iter().try_for_each(argument)?;
        }
    }
    match over {
        None => Ok(()),
        Some(WindowType::NamedWindow(_)) => Err(PlanError::unsupported("WINDOW")),
        Some(WindowType::WindowSpec(spec)) => {
            let WindowSpec { window_name, partition_by, order_by, window_frame: _ } = spec;
            absent(window_name.is_some(), "WINDOW")?;
            partition_by.iter().try_for_each(expr)?;
            order_by.iter().try_for_each(order_item)
        }
    }
}

fn argument(argument: &FunctionArg) -> Checked {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) => expr(inner),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(()),
        FunctionArg::Unnamed(
            FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_),
        )
        | FunctionArg::Named { .. }
        | FunctionArg::ExprNamed { .. } => Err(PlanError::unsupported("named function arguments")),
    }
}
