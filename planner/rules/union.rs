//! UNION ALL.
//!
//! Valid because bag union is associative: parts stay plaintext parts, so that operators above
//! still reach their owners; if one input is joint, all become joint under one union. DISTINCT
//! above is the optimizer's aggregate without functions.

use super::project::projected;
use super::{Joint, Part, Relation, Splitter};
use crate::ir::{Column, Expr, Node, Schema};
use crate::sql::PlanError;
use crate::types::ColumnType;
use datafusion_common::Column as Named;
use datafusion_expr::{Expr as Logical, LogicalPlan, Projection, Union};
use std::sync::Arc;

impl Splitter<'_> {
    pub(super) fn union(
        &mut self,
        node: &Union,
        plan: &LogicalPlan,
    ) -> Result<Relation, PlanError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(self.relation(input)?);
        }
        if inputs.iter().all(|input| matches!(input, Relation::Parts(_))) {
            let mut parts = Vec::new();
            for input in inputs {
                if let Relation::Parts(own) = input {
                    parts.extend(own);
                }
            }
            let named = parts.into_iter().map(|part| renamed(part, plan));
            return named.collect::<Result<_, _>>().map(Relation::Parts);
        }
        let mut nodes = Vec::with_capacity(inputs.len());
        for input in inputs {
            nodes.push(self.joint(input)?.node);
        }
        let node = unite(nodes)?;
        Ok(Relation::Joint(Joint { node, distinct: Vec::new() }))
    }
}

/// The part under the union's column names, so that operators above can be put on top of it.
fn renamed(part: Part, union: &LogicalPlan) -> Result<Part, PlanError> {
    if part.plan.schema().columns() == union.schema().columns() {
        return Ok(part);
    }
    let own = part.plan.schema().columns();
    let exprs = own.into_iter().zip(union.schema().columns()).map(|(from, to)| {
        let Named { relation, name, .. } = to;
        Logical::Column(from).alias_qualified(relation, name)
    });
    let projection = Projection::try_new(exprs.collect(), Arc::new(part.plan))?;
    Ok(Part { party: part.party, plan: LogicalPlan::Projection(projection) })
}

/// The union of nodes, each cast to the smallest common column types.
fn unite(nodes: Vec<Node>) -> Result<Node, PlanError> {
    let mut columns: Vec<Column> = Vec::new();
    for node in &nodes {
        for (index, column) in node.columns().iter().enumerate() {
            match columns.get_mut(index) {
                None => columns.push(column.clone()),
                Some(common) => {
                    common.kind = common.kind.hull(column.kind).ok_or_else(|| {
                        PlanError::unsupported(format!("UNION of types in column {}", column.name))
                    })?;
                }
            }
        }
    }
    let capacity = nodes.iter().fold(0u32, |sum, node| sum.saturating_add(node.capacity()));
    let inputs = nodes.into_iter().map(|node| cast(node, &columns)).collect::<Result<_, _>>()?;
    Ok(Node::Union { inputs, schema: Schema { columns, capacity } })
}

fn cast(node: Node, columns: &[Column]) -> Result<Node, PlanError> {
    let expr = |(index, (own, common)): (usize, (&Column, &Column))| {
        let same: ColumnType = common.kind;
        if own.kind == same {
            Expr::Column(index)
        } else {
            Expr::Cast(Box::new(Expr::Column(index)), same)
        }
    };
    let exprs: Vec<Expr> = node.columns().iter().zip(columns).enumerate().map(expr).collect();
    let names = columns.iter().map(|column| column.name.clone()).collect();
    projected(node, exprs, names)
}
