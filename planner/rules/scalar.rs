//! DataFusion's scalar expressions as [`Expr`]s.
//!
//! Valid because each translated operator has DataFusion's semantics on every value: casts are
//! accepted only where they keep the value, and scales of decimals are aligned by such casts.

use crate::ir::{BinaryOp, Expr, Value};
use crate::sql::PlanError;
use crate::types::{ColumnType, SqlType};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::{self, InList};
use datafusion_expr::{Between, BinaryExpr, Case, Expr as Logical, ExprSchemable, Operator};

/// The rows an expression is over: DataFusion's schema and our types of the same columns. A column
/// without an encoding has no type; an expression that needs it is refused.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) schema: &'a DFSchema,
    pub(super) columns: &'a [Option<ColumnType>],
}

impl Scope<'_> {
    /// The expression over column positions, of exactly DataFusion's type.
    ///
    /// # Errors
    /// [`PlanError::Unsupported`] naming the first construct that has no translation.
    pub(super) fn translate(&self, node: &Logical) -> Result<Expr, PlanError> {
        let result = self.structure(node)?;
        let Ok(arrow) = node.get_type(self.schema) else { return Ok(result) };
        let kind = self.kind(&result)?;
        match SqlType::from_arrow(&arrow) {
            Some(sql) if sql != kind.sql && sql.is_comparable(kind.sql) => {
                Ok(Expr::Cast(Box::new(result), ColumnType { sql, ..kind }))
            }
            _ => Ok(result),
        }
    }

    /// Type and domain of a translated expression.
    pub(super) fn kind(&self, node: &Expr) -> Result<ColumnType, PlanError> {
        let unknown = ColumnType::between(SqlType::Int, 0, 0);
        let columns: Vec<ColumnType> = self.columns.iter().map(|c| c.unwrap_or(unknown)).collect();
        node.kind(&columns).map_err(|error| PlanError::unsupported(error.to_string()))
    }

    fn structure(&self, node: &Logical) -> Result<Expr, PlanError> {
        match node {
            Logical::Alias(alias) => self.translate(&alias.expr),
            Logical::Column(column) => self.column(column),
            Logical::Literal(value, _) => literal(value),
            Logical::BinaryExpr(binary) => self.binary(binary),
            Logical::Not(inner) => Ok(not(self.translate(inner)?)),
            Logical::IsNull(inner) | Logical::IsUnknown(inner) => self.is_null(inner),
            Logical::IsNotNull(inner) | Logical::IsNotUnknown(inner) => {
                Ok(not(self.is_null(inner)?))
            }
            Logical::IsTrue(inner) => self.is_truth(inner, Truth::True),
            Logical::IsNotTrue(inner) => Ok(not(self.is_truth(inner, Truth::True)?)),
            Logical::IsFalse(inner) => self.is_truth(inner, Truth::False),
            Logical::IsNotFalse(inner) => Ok(not(self.is_truth(inner, Truth::False)?)),
            Logical::Negative(inner) => Ok(Expr::Negate(Box::new(self.translate(inner)?))),
            Logical::Between(between) => self.between(between),
            Logical::InList(list) => self.in_list(list),
            Logical::Case(case) => self.case(case),
            Logical::Cast(cast) => self.cast(cast),
            Logical::ScalarFunction(call) => self.call(call),
            other => Err(PlanError::unsupported(format!("{other} in the joint part"))),
        }
    }

    fn column(&self, column: &Column) -> Result<Expr, PlanError> {
        let index = self.schema.index_of_column(column)?;
        match self.columns.get(index) {
            Some(Some(_)) => Ok(Expr::Column(index)),
            _ => Err(PlanError::unsupported(format!(
                "column {} in the joint part: its type has no encoding",
                column.name
            ))),
        }
    }

    fn binary(&self, node: &BinaryExpr) -> Result<Expr, PlanError> {
        let operator = match node.op {
            Operator::Plus => BinaryOp::Add,
            Operator::Minus => BinaryOp::Subtract,
            Operator::Multiply => BinaryOp::Multiply,
            Operator::Eq => BinaryOp::Equal,
            Operator::NotEq => BinaryOp::NotEqual,
            Operator::Lt => BinaryOp::Less,
            Operator::LtEq => BinaryOp::LessEqual,
            Operator::Gt => BinaryOp::Greater,
            Operator::GtEq => BinaryOp::GreaterEqual,
            Operator::And => BinaryOp::And,
            Operator::Or => BinaryOp::Or,
            other => {
                return Err(PlanError::unsupported(format!("operator {other} in the joint part")));
            }
        };
        self.operation(operator, self.translate(&node.left)?, self.translate(&node.right)?)
    }

    /// The operation with its operands brought to a common scale, and its types checked.
    fn operation(&self, operator: BinaryOp, left: Expr, right: Expr) -> Result<Expr, PlanError> {
        let (left, right) = match operator {
            BinaryOp::Multiply | BinaryOp::And | BinaryOp::Or => (left, right),
            _ => {
                let scale = self.kind(&left)?.sql.scale().max(self.kind(&right)?.sql.scale());
                (self.at_scale(left, scale)?, self.at_scale(right, scale)?)
            }
        };
        let result = Expr::Binary(operator, Box::new(left), Box::new(right));
        self.kind(&result)?;
        Ok(result)
    }

    fn at_scale(&self, node: Expr, scale: i8) -> Result<Expr, PlanError> {
        let kind = self.kind(&node)?;
        match kind.sql {
            SqlType::Decimal { precision, scale: own } if own < scale => {
                let digits = precision.saturating_add(u8::try_from(scale - own).unwrap_or(0));
                let sql = SqlType::Decimal { precision: digits.min(38), scale };
                let kind = rescaled(kind, sql)
                    .ok_or_else(|| PlanError::unsupported("decimals that need over 127 bits"))?;
                Ok(Expr::Cast(Box::new(node), kind))
            }
            _ => Ok(node),
        }
    }

    fn is_null(&self, inner: &Logical) -> Result<Expr, PlanError> {
        Ok(Expr::IsNull(Box::new(self.translate(inner)?)))
    }

    fn is_truth(&self, inner: &Logical, truth: Truth) -> Result<Expr, PlanError> {
        let inner = self.translate(inner)?;
        let is_nullable = self.kind(&inner)?.nullable;
        let value = match truth {
            Truth::True => inner.clone(),
            Truth::False => not(inner.clone()),
        };
        Ok(if is_nullable {
            let present = not(Expr::IsNull(Box::new(inner)));
            Expr::Binary(BinaryOp::And, Box::new(present), Box::new(value))
        } else {
            value
        })
    }

    fn between(&self, node: &Between) -> Result<Expr, PlanError> {
        let value = self.translate(&node.expr)?;
        let low = self.translate(&node.low)?;
        let low = self.operation(BinaryOp::GreaterEqual, value.clone(), low)?;
        let high = self.translate(&node.high)?;
        let high = self.operation(BinaryOp::LessEqual, value, high)?;
        let inside = Expr::Binary(BinaryOp::And, Box::new(low), Box::new(high));
        Ok(if node.negated { not(inside) } else { inside })
    }

    fn in_list(&self, node: &InList) -> Result<Expr, PlanError> {
        let value = self.translate(&node.expr)?;
        let mut terms = Vec::with_capacity(node.list.len());
        for item in &node.list {
            terms.push(self.operation(BinaryOp::Equal, value.clone(), self.translate(item)?)?);
        }
        // A balanced tree: lists may be long.
        while terms.len() > 1 {
            let mut pairs = terms.into_iter();
            terms = Vec::with_capacity(pairs.len().div_ceil(2));
            while let Some(left) = pairs.next() {
                terms.push(match pairs.next() {
                    Some(right) => Expr::Binary(BinaryOp::Or, Box::new(left), Box::new(right)),
                    None => left,
                });
            }
        }
        let any = terms.pop().ok_or_else(|| PlanError::unsupported("IN with an empty list"))?;
        Ok(if node.negated { not(any) } else { any })
    }

    fn case(&self, node: &Case) -> Result<Expr, PlanError> {
        let operand = node.expr.as_deref().map(|expr| self.translate(expr)).transpose()?;
        let mut branches = Vec::with_capacity(node.when_then_expr.len());
        for (when, then) in &node.when_then_expr {
            let when = self.translate(when)?;
            let when = match &operand {
                None => when,
                Some(operand) => self.operation(BinaryOp::Equal, operand.clone(), when)?,
            };
            branches.push((when, self.translate(then)?));
        }
        let otherwise = match &node.else_expr {
            Some(otherwise) => self.translate(otherwise)?,
            None => {
                let kind = branches.first().map(|(_, then)| self.kind(then)).transpose()?;
                let kind = kind.ok_or_else(|| PlanError::unsupported("CASE without WHEN"))?;
                Expr::Literal(None, kind.with_nullable(true))
            }
        };
        let result = Expr::Case { branches, otherwise: Box::new(otherwise) };
        self.kind(&result)?;
        Ok(result)
    }

    fn cast(&self, node: &expr::Cast) -> Result<Expr, PlanError> {
        let target = node.field.data_type();
        let inner = self.translate(&node.expr)?;
        let kind = self.kind(&inner)?;
        let refused = || {
            PlanError::unsupported(format!(
                "CAST of {} to {target} in the joint part (only casts that keep the value)",
                kind.sql
            ))
        };
        if let SqlType::Varchar { .. } = kind.sql
            && target.is_string()
        {
            return Ok(inner);
        }
        let sql = SqlType::from_arrow(target).ok_or_else(refused)?;
        if sql == kind.sql {
            return Ok(inner);
        }
        if kind.sql == SqlType::Boolean && sql.is_number() && !kind.nullable {
            return Ok(Expr::Case {
                branches: vec![(inner, number(1, sql))],
                otherwise: Box::new(number(0, sql)),
            });
        }
        let is_finer = kind.sql.scale() <= sql.scale();
        let keeps = kind.sql.is_like(sql) && is_finer;
        let kind = rescaled(kind, sql).filter(|_| keeps).ok_or_else(refused)?;
        Ok(Expr::Cast(Box::new(inner), kind.clamped()))
    }

    fn call(&self, node: &expr::ScalarFunction) -> Result<Expr, PlanError> {
        let arguments = || {
            node.args.iter().map(|argument| self.translate(argument)).collect::<Result<Vec<_>, _>>()
        };
        let result = match node.func.name() {
            "greatest" => Expr::Greatest(arguments()?),
            "least" => Expr::Least(arguments()?),
            "abs" => match arguments()?.as_slice() {
                [x] => Expr::Greatest(vec![x.clone(), Expr::Negate(Box::new(x.clone()))]),
                _ => return Err(PlanError::unsupported("abs of several arguments")),
            },
            "coalesce" => {
                let mut arguments = arguments()?;
                let last = arguments.pop();
                let otherwise = last.ok_or_else(|| PlanError::unsupported("coalesce()"))?;
                let branch = |value: Expr| (not(Expr::IsNull(Box::new(value.clone()))), value);
                let branches = arguments.into_iter().map(branch).collect();
                Expr::Case { branches, otherwise: Box::new(otherwise) }
            }
            name => {
                let what = format!("function {name} in the joint part");
                return Err(PlanError::unsupported(what));
            }
        };
        self.kind(&result)?;
        Ok(result)
    }
}

enum Truth {
    True,
    False,
}

/// A NOT NULL number of this type, unscaled.
pub(super) fn number(value: i128, sql: SqlType) -> Expr {
    let unit = 10i128.checked_pow(sql.scale().unsigned_abs().into()).unwrap_or(1);
    let value = value * unit;
    Expr::Literal(Some(Value::Integer(value)), ColumnType::between(sql, value, value))
}

pub(super) fn not(inner: Expr) -> Expr {
    Expr::Not(Box::new(inner))
}

/// The same values written in `sql`, whose scale is not smaller.
fn rescaled(kind: ColumnType, sql: SqlType) -> Option<ColumnType> {
    let more = sql.scale().checked_sub(kind.sql.scale())?;
    let factor = 10i128.checked_pow(u32::try_from(more).ok()?)?;
    let (low, high) = (kind.low.checked_mul(factor)?, kind.high.checked_mul(factor)?);
    high.checked_sub(low)?;
    Some(ColumnType { sql, low, high, nullable: kind.nullable })
}

/// A constant's value in the joint part's terms; `None` for NULL and types without an encoding.
pub(crate) fn literal_value(value: &ScalarValue) -> Option<Value> {
    match literal(value) {
        Ok(Expr::Literal(value, _)) => value,
        _ => None,
    }
}

fn literal(value: &ScalarValue) -> Result<Expr, PlanError> {
    let integer = |value: Option<i128>, sql: SqlType| {
        let at = value.unwrap_or(0);
        let kind = ColumnType::between(sql, at, at).with_nullable(value.is_none());
        Ok(Expr::Literal(value.map(Value::Integer), kind))
    };
    match value {
        ScalarValue::Null => Ok(Expr::Literal(None, ColumnType::boolean().with_nullable(true))),
        ScalarValue::Boolean(value) => {
            let kind = ColumnType::boolean().with_nullable(value.is_none());
            Ok(Expr::Literal(value.map(Value::Boolean), kind))
        }
        ScalarValue::Int8(v) => integer(v.map(i128::from), SqlType::SmallInt),
        ScalarValue::Int16(v) => integer(v.map(i128::from), SqlType::SmallInt),
        ScalarValue::UInt8(v) => integer(v.map(i128::from), SqlType::SmallInt),
        ScalarValue::Int32(v) => integer(v.map(i128::from), SqlType::Int),
        ScalarValue::UInt16(v) => integer(v.map(i128::from), SqlType::Int),
        ScalarValue::Int64(v) => integer(v.map(i128::from), SqlType::BigInt),
        ScalarValue::UInt32(v) => integer(v.map(i128::from), SqlType::BigInt),
        ScalarValue::UInt64(v) => integer(v.map(i128::from), SqlType::UnsignedBigInt),
        ScalarValue::Date32(v) => integer(v.map(i128::from), SqlType::Date),
        ScalarValue::TimestampSecond(v, None)
        | ScalarValue::TimestampMillisecond(v, None)
        | ScalarValue::TimestampMicrosecond(v, None)
        | ScalarValue::TimestampNanosecond(v, None) => {
            let sql = SqlType::from_arrow(&value.data_type())
                .ok_or_else(|| PlanError::unsupported("a timestamp of another unit"))?;
            integer(v.map(i128::from), sql)
        }
        ScalarValue::Decimal128(v, precision, scale) => {
            integer(*v, SqlType::Decimal { precision: *precision, scale: *scale })
        }
        ScalarValue::Utf8(v) | ScalarValue::Utf8View(v) | ScalarValue::LargeUtf8(v) => {
            let bytes = v.as_ref().map(|text| text.as_bytes().to_vec());
            let length = bytes.as_ref().map_or(1, |bytes| bytes.len().max(1));
            let length = u32::try_from(length)
                .map_err(|_| PlanError::unsupported("a string literal over 4 GB"))?;
            let kind = ColumnType::full(SqlType::Varchar { bytes: length });
            Ok(Expr::Literal(bytes.map(Value::Bytes), kind.with_nullable(v.is_none())))
        }
        ScalarValue::FixedSizeBinary(length, Some(bytes)) => {
            let bytes_length = u32::try_from(*length).unwrap_or(0);
            let kind = ColumnType::full(SqlType::Binary { bytes: bytes_length });
            Ok(Expr::Literal(Some(Value::Bytes(bytes.clone())), kind))
        }
        other => Err(PlanError::unsupported(format!(
            "a constant of type {} in the joint part",
            other.data_type()
        ))),
    }
}
