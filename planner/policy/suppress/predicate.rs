//! The predicate that marks a smallest group. It is opaque to the optimizer, has no name in SQL,
//! and is never computed by DataFusion: the joint part has an operator for it.

use arrow_schema::DataType;
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use std::sync::Arc;

const NAME: &str = "enough_entities";

/// Whether `number`, a BIGINT, is at least `size`.
pub(super) fn enough(number: Expr, size: u32) -> Expr {
    let arguments = vec![DataType::Int64, DataType::Int64];
    let signature = Signature::exact(arguments, Volatility::Immutable);
    let func = Arc::new(ScalarUDF::new_from_impl(Enough { signature }));
    let size = lit(ScalarValue::Int64(Some(i64::from(size))));
    Expr::ScalarFunction(ScalarFunction { func, args: vec![number, size] })
}

/// Number and size of a smallest-group predicate.
pub(crate) fn threshold(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    match call.args.as_slice() {
        [number, size] if call.func.name() == NAME => Some((number, size)),
        _ => None,
    }
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct Enough {
    signature: Signature,
}

impl ScalarUDFImpl for Enough {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("the size of groups is checked in the joint part only")
    }
}
