//! Types and domains of scalar expressions: interval analysis over [`Expr`].

use crate::ir::{BinaryOp, Expr};
use crate::types::{ColumnType, SqlType};

/// An expression that has no type in the joint part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TypeError {
    /// A column position past the input's columns.
    #[error("expression over column {0}, which its input does not have")]
    NoColumn(usize),
    /// Operand types that the operator does not take.
    #[error("{operator} of {left} and {right}")]
    Operands {
        /// SQL spelling.
        operator: &'static str,
        /// Left operand.
        left: SqlType,
        /// Right operand.
        right: SqlType,
    },
    /// The result's domain needs more than 127 bits.
    #[error("{0} whose result may need more than 127 bits")]
    TooWide(&'static str),
    /// A function without arguments.
    #[error("{0} without arguments")]
    NoArguments(&'static str),
}

impl Expr {
    /// Type and domain of the expression over rows with these columns.
    ///
    /// The domain holds every value the expression takes on inputs within their domains. It may
    /// exceed what the SQL type can hold: whether a final value fits is decided by a [`Expr::Cast`].
    /// The front end guarantees that operands of + − and comparisons have the same scale
    /// (`SqlType::is_comparable`), by casts.
    ///
    /// # Errors
    /// [`TypeError`] when an operator does not take its operands or a domain is too wide.
    pub fn kind(&self, columns: &[ColumnType]) -> Result<ColumnType, TypeError> {
        match self {
            Self::Column(column) => {
                columns.get(*column).copied().ok_or(TypeError::NoColumn(*column))
            }
            Self::Literal(value, kind) => Ok(kind.with_nullable(value.is_none())),
            Self::Binary(operator, left, right) => {
                binary(*operator, left.kind(columns)?, right.kind(columns)?)
            }
            Self::Not(input) => {
                let kind = input.kind(columns)?;
                boolean(kind, kind, "NOT")
            }
            Self::Negate(input) => {
                let kind = input.kind(columns)?;
                negate(kind)
            }
            Self::IsNull(input) => input.kind(columns).map(|_| ColumnType::boolean()),
            Self::Case { branches, otherwise } => case(branches, otherwise, columns),
            Self::Greatest(inputs) => extreme(inputs, columns, "GREATEST", i128::max),
            Self::Least(inputs) => extreme(inputs, columns, "LEAST", i128::min),
            Self::Cast(input, kind) => {
                Ok(kind.with_nullable(kind.nullable || input.kind(columns)?.nullable))
            }
            Self::AvgQuotient { kind, .. } => Ok(*kind),
        }
    }

    /// The expression over other column positions, or `None` when `position` has none for a column
    /// it reads.
    pub fn remapped(&self, position: &dyn Fn(usize) -> Option<usize>) -> Option<Self> {
        let boxed = |inner: &Self| inner.remapped(position).map(Box::new);
        let all = |inner: &[Self]| {
            inner.iter().map(|e| e.remapped(position)).collect::<Option<Vec<Self>>>()
        };
        Some(match self {
            Self::Column(column) => Self::Column(position(*column)?),
            Self::Literal(..) => self.clone(),
            Self::Binary(operator, left, right) => {
                Self::Binary(*operator, boxed(left)?, boxed(right)?)
            }
            Self::Not(inner) => Self::Not(boxed(inner)?),
            Self::Negate(inner) => Self::Negate(boxed(inner)?),
            Self::IsNull(inner) => Self::IsNull(boxed(inner)?),
            Self::Case { branches, otherwise } => {
                let branch = |(condition, value): &(Self, Self)| {
                    Some((condition.remapped(position)?, value.remapped(position)?))
                };
                let branches = branches.iter().map(branch).collect::<Option<_>>()?;
                Self::Case { branches, otherwise: boxed(otherwise)? }
            }
            Self::Greatest(inner) => Self::Greatest(all(inner)?),
            Self::Least(inner) => Self::Least(all(inner)?),
            Self::Cast(inner, kind) => Self::Cast(boxed(inner)?, *kind),
            Self::AvgQuotient { sum, count, kind } => {
                Self::AvgQuotient { sum: boxed(sum)?, count: boxed(count)?, kind: *kind }
            }
        })
    }
}

impl BinaryOp {
    /// SQL spelling.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::And => "AND",
            Self::Or => "OR",
        }
    }
}

fn binary(
    operator: BinaryOp,
    left: ColumnType,
    right: ColumnType,
) -> Result<ColumnType, TypeError> {
    let refused =
        || TypeError::Operands { operator: operator.symbol(), left: left.sql, right: right.sql };
    match operator {
        BinaryOp::And | BinaryOp::Or => boolean(left, right, operator.symbol()),
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply => {
            let sql = arithmetic(operator, left.sql, right.sql).ok_or_else(refused)?;
            let corners = match operator {
                BinaryOp::Add => {
                    [left.low.checked_add(right.low), left.high.checked_add(right.high)].to_vec()
                }
                BinaryOp::Subtract => {
                    [left.low.checked_sub(right.high), left.high.checked_sub(right.low)].to_vec()
                }
                _ => [left.low, left.high]
                    .iter()
                    .flat_map(|l| [l.checked_mul(right.low), l.checked_mul(right.high)])
                    .collect(),
            };
            let nullable = left.nullable || right.nullable;
            interval(sql, &corners, nullable).ok_or(TypeError::TooWide(operator.symbol()))
        }
        _ if left.sql.is_comparable(right.sql) => {
            Ok(ColumnType::boolean().with_nullable(left.nullable || right.nullable))
        }
        _ => Err(refused()),
    }
}

fn boolean(
    left: ColumnType,
    right: ColumnType,
    operator: &'static str,
) -> Result<ColumnType, TypeError> {
    if left.sql == SqlType::Boolean && right.sql == SqlType::Boolean {
        Ok(ColumnType::boolean().with_nullable(left.nullable || right.nullable))
    } else {
        Err(TypeError::Operands { operator, left: left.sql, right: right.sql })
    }
}

/// Arrow's result types: the larger integer; decimals as `decimal_op` of arrow-arith.
pub(crate) fn arithmetic(operator: BinaryOp, left: SqlType, right: SqlType) -> Option<SqlType> {
    match (left, right) {
        (
            SqlType::Decimal { precision: p1, scale: s1 },
            SqlType::Decimal { precision: p2, scale: s2 },
        ) => {
            let (precision, scale) = match operator {
                BinaryOp::Multiply => (p1.checked_add(p2)?.checked_add(1)?, s1.checked_add(s2)?),
                _ if s1 == s2 => (p1.max(p2).checked_add(1)?, s1),
                _ => return None,
            };
            Some(SqlType::Decimal { precision: precision.min(38), scale })
        }
        (a, b) if a.is_number() && b.is_number() && a.scale() == b.scale() => {
            Some(if a.range().1 >= b.range().1 { a } else { b })
        }
        _ => None,
    }
}

fn interval(sql: SqlType, corners: &[Option<i128>], nullable: bool) -> Option<ColumnType> {
    let corners = corners.iter().copied().collect::<Option<Vec<i128>>>()?;
    let (low, high) = (*corners.iter().min()?, *corners.iter().max()?);
    high.checked_sub(low)?;
    Some(ColumnType::between(sql, low, high).with_nullable(nullable))
}

fn negate(kind: ColumnType) -> Result<ColumnType, TypeError> {
    if !kind.sql.is_number() {
        return Err(TypeError::Operands { operator: "-", left: kind.sql, right: kind.sql });
    }
    interval(kind.sql, &[kind.high.checked_neg(), kind.low.checked_neg()], kind.nullable)
        .ok_or(TypeError::TooWide("-"))
}

fn case(
    branches: &[(Expr, Expr)],
    otherwise: &Expr,
    columns: &[ColumnType],
) -> Result<ColumnType, TypeError> {
    for (condition, _) in branches {
        let condition = condition.kind(columns)?;
        boolean(condition, condition, "CASE WHEN")?;
    }
    let values = branches.iter().map(|(_, value)| value).chain([otherwise]);
    let is_null = |value: &&Expr| matches!(value, Expr::Literal(None, _));
    let mut result: Option<ColumnType> = None;
    // COALESCE becomes CASE WHEN x IS NOT NULL THEN x …
    let mut sure = branches.iter().map(|(condition, value)| says_present(condition, value));
    for value in values.clone() {
        let is_sure = sure.next().unwrap_or(false);
        if is_null(&value) {
            continue;
        }
        let kind = value.kind(columns)?;
        let kind = kind.with_nullable(kind.nullable && !is_sure);
        result = Some(result.map_or(Ok(kind), |result| mixed(result, kind, "CASE"))?);
    }
    // A NULL branch adds NULL to the domain and nothing else.
    match result {
        None => otherwise.kind(columns),
        Some(kind) => Ok(kind.with_nullable(kind.nullable || values.clone().any(|v| is_null(&v)))),
    }
}

/// Whether the condition is that the value is not NULL.
fn says_present(condition: &Expr, value: &Expr) -> bool {
    let Expr::Not(inner) = condition else { return false };
    matches!(&**inner, Expr::IsNull(tested) if **tested == *value)
}

fn extreme(
    inputs: &[Expr],
    columns: &[ColumnType],
    function: &'static str,
    pick: fn(i128, i128) -> i128,
) -> Result<ColumnType, TypeError> {
    let mut kinds = inputs.iter().map(|input| input.kind(columns));
    let mut result = kinds.next().ok_or(TypeError::NoArguments(function))??;
    for kind in kinds {
        let kind = kind?;
        let hull = mixed(result, kind, function)?;
        let nullable = result.nullable && kind.nullable;
        // A NULL argument is ignored, so the other's whole domain stays possible.
        result = if result.nullable || kind.nullable {
            hull.with_nullable(nullable)
        } else {
            let (low, high) = (pick(result.low, kind.low), pick(result.high, kind.high));
            ColumnType::between(hull.sql, low, high)
        };
    }
    Ok(result)
}

fn mixed(
    left: ColumnType,
    right: ColumnType,
    operator: &'static str,
) -> Result<ColumnType, TypeError> {
    left.hull(right).ok_or(TypeError::Operands { operator, left: left.sql, right: right.sql })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Value;

    fn column(index: usize) -> Box<Expr> {
        Box::new(Expr::Column(index))
    }

    fn kind(expr: &Expr) -> String {
        let columns = [
            ColumnType::between(SqlType::Int, -2, 3),
            ColumnType::between(SqlType::BigInt, 1, 10).with_nullable(true),
            ColumnType::between(SqlType::Decimal { precision: 5, scale: 2 }, 0, 99_999),
            ColumnType::boolean(),
            ColumnType::full(SqlType::Decimal { precision: 38, scale: 0 }),
        ];
        match expr.kind(&columns) {
            Ok(kind) => kind.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn intervals_follow_the_operators() {
        let binary = |op, l, r| kind(&Expr::Binary(op, column(l), column(r)));
        assert_eq!(binary(BinaryOp::Add, 0, 1), "BIGINT[-1..13]?");
        assert_eq!(binary(BinaryOp::Subtract, 0, 0), "INT[-5..5]");
        assert_eq!(binary(BinaryOp::Multiply, 0, 1), "BIGINT[-20..30]?");
        assert_eq!(binary(BinaryOp::Multiply, 2, 2), "DECIMAL(11,4)[0..9999800001]");
        assert_eq!(binary(BinaryOp::Less, 0, 1), "BOOLEAN?");
        assert_eq!(binary(BinaryOp::And, 3, 3), "BOOLEAN");
        assert_eq!(binary(BinaryOp::Add, 0, 3), "+ of INT and BOOLEAN");
        assert_eq!(binary(BinaryOp::Equal, 0, 2), "= of INT and DECIMAL(5,2)");
        assert_eq!(binary(BinaryOp::Multiply, 4, 4), "* whose result may need more than 127 bits");
        assert_eq!(kind(&Expr::Negate(column(0))), "INT[-3..2]");
    }

    #[test]
    fn case_and_extremes_take_hulls() {
        let ten = Expr::Literal(Some(Value::Integer(5)), ColumnType::between(SqlType::Int, 5, 5));
        let case = Expr::Case {
            branches: vec![(Expr::Column(3), ten.clone())],
            otherwise: Box::new(Expr::Column(0)),
        };
        assert_eq!(kind(&case), "INT[-2..5]");
        let null = Expr::Literal(None, ColumnType::between(SqlType::Int, 0, 0));
        let case =
            Expr::Case { branches: vec![(Expr::Column(3), ten.clone())], otherwise: null.into() };
        assert_eq!(kind(&case), "INT[5..5]?");
        assert_eq!(kind(&Expr::Least(vec![Expr::Column(0), ten.clone()])), "INT[-2..3]");
        assert_eq!(kind(&Expr::Greatest(vec![Expr::Column(0), ten.clone()])), "INT[5..5]");
        assert_eq!(kind(&Expr::Greatest(vec![Expr::Column(1), ten])), "BIGINT[1..10]");
        assert_eq!(kind(&Expr::Greatest(vec![])), "GREATEST without arguments");
    }
}
