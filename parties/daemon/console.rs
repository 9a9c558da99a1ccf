//! Health and metrics over plain HTTP, on the loopback interface unless party.toml says otherwise.
//! Read-only and without parameters.

use super::Daemon;
use crate::failure::{Failure, Outcome};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until it is dropped.
///
/// # Errors
/// Unexpected when the listener breaks.
pub(super) async fn serve(daemon: Arc<Daemon>, listener: TcpListener) -> Outcome<()> {
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(figures))
        .with_state(daemon);
    let served = axum::serve(listener, router).await;
    served.map_err(|error| Failure::unexpected(format!("console: {error}")))
}

/// The process answers.
async fn health() -> &'static str {
    "ok\n"
}

/// New queries are begun.
async fn readiness(State(daemon): State<Arc<Daemon>>) -> (StatusCode, &'static str) {
    match daemon.draining() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        false => (StatusCode::OK, "ready\n"),
    }
}

async fn figures(State(daemon): State<Arc<Daemon>>) -> impl IntoResponse {
    let text = daemon.metrics.render(&daemon.admission, &daemon.workers, daemon.draining());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], text)
}
