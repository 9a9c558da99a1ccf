//! The same pipeline as `senate query --local` with the parties' circuits evaluated in the clear
//! (that the protocol agrees with this is another claim), so that many queries can be compared.

use crate::support::{Workspace, party_name, rows_of};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use senate::agreement::Agreement;
use senate::config::{PartyConfig, Workspace as Opened};
use senate::failure::{Failure, Outcome};
use senate::request::{BackendChoice, Request, Stages};
use senate::snapshot::Snapshot;
use senate::{inputs, query};
use senate_planner::{clear, encode};
use std::collections::BTreeMap;
use std::time::Instant;

/// Public choices of a query.
#[derive(Clone, Default)]
pub(crate) struct Choices {
    pub(crate) recipients: Vec<String>,
    pub(crate) bounds: Vec<String>,
    pub(crate) stages: Stages,
    pub(crate) backend: BackendChoice,
}

pub(crate) type Rows = Vec<Vec<String>>;

/// What `senate explain` says.
pub(crate) fn explanation(workspace: &Workspace, sql: &str) -> String {
    let opened = Opened::open(workspace.path()).unwrap();
    let agreement = Agreement::reach(&opened, request(sql, &Choices::default())).unwrap();
    senate_planner::explain::text(&agreement.plan, &opened.federation)
}

fn request(sql: &str, choices: &Choices) -> Request {
    let mut recipients = choices.recipients.clone();
    if recipients.is_empty() {
        recipients.push(party_name(0));
    }
    Request {
        sql: sql.to_owned(),
        asker: party_name(0),
        recipients,
        bounds: choices.bounds.clone(),
        stages: choices.stages,
        backend: choices.backend,
        timeout_s: 60,
        snapshot: Snapshot::default(),
    }
}

/// The recipients' answer.
pub(crate) fn answer(workspace: &Workspace, sql: &str, choices: &Choices) -> Outcome<RecordBatch> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let opened = Opened::open(workspace.path())?;
        let agreement = Agreement::reach(&opened, request(sql, choices))?;
        let plan = &agreement.plan;
        let mut bits = BTreeMap::new();
        for party in plan.participants.iter() {
            let config = PartyConfig::read(&opened, party)?;
            let own = inputs::compute(&opened, &config, party, &agreement).await?;
            if plan.stages.is_empty() {
                return Ok(query::alone(&agreement, &own, Instant::now())?.rows.unwrap());
            }
            bits.extend(own.bits);
        }
        let opened = clear::run(&plan.stages, &bits).unwrap();
        assert!(opened.accepted, "honest owners are accepted: {sql}");
        if plan.reveals_overflow && opened.revealed[1].1.bit(0) {
            return Err(Failure::usage("numeric overflow"));
        }
        Ok(encode::batch_of(&plan.result, &opened.revealed[0].1).unwrap())
    })
}

/// Asserts that the answer is DataFusion's on the union, as a list when `sql` ends in an ORDER BY.
pub(crate) fn assert_same(workspace: &Workspace, sql: &str) {
    if let Err(difference) = compare(workspace, sql, sql, &Choices::default()) {
        panic!("{difference}");
    }
}

/// As [`assert_same`] for many queries; all that differ are named.
pub(crate) fn assert_all_same(workspace: &Workspace, queries: &[&str]) {
    let differences = queries.iter().filter_map(|sql| {
        // A panic in one query must not hide the others.
        let compared =
            std::panic::catch_unwind(|| compare(workspace, sql, sql, &Choices::default()));
        compared.unwrap_or_else(|_| Err(format!("{sql}: panicked"))).err()
    });
    let differences: Vec<String> = differences.collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whether `sql` answers what DataFusion answers to `reference`.
pub(crate) fn compare(
    workspace: &Workspace,
    sql: &str,
    reference: &str,
    choices: &Choices,
) -> Result<(), String> {
    let ours = answer(workspace, sql, choices).map_err(|failure| format!("{sql}: {failure:?}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let theirs = runtime.block_on(workspace.union(reference));
    let mut actual = rows_of(&ours);
    let mut expected: Rows = theirs.iter().flat_map(rows_of).collect();
    let last = sql.rfind(')').map_or(sql, |end| &sql[end..]);
    if !(last.contains("ORDER BY") || reference.ends_with(" -- list")) {
        actual.sort();
        expected.sort();
    }
    if actual != expected {
        return Err(format!("{sql}\n  ours   {actual:?}\n  theirs {expected:?}"));
    }
    let kinds = |batch: &RecordBatch| {
        let plain = |kind: &DataType| match kind {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            other => other.clone(),
        };
        let fields = batch.schema();
        fields.fields().iter().map(|field| plain(field.data_type())).collect::<Vec<_>>()
    };
    match theirs.first() {
        Some(theirs) if kinds(theirs) != kinds(&ours) => {
            Err(format!("{sql}\n  ours {:?}\n  theirs {:?}", kinds(&ours), kinds(theirs)))
        }
        _ => Ok(()),
    }
}

/// The exit code and message of a query that must not be answered.
pub(crate) fn refusal(workspace: &Workspace, sql: &str) -> (u8, String) {
    match answer(workspace, sql, &Choices::default()) {
        Ok(rows) => panic!("{sql} was answered: {:?}", rows_of(&rows)),
        Err(failure) => (failure.cause.exit_code(), failure.to_string()),
    }
}
