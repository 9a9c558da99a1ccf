//! `senate serve`: a party's daemon.

use crate::config::Workspace;
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// What `serve` prints on stderr, before the address, once its port is open.
pub const READY: &str = "listening on";

/// Arguments of `senate serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate serve --workspace study --as hospital_a\n\n\
    SIGTERM or Ctrl-C lets running queries end, then stops.")]
pub struct Options {
    /// The workspace directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// The party
    #[arg(long = "as", value_name = "PARTY")]
    party: String,
}

/// Serves until a signal.
///
/// # Errors
/// Usage for a wrong workspace or identity, or a port in use.
pub async fn run(options: Options) -> Outcome<()> {
    let workspace = Workspace::open(&options.workspace)?;
    let party = workspace.party(&options.party)?;
    let daemon = Arc::new(Daemon::new(workspace, party)?);
    let failed = |error| Failure::unexpected(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    daemon.serve(stop, |address| eprintln!("{} {READY} {address}", options.party)).await
}
