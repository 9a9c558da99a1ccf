use super::*;
use crate::ir::{Column, Schema, SortKey};
use crate::lower::{Field, LeafColumn, LeafLayout, Ordering, Shape};
use crate::types::{ColumnType, SqlType};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use senate_circuit::PartyId;
use std::sync::Arc;

fn kinds() -> [ColumnType; 2] {
    [
        ColumnType::between(SqlType::Int, -3, 9).with_nullable(true),
        ColumnType::full(SqlType::Varchar { bytes: 3 }),
    ]
}

fn layout(repeats: u32) -> (LeafLayout, Schema) {
    let fields: Vec<_> = kinds().into_iter().map(Field::plain).collect();
    let order = vec![SortKey { column: 1, descending: true, nulls_first: false }];
    let shape = Shape { fields, rows: 4, order, repeats, claims: Vec::new() };
    let column = |source| LeafColumn { source, skip_null: false };
    let columns = vec![column(0), column(1)];
    let party = PartyId::new(0).unwrap();
    let layout = LeafLayout { party, slot: 0, columns, shape, capacity: 4 };
    let names = ["n", "name"].iter().zip(kinds());
    let columns = names.map(|(name, kind)| Column { name: (*name).to_owned(), kind }).collect();
    (layout, Schema { columns, capacity: 4 })
}

fn batch(numbers: Vec<Option<i32>>, names: Vec<&str>) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int32Array::from(numbers));
    let names: ArrayRef = Arc::new(StringArray::from(names));
    RecordBatch::try_from_iter([("n", numbers), ("name", names)]).unwrap()
}

#[test]
fn rows_are_sorted_padded_and_come_back() {
    let (layout, schema) = layout(4);
    let given = batch(vec![Some(-3), None, Some(9)], vec!["a", "b", "bc"]);
    let bits = bits_of(&layout, &schema, &[given]).unwrap();
    assert_eq!(bits.len() as u64, layout.shape.wires());
    assert_eq!(bits.slice(0, 4), [true, true, true, false].into_iter().collect());
    let columns = vec![("n".to_owned(), DataType::Int32), ("name".to_owned(), DataType::Utf8)];
    let result = ResultSchema { columns, shape: layout.shape, ordering: Ordering::ByQuery };
    let wanted = batch(vec![Some(9), None, Some(-3)], vec!["bc", "b", "a"]);
    let back = batch_of(&result, &bits).unwrap();
    assert_eq!(back.columns(), wanted.columns());
    let free = ResultSchema { ordering: Ordering::Free, ..result.clone() };
    let wanted = batch(vec![Some(-3), Some(9), None], vec!["a", "bc", "b"]);
    assert_eq!(batch_of(&free, &bits).unwrap().columns(), wanted.columns());
    assert!(matches!(batch_of(&free, &bits.slice(1, 9)), Err(DecodeError::Size { .. })));
}

#[test]
fn what_the_declaration_forbids_is_refused_by_name() {
    let (layout, schema) = layout(1);
    let error = |numbers, names| bits_of(&layout, &schema, &[batch(numbers, names)]).unwrap_err();
    let outside = error(vec![Some(1), Some(10)], vec!["a", "b"]);
    assert_eq!(
        outside.to_string(),
        "column n, row 2: value outside the declared domain INT[-3..9]?"
    );
    let long = error(vec![Some(1)], vec!["four"]);
    assert!(matches!(long, EncodeError::OutsideDomain { ref column, .. } if column == "name"));
    let nul = error(vec![Some(1)], vec!["a\0"]);
    assert!(matches!(nul, EncodeError::OutsideDomain { .. }));
    let twice = error(vec![Some(1), Some(2)], vec!["a", "a"]);
    assert_eq!(twice, EncodeError::Duplicate { columns: "name".to_owned() });
    let many = error(vec![None; 5], vec!["a", "b", "c", "d", "e"]);
    assert_eq!(many, EncodeError::TooManyRows { rows: 5, capacity: 4 });
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let wrong = RecordBatch::try_from_iter([("n", numbers.clone()), ("name", numbers)]).unwrap();
    let wrong = bits_of(&layout, &schema, &[wrong]).unwrap_err();
    assert!(matches!(wrong, EncodeError::Type { ref column, .. } if column == "name"));
}
