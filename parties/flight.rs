//! Arrow Flight SQL: queries in the party's name for its operator (mutual TLS with the party's
//! identity) and its analysts (bearer tokens), from ADBC, JDBC and pyarrow.
//!
//! Only this module knows Flight's types. Every query takes the same way as `senate query`: this
//! party asks, is the only recipient, and every participant agrees first.

mod auth;
mod endpoint;
mod executions;
mod handles;
mod incoming;
mod metadata;
mod parameters;
mod schema;
mod service;
mod statements;
mod status;

use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome};
use arrow_flight::flight_service_server::FlightServiceServer;
use auth::Authentication;
use endpoint::Endpoint;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

/// An idle connection is asked for a sign of life this often, and given this long to show one.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Calls of one connection at once.
const CALLS_MAX: u32 = 64;
/// Longest message of a client.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Serves until `stop` completes; then calls under way end.
///
/// # Errors
/// Usage for an identity that TLS cannot use, unexpected when the listener breaks.
pub(crate) async fn serve(
    daemon: Arc<Daemon>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Outcome<()> {
    let connections = incoming::connections(listener, daemon.identity())?;
    let authentication = Authentication::of(&daemon);
    let endpoint = FlightServiceServer::new(Endpoint::new(daemon)?)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let service = InterceptedService::new(endpoint, move |request| authentication.checked(request));
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(CALLS_MAX)
        .add_service(service)
        .serve_with_incoming_shutdown(connections, stop)
        .await
        .map_err(|error| Failure::unexpected(format!("Flight SQL: {error}")))
}
