//! Types and constants as the federation file spells them.

use crate::ir::Value;
use crate::text::parse;
use crate::types::{ColumnType, SqlType};

/// Longest VARCHAR or BINARY, in bytes.
const BYTES_MAX: u32 = 4096;

/// The SQL type spelled `text`.
///
/// # Errors
/// What is wrong with it.
pub fn sql_type(text: &str) -> Result<SqlType, String> {
    let upper = text.trim().to_ascii_uppercase();
    let (name, arguments) = match upper.split_once('(') {
        None => (upper.as_str(), None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| unknown(text))?;
            let numbers: Result<Vec<u32>, _> = inner.split(',').map(|n| n.trim().parse()).collect();
            (name.trim(), Some(numbers.map_err(|_| unknown(text))?))
        }
    };
    match (name, arguments.as_deref()) {
        ("BOOLEAN", None) => Ok(SqlType::Boolean),
        ("SMALLINT", None) => Ok(SqlType::SmallInt),
        ("INT" | "INTEGER", None) => Ok(SqlType::Int),
        ("BIGINT", None) => Ok(SqlType::BigInt),
        ("DATE", None) => Ok(SqlType::Date),
        ("DECIMAL" | "NUMERIC", Some(&[precision, scale])) => decimal(precision, scale),
        ("DECIMAL" | "NUMERIC", Some(&[precision])) => decimal(precision, 0),
        ("VARCHAR", Some(&[bytes])) => length(bytes).map(|bytes| SqlType::Varchar { bytes }),
        ("BINARY", Some(&[bytes])) => length(bytes).map(|bytes| SqlType::Binary { bytes }),
        ("TIMESTAMP", None) => Ok(SqlType::Timestamp { digits: 9 }),
        ("TIMESTAMP", Some(&[digits @ (0 | 3 | 6 | 9)])) => {
            Ok(SqlType::Timestamp { digits: digits as u8 })
        }
        ("TIMESTAMP", Some(_)) => Err(format!("{text}: a second has 0, 3, 6 or 9 digits")),
        _ => Err(unknown(text)),
    }
}

/// A bound or dictionary value of a column of type `sql`, or what is wrong with it.
pub(super) fn column_value(sql: SqlType, value: &toml::Value) -> Result<Value, String> {
    let wrong = || format!("{value} is not a {sql}");
    let parsed = match (sql, value) {
        (SqlType::Boolean, toml::Value::Boolean(bit)) => Some(Value::Boolean(*bit)),
        (SqlType::Decimal { .. }, toml::Value::Integer(number)) => parse(&number.to_string(), sql),
        (SqlType::Decimal { .. }, toml::Value::Float(number)) => parse(&number.to_string(), sql),
        (SqlType::Date | SqlType::Timestamp { .. }, toml::Value::Datetime(stamp)) => {
            parse(&stamp.to_string(), sql)
        }
        (
            SqlType::Decimal { .. }
            | SqlType::Date
            | SqlType::Timestamp { .. }
            | SqlType::Varchar { .. }
            | SqlType::Binary { .. },
            toml::Value::String(text),
        ) => parse(text, sql),
        (
            SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt,
            toml::Value::Integer(number),
        ) => Some(Value::Integer(i128::from(*number))),
        _ => None,
    };
    let parsed = parsed.ok_or_else(wrong)?;
    match parsed {
        Value::Integer(number) if !(sql.range().0..=sql.range().1).contains(&number) => {
            Err(format!("{value} is outside {sql}"))
        }
        Value::Bytes(_) if !ColumnType::full(sql).contains(Some(&parsed)) => Err(wrong()),
        parsed => Ok(parsed),
    }
}

fn unknown(text: &str) -> String {
    format!(
        "unknown type {text:?}; types are BOOLEAN, SMALLINT, INT, BIGINT, DECIMAL(p,s), DATE, \
         TIMESTAMP, TIMESTAMP(0|3|6|9), VARCHAR(n), BINARY(n)"
    )
}

fn decimal(precision: u32, scale: u32) -> Result<SqlType, String> {
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision as i8 => {
            Ok(SqlType::Decimal { precision, scale })
        }
        _ => Err(format!("DECIMAL({precision},{scale}): 1 to 38 digits, of them 0 to p decimals")),
    }
}

fn length(bytes: u32) -> Result<u32, String> {
    if (1..=BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("length {bytes} is not in 1..{BYTES_MAX}"))
    }
}
