//! Integer arithmetic that fails where DataFusion's wraps, so that an overflow in a party's own part
//! of a query is an error as it is in the joint part.

use datafusion::arrow::array::Datum;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, Projection,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use std::sync::Arc;

/// The plan with +, −, * and SUM over integers replaced by forms that report an overflow.
///
/// # Errors
/// An expression without a type.
pub(super) fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let node = arithmetic(node)?;
        match node {
            LogicalPlan::Aggregate(node) => sums(node).map(Transformed::yes),
            node => Ok(Transformed::yes(node)),
        }
    })
    .data()
}

/// The node with checked operators in its expressions, under the same names.
fn arithmetic(node: LogicalPlan) -> Result<LogicalPlan> {
    let inputs = node.inputs().into_iter().map(|input| input.schema().as_ref());
    let mut schema = DFSchema::empty();
    inputs.for_each(|input| schema.merge(input));
    let names = NamePreserver::new(&node);
    let replaced = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| operation(expr, &schema))?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?;
    replaced.data.recompute_schema()
}

fn operation(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (operation, operands) = match expr {
        Expr::BinaryExpr(BinaryExpr { ref left, op, ref right }) => {
            let operation = match op {
                Operator::Plus => Operation::Add,
                Operator::Minus => Operation::Subtract,
                Operator::Multiply => Operation::Multiply,
                _ => return Ok(Transformed::no(expr)),
            };
            (operation, vec![left.as_ref().clone(), right.as_ref().clone()])
        }
        Expr::Negative(ref inner) => (Operation::Negate, vec![inner.as_ref().clone()]),
        _ => return Ok(Transformed::no(expr)),
    };
    let kinds: Vec<_> = operands.iter().map(|e| e.get_type(schema)).collect::<Result<_>>()?;
    // Dates, decimals and floats have no wrapping forms; mixed types are not analysed yet.
    if !kinds.iter().all(|kind| kind.is_integer() && kinds.first() == Some(kind)) {
        return Ok(Transformed::no(expr));
    }
    let func = Arc::new(ScalarUDF::new_from_impl(Checked {
        operation,
        signature: Signature::any(operands.len(), Volatility::Immutable),
    }));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: operands })))
}

/// SUM over BIGINT in decimals, cast back above the aggregate.
fn sums(node: Aggregate) -> Result<LogicalPlan> {
    let keys = node.schema.fields().len() - node.aggr_expr.len();
    let mut is_wide = vec![false; keys];
    let schema = Arc::clone(node.input.schema());
    let mut aggregates = Vec::with_capacity(node.aggr_expr.len());
    for expr in node.aggr_expr.clone() {
        let wide = widened(&expr, &schema)?;
        is_wide.push(wide.is_some());
        aggregates.push(wide.unwrap_or(expr));
    }
    if !is_wide.contains(&true) {
        return Ok(LogicalPlan::Aggregate(node));
    }
    let wide = Aggregate::try_new(Arc::clone(&node.input), node.group_expr.clone(), aggregates)?;
    let wide = Arc::new(LogicalPlan::Aggregate(wide));
    let columns = wide.schema().columns().into_iter().zip(node.schema.columns()).zip(is_wide);
    let exprs = columns.map(|((own, original), is_wide)| match is_wide {
        false => Expr::Column(own),
        true => cast(Expr::Column(own), DataType::Int64)
            .alias_qualified(original.relation, original.name),
    });
    Projection::try_new(exprs.collect(), wide).map(LogicalPlan::Projection)
}

/// The aggregate over the argument as DECIMAL(20,0), when it is a SUM over BIGINT.
fn widened(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    match expr {
        Expr::Alias(Alias { expr, relation, name, .. }) => {
            Ok(widened(expr, schema)?
                .map(|wide| wide.alias_qualified(relation.clone(), name.clone())))
        }
        Expr::AggregateFunction(call) if call.func.name() == "sum" => {
            let mut call = call.clone();
            match call.params.args.as_mut_slice() {
                [argument] if argument.get_type(schema)? == DataType::Int64 => {
                    *argument = cast(argument.clone(), DataType::Decimal128(20, 0));
                    Ok(Some(Expr::AggregateFunction(call)))
                }
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(kind) => Ok(kind.clone()),
            None => internal_err!("{} without arguments", self.name()),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let kinds: Vec<_> = arguments.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&kinds)?, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let result = match (self.operation, arrays.as_slice()) {
            (Operation::Negate, [x]) => numeric::neg(x)?,
            (Operation::Add, [x, y]) => numeric::add(x as &dyn Datum, y as &dyn Datum)?,
            (Operation::Subtract, [x, y]) => numeric::sub(x as &dyn Datum, y as &dyn Datum)?,
            (Operation::Multiply, [x, y]) => numeric::mul(x as &dyn Datum, y as &dyn Datum)?,
            _ => return internal_err!("{} of {} arguments", self.name(), arrays.len()),
        };
        Ok(ColumnarValue::Array(result))
    }
}
