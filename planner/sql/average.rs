//! AVG with the declared difference to DataFusion: over integers it is the exact quotient, rounded
//! half away from zero to 6 decimals. Over decimals and floats it is DataFusion's own.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::format_state_name;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion_functions_aggregate::average::{Avg, avg_udaf};
use std::collections::HashSet;
use std::sync::Arc;

/// Type of AVG over integers: 19 digits of a BIGINT and 6 decimals.
pub(crate) const INTEGER_AVERAGE: DataType = DataType::Decimal128(25, 6);

/// The AVG function of the federation, named `avg`.
pub(super) fn average() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Average {
        inner: Avg::new(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    inner: Avg,
    signature: Signature,
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [kind @ (DataType::Decimal128(..) | DataType::Float64)] => Ok(vec![kind.clone()]),
            [DataType::Float32] => Ok(vec![DataType::Float64]),
            [kind] if kind.is_integer() && *kind != DataType::UInt64 => Ok(vec![DataType::Int64]),
            _ => plan_err!("avg takes one number, not {arguments:?}"),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Int64] => Ok(INTEGER_AVERAGE),
            _ => self.inner.return_type(arguments),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match arguments.expr_fields.first().map(|field| field.data_type()) {
            Some(DataType::Int64) if arguments.is_distinct => {
                Ok(Box::new(Distinct { values: HashSet::new() }))
            }
            Some(DataType::Int64) => Ok(Box::new(Quotient { sum: 0, count: 0 })),
            _ => avg_udaf().inner().accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match arguments.input_fields.first().map(|field| field.data_type()) {
            Some(DataType::Int64) if arguments.is_distinct => {
                let name = format_state_name(arguments.name, "avg distinct");
                let value = Field::new_list_field(DataType::Int64, true);
                Ok(vec![Arc::new(Field::new_list(name, value, false))])
            }
            Some(DataType::Int64) => {
                let state = |name: &str, kind| {
                    Arc::new(Field::new(format_state_name(arguments.name, name), kind, false))
                };
                Ok(vec![state("sum", DataType::Decimal128(38, 0)), state("count", DataType::Int64)])
            }
            _ => self.inner.state_fields(arguments),
        }
    }
}

/// Exact sum and number of the values so far.
#[derive(Debug)]
struct Quotient {
    sum: i128,
    count: i64,
}

impl Accumulator for Quotient {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let [values] = values {
            let values = values.as_primitive::<Int64Type>();
            self.sum += values.iter().flatten().map(i128::from).sum::<i128>();
            self.count += (values.len() - values.null_count()) as i64;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = (self.count > 0).then(|| rounded(self.sum, i128::from(self.count)));
        Ok(ScalarValue::Decimal128(average, 25, 6))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Decimal128(Some(self.sum), 38, 0),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let [sums, counts] = states {
            self.sum += sums.as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
            self.count += counts.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        }
        Ok(())
    }
}

/// The different values so far.
#[derive(Debug)]
struct Distinct {
    values: HashSet<i64>,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let [values] = values {
            self.values.extend(values.as_primitive::<Int64Type>().iter().flatten());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.values.iter().copied().map(i128::from).sum();
        Quotient { sum, count: self.values.len() as i64 }.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<i64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<_> =
            self.values.iter().map(|value| ScalarValue::Int64(Some(*value))).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Int64))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let [lists] = states {
            for values in lists.as_list::<i32>().iter().flatten() {
                self.update_batch(&[values])?;
            }
        }
        Ok(())
    }
}

/// `sum / count` in millionths, half away from zero. |sum| < 2^95, so nothing overflows.
fn rounded(sum: i128, count: i128) -> i128 {
    let doubled = sum * 2_000_000;
    (doubled + doubled.signum() * count) / (2 * count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int64Array;

    #[test]
    fn equal_values_count_once_however_they_are_parted() {
        let distinct = |values: Vec<Option<i64>>| {
            let mut part = Distinct { values: HashSet::new() };
            part.update_batch(&[Arc::new(Int64Array::from(values)) as ArrayRef]).unwrap();
            part
        };
        let mut whole = distinct(Vec::new());
        assert_eq!(whole.evaluate().unwrap(), ScalarValue::Decimal128(None, 25, 6));
        for values in [vec![Some(1), None, Some(1)], vec![Some(2), Some(1), Some(-7)]] {
            let states = distinct(values).state().unwrap();
            let states: Vec<_> = states.iter().map(|state| state.to_array().unwrap()).collect();
            whole.merge_batch(&states).unwrap();
        }
        // (1 + 2 − 7) / 3.
        let expected = ScalarValue::Decimal128(Some(-1_333_333), 25, 6);
        assert_eq!(whole.evaluate().unwrap(), expected);
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(rounded(1, 3), 333_333);
        assert_eq!(rounded(2, 3), 666_667);
        assert_eq!(rounded(-2, 3), -666_667);
        assert_eq!(rounded(1, 2_000_000), 1);
        assert_eq!(rounded(-1, 2_000_000), -1);
        assert_eq!(rounded(7, 7), 1_000_000);
    }
}
