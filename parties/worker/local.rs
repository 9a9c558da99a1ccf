//! Workers that a gateway starts on its own machine: one process for one session.

use crate::config::Workspace;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a process may take to offer itself.
const OFFER_MAX: Duration = Duration::from_secs(8);
/// How long it may go on once its session is over; then it is killed.
const GRACE: Duration = Duration::from_secs(15);
/// The program that runs, also when its file has been replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Resolves, in error, when the session of the worker is over.
pub(super) type Lease = oneshot::Receiver<()>;

/// How workers are started.
pub(super) struct Starter {
    arguments: Vec<OsString>,
}

impl Starter {
    /// For workers of `party`, with `more` arguments.
    pub(super) fn new(workspace: &Workspace, party: &str, more: &[String]) -> Self {
        let folder = workspace.folder.as_os_str();
        let fixed = ["worker".as_ref(), "--workspace".as_ref(), folder, "--as".as_ref()];
        let all = fixed.into_iter().chain([OsStr::new(party)]).chain(more.iter().map(OsStr::new));
        Self { arguments: all.map(OsStr::to_owned).collect() }
    }

    /// Worker `number` from its start to its end.
    ///
    /// # Errors
    /// Why it has not offered itself.
    pub(super) async fn run(
        &self,
        gateway: SocketAddr,
        number: u32,
        offered: oneshot::Receiver<Lease>,
    ) -> Result<(), String> {
        let mut child = self
            .spawn(gateway, number)
            .map_err(|error| format!("a session worker cannot be started: {error}"))?;
        let lease = tokio::select! {
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |it| it.to_string());
                return Err(format!("a session worker ended before it offered itself: {status}"));
            }
            lease = timeout(OFFER_MAX, offered) => lease,
        };
        let Ok(Ok(lease)) = lease else {
            let _ = child.kill().await;
            return Err("a session worker did not offer itself in time".to_owned());
        };
        tokio::select! {
            _ = child.wait() => return Ok(()),
            _ = lease => {}
        }
        if timeout(GRACE, child.wait()).await.is_err() {
            tracing::warn!("a session worker that did not end after its session is killed");
            let _ = child.kill().await;
        }
        Ok(())
    }

    fn spawn(&self, gateway: SocketAddr, number: u32) -> std::io::Result<Child> {
        let mut command = match std::fs::exists(OWN_PROGRAM) {
            Ok(true) => Command::new(OWN_PROGRAM),
            _ => Command::new(std::env::current_exe()?),
        };
        command.arg0("senate").args(&self.arguments);
        command.arg("--gateway").arg(gateway.to_string()).arg("--number").arg(number.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        // Ctrl-C in a terminal is for the daemon, which lets sessions end.
        command.process_group(0).spawn()
    }
}
