//! COUNT(DISTINCT x) beside other aggregates.
//!
//! The rows are first grouped by the keys and x, then by the keys: a value of x is one row in
//! between, and the other aggregates' partials are combined once more. Valid because COUNT, SUM,
//! MIN and MAX of a union of groups combine from theirs, and equal values of x meet in one row
//! whoever brings them.

use super::{Partial, combine};
use crate::ir::{Expr, Node};
use crate::rules::project::projected;
use crate::rules::scalar::number;
use crate::sql::PlanError;
use crate::types::{ColumnType, SqlType};
use datafusion_expr::{Aggregate, Expr as Logical};
use std::sync::Arc;

/// The groups by keys and counted value, in the place of `node`.
pub(super) fn by_value(node: &Aggregate, counted: &Logical) -> Result<Aggregate, PlanError> {
    let mut keys = node.group_expr.clone();
    // The name keeps it apart from a key that it may equal.
    keys.push(counted.clone().unalias().alias("counted value"));
    Ok(Aggregate::try_new(Arc::clone(&node.input), keys, Vec::new())?)
}

/// From one row per key and value to one per key: keys, partials, number of values.
pub(super) fn counted(values: Node, keys: usize, partials: &[Partial]) -> Result<Node, PlanError> {
    let columns = values.columns().to_vec();
    let value = columns.get(keys).map(|column| column.kind);
    let value = value.ok_or_else(|| PlanError::unsupported("COUNT(DISTINCT) without a value"))?;
    let one = || number(1, SqlType::BigInt);
    let unit = match value.nullable {
        false => one(),
        true => Expr::Case {
            branches: vec![(
                Expr::IsNull(Box::new(Expr::Column(keys))),
                number(0, SqlType::BigInt),
            )],
            otherwise: Box::new(one()),
        },
    };
    let kept = (0..columns.len()).filter(|column| *column != keys);
    let mut exprs: Vec<Expr> = kept.map(Expr::Column).collect();
    exprs.push(unit);
    let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let name = names.remove(keys);
    names.push(name);
    // Over more rows of the same key, a partial keeps the bounds that it has over all rows.
    let mut ranges: Vec<ColumnType> =
        columns.iter().skip(keys + 1).map(|column| column.kind).collect();
    let least = i128::from(!value.nullable);
    let most = i128::from(values.capacity().max(1));
    ranges.push(ColumnType::between(SqlType::BigInt, least, most));
    let mut all = partials.to_vec();
    all.push(Partial::rows());
    let arguments = (keys..keys + all.len()).collect();
    combine(projected(values, exprs, names)?, keys, &all, arguments, ranges)
}
