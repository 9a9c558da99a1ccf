//! The `senate` binary: arguments in, exit code out.
#![forbid(unsafe_code)]

use clap::Parser;
use senate::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    senate::cli::run(Cli::parse())
}
