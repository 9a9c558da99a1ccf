//! Arguments, logging, interruption, and how an outcome becomes an exit code.

use crate::commands::{
    audit, bench, decisions, demo, doctor, explain, init, invite, jobs, join, publish, query,
    serve, shell, token, worker,
};
use crate::config::Workspace;
use crate::defaults;
use crate::failure::{Cause, Failure, Outcome};
use crate::say;
use clap::{
    ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};
use senate_circuit::PartyId;
use senate_planner::sql::STACK_BYTES;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Several organisations ask one SQL question over their combined tables and learn the answer, and
/// nothing else.
#[derive(Parser, Debug)]
#[command(
    name = "senate",
    version,
    propagate_version = true,
    after_help = "Examples:\n  senate demo medical\n  senate query --workspace study --as \
    hospital_a \"SELECT COUNT(*) AS n FROM diagnoses\"\n\n\
    SENATE_WORKSPACE and SENATE_AS stand for --workspace and --as where these are not given; a \
    configuration file (--config) may have `workspace`, `as`, `timeout`, `color`, `log_format`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What is shown on the way.
    #[command(flatten)]
    pub verbosity: Verbosity,
    /// Defaults of options [default: senate/config.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of every command.
#[derive(Args, Clone, Copy, Debug)]
pub struct Verbosity {
    /// Say more on stderr; repeat for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub color: ColorChoice,
    /// How log lines on stderr are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl Verbosity {
    /// The arguments that another process is given to say as much in the same way.
    pub(crate) fn arguments(self) -> Vec<String> {
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let mut arguments = vec![format!("--log-format={format}")];
        arguments.extend(self.quiet.then(|| "--quiet".to_owned()));
        arguments.extend((0..self.verbose).map(|_| "--verbose".to_owned()));
        arguments
    }
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a packaged question end to end: parties as separate processes over mutual TLS
    Demo(demo::Options),
    /// Ask a question
    Query(query::Options),
    /// Ask questions one after the other: history, completion, scripts
    Shell(shell::Options),
    /// Show the plan of a question, its cost, and what it reveals to whom, without running it
    Explain(explain::Options),
    /// Serve a party: other parties' sessions and this party's users
    Serve(serve::Options),
    /// Run sessions of a party beside its daemon, in a process of their own
    Worker(worker::Options),
    /// Queries of a daemon: list, show, attach, cancel
    Jobs(jobs::Options),
    /// Tokens of a party's analysts for Flight SQL: create, list, revoke
    Token(token::Options),
    /// Make a party's identity
    Init(init::Options),
    /// Invite parties: give out codes and have federation.toml signed by all
    Invite(invite::Options),
    /// Answer an invitation
    Join(join::Options),
    /// Declare a table: infer its schema from its source, show what leaves, write it down
    Publish(publish::Options),
    /// Check what stands between this party and a query
    Doctor(doctor::Options),
    /// List the queries of others that wait for a decision, and the decisions
    Inbox(decisions::InboxOptions),
    /// Let a query of another party run
    Approve(decisions::ApproveOptions),
    /// Forbid a query of another party, or withdraw its approval
    Deny(decisions::DenyOptions),
    /// Check or export the log of what ran and what was refused
    Audit(audit::Options),
    /// Measure the published figures
    Bench(bench::Options),
}

/// Which federation, and as whom.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Run all parties of the workspace DIR inside this process
    #[arg(long, value_name = "DIR", conflicts_with_all = ["workspace", "party"])]
    pub local: Option<PathBuf>,
    /// The workspace directory
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// The party whose daemon is asked
    #[arg(long = "as", id = "party", value_name = "PARTY")]
    pub party: Option<String>,
}

/// A party whose files are in a workspace on this machine.
#[derive(Args, Clone, Debug)]
pub struct Own {
    /// The workspace directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// The party
    #[arg(long = "as", value_name = "PARTY")]
    pub party: String,
}

impl Own {
    /// Reads the workspace.
    ///
    /// # Errors
    /// Usage when it cannot be read, or has no such party.
    pub fn open(&self) -> Outcome<(Workspace, PartyId)> {
        let workspace = Workspace::open(&self.workspace)?;
        let party = workspace.party(&self.party)?;
        Ok((workspace, party))
    }
}

/// A place that makes sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// All parties in this process.
    Embedded(PathBuf),
    /// A party of a workspace.
    AsParty(PathBuf, String),
}

impl Place {
    /// One of the two ways.
    ///
    /// # Errors
    /// Usage when neither is given.
    pub fn resolve(&self) -> Outcome<Where> {
        match (&self.local, &self.workspace, &self.party) {
            (Some(folder), ..) => Ok(Where::Embedded(folder.clone())),
            (None, Some(folder), Some(party)) => Ok(Where::AsParty(folder.clone(), party.clone())),
            (None, None, Some(party)) => Ok(Where::AsParty(".".into(), party.clone())),
            (None, Some(_), None) => Err(Failure::usage("which party asks is not said").with_remedy(
                "give --as PARTY (or SENATE_AS), or run all parties in this process: --local DIR",
            )),
            (None, None, None) => Err(Failure::usage("no workspace given").with_remedy(
                "give --local DIR, or --workspace DIR --as PARTY (the directory is this one by \
                 default), or set SENATE_WORKSPACE and SENATE_AS",
            )),
        }
    }
}

impl Cli {
    /// The words of the command line; `variable` gives what is set in the environment.
    ///
    /// # Errors
    /// Clap's, for words that make no sense; usage for a configuration that makes none.
    pub fn read<W: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = W>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Misread> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let command = defaults::set(Self::command(), &words, variable)?;
        Ok(Self::from_arg_matches(&command.try_get_matches_from(words)?)?)
    }
}

/// Why a command line was not read.
#[derive(thiserror::Error, Debug)]
pub enum Misread {
    /// What clap says, which may also be the help that was asked for.
    #[error(transparent)]
    Words(#[from] clap::Error),
    /// What is wrong with the configuration.
    #[error("{0}")]
    Defaults(#[from] Failure),
}

impl Misread {
    /// Says so and ends the process.
    pub fn exit(self) -> ! {
        match self {
            Self::Words(error) => error.exit(),
            Self::Defaults(failure) => {
                report(&failure, ColorChoice::Auto);
                std::process::exit(failure.cause.exit_code().into())
            }
        }
    }
}

/// Runs a command and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
    let color = cli.verbosity.color;
    // The first thread's stack is as large as the system likes.
    let main = std::thread::Builder::new().name("main".to_owned()).stack_size(STACK_BYTES);
    match main.spawn(move || run_here(cli)).map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            let failure = Failure::unexpected(format!("starting: {error}"));
            report(&failure, color);
            ExitCode::from(failure.cause.exit_code())
        }
    }
}

fn run_here(cli: Cli) -> ExitCode {
    let verbosity = cli.verbosity;
    let daemon = matches!(cli.command, Command::Serve(_) | Command::Worker(_));
    // A daemon drains; a shell ends its query only.
    let own_signals = daemon || matches!(cli.command, Command::Shell(_));
    start_logging(verbosity, daemon);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Failure::unexpected(format!("starting: {error}")))
        .and_then(|runtime| {
            let command = dispatch(cli.command, verbosity);
            let outcome = match own_signals {
                true => runtime.block_on(command),
                false => runtime.block_on(interruptible(command)),
            };
            // Blocking planner threads must not delay the end.
            runtime.shutdown_background();
            outcome.and_then(|()| say::all_said())
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, verbosity.color);
            ExitCode::from(failure.cause.exit_code())
        }
    }
}

async fn dispatch(command: Command, verbosity: Verbosity) -> Outcome<()> {
    match command {
        Command::Demo(options) => demo::run(options, verbosity).await,
        Command::Query(options) => query::run(options, verbosity).await,
        Command::Shell(options) => shell::run(options, verbosity).await,
        Command::Explain(options) => explain::run(&options).await,
        Command::Serve(options) => serve::run(options, verbosity).await,
        Command::Worker(options) => worker::run(options).await,
        Command::Jobs(options) => jobs::run(options, verbosity).await,
        Command::Token(options) => token::run(&options),
        Command::Init(options) => init::run(&options),
        Command::Invite(options) => invite::run(options).await,
        Command::Join(options) => join::run(options).await,
        Command::Publish(options) => publish::run(&options).await,
        Command::Doctor(options) => doctor::run(&options).await,
        Command::Inbox(options) => decisions::inbox(&options),
        Command::Approve(options) => decisions::approve(&options),
        Command::Deny(options) => decisions::deny(&options),
        Command::Audit(options) => audit::run(options).await,
        Command::Bench(options) => bench::run(&options).await,
    }
}

/// Ctrl-C ends a command.
async fn interruptible(command: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    tokio::select! {
        biased;
        outcome = command => outcome,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(Cause::Interrupted, "interrupted")),
    }
}

/// One line for what happened, one for what to do.
pub(crate) fn report(failure: &Failure, color: ColorChoice) {
    let mut stderr = std::io::stderr().lock();
    let (red, plain) = if colored(color) { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    let words = failure.to_string().replace('\n', " ");
    let _ = writeln!(stderr, "{red}error{plain}: {}", say::printable(&words));
    if let Some(remedy) = &failure.remedy {
        let _ = writeln!(stderr, "  help: {}", say::printable(&remedy.replace('\n', " ")));
    }
}

/// Whether stderr gets colours.
fn colored(color: ColorChoice) -> bool {
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
        }
    }
}

fn start_logging(verbosity: Verbosity, daemon: bool) {
    use tracing::level_filters::LevelFilter;
    let level = match (verbosity.quiet, verbosity.verbose, daemon) {
        (true, ..) => LevelFilter::ERROR,
        (false, 0, false) => LevelFilter::OFF,
        (false, 0, true) => LevelFilter::INFO,
        (false, 1, _) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Only our own words: libraries log what they see of the tables.
    let ours = tracing_subscriber::filter::Targets::new().with_target("senate", level);
    use tracing_subscriber::layer::SubscriberExt;
    // Others' words among them, like a query's text, begin no line and colour nothing.
    let fields = tracing_subscriber::fmt::format::debug_fn(|out, field, value| {
        let text = format!("{value:?}");
        match (field.name(), say::printable(&text)) {
            ("message", text) => write!(out, "{text}"),
            (name, text) => write!(out, "{name}={text}"),
        }
    });
    use tracing_subscriber::field::MakeExt;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(ours);
    let _ = match verbosity.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(
            registry
                .with(lines.with_ansi(colored(verbosity.color)).fmt_fields(fields.delimited(" "))),
        ),
        LogFormat::Json => tracing::subscriber::set_global_default(
            registry.with(lines.json().flatten_event(true).with_ansi(false)),
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_examples(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        assert!(help.contains("\nExample"), "{}", command.get_name());
        let inner = command.get_subcommands_mut();
        inner.filter(|inner| inner.get_name() != "help").for_each(has_examples);
    }

    #[test]
    fn every_command_has_an_example() {
        let mut cli = Cli::command();
        cli.clone().debug_assert();
        has_examples(&mut cli);
    }

    #[test]
    fn a_place_is_local_or_a_party() {
        let parse = |words: &[&str]| Cli::try_parse_from(words);
        assert!(parse(&["senate", "query", "--local", "d", "SELECT 1"]).is_ok());
        assert!(parse(&["senate", "query", "--local", "d", "--as", "a", "SELECT 1"]).is_err());
        let Command::Query(options) =
            parse(&["senate", "query", "--as", "a", "SELECT 1"]).unwrap().command
        else {
            panic!("not a query");
        };
        assert_eq!(options.place.resolve().unwrap(), Where::AsParty(".".into(), "a".into()));
        for workspace in [None, Some("d".into())] {
            let nobody = Place { local: None, workspace, party: None };
            assert_eq!(nobody.resolve().unwrap_err().cause.exit_code(), 2);
        }
    }
}
