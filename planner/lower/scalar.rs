//! Computed columns: a value per row with a public interval, offset-encoded as [`ColumnType`] says,
//! so that adding a constant is free and every width follows from the interval.

use super::error::LowerError;
use super::shape::bits_for;
use crate::expr::arithmetic;
use crate::ir::BinaryOp;
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Builder, PlaneId, Word};

/// Decimal places of an average over integers (over decimals it has four more than they have).
const INTEGER_PLACES: i8 = 6;

/// One value per row. The bits of an absent value are unspecified until the value is stored.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// `value − kind.low`, or the bytes.
    pub value: Word,
    /// SQL type and interval.
    pub kind: ColumnType,
    /// 1 where not NULL; `None` when never NULL.
    pub present: Option<PlaneId>,
}

impl Scalar {
    /// A number without NULL.
    pub(super) fn number(value: Word, kind: ColumnType) -> Self {
        Self { value, kind: kind.with_nullable(false), present: None }
    }

    /// A boolean.
    pub(super) fn boolean(bit: PlaneId, lanes: u32, present: Option<PlaneId>) -> Self {
        let kind = ColumnType::boolean().with_nullable(present.is_some());
        Self { value: Word::bit(bit, lanes), kind, present }
    }

    /// The plane of a boolean.
    pub(super) fn bit(&self, b: &mut Builder) -> PlaneId {
        match self.value.bits.first() {
            Some(bit) => *bit,
            None => b.constant(self.kind.low != 0, self.value.lanes),
        }
    }

    /// 1 where the boolean is known to be true.
    pub(super) fn is_true(&self, b: &mut Builder) -> PlaneId {
        let bit = self.bit(b);
        match self.present {
            Some(present) => b.and(bit, present),
            None => bit,
        }
    }
}

/// 1 where both are present.
pub(super) fn both(
    b: &mut Builder,
    left: Option<PlaneId>,
    right: Option<PlaneId>,
) -> Option<PlaneId> {
    match (left, right) {
        (Some(left), Some(right)) => Some(b.and(left, right)),
        (one, other) => one.or(other),
    }
}

/// A number's word re-based: `value − low` in `width` bits. Exact when the value fits.
pub(super) fn based(b: &mut Builder, x: &Scalar, low: i128, width: u32) -> Word {
    shifted(b, &x.value, x.kind.low.wrapping_sub(low), width)
}

/// `word + by` modulo 2^width.
pub(super) fn shifted(b: &mut Builder, word: &Word, by: i128, width: u32) -> Word {
    let width = width as usize;
    if by == 0 {
        return b.resize(word, width);
    }
    let word = b.resize(word, width.max(word.width()));
    let by = b.constant_word(modulo(by, width), width, word.lanes);
    b.add_to_width(&word, &by, width)
}

/// An integer modulo 2^width.
fn modulo(value: i128, width: usize) -> u128 {
    let mask = u128::MAX.checked_shr(128 - width.clamp(0, 128) as u32).unwrap_or(0);
    value.cast_unsigned() & mask
}

fn width_of(low: i128, high: i128) -> u32 {
    bits_for(high.wrapping_sub(low).cast_unsigned())
}

fn numeric(
    kind: ColumnType,
    low: Option<i128>,
    high: Option<i128>,
    what: &'static str,
) -> Result<ColumnType, LowerError> {
    match (low, high) {
        (Some(low), Some(high)) if high.checked_sub(low).is_some() => {
            Ok(ColumnType { low, high, ..kind })
        }
        _ => Err(LowerError::TooWide { what }),
    }
}

/// x + y.
pub(super) fn add(b: &mut Builder, x: &Scalar, y: &Scalar) -> Result<Scalar, LowerError> {
    let (p, q) = (x.kind, y.kind);
    let kind = numeric(p, p.low.checked_add(q.low), p.high.checked_add(q.high), "+")?;
    let width = width_of(kind.low, kind.high) as usize;
    let value = b.add_to_width(&x.value, &y.value, width);
    Ok(Scalar { value, kind, present: both(b, x.present, y.present) })
}

/// x − y.
pub(super) fn subtract(b: &mut Builder, x: &Scalar, y: &Scalar) -> Result<Scalar, LowerError> {
    let minus = negate(b, y)?;
    add(b, x, &minus)
}

/// −x: the offset from the other end of the interval.
pub(super) fn negate(b: &mut Builder, x: &Scalar) -> Result<Scalar, LowerError> {
    let kind = x.kind;
    let span = kind.span();
    let kind = numeric(kind, kind.high.checked_neg(), kind.low.checked_neg(), "-")?;
    let width = width_of(kind.low, kind.high) as usize;
    let value = if span & span.wrapping_add(1) == 0 {
        b.not_word(&x.value)
    } else {
        let top = b.constant_word(span, width, x.value.lanes);
        b.subtract(&top, &x.value)
    };
    Ok(Scalar { value, kind, present: x.present })
}

/// x · y = Σ of the products of offsets and lows, modulo the result's width.
pub(super) fn multiply(b: &mut Builder, x: &Scalar, y: &Scalar) -> Result<Scalar, LowerError> {
    let (p, q) = (x.kind, y.kind);
    let corners = [(p.low, q.low), (p.low, q.high), (p.high, q.low), (p.high, q.high)];
    let corners: Option<Vec<i128>> = corners.iter().map(|(l, r)| l.checked_mul(*r)).collect();
    let corners = corners.ok_or(LowerError::TooWide { what: "*" })?;
    let kind = numeric(p, corners.iter().min().copied(), corners.iter().max().copied(), "*")?;
    // Scales add up, so the type is not the left operand's.
    let sql = arithmetic(BinaryOp::Multiply, p.sql, q.sql).unwrap_or(p.sql);
    let kind = ColumnType { sql, ..kind };
    let width = width_of(kind.low, kind.high);
    let w = width as usize;
    let cross = b.multiply_to_width(&x.value, &y.value, w);
    let left = times(b, &x.value, q.low, width);
    let right = times(b, &y.value, p.low, width);
    let sum = b.add_to_width(&left, &right, w);
    let sum = b.add_to_width(&sum, &cross, w);
    let value = shifted(b, &sum, p.low.wrapping_mul(q.low).wrapping_sub(kind.low), width);
    Ok(Scalar { value, kind, present: both(b, x.present, y.present) })
}

/// `word · factor` modulo 2^width.
fn times(b: &mut Builder, word: &Word, factor: i128, width: u32) -> Word {
    let w = width as usize;
    let size = factor.unsigned_abs();
    let constant = b.constant_word(modulo(size.cast_signed(), w), w, word.lanes);
    let product = b.multiply_to_width(word, &constant, w);
    let product = b.resize(&product, w);
    if factor < 0 { b.negate(&product) } else { product }
}

/// The words of two comparable values in one order-preserving encoding.
pub(super) fn aligned(b: &mut Builder, x: &Scalar, y: &Scalar) -> (Word, Word) {
    if x.kind.sql.is_bytes() {
        let width = x.value.width().max(y.value.width());
        return (padded(b, &x.value, width), padded(b, &y.value, width));
    }
    let low = x.kind.low.min(y.kind.low);
    let width = width_of(low, x.kind.high.max(y.kind.high));
    (based(b, x, low, width), based(b, y, low, width))
}

/// Bytes with zero bytes after them.
pub(super) fn padded(b: &mut Builder, bytes: &Word, width: usize) -> Word {
    let missing = width.saturating_sub(bytes.width());
    b.constant_word(0, missing, bytes.lanes).with_high(bytes)
}

/// The same values with the interval of `kind`, and where a value does not fit it, 1; `None` when
/// every value fits. The scale of decimals may grow.
pub(super) fn cast(
    b: &mut Builder,
    x: &Scalar,
    kind: ColumnType,
) -> Result<(Scalar, Option<PlaneId>), LowerError> {
    if kind.sql.is_bytes() || x.kind.sql.is_bytes() {
        return cast_bytes(b, x, kind);
    }
    let x = &rescaled(b, x, kind.sql)?;
    let (low, high) = (x.kind.low.max(kind.low), x.kind.high.min(kind.high));
    let (low, high) = if low <= high { (low, high) } else { (kind.low, kind.low) };
    let lanes = x.value.lanes;
    let mut misfits = Vec::new();
    if x.kind.low < low {
        let (value, least) = aligned(b, x, &constant(low, x.kind, lanes));
        misfits.push(b.less_than(&value, &least));
    }
    if x.kind.high > high {
        let (value, most) = aligned(b, x, &constant(high, x.kind, lanes));
        misfits.push(b.less_than(&most, &value));
    }
    let value = based(b, x, low, width_of(low, high));
    let misfit = if misfits.is_empty() { None } else { Some(b.any(&misfits, lanes)) };
    let kind = ColumnType { sql: kind.sql, low, high, nullable: x.present.is_some() };
    Ok((Scalar { value, kind, present: x.present }, misfit))
}

/// Multiplied by ten until the scale is that of `sql`.
fn rescaled(b: &mut Builder, x: &Scalar, sql: SqlType) -> Result<Scalar, LowerError> {
    let steps = i32::from(sql.scale()) - i32::from(x.kind.sql.scale());
    if steps == 0 {
        return Ok(x.clone());
    }
    let factor = u32::try_from(steps).ok().and_then(|steps| 10i128.checked_pow(steps));
    let factor = factor.ok_or_else(|| LowerError::unsupported("a cast to fewer decimal places"))?;
    let factor = constant(factor, x.kind, x.value.lanes);
    let product = multiply(b, x, &factor)?;
    Ok(Scalar { kind: ColumnType { sql, ..product.kind }, ..product })
}

/// A public number: an interval of one value, in no bits.
pub(super) fn constant(value: i128, like: ColumnType, lanes: u32) -> Scalar {
    let kind = ColumnType { low: value, high: value, ..like };
    Scalar::number(Word::new(Vec::new(), lanes), kind)
}

fn cast_bytes(
    b: &mut Builder,
    x: &Scalar,
    kind: ColumnType,
) -> Result<(Scalar, Option<PlaneId>), LowerError> {
    let (from, to) = (x.value.width(), kind.value_bits());
    match (x.kind.sql, kind.sql) {
        (SqlType::Varchar { .. }, SqlType::Varchar { .. }) => {}
        (a, c) if a == c => {}
        _ => return Err(LowerError::unsupported("a cast between strings and other types")),
    }
    let kind = kind.with_nullable(x.present.is_some());
    if from <= to {
        let value = padded(b, &x.value, to);
        return Ok((Scalar { value, kind, present: x.present }, None));
    }
    let lost = x.value.bits_at(0, from - to);
    let value = x.value.bits_at(from - to, to);
    let misfit = b.any(&lost.bits, x.value.lanes);
    Ok((Scalar { value, kind, present: x.present }, Some(misfit)))
}

/// `sum / count` scaled to `kind`: over integers rounded half away from zero, over decimals towards
/// zero as DataFusion does. NULL where the count is 0. A mean is within the values' domain, which
/// the front end makes `kind`, so there is nothing to check.
pub(super) fn quotient(
    b: &mut Builder,
    sum: &Scalar,
    count: &Scalar,
    kind: ColumnType,
) -> Result<Scalar, LowerError> {
    // A wide sum of integers is a decimal too; only an average over integers gains six places.
    let rounds = kind.sql.scale() - sum.kind.sql.scale() == INTEGER_PLACES;
    let sum = rescaled(b, sum, kind.sql)?;
    let lanes = sum.value.lanes;
    let largest = sum.kind.low.unsigned_abs().max(sum.kind.high.unsigned_abs());
    let width = bits_for(largest) + 1;
    let signed = based(b, &sum, 0, width);
    let negative = match signed.bits.last() {
        Some(sign) if sum.kind.low < 0 => *sign,
        _ => b.constant(false, lanes),
    };
    let minus = b.negate(&signed);
    let size = b.select(negative, &minus, &signed);
    let divisor = based(b, count, 0, bits_for(count.kind.high.max(0).cast_unsigned()));
    let (top, bottom) = if rounds {
        let twice = b.constant_word(0, 1, lanes);
        let (top, bottom) = (twice.clone().with_high(&size), twice.with_high(&divisor));
        (b.add_wide(&top, &divisor), bottom)
    } else {
        (size, divisor.clone())
    };
    let (q, _) = b.divide(&top, &bottom);
    let q = b.resize(&q, width as usize);
    let minus = b.negate(&q);
    let q = b.select(negative, &minus, &q);
    let most = i128::try_from(largest).map_err(|_| LowerError::TooWide { what: "AVG" })?;
    let least = if sum.kind.low < 0 { -most } else { 0 };
    let value = shifted(b, &q, least.wrapping_neg(), width_of(least, most));
    let exact = ColumnType { low: least, high: most, ..kind };
    let value = based(b, &Scalar::number(value, exact), kind.low, width_of(kind.low, kind.high));
    let some = b.any(&divisor.bits, lanes);
    let present = both(b, sum.present, count.present);
    let present = both(b, present, Some(some));
    Ok(Scalar { value, kind: kind.with_nullable(true), present })
}
