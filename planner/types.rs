//! Column types: SQL's type, the public domain, and the number of bits it takes in a circuit.

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
    /// VARCHAR(n): n UTF-8 bytes
    Varchar {
        /// Largest length in bytes.
        bytes: u32,
    },
    /// BINARY(n): at most n bytes... fixed size n, Arrow FixedSizeBinary(n)
    Binary {
        /// Length in bytes.
        bytes: u32,
    },
}

/// A column's type with its public domain.
///
/// Encoding in a circuit (order-preserving, unsigned, most significant bit last plane):
/// - integers, decimals (unscaled) and dates: `value − low` in `⌈log2(high − low + 1)⌉` bits;
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
