//! How large expressions become once what they are made of is in place: optimizers move conditions
//! below the columns that they are about, and a column that is used twice, made of one that is used
//! twice, and so on, doubles with every line of the text. And how long texts become: planners compute
//! with constants, and owners with their rows.

use super::PlanError;
use super::bounds::too_large;
use crate::ir::Value;
use crate::rules::literal_value;
use arrow_schema::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Exists, InSubquery, ScalarFunction};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Subquery};

/// Operators and columns of an expression with all that it is made of.
const GROWN_MAX: usize = 2_000;
/// Texts of [`TEXT_BYTES`] in one value: a column counts as one of them.
const TEXTS_MAX: usize = 4_096;
const TEXT_BYTES: usize = 256;
/// Characters that a text is filled up to.
const FILLED_MAX: usize = 4_096;

/// Functions that use an operand twice.
const TWICE: [&str; 5] = ["abs", "coalesce", "nullif", "nvl", "nvl2"];

/// What an expression is made of, columns in place.
#[derive(Clone, Copy, Default)]
struct Size {
    operators: usize,
    /// How long its text may be, in texts.
    texts: usize,
}

const COLUMN: Size = Size { operators: 1, texts: 1 };

impl Size {
    fn largest(self, other: Self) -> Self {
        Self { operators: self.operators.max(other.operators), texts: self.texts.max(other.texts) }
    }
}

/// Checks a plan as the text says it.
///
/// # Errors
/// [`PlanError::Unsupported`] for expressions, or texts, that grow too large.
pub(super) fn check(plan: &LogicalPlan) -> std::result::Result<(), PlanError> {
    let mut largest = Size::default();
    sizes(plan, &mut largest)?;
    if largest.operators > GROWN_MAX {
        return Err(too_large("operators in one expression, columns in place", GROWN_MAX));
    }
    match largest.texts > TEXTS_MAX {
        true => Err(too_large("times the length of a column in one text", TEXTS_MAX)),
        false => Ok(()),
    }
}

/// Sizes of what the columns of `plan` are made of, and the largest expression in it so far.
fn sizes(plan: &LogicalPlan, largest: &mut Size) -> Result<Vec<Size>> {
    let mut inputs = Vec::new();
    for input in plan.inputs() {
        inputs.push(sizes(input, largest)?);
    }
    let below: Vec<Size> = inputs.concat();
    let mut schema = DFSchema::empty();
    for input in plan.inputs() {
        schema.merge(input.schema());
    }
    let mut grown = Vec::new();
    plan.apply_expressions(|expr| {
        let size = size(expr, &schema, &below, largest)?;
        *largest = size.largest(*largest);
        grown.push(size);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let columns = plan.schema().fields().len();
    let longest = below.iter().chain(&grown).map(|size| size.texts).max().unwrap_or(1);
    let made = std::iter::repeat(Size { texts: longest, ..COLUMN });
    Ok(match plan {
        LogicalPlan::Projection(_) => grown,
        // Nothing moves below an aggregate but conditions on its keys.
        LogicalPlan::Aggregate(node) => {
            let keys = grown.into_iter().take(node.group_expr.len());
            keys.chain(made).take(columns).collect()
        }
        LogicalPlan::Union(_) => {
            let of = |column: usize| inputs.iter().filter_map(move |sizes| sizes.get(column));
            let widest = |column| of(column).copied().reduce(Size::largest).unwrap_or(COLUMN);
            (0..columns).map(widest).collect()
        }
        // The columns of the inputs, perhaps with others behind them.
        _ => below.into_iter().chain(made).take(columns).collect(),
    })
}

/// Size of an expression over columns of these sizes.
fn size(expr: &Expr, schema: &DFSchema, below: &[Size], largest: &mut Size) -> Result<Size> {
    let mut own = match expr {
        Expr::Column(column) => {
            let index = schema.maybe_index_of_column(column);
            return Ok(index.and_then(|index| below.get(index)).copied().unwrap_or(COLUMN));
        }
        Expr::ScalarSubquery(Subquery { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery: Subquery { subquery, .. }, .. })
        | Expr::Exists(Exists { subquery: Subquery { subquery, .. }, .. }) => {
            sizes(subquery, largest)?.into_iter().reduce(Size::largest).unwrap_or(COLUMN)
        }
        // Lists of constants stay lists.
        Expr::Literal(value, _) => {
            let bytes = value.try_as_str().flatten().map_or(0, str::len);
            Size { operators: 0, texts: 1 + bytes / TEXT_BYTES }
        }
        _ => Size { operators: 1, texts: 0 },
    };
    // Each part is looked at once, however deep it lies.
    let (mut operators, mut texts, mut first) = (0usize, 0usize, None);
    expr.apply_children(|part| {
        let part = size(part, schema, below, largest)?;
        first.get_or_insert(part);
        operators = operators.saturating_add(part.operators);
        texts = texts.saturating_add(part.texts);
        Ok(TreeNodeRecursion::Continue)
    })?;
    // Some are written with an operand twice where they meet other parties' rows.
    let times = match expr {
        Expr::ScalarFunction(call) if TWICE.contains(&call.func.name()) => 2,
        Expr::Between(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) => 2,
        Expr::IsFalse(_) | Expr::IsNotFalse(_) => 2,
        Expr::InList(list) if first.is_some_and(|value| value.operators > 1) => {
            list.list.len().max(1)
        }
        Expr::Case(case) if case.expr.is_some() => case.when_then_expr.len().max(1),
        _ => 1,
    };
    own.operators = operators.saturating_mul(times).saturating_add(own.operators);
    own.texts = own.texts.max(match expr {
        Expr::ScalarFunction(call) => stretched(call, first.unwrap_or_default().texts, texts),
        // What has no text is as good as a column.
        expr if expr.get_type(schema).is_ok_and(|kind| !has_text(&kind)) => 1,
        _ => texts,
    });
    // What compares a text is short itself.
    largest.texts = largest.texts.max(own.texts);
    Ok(own)
}

/// How long a function's text may be, of whose arguments the first and all together are so long. Of
/// those whose value has a length of its own, that is a constant.
fn stretched(call: &ScalarFunction, first: usize, all: usize) -> usize {
    let argument = |at: usize| match call.args.get(at) {
        Some(Expr::Literal(value, _)) => Some(value),
        _ => None,
    };
    let count = argument(1).and_then(|value| match literal_value(value)? {
        Value::Integer(count) => usize::try_from(count.max(0)).ok(),
        Value::Boolean(_) | Value::Bytes(_) => None,
    });
    match call.func.name() {
        "repeat" => first.saturating_mul(count.unwrap_or(usize::MAX).max(1)),
        "lpad" | "rpad" => match count {
            Some(count) if count <= FILLED_MAX => all.max(count / TEXT_BYTES),
            _ => usize::MAX,
        },
        "replace" => {
            let bytes = |at| argument(at)?.try_as_str().flatten().map(str::len);
            match (bytes(1), bytes(2)) {
                (Some(from), Some(to)) => first.saturating_mul(1 + to / from.max(1)),
                _ => first.saturating_mul(TEXT_BYTES),
            }
        }
        _ => all,
    }
}

fn has_text(kind: &DataType) -> bool {
    kind.is_string() || kind.is_binary() || kind.is_nested()
}
