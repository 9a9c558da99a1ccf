//! What stands for options that are not given: variables of the environment, then a file.

use crate::cli::LogFormat;
use crate::failure::{Failure, Outcome};
use clap::{ColorChoice, Command, ValueEnum};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables that stand for arguments of the same meaning.
const VARIABLES: [(&str, &str); 2] = [("workspace", "SENATE_WORKSPACE"), ("party", "SENATE_AS")];

/// What a configuration file may say.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
struct File {
    /// Relative to the file's folder.
    workspace: Option<PathBuf>,
    r#as: Option<String>,
    timeout: Option<u64>,
    color: Option<String>,
    log_format: Option<String>,
}

/// The command with defaults for what `words` may leave out. `variable` gives what is set in the
/// environment.
///
/// # Errors
/// Usage when the configuration file cannot be read or makes no sense.
pub(crate) fn set(
    mut command: Command,
    words: &[OsString],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Outcome<Command> {
    let mut defaults = match file(&command, words, &variable) {
        Some((path, is_asked)) => read(&path, is_asked)?,
        None => Vec::new(),
    };
    for (id, name) in VARIABLES {
        let value = variable(name).filter(|value| !value.is_empty());
        defaults.extend(value.map(|value| (id, value)));
    }
    for (id, value) in defaults {
        // A default lives as long as the program.
        command = with_default(command, id, Box::leak(value.into_boxed_os_str()));
    }
    Ok(command)
}

/// The file that is read, and whether somebody asked for it by name.
fn file(
    command: &Command,
    words: &[OsString],
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Option<(PathBuf, bool)> {
    // What is wrong with the other words is told when they are read in earnest.
    let matches = command.clone().ignore_errors(true).try_get_matches_from(words).ok()?;
    if let Some(path) = matches.get_one::<PathBuf>("config") {
        return Some((path.clone(), true));
    }
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some((folder.join("senate").join("config.toml"), false))
}

/// Values by argument. The usual file need not be there.
fn read(path: &Path, is_asked: bool) -> Outcome<Vec<(&'static str, OsString)>> {
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_asked => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(wrong(error.to_string()).with_remedy("name another one with --config"));
        }
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        wrong(format!("line {line}: {}", error.message()))
    })?;
    let File { workspace, r#as, timeout, color, log_format } = file;
    let one_of = |key: &str, value: &String, is_one: bool, all: &str| match is_one {
        true => Ok(()),
        false => Err(wrong(format!("{key} = {value:?} is none of {all}"))),
    };
    if let Some(color) = &color {
        let is_one = ColorChoice::from_str(color, false).is_ok();
        one_of("color", color, is_one, "auto, always, never")?;
    }
    if let Some(format) = &log_format {
        let is_one = LogFormat::from_str(format, false).is_ok();
        one_of("log_format", format, is_one, "text, json")?;
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let values = [
        ("workspace", workspace.map(|path| folder.join(path).into_os_string())),
        ("party", r#as.map(OsString::from)),
        ("timeout", timeout.map(|seconds| seconds.to_string().into())),
        ("color", color.map(OsString::from)),
        ("log_format", log_format.map(OsString::from)),
    ];
    Ok(values.into_iter().filter_map(|(id, value)| Some((id, value?))).collect())
}

/// The command with a default for an argument of it or its subcommands, wherever they have it.
fn with_default(mut command: Command, id: &str, value: &'static OsStr) -> Command {
    if command.get_arguments().any(|argument| argument.get_id() == id) {
        command = command.mut_arg(id, |argument| argument.required(false).default_value(value));
    }
    command.mut_subcommands(|inner| with_default(inner, id, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, Misread, Where};

    #[test]
    fn variables_stand_for_the_workspace_and_the_party() {
        let variable = |name: &str| match name {
            "SENATE_WORKSPACE" => Some("study".into()),
            "SENATE_AS" => Some("a".into()),
            _ => None,
        };
        let place = |words: &[&str]| match Cli::read(words, variable).unwrap().command {
            Command::Query(options) => options.place.resolve().unwrap(),
            other => panic!("{other:?}"),
        };
        let query = ["senate", "query", "SELECT 1"];
        assert_eq!(place(&query), Where::AsParty("study".into(), "a".into()));
        let other = [&query[..], &["--as", "b"]].concat();
        assert_eq!(place(&other), Where::AsParty("study".into(), "b".into()));
        let local = [&query[..], &["--local", "d"]].concat();
        assert_eq!(place(&local), Where::Embedded("d".into()));
        for words in [&["serve"][..], &["audit", "verify"], &["approve", "3f2a"], &["init"]] {
            let words = [&["senate"], words].concat();
            assert!(Cli::read(&words, variable).is_ok(), "{words:?}");
            assert!(Cli::read(&words, |_| None).is_err(), "{words:?}");
        }
    }

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    fn failure(words: &[&str]) -> Failure {
        match Cli::read(words, nothing) {
            Err(Misread::Defaults(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_stands_for_options_that_neither_words_nor_variables_give() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("senate").join("config.toml");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let text = "workspace = \"study\"\nas = \"a\"\ntimeout = 7\nlog_format = \"json\"\ncolor = \"never\"\n";
        std::fs::write(&path, text).unwrap();
        let named = path.to_str().unwrap();
        let home = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(folder.path().into()),
            _ => None,
        };
        let query = ["senate", "query", "SELECT 1"];
        let asked = [&query[..], &["--config", named]].concat();
        let before = [&["senate", "--config", named], &query[1..]].concat();
        for cli in [
            Cli::read(query, home).unwrap(),
            Cli::read(&asked, nothing).unwrap(),
            Cli::read(&before, nothing).unwrap(),
        ] {
            assert_eq!(cli.verbosity.log_format, LogFormat::Json);
            assert_eq!(cli.verbosity.color, ColorChoice::Never);
            let Command::Query(options) = cli.command else { panic!("not a query") };
            let study = path.with_file_name("study");
            assert_eq!(options.place.resolve().unwrap(), Where::AsParty(study, "a".into()));
            assert_eq!(options.timeout, Some(7));
        }
        let more = |name: &str| match name {
            "SENATE_AS" => Some("b".into()),
            other => home(other),
        };
        let words = [&query[..], &["--workspace", "w", "--color", "always"]].concat();
        let cli = Cli::read(words, more).unwrap();
        assert_eq!(cli.verbosity.color, ColorChoice::Always);
        let Command::Query(options) = cli.command else { panic!("not a query") };
        let expected = Where::AsParty("w".into(), "b".into());
        assert_eq!(options.place.resolve().unwrap(), expected);
        for (text, why) in [
            ("workspaces = \"x\"", "line 1: unknown field `workspaces`"),
            ("\ntimeout = \"x\"", "line 2: invalid type"),
            ("color = \"blue\"", "color = \"blue\" is none of auto"),
            ("log_format = \"xml\"", "log_format = \"xml\" is none of text"),
        ] {
            std::fs::write(&path, text).unwrap();
            let found = failure(&asked);
            assert!(found.message.contains(named) && found.message.contains(why), "{found}");
            assert_eq!(found.cause.exit_code(), 2);
        }
    }

    #[test]
    fn only_the_usual_file_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let home = |name: &str| (name == "HOME").then(|| folder.path().into());
        assert!(Cli::read(["senate", "demo"], home).is_ok());
        let missing = folder.path().join("x.toml");
        let found = failure(&["senate", "demo", "--config", missing.to_str().unwrap()]);
        assert!(found.remedy.unwrap().contains("--config"));
    }
}
