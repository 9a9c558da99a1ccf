//! `senate query`: one question, in this process or through a party's daemon.

use crate::cli::{Place, Verbosity, Where};
use crate::client;
use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use crate::progress::Progress;
use crate::query::{Answered, embedded, first_contributor};
use crate::request::{BackendChoice, Request, Stages, Stats};
use crate::snapshot::Snapshot;
use clap::Args;
use datafusion::arrow::record_batch::RecordBatch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `senate query`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate query --local study \"SELECT diag, COUNT(*) AS n FROM diagnoses GROUP BY diag\"\n  \
    senate query --workspace study --as hospital_a -f question.sql --format csv -o answer.csv")]
pub struct Options {
    /// The question and its public choices.
    #[command(flatten)]
    pub question: Question,
    /// Where to run.
    #[command(flatten)]
    pub place: Place,
    /// Give up after this many seconds; by default after `deadline_s` of federation.toml, or 600
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// Leave the query to the daemon; `senate jobs attach ID` fetches the answer
    #[arg(long, conflicts_with_all = ["local", "stats", "output"])]
    detach: bool,
    /// Where the answer goes.
    #[command(flatten)]
    pub answer: AnswerOptions,
    /// Write figures of the run to FILE as JSON
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
}

impl Options {
    fn seconds(&self, workspace: &Workspace) -> u64 {
        self.timeout.unwrap_or(workspace.federation.availability.deadline_s)
    }
}

/// How an answer is written, and where.
#[derive(Args, Clone, Debug)]
pub struct AnswerOptions {
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the answer to FILE
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl AnswerOptions {
    /// Whether what is no answer is to be written as JSON.
    ///
    /// # Errors
    /// Usage for formats that only answers have, and for a file.
    pub(super) fn lists_as_json(&self) -> Outcome<bool> {
        match (self.format, &self.output) {
            (Format::Table, None) => Ok(false),
            (Format::Json, None) => Ok(true),
            _ => Err(Failure::usage("queries are listed as table or json, on standard output")),
        }
    }

    /// Writes the rows; a file is there in full or not at all.
    ///
    /// # Errors
    /// Usage when the file cannot be written.
    pub fn write(&self, rows: &RecordBatch) -> Outcome<()> {
        match &self.output {
            Some(path) => format::write_file(rows, self.format, path),
            None => format::write(rows, self.format, &mut std::io::stdout()),
        }
    }
}

/// A question with its public choices.
#[derive(Args, Clone, Debug)]
pub struct Question {
    /// The question in SQL
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    sql: Option<String>,
    /// Read the question from FILE
    #[arg(short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Who learns the answer; by default the party that asks
    #[arg(long, value_name = "PARTIES", value_delimiter = ',')]
    recipients: Vec<String>,
    /// A tighter public bound on the rows of a holder's table that pass its local filter
    #[arg(long = "bound", value_name = "PARTY.TABLE=N")]
    bounds: Vec<String>,
    /// One circuit among all parties instead of stages on subsets
    #[arg(long)]
    no_decompose: bool,
    /// How the AND gates of stages are computed
    #[arg(long, value_enum, default_value_t)]
    backend: BackendChoice,
}

impl Question {
    /// A question that was not asked by arguments: decomposed, without tighter bounds.
    pub fn of(sql: String, recipients: Vec<String>) -> Self {
        let (file, bounds, no_decompose) = (None, Vec::new(), false);
        let backend = BackendChoice::default();
        Self { sql: Some(sql), file, recipients, bounds, no_decompose, backend }
    }

    /// The request, before a recipient has been chosen.
    ///
    /// # Errors
    /// Usage when the file cannot be read.
    pub fn request(&self, timeout_s: u64) -> Outcome<Request> {
        let sql = match (&self.sql, &self.file) {
            (Some(sql), _) => sql.clone(),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                // Some editors mark files as UTF-8.
                text.trim_start_matches('\u{feff}').to_owned()
            }
            (None, None) => return Err(Failure::usage("no question given")),
        };
        let stages = if self.no_decompose { Stages::OneCircuit } else { Stages::Decomposed };
        let (recipients, bounds) = (self.recipients.clone(), self.bounds.clone());
        let (asker, backend) = (String::new(), self.backend);
        let snapshot = Snapshot::default();
        Ok(Request { sql, asker, recipients, bounds, stages, backend, timeout_s, snapshot })
    }

    /// The request of a party, or of all parties in one process; without named recipients the
    /// asking party learns the answer, or the first that contributes.
    ///
    /// # Errors
    /// Usage for a wrong question or party.
    pub fn complete(
        &self,
        workspace: &Workspace,
        asker: Option<&str>,
        timeout_s: u64,
    ) -> Outcome<Request> {
        let mut request = self.request(timeout_s)?;
        request.asker = match (asker, request.recipients.first()) {
            (Some(party), _) => party.to_owned(),
            (None, Some(recipient)) => recipient.clone(),
            (None, None) => {
                workspace.federation.party_name(first_contributor(workspace, &request)?)
            }
        };
        if request.recipients.is_empty() {
            request.recipients.push(request.asker.clone());
        }
        // Order and repetition mean nothing.
        request.recipients.sort();
        request.recipients.dedup();
        request.bounds.sort();
        request.check()?;
        Ok(request)
    }
}

/// Asks, writes the answer, and ends with one line on stderr.
///
/// # Errors
/// As the query's.
pub async fn run(options: Options, verbosity: Verbosity) -> Outcome<()> {
    if options.detach {
        return detach(&options, verbosity).await;
    }
    if options.stats.is_some() && options.stats == options.answer.output {
        return Err(Failure::usage("--output and --stats name the same file")
            .with_remedy("name one file for each"));
    }
    for file in [&options.answer.output, &options.stats].into_iter().flatten() {
        has_folder(file)?;
    }
    let progress = Progress::start(verbosity.quiet);
    let answered = match options.place.resolve()? {
        Where::Embedded(folder) => {
            let workspace = Workspace::open(&folder)?;
            let request =
                options.question.complete(&workspace, None, options.seconds(&workspace))?;
            embedded(&Arc::new(workspace), request, progress.sender()).await
        }
        Where::AsParty(folder, party) => {
            let workspace = Workspace::open(&folder)?;
            let request =
                options.question.complete(&workspace, Some(&party), options.seconds(&workspace))?;
            client::ask(&workspace, &party, request, &progress.sender()).await
        }
    };
    progress.finish();
    let answered = answered?;
    show(&answered, &options.answer, options.stats.as_deref(), verbosity)
}

/// A query that runs counts with the owners of the rows: what it says must have a place before.
fn has_folder(file: &Path) -> Outcome<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.unwrap_or(Path::new(".")) {
        folder if folder.is_dir() => Ok(()),
        folder => Err(Failure::usage(format!("{}: no such folder", folder.display()))
            .with_remedy("nothing was asked; make it, or name another")),
    }
}

/// Writes the answer, and ends with one line on stderr.
///
/// # Errors
/// Usage when a file cannot be written.
pub fn show(
    answered: &Answered,
    answer: &AnswerOptions,
    stats: Option<&Path>,
    verbosity: Verbosity,
) -> Outcome<()> {
    match &answered.rows {
        Some(rows) => answer.write(rows)?,
        None if !verbosity.quiet => eprintln!("only the named recipients learn the answer"),
        None => {}
    }
    if let Some(path) = stats {
        answered.stats.write(path)?;
    }
    tell(&answered.stats, verbosity.quiet);
    Ok(())
}

/// What there is to say besides the rows: what is wrong with others' logs is said even to those who
/// want results only.
pub fn tell(stats: &Stats, is_quiet: bool) {
    stats.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    if is_quiet {
        return;
    }
    if let Some(groups) = stats.suppressed_groups {
        eprintln!("{groups} groups are left out: too small for the owners' policies");
    }
    eprintln!("{}", stats.summary());
}

/// Prints the id of a query that goes on without this process.
async fn detach(options: &Options, verbosity: Verbosity) -> Outcome<()> {
    let Where::AsParty(folder, party) = options.place.resolve()? else {
        return Err(Failure::usage("--detach leaves the query to a daemon: name it with --as"));
    };
    let workspace = Workspace::open(&folder)?;
    let seconds = options.seconds(&workspace);
    let request = options.question.complete(&workspace, Some(&party), seconds)?;
    let id = client::detach(&workspace, &party, request).await?;
    say!("{id}");
    if !verbosity.quiet {
        let folder = folder.display();
        eprintln!("fetch the answer: senate jobs attach {id} --workspace {folder} --as {party}");
    }
    Ok(())
}
