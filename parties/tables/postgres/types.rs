//! Which database types a declared type can be read from.

use super::{Found, Place};
use crate::failure::Outcome;
use senate_planner::types::SqlType;
use std::collections::BTreeMap;
use tokio_postgres::types::Type;

/// The declared columns by name with the types that they have in the database.
///
/// # Errors
/// Input when a column is missing, ambiguous, or of a type that cannot be read as declared.
pub(super) fn declared(place: &Place<'_>, found: &[Found]) -> Outcome<Columns> {
    let mut columns = Columns::new();
    for column in &place.table.columns {
        let mut same = found.iter().filter(|found| found.name == column.name);
        let (Some(only), None) = (same.next(), same.next()) else {
            let why = format!("declared column `{}` is not there exactly once", column.name);
            return Err(place
                .whole(why)
                .with_remedy("select it in the `query` of its [source] in party.toml"));
        };
        if !is_readable(column.kind.sql, &only.kind) {
            let (name, kind, sql) = (&column.name, &only.kind, column.kind.sql);
            return Err(place
                .whole(format!("column {name} has type {kind}, which is not read as {sql}"))
                .with_remedy("cast it in the `query` of its [source] in party.toml"));
        }
        columns.insert(column.name.clone(), (column.kind.sql, only.kind.clone()));
    }
    Ok(columns)
}

/// Declared and found types by column.
pub(super) type Columns = BTreeMap<String, (SqlType, Type)>;

/// Whether every value of the database type that fits the declared one has the same text.
fn is_readable(declared: SqlType, found: &Type) -> bool {
    let is_integer = [Type::INT2, Type::INT4, Type::INT8].contains(found);
    match declared {
        SqlType::Boolean => *found == Type::BOOL,
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt => is_integer,
        SqlType::Decimal { .. } => is_integer || *found == Type::NUMERIC,
        SqlType::Date => *found == Type::DATE,
        SqlType::Timestamp { .. } => *found == Type::TIMESTAMP,
        SqlType::Varchar { .. } => is_text(found),
        SqlType::Binary { .. } => *found == Type::BYTEA,
    }
}

/// Character types whose text is the value itself; CHAR(n) is padded.
pub(super) fn is_text(found: &Type) -> bool {
    *found == Type::TEXT || *found == Type::VARCHAR
}

/// What a database type says about the column's type here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Inferred {
    /// Everything.
    Exactly(SqlType),
    /// Text; its length depends on the values.
    Text,
    /// Exact numbers; digits depend on the values.
    Number,
    /// Bytes; their number depends on the values.
    Bytes,
}

/// The type to declare for a column of this database type, if there is one.
pub(crate) fn inferred(found: &Type) -> Option<Inferred> {
    let exactly = |sql| Some(Inferred::Exactly(sql));
    match *found {
        Type::BOOL => exactly(SqlType::Boolean),
        Type::INT2 => exactly(SqlType::SmallInt),
        Type::INT4 => exactly(SqlType::Int),
        Type::INT8 => exactly(SqlType::BigInt),
        Type::DATE => exactly(SqlType::Date),
        Type::TIMESTAMP => exactly(SqlType::Timestamp { digits: 6 }),
        Type::NUMERIC => Some(Inferred::Number),
        Type::BYTEA => Some(Inferred::Bytes),
        ref text if is_text(text) => Some(Inferred::Text),
        _ => None,
    }
}
