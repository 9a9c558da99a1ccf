//! The `senate` binary: arguments in, exit code out.
#![forbid(unsafe_code)]

use senate::cli::Cli;
use std::process::ExitCode;

/// Preprocessing takes and returns large buffers at a high rate: the default allocator gives their
/// pages back to the system each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::read(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(cli) => senate::cli::run(cli),
        Err(error) => error.exit(),
    }
}
