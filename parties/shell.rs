//! The interactive shell: SQL and backslash commands, in this process or through a party's daemon.

mod command;
mod complete;
mod describe;
mod editor;
mod output;
mod statement;

pub use editor::{Prompt, Read};
pub use statement::{Piece, Splitter};

use crate::agreement::Agreement;
use crate::ahead::Ahead;
use crate::cli::Where;
use crate::client;
use crate::commands::query::{Question, tell};
use crate::config::Workspace;
use crate::failure::{Cause, Failure, Outcome};
use crate::policies;
use crate::progress::Progress;
use crate::query::{Answered, consider, embedded_with};
use crate::request::Request;
use command::Command;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use output::Output;
use senate_planner::explain::{revelations, text};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Predicted time from which a query is costly.
const COSTLY: Duration = Duration::from_secs(30);
/// Predicted bytes on all links from which a query is costly.
const COSTLY_BYTES: u64 = 2 << 30;
/// Files that name files.
const NESTED_MAX: usize = 8;

/// Whether there is more to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// There may be.
    Next,
    /// The user has had enough.
    Quit,
}

/// What is said before a query runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forewarning {
    Nothing,
    CostAndLeakage,
}

/// A shell and its settings.
pub struct Shell {
    place: Where,
    quiet: bool,
    ahead: Ahead,
    output: Output,
    recipients: Vec<String>,
    timeout_s: u64,
    shows_time: bool,
    forewarning: Forewarning,
}

impl Shell {
    /// A shell of all parties, or of one; `quiet` is for results only.
    pub fn new(place: Where, timeout_s: u64, quiet: bool) -> Self {
        Self {
            place,
            quiet,
            ahead: Ahead::default(),
            output: Output::default(),
            recipients: Vec::new(),
            timeout_s,
            shows_time: false,
            forewarning: Forewarning::Nothing,
        }
    }

    /// The workspace as it is now: federation.toml may change while the shell runs.
    ///
    /// # Errors
    /// Usage when it is wrong, or has no such party.
    pub fn workspace(&self) -> Outcome<Workspace> {
        match &self.place {
            Where::Embedded(folder) => Workspace::open(folder),
            Where::AsParty(folder, party) => {
                let workspace = Workspace::open(folder)?;
                workspace.party(party).map(|_| workspace)
            }
        }
    }

    /// What the prompt says: whose shell it is.
    ///
    /// # Errors
    /// As [`Shell::workspace`].
    pub fn prompt(&self) -> Outcome<String> {
        let name = self.workspace()?.federation.name;
        Ok(match &self.place {
            Where::Embedded(_) => format!("{name}=> "),
            Where::AsParty(_, party) => format!("{party}@{name}=> "),
        })
    }

    /// Does what one statement or command says. `prompt` is there when somebody can be asked.
    ///
    /// # Errors
    /// As the query's; usage for a command that makes no sense; interrupted when the user did so.
    pub async fn run(&mut self, piece: Piece, prompt: Option<&Prompt>) -> Outcome<Flow> {
        self.run_nested(piece, prompt, 0).await
    }

    fn run_nested<'a>(
        &'a mut self,
        piece: Piece,
        prompt: Option<&'a Prompt>,
        depth: usize,
    ) -> LocalBoxFuture<'a, Outcome<Flow>> {
        async move {
            match piece {
                Piece::Sql(sql) => self.sql(&sql, prompt).await.map(|()| Flow::Next),
                Piece::Command(line) => match Command::parse(&line)? {
                    Command::Quit => Ok(Flow::Quit),
                    Command::Include(path) => self.include(&path, prompt, depth + 1).await,
                    Command::Explain(sql) => self.explain(&sql).await.map(|()| Flow::Next),
                    command => self.set(command).map(|()| Flow::Next),
                },
            }
        }
        .boxed_local()
    }

    async fn include(
        &mut self,
        path: &Path,
        prompt: Option<&Prompt>,
        depth: usize,
    ) -> Outcome<Flow> {
        if depth > NESTED_MAX {
            return Err(Failure::usage(format!("{}: files include each other", path.display())));
        }
        let script = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        for (line, piece) in Splitter::numbered(&script) {
            let at = |failure: Failure| failure.at(format!("{}:{line}", path.display()));
            if self.run_nested(piece, prompt, depth).await.map_err(at)? == Flow::Quit {
                return Ok(Flow::Quit);
            }
        }
        Ok(Flow::Next)
    }

    async fn sql(&mut self, sql: &str, prompt: Option<&Prompt>) -> Outcome<()> {
        if let Some(explained) = statement::explained(sql) {
            return self.explain(explained).await;
        }
        let started = Instant::now();
        if self.forewarning == Forewarning::CostAndLeakage {
            self.forewarn(sql, prompt).await?;
        }
        self.output.check()?;
        let Answered { rows, stats } = interruptible(self.ask(sql)).await?;
        match rows {
            Some(rows) => self.output.write(&rows)?,
            None if !self.quiet => eprintln!("only the named recipients learn the answer"),
            None => {}
        }
        tell(&stats, self.quiet);
        if self.shows_time {
            eprintln!("Time: {:.3} s", started.elapsed().as_secs_f64());
        }
        Ok(())
    }

    async fn ask(&self, sql: &str) -> Outcome<Answered> {
        let workspace = Arc::new(self.workspace()?);
        let request = self.request(&workspace, sql)?;
        let progress = Progress::start(self.quiet);
        let answered = match &self.place {
            Where::Embedded(_) => {
                let ran = embedded_with(&workspace, request, progress.sender(), &self.ahead).await;
                ran.and_then(|(answered, agreement)| {
                    // What the user types next may be answered from a session opened meanwhile.
                    self.ahead.prepare(&workspace, &agreement)?;
                    Ok(answered)
                })
            }
            Where::AsParty(_, party) => {
                client::ask(&workspace, party, request, &progress.sender()).await
            }
        };
        progress.finish();
        answered
    }

    fn request(&self, workspace: &Workspace, sql: &str) -> Outcome<Request> {
        let asker = match &self.place {
            Where::Embedded(_) => None,
            Where::AsParty(_, party) => Some(party.as_str()),
        };
        let question = Question::of(sql.to_owned(), self.recipients.clone());
        question.complete(workspace, asker, self.timeout_s)
    }

    async fn plan(&self, sql: &str) -> Outcome<(Arc<Workspace>, Arc<Agreement>)> {
        let workspace = Arc::new(self.workspace()?);
        let request = self.request(&workspace, sql)?;
        let asker = match &self.place {
            Where::Embedded(_) => None,
            Where::AsParty(_, party) => Some(party.as_str()),
        };
        let policies = policies::known(&workspace, asker, sql).await?;
        let agreement = consider(&workspace, request, policies).await?;
        Ok((workspace, agreement))
    }

    async fn explain(&self, sql: &str) -> Outcome<()> {
        let (workspace, agreement) = interruptible(self.plan(sql)).await?;
        output::say(text(&agreement.plan, &workspace.federation).trim_end())
    }

    /// Says what a query costs and reveals; asks when it costs much.
    async fn forewarn(&self, sql: &str, prompt: Option<&Prompt>) -> Outcome<()> {
        let (workspace, agreement) = interruptible(self.plan(sql)).await?;
        let plan = &agreement.plan;
        let (time, bytes) = (Duration::from_nanos(plan.nanos()), plan.total_bytes());
        let gates: u64 = plan.and_gates();
        eprintln!(
            "about {:.1} s, {} MB sent, {gates} AND gates in {} stages",
            time.as_secs_f64(),
            bytes.div_ceil(1_000_000),
            plan.stages.len()
        );
        for item in revelations(plan, &workspace.federation) {
            eprintln!("reveals {} to {}", item.what, item.to.join(", "));
        }
        if time < COSTLY && bytes < COSTLY_BYTES {
            return Ok(());
        }
        let agreed = match prompt {
            Some(prompt) => prompt.confirm("This is costly. Run it? [y/N] ").await,
            None => false,
        };
        match agreed {
            true => Ok(()),
            false => Err(Failure::new(Cause::Interrupted, "the query is costly and was not run")
                .with_remedy("answer y, or turn the question off with \\explain off")),
        }
    }

    /// A command that changes or shows something.
    fn set(&mut self, command: Command) -> Outcome<()> {
        match command {
            Command::Describe(None) => {
                output::say(&describe::tables(&self.workspace()?.federation))
            }
            Command::Describe(Some(table)) => {
                output::say(&describe::table(&self.workspace()?.federation, &table)?)
            }
            Command::Timing(choice) => {
                self.shows_time = choice.unwrap_or(!self.shows_time);
                self.note(&format!("timing is {}", if self.shows_time { "on" } else { "off" }))
            }
            Command::Forewarn(choice) => {
                self.forewarning =
                    if choice { Forewarning::CostAndLeakage } else { Forewarning::Nothing };
                let what = if choice { "said" } else { "not said" };
                self.note(&format!("cost and leakage are {what} before each query"))
            }
            Command::Output(path) => self.output.redirect(path.as_deref()),
            Command::Format(format) => {
                self.output.format = format;
                Ok(())
            }
            Command::Recipients(None) => {
                let names = self.recipients.join(", ");
                let who = if names.is_empty() { "the party that asks" } else { names.as_str() };
                output::say(&format!("recipients: {who}"))
            }
            Command::Recipients(Some(names)) => {
                let workspace = self.workspace()?;
                names.iter().try_for_each(|name| workspace.party(name).map(|_| ()))?;
                self.recipients = names;
                Ok(())
            }
            Command::Timeout(None) => output::say(&format!("timeout: {} s", self.timeout_s)),
            Command::Timeout(Some(seconds)) => {
                self.timeout_s = seconds;
                Ok(())
            }
            Command::Help => output::say(command::HELP.trim_end()),
            Command::Quit | Command::Include(_) | Command::Explain(_) => Ok(()),
        }
    }

    fn note(&self, what: &str) -> Outcome<()> {
        if !self.quiet {
            eprintln!("{what}");
        }
        Ok(())
    }
}

/// Ctrl-C ends the work, not the shell.
async fn interruptible<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::select! {
        biased;
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(Cause::Interrupted, "interrupted")),
    }
}
