//! Filters as PostgreSQL's SQL. DataFusion filters again what comes back, so a translation may let
//! more rows pass, never fewer. What has no certain equal there is left out: order and patterns of
//! text (collations), functions, casts.
//!
//! Constants come from other parties' queries: text is quoted by the library's own function, and
//! everything else is printed from a number.

use super::types::{Columns, is_text};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use senate_planner::text::spell;
use senate_planner::types::SqlType;

/// A condition that holds for all rows for which `filter` is true, if there is a useful one.
pub(super) fn superset(filter: &Expr, columns: &Columns) -> Option<String> {
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter {
        let sides = (superset(left, columns), superset(right, columns));
        match (op, sides) {
            (Operator::And, (Some(left), Some(right))) => {
                return Some(format!("({left} AND {right})"));
            }
            (Operator::And, (one, other)) => return one.or(other),
            (Operator::Or, (Some(left), Some(right))) => {
                return Some(format!("({left} OR {right})"));
            }
            (Operator::Or, _) => return None,
            _ => {}
        }
    }
    exact(filter, columns)
}

/// A condition that is true, false and NULL where `filter` is.
fn exact(filter: &Expr, columns: &Columns) -> Option<String> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => {
                let (left, right) = (exact(left, columns)?, exact(right, columns)?);
                let word = if *op == Operator::And { "AND" } else { "OR" };
                Some(format!("({left} {word} {right})"))
            }
            _ => comparison(left, *op, right, columns),
        },
        Expr::Not(inner) => exact(inner, columns).map(|inner| format!("(NOT {inner})")),
        Expr::IsNull(inner) => name(inner, columns).map(|name| format!("({name} IS NULL)")),
        Expr::IsNotNull(inner) => name(inner, columns).map(|name| format!("({name} IS NOT NULL)")),
        Expr::InList(InList { expr, list, negated }) => {
            let column = Comparable::of(expr, columns)?;
            let list: Option<Vec<String>> = list.iter().map(|item| column.constant(item)).collect();
            let (list, word) = (list.filter(|list| !list.is_empty())?, negation(*negated));
            Some(format!("({} {word}IN ({}))", column.sql(), list.join(", ")))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let column = Comparable::of(expr, columns).filter(Comparable::is_ordered)?;
            let (low, high) = (column.constant(low)?, column.constant(high)?);
            Some(format!("({} {}BETWEEN {low} AND {high})", column.sql(), negation(*negated)))
        }
        Expr::Column(_) => {
            let column = Comparable::of(filter, columns)?;
            (column.declared == SqlType::Boolean).then(|| column.sql())
        }
        _ => None,
    }
}

fn negation(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// A column against a constant, in either order.
fn comparison(left: &Expr, op: Operator, right: &Expr, columns: &Columns) -> Option<String> {
    let (column, constant, op) = match (left, right) {
        (Expr::Column(_), _) => (left, right, op),
        (_, Expr::Column(_)) => (right, left, op.swap()?),
        _ => return None,
    };
    let column = Comparable::of(column, columns)?;
    let sign = match op {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt if column.is_ordered() => "<",
        Operator::LtEq if column.is_ordered() => "<=",
        Operator::Gt if column.is_ordered() => ">",
        Operator::GtEq if column.is_ordered() => ">=",
        _ => return None,
    };
    Some(format!("({} {sign} {})", column.sql(), column.constant(constant)?))
}

fn name(expr: &Expr, columns: &Columns) -> Option<String> {
    let Expr::Column(column) = expr else { return None };
    columns.contains_key(&column.name).then(|| escape_identifier(&column.name))
}

/// A column whose values compare there as they do here.
struct Comparable {
    name: String,
    declared: SqlType,
}

impl Comparable {
    fn of(expr: &Expr, columns: &Columns) -> Option<Self> {
        let Expr::Column(column) = expr else { return None };
        let (declared, found) = columns.get(&column.name)?;
        let is_same = match declared {
            SqlType::Varchar { .. } => is_text(found),
            SqlType::Binary { .. } => false,
            _ => true,
        };
        is_same.then(|| Self { name: escape_identifier(&column.name), declared: *declared })
    }

    fn is_ordered(&self) -> bool {
        !self.declared.is_bytes()
    }

    fn sql(&self) -> String {
        match self.declared {
            // Some collations call different strings equal.
            SqlType::Varchar { .. } => format!("({} COLLATE \"C\")", self.name),
            _ => self.name.clone(),
        }
    }

    /// A constant of the column's own type; NULL has none.
    fn constant(&self, expr: &Expr) -> Option<String> {
        let Expr::Literal(value, _) = expr else { return None };
        let integer = |number: i128| format!("({number})");
        match (self.declared, value) {
            (SqlType::Boolean, ScalarValue::Boolean(Some(bit))) => Some(bit.to_string()),
            (
                SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt,
                value,
            ) => match value {
                ScalarValue::Int16(Some(number)) => Some(integer((*number).into())),
                ScalarValue::Int32(Some(number)) => Some(integer((*number).into())),
                ScalarValue::Int64(Some(number)) => Some(integer((*number).into())),
                ScalarValue::UInt64(Some(number)) => Some(integer((*number).into())),
                _ => None,
            },
            (SqlType::Decimal { scale, .. }, ScalarValue::Decimal128(Some(number), _, found))
                if scale == *found =>
            {
                Some(format!("({})", spell(*number, self.declared)))
            }
            (SqlType::Date, ScalarValue::Date32(Some(day))) => {
                let text = spell((*day).into(), self.declared);
                has_plain_year(&text).then(|| format!("DATE {}", escape_literal(&text)))
            }
            // Of nanoseconds there are none there.
            (SqlType::Timestamp { digits: ..=6 }, value)
                if value.data_type() == self.declared.arrow() =>
            {
                let (ScalarValue::TimestampSecond(Some(units), _)
                | ScalarValue::TimestampMillisecond(Some(units), _)
                | ScalarValue::TimestampMicrosecond(Some(units), _)) = value
                else {
                    return None;
                };
                let text = spell((*units).into(), self.declared);
                has_plain_year(&text).then(|| format!("TIMESTAMP {}", escape_literal(&text)))
            }
            (
                SqlType::Varchar { .. },
                ScalarValue::Utf8(Some(text))
                | ScalarValue::LargeUtf8(Some(text))
                | ScalarValue::Utf8View(Some(text)),
            ) => {
                // Other letters may have no counterpart in the database's encoding.
                let is_plain = text.is_ascii() && !text.contains('\0');
                is_plain.then(|| escape_literal(text).trim_start().to_owned())
            }
            _ => None,
        }
    }
}

/// Whether a date is spelled alike there: years of more than four digits are not, and there is no
/// year 0.
fn has_plain_year(text: &str) -> bool {
    !text.starts_with(['+', '-']) && !text.starts_with("0000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};
    use tokio_postgres::types::Type;

    fn columns() -> Columns {
        let price = SqlType::Decimal { precision: 9, scale: 2 };
        Columns::from([
            ("id".to_owned(), (SqlType::Int, Type::INT8)),
            ("ok".to_owned(), (SqlType::Boolean, Type::BOOL)),
            ("day".to_owned(), (SqlType::Date, Type::DATE)),
            ("at".to_owned(), (SqlType::Timestamp { digits: 6 }, Type::TIMESTAMP)),
            ("price".to_owned(), (price, Type::NUMERIC)),
            ("na\"me".to_owned(), (SqlType::Varchar { bytes: 9 }, Type::TEXT)),
        ])
    }

    fn translated(filter: Expr) -> String {
        superset(&filter, &columns()).unwrap_or_default()
    }

    fn text_column() -> Expr {
        Expr::Column(datafusion::common::Column::from_name("na\"me"))
    }

    #[test]
    fn comparisons_translate() {
        assert_eq!(translated(col("id").gt(lit(-3))), "(\"id\" > (-3))");
        assert_eq!(translated(lit(3).gt(col("id"))), "(\"id\" < (3))");
        assert_eq!(translated(col("ok").and(col("id").is_not_null())), {
            "(\"ok\" AND (\"id\" IS NOT NULL))"
        });
        let cents = lit(ScalarValue::Decimal128(Some(-1250), 9, 2));
        assert_eq!(translated(col("price").lt_eq(cents)), "(\"price\" <= (-12.50))");
        let day = lit(ScalarValue::Date32(Some(18_000)));
        assert_eq!(translated(col("day").eq(day)), "(\"day\" = DATE '2019-04-14')");
        let at = |units| col("at").lt(lit(ScalarValue::TimestampMicrosecond(Some(units), None)));
        assert_eq!(translated(at(-1)), "(\"at\" < TIMESTAMP '1969-12-31T23:59:59.999999')");
        let nanos = lit(ScalarValue::TimestampNanosecond(Some(1), None));
        assert_eq!(translated(col("at").lt(nanos)), "");
        // PostgreSQL has no year 0, and spells years of five digits otherwise.
        assert_eq!(translated(at(-62_167_219_200_000_000)), "");
        assert_eq!(translated(at(253_402_300_800_000_000)), "");
        let list = col("id").in_list(vec![lit(1), lit(2)], true);
        assert_eq!(translated(list), "(\"id\" NOT IN ((1), (2)))");
        assert_eq!(translated(col("id").between(lit(1), lit(2))), {
            "(\"id\" BETWEEN (1) AND (2))"
        });
    }

    #[test]
    fn text_is_compared_for_equality_and_quoted_whatever_it_holds() {
        let attack = "x'; DROP TABLE t; --";
        assert_eq!(translated(text_column().eq(lit(attack))), {
            "((\"na\"\"me\" COLLATE \"C\") = 'x''; DROP TABLE t; --')"
        });
        assert_eq!(translated(text_column().eq(lit("a\\' OR 1=1"))), {
            "((\"na\"\"me\" COLLATE \"C\") = E'a\\\\'' OR 1=1')"
        });
        for untranslated in
            [text_column().lt(lit("x")), text_column().like(lit("x%")), text_column().eq(lit("ä"))]
        {
            assert_eq!(translated(untranslated), "");
        }
    }

    #[test]
    fn what_does_not_translate_lets_rows_pass_and_never_drops_them() {
        let odd = (col("id") % lit(2)).eq(lit(1));
        let small = col("id").lt(lit(9));
        let is_small = "(\"id\" < (9))";
        assert_eq!(translated(odd.clone().and(small.clone())), is_small);
        assert_eq!(translated(odd.clone().or(small.clone())), "");
        assert_eq!(translated(Expr::Not(Box::new(odd.and(small.clone())))), "");
        assert_eq!(translated(Expr::Not(Box::new(small))), format!("(NOT {is_small})"));
        let unknown = lit(ScalarValue::Int32(None));
        assert_eq!(translated(col("id").eq(unknown)), "");
        assert_eq!(translated(col("elsewhere").eq(lit(1))), "");
    }
}
