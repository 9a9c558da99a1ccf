//! What flows through expressions and conditions.

use super::{Column, Tracer};
use crate::policy::usage::Usage;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column as Name, DFSchema};
use datafusion_expr::expr::{Case, Cast};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, Operator};
use std::collections::BTreeSet;

impl Tracer {
    /// Everything that the expression's value depends on.
    pub(super) fn value(&mut self, expr: &Expr, schema: &DFSchema, columns: &[Column]) -> Column {
        self.traceable(expr);
        let (mut names, mut value) = (BTreeSet::new(), Column::default());
        operands(expr, false, &mut names);
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
fn operands<'a>(expr: &'a Expr, is_tested: bool, names: &mut BTreeSet<(&'a Name, bool)>) {
    match expr {
        Expr::Column(name) => {
            names.insert((name, is_tested));
        }
        Expr::Alias(alias) => operands(&alias.expr, is_tested, names),
        Expr::Cast(Cast { expr, .. })
        | Expr::Negative(expr)
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr) => operands(expr, is_tested, names),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus | Operator::Minus | Operator::Multiply,
            right,
        }) => {
            operands(left, is_tested, names);
            operands(right, is_tested, names);
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            if let Some(expr) = expr {
                operands(expr, true, names);
            }
            for (when, then) in when_then_expr {
                let is_null_test = matches!(**when, Expr::IsNull(_) | Expr::IsNotNull(_));
                operands(when, is_tested || !is_null_test, names);
                operands(then, is_tested, names);
            }
            if let Some(otherwise) = else_expr {
                operands(otherwise, is_tested, names);
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            call.args.iter().for_each(|argument| operands(argument, is_tested, names));
        }
        other => names.extend(other.column_refs().into_iter().map(|name| (name, true))),
    }
}
