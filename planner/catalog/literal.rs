//! Types and constants as the federation file spells them.

use crate::ir::Value;
use crate::types::SqlType;

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
        ("TIMESTAMP", _) => Err("TIMESTAMP is not supported yet".to_owned()),
        _ => Err(unknown(text)),
    }
}

/// A bound or dictionary value of a column of type `sql`, or what is wrong with it.
pub(super) fn column_value(sql: SqlType, value: &toml::Value) -> Result<Value, String> {
    let wrong = || format!("{value} is not a {sql}");
    let parsed = match (sql, value) {
        (SqlType::Boolean, toml::Value::Boolean(bit)) => Some(Value::Boolean(*bit)),
        (SqlType::Decimal { scale, .. }, toml::Value::String(text)) => unscaled(text, scale),
        (SqlType::Decimal { scale, .. }, toml::Value::Integer(number)) => {
            unscaled(&number.to_string(), scale)
        }
        (SqlType::Decimal { scale, .. }, toml::Value::Float(number)) => {
            unscaled(&number.to_string(), scale)
        }
        (SqlType::Date, toml::Value::String(text)) => date(text),
        (SqlType::Date, toml::Value::Datetime(stamp)) => date(&stamp.to_string()),
        (SqlType::Varchar { bytes }, toml::Value::String(text)) => {
            let legal = text.len() <= bytes as usize && !text.contains('\0');
            legal.then(|| Value::Bytes(text.clone().into_bytes()))
        }
        (SqlType::Binary { bytes }, toml::Value::String(text)) => {
            hex(text).filter(|value| value.len() == bytes as usize).map(Value::Bytes)
        }
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
        parsed => Ok(parsed),
    }
}

fn unknown(text: &str) -> String {
    format!(
        "unknown type {text:?}; types are BOOLEAN, SMALLINT, INT, BIGINT, DECIMAL(p,s), DATE, \
         VARCHAR(n), BINARY(n)"
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

/// `-12.5` at scale 2 is -1250. Digits beyond the scale are refused, never rounded.
fn unscaled(text: &str, scale: i8) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).ok()?;
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > scale || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let number: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    Some(Value::Integer(if negative { -number } else { number }))
}

/// Days since 1970-01-01 of an ISO date.
fn date(text: &str) -> Option<Value> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day): (i64, i64, i64) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Days from civil: years run from March so that the leap day is last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(Value::Integer(i128::from(era * 146_097 + day_of_era - 719_468)))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
