//! Cells between text, Arrow arrays and the planner's values, strictly: nothing is rounded, wrapped
//! or shortened on the way.

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryBuilder, Int16Array, Int32Array, Int64Array, StringArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use senate_planner::ir::Value;
use senate_planner::types::{ColumnType, SqlType};
use std::sync::Arc;

/// The Arrow type of a declared column.
pub fn arrow_type(sql: SqlType) -> DataType {
    match sql {
        SqlType::Boolean => DataType::Boolean,
        SqlType::SmallInt => DataType::Int16,
        SqlType::Int => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::UnsignedBigInt => DataType::UInt64,
        SqlType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        SqlType::Date => DataType::Date32,
        SqlType::Varchar { .. } => DataType::Utf8,
        SqlType::Binary { bytes } => {
            DataType::FixedSizeBinary(i32::try_from(bytes).unwrap_or(i32::MAX))
        }
    }
}

/// SQL's name of a type, for messages.
pub fn type_name(sql: SqlType) -> String {
    match sql {
        SqlType::Boolean => "BOOLEAN".to_owned(),
        SqlType::SmallInt => "SMALLINT".to_owned(),
        SqlType::Int => "INT".to_owned(),
        SqlType::BigInt => "BIGINT".to_owned(),
        SqlType::UnsignedBigInt => "BIGINT UNSIGNED".to_owned(),
        SqlType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        SqlType::Date => "DATE".to_owned(),
        SqlType::Varchar { bytes } => format!("VARCHAR({bytes})"),
        SqlType::Binary { bytes } => format!("BINARY({bytes})"),
    }
}

/// Reads one cell's text as a value of the type. What is wrong is told without the cell: errors get
/// into logs.
///
/// # Errors
/// Why it is none.
pub(crate) fn parse(text: &str, sql: SqlType) -> Result<Value, String> {
    let wrong = || format!("not a value of type {}", type_name(sql));
    match sql {
        SqlType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Ok(Value::Boolean(true)),
            "false" | "f" | "0" => Ok(Value::Boolean(false)),
            _ => Err(wrong()),
        },
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt => {
            text.parse().map(Value::Integer).map_err(|_| wrong())
        }
        SqlType::Decimal { scale, .. } => {
            decimal(text, scale).map(Value::Integer).ok_or_else(wrong)
        }
        SqlType::Date => days(text).map(|day| Value::Integer(day.into())).ok_or_else(wrong),
        SqlType::Varchar { .. } => Ok(Value::Bytes(text.as_bytes().to_vec())),
        SqlType::Binary { .. } => hexadecimal(text).map(Value::Bytes).ok_or_else(wrong),
    }
}

/// Checks a present value against the declared domain.
///
/// # Errors
/// Why it is outside.
pub(crate) fn in_domain(value: &Value, kind: &ColumnType) -> Result<(), String> {
    match (value, kind.sql) {
        (Value::Boolean(_), SqlType::Boolean) => Ok(()),
        (Value::Bytes(bytes), SqlType::Varchar { bytes: longest }) => {
            if bytes.len() > longest as usize {
                return Err(format!("{} bytes are longer than VARCHAR({longest})", bytes.len()));
            }
            if bytes.contains(&0) {
                return Err("a NUL byte inside a string".to_owned());
            }
            Ok(())
        }
        (Value::Bytes(bytes), SqlType::Binary { bytes: length }) => {
            if bytes.len() == length as usize {
                Ok(())
            } else {
                Err(format!("{} bytes are not the {length} of BINARY({length})", bytes.len()))
            }
        }
        (Value::Integer(number), sql)
            if !matches!(sql, SqlType::Boolean | SqlType::Varchar { .. }) =>
        {
            if (kind.low..=kind.high).contains(number) {
                Ok(())
            } else {
                let (low, high) = (text(kind.low, sql), text(kind.high, sql));
                Err(format!("a value outside {low} to {high}"))
            }
        }
        _ => Err(format!("a value that is not a {}", type_name(kind.sql))),
    }
}

/// An array of the type from values; a value of another kind becomes an error.
///
/// # Errors
/// A value that the Arrow type cannot hold.
pub(crate) fn array(values: &[Option<Value>], sql: SqlType) -> Result<ArrayRef, String> {
    let misfit = || format!("a value does not fit {}", type_name(sql));
    Ok(match sql {
        SqlType::Boolean => Arc::new(BooleanArray::from(
            each(values, |value| match value {
                Value::Boolean(bit) => Some(*bit),
                _ => None,
            })
            .ok_or_else(misfit)?,
        )),
        SqlType::SmallInt => Arc::new(Int16Array::from(integers(values).ok_or_else(misfit)?)),
        SqlType::Int => Arc::new(Int32Array::from(integers(values).ok_or_else(misfit)?)),
        SqlType::BigInt => Arc::new(Int64Array::from(integers(values).ok_or_else(misfit)?)),
        SqlType::UnsignedBigInt => {
            Arc::new(UInt64Array::from(integers(values).ok_or_else(misfit)?))
        }
        SqlType::Date => Arc::new(Date32Array::from(integers(values).ok_or_else(misfit)?)),
        SqlType::Decimal { precision, scale } => Arc::new(
            Decimal128Array::from(integers(values).ok_or_else(misfit)?)
                .with_precision_and_scale(precision, scale)
                .map_err(|error| error.to_string())?,
        ),
        SqlType::Varchar { .. } => Arc::new(StringArray::from(
            each(values, |value| match value {
                Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
                _ => None,
            })
            .ok_or_else(misfit)?,
        )),
        SqlType::Binary { bytes } => {
            let length = i32::try_from(bytes).map_err(|_| misfit())?;
            let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), length);
            for value in values {
                match value {
                    Some(Value::Bytes(bytes)) => {
                        builder.append_value(bytes).map_err(|_| misfit())?
                    }
                    Some(_) => return Err(misfit()),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    })
}

/// The values of an array that holds the type, possibly in another physical form.
///
/// # Errors
/// An array of another type, or a value that the type cannot hold.
pub(crate) fn values(array: &dyn Array, sql: SqlType) -> Result<Vec<Option<Value>>, String> {
    let found = array.data_type().clone();
    let wrong = || format!("Arrow type {found} is not a {}", type_name(sql));
    if !compatible(&found, sql) {
        return Err(wrong());
    }
    let to = |target: &DataType| {
        let plain = cast(&array.slice(0, array.len()), target).map_err(|_| wrong())?;
        // An Arrow cast turns what does not fit into NULL.
        if plain.null_count() == array.logical_null_count() {
            Ok(plain)
        } else {
            Err(format!("a value does not fit {}", type_name(sql)))
        }
    };
    macro_rules! each {
        ($target:expr, $array:ty, $value:expr) => {
            to(&$target)?
                .as_any()
                .downcast_ref::<$array>()
                .ok_or_else(wrong)?
                .iter()
                .map(|cell| cell.map($value))
                .collect()
        };
    }
    Ok(match sql {
        SqlType::Boolean => each!(DataType::Boolean, BooleanArray, Value::Boolean),
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            each!(DataType::Int64, Int64Array, |number: i64| Value::Integer(number.into()))
        }
        SqlType::UnsignedBigInt => {
            each!(DataType::UInt64, UInt64Array, |number: u64| Value::Integer(number.into()))
        }
        SqlType::Date => {
            each!(DataType::Date32, Date32Array, |day: i32| Value::Integer(day.into()))
        }
        SqlType::Decimal { precision, scale } => {
            each!(DataType::Decimal128(precision, scale), Decimal128Array, Value::Integer)
        }
        SqlType::Varchar { .. } => {
            each!(DataType::Utf8, StringArray, |text: &str| Value::Bytes(text.into()))
        }
        SqlType::Binary { .. } => {
            each!(DataType::Binary, BinaryArray, |bytes: &[u8]| Value::Bytes(bytes.into()))
        }
    })
}

/// A number as its SQL type prints it.
pub(crate) fn text(number: i128, sql: SqlType) -> String {
    let as_date = || match sql {
        SqlType::Date => Date32Array::from(vec![i32::try_from(number).ok()?])
            .value_as_date(0)
            .map(|date| date.to_string()),
        SqlType::Decimal { scale, .. } if scale > 0 => {
            let digits = format!("{:0>1$}", number.unsigned_abs(), scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            Some(format!("{}{whole}.{fraction}", if number < 0 { "-" } else { "" }))
        }
        _ => None,
    };
    as_date().unwrap_or_else(|| number.to_string())
}

fn compatible(found: &DataType, sql: SqlType) -> bool {
    match sql {
        SqlType::Boolean => *found == DataType::Boolean,
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt => {
            found.is_integer()
        }
        SqlType::Date => *found == DataType::Date32,
        // A smaller scale loses nothing; a larger one would be rounded.
        SqlType::Decimal { scale, .. } => match found {
            DataType::Decimal32(_, other)
            | DataType::Decimal64(_, other)
            | DataType::Decimal128(_, other) => *other <= scale,
            other => other.is_integer(),
        },
        SqlType::Varchar { .. } => {
            matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        SqlType::Binary { .. } => matches!(
            found,
            DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        ),
    }
}

/// Present cells through `convert`, `None` as soon as one of them does not convert.
fn each<T>(
    values: &[Option<Value>],
    convert: impl Fn(&Value) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let cell = |value: &Option<Value>| match value {
        Some(value) => convert(value).map(Some),
        None => Some(None),
    };
    values.iter().map(cell).collect()
}

fn integers<T: TryFrom<i128>>(values: &[Option<Value>]) -> Option<Vec<Option<T>>> {
    each(values, |value| match value {
        Value::Integer(number) => T::try_from(*number).ok(),
        _ => None,
    })
}

/// `-12.50` at scale 2 is −1250; more digits than the scale are refused unless they are zeros.
fn decimal(text: &str, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept = fraction.get(..scale.min(fraction.len()))?;
    let lost = fraction.get(kept.len()..)?;
    if lost.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let number: i128 = format!("0{whole}{kept:0<scale$}").parse().ok()?;
    Some(if text.starts_with('-') { -number } else { number })
}

/// Days since 1970-01-01 of an ISO date, by the parser that DataFusion uses.
fn days(text: &str) -> Option<i32> {
    use datafusion::arrow::array::types::Date32Type;
    use datafusion::arrow::compute::kernels::cast_utils::Parser;
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let iso = text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
    if iso { Date32Type::parse(text) } else { None }
}

/// Bytes from hexadecimal digits, with or without PostgreSQL's `\x`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text);
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: SqlType = SqlType::Decimal { precision: 9, scale: 2 };

    #[test]
    fn decimals_are_exact_or_refused() {
        let cases = [("-12.5", -1250), ("3", 300), (".25", 25), ("7.1000", 710), ("-0.01", -1)];
        for (text, number) in cases {
            assert_eq!(parse(text, PRICE), Ok(Value::Integer(number)), "{text}");
        }
        for text in ["1.005", "", ".", "1e3", "--1", "1.2.3", " 1"] {
            assert!(parse(text, PRICE).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_booleans_and_bytes() {
        assert_eq!(parse("1970-01-02", SqlType::Date), Ok(Value::Integer(1)));
        assert_eq!(parse("1969-12-31", SqlType::Date), Ok(Value::Integer(-1)));
        assert!(parse("2019-02-30", SqlType::Date).is_err());
        assert!(parse("2019-2-3", SqlType::Date).is_err());
        assert_eq!(parse("T", SqlType::Boolean), Ok(Value::Boolean(true)));
        assert!(parse("yes", SqlType::Boolean).is_err());
        let two = SqlType::Binary { bytes: 2 };
        assert_eq!(parse("\\xFf00", two), Ok(Value::Bytes(vec![255, 0])));
        assert!(parse("abc", two).is_err());
    }

    #[test]
    fn arrays_give_back_their_values() {
        let bytes = |text: &str| Some(Value::Bytes(text.as_bytes().to_vec()));
        let number = |number| Some(Value::Integer(number));
        let cases = [
            (SqlType::Boolean, vec![Some(Value::Boolean(true)), None]),
            (SqlType::SmallInt, vec![number(-3), None]),
            (SqlType::Int, vec![number(i128::from(i32::MIN)), None]),
            (SqlType::BigInt, vec![number(i128::from(i64::MAX))]),
            (SqlType::UnsignedBigInt, vec![number(i128::from(u64::MAX))]),
            (SqlType::Date, vec![number(18_000), None]),
            (PRICE, vec![number(-1250), None]),
            (SqlType::Varchar { bytes: 4 }, vec![bytes("äb"), None, bytes("")]),
            (SqlType::Binary { bytes: 2 }, vec![bytes("ab"), None]),
        ];
        for (sql, cells) in cases {
            let array = array(&cells, sql).unwrap();
            assert_eq!(*array.data_type(), arrow_type(sql));
            assert_eq!(values(&array, sql).unwrap(), cells);
        }
        assert!(array(&[number(1 << 40)], SqlType::Int).is_err());
    }

    #[test]
    fn domains_are_checked() {
        let kind = ColumnType { sql: SqlType::Int, low: 0, high: 9, nullable: false };
        assert!(in_domain(&Value::Integer(9), &kind).is_ok());
        assert!(in_domain(&Value::Integer(10), &kind).is_err());
        let name = ColumnType { sql: SqlType::Varchar { bytes: 2 }, low: 0, high: 0, ..kind };
        assert!(in_domain(&Value::Bytes("ä".into()), &name).is_ok());
        assert!(in_domain(&Value::Bytes("äb".into()), &name).is_err());
        assert!(in_domain(&Value::Bytes(vec![0]), &name).is_err());
    }
}
