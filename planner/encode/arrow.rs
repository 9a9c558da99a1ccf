//! Arrow columns and plain values, strictly by type.

use super::{EncodeError, Row};
use crate::ir::{Column, Schema, Value};
use crate::types::SqlType;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

/// Appends a batch's rows.
pub(super) fn read(
    batch: &RecordBatch,
    schema: &Schema,
    rows: &mut Vec<Row>,
) -> Result<(), EncodeError> {
    let (found, expected) = (batch.num_columns(), schema.columns.len());
    if found != expected {
        return Err(EncodeError::Columns { found, expected });
    }
    let start = rows.len();
    rows.resize_with(start + batch.num_rows(), || Vec::with_capacity(expected));
    for (array, column) in batch.columns().iter().zip(&schema.columns) {
        let values = column_values(array, column)?;
        for (row, value) in rows.iter_mut().skip(start).zip(values) {
            row.push(value);
        }
    }
    Ok(())
}

fn column_values(array: &ArrayRef, column: &Column) -> Result<Vec<Option<Value>>, EncodeError> {
    let wrong = || EncodeError::Type {
        column: column.name.clone(),
        found: array.data_type().to_string(),
        expected: column.kind.sql.to_string(),
    };
    Ok(match (array.data_type(), column.kind.sql) {
        (DataType::Boolean, SqlType::Boolean) => {
            array.as_boolean().iter().map(|value| value.map(Value::Boolean)).collect()
        }
        (DataType::Decimal128(_, scale), sql) if *scale == sql.scale() && sql.is_number() => {
            integers::<Decimal128Type>(array)
        }
        (DataType::Date32, SqlType::Date) => integers::<Date32Type>(array),
        (DataType::Timestamp(unit, None), sql) if *array.data_type() == sql.arrow() => match unit {
            TimeUnit::Second => integers::<TimestampSecondType>(array),
            TimeUnit::Millisecond => integers::<TimestampMillisecondType>(array),
            TimeUnit::Microsecond => integers::<TimestampMicrosecondType>(array),
            TimeUnit::Nanosecond => integers::<TimestampNanosecondType>(array),
        },
        (data, sql) if data.is_integer() && sql.is_number() && sql.scale() == 0 => match data {
            DataType::Int8 => integers::<Int8Type>(array),
            DataType::Int16 => integers::<Int16Type>(array),
            DataType::Int32 => integers::<Int32Type>(array),
            DataType::Int64 => integers::<Int64Type>(array),
            DataType::UInt8 => integers::<UInt8Type>(array),
            DataType::UInt16 => integers::<UInt16Type>(array),
            DataType::UInt32 => integers::<UInt32Type>(array),
            _ => integers::<UInt64Type>(array),
        },
        (DataType::Utf8, SqlType::Varchar { .. }) => strings(array.as_string::<i32>()),
        (DataType::LargeUtf8, SqlType::Varchar { .. }) => strings(array.as_string::<i64>()),
        (DataType::Utf8View, SqlType::Varchar { .. }) => strings(array.as_string_view()),
        (DataType::FixedSizeBinary(_), SqlType::Binary { .. }) => {
            bytes(array.as_fixed_size_binary())
        }
        (DataType::Binary, SqlType::Binary { .. }) => bytes(array.as_binary::<i32>()),
        (DataType::BinaryView, SqlType::Binary { .. }) => bytes(array.as_binary_view()),
        _ => return Err(wrong()),
    })
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Vec<Option<Value>>
where
    T::Native: Into<i128>,
{
    array.as_primitive::<T>().iter().map(|v| v.map(|v| Value::Integer(v.into()))).collect()
}

fn strings<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Option<Value>> {
    bytes(values.into_iter().map(|value| value.map(str::as_bytes)))
}

fn bytes<'a>(values: impl IntoIterator<Item = Option<&'a [u8]>>) -> Vec<Option<Value>> {
    values.into_iter().map(|value| value.map(|value| Value::Bytes(value.to_vec()))).collect()
}

/// The Arrow column of some values; `None` when one is not of the type.
pub(super) fn write(values: &[Option<Value>], arrow: &DataType) -> Option<ArrayRef> {
    Some(match arrow {
        DataType::Boolean => {
            let bits = each(values, |value| match value {
                Value::Boolean(bit) => Some(*bit),
                _ => None,
            });
            Arc::new(BooleanArray::from(bits?))
        }
        DataType::Int16 => Arc::new(Int16Array::from(narrow::<i16>(values)?)),
        DataType::Int32 => Arc::new(Int32Array::from(narrow::<i32>(values)?)),
        DataType::Int64 => Arc::new(Int64Array::from(narrow::<i64>(values)?)),
        DataType::UInt64 => Arc::new(UInt64Array::from(narrow::<u64>(values)?)),
        DataType::Date32 => Arc::new(Date32Array::from(narrow::<i32>(values)?)),
        DataType::Timestamp(unit, None) => {
            let units = narrow::<i64>(values)?;
            match unit {
                TimeUnit::Second => Arc::new(TimestampSecondArray::from(units)),
                TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::from(units)),
                TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::from(units)),
                TimeUnit::Nanosecond => Arc::new(TimestampNanosecondArray::from(units)),
            }
        }
        DataType::Decimal128(precision, scale) => {
            let array = Decimal128Array::from(narrow::<i128>(values)?);
            Arc::new(array.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::Utf8 => {
            let text = |value: &Value| match value {
                Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
                _ => None,
            };
            Arc::new(StringArray::from(each(values, text)?))
        }
        DataType::FixedSizeBinary(width) => {
            let raw = |value: &Value| match value {
                Value::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            };
            let values = each(values, raw)?.into_iter();
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, *width).ok()?)
        }
        _ => return None,
    })
}

fn narrow<N: TryFrom<i128>>(values: &[Option<Value>]) -> Option<Vec<Option<N>>> {
    each(values, |value| match value {
        Value::Integer(integer) => N::try_from(*integer).ok(),
        _ => None,
    })
}

/// NULLs kept, everything else through `one`; `None` when it fails.
fn each<T>(values: &[Option<Value>], one: impl Fn(&Value) -> Option<T>) -> Option<Vec<Option<T>>> {
    let cell = |value: &Option<Value>| match value {
        None => Some(None),
        Some(value) => one(value).map(Some),
    };
    values.iter().map(cell).collect()
}
