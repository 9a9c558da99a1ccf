//! `senate explain`: the plan, its cost, and what it reveals to whom, without running it.

use super::query::Question;
use crate::agreement::Agreement;
use crate::cli::{Place, Where};
use crate::client;
use crate::config::Workspace;
use crate::failure::Outcome;
use crate::policies;
use clap::{Args, ValueEnum};
use senate_planner::explain::{dot, json, text};

/// Arguments of `senate explain`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    senate explain --local study \"SELECT diag, COUNT(*) AS n FROM diagnoses GROUP BY diag\"")]
pub struct Options {
    /// The question and its public choices.
    #[command(flatten)]
    pub question: Question,
    /// The workspace.
    #[command(flatten)]
    pub place: Place,
    /// How to write the plan
    #[arg(long, value_enum, default_value_t)]
    format: ExplainFormat,
}

/// How a plan is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ExplainFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
}

/// Prints the plan.
///
/// # Errors
/// Usage for a wrong question or workspace.
pub async fn run(options: &Options) -> Outcome<()> {
    let (folder, asker) = match options.place.resolve()? {
        Where::Embedded(folder) => (folder, None),
        Where::AsParty(folder, party) => (folder, Some(party)),
    };
    let workspace = Workspace::open(&folder)?;
    let mut request = options.question.complete(&workspace, asker.as_deref(), 1)?;
    if let Some(party) = &asker {
        match client::snapshot(&workspace, party).await {
            Ok(snapshot) => request.snapshot = snapshot,
            Err(failure) => {
                tracing::info!(%failure, "placed as on one machine: nothing measured is known");
            }
        }
    }
    let policies = policies::known(&workspace, asker.as_deref(), &request.sql).await?;
    let agreement = Agreement::considered(&workspace, request, &policies)?;
    let (plan, federation) = (&agreement.plan, &workspace.federation);
    let text = match options.format {
        ExplainFormat::Text => text(plan, federation),
        ExplainFormat::Json => format!("{:#}", json(plan, federation)),
        ExplainFormat::Dot => dot(plan, federation),
    };
    say!("{}", text.trim_end());
    Ok(())
}
