//! How time and memory grow with the rows: the sorted union of two parties' keys, twice as many
//! rows each time.

use super::federation::Tuning;
use super::limits::{self, Limits};
use super::questions::{Keys, Measured, measure, temporary};
use crate::agreement::Agreement;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::request::{BackendChoice, Request, Stages};
use crate::snapshot::Snapshot;
use serde::Serialize;
use std::sync::Arc;

/// The question.
const SQL: &str = "SELECT id FROM keys ORDER BY id";
/// How many parties.
const PARTIES: usize = 2;
/// Rows of a first run that is not measured.
const WARM_ROWS: usize = 64;

/// One size.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    /// Rows of each party.
    pub rows: usize,
    /// The run.
    pub measured: Measured,
    /// Time over that of half as many rows, over 2·(1 + 1/log2 N), N the rows of half as many: 1 is
    /// growth as predicted.
    pub growth_over_predicted: Option<f64>,
    /// What `explain` says that all parties need together.
    pub memory_bound_bytes: u64,
    /// Peak resident memory, without what the process had before, over that bound.
    pub memory_over_bound: f64,
}

/// All sizes.
#[derive(Clone, Debug, Serialize)]
pub struct Scale {
    /// Smallest first.
    pub steps: Vec<Step>,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// Measures `rows_min`, twice that, and so on up to `rows_max` rows per party.
///
/// # Errors
/// Usage for sizes that make no sense, otherwise as a query's.
pub async fn run(rows_min: usize, rows_max: usize) -> Outcome<Scale> {
    if !(2..=1 << 20).contains(&rows_min) || rows_max < rows_min {
        let usage = "bench scale takes --rows-min of 2 to 1048576 and --rows-max of at least that";
        return Err(Failure::usage(usage));
    }
    let limits = limits::measure();
    // What the program itself takes is there before the first size is measured.
    let (_folder, small) = workspace(WARM_ROWS)?;
    measure(&small, SQL, Stages::Decomposed, &limits).await?;
    let (mut steps, mut rows) = (Vec::<Step>::new(), rows_min);
    while rows <= rows_max {
        let (_folder, workspace) = workspace(rows)?;
        let bound = memory_bound(&workspace)?;
        let before = super::usage::rss_bytes();
        let measured = measure(&workspace, SQL, Stages::Decomposed, &limits).await?;
        let growth = steps.last().map(|half| {
            let all = (PARTIES * half.rows) as f64;
            measured.seconds / half.measured.seconds / (2.0 * (1.0 + 1.0 / all.log2()))
        });
        steps.push(Step {
            rows,
            measured,
            growth_over_predicted: growth,
            memory_bound_bytes: bound,
            memory_over_bound: measured.peak_rss_bytes.saturating_sub(before) as f64 / bound as f64,
        });
        rows *= 2;
    }
    Ok(Scale { steps, limits })
}

/// Two parties' keys, in a folder that lasts as long as its handle.
fn workspace(rows: usize) -> Outcome<(tempfile::TempDir, Arc<Workspace>)> {
    let folder = temporary()?;
    Keys { parties: PARTIES, rows, tuning: Tuning::default() }.write(folder.path())?;
    let workspace = Workspace::open(folder.path())?;
    Ok((folder, Arc::new(workspace)))
}

fn memory_bound(workspace: &Workspace) -> Outcome<u64> {
    let asker = workspace.federation.parties.first().map(|party| party.name.clone());
    let asker = asker.ok_or_else(|| Failure::usage("a federation has parties"))?;
    let request = Request {
        sql: SQL.to_owned(),
        recipients: vec![asker.clone()],
        asker,
        bounds: Vec::new(),
        stages: Stages::Decomposed,
        backend: BackendChoice::Auto,
        timeout_s: 1,
        snapshot: Snapshot::default(),
    };
    let plan = Agreement::reach(workspace, request)?.plan;
    Ok(plan.memory_bytes() * PARTIES as u64)
}
