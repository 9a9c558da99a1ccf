//! The result's columns.
//!
//! Joint domains may exceed a SQL type (sums are planned wide enough not to overflow); the final
//! cast brings them back to the type DataFusion gives, and raises the overflow flag otherwise.

use super::project::projected;
use crate::ir::{Expr, Node};
use crate::sql::{OutputColumn, PlanError};
use crate::types::SqlType;
use datafusion_common::DFSchema;

/// The root with columns of exactly DataFusion's types, and their description.
pub(super) fn finish(
    root: Node,
    schema: &DFSchema,
) -> Result<(Node, Vec<OutputColumn>), PlanError> {
    let mut exprs = Vec::with_capacity(root.columns().len());
    let mut names = Vec::with_capacity(root.columns().len());
    let mut is_cast = false;
    for (index, (column, field)) in root.columns().iter().zip(schema.fields()).enumerate() {
        let sql = match (SqlType::from_arrow(field.data_type()), column.kind.sql) {
            (Some(sql), _) => sql,
            (None, sql @ SqlType::Varchar { .. }) if field.data_type().is_string() => sql,
            _ => {
                return Err(PlanError::unsupported(format!(
                    "result column {} of type {}",
                    field.name(),
                    field.data_type()
                )));
            }
        };
        if !sql.is_comparable(column.kind.sql) {
            return Err(PlanError::unsupported(format!(
                "result column {}: {} where DataFusion has {sql}",
                field.name(),
                column.kind.sql
            )));
        }
        let wanted = crate::types::ColumnType { sql, ..column.kind }.clamped();
        if wanted == column.kind {
            exprs.push(Expr::Column(index));
        } else {
            is_cast = true;
            exprs.push(Expr::Cast(Box::new(Expr::Column(index)), wanted));
        }
        names.push(field.name().clone());
    }
    let root = if is_cast { projected(root, exprs, names.clone())? } else { root };
    let describe = |(index, name): (usize, String)| {
        let kind = root.columns().get(index)?.kind;
        let arrow = schema.fields().get(index)?.data_type().clone();
        Some(OutputColumn { name, kind, arrow })
    };
    let output = names.into_iter().enumerate().filter_map(describe).collect();
    Ok((root, output))
}
