//! `senate doctor`: what stands between this party and a query, and what to do about it.

use crate::cli::Own;
use crate::doctor::{Report, State, examine_own, examine_peer, worst};
use crate::failure::{Failure, Outcome};
use clap::{Args, ValueEnum};
use futures_util::future::join_all;
use senate_circuit::PartyId;

/// Arguments of `senate doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate doctor --workspace study --as hospital_a\n\n\
    Checks this party's identity, signatures and tables, then the way to every party's daemon, at \
    each of its addresses: name, port, TLS, clock, version, federation.toml, round trip, \
    bandwidth. The exit code is that of what to mend first.")]
pub struct Options {
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// How to write the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// Forms of the report.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
}

/// Examines everything.
///
/// # Errors
/// Of the cause to mend first, when a check fails.
pub async fn run(options: &Options) -> Outcome<()> {
    let (workspace, me) = options.own.open()?;
    let (own, identity) = examine_own(&workspace, me).await;
    let mut reports = vec![own];
    if let Some(identity) = &identity {
        let parties = (0..workspace.federation.parties.len()).filter_map(PartyId::new);
        let looks = parties.map(|party| examine_peer(&workspace, identity, party, party == me));
        reports.extend(join_all(looks).await.into_iter().flatten());
    }
    match options.format {
        ReportFormat::Text => reports.iter().for_each(|report| say!("{report}")),
        ReportFormat::Json => {
            let text = serde_json::to_string_pretty(&reports)
                .map_err(|error| Failure::unexpected(format!("writing the report: {error}")))?;
            say!("{text}");
        }
    }
    match worst(&reports) {
        None => Ok(()),
        Some(cause) => {
            let (party, check) = first(&reports, cause);
            let why = format!("{party}: {check} and what depends on it");
            Err(Failure::new(cause, why).with_remedy("the report says what to do"))
        }
    }
}

/// Where the cause shows first.
fn first(reports: &[Report], cause: crate::failure::Cause) -> (&str, &str) {
    let all = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(move |finding| (report, finding)));
    let mut failed = all.filter(|(_, finding)| finding.state == State::Failed(cause));
    failed
        .next()
        .map_or(("", ""), |(report, finding)| (report.party.as_str(), finding.check.as_str()))
}
