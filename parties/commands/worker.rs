//! `senate worker`: a process in which one of a party's sessions lives at a time.

use crate::cli::Own;
use crate::config::PartyConfig;
use crate::failure::{Cause, Failure, Outcome};
use crate::member::Member;
use crate::messages::Offer;
use crate::worker::Process;
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What a session still has to send leaves within this time.
const LINGER: Duration = Duration::from_millis(300);

/// Arguments of `senate worker`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, on a second machine of hospital_a, whose daemon has [workers] in its \
    party.toml:\n  \
    senate worker --workspace study --as hospital_a --gateway 10.0.0.5:7401 --listen 10.0.0.6:7500\n\n\
    The workspace holds federation.toml and the party's key; no tables are read here. The daemon \n\
    starts workers of its own machine by itself."
)]
pub struct Options {
    /// Which federation, and as whom
    #[command(flatten)]
    own: Own,
    /// Address of the party's daemon [default: the one in federation.toml]
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<String>,
    /// Where the daemon reaches this worker; port 0 takes any
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Given by a daemon to the workers that it starts: they serve one session
    #[arg(long, hide = true)]
    number: Option<u32>,
}

/// Serves sessions until a signal, which lets the one that runs end; a second signal ends it at once.
///
/// # Errors
/// Usage for a wrong workspace or identity, or a port in use; lost when the daemon that started it is
/// gone.
pub async fn run(options: Options) -> Outcome<()> {
    let (workspace, me) = options.own.open()?;
    let identity = PartyConfig::read(&workspace, me)?.identity(&workspace, me)?;
    let gateway = match options.gateway {
        Some(gateway) => gateway,
        None => workspace.address(me)?.to_owned(),
    };
    let opened = TcpListener::bind(options.listen).await;
    let opened = opened.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = opened.map_err(|error| {
        Failure::usage(format!("--listen {}: {error}", options.listen))
            .with_remedy("name an address of this machine and a free port")
    })?;
    let offer = Offer { address, number: options.number };
    let worker = Process::new(Member::new(workspace, me, identity)?, gateway, listener, offer)?;
    let failed = |error| Failure::unexpected(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let serving = async {
        if offer.number.is_none() {
            tracing::info!(%address, "session worker of {}", options.own.party);
            return worker.serve().await;
        }
        if let Err(failure) = worker.serve_once().await {
            tracing::debug!(%failure, "no session");
        }
    };
    tokio::pin!(serving);
    let mut signals = 0;
    loop {
        tokio::select! {
            () = &mut serving => break,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signals += 1;
        if signals > 1 {
            let why = "stopped before its session had ended";
            return Err(Failure::new(Cause::Interrupted, why));
        }
        worker.stop();
    }
    tokio::time::sleep(LINGER).await;
    Ok(())
}
