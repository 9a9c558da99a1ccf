//! One spelling of a result's schema, the same when it is prepared, described and streamed: every
//! column nullable, plain strings, no dictionaries, no metadata.

use super::status::encoding;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::IpcWriteOptions;
use datafusion::arrow::record_batch::RecordBatch;
use senate_planner::catalog::Table;
use std::sync::Arc;
use tonic::Status;

/// The schema of columns with these names and types.
pub(super) fn schema_of<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a DataType)>,
) -> SchemaRef {
    let field = |(name, kind): (&str, &DataType)| Field::new(name, normal(kind), true);
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

/// The schema of a table.
pub(super) fn table_schema(table: &Table) -> Schema {
    let field = |column: &senate_planner::catalog::TableColumn| {
        Field::new(&column.name, normal(&column.kind.sql.arrow()), column.kind.nullable)
    };
    Schema::new(table.columns.iter().map(field).collect::<Vec<_>>())
}

fn normal(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => normal(values),
        other => other.clone(),
    }
}

/// The rows under exactly this schema.
pub(super) fn under(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, Status> {
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(encoding)?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(encoding)
}

/// The schema as a message of Arrow's IPC format.
pub(super) fn encoded(schema: &Schema) -> Result<IpcMessage, Status> {
    SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into().map_err(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, StringViewArray};

    #[test]
    fn views_and_dictionaries_become_plain_columns() {
        let view = Arc::new(StringViewArray::from(vec!["x", "y"])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("s", view)]).unwrap();
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8));
        let schema = schema_of([("s", &dictionary)]);
        assert_eq!(schema, schema_of([("s", &DataType::Utf8View)]));
        let rows = under(&schema, &rows).unwrap();
        assert_eq!((rows.schema(), rows.num_rows()), (schema, 2));
    }
}
