//! `senate serve`: a party's daemon.

use crate::cli::{Own, Verbosity};
use crate::daemon::Daemon;
use crate::failure::{Cause, Failure, Outcome};
use crate::roster::{self, Standing};
use clap::Args;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What `serve` prints on stderr, before the address, once its port is open.
pub const READY: &str = "listening on";

/// Arguments of `senate serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate serve --workspace study --as hospital_a\n\n\
    SIGTERM or Ctrl-C refuses new queries and lets running ones end; a second one stops at once.")]
pub struct Options {
    /// Whose.
    #[command(flatten)]
    own: Own,
}

/// Serves until a signal, then drains; a second signal ends it at once.
///
/// # Errors
/// Usage for a wrong workspace or identity, or a port in use.
pub async fn run(options: Options, verbosity: Verbosity) -> Outcome<()> {
    let (workspace, party) = options.own.open()?;
    if roster::check(&workspace)? == Standing::Signed {
        tracing::info!("every party has signed federation.toml");
    }
    let daemon = Arc::new(Daemon::new(workspace, party, &verbosity.arguments())?);
    let failed = |error| Failure::unexpected(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (drain, drained) = oneshot::channel();
    let stop = async move {
        let _ = drained.await;
    };
    let serving =
        daemon.serve(stop, |address| eprintln!("{} {READY} {address}", options.own.party));
    tokio::pin!(serving);
    let mut drain = Some(drain);
    loop {
        tokio::select! {
            served = &mut serving => return served,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let Some(drain) = drain.take() else {
            let why = "stopped before running queries had ended";
            return Err(Failure::new(Cause::Interrupted, why));
        };
        let _ = drain.send(());
    }
}
