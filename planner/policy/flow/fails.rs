//! Expressions that fail for some values: an owner's rows are computed with in the clear, and an error
//! there tells that such a value exists, whatever becomes of the result. Everything that is not known
//! to succeed for all values of its types counts.

use super::expr::keeps_values;
use super::{Column, Failing, Shape, Tracer};
use arrow_schema::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Scalar functions that have a value, or NULL, for all arguments.
const TOTAL: [&str; 24] = [
    "coalesce",
    "nullif",
    "nvl",
    "greatest",
    "least",
    "upper",
    "lower",
    "btrim",
    "trim",
    "ltrim",
    "rtrim",
    "character_length",
    "length",
    "octet_length",
    "bit_length",
    "left",
    "right",
    "reverse",
    "starts_with",
    "ends_with",
    "contains",
    "strpos",
    "date_part",
    "extract",
];
/// The same, of binary floating-point numbers.
const TOTAL_OF_FLOATS: [&str; 6] = ["floor", "ceil", "round", "trunc", "sqrt", "power"];
/// An average of decimals has so many digits more.
const AVERAGE_DIGITS: u32 = 4;

/// The columns' types, and what has been found out about an expression's parts: each is looked at once,
/// though all that are around it ask for it.
struct Known<'a> {
    schema: &'a DFSchema,
    ranges: RefCell<BTreeMap<*const Expr, Option<(i128, i128)>>>,
}

impl<'a> Known<'a> {
    fn new(schema: &'a DFSchema) -> Self {
        Self { schema, ranges: RefCell::default() }
    }
}

impl Tracer {
    /// Notes the expression's parts that fail for some values, with the columns these are of.
    pub(super) fn failures(&mut self, expr: &Expr, schema: &DFSchema, columns: &[Column]) {
        for part in failing(expr, schema) {
            // Whether 1 / 0 in a CASE is computed depends on what the CASE is about.
            let about = if part.column_refs().is_empty() { expr } else { part };
            self.fails(part, about, schema, columns, 0);
        }
    }

    /// Notes a sum or average of computed values whose type has no room for that of many rows. Of a
    /// column itself it has, or its owner's data are at fault.
    pub(super) fn sums(&mut self, call: &AggregateFunction, schema: &DFSchema, columns: &[Column]) {
        let name = call.func.name();
        let whole = Expr::AggregateFunction(call.clone());
        let known = Known::new(schema);
        let (Ok(kind), [argument]) = (whole.get_type(schema), call.params.args.as_slice()) else {
            return;
        };
        if !matches!(name, "sum" | "avg")
            || self.operands(argument, schema, columns).shape == Shape::Itself
        {
            return;
        }
        let (Some((_, most)), Some((low, high))) = (size(&kind), possible(argument, &known)) else {
            return;
        };
        let digits = match name {
            "avg" => AVERAGE_DIGITS,
            _ => scale(&kind).saturating_sub(scale_of(argument, &known)),
        };
        let each = low.saturating_abs().max(high.saturating_abs()).max(1);
        let each = each.saturating_mul(10i128.saturating_pow(digits));
        self.fails(&whole, &whole, schema, columns, most / each);
    }

    /// Notes what fails where there are more than so many rows, depending on what `about` is about.
    fn fails(
        &mut self,
        part: &Expr,
        about: &Expr,
        schema: &DFSchema,
        columns: &[Column],
        rows: i128,
    ) {
        let mut value = Column::default();
        for name in about.column_refs() {
            let column = schema.index_of_column(name).ok().and_then(|at| columns.get(at));
            column.into_iter().for_each(|column| value.merge(column));
        }
        let origins: BTreeSet<_> = value.flows.into_iter().map(|flow| flow.origin).collect();
        if !origins.is_empty() {
            self.traced.failing.insert(Failing { part: part.to_string(), origins, rows });
        }
    }
}

/// The parts of `expr` that fail for some values of columns, or always.
fn failing<'a>(expr: &'a Expr, schema: &DFSchema) -> Vec<&'a Expr> {
    let known = Known::new(schema);
    let mut found = Vec::new();
    let seen = expr.apply(|part| {
        if fails(part, &known) {
            found.push(part);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if seen.is_err() {
        found.push(expr);
    }
    found
}

/// Whether this operation fails for some values of its operands, which do not.
fn fails(expr: &Expr, known: &Known<'_>) -> bool {
    let Ok(kind) = expr.get_type(known.schema) else { return true };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus | Operator::Minus | Operator::Multiply => {
                !is_float(&kind) && fitting(expr, known).is_none()
            }
            Operator::Divide | Operator::Modulo => !is_float(&kind) && !divides(left, right, known),
            Operator::And
            | Operator::Or
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::StringConcat => false,
            _ => true,
        },
        Expr::Negative(_) => !is_float(&kind) && fitting(expr, known).is_none(),
        // A pattern may be too long to be compiled.
        Expr::Like(like) => !like.pattern.column_refs().is_empty(),
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(known.schema);
            from.map_or(true, |from| !converts(&from, &kind) && fitting(expr, known).is_none())
        }
        Expr::ScalarFunction(call) => match call.func.name() {
            "abs" => !is_float(&kind) && fitting(expr, known).is_none(),
            // A negative length fails, and what is too large to be added.
            "substr" | "substring" => call.args.iter().skip(1).enumerate().any(|(at, place)| {
                let Expr::Literal(value, _) = place else { return true };
                let least = if at == 0 { i128::from(i32::MIN) } else { 0 };
                literal(value)
                    .is_some_and(|(value, _)| !(least..=i128::from(i32::MAX)).contains(&value))
            }),
            name if TOTAL_OF_FLOATS.contains(&name) => !is_float(&kind),
            name => !TOTAL.contains(&name),
        },
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::TryCast(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::InList(_)
        | Expr::AggregateFunction(_) => false,
        _ => true,
    }
}

fn is_float(kind: &DataType) -> bool {
    matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// Casts that succeed for every value and are not about numbers' sizes.
fn converts(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, LargeUtf8, Utf8, Utf8View};
    from == to
        || (matches!(to, Utf8 | LargeUtf8 | Utf8View) && !from.is_binary())
        || (is_float(to) && !matches!(from, Utf8 | LargeUtf8 | Utf8View))
        || (*to == Boolean && size(from).is_some())
        || matches!((from, to), (Date32, Date64))
        || is_float(from) && is_float(to)
}

/// Whether a quotient or remainder of integers is there, or NULL, for all values. Those of decimals are
/// computed with more digits than either has.
fn divides(left: &Expr, right: &Expr, known: &Known<'_>) -> bool {
    let is_integer = |expr: &Expr| {
        let kind = expr.get_type(known.schema);
        kind.is_ok_and(|kind| kind.is_integer())
    };
    if !is_integer(left) || !is_integer(right) {
        return false;
    }
    let kind = left.get_type(known.schema).ok().and_then(|kind| size(&kind));
    let (Some((least, _)), Some((low, _))) = (kind, possible(left, known)) else { return false };
    // The quotient of the least number and −1 does not fit.
    possible(right, known).is_some_and(|(least, _)| least >= 1)
        || low > least && is_never_zero(right, known)
}

fn scale_of(expr: &Expr, known: &Known<'_>) -> u32 {
    expr.get_type(known.schema).map_or(0, |kind| scale(&kind))
}

/// Whether it is NULLIF(…, 0), or a constant.
fn is_never_zero(expr: &Expr, known: &Known<'_>) -> bool {
    let value = |expr: &Expr| match expr {
        Expr::Literal(value, _) => literal(value).map(|(value, _)| value),
        _ => None,
    };
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => {
            call.args.get(1).and_then(value) == Some(0)
        }
        Expr::Cast(cast) => {
            let (from, to) = (cast.expr.get_type(known.schema), expr.get_type(known.schema));
            let keeps = matches!((from, to), (Ok(from), Ok(to)) if keeps_values(&from, &to));
            keeps && is_never_zero(&cast.expr, known)
        }
        other => value(other).is_some_and(|value| value != 0),
    }
}

/// Values of the type, unscaled; `None` for what is not an exact number.
fn size(kind: &DataType) -> Option<(i128, i128)> {
    Some(match kind {
        DataType::Boolean => (0, 1),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        DataType::Decimal128(precision, _) => {
            let most = 10i128.checked_pow(u32::from(*precision))? - 1;
            (-most, most)
        }
        _ => return None,
    })
}

/// Digits behind the point.
fn scale(kind: &DataType) -> u32 {
    match kind {
        DataType::Decimal128(_, scale) => u32::try_from(*scale).unwrap_or(0),
        _ => 0,
    }
}

/// Values of the expression, unscaled: those of its type where nothing more is known.
fn possible(expr: &Expr, known: &Known<'_>) -> Option<(i128, i128)> {
    fitting(expr, known).or_else(|| size(&expr.get_type(known.schema).ok()?))
}

/// Values of the expression, unscaled, if it is an exact number and its type has all of them.
fn fitting(expr: &Expr, known: &Known<'_>) -> Option<(i128, i128)> {
    let place = std::ptr::from_ref(expr);
    if let Some(found) = known.ranges.borrow().get(&place) {
        return *found;
    }
    let found = computed(expr, known);
    known.ranges.borrow_mut().insert(place, found);
    found
}

/// As [`fitting`], from what its operands are.
fn computed(expr: &Expr, known: &Known<'_>) -> Option<(i128, i128)> {
    let kind = expr.get_type(known.schema).ok()?;
    let (least, most) = size(&kind)?;
    let (low, high) = match expr {
        Expr::Column(_) => (least, most),
        Expr::Literal(value, _) => literal(value)?,
        Expr::Alias(alias) => possible(&alias.expr, known)?,
        Expr::Negative(expr) => {
            let (low, high) = possible(expr, known)?;
            (high.checked_neg()?, low.checked_neg()?)
        }
        Expr::Cast(cast) => {
            let found = possible(&cast.expr, known)?;
            rescaled(found, scale(&cast.expr.get_type(known.schema).ok()?), scale(&kind))?
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let at = |side: &Expr| {
                Some((possible(side, known)?, scale(&side.get_type(known.schema).ok()?)))
            };
            let ((a, a_scale), (b, b_scale)) = (at(left)?, at(right)?);
            match op {
                Operator::Multiply if a_scale + b_scale == scale(&kind) => product(a, b)?,
                Operator::Plus | Operator::Minus => {
                    let (a, b) =
                        (rescaled(a, a_scale, scale(&kind))?, rescaled(b, b_scale, scale(&kind))?);
                    match op {
                        Operator::Plus => (a.0.checked_add(b.0)?, a.1.checked_add(b.1)?),
                        _ => (a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?),
                    }
                }
                Operator::Modulo => (least, most),
                _ => return None,
            }
        }
        Expr::Case(case) => {
            let values = case.when_then_expr.iter().map(|(_, then)| then);
            union(values.chain(&case.else_expr).map(|value| possible(value, known)))?
        }
        Expr::ScalarFunction(call) => match call.func.name() {
            "coalesce" | "greatest" | "least" => {
                union(call.args.iter().map(|value| possible(value, known)))?
            }
            "abs" => {
                let (low, high) = possible(call.args.first()?, known)?;
                (0, low.checked_neg()?.max(high))
            }
            name if TOTAL.contains(&name) => (least, most),
            _ => return None,
        },
        _ => (least, most),
    };
    (low >= least && high <= most).then_some((low, high))
}

fn union(ranges: impl Iterator<Item = Option<(i128, i128)>>) -> Option<(i128, i128)> {
    let wider = |a: Option<(i128, i128)>, b: Option<(i128, i128)>| {
        let ((low, high), (other_low, other_high)) = (a?, b?);
        Some((low.min(other_low), high.max(other_high)))
    };
    ranges.reduce(wider).flatten()
}

fn product(a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let all = [
        a.0.checked_mul(b.0)?,
        a.0.checked_mul(b.1)?,
        a.1.checked_mul(b.0)?,
        a.1.checked_mul(b.1)?,
    ];
    Some((*all.iter().min()?, *all.iter().max()?))
}

fn rescaled((low, high): (i128, i128), from: u32, to: u32) -> Option<(i128, i128)> {
    let by = |value: i128| match to.checked_sub(from) {
        Some(finer) => value.checked_mul(10i128.checked_pow(finer)?),
        // Rounded away from zero at most.
        None => value.checked_div(10i128.checked_pow(from - to)?)?.checked_add(value.signum()),
    };
    Some((by(low)?, by(high)?))
}

/// A constant, unscaled; NULL is any value.
fn literal(value: &ScalarValue) -> Option<(i128, i128)> {
    let exact = match value {
        ScalarValue::Boolean(value) => value.map(i128::from),
        ScalarValue::Int8(value) => value.map(i128::from),
        ScalarValue::Int16(value) => value.map(i128::from),
        ScalarValue::Int32(value) => value.map(i128::from),
        ScalarValue::Int64(value) => value.map(i128::from),
        ScalarValue::UInt8(value) => value.map(i128::from),
        ScalarValue::UInt16(value) => value.map(i128::from),
        ScalarValue::UInt32(value) => value.map(i128::from),
        ScalarValue::UInt64(value) => value.map(i128::from),
        ScalarValue::Decimal128(value, ..) => *value,
        _ => return None,
    };
    // NULL makes whatever it meets NULL.
    Some(exact.map_or((0, 0), |value| (value, value)))
}
