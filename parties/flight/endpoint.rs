//! The calls of Flight: those of Flight SQL, and the two that its dispatcher leaves out, describing
//! a query's schema and polling a query that runs.

use super::auth::Caller;
use super::executions::Execution;
use super::schema::encoded;
use super::service::{Service, info};
use super::statements;
use super::status::status;
use crate::daemon::Daemon;
use crate::failure::Outcome;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    IpcMessage, PollInfo, SchemaResult, Ticket,
};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

/// A poll waits this long for something new.
const POLL_MAX: Duration = Duration::from_secs(2);

type Served<T> = Result<Response<T>, Status>;

/// What is served.
pub(super) struct Endpoint {
    sql: Service,
}

impl Endpoint {
    pub(super) fn new(daemon: Arc<Daemon>) -> Outcome<Self> {
        Ok(Self { sql: Service::new(daemon)? })
    }

    /// The query that a command asks for.
    async fn query(&self, caller: &Caller, command: Command) -> Result<Execution, Status> {
        let plan = match command {
            Command::CommandStatementQuery(query) => {
                statements::plan(&self.sql.daemon, &query.query).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                let statement = self.sql.statements.find(&caller.user, handle)?;
                statement.plan(&self.sql.daemon).await?
            }
            _ => return Err(Status::unimplemented("only queries can be polled or described")),
        };
        Ok(Execution::new(plan))
    }

    /// How the query of this ticket is getting on.
    async fn polled(
        &self,
        caller: &Caller,
        ticket: TicketStatementQuery,
        asked: FlightDescriptor,
    ) -> Result<PollInfo, Status> {
        let query = self.sql.executions.find(&caller.user, &ticket.statement_handle)?;
        let job = query.begin(&self.sql.daemon, &caller.user)?;
        let mut phases = job.progress().subscribe();
        phases.mark_unchanged();
        let news = async {
            tokio::select! {
                _ = job.wait() => {}
                _ = phases.changed() => {}
            }
        };
        let _ = timeout(POLL_MAX, news).await;
        let command = ticket.as_any().encode_to_vec();
        match job.ended().as_deref().map(|end| end.outcome()) {
            Some(Err(failure)) => Err(status(&failure)),
            Some(Ok(_)) => {
                let info = info(&query.schema, Some(Ticket::new(command)), asked)?;
                let done = PollInfo::new().with_info(info.with_app_metadata("done"));
                done.try_with_progress(1.0).map_err(super::status::encoding)
            }
            None => {
                // The ticket lets a client cancel, or wait for the answer without polling.
                let info = info(&query.schema, Some(Ticket::new(command.clone())), asked)?;
                let running = PollInfo::new()
                    .with_info(info.with_app_metadata(job.phase()))
                    .with_descriptor(FlightDescriptor::new_cmd(command));
                let progress = query.progress(job.started().elapsed());
                running.try_with_progress(progress).map_err(super::status::encoding)
            }
        }
    }
}

fn command(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    let malformed = || Status::invalid_argument("not a command of Flight SQL");
    let any = Any::decode(&*descriptor.cmd).map_err(|_| malformed())?;
    Command::try_from(any).map_err(|_| malformed())
}

#[tonic::async_trait]
impl FlightService for Endpoint {
    type HandshakeStream = <Service as FlightService>::HandshakeStream;
    type ListFlightsStream = <Service as FlightService>::ListFlightsStream;
    type DoGetStream = <Service as FlightService>::DoGetStream;
    type DoPutStream = <Service as FlightService>::DoPutStream;
    type DoActionStream = <Service as FlightService>::DoActionStream;
    type ListActionsStream = <Service as FlightService>::ListActionsStream;
    type DoExchangeStream = <Service as FlightService>::DoExchangeStream;

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Served<PollInfo> {
        let caller = Caller::of(&request)?;
        let descriptor = request.into_inner();
        let ticket = match command(&descriptor)? {
            Command::TicketStatementQuery(ticket) => ticket,
            command => {
                let query = self.query(&caller, command).await?;
                let handle = self.sql.executions.put(&caller, query)?;
                TicketStatementQuery { statement_handle: handle.to_vec().into() }
            }
        };
        Ok(Response::new(self.polled(&caller, ticket, descriptor).await?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Served<SchemaResult> {
        let caller = Caller::of(&request)?;
        let query = self.query(&caller, command(request.get_ref())?).await?;
        let IpcMessage(schema) = encoded(&query.schema)?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Served<Self::HandshakeStream> {
        self.sql.handshake(request).await
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Served<Self::ListFlightsStream> {
        self.sql.list_flights(request).await
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Served<FlightInfo> {
        self.sql.get_flight_info(request).await
    }

    async fn do_get(&self, request: Request<Ticket>) -> Served<Self::DoGetStream> {
        self.sql.do_get(request).await
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Served<Self::DoPutStream> {
        self.sql.do_put(request).await
    }

    async fn do_action(&self, request: Request<Action>) -> Served<Self::DoActionStream> {
        self.sql.do_action(request).await
    }

    async fn list_actions(&self, request: Request<Empty>) -> Served<Self::ListActionsStream> {
        self.sql.list_actions(request).await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Served<Self::DoExchangeStream> {
        self.sql.do_exchange(request).await
    }
}
