//! `senate bench`: the published figures as JSON.

use crate::bench::questions::{self, Baseline};
use crate::bench::{gates, limits};
use crate::failure::{Failure, Outcome};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Arguments of `senate bench`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  senate bench limits\n  senate bench gates --parties 3 --ands 400000\n  \
    senate bench primitives --parties 4 --rows 100\n\nPrints JSON. All parties run on this machine."
)]
pub struct Options {
    /// Which figure
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand, Debug)]
enum Figure {
    /// What one core of this machine can do at most
    Limits,
    /// AND gates per second, set-up, preprocessing and all checks included
    Gates {
        /// How many parties
        #[arg(long, default_value_t = 2)]
        parties: usize,
        /// AND gates of the circuit
        #[arg(long, default_value_t = 400_000)]
        ands: u64,
    },
    /// m-way intersection, sort and union, decomposed and in one circuit
    Primitives(Size),
    /// The packaged questions, decomposed and in one circuit
    Queries(Size),
}

#[derive(Args, Clone, Copy, Debug)]
struct Size {
    /// How many parties
    #[arg(long, default_value_t = 4)]
    parties: usize,
    /// Rows of each party
    #[arg(long)]
    rows: Option<usize>,
    /// Leave the one-circuit plan out
    #[arg(long)]
    decomposed_only: bool,
}

impl Size {
    fn baseline(self) -> Baseline {
        if self.decomposed_only { Baseline::Skipped } else { Baseline::Measured }
    }
}

/// Rows of each party in the primitives unless asked otherwise.
const PRIMITIVE_ROWS: usize = 100;

/// Measures and prints one figure.
///
/// # Errors
/// Usage for sizes that make no sense; otherwise as a query's.
pub async fn run(options: &Options) -> Outcome<()> {
    match &options.figure {
        Figure::Limits => print(&tokio::task::spawn_blocking(limits::measure).await.map_err(lost)?),
        Figure::Gates { parties, ands } => {
            let (parties, ands) = (*parties, *ands);
            let measure = tokio::task::spawn_blocking(move || gates::measure(parties, ands));
            print(&measure.await.map_err(lost)??)
        }
        Figure::Primitives(size) => {
            let rows = size.rows.unwrap_or(PRIMITIVE_ROWS);
            print(&questions::primitives(size.parties, rows, size.baseline()).await?)
        }
        Figure::Queries(size) => {
            print(&questions::packaged(size.parties, size.rows, size.baseline()).await?)
        }
    }
}

fn lost(error: tokio::task::JoinError) -> Failure {
    Failure::unexpected(format!("measuring: {error}"))
}

fn print(figure: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(figure);
    println!("{}", text.map_err(|error| Failure::unexpected(error.to_string()))?);
    Ok(())
}
