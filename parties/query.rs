//! What a query needs at a party before and around its joint part, the same in a daemon and when
//! all parties run in one process.

use crate::agreement::{Agreement, owners};
use crate::ahead::Ahead;
use crate::config::{PartyConfig, Workspace, machine_memory};
use crate::failure::{Failure, Outcome};
use crate::inputs::{self, Inputs};
use crate::policies::Bundle;
use crate::reference::sorted;
use crate::request::{Request, Stats, peak_rss_bytes};
use crate::session::{Play, Played, Running, Seat};
use crate::transport::in_memory;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use futures_util::future::join_all;
use senate_circuit::PartyId;
use senate_planner::lower::Ordering;
use senate_planner::policy::Policies;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Rows and figures.
pub struct Answered {
    /// The answer, where this side is a recipient.
    pub rows: Option<RecordBatch>,
    /// What was measured.
    pub stats: Stats,
}

/// Plans off the async threads, under the policies that the owners have signed.
///
/// # Errors
/// As [`Agreement::signed`].
pub async fn agree_signed(
    workspace: &Arc<Workspace>,
    request: Request,
    policies: Bundle,
) -> Outcome<Arc<Agreement>> {
    let workspace = Arc::clone(workspace);
    let planning = move || Agreement::signed(&workspace, request, policies).map(Arc::new);
    tokio::task::spawn_blocking(planning)
        .await
        .map_err(|error| Failure::unexpected(format!("planning: {error}")))?
}

/// Plans off the async threads, whatever the policies say: to be explained, not to be run.
///
/// # Errors
/// As [`Agreement::considered`].
pub async fn consider(
    workspace: &Arc<Workspace>,
    request: Request,
    policies: Policies,
) -> Outcome<Arc<Agreement>> {
    let workspace = Arc::clone(workspace);
    let planning = move || Agreement::considered(&workspace, request, &policies).map(Arc::new);
    tokio::task::spawn_blocking(planning)
        .await
        .map_err(|error| Failure::unexpected(format!("planning: {error}")))?
}

/// As [`agree_signed`], for parties that all run in this process.
///
/// # Errors
/// As [`Agreement::reach`].
async fn agree(workspace: &Arc<Workspace>, request: Request) -> Outcome<Arc<Agreement>> {
    let workspace = Arc::clone(workspace);
    tokio::task::spawn_blocking(move || Agreement::reach(&workspace, request).map(Arc::new))
        .await
        .map_err(|error| Failure::unexpected(format!("planning: {error}")))?
}

/// Runs all parties of a workspace inside this process, with links in memory.
///
/// # Errors
/// The most telling failure among the parties.
pub async fn embedded(
    workspace: &Arc<Workspace>,
    request: Request,
    progress: watch::Sender<String>,
) -> Outcome<Answered> {
    embedded_with(workspace, request, progress, &Ahead::default())
        .await
        .map(|(answered, _)| answered)
}

/// As [`embedded`], in the session that is waiting in `ahead` if it fits. Gives the plan too, from
/// which the next session can be prepared.
///
/// # Errors
/// As [`embedded`].
pub async fn embedded_with(
    workspace: &Arc<Workspace>,
    request: Request,
    progress: watch::Sender<String>,
    ahead: &Ahead,
) -> Outcome<(Answered, Arc<Agreement>)> {
    let _working = ahead.begin();
    let started = Instant::now();
    let deadline = started + Duration::from_secs(request.timeout_s);
    let _ = progress.send("planning".to_owned());
    let agreement = agree(workspace, request).await?;
    warn_of_memory(&agreement);
    let _ = progress.send("reading tables".to_owned());
    let mut contributions = Vec::new();
    for party in agreement.plan.participants.iter() {
        let config = PartyConfig::read(workspace, party)?;
        let inputs = inputs::compute(workspace, &config, party, &agreement).await?;
        contributions.push((party, inputs));
    }
    if let (true, Some((_, inputs))) = (agreement.plan.stages.is_empty(), contributions.first()) {
        return Ok((alone(&agreement, inputs, started)?, agreement));
    }
    let federation = Arc::new(workspace.federation.clone());
    let mut bound = ahead.take(&agreement, &federation.digest).await.into_iter().flatten();
    let links = in_memory(agreement.plan.participants)?;
    let mut sessions = Vec::new();
    for ((me, inputs), (_, links)) in contributions.into_iter().zip(links) {
        let (agreement, own, progress) = (Arc::clone(&agreement), inputs.bits, progress.clone());
        sessions.push(match bound.next() {
            Some(bound) => bound.play(Play { agreement, own, deadline, progress }),
            None => {
                let federation = Arc::clone(&federation);
                let play = Play { agreement, own, deadline, progress };
                Running::start(Seat { me, federation, links, play })?
            }
        });
    }
    let outcomes = join_all(sessions.into_iter().map(Running::wait)).await;
    Ok((gather(outcomes, started)?, agreement))
}

/// The system stops a process that takes more memory than there is, without a word.
fn warn_of_memory(agreement: &Agreement) {
    let parties = agreement.plan.participants.len() as u64;
    let needed = agreement.plan.memory_bytes().saturating_mul(parties);
    if let Some(there) = machine_memory().filter(|there| *there < needed) {
        let gb = |bytes: u64| bytes as f64 / 1e9;
        tracing::warn!(
            "{parties} parties in one process take up to {:.1} GB of this machine's {:.1} GB; \
             batch_memory_mb in [targets] of federation.toml makes it less",
            gb(needed),
            gb(there)
        );
    }
}

/// The answer of a query that one party answers for itself.
///
/// # Errors
/// Unexpected when the plan and the rows do not fit.
pub fn alone(agreement: &Agreement, inputs: &Inputs, started: Instant) -> Outcome<Answered> {
    let failed = |why: String| Failure::unexpected(format!("the answer: {why}"));
    let rows = inputs.plain.get(&0).ok_or_else(|| failed("no local result".to_owned()))?;
    let result = &agreement.plan.result;
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for ((name, kind), column) in result.columns.iter().zip(rows.columns()) {
        fields.push(Field::new(name, kind.clone(), true));
        columns.push(cast(column, kind).map_err(|error| failed(error.to_string()))?);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .and_then(|rows| match result.ordering {
            Ordering::ByQuery => Ok(rows),
            Ordering::Free => sorted(&rows),
        })
        .map_err(|error| failed(error.to_string()))?;
    let stats = Stats {
        rows: rows.num_rows(),
        seconds: started.elapsed().as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
        plan_digest: agreement.digest_text(),
        ..Stats::default()
    };
    Ok(Answered { rows: Some(rows), stats })
}

/// One answer out of the parties' outcomes.
fn gather(outcomes: Vec<Outcome<Played>>, started: Instant) -> Outcome<Answered> {
    let mut answered: Option<Answered> = None;
    let mut failures = Vec::new();
    for outcome in outcomes {
        match (outcome, &mut answered) {
            (Ok(played), Some(answered)) => {
                answered.stats.merge(&played.stats);
                let suppressed = played.stats.suppressed_groups;
                answered.stats.suppressed_groups = answered.stats.suppressed_groups.or(suppressed);
                answered.rows = answered.rows.take().or(played.answer);
            }
            (Ok(played), none) => {
                *none = Some(Answered { rows: played.answer, stats: played.stats });
            }
            (Err(failure), _) => failures.push(failure),
        }
    }
    // What one party found out itself says more than that others lost it.
    let telling = |failure: &Failure| std::cmp::Reverse(failure.cause.exit_code());
    failures.sort_by_key(telling);
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure);
    }
    let mut answered = answered.ok_or_else(|| Failure::unexpected("nobody took part"))?;
    answered.stats.seconds = started.elapsed().as_secs_f64();
    answered.stats.rows = answered.rows.as_ref().map_or(0, RecordBatch::num_rows);
    Ok(answered)
}

/// The party with the lowest number that contributes data to a query: who learns the answer when
/// everybody runs here and nobody was named.
///
/// # Errors
/// As [`Agreement::reach`].
pub fn first_contributor(workspace: &Workspace, request: &Request) -> Outcome<PartyId> {
    owners(workspace, &request.sql)?.leader().ok_or_else(|| {
        Failure::usage("the query reads no table").with_remedy("name a recipient: --recipients P")
    })
}
