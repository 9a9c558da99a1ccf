//! Cells between text, Arrow arrays and the planner's values, strictly: nothing is rounded, wrapped
//! or shortened on the way.

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryBuilder, Int16Array, Int32Array, Int64Array, StringArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use senate_planner::ir::Value;
use senate_planner::text;
use senate_planner::types::{ColumnType, SqlType};
use std::sync::Arc;

/// Reads one cell's text as a value of the type. What is wrong is told without the cell: errors get
/// into logs.
///
/// # Errors
/// Why it is none.
pub(crate) fn parse(text: &str, sql: SqlType) -> Result<Value, String> {
    text::parse(text, sql).ok_or_else(|| format!("not a value of type {sql}"))
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
                let (low, high) = (text::spell(kind.low, sql), text::spell(kind.high, sql));
                Err(format!("a value outside {low} to {high}"))
            }
        }
        _ => Err(format!("a value that is not a {}", kind.sql)),
    }
}

/// An array of the type from values; a value of another kind becomes an error.
///
/// # Errors
/// A value that the Arrow type cannot hold.
pub(crate) fn array(values: &[Option<Value>], sql: SqlType) -> Result<ArrayRef, String> {
    let misfit = || format!("a value does not fit {}", sql);
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
        SqlType::Timestamp { .. } => {
            let units = Int64Array::from(integers(values).ok_or_else(misfit)?);
            cast(&units, &sql.arrow()).map_err(|error| error.to_string())?
        }
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
    let wrong = || format!("Arrow type {found} is not a {}", sql);
    if !compatible(&found, sql) {
        return Err(wrong());
    }
    let to = |target: &DataType| {
        let plain = cast(&array.slice(0, array.len()), target).map_err(|_| wrong())?;
        // An Arrow cast turns what does not fit into NULL.
        if plain.null_count() == array.logical_null_count() {
            Ok(plain)
        } else {
            Err(format!("a value does not fit {}", sql))
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
        SqlType::Timestamp { .. } => {
            let units = to(&sql.arrow())?;
            // Of a coarser unit, a cast would drop the rest.
            let back = cast(&units, &found).map_err(|_| wrong())?;
            if back.as_ref() != array {
                return Err(format!("a value does not fit {sql}"));
            }
            let units = cast(&units, &DataType::Int64).map_err(|_| wrong())?;
            let units = units.as_any().downcast_ref::<Int64Array>().ok_or_else(wrong)?;
            units.iter().map(|cell| cell.map(|unit| Value::Integer(unit.into()))).collect()
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

fn compatible(found: &DataType, sql: SqlType) -> bool {
    match sql {
        SqlType::Boolean => *found == DataType::Boolean,
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt => {
            found.is_integer()
        }
        SqlType::Date => *found == DataType::Date32,
        SqlType::Timestamp { .. } => match found {
            DataType::Timestamp(_, zone) => zone.as_deref().is_none_or(is_utc),
            _ => false,
        },
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

/// Whether times of this zone are read as they are.
pub(crate) fn is_utc(zone: &str) -> bool {
    ["UTC", "Z", "+00:00", "+0000", "+00"].iter().any(|utc| zone.eq_ignore_ascii_case(utc))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: SqlType = SqlType::Decimal { precision: 9, scale: 2 };

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
            (SqlType::Timestamp { digits: 0 }, vec![number(-1), None]),
            (SqlType::Timestamp { digits: 9 }, vec![number(i128::from(i64::MIN)), None]),
            (PRICE, vec![number(-1250), None]),
            (SqlType::Varchar { bytes: 4 }, vec![bytes("äb"), None, bytes("")]),
            (SqlType::Binary { bytes: 2 }, vec![bytes("ab"), None]),
        ];
        for (sql, cells) in cases {
            let array = array(&cells, sql).unwrap();
            assert_eq!(*array.data_type(), sql.arrow());
            assert_eq!(values(&array, sql).unwrap(), cells);
        }
        assert!(array(&[number(1 << 40)], SqlType::Int).is_err());
    }

    #[test]
    fn times_of_other_units_and_of_utc_are_read_where_nothing_is_lost() {
        use datafusion::arrow::array::{TimestampMicrosecondArray, TimestampSecondArray};
        let number = |number| Some(Value::Integer(number));
        let seconds = SqlType::Timestamp { digits: 0 };
        let micros = TimestampMicrosecondArray::from(vec![Some(-2_000_000), None]);
        assert_eq!(values(&micros, seconds).unwrap(), [number(-2), None]);
        let utc = micros.with_timezone("UTC");
        assert_eq!(values(&utc, seconds).unwrap(), [number(-2), None]);
        assert!(values(&utc.with_timezone("+01:00"), seconds).is_err());
        let rest = TimestampMicrosecondArray::from(vec![2_000_000, 1]).with_timezone("UTC");
        assert_eq!(values(&rest, seconds).unwrap_err(), "a value does not fit TIMESTAMP(0)");
        let late = TimestampSecondArray::from(vec![253_402_300_799]);
        assert!(values(&late, SqlType::Timestamp { digits: 9 }).is_err());
        assert_eq!(values(&late, SqlType::Timestamp { digits: 6 }).unwrap().len(), 1);
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
