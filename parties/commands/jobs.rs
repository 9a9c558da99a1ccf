//! `senate jobs`: the queries of a party's daemon.

use super::query::{AnswerOptions, show};
use crate::cli::{Own, Verbosity};
use crate::client;
use crate::config::Workspace;
use crate::daemon::JobLine;
use crate::failure::{Failure, Outcome};
use crate::messages::JobsRequest;
use crate::progress::Progress;
use crate::say::printable;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;

/// Arguments of `senate jobs`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate jobs --workspace study --as hospital_a\n  \
    senate jobs attach 3f2a91 --workspace study --as hospital_a --format csv -o answer.csv\n  \
    senate jobs cancel 3f2a91 --workspace study --as hospital_a\n\n\
    An ID may be shortened to four digits or more that name one query. Answers of detached queries are kept for \
    a time and up to a size ([limits] in party.toml), in the daemon's memory only.")]
pub struct Options {
    /// What to do
    #[arg(value_enum, default_value_t)]
    action: JobsAction,
    /// The query
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Whose daemon.
    #[command(flatten)]
    own: Own,
    /// The answer of `attach`.
    #[command(flatten)]
    answer: AnswerOptions,
}

/// What can be done with queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum JobsAction {
    /// Queries that run, whose answers are kept, or that ended not long ago
    #[default]
    List,
    /// One query with its text
    Show,
    /// Follow a query and fetch its answer
    Attach,
    /// End a query at every party
    Cancel,
}

/// Lists, shows, fetches or cancels.
///
/// # Errors
/// Usage for an unknown id; lost when no daemon answers; for `attach` as the query's.
pub async fn run(options: Options, verbosity: Verbosity) -> Outcome<()> {
    let Own { workspace: folder, party } = &options.own;
    let workspace = Workspace::open(folder)?;
    let id = || {
        let id = options.id.clone();
        id.ok_or_else(|| Failure::usage("no ID given").with_remedy("`senate jobs` lists them"))
    };
    match options.action {
        JobsAction::List => {
            let lines = client::jobs(&workspace, party, JobsRequest::List).await?;
            if options.answer.lists_as_json()? {
                return json(&lines);
            }
            if std::io::stdout().is_terminal() && !lines.is_empty() {
                say!("{HEADER}");
            }
            lines.iter().for_each(|line| say!("{}", row(line)));
            if lines.is_empty() && !verbosity.quiet {
                eprintln!("no queries");
            }
        }
        JobsAction::Show => {
            let lines = client::jobs(&workspace, party, JobsRequest::Show(id()?)).await?;
            if options.answer.lists_as_json()? {
                return json(&lines);
            }
            lines.iter().for_each(|line| say!("{}\n{}", row(line), printable(&line.sql)));
        }
        JobsAction::Cancel => {
            let lines = client::jobs(&workspace, party, JobsRequest::Cancel(id()?)).await?;
            lines.iter().for_each(|line| say!("{}", row(line)));
        }
        JobsAction::Attach => {
            let progress = Progress::start(verbosity.quiet);
            let attached = client::attach(&workspace, party, &id()?, &progress.sender()).await;
            progress.finish();
            show(&attached?, &options.answer, None, verbosity)?;
        }
    }
    Ok(())
}

/// The lines for programs.
fn json(lines: &[JobLine]) -> Outcome<()> {
    let text = serde_json::to_string_pretty(lines);
    let text = text.map_err(|error| Failure::unexpected(format!("writing JSON: {error}")))?;
    say!("{text}");
    Ok(())
}

/// Over the lines, for people.
const HEADER: &str = "query              age  asked at (by)  state  | question";

/// One line: id, age, who asks, state, and the beginning of the question.
fn row(line: &JobLine) -> String {
    let sql: Vec<&str> = line.sql.split_whitespace().collect();
    let sql: String = sql.join(" ").chars().take(60).collect();
    let JobLine { id, party, user, state, seconds, .. } = line;
    let (sql, state) = (printable(&sql), state.to_string());
    let state = printable(&state);
    format!("{id}  {seconds:>8.1}s  {party} ({user})  {state}  | {sql}")
}
