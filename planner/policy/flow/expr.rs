//! What flows through expressions and conditions.

use super::{Column, Tracer};
use crate::policy::usage::Usage;
use arrow_schema::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column as Name, DFSchema};
use datafusion_expr::expr::Case;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use std::collections::BTreeSet;

impl Tracer {
    /// Everything that the expression's value depends on.
    pub(super) fn value(&mut self, expr: &Expr, schema: &DFSchema, columns: &[Column]) -> Column {
        self.traceable(expr);
        self.comparisons(expr, schema, columns);
        let (mut names, mut value) = (BTreeSet::new(), Column::default());
        operands(expr, schema, false, &mut names);
        for (name, is_tested) in names {
            match schema.index_of_column(name).ok().and_then(|index| columns.get(index)) {
                Some(column) if is_tested => value.merge(&column.tested()),
                Some(column) => value.merge(column),
                None => self.unknown(name.to_string()),
            }
        }
        value
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

/// The columns in an expression, and whether it decides something by them or only computes sums,
/// differences and products. NULL or not is told by any aggregate, so asking for it decides nothing
/// more.
fn operands<'a>(
    expr: &'a Expr,
    schema: &DFSchema,
    is_tested: bool,
    names: &mut BTreeSet<(&'a Name, bool)>,
) {
    match expr {
        Expr::Column(name) => {
            names.insert((name, is_tested));
        }
        Expr::Alias(alias) => operands(&alias.expr, schema, is_tested, names),
        Expr::Cast(cast) => {
            let (from, to) = (cast.expr.get_type(schema), expr.get_type(schema));
            let keeps = matches!((from, to), (Ok(from), Ok(to)) if keeps_values(&from, &to));
            operands(&cast.expr, schema, is_tested || !keeps, names);
        }
        Expr::Negative(expr) | Expr::IsNull(expr) | Expr::IsNotNull(expr) => {
            operands(expr, schema, is_tested, names)
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus | Operator::Minus | Operator::Multiply,
            right,
        }) => {
            operands(left, schema, is_tested, names);
            operands(right, schema, is_tested, names);
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            if let Some(expr) = expr {
                operands(expr, schema, true, names);
            }
            for (when, then) in when_then_expr {
                let is_null_test = matches!(**when, Expr::IsNull(_) | Expr::IsNotNull(_));
                operands(when, schema, is_tested || !is_null_test, names);
                operands(then, schema, is_tested, names);
            }
            if let Some(otherwise) = else_expr {
                operands(otherwise, schema, is_tested, names);
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            call.args.iter().for_each(|argument| operands(argument, schema, is_tested, names));
        }
        other => names.extend(other.column_refs().into_iter().map(|name| (name, true))),
    }
}

/// Whether each value of the one type is itself in the other: a cast that rounds, or tells zero from
/// the rest, decides something.
fn keeps_values(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, Decimal128, Float32, Float64};
    if from == to || matches!(to, Float32 | Float64) {
        return true;
    }
    let whole_digits = |kind: &DataType| match kind {
        Boolean => Some((1, 0)),
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), *scale)),
        _ => None,
    };
    match (whole_digits(from), whole_digits(to)) {
        (Some(_), Some(_)) if *to == Boolean => false,
        (Some((whole, scale)), Some((room, finer))) => whole <= room && scale <= finer,
        _ => matches!(
            (from, to),
            (Date32, Date64 | DataType::Timestamp(..))
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
