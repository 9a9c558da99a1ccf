//! Backslash commands.

use crate::failure::{Failure, Outcome};
use crate::format::Format;
use clap::ValueEnum;
use std::path::PathBuf;

/// What `\?` prints.
pub(super) const HELP: &str = "\
SELECT …;             ask a question; statements end with a semicolon and may have several lines
EXPLAIN SELECT …;     show the plan, its cost, and what it reveals to whom, without running it
\\d [TABLE]            list tables, or the columns and holders of one
\\explain SELECT …     as EXPLAIN, on one line
\\explain on|off       say cost and leakage before each query, and ask when it is costly
\\format FORMAT        write answers as table, csv, json, parquet or arrow
\\i FILE               do what FILE says
\\o [FILE]             write answers to FILE, or to the screen again
\\recipients [P,Q|-]   who learns answers; - is the party that asks
\\timeout [SECONDS]    when a query is given up
\\timing [on|off]      say how long each query took
\\q                    leave
";

/// A backslash command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Command {
    /// `\d`
    Describe(Option<String>),
    /// `\timing`
    Timing(Option<bool>),
    /// `\explain on`
    Forewarn(bool),
    /// `\explain SELECT …`
    Explain(String),
    /// `\o`
    Output(Option<PathBuf>),
    /// `\format`
    Format(Format),
    /// `\recipients`; empty names are the asking party
    Recipients(Option<Vec<String>>),
    /// `\timeout`
    Timeout(Option<u64>),
    /// `\i`
    Include(PathBuf),
    /// `\?`
    Help,
    /// `\q`
    Quit,
}

impl Command {
    /// Every command, for completion.
    pub(super) const NAMES: [&str; 10] = [
        "\\?",
        "\\d",
        "\\explain",
        "\\format",
        "\\i",
        "\\o",
        "\\q",
        "\\recipients",
        "\\timeout",
        "\\timing",
    ];

    /// Reads a line that begins with a backslash. A semicolon at its end is forgiven.
    ///
    /// # Errors
    /// Usage for what is no command.
    pub(super) fn parse(line: &str) -> Outcome<Self> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        let given = (!argument.is_empty()).then_some(argument);
        let needed = || given.ok_or_else(|| wrong(format!("{name} needs an argument")));
        Ok(match name {
            "\\d" | "\\dt" => Self::Describe(given.map(str::to_owned)),
            "\\timing" => Self::Timing(given.map(switch).transpose()?),
            "\\explain" => match needed()? {
                choice @ ("on" | "off") => Self::Forewarn(switch(choice)?),
                sql => Self::Explain(sql.to_owned()),
            },
            "\\o" => Self::Output(given.map(PathBuf::from)),
            "\\format" => Self::Format(format(needed()?)?),
            "\\recipients" => Self::Recipients(given.map(names)),
            "\\timeout" => Self::Timeout(given.map(seconds).transpose()?),
            "\\i" => Self::Include(needed()?.into()),
            "\\?" | "\\h" => Self::Help,
            "\\q" => Self::Quit,
            _ => return Err(wrong(format!("no command {name}"))),
        })
    }
}

fn switch(word: &str) -> Outcome<bool> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(wrong(format!("`{other}` is neither on nor off"))),
    }
}

fn format(word: &str) -> Outcome<Format> {
    Format::from_str(word, true).map_err(|_| {
        let known = Format::value_variants().iter().filter_map(Format::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        wrong(format!("`{word}` is no format; there are {}", known.join(", ")))
    })
}

/// Sorted, each once; none for the asking party.
fn names(list: &str) -> Vec<String> {
    let words = list.split([',', ' ']).filter(|word| !word.is_empty() && *word != "-");
    let mut names: Vec<String> = words.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn seconds(word: &str) -> Outcome<u64> {
    let seconds = word.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| wrong("a timeout is 1 to 86400 seconds".to_owned()))
}

fn wrong(why: String) -> Failure {
    Failure::usage(why).with_remedy("\\? lists the commands")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        let parse = |line| Command::parse(line).unwrap();
        assert_eq!(parse("\\d"), Command::Describe(None));
        assert_eq!(parse("\\d visits;"), Command::Describe(Some("visits".to_owned())));
        assert_eq!(parse("\\timing"), Command::Timing(None));
        assert_eq!(parse("\\explain on"), Command::Forewarn(true));
        assert_eq!(parse("\\explain SELECT 1;"), Command::Explain("SELECT 1".to_owned()));
        assert_eq!(parse("\\o  a b.csv "), Command::Output(Some("a b.csv".into())));
        assert_eq!(parse("\\format CSV"), Command::Format(Format::Csv));
        let two = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(parse("\\recipients b, a,b"), Command::Recipients(Some(two)));
        assert_eq!(parse("\\recipients -"), Command::Recipients(Some(vec![])));
        assert_eq!(parse("\\timeout 30"), Command::Timeout(Some(30)));
        for name in Command::NAMES {
            assert!(HELP.contains(name) || name == "\\?", "{name}");
        }
    }

    #[test]
    fn what_is_no_command_is_a_usage_error() {
        for line in ["\\x", "\\timing maybe", "\\format xml", "\\timeout 0", "\\i", "\\explain"] {
            assert_eq!(Command::parse(line).unwrap_err().cause.exit_code(), 2, "{line}");
        }
        let failure = Command::parse("\\format xml").unwrap_err();
        assert_eq!(
            failure.message,
            "`xml` is no format; there are table, csv, json, parquet, arrow"
        );
    }
}
