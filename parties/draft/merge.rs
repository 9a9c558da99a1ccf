//! One declaration for what two holders declare: wide enough for both.

use super::{Column, Literal};
use crate::failure::{Failure, Outcome};
use senate_planner::catalog::sql_type;
use senate_planner::ir::Value;
use senate_planner::text::parse;
use senate_planner::types::SqlType;

/// The columns of both, in the first's order.
///
/// # Errors
/// Usage when a column is missing on one side or the types have nothing in common.
pub(super) fn columns(one: &[Column], other: &[Column]) -> Outcome<Vec<Column>> {
    if let Some(extra) = other.iter().find(|column| one.iter().all(|own| own.name != column.name)) {
        return Err(missing(&extra.name));
    }
    let merged = one.iter().map(|column| {
        let same = other.iter().find(|other| other.name == column.name);
        merge(column, same.ok_or_else(|| missing(&column.name))?)
    });
    merged.collect()
}

fn missing(column: &str) -> Failure {
    Failure::usage(format!("column {column:?}: only one of the holders declares it"))
        .with_remedy("publish the same columns: senate publish --exclude COLUMN leaves one out")
}

fn merge(one: &Column, other: &Column) -> Outcome<Column> {
    let parse = |text: &str| sql_type(text).map_err(Failure::usage);
    let (kind, same) = (parse(&one.kind)?, parse(&other.kind)?);
    let wide = wider(kind, same).ok_or_else(|| {
        let why = format!("column {:?}: declared as {kind} and as {same}", one.name);
        Failure::usage(why).with_remedy("agree on one: senate publish --column NAME=TYPE")
    })?;
    let both = |one: &Option<Literal>, other: &Option<Literal>, pick| {
        one.as_ref().zip(other.as_ref()).and_then(|(one, other)| bound(one, other, pick, wide))
    };
    let values = one.values.as_ref().zip(other.values.as_ref()).map(|(one, other)| {
        let more = other.iter().filter(|value| !one.contains(value));
        one.iter().chain(more).cloned().collect()
    });
    Ok(Column {
        name: one.name.clone(),
        kind: if wide == kind { one.kind.clone() } else { wide.to_string() },
        nullable: one.nullable || other.nullable,
        unique: one.unique && other.unique,
        min: both(&one.min, &other.min, Pick::Smaller),
        max: both(&one.max, &other.max, Pick::Larger),
        values,
    })
}

/// The smaller of two types that has all values of both.
fn wider(one: SqlType, other: SqlType) -> Option<SqlType> {
    use SqlType::{BigInt, Date, Decimal, Int, SmallInt, Timestamp, Varchar};
    match (one, other) {
        (one, other) if one == other => Some(one),
        (Varchar { bytes: one }, Varchar { bytes: other }) => {
            Some(Varchar { bytes: one.max(other) })
        }
        (Timestamp { digits: one }, Timestamp { digits: other }) => {
            Some(Timestamp { digits: one.max(other) })
        }
        (Timestamp { digits }, Date) | (Date, Timestamp { digits }) => Some(Timestamp { digits }),
        (BigInt, SmallInt | Int) | (SmallInt | Int, BigInt) => Some(BigInt),
        (Int, SmallInt) | (SmallInt, Int) => Some(Int),
        (Decimal { precision: one, scale: fine }, Decimal { precision: other, scale: coarse }) => {
            let whole = i16::from(one).checked_sub(fine.into())?;
            let whole = whole.max(i16::from(other).checked_sub(coarse.into())?);
            let scale = fine.max(coarse);
            let precision = u8::try_from(whole + i16::from(scale)).ok()?;
            (precision <= 38).then_some(Decimal { precision, scale })
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Pick {
    Smaller,
    Larger,
}

/// The bound of values of type `kind` that holds for both; none where one of them is no value of it.
fn bound(one: &Literal, other: &Literal, pick: Pick, kind: SqlType) -> Option<Literal> {
    let number = |literal: &Literal| {
        let value = match literal {
            Literal::Boolean(_) => None,
            Literal::Integer(number) => parse(&number.to_string(), kind),
            Literal::Float(number) => parse(&number.to_string(), kind),
            Literal::Text(text) => parse(text, kind),
        };
        match value {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        }
    };
    let is_smaller = number(one)? <= number(other)?;
    let takes_one = is_smaller == matches!(pick, Pick::Smaller);
    Some(if takes_one { one.clone() } else { other.clone() })
}
