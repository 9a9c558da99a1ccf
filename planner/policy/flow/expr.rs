//! What flows through expressions and conditions.

use super::{Column, Shape, Tracer};
use crate::policy::usage::Usage;
use arrow_schema::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column as Name, DFSchema, ScalarValue};
use datafusion_expr::expr::Case;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

impl Tracer {
    /// Everything that the expression's value depends on.
    pub(super) fn value(&mut self, expr: &Expr, schema: &DFSchema, columns: &[Column]) -> Column {
        self.traceable(expr);
        self.comparisons(expr, schema, columns);
        self.failures(expr, schema, columns);
        self.operands(expr, schema, columns)
    }

    /// What flows in the value of an expression, and whether the expression decides something by its
    /// operands or only adds them up. A product of columns decides: a column of zeros and ones makes
    /// it a CASE. So do a test for NULL and COALESCE, which is one.
    pub(super) fn operands(
        &mut self,
        expr: &Expr,
        schema: &DFSchema,
        columns: &[Column],
    ) -> Column {
        let mut of = |expr: &Expr| self.operands(expr, schema, columns);
        match expr {
            Expr::Column(name) => {
                match schema.index_of_column(name).ok().and_then(|index| columns.get(index)) {
                    Some(column) => column.clone(),
                    None => {
                        self.unknown(name.to_string());
                        Column::made()
                    }
                }
            }
            Expr::Alias(alias) => of(&alias.expr),
            Expr::Cast(cast) => {
                let (from, to) = (cast.expr.get_type(schema), expr.get_type(schema));
                let keeps = matches!((from, to), (Ok(from), Ok(to)) if keeps_values(&from, &to));
                let value = of(&cast.expr);
                if keeps { value } else { value.tested() }
            }
            Expr::Negative(expr) => of(expr).summed(),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_sum(*op) => {
                let turns = *op == Operator::Minus && !is_constant(right);
                let moves = is_constant(left) || is_constant(right);
                let value = of(left).merged(&of(right));
                if moves && !turns { value.moved() } else { value.summed() }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Multiply, right }) => {
                let (one, other) = (of(left), of(right));
                match (is_constant(left), is_constant(right)) {
                    (true, _) if is_positive(left) => other.moved(),
                    (_, true) if is_positive(right) => one.moved(),
                    (true, _) => other.summed(),
                    (_, true) => one.summed(),
                    (false, false) => one.merged(&other).tested(),
                }
            }
            Expr::Case(Case { expr, when_then_expr, else_expr }) => {
                let mut value = Column { shape: Shape::Choice, ..Column::default() };
                let tests = expr.iter().chain(when_then_expr.iter().map(|(when, _)| when));
                tests.for_each(|test| value.merge(&of(test).tested()));
                let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr);
                results.for_each(|result| value.merge(&of(result)));
                value
            }
            Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
                let mut value = Column::default();
                for argument in &call.args {
                    let operand = of(argument);
                    let may_be_null = argument.nullable(schema).unwrap_or(true);
                    value.merge(&if may_be_null { operand.tested() } else { operand });
                }
                value
            }
            other => {
                let mut names: Vec<&Name> = other.column_refs().into_iter().collect();
                names.sort();
                let mut value = Column::default();
                for name in names {
                    value.merge(&of(&Expr::Column(name.clone())).tested());
                }
                value
            }
        }
    }

    /// A predicate's conjuncts decide which rows count; one over several tables also compares them.
    pub(super) fn condition(
        &mut self,
        predicate: &Expr,
        schema: &DFSchema,
        columns: &[Column],
    ) -> Column {
        let mut all = Column::default();
        for conjunct in split_conjunction(predicate) {
            let value = self.value(conjunct, schema, columns);
            self.demand(&value, &Usage::Filter, &conjunct.to_string());
            if value.scans.len() > 1 {
                self.demand(&value, &Usage::JoinKey, &conjunct.to_string());
            }
            all.merge(&value);
        }
        all
    }

    /// Wherever an expression holds columns of several tables against each other, it joins them.
    fn comparisons(&mut self, expr: &Expr, schema: &DFSchema, columns: &[Column]) {
        let mut found = Vec::new();
        let _ = expr.apply(|expr| {
            if is_comparison(expr) {
                found.push(expr);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for comparison in found {
            let mut names: Vec<&Name> = comparison.column_refs().into_iter().collect();
            names.sort();
            let mut value = Column::default();
            for name in names {
                if let Some(column) =
                    schema.index_of_column(name).ok().and_then(|index| columns.get(index))
                {
                    value.merge(column);
                }
            }
            if value.scans.len() > 1 {
                self.demand(&value, &Usage::JoinKey, &comparison.to_string());
            }
        }
    }

    /// Reports subqueries that the optimizer has left in an expression, and other expressions that
    /// see more than the columns they name.
    pub(super) fn traceable(&mut self, expr: &Expr) {
        let mut unknown = None;
        let seen = expr.apply(|expr| {
            let is_opaque = matches!(
                expr,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::Placeholder(_)
                    | Expr::Unnest(_)
                    | Expr::GroupingSet(_)
                    | Expr::ScalarVariable(..)
                    | Expr::HigherOrderFunction(_)
                    | Expr::Lambda(_)
                    | Expr::LambdaVariable(_)
            );
            if is_opaque {
                unknown = Some(expr.to_string());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if seen.is_err() {
            unknown = Some(expr.to_string());
        }
        if let Some(what) = unknown {
            self.unknown(what);
        }
    }
}

fn is_sum(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus)
}

/// Whether the value is the same in every row.
fn is_constant(expr: &Expr) -> bool {
    expr.column_refs().is_empty()
}

/// Whether the expression is a literal above zero.
fn is_positive(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| *value > zero)
}

/// Whether each value of the one type is itself in the other: a cast that rounds, as those to binary
/// fractions do, or that tells zero from the rest, decides something. One from BOOLEAN makes a number
/// of a test.
pub(super) fn keeps_values(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Date64, Decimal128, Timestamp};
    if from == to {
        return true;
    }
    if let (Timestamp(coarse, None), Timestamp(fine, None)) = (from, to) {
        return coarse <= fine;
    }
    let whole_digits = |kind: &DataType| match kind {
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), *scale)),
        _ => None,
    };
    match (whole_digits(from), whole_digits(to)) {
        (Some((whole, scale)), Some((room, finer))) => whole <= room && scale <= finer,
        _ => matches!(
            (from, to),
            (Date32, Date64 | Timestamp(_, None))
                | (DataType::Utf8 | DataType::Utf8View, DataType::Utf8 | DataType::Utf8View)
                | (DataType::Utf8 | DataType::Utf8View, DataType::LargeUtf8)
        ),
    }
}

/// Whether the expression's value tells how its operands compare.
fn is_comparison(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => !matches!(
            op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::And | Operator::Or
        ),
        Expr::Case(case) => case.expr.is_some(),
        Expr::ScalarFunction(call) => call.func.name() != "coalesce",
        Expr::Between(_) | Expr::InList(_) | Expr::Like(_) | Expr::SimilarTo(_) => true,
        _ => false,
    }
}
