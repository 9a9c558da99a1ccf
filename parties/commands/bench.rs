//! `senate bench`: the published figures as JSON.

use crate::bench::questions::{self, Extent, Keys, Primitive};
use crate::bench::{
    Tuning, calibrate, circuits, gates, limits, online, preprocessing, scale, sort,
};
use crate::failure::{Failure, Outcome};
use clap::{Args, Subcommand};
use senate_circuit::{PartySet, TreeDepth};
use serde::Serialize;

/// Arguments of `senate bench`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  senate bench gates --parties 3 --ands 400000\n  \
    senate bench primitives --parties 16 --rows 1000\n  senate bench scale --rows-max 65536\n\n\
    Prints JSON, with what one core can do at most in the same run; `circuits` prints Markdown.\n\
    All parties run on this machine.")]
pub struct Options {
    /// Which figure
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Subcommand, Debug)]
enum Figure {
    /// What one core of this machine can do at most
    #[command(after_help = "Example:\n  senate bench limits")]
    Limits,
    /// AND gates per second, set-up, preprocessing and all checks included
    #[command(after_help = "Example:\n  senate bench gates --parties 3 --ands 400000")]
    Gates {
        /// How many parties
        #[arg(long, default_value_t = 2, value_parser = parties)]
        parties: usize,
        /// AND gates of the circuit
        #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
        ands: u64,
        /// As in a federation
        #[command(flatten)]
        targets: Targets,
    },
    /// Session set-up, correlated OTs and triples per second
    #[command(after_help = "Example:\n  senate bench preprocessing --triples 400000")]
    Preprocessing {
        /// How many parties
        #[arg(long, default_value_t = 2, value_parser = parties)]
        parties: usize,
        /// Triples of the batch
        #[arg(long, default_value_t = 400_000, value_parser = number::<1, { 1 << 30 }>)]
        triples: usize,
        /// As in a federation
        #[command(flatten)]
        targets: Targets,
    },
    /// AND gates per second once all garbled tables are there: evaluation and all checks
    #[command(after_help = "Example:\n  senate bench online --parties 3 --stages 8")]
    Online {
        /// How many parties
        #[arg(long, default_value_t = 2, value_parser = parties)]
        parties: usize,
        /// Stages of 131072 AND gates
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
        stages: u32,
    },
    /// Rows of four 64-bit columns sorted between two parties: merged halves, and from nothing
    #[command(after_help = "Examples:\n  senate bench sort --rows 1024\n  \
        senate bench sort --batch-memory-mb 128")]
    Sort {
        /// Rows of both parties together
        #[arg(long, default_value_t = 1024)]
        rows: u32,
        /// As in a federation
        #[command(flatten)]
        targets: Targets,
    },
    /// m-way intersection, sort and union, decomposed and in one circuit
    #[command(after_help = "Examples:\n  senate bench primitives --parties 16 --rows 100\n  \
        senate bench primitives --parties 16 --rows 1000 --only intersection --decomposed-only\n  \
        senate bench primitives --parties 16 --rows 600 --only sort --plan-only")]
    Primitives {
        /// How many, and of what size
        #[command(flatten)]
        size: Size,
        /// One of them
        #[arg(long, value_enum)]
        only: Option<Primitive>,
        /// As in a federation
        #[command(flatten)]
        targets: Targets,
    },
    /// The packaged questions, decomposed and in one circuit
    #[command(after_help = "Example:\n  senate bench queries --parties 3")]
    Queries(Size),
    /// Time and memory as rows double, beside the predictions
    #[command(after_help = "Example:\n  senate bench scale --rows-max 65536")]
    Scale {
        /// Rows of each of the two parties to begin with
        #[arg(long, default_value_t = 1024)]
        rows_min: usize,
        /// Rows of each party to end with
        #[arg(long, default_value_t = 8192)]
        rows_max: usize,
    },
    /// AND gates of every operator beside the paper's formulas
    #[command(after_help = "Example:\n  senate bench circuits")]
    Circuits,
    /// The prices of plans, measured on this machine
    #[command(after_help = "Example:\n  senate bench calibrate")]
    Calibrate {
        /// AND gates of the circuits
        #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
        ands: u64,
    },
}

#[derive(Args, Clone, Copy, Debug)]
struct Size {
    /// How many parties
    #[arg(long, default_value_t = 4, value_parser = parties)]
    parties: usize,
    /// Rows of each party
    #[arg(long, value_parser = number::<1, { 1 << 20 }>)]
    rows: Option<usize>,
    /// Leave the one-circuit plan out
    #[arg(long)]
    decomposed_only: bool,
    /// Say what the plans cost, exactly in gates and bytes, and run nothing
    #[arg(long)]
    plan_only: bool,
}

/// Of `[targets]` in federation.toml.
#[derive(Args, Clone, Copy, Debug)]
struct Targets {
    /// What triples in the making may take at each party: all parties share this machine's memory
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=65536))]
    batch_memory_mb: Option<u32>,
    /// k of oblivious transfer: 2 sends more and computes less, 8 sends less and computes more
    #[arg(long, value_name = "K", value_parser = tree_depth)]
    softspoken_k: Option<TreeDepth>,
}

fn parties(text: &str) -> Result<usize, String> {
    number::<2, { PartySet::MAX }>(text)
}

/// A number of `LEAST` to `MOST`.
fn number<const LEAST: usize, const MOST: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
    number.ok_or_else(|| format!("it is no number of {LEAST} to {MOST}"))
}

fn tree_depth(k: &str) -> Result<TreeDepth, String> {
    let depth = TreeDepth::ALL.into_iter().find(|depth| depth.bits().to_string() == k);
    depth.ok_or_else(|| "it is none of 2, 4 and 8".to_owned())
}

impl Targets {
    fn tuning(self) -> Tuning {
        let usual = Tuning::default();
        let megabytes = self.batch_memory_mb.map(|megabytes| (megabytes as usize) << 20);
        Tuning {
            leaky_bytes: megabytes.unwrap_or(usual.leaky_bytes),
            tree_depth: self.softspoken_k.unwrap_or(usual.tree_depth),
        }
    }
}

impl Size {
    fn extent(self) -> Extent {
        Extent { one_circuit: !self.decomposed_only, runs: !self.plan_only }
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
        Figure::Limits => print(&aside(|| Ok(limits::measure())).await?),
        Figure::Gates { parties, ands, targets } => {
            let (parties, ands, tuning) = (*parties, *ands, targets.tuning());
            print(&aside(move || gates::measure(parties, ands, tuning)).await?)
        }
        Figure::Preprocessing { parties, triples, targets } => {
            let (parties, triples, tuning) = (*parties, *triples, targets.tuning());
            print(&aside(move || preprocessing::measure(parties, triples, tuning)).await?)
        }
        Figure::Online { parties, stages } => {
            let (parties, stages) = (*parties, *stages);
            print(&aside(move || online::measure(parties, stages)).await?)
        }
        Figure::Sort { rows, targets } => {
            let (rows, tuning) = (*rows, targets.tuning());
            print(&aside(move || sort::measure(rows, tuning)).await?)
        }
        Figure::Primitives { size, only, targets } => {
            let rows = size.rows.unwrap_or(PRIMITIVE_ROWS);
            let keys = Keys { parties: size.parties, rows, tuning: targets.tuning() };
            print(&questions::primitives(keys, *only, size.extent()).await?)
        }
        Figure::Queries(size) => {
            print(&questions::packaged(size.parties, size.rows, size.extent()).await?)
        }
        Figure::Scale { rows_min, rows_max } => print(&scale::run(*rows_min, *rows_max).await?),
        Figure::Circuits => {
            say!("{}", aside(circuits::table).await?.trim_end());
            Ok(())
        }
        Figure::Calibrate { ands } => {
            let ands = *ands;
            print(&aside(move || calibrate::measure(ands)).await?)
        }
    }
}

/// Runs a measurement that blocks.
async fn aside<T: Send + 'static>(
    measure: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    tokio::task::spawn_blocking(measure).await.map_err(lost)?
}

fn lost(error: tokio::task::JoinError) -> Failure {
    Failure::unexpected(format!("measuring: {error}"))
}

fn print(figure: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(figure);
    say!("{}", text.map_err(|error| Failure::unexpected(error.to_string()))?);
    Ok(())
}
