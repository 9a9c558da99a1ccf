//! `senate shell`: questions one after the other, typed or from a script.

use crate::cli::{self, Place, Verbosity};
use crate::failure::{Cause, Failure, Outcome};
use crate::shell::{Flow, Prompt, Read, Shell, Splitter};
use clap::Args;
use std::io::{BufRead, IsTerminal};
use tokio::sync::mpsc;

/// Arguments of `senate shell`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate shell --local study\n  \
    senate shell --workspace study --as hospital_a < questions.sql > answers.txt\n\n\
    \\? lists the commands. Ctrl-C cancels the running query, not the shell. A script ends with its\n\
    first error and that error's exit code.")]
pub struct Options {
    /// Where questions run.
    #[command(flatten)]
    place: Place,
    /// Give up each query after this many seconds
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Reads until the end of the input or `\q`.
///
/// # Errors
/// Usage for a wrong workspace; in a script the first error.
pub async fn run(options: Options, verbosity: Verbosity) -> Outcome<()> {
    let shell = Shell::new(options.place.resolve()?, options.timeout, verbosity.quiet);
    shell.workspace()?;
    match std::io::stdin().is_terminal() {
        true => converse(shell, verbosity).await,
        false => script(shell).await,
    }
}

/// With somebody at the terminal, errors are told and forgotten.
async fn converse(mut shell: Shell, verbosity: Verbosity) -> Outcome<()> {
    let prompt = Prompt::start()?;
    if !verbosity.quiet {
        eprintln!("senate {}; \\? lists the commands", env!("CARGO_PKG_VERSION"));
    }
    loop {
        let workspace = shell.workspace();
        let federation = workspace.as_ref().ok().map(|workspace| &workspace.federation);
        let sign = shell.prompt().unwrap_or_else(|_| "senate=> ".to_owned());
        let text = match prompt.read(sign, federation).await? {
            Read::Text(text) => text,
            Read::Interrupted => continue,
            Read::End => return Ok(()),
        };
        for piece in Splitter::split(&text) {
            match shell.run(piece, Some(&prompt)).await {
                Ok(Flow::Next) => {}
                Ok(Flow::Quit) => return Ok(()),
                Err(failure) => {
                    cli::report(&failure, verbosity.color);
                    // What was typed after a failed statement may rely on it.
                    break;
                }
            }
        }
    }
}

/// Without anybody to ask, the first error ends it.
async fn script(mut shell: Shell) -> Outcome<()> {
    let (mut lines, mut splitter) = (lines()?, Splitter::default());
    let mut number = 0;
    loop {
        let line = tokio::select! {
            biased;
            line = lines.recv() => line,
            Ok(()) = tokio::signal::ctrl_c() => {
                return Err(Failure::new(Cause::Interrupted, "interrupted"));
            }
        };
        let pieces = match &line {
            Some(line) => {
                number += 1;
                let line = line.as_ref();
                splitter.line(line.map_err(|why| Failure::usage(why.clone()).at("the script"))?)
            }
            None => splitter.end().into_iter().collect(),
        };
        for piece in pieces {
            let at = |failure: Failure| failure.at(format!("line {number}"));
            if shell.run(piece, None).await.map_err(at)? == Flow::Quit {
                return Ok(());
            }
        }
        if line.is_none() {
            return Ok(());
        }
    }
}

/// Lines of standard input, read by a thread that may block, a few ahead at most.
fn lines() -> Outcome<mpsc::Receiver<Result<String, String>>> {
    let (sender, lines) = mpsc::channel(16);
    let read = move || {
        for (at, line) in std::io::stdin().lock().lines().enumerate() {
            let line = line.map_err(|error| error.to_string());
            // Some editors mark files as UTF-8.
            let unmarked = |line: String| match (at, line.strip_prefix('\u{feff}')) {
                (0, Some(rest)) => rest.to_owned(),
                _ => line,
            };
            let line = line.map(unmarked);
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("script".to_owned())
        .spawn(read)
        .map_err(|error| Failure::unexpected(format!("a thread for the script: {error}")))?;
    Ok(lines)
}
