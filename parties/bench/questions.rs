//! Whole questions: the paper's primitives and the packaged queries, the decomposed plan beside the
//! same operators in one circuit.

use super::limits::{self, Limits};
use super::usage;
use crate::agreement::Agreement;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::queries::Question;
use crate::query::embedded;
use crate::request::{BackendChoice, Request, Stages};
use crate::snapshot::Snapshot;
use senate_planner::cost::SPEED_BLOCKS;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// Longest that one question may take.
const TIMEOUT_S: u64 = 7_200;

/// One plan, run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Stages of the plan.
    pub stages: usize,
    /// AND gates of all stages.
    pub and_gates: u64,
    /// From the question to the answer, planning included.
    pub seconds: f64,
    /// Payload bytes of all parties.
    pub bytes_sent: u64,
    /// Largest resident set of this process, which is all parties, during the question.
    pub peak_rss_bytes: u64,
    /// Predicted time, at the speed that this machine has in this run.
    pub seconds_predicted: f64,
    /// That over the measured time.
    pub predicted_over_measured: f64,
    /// AES blocks that one core could compute in the wall time of one AND gate.
    pub aes_blocks_per_and: f64,
}

/// Questions, beside what one core can do at most, measured in the same run.
#[derive(Clone, Debug, Serialize)]
pub struct Questions {
    /// One by one.
    pub questions: Vec<Comparison>,
    /// The limits.
    pub limits: Limits,
}

/// A question's two plans.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was asked.
    pub name: String,
    /// How many parties.
    pub parties: usize,
    /// Rows of each party.
    pub rows: usize,
    /// Stages on party subsets.
    pub decomposed: Measured,
    /// One circuit among all.
    pub one_circuit: Option<Measured>,
    /// Bytes of the one circuit over the decomposed plan's.
    pub bytes_ratio: Option<f64>,
    /// Time of the one circuit over the decomposed plan's.
    pub seconds_ratio: Option<f64>,
}

/// Whether the one-circuit plan is measured too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Baseline {
    /// Both plans.
    Measured,
    /// The decomposed plan alone.
    Skipped,
}

/// m-way intersection, sort and union of 32-bit keys ([Senate] §8.1).
///
/// # Errors
/// As a query's.
pub async fn primitives(parties: usize, rows: usize, baseline: Baseline) -> Outcome<Questions> {
    let limits = limits::measure();
    let folder = temporary()?;
    write_keys(folder.path(), parties, rows)?;
    let workspace = Arc::new(Workspace::open(folder.path())?);
    let joins: String = (2..=parties).fold(String::new(), |mut sql, party| {
        let _ = write!(sql, " JOIN p{party}.keys k{party} ON k1.id = k{party}.id");
        sql
    });
    let questions = [
        ("intersection", format!("SELECT k1.id FROM p1.keys k1{joins}")),
        ("sort", "SELECT id FROM keys ORDER BY id".to_owned()),
        ("union", "SELECT DISTINCT id FROM keys".to_owned()),
    ];
    let mut all = Vec::new();
    for (name, sql) in questions {
        let size = (parties, rows);
        all.push(compare(&workspace, name, size, &sql, (baseline, &limits)).await?);
    }
    Ok(Questions { questions: all, limits })
}

/// The packaged questions.
///
/// # Errors
/// As a query's.
pub async fn packaged(
    parties: usize,
    rows: Option<usize>,
    baseline: Baseline,
) -> Outcome<Questions> {
    let limits = limits::measure();
    let mut all = Vec::new();
    for question in Question::ALL {
        let rows = rows.unwrap_or(question.rows());
        let packaged = question.generate(parties, rows);
        let folder = temporary()?;
        let addresses = packaged.parties.iter().enumerate();
        let mut federation = format!("name = \"{}\"\n", question.name());
        for (at, party) in addresses {
            let port = 7401 + at;
            let _ = writeln!(
                federation,
                "[[party]]\nname = \"{party}\"\naddress = \"127.0.0.1:{port}\""
            );
        }
        federation += &packaged.tables;
        write_file(folder.path(), "federation.toml", &federation)?;
        for file in &packaged.files {
            write_file(folder.path(), &file.path, &file.text)?;
        }
        let workspace = Arc::new(Workspace::open(folder.path())?);
        let size = (parties, rows);
        let how = (baseline, &limits);
        all.push(compare(&workspace, question.name(), size, &packaged.query, how).await?);
    }
    Ok(Questions { questions: all, limits })
}

async fn compare(
    workspace: &Arc<Workspace>,
    name: &str,
    (parties, rows): (usize, usize),
    sql: &str,
    (baseline, limits): (Baseline, &Limits),
) -> Outcome<Comparison> {
    let decomposed = measure(workspace, sql, Stages::Decomposed, limits).await?;
    let one_circuit = match baseline {
        Baseline::Measured => Some(measure(workspace, sql, Stages::OneCircuit, limits).await?),
        Baseline::Skipped => None,
    };
    let ratio = |of: fn(&Measured) -> f64| one_circuit.map(|one| of(&one) / of(&decomposed));
    Ok(Comparison {
        name: name.to_owned(),
        parties,
        rows,
        decomposed,
        one_circuit,
        bytes_ratio: ratio(|measured| measured.bytes_sent as f64),
        seconds_ratio: ratio(|measured| measured.seconds),
    })
}

pub(super) async fn measure(
    workspace: &Arc<Workspace>,
    sql: &str,
    stages: Stages,
    limits: &Limits,
) -> Outcome<Measured> {
    let asker = workspace.federation.parties.first().map(|party| party.name.clone());
    let asker = asker.ok_or_else(|| Failure::usage("a federation has parties"))?;
    let request = Request {
        sql: sql.to_owned(),
        recipients: vec![asker.clone()],
        asker,
        bounds: Vec::new(),
        stages,
        backend: BackendChoice::Auto,
        timeout_s: TIMEOUT_S,
        snapshot: Snapshot::default(),
    };
    let plan = Agreement::reach(workspace, request.clone())?.plan;
    usage::forget_peak_rss();
    let (progress, _) = watch::channel(String::new());
    let stats = embedded(workspace, request, progress).await?.stats;
    let per_second = limits.aes_blocks_per_second;
    let slower = SPEED_BLOCKS as f64 / (limits.mixed_blocks_per_second * limits.cores as f64);
    let seconds_predicted = plan.nanos() as f64 / 1e9 * slower;
    Ok(Measured {
        stages: stats.stages.len(),
        and_gates: stats.and_gates,
        seconds: stats.seconds,
        bytes_sent: stats.bytes_sent.values().sum(),
        peak_rss_bytes: stats.peak_rss_bytes,
        seconds_predicted,
        predicted_over_measured: seconds_predicted / stats.seconds,
        aes_blocks_per_and: per_second * stats.seconds / stats.and_gates.max(1) as f64,
    })
}

/// A table of distinct keys at every party, half of them common to all.
pub(super) fn write_keys(folder: &Path, parties: usize, rows: usize) -> Outcome<()> {
    let mut federation = "name = \"primitives\"\n".to_owned();
    let mut holders = Vec::new();
    for party in 1..=parties {
        let port = 7400 + party;
        let _ =
            writeln!(federation, "[[party]]\nname = \"p{party}\"\naddress = \"127.0.0.1:{port}\"");
        holders.push(format!("{{ party = \"p{party}\", capacity = {rows} }}"));
        let keys = (0..rows).map(|row| match row % 2 {
            0 => row as u32 * 7919,
            _ => (row as u32).wrapping_mul(2_654_435_761).wrapping_add(party as u32) >> 1,
        });
        let mut keys: Vec<u32> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        let csv = keys.iter().fold("id\n".to_owned(), |mut csv, key| {
            let _ = writeln!(csv, "{key}");
            csv
        });
        write_file(folder, &format!("p{party}/keys.csv"), &csv)?;
    }
    let _ = writeln!(
        federation,
        "[[table]]\nname = \"keys\"\ncolumns = [{{ name = \"id\", type = \"INT\", unique = true }}]\n\
         held_by = [{}]",
        holders.join(", ")
    );
    write_file(folder, "federation.toml", &federation)
}

pub(super) fn temporary() -> Outcome<tempfile::TempDir> {
    tempfile::tempdir().map_err(|error| Failure::unexpected(format!("a folder: {error}")))
}

fn write_file(folder: &Path, name: &str, text: &str) -> Outcome<()> {
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| Failure::unexpected(format!("{}: {error}", path.display())))
}
