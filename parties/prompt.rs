//! Questions to whoever sits in front of a command.

use crate::failure::{Failure, Outcome};
use std::io::{BufRead, Write};

/// Asks a question that only "y" or "yes" affirms; the end of the input denies.
///
/// # Errors
/// Unexpected when the input cannot be read.
pub(crate) async fn confirmed(question: &str) -> Outcome<bool> {
    let failed = |why: String| Failure::unexpected(format!("reading an answer: {why}"));
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = line.await.map_err(|error| failed(error.to_string()))?;
    let line = line.map_err(|error| failed(error.to_string()))?;
    if line.is_empty() {
        let _ = writeln!(std::io::stderr());
    }
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
