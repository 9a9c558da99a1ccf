//! Whole questions: the paper's primitives and the packaged queries, the decomposed plan beside the
//! same operators in one circuit.

use super::federation::Tuning;
use super::limits::{self, Limits};
use super::usage;
use crate::agreement::Agreement;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::queries::Question;
use crate::query::embedded;
use crate::request::{BackendChoice, Request, Stages};
use crate::snapshot::Snapshot;
use clap::ValueEnum;
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

/// A question about 32-bit keys of all parties ([Senate] §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Primitive {
    /// Keys that all parties have.
    Intersection,
    /// All keys in order.
    Sort,
    /// All keys without duplicates.
    Union,
}

impl Primitive {
    fn name(self) -> &'static str {
        match self {
            Self::Intersection => "intersection",
            Self::Sort => "sort",
            Self::Union => "union",
        }
    }

    fn sql(self, parties: usize) -> String {
        match self {
            Self::Intersection => {
                let first = "SELECT k1.id FROM p1.keys k1".to_owned();
                (2..=parties).fold(first, |mut sql, party| {
                    let _ = write!(sql, " JOIN p{party}.keys k{party} ON k1.id = k{party}.id");
                    sql
                })
            }
            Self::Sort => "SELECT id FROM keys ORDER BY id".to_owned(),
            Self::Union => "SELECT DISTINCT id FROM keys".to_owned(),
        }
    }
}

/// All primitives, or `only` one.
///
/// # Errors
/// As a query's.
pub async fn primitives(
    keys: Keys,
    only: Option<Primitive>,
    baseline: Baseline,
) -> Outcome<Questions> {
    let limits = limits::measure();
    let folder = temporary()?;
    keys.write(folder.path())?;
    let workspace = Arc::new(Workspace::open(folder.path())?);
    let mut all = Vec::new();
    for primitive in Primitive::value_variants() {
        if only.is_none_or(|only| only == *primitive) {
            let (size, how) = ((keys.parties, keys.rows), (baseline, &limits));
            let sql = primitive.sql(keys.parties);
            all.push(compare(&workspace, primitive.name(), size, &sql, how).await?);
        }
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
    let slower = SPEED_BLOCKS as f64 / limits.mixed_blocks_per_second;
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
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Parties.
    pub parties: usize,
    /// Rows of each.
    pub rows: usize,
    /// `[targets]` of the federation.
    pub(crate) tuning: Tuning,
}

impl Keys {
    /// Writes a workspace.
    pub(super) fn write(self, folder: &Path) -> Outcome<()> {
        let mut federation = "name = \"primitives\"\n".to_owned();
        let Tuning { leaky_bytes, tree_depth } = self.tuning;
        let (megabytes, k) = (leaky_bytes >> 20, tree_depth.bits());
        let _ =
            writeln!(federation, "[targets]\nbatch_memory_mb = {megabytes}\nsoftspoken_k = {k}");
        let mut holders = Vec::new();
        for party in 1..=self.parties {
            let address = format!("127.0.0.1:{}", 7400 + party);
            let _ = writeln!(federation, "[[party]]\nname = \"p{party}\"\naddress = \"{address}\"");
            holders.push(format!("{{ party = \"p{party}\", capacity = {} }}", self.rows));
            let csv = self.of(party).iter().fold("id\n".to_owned(), |mut csv, key| {
                let _ = writeln!(csv, "{key}");
                csv
            });
            write_file(folder, &format!("p{party}/keys.csv"), &csv)?;
        }
        let _ = writeln!(
            federation,
            "[[table]]\nname = \"keys\"\n\
             columns = [{{ name = \"id\", type = \"INT\", unique = true }}]\n\
             held_by = [{}]",
            holders.join(", ")
        );
        write_file(folder, "federation.toml", &federation)
    }

    fn of(self, party: usize) -> Vec<u32> {
        let keys = (0..self.rows).map(|row| match row % 2 {
            0 => row as u32 * 7919,
            _ => (row as u32).wrapping_mul(2_654_435_761).wrapping_add(party as u32) >> 1,
        });
        let mut keys: Vec<u32> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
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
