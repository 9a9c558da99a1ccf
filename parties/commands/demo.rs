//! `senate demo`: a packaged question, asked among real processes on this machine, and its answer
//! compared with plain DataFusion.

use super::serve::READY;
use crate::cli::Verbosity;
use crate::client;
use crate::config::Workspace;
use crate::failure::{Cause, Failure, Outcome};
use crate::format::{self, Format};
use crate::identity::{Identity, write_private};
use crate::progress::Progress;
use crate::queries::{Packaged, Question};
use crate::query::Answered;
use crate::reference;
use crate::request::{BackendChoice, Request, Stages};
use crate::snapshot::Snapshot;
use clap::Args;
use datafusion::arrow::record_batch::RecordBatch;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a party may take to open its port.
const START_MAX: Duration = Duration::from_secs(30);
const TIMEOUT_S: u64 = 600;
/// As many as a set of parties can have.
const PARTIES_MAX: u64 = 32;

/// Arguments of `senate demo`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  senate demo medical\n  senate demo credit --parties 3 --rows 40"
)]
pub struct Options {
    /// Which question; see --list
    #[arg(value_name = "NAME", default_value = "medical")]
    name: String,
    /// List the packaged questions
    #[arg(long)]
    list: bool,
    /// How many parties
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=PARTIES_MAX))]
    parties: Option<u64>,
    /// How many rows the largest party has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rows: Option<u64>,
}

/// Runs a packaged question.
///
/// # Errors
/// As a query's; unexpected when the answer differs from plain DataFusion's.
pub async fn run(options: Options, verbosity: Verbosity) -> Outcome<()> {
    if options.list {
        for question in Question::ALL {
            say!("{:<10} {}", question.name(), question.summary());
        }
        return Ok(());
    }
    let question = Question::ALL.into_iter().find(|question| question.name() == options.name);
    let question = question.ok_or_else(|| {
        Failure::usage(format!("no packaged question `{}`", options.name))
            .with_remedy("see `senate demo --list`")
    })?;
    let size = |asked: Option<u64>| asked.and_then(|asked| usize::try_from(asked).ok());
    let parties = size(options.parties).unwrap_or(Question::PARTIES);
    let packaged = question.generate(parties, size(options.rows).unwrap_or(question.rows()));
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::unexpected(format!("a temporary folder: {error}")))?;
    write(folder.path(), question, &packaged)?;
    let workspace = Workspace::open(folder.path())?;
    let daemons = start(folder.path(), &packaged, verbosity).await?;
    let progress = Progress::start(verbosity.quiet);
    let asker = packaged.parties.first().cloned().unwrap_or_default();
    let request = Request {
        sql: packaged.query.clone(),
        asker: asker.clone(),
        recipients: vec![asker.clone()],
        bounds: Vec::new(),
        stages: Stages::Decomposed,
        backend: BackendChoice::Auto,
        timeout_s: TIMEOUT_S,
        snapshot: Snapshot::default(),
    };
    let answered = client::ask(&workspace, &asker, request, &progress.sender()).await;
    progress.finish();
    stop(daemons).await;
    let Answered { rows, stats } = answered?;
    let rows = rows.ok_or_else(|| Failure::unexpected("the answer went elsewhere"))?;
    let expected = reference::answer(&workspace, &packaged.query).await?;
    say!("{} parties, each its own process, asked:\n\n{}", parties, packaged.query);
    say!("Senate's answer, learnt by {asker} alone:");
    format::write(&rows, Format::Table, &mut std::io::stdout())?;
    compare(&packaged, &rows, &expected)?;
    reveal(&packaged, &asker);
    if !verbosity.quiet {
        eprintln!("{}", stats.summary());
    }
    Ok(())
}

/// The workspace with a fresh identity and a free port for every party.
fn write(folder: &Path, question: Question, packaged: &Packaged) -> Outcome<()> {
    let failed = |error: std::io::Error| Failure::unexpected(format!("the workspace: {error}"));
    // Held together, so that no two parties get the same port.
    let mut listeners = Vec::new();
    let mut seats = Vec::new();
    for party in &packaged.parties {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        listeners.push(listener);
        let own = folder.join(party);
        std::fs::create_dir_all(&own).map_err(failed)?;
        let (identity, pem) = Identity::generate(party)?;
        write_private(&own.join("identity.pem"), &pem)?;
        std::fs::write(own.join("party.toml"), packaged.policy()).map_err(failed)?;
        seats.push((address, Some(identity.fingerprint().to_string())));
    }
    for file in &packaged.files {
        std::fs::write(folder.join(&file.path), &file.text).map_err(failed)?;
    }
    let federation = packaged.federation(question.name(), &seats);
    std::fs::write(folder.join("federation.toml"), federation).map_err(failed)
}

/// One process per party, each of which has opened its port.
async fn start(folder: &Path, packaged: &Packaged, verbosity: Verbosity) -> Outcome<Vec<Child>> {
    let binary = std::env::current_exe()
        .map_err(|error| Failure::unexpected(format!("this program's file: {error}")))?;
    let mut daemons = Vec::new();
    for party in &packaged.parties {
        let failed = |why: String| Failure::unexpected(format!("starting {party}: {why}"));
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--workspace").arg(folder).arg("--as").arg(party);
        command.args(["--color", "never"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut daemon = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stderr = daemon.stderr.take().ok_or_else(|| failed("no stderr".to_owned()))?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = Vec::new();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains(READY) {
                    return true;
                }
                said.push(line);
            }
            false
        };
        if !timeout(START_MAX, ready).await.unwrap_or(false) {
            return Err(failed(said.join("; ")));
        }
        let (party, loud) = (party.clone(), verbosity.verbose > 0);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if loud {
                    eprintln!("[{party}] {line}");
                }
            }
        });
        daemons.push(daemon);
    }
    Ok(daemons)
}

async fn stop(daemons: Vec<Child>) {
    for mut daemon in daemons {
        let _ = daemon.kill().await;
    }
}

/// Senate's answer must be plain DataFusion's, cell by cell.
fn compare(packaged: &Packaged, rows: &RecordBatch, expected: &RecordBatch) -> Outcome<()> {
    let text = |rows: &RecordBatch| {
        let mut text = Vec::new();
        format::write(rows, Format::Csv, &mut text).map(|()| text)
    };
    let ordered = packaged.query.contains("ORDER BY");
    let expected = if ordered {
        expected.clone()
    } else {
        reference::sorted(expected).map_err(|error| Failure::unexpected(error.to_string()))?
    };
    say!("Plain DataFusion's, with everybody's rows in one place:");
    format::write(&expected, Format::Table, &mut std::io::stdout())?;
    if text(rows)? == text(&expected)? {
        say!("The two are equal.\n");
        return Ok(());
    }
    Err(Failure::new(Cause::Unexpected, "the answer differs from plain DataFusion's")
        .with_remedy("this is a bug in Senate"))
}

fn reveal(packaged: &Packaged, asker: &str) {
    say!("What was revealed:");
    say!("  to {asker}: the rows above");
    let others: Vec<&str> =
        packaged.parties.iter().map(String::as_str).filter(|party| *party != asker).collect();
    say!("  to {}: nothing", others.join(", "));
    say!(
        "  to all: the query, the schemas, the policies, the declared capacities, that the query \
         succeeded"
    );
}
