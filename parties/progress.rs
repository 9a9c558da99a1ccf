//! What is happening, on stderr, when somebody is watching.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::sync::watch;

/// A line that shows the present phase.
pub struct Progress {
    bar: ProgressBar,
    sender: watch::Sender<String>,
    shown: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Shows phases if stderr is a terminal and nobody asked for silence.
    pub fn start(quiet: bool) -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        if quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let (sender, mut phases) = watch::channel(String::new());
        let line = bar.clone();
        let shown = tokio::spawn(async move {
            while phases.changed().await.is_ok() {
                line.set_message(phases.borrow_and_update().clone());
            }
        });
        Self { bar, sender, shown }
    }

    /// Where phases are announced.
    pub fn sender(&self) -> watch::Sender<String> {
        self.sender.clone()
    }

    /// Clears the line, as dropping it does.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shown.abort();
        self.bar.finish_and_clear();
    }
}
