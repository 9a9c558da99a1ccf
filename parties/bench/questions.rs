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
    /// What the plan says of them: all of them, before anything runs.
    pub bytes_predicted: u64,
    /// Largest resident set of this process, which is all parties, during the question.
    pub peak_rss_bytes: u64,
    /// Predicted time, at the speed that this machine has in this run.
    pub seconds_predicted: f64,
    /// That over the measured time.
    pub predicted_over_measured: f64,
    /// AES blocks that one core could compute in the wall time of one AND gate.
    pub aes_blocks_per_and: f64,
}

/// One plan, before it runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Planned {
    /// Stages of the plan.
    pub stages: usize,
    /// AND gates of all stages.
    pub and_gates: u64,
    /// Payload bytes of all parties.
    pub bytes_predicted: u64,
    /// Most that one party may have to hold.
    pub memory_bytes_predicted: u64,
    /// Time, at the speed that this machine has in this run.
    pub seconds_predicted: f64,
}

/// What is said of a plan.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// What running it showed.
    Measured(Measured),
    /// What it shows by itself.
    Planned(Planned),
}

impl Figures {
    fn bytes(&self) -> f64 {
        match self {
            Self::Measured(measured) => measured.bytes_sent as f64,
            Self::Planned(planned) => planned.bytes_predicted as f64,
        }
    }

    fn seconds(&self) -> f64 {
        match self {
            Self::Measured(measured) => measured.seconds,
            Self::Planned(planned) => planned.seconds_predicted,
        }
    }
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
    pub decomposed: Figures,
    /// One circuit among all.
    pub one_circuit: Option<Figures>,
    /// Bytes of the one circuit over the decomposed plan's.
    pub bytes_ratio: Option<f64>,
    /// Time of the one circuit over the decomposed plan's.
    pub seconds_ratio: Option<f64>,
}

/// What of a question's plans is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The one-circuit plan too.
    pub one_circuit: bool,
    /// Runs, not only plans.
    pub runs: bool,
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
pub async fn primitives(keys: Keys, only: Option<Primitive>, extent: Extent) -> Outcome<Questions> {
    let limits = limits::measure();
    let folder = temporary()?;
    keys.write(folder.path())?;
    let workspace = Arc::new(Workspace::open(folder.path())?);
    let mut all = Vec::new();
    for primitive in Primitive::value_variants() {
        if only.is_none_or(|only| only == *primitive) {
            let (size, how) = ((keys.parties, keys.rows), (extent, &limits));
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
pub async fn packaged(parties: usize, rows: Option<usize>, extent: Extent) -> Outcome<Questions> {
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
        let how = (extent, &limits);
        all.push(compare(&workspace, question.name(), size, &packaged.query, how).await?);
    }
    Ok(Questions { questions: all, limits })
}

async fn compare(
    workspace: &Arc<Workspace>,
    name: &str,
    (parties, rows): (usize, usize),
    sql: &str,
    (extent, limits): (Extent, &Limits),
) -> Outcome<Comparison> {
    let figures = async |stages| match extent.runs {
        true => measure(workspace, sql, stages, limits).await.map(Figures::Measured),
        false => planned(workspace, sql, stages, limits).map(Figures::Planned),
    };
    let decomposed = figures(Stages::Decomposed).await?;
    let one_circuit = match extent.one_circuit {
        true => Some(figures(Stages::OneCircuit).await?),
        false => None,
    };
    let ratio = |of: fn(&Figures) -> f64| one_circuit.map(|one| of(&one) / of(&decomposed));
    Ok(Comparison {
        name: name.to_owned(),
        parties,
        rows,
        decomposed,
        one_circuit,
        bytes_ratio: ratio(Figures::bytes),
        seconds_ratio: ratio(Figures::seconds),
    })
}

pub(super) async fn measure(
    workspace: &Arc<Workspace>,
    sql: &str,
    stages: Stages,
    limits: &Limits,
) -> Outcome<Measured> {
    let request = request(workspace, sql, stages)?;
    let Planned { bytes_predicted, seconds_predicted, .. } =
        planned(workspace, sql, stages, limits)?;
    usage::forget_peak_rss();
    let (progress, _) = watch::channel(String::new());
    let stats = embedded(workspace, request, progress).await?.stats;
    let per_second = limits.aes_blocks_per_second;
    Ok(Measured {
        stages: stats.stages.len(),
        and_gates: stats.and_gates,
        seconds: stats.seconds,
        bytes_sent: stats.bytes_sent.values().sum(),
        bytes_predicted,
        peak_rss_bytes: stats.peak_rss_bytes,
        seconds_predicted,
        predicted_over_measured: seconds_predicted / stats.seconds,
        aes_blocks_per_and: per_second * stats.seconds / stats.and_gates.max(1) as f64,
    })
}

fn planned(
    workspace: &Arc<Workspace>,
    sql: &str,
    stages: Stages,
    limits: &Limits,
) -> Outcome<Planned> {
    let plan = Agreement::reach(workspace, request(workspace, sql, stages)?)?.plan;
    let slower = SPEED_BLOCKS as f64 / limits.mixed_blocks_per_second;
    Ok(Planned {
        stages: plan.stages.len(),
        and_gates: plan.and_gates(),
        bytes_predicted: plan.total_bytes(),
        memory_bytes_predicted: plan.memory_bytes(),
        seconds_predicted: plan.nanos() as f64 / 1e9 * slower,
    })
}

/// The first party's question, which it alone learns the answer to.
fn request(workspace: &Workspace, sql: &str, stages: Stages) -> Outcome<Request> {
    let asker = workspace.federation.parties.first().map(|party| party.name.clone());
    let asker = asker.ok_or_else(|| Failure::usage("a federation has parties"))?;
    Ok(Request {
        sql: sql.to_owned(),
        recipients: vec![asker.clone()],
        asker,
        bounds: Vec::new(),
        stages,
        backend: BackendChoice::Auto,
        timeout_s: TIMEOUT_S,
        snapshot: Snapshot::default(),
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
            0 => (row as u32).wrapping_mul(7919) & (u32::MAX >> 1),
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
