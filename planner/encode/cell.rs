//! One value and its bits, least significant first.

use crate::ir::{SortKey, Value};
use crate::lower::Field;
use crate::types::SqlType;
use senate_circuit::Bits;
use std::cmp::Ordering;

/// The planes of a value; `None` when it is outside the field's domain.
pub(super) fn to_bits(value: Option<&Value>, field: &Field) -> Option<Bits> {
    let width = field.value_bits() as usize;
    let Some(some) = value else {
        return field.kind.nullable.then(|| Bits::zeros(width + 1));
    };
    let mut bits = match (some, field.ring) {
        (Value::Integer(integer), Some(_)) => number(integer.cast_unsigned(), width),
        (_, Some(_)) => return None,
        (some, None) if !field.kind.contains(Some(some)) => return None,
        (Value::Boolean(bit), None) => Bits::repeat(*bit, 1),
        (Value::Integer(integer), None) => {
            number(integer.wrapping_sub(field.kind.low).cast_unsigned(), width)
        }
        (Value::Bytes(bytes), None) => {
            let padded = bytes.iter().copied().chain(std::iter::repeat(0)).take(width / 8);
            let mut padded: Vec<u8> = padded.collect();
            padded.reverse();
            Bits::from_bytes(&padded, width)?
        }
    };
    if field.kind.nullable {
        bits.push(true);
    }
    Some(bits)
}

fn number(value: u128, width: usize) -> Bits {
    (0..width).map(|k| value.checked_shr(k as u32).is_some_and(|rest| rest & 1 == 1)).collect()
}

/// Inverse of [`to_bits`] for results, which have no rings; `None` for bits that no honest circuit
/// gives.
pub(super) fn from_bits(bits: &Bits, field: &Field) -> Option<Option<Value>> {
    let width = field.value_bits() as usize;
    if field.kind.nullable && !bits.bit(width) {
        return Some(None);
    }
    let value = match field.kind.sql {
        SqlType::Boolean => Value::Boolean(bits.bit(0)),
        SqlType::Varchar { .. } | SqlType::Binary { .. } => {
            let mut bytes = bits.slice(0, width).to_bytes();
            bytes.reverse();
            if matches!(field.kind.sql, SqlType::Varchar { .. }) {
                let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                bytes.truncate(len);
            }
            Value::Bytes(bytes)
        }
        _ => {
            let offset = (0..width).rev().fold(0u128, |n, k| n << 1 | u128::from(bits.bit(k)));
            Value::Integer(field.kind.low.wrapping_add(offset.cast_signed()))
        }
    };
    field.kind.contains(Some(&value)).then_some(Some(value))
}

/// SQL order of two rows.
pub(super) fn compare(
    left: &[Option<Value>],
    right: &[Option<Value>],
    order: &[SortKey],
) -> Ordering {
    let cell = |row: &'_ [Option<Value>], column: usize| row.get(column).cloned().flatten();
    order.iter().fold(Ordering::Equal, |so_far, key| {
        so_far.then_with(|| one(cell(left, key.column), cell(right, key.column), key))
    })
}

fn one(left: Option<Value>, right: Option<Value>, key: &SortKey) -> Ordering {
    let nulls = if key.nulls_first { Ordering::Less } else { Ordering::Greater };
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => nulls,
        (Some(_), None) => nulls.reverse(),
        (Some(left), Some(right)) => {
            let order = values(&left, &right);
            if key.descending { order.reverse() } else { order }
        }
    }
}

fn values(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (a, b) => kind_rank(a).cmp(&kind_rank(b)),
    }
}

fn kind_rank(value: &Value) -> u8 {
    match value {
        Value::Boolean(_) => 0,
        Value::Integer(_) => 1,
        Value::Bytes(_) => 2,
    }
}
