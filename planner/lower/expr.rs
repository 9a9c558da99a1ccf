//! Expressions to planes: SQL's three-valued logic over [`Scalar`]s.

use super::error::LowerError;
use super::scalar::{self, Scalar, both};
use crate::ir::{BinaryOp, Expr, Value};
use crate::types::ColumnType;
use senate_circuit::{Builder, PlaneId, Word};

/// Evaluates expressions over the rows of one relation.
pub(super) struct Evaluator<'b> {
    /// Where gates go.
    pub builder: &'b mut Builder,
    /// The relation's columns.
    pub columns: Vec<Scalar>,
    /// Rows that count: valid, and on the branch taken.
    pub active: PlaneId,
    /// Lanes of every plane.
    pub rows: u32,
    /// 1 where a counting row's value did not fit its type.
    pub overflow: Vec<PlaneId>,
}

impl Evaluator<'_> {
    /// The value of `expr` in every row.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Result<Scalar, LowerError> {
        match expr {
            Expr::Column(column) => {
                let column = self.columns.get(*column).cloned();
                column.ok_or_else(|| LowerError::malformed("an expression's column"))
            }
            Expr::Literal(value, kind) => Ok(self.literal(value.as_ref(), *kind)),
            Expr::Binary(BinaryOp::And, x, y) => self.and(x, y),
            Expr::Binary(BinaryOp::Or, x, y) => {
                let not = |e: &Expr| Box::new(Expr::Not(Box::new(e.clone())));
                let neither = self.and(&not(x), &not(y))?;
                Ok(self.not(&neither))
            }
            Expr::Binary(op, x, y) => {
                let (x, y) = (self.evaluate(x)?, self.evaluate(y)?);
                self.binary(*op, &x, &y)
            }
            Expr::Not(x) => {
                let x = self.evaluate(x)?;
                Ok(self.not(&x))
            }
            Expr::Negate(x) => {
                let x = self.evaluate(x)?;
                scalar::negate(self.builder, &x)
            }
            Expr::IsNull(x) => {
                let x = self.evaluate(x)?;
                let absent = match x.present {
                    Some(present) => self.builder.not(present),
                    None => self.builder.constant(false, self.rows),
                };
                Ok(Scalar::boolean(absent, self.rows, None))
            }
            Expr::Case { branches, otherwise } => self.case(branches, otherwise),
            Expr::Greatest(list) => self.extreme(list, Extreme::Greatest),
            Expr::Least(list) => self.extreme(list, Extreme::Least),
            Expr::Cast(x, kind) => {
                let x = self.evaluate(x)?;
                let cast = scalar::cast(self.builder, &x, *kind)?;
                Ok(self.flagged(cast))
            }
            Expr::AvgQuotient { sum, count, kind } => {
                let (sum, count) = (self.evaluate(sum)?, self.evaluate(count)?);
                scalar::quotient(self.builder, &sum, &count, *kind)
            }
        }
    }

    /// A value in the domain of `kind`; a value that does not fit raises the overflow flag.
    pub(super) fn fitted(&mut self, x: &Scalar, kind: ColumnType) -> Result<Scalar, LowerError> {
        let cast = scalar::cast(self.builder, x, kind)?;
        let x = self.flagged(cast);
        if kind.sql.is_bytes() {
            return Ok(x);
        }
        let width = u32::try_from(kind.value_bits()).unwrap_or(u32::MAX);
        let value = scalar::based(self.builder, &x, kind.low, width);
        Ok(Scalar { value, kind: kind.with_nullable(x.present.is_some()), present: x.present })
    }

    fn flagged(&mut self, (x, misfit): (Scalar, Option<PlaneId>)) -> Scalar {
        if let Some(misfit) = misfit {
            let counts = match x.present {
                Some(present) => self.builder.and(present, self.active),
                None => self.active,
            };
            let flag = self.builder.and(misfit, counts);
            self.overflow.push(flag);
        }
        x
    }

    fn literal(&mut self, value: Option<&Value>, kind: ColumnType) -> Scalar {
        let (b, rows) = (&mut *self.builder, self.rows);
        match value {
            Some(Value::Boolean(bit)) => Scalar::boolean(b.constant(*bit, rows), rows, None),
            Some(Value::Integer(value)) => {
                let kind = ColumnType { low: *value, high: *value, ..kind };
                Scalar::number(Word::new(Vec::new(), rows), kind)
            }
            Some(Value::Bytes(bytes)) => {
                let wanted = kind.value_bits() / 8;
                let padded = bytes.iter().copied().chain(std::iter::repeat(0)).take(wanted);
                let padded: Vec<u8> = padded.collect();
                let bits = padded.iter().rev().flat_map(|byte| (0..8).map(move |k| byte >> k & 1));
                let bits = bits.map(|bit| b.constant(bit == 1, rows)).collect();
                Scalar::number(Word::new(bits, rows), kind)
            }
            None => {
                let kind = ColumnType { high: kind.low, nullable: true, ..kind };
                let width = kind.value_bits();
                let value = b.constant_word(0, width, rows);
                Scalar { value, kind, present: Some(b.constant(false, rows)) }
            }
        }
    }

    fn not(&mut self, x: &Scalar) -> Scalar {
        let bit = x.bit(self.builder);
        Scalar::boolean(self.builder.not(bit), self.rows, x.present)
    }

    /// Kleene's conjunction: false if either is false, else NULL if either is NULL.
    fn and(&mut self, x: &Expr, y: &Expr) -> Result<Scalar, LowerError> {
        let (x, y) = (self.evaluate(x)?, self.evaluate(y)?);
        let b = &mut *self.builder;
        let (p, q) = (x.bit(b), y.bit(b));
        if x.present.is_none() && y.present.is_none() {
            return Ok(Scalar::boolean(b.and(p, q), self.rows, None));
        }
        let (p_true, q_true) = (x.is_true(b), y.is_true(b));
        let value = b.and(p_true, q_true);
        let mut is_false = Vec::new();
        for (bit, present) in [(p, x.present), (q, y.present)] {
            let no = b.not(bit);
            is_false.push(present.map_or(no, |present| b.and(no, present)));
        }
        let is_false = b.any(&is_false, self.rows);
        let known = b.or(value, is_false);
        Ok(Scalar::boolean(value, self.rows, Some(known)))
    }

    fn binary(&mut self, op: BinaryOp, x: &Scalar, y: &Scalar) -> Result<Scalar, LowerError> {
        let b = &mut *self.builder;
        match op {
            BinaryOp::Add => return scalar::add(b, x, y),
            BinaryOp::Subtract => return scalar::subtract(b, x, y),
            BinaryOp::Multiply => return scalar::multiply(b, x, y),
            _ => {}
        }
        let (p, q) = scalar::aligned(b, x, y);
        let bit = match op {
            BinaryOp::Equal => b.equal(&p, &q),
            BinaryOp::NotEqual => {
                let equal = b.equal(&p, &q);
                b.not(equal)
            }
            BinaryOp::Less => b.less_than(&p, &q),
            BinaryOp::LessEqual => b.less_or_equal(&p, &q),
            BinaryOp::Greater => b.less_than(&q, &p),
            _ => b.less_or_equal(&q, &p),
        };
        let present = both(b, x.present, y.present);
        Ok(Scalar::boolean(bit, self.rows, present))
    }

    fn case(&mut self, branches: &[(Expr, Expr)], otherwise: &Expr) -> Result<Scalar, LowerError> {
        let outside = self.active;
        let mut chosen = Vec::new();
        for (condition, value) in branches {
            let condition = self.evaluate(condition)?;
            let taken = condition.is_true(self.builder);
            let rest = self.active;
            self.active = self.builder.and(rest, taken);
            chosen.push((taken, self.evaluate(value)?));
            let skipped = self.builder.not(taken);
            self.active = self.builder.and(rest, skipped);
        }
        let mut result = self.evaluate(otherwise)?;
        self.active = outside;
        for (taken, value) in chosen.into_iter().rev() {
            result = self.choose(taken, &value, &result)?;
        }
        Ok(result)
    }

    /// `then` where `taken`, else `otherwise`, over the hull of both domains.
    fn choose(
        &mut self,
        taken: PlaneId,
        then: &Scalar,
        otherwise: &Scalar,
    ) -> Result<Scalar, LowerError> {
        let kind = then.kind.hull(otherwise.kind);
        let kind = kind.ok_or_else(|| LowerError::malformed("a CASE of different types"))?;
        let (b, rows) = (&mut *self.builder, self.rows);
        let (p, q) = scalar::aligned(b, then, otherwise);
        let value = b.select(taken, &p, &q);
        let present = match (then.present, otherwise.present) {
            (None, None) => None,
            (p, q) => {
                let p = p.unwrap_or_else(|| b.constant(true, rows));
                let q = q.unwrap_or_else(|| b.constant(true, rows));
                Some(b.mux(taken, p, q))
            }
        };
        Ok(Scalar { value, kind: kind.with_nullable(present.is_some()), present })
    }

    fn extreme(&mut self, list: &[Expr], which: Extreme) -> Result<Scalar, LowerError> {
        let mut values = list.iter();
        let first = values.next().ok_or_else(|| LowerError::malformed("GREATEST of nothing"))?;
        let mut best = self.evaluate(first)?;
        for value in values {
            let value = self.evaluate(value)?;
            let b = &mut *self.builder;
            let (p, q) = scalar::aligned(b, &best, &value);
            let beaten = match which {
                Extreme::Greatest => b.less_than(&p, &q),
                Extreme::Least => b.less_than(&q, &p),
            };
            let taken = replaces(b, beaten, best.present, value.present);
            let present = match (best.present, value.present) {
                (Some(p), Some(q)) => Some(b.or(p, q)),
                _ => None,
            };
            best = self.choose(taken, &value, &best)?;
            best.present = present;
            best.kind.nullable = present.is_some();
        }
        Ok(best)
    }
}

#[derive(Clone, Copy)]
enum Extreme {
    Greatest,
    Least,
}

/// Whether the challenger replaces the champion: it is present, and better or unopposed.
pub(super) fn replaces(
    b: &mut Builder,
    better: PlaneId,
    champion: Option<PlaneId>,
    challenger: Option<PlaneId>,
) -> PlaneId {
    let better = match champion {
        Some(champion) => {
            let absent = b.not(champion);
            b.or(absent, better)
        }
        None => better,
    };
    match challenger {
        Some(present) => b.and(better, present),
        None => better,
    }
}
