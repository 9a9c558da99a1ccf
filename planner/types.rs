//! Column types: SQL's type, the public domain, and the number of bits it takes in a circuit.

use crate::ir::Value;
use arrow_schema::{DataType, TimeUnit};
use std::fmt;

/// The SQL type of a column, as federation.toml and DataFusion know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SqlType {
    /// BOOLEAN
    Boolean,
    /// SMALLINT, Arrow Int16
    SmallInt,
    /// INT, Arrow Int32
    Int,
    /// BIGINT, Arrow Int64
    BigInt,
    /// Arrow UInt64 (results of some DataFusion functions)
    UnsignedBigInt,
    /// DECIMAL(p,s), Arrow Decimal128
    Decimal {
        /// p
        precision: u8,
        /// s
        scale: i8,
    },
    /// DATE, Arrow Date32
    Date,
    /// TIMESTAMP(d): a date and a time of day without a zone, counted from 1970 in units of 10^-d
    /// seconds; d is 0, 3, 6 or 9. Arrow Timestamp of that unit without a zone.
    Timestamp {
        /// d
        digits: u8,
    },
    /// VARCHAR(n): n UTF-8 bytes
    Varchar {
        /// Largest length in bytes.
        bytes: u32,
    },
    /// BINARY(n): exactly n bytes, Arrow FixedSizeBinary(n)
    Binary {
        /// Length in bytes.
        bytes: u32,
    },
}

/// A column's type with its public domain.
///
/// Encoding in a circuit (order-preserving, unsigned, most significant bit last plane):
/// - integers, decimals (unscaled), dates and timestamps: `value − low` in `⌈log2(high − low + 1)⌉` bits;
/// - booleans: one bit; strings and binaries: `8·bytes` bits, the first byte most significant,
///   strings padded with zero bytes (a NUL byte inside a string is refused on input);
/// - a nullable column has one more plane, last: 1 = present; an absent value's other bits are 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ColumnType {
    /// SQL type.
    pub sql: SqlType,
    /// Smallest value (0 for strings, binaries, booleans).
    pub low: i128,
    /// Largest value (1 for booleans; unused for strings and binaries).
    pub high: i128,
    /// Whether NULL can occur.
    pub nullable: bool,
}

impl SqlType {
    /// The Arrow type of a column of this type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::UnsignedBigInt => DataType::UInt64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp { digits } => DataType::Timestamp(unit(digits), None),
            Self::Varchar { .. } => DataType::Utf8,
            Self::Binary { bytes } => {
                DataType::FixedSizeBinary(i32::try_from(bytes).unwrap_or(i32::MAX))
            }
        }
    }

    /// The type of an Arrow column, or `None` when it has no encoding. Arrow strings carry no
    /// length, so they give `None` here: their length comes from the column they were read from.
    pub fn from_arrow(arrow: &DataType) -> Option<Self> {
        Some(match arrow {
            DataType::Boolean => Self::Boolean,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::BigInt,
            DataType::UInt64 => Self::UnsignedBigInt,
            DataType::Decimal128(precision, scale) => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            DataType::Date32 => Self::Date,
            DataType::Timestamp(unit, None) => Self::Timestamp { digits: digits(*unit) },
            DataType::FixedSizeBinary(bytes) => Self::Binary { bytes: u32::try_from(*bytes).ok()? },
            _ => return None,
        })
    }

    /// Smallest and largest value the type can hold; (0, 0) for strings and binaries.
    pub fn range(self) -> (i128, i128) {
        match self {
            Self::Boolean => (0, 1),
            Self::SmallInt => (i128::from(i16::MIN), i128::from(i16::MAX)),
            Self::Int | Self::Date => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Self::BigInt => (i128::from(i64::MIN), i128::from(i64::MAX)),
            Self::UnsignedBigInt => (0, i128::from(u64::MAX)),
            Self::Timestamp { digits } => {
                // Years 0000 to 9999 or, of nanoseconds, what 64 bits hold.
                let second = 10i128.pow(digits.into());
                let (low, high) = (-62_167_219_200 * second, 253_402_300_800 * second - 1);
                (low.max(i64::MIN.into()), high.min(i64::MAX.into()))
            }
            Self::Decimal { precision, .. } => {
                let most = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) - 1;
                (-most, most)
            }
            Self::Varchar { .. } | Self::Binary { .. } => (0, 0),
        }
    }

    /// Digits after the decimal point, of a timestamp's seconds too: 0 for everything else.
    pub fn scale(self) -> i8 {
        match self {
            Self::Decimal { scale, .. } => scale,
            Self::Timestamp { digits } => digits.cast_signed(),
            _ => 0,
        }
    }

    /// Whether values are numbers with arithmetic (integers and decimals).
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::SmallInt | Self::Int | Self::BigInt | Self::UnsignedBigInt | Self::Decimal { .. }
        )
    }

    /// Whether values are byte strings.
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Varchar { .. } | Self::Binary { .. })
    }

    /// Whether both are numbers, or both timestamps: the values of the two differ in their size and
    /// scale only.
    pub fn is_like(self, other: Self) -> bool {
        let are_times = matches!((self, other), (Self::Timestamp { .. }, Self::Timestamp { .. }));
        are_times || self.is_number() && other.is_number()
    }

    /// Whether values of the two types can be compared as they are: the same type up to the size
    /// of an integer, the precision of a decimal (not its scale) and the length of a string.
    pub fn is_comparable(self, other: Self) -> bool {
        match (self, other) {
            (Self::Varchar { .. }, Self::Varchar { .. }) => true,
            (a, b) if a.is_number() && b.is_number() => a.scale() == b.scale(),
            (a, b) => a == b,
        }
    }
}

fn unit(digits: u8) -> TimeUnit {
    match digits {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::UnsignedBigInt => f.write_str("UNSIGNED BIGINT"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp { digits: 9 } => f.write_str("TIMESTAMP"),
            Self::Timestamp { digits } => write!(f, "TIMESTAMP({digits})"),
            Self::Varchar { bytes } => write!(f, "VARCHAR({bytes})"),
            Self::Binary { bytes } => write!(f, "BINARY({bytes})"),
        }
    }
}

impl ColumnType {
    /// A NOT NULL column that can hold every value of its SQL type.
    pub fn full(sql: SqlType) -> Self {
        let (low, high) = sql.range();
        Self { sql, low, high, nullable: false }
    }

    /// A NOT NULL BOOLEAN.
    pub fn boolean() -> Self {
        Self::full(SqlType::Boolean)
    }

    /// A NOT NULL column of numbers or dates between `low` and `high`. For strings and binaries
    /// the bounds are ignored.
    pub fn between(sql: SqlType, low: i128, high: i128) -> Self {
        if sql.is_bytes() { Self::full(sql) } else { Self { sql, low, high, nullable: false } }
    }

    /// The same domain, with NULL or without.
    #[must_use]
    pub fn with_nullable(self, nullable: bool) -> Self {
        Self { nullable, ..self }
    }

    /// Planes of a value without the presence plane: see the encoding above.
    pub fn value_bits(&self) -> usize {
        match self.sql {
            SqlType::Varchar { bytes } | SqlType::Binary { bytes } => {
                usize::try_from(bytes).unwrap_or(usize::MAX / 8).saturating_mul(8)
            }
            SqlType::Boolean => 1,
            _ => (u128::BITS - self.span().leading_zeros()) as usize,
        }
    }

    /// Planes of a column in a circuit, the presence plane of a nullable column included.
    pub fn bits(&self) -> usize {
        self.value_bits() + usize::from(self.nullable)
    }

    /// `high − low`, exact also where it exceeds `i128`.
    pub fn span(&self) -> u128 {
        self.high.wrapping_sub(self.low) as u128
    }

    /// Number of values of the domain (NULL included where it can occur), or `None` above 2^64.
    pub fn cardinality(&self) -> Option<u64> {
        if self.sql.is_bytes() {
            return None;
        }
        u64::try_from(self.span()).ok()?.checked_add(1)?.checked_add(u64::from(self.nullable))
    }

    /// Whether a value of this SQL type lies in the domain; `None` is NULL.
    pub fn contains(&self, value: Option<&Value>) -> bool {
        match (value, self.sql) {
            (None, _) => self.nullable,
            (Some(Value::Boolean(bit)), SqlType::Boolean) => {
                (self.low..=self.high).contains(&i128::from(*bit))
            }
            (Some(Value::Bytes(value)), SqlType::Varchar { bytes }) => {
                value.len() <= bytes as usize && !value.contains(&0)
            }
            (Some(Value::Bytes(value)), SqlType::Binary { bytes }) => value.len() == bytes as usize,
            (Some(Value::Integer(value)), sql) if !sql.is_bytes() && sql != SqlType::Boolean => {
                (self.low..=self.high).contains(value)
            }
            _ => false,
        }
    }

    /// Whether the domain lies within what the SQL type can hold.
    pub fn fits_sql_type(&self) -> bool {
        let (low, high) = self.sql.range();
        self.sql.is_bytes() || (low <= self.low && self.high <= high)
    }

    /// The domain cut to what the SQL type can hold: the type of a final result.
    #[must_use]
    pub fn clamped(self) -> Self {
        let (low, high) = self.sql.range();
        Self { low: self.low.clamp(low, high), high: self.high.clamp(low, high), ..self }
    }

    /// The smallest domain holding the values of both, or `None` when the types cannot be mixed.
    /// Integers and decimals take the larger type.
    pub fn hull(self, other: Self) -> Option<Self> {
        if !self.sql.is_comparable(other.sql) {
            return None;
        }
        let sql = match (self.sql, other.sql) {
            (SqlType::Varchar { bytes: a }, SqlType::Varchar { bytes: b }) => {
                SqlType::Varchar { bytes: a.max(b) }
            }
            (a, b) if a.range().1 >= b.range().1 => a,
            (_, b) => b,
        };
        Some(Self {
            sql,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            nullable: self.nullable || other.nullable,
        })
    }
}

impl fmt::Display for ColumnType {
    /// `INT[0..9]?`: the domain where it is not the whole type, `?` where NULL can occur.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sql)?;
        if (self.low, self.high) != self.sql.range() {
            write!(f, "[{}..{}]", self.low, self.high)?;
        }
        f.write_str(if self.nullable { "?" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_the_domain() {
        assert_eq!(ColumnType::full(SqlType::Int).bits(), 32);
        assert_eq!(ColumnType::between(SqlType::Int, 0, 9).bits(), 4);
        assert_eq!(ColumnType::between(SqlType::Int, 7, 7).bits(), 0);
        assert_eq!(ColumnType::between(SqlType::Int, -1, 6).with_nullable(true).bits(), 4);
        assert_eq!(ColumnType::boolean().bits(), 1);
        assert_eq!(ColumnType::full(SqlType::Varchar { bytes: 20 }).bits(), 160);
        assert_eq!(ColumnType::full(SqlType::Decimal { precision: 38, scale: 2 }).bits(), 128);
    }

    #[test]
    fn hulls_widen_and_refuse_mixtures() {
        let small = ColumnType::between(SqlType::SmallInt, 0, 5);
        let big = ColumnType::between(SqlType::BigInt, -3, 2).with_nullable(true);
        let hull = small.hull(big).unwrap();
        assert_eq!(hull.to_string(), "BIGINT[-3..5]?");
        assert!(small.hull(ColumnType::boolean()).is_none());
        assert!(
            small.hull(ColumnType::full(SqlType::Decimal { precision: 5, scale: 2 })).is_none()
        );
    }

    #[test]
    fn domains_refuse_values_outside() {
        let name = ColumnType::full(SqlType::Varchar { bytes: 3 });
        assert!(name.contains(Some(&Value::Bytes(b"abc".to_vec()))));
        assert!(!name.contains(Some(&Value::Bytes(b"abcd".to_vec()))));
        assert!(!name.contains(Some(&Value::Bytes(b"a\0".to_vec()))));
        assert!(!name.contains(None));
        assert!(!ColumnType::between(SqlType::Int, 0, 9).contains(Some(&Value::Integer(10))));
    }
}
