//! What clients may know about the server and the federation's tables. All of it is public.
//!
//! A table appears under the empty schema, where it is the union of all parts, and under each
//! holder's name, where it is that party's part: as SQL names them.

use super::schema::table_schema;
use crate::messages::VERSION;
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables, Nullable,
    Searchable, SqlInfo, SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use senate_planner::catalog::Federation;
use std::sync::Arc;
use tonic::Status;

/// The only kind of table.
const TABLE: &str = "TABLE";
/// Schema of the unions.
const UNIONS: &str = "";

/// One catalog: the federation.
pub(super) fn catalogs(
    federation: &Federation,
    command: CommandGetCatalogs,
) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    builder.append(&federation.name);
    builder.build().map_err(|error| Status::internal(error.to_string()))
}

/// The empty schema, and one for each party.
pub(super) fn schemas(
    federation: &Federation,
    command: CommandGetDbSchemas,
) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    builder.append(&federation.name, UNIONS);
    federation.parties.iter().for_each(|party| builder.append(&federation.name, &party.name));
    builder.build().map_err(|error| Status::internal(error.to_string()))
}

/// Every table as a whole, then by holder.
pub(super) fn tables(
    federation: &Federation,
    command: CommandGetTables,
) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    let failed = |error: arrow_flight::error::FlightError| Status::internal(error.to_string());
    for table in &federation.tables {
        let schema = table_schema(table);
        let holders = table.holders.iter().map(|holder| federation.party_name(holder.party));
        for name in [UNIONS.to_owned()].into_iter().chain(holders) {
            let row = builder.append(&federation.name, name, &table.name, TABLE, &schema);
            row.map_err(failed)?;
        }
    }
    builder.build().map_err(failed)
}

pub(super) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    builder.append(TABLE);
    builder.build().map_err(|error| Status::internal(error.to_string()))
}

/// No primary keys: what a federation declares unique is so at each holder, and nobody's key.
pub(super) fn primary_keys() -> RecordBatch {
    nothing(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ])
}

/// No foreign keys, exported, imported or between two tables.
pub(super) fn foreign_keys() -> RecordBatch {
    nothing(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ])
}

/// No rows of columns that Flight SQL prescribes.
fn nothing(columns: &[(&str, DataType, bool)]) -> RecordBatch {
    let field = |(name, kind, nullable): &(&str, DataType, bool)| {
        Field::new(*name, kind.clone(), *nullable)
    };
    RecordBatch::new_empty(Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())))
}

/// What the server can do.
pub(super) fn server() -> Result<SqlInfoData, Status> {
    let mut builder = SqlInfoDataBuilder::new();
    builder.append(SqlInfo::FlightSqlServerName, "Senate");
    builder.append(SqlInfo::FlightSqlServerVersion, VERSION);
    builder.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    builder.append(SqlInfo::FlightSqlServerReadOnly, true);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    builder.append(SqlInfo::FlightSqlServerCancel, true);
    builder.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    builder.append(SqlInfo::SqlIdentifierCase, lower);
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, false);
    builder.append(SqlInfo::SqlDdlTable, false);
    builder.append(SqlInfo::SqlAllTablesAreSelectable, true);
    builder.append(SqlInfo::SqlSchemaTerm, "party");
    builder.append(SqlInfo::SqlCatalogTerm, "federation");
    builder.append(SqlInfo::SqlSupportsColumnAliasing, true);
    builder.append(SqlInfo::SqlSelectForUpdateSupported, false);
    builder.append(SqlInfo::SqlStoredProceduresSupported, false);
    builder.build().map_err(|error| Status::internal(error.to_string()))
}

/// The types of columns, by type code.
pub(super) fn types() -> Result<XdbcTypeInfoData, Status> {
    let number = |name: &str, kind, digits, scale: Option<i32>| XdbcTypeInfo {
        column_size: Some(digits),
        fixed_prec_scale: scale.is_none(),
        num_prec_radix: Some(10),
        minimum_scale: Some(0),
        maximum_scale: Some(scale.unwrap_or(0)),
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        ..kind_of(name, kind)
    };
    let quoted = |name: &str, kind, prefix: &str| XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..kind_of(name, kind)
    };
    let sized = |info| XdbcTypeInfo { create_params: Some(vec!["length".to_owned()]), ..info };
    let mut all = vec![
        kind_of("BOOLEAN", XdbcDataType::XdbcBit),
        number("SMALLINT", XdbcDataType::XdbcSmallint, 5, None),
        number("INT", XdbcDataType::XdbcInteger, 10, None),
        number("BIGINT", XdbcDataType::XdbcBigint, 19, None),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            ..number("DECIMAL", XdbcDataType::XdbcDecimal, 38, Some(38))
        },
        quoted("DATE", XdbcDataType::XdbcDate, "DATE '"),
        quoted("TIMESTAMP", XdbcDataType::XdbcTimestamp, "TIMESTAMP '"),
        sized(XdbcTypeInfo {
            case_sensitive: true,
            ..quoted("VARCHAR", XdbcDataType::XdbcVarchar, "'")
        }),
        sized(quoted("BINARY", XdbcDataType::XdbcBinary, "X'")),
    ];
    all.sort_by_key(|info| info.data_type as i32);
    let mut builder = XdbcTypeInfoDataBuilder::new();
    all.into_iter().for_each(|info| builder.append(info));
    builder.build().map_err(|error| Status::internal(error.to_string()))
}

fn kind_of(name: &str, kind: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        local_type_name: Some(name.to_owned()),
        data_type: kind,
        sql_data_type: kind,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        ..XdbcTypeInfo::default()
    }
}
