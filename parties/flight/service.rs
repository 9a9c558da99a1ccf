//! The commands and actions of Flight SQL.

use super::auth::{Caller, bearer};
use super::executions::{Execution, Fetching, answer, at_once};
use super::handles::Handles;
use super::schema::encoded;
use super::statements::{self, Statement};
use super::{metadata, parameters};
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::{SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt,
    SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage,
    Ticket,
};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::{Stream, StreamExt, stream};
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

/// A statement or an answer that nobody asks for is forgotten after this time.
const IDLE_MAX: Duration = Duration::from_secs(1800);
/// Flight's own action beside those of Flight SQL, with a plain message as its body.
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
/// The client has finished.
const CLOSE_SESSION: &str = "CloseSession";
/// CloseSessionResult { status: CLOSED }, which the crate does not have.
const SESSION_CLOSED: &[u8] = &[0x08, 0x01];

type Served<T> = Result<Response<T>, Status>;
type DataStream = <Service as FlightService>::DoGetStream;
type ActionStream = <Service as FlightService>::DoActionStream;

/// Flight SQL for one daemon.
pub(super) struct Service {
    pub(super) daemon: Arc<Daemon>,
    pub(super) statements: Handles<Statement>,
    pub(super) executions: Arc<Handles<Execution>>,
    server: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl Service {
    pub(super) fn new(daemon: Arc<Daemon>) -> Outcome<Self> {
        let failed = |status: Status| Failure::unexpected(status.message().to_owned());
        Ok(Self {
            daemon,
            statements: Handles::new("statement", IDLE_MAX),
            executions: Arc::new(Handles::new("query", IDLE_MAX)),
            server: metadata::server().map_err(failed)?,
            types: metadata::types().map_err(failed)?,
        })
    }

    /// Holds a query until its answer is fetched.
    pub(super) fn ticket(&self, caller: &Caller, query: Execution) -> Result<Ticket, Status> {
        let statement_handle = self.executions.put(caller, query)?.to_vec().into();
        Ok(ticket(&TicketStatementQuery { statement_handle }))
    }

    /// The query of a FlightInfo that this server has given out.
    fn execution_of(&self, caller: &Caller, info: &FlightInfo) -> Result<Arc<Execution>, Status> {
        let ticket = info.endpoint.first().and_then(|endpoint| endpoint.ticket.as_ref());
        let ticket = ticket.ok_or_else(|| Status::invalid_argument("no ticket in the info"))?;
        let malformed = |_| Status::invalid_argument("not a ticket of this server");
        let any = arrow_flight::sql::Any::decode(&*ticket.ticket).map_err(malformed)?;
        let query: Option<TicketStatementQuery> =
            any.unpack().map_err(|_| Status::invalid_argument("not a ticket of this server"))?;
        let query = query.ok_or_else(|| Status::invalid_argument("not the ticket of a query"))?;
        self.executions.find(&caller.user, &query.statement_handle)
    }

    fn server_info(&self, query: &CommandGetSqlInfo) -> Result<RecordBatch, Status> {
        let rows = self.server.record_batch(query.info.iter().copied());
        rows.map_err(|error| Status::internal(error.to_string()))
    }

    fn type_info(&self, query: &CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
        let rows = self.types.record_batch(query.data_type);
        rows.map_err(|error| Status::internal(error.to_string()))
    }

    fn cancel(&self, caller: &Caller, info: &FlightInfo) -> Result<CancelStatus, Status> {
        let query = self.execution_of(caller, info)?;
        Ok(match query.cancel("cancelled by its Flight client") {
            true => CancelStatus::Cancelled,
            false => CancelStatus::NotCancellable,
        })
    }
}

/// Where an answer with this schema is fetched.
pub(super) fn info(
    schema: &Schema,
    ticket: Option<Ticket>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let IpcMessage(schema) = encoded(schema)?;
    let endpoint = ticket.map(|ticket| FlightEndpoint::new().with_ticket(ticket));
    let mut info = FlightInfo::new().with_descriptor(descriptor).with_ordered(true);
    info.schema = schema;
    info.endpoint = endpoint.into_iter().collect();
    Ok(info)
}

/// The ticket that is a message of Flight SQL.
fn ticket(message: &impl ProstMessageExt) -> Ticket {
    Ticket::new(message.as_any().encode_to_vec())
}

/// Metadata is fetched with its own command.
fn described(
    command: &impl ProstMessageExt,
    rows: Result<RecordBatch, Status>,
    request: Request<FlightDescriptor>,
) -> Served<FlightInfo> {
    let info = info(&rows?.schema(), Some(ticket(command)), request.into_inner())?;
    Ok(Response::new(info))
}

fn streamed(rows: Result<RecordBatch, Status>) -> Served<DataStream> {
    Ok(Response::new(at_once(rows?)))
}

fn read_only() -> Status {
    Status::unimplemented("this server answers queries and changes nothing; execute, do not update")
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    /// The caller has been checked before: the token of a password serves as a bearer token.
    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Served<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>> {
        let bearer = bearer(request.metadata())?;
        let response = HandshakeResponse { protocol_version: 0, payload: Vec::new().into() };
        let mut response = Response::new(stream::iter([Ok(response)]).boxed());
        if let Some(bearer) = bearer {
            let value = bearer.parse().map_err(|_| Status::unauthenticated("not a token"))?;
            response.metadata_mut().insert("authorization", value);
        }
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        let caller = Caller::of(&request)?;
        let plan = statements::plan(&self.daemon, &query.query).await?;
        let query = Execution::new(plan);
        let schema = Arc::clone(&query.schema);
        let ticket = self.ticket(&caller, query)?;
        Ok(Response::new(info(&schema, Some(ticket), request.into_inner())?))
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        let caller = Caller::of(&request)?;
        let statement = self.statements.find(&caller.user, &query.prepared_statement_handle)?;
        let query = Execution::new(statement.plan(&self.daemon).await?);
        let schema = Arc::clone(&query.schema);
        let ticket = self.ticket(&caller, query)?;
        Ok(Response::new(info(&schema, Some(ticket), request.into_inner())?))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Served<DataStream> {
        let caller = Caller::of(&request)?;
        let query = self.executions.find(&caller.user, &ticket.statement_handle)?;
        let job = query.begin(&self.daemon, &caller.user)?;
        let (queries, handle) = (Arc::clone(&self.executions), ticket.statement_handle.to_vec());
        let fetching = Fetching { job, queries, handle };
        Ok(Response::new(answer(fetching, Arc::clone(&query.schema))))
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let caller = Caller::of(&request)?;
        let statement = self.statements.find(&caller.user, &query.prepared_statement_handle)?;
        statement.bind(parameters::bound(request).await?)?;
        let prepared_statement_handle = Some(query.prepared_statement_handle);
        Ok(DoPutPreparedStatementResult { prepared_statement_handle })
    }

    async fn do_put_statement_update(
        &self,
        _command: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _command: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(read_only())
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let caller = Caller::of(&request)?;
        let statement = Statement::prepare(&self.daemon, &query.query).await?;
        let schema = statement.schema.as_ref().map(|schema| encoded(schema)).transpose()?;
        let IpcMessage(parameter_schema) = encoded(&statement.parameters)?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.statements.put(&caller, statement)?.to_vec().into(),
            dataset_schema: schema.map(|IpcMessage(schema)| schema).unwrap_or_default(),
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let caller = Caller::of(&request)?;
        self.statements.remove(&caller.user, &query.prepared_statement_handle).map(|_| ())
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let caller = Caller::of(&request)?;
        // The older action's results have the numbers of Flight's own.
        let result = self.cancel(&caller, &decoded(&query.info)?)? as i32;
        Ok(ActionCancelQueryResult { result })
    }

    /// Flight's own actions, whose bodies are plain messages.
    async fn do_action_fallback(&self, request: Request<Action>) -> Served<ActionStream> {
        let caller = Caller::of(&request)?;
        let Action { r#type: action, body } = request.into_inner();
        let body = match action.as_str() {
            CANCEL_FLIGHT_INFO => {
                let cancelled: CancelFlightInfoRequest = decoded(&body)?;
                let info = cancelled.info.ok_or_else(|| Status::invalid_argument("no info"))?;
                CancelFlightInfoResult::new(self.cancel(&caller, &info)?).encode_to_vec()
            }
            CLOSE_SESSION => {
                self.statements.close(&caller);
                self.executions.close(&caller);
                SESSION_CLOSED.to_vec()
            }
            _ => return Err(Status::unimplemented("no such action: this server only answers")),
        };
        let result = arrow_flight::Result::new(body);
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn list_custom_actions(&self) -> Option<Vec<Result<ActionType, Status>>> {
        let action = |name: &str, description: &str| {
            Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
        };
        let close = "Gives up the statements and queries of this connection";
        Some(vec![action(CANCEL_FLIGHT_INFO, "Cancels a query"), action(CLOSE_SESSION, close)])
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, metadata::catalogs(&self.daemon.workspace().federation, query), request)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(metadata::catalogs(&self.daemon.workspace().federation, query))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(
            &query,
            metadata::schemas(&self.daemon.workspace().federation, query.clone()),
            request,
        )
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(metadata::schemas(&self.daemon.workspace().federation, query))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(
            &query,
            metadata::tables(&self.daemon.workspace().federation, query.clone()),
            request,
        )
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(metadata::tables(&self.daemon.workspace().federation, query))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, metadata::table_types(query), request)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(metadata::table_types(query))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, self.server_info(&query), request)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(self.server_info(&query))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, self.type_info(&query), request)
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(self.type_info(&query))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, Ok(metadata::primary_keys()), request)
    }

    async fn do_get_primary_keys(
        &self,
        _query: CommandGetPrimaryKeys,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(Ok(metadata::primary_keys()))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, Ok(metadata::foreign_keys()), request)
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(Ok(metadata::foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, Ok(metadata::foreign_keys()), request)
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(Ok(metadata::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Served<FlightInfo> {
        described(&query, Ok(metadata::foreign_keys()), request)
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        _request: Request<Ticket>,
    ) -> Served<DataStream> {
        streamed(Ok(metadata::foreign_keys()))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
