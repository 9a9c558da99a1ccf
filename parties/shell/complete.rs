//! What the Tab key offers: keywords, tables, columns, parties, backslash commands and their
//! arguments.

use super::command::Command;
use crate::format::Format;
use clap::ValueEnum;
use senate_planner::catalog::Federation;

/// Words of SQL that the planner knows.
const KEYWORDS: &str = "\
    ALL AND AS ASC AVG BETWEEN BY CASE CAST COALESCE COUNT DATE DESC DISTINCT ELSE END \
    EXCEPT EXISTS EXPLAIN FALSE FROM GREATEST GROUP HAVING IN INNER INTERSECT INTERVAL IS JOIN LEAST \
    LEFT LIKE LIMIT LOWER MAX MIN NOT NULL NULLS ON OR ORDER OUTER RIGHT SELECT SUM THEN TRUE \
    UNION UPPER USING VALUES WHEN WHERE WITH";

/// The names of a federation.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    tables: Vec<String>,
    columns: Vec<String>,
    parties: Vec<String>,
}

/// What the word under the cursor can become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Offer {
    /// Words that replace the text from this byte on.
    Words(usize, Vec<String>),
    /// Names of files.
    Files,
}

impl Words {
    pub(super) fn of(federation: &Federation) -> Self {
        let mut words = Self {
            parties: federation.parties.iter().map(|party| party.name.clone()).collect(),
            ..Self::default()
        };
        for table in &federation.tables {
            words.tables.push(table.name.clone());
            let holders = table.holders.iter().map(|holder| federation.party_name(holder.party));
            words.tables.extend(holders.map(|party| format!("{party}.{}", table.name)));
            words.columns.extend(table.columns.iter().map(|column| column.name.clone()));
        }
        for list in [&mut words.tables, &mut words.columns, &mut words.parties] {
            list.sort();
            list.dedup();
        }
        words
    }

    /// What `line` can go on with at byte `cursor`.
    pub(super) fn offer(&self, line: &str, cursor: usize) -> Offer {
        let text = line.get(..cursor).unwrap_or(line);
        let last_line = text.rsplit('\n').next().unwrap_or(text).trim_start();
        let is_command = text.trim_start().starts_with('\\');
        let (name, has_argument) = match last_line.split_once(char::is_whitespace) {
            Some((name, _)) => (name, true),
            None => (last_line, false),
        };
        if is_command && !has_argument {
            let start = text.len() - last_line.len();
            return Offer::Words(start, matching(&Command::NAMES, last_line));
        }
        let start = word_start(text);
        let word = text.get(start..).unwrap_or_default();
        if !is_command || name == "\\explain" {
            let mut found = matching(&self.columns, word);
            found.extend(matching(&self.tables, word));
            found.extend(matching(&KEYWORDS.split(' ').collect::<Vec<_>>(), word));
            if name == "\\explain" {
                found.extend(matching(&["on", "off"], word));
            }
            return Offer::Words(start, found);
        }
        let found = match name {
            "\\d" => matching(&self.tables, word),
            "\\format" => {
                let names = Format::value_variants().iter().filter_map(Format::to_possible_value);
                let names: Vec<_> = names.map(|name| name.get_name().to_owned()).collect();
                matching(&names, word)
            }
            "\\recipients" => matching(&self.parties, word),
            "\\timing" => matching(&["on", "off"], word),
            "\\i" | "\\o" => return Offer::Files,
            _ => Vec::new(),
        };
        Offer::Words(start, found)
    }
}

/// Where the word that ends the text begins; a dot is part of it.
fn word_start(text: &str) -> usize {
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
    text.rfind(|letter| !is_word(letter)).map_or(0, |at| {
        at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    })
}

/// Names that begin like this, whatever their case.
fn matching<S: AsRef<str>>(names: &[S], word: &str) -> Vec<String> {
    let begins = |name: &&S| {
        let start = name.as_ref().get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    names.iter().filter(begins).map(|name| name.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Words {
            tables: list(&["a.visits", "visits"]),
            columns: list(&["diag", "patient"]),
            parties: list(&["a", "b"]),
        }
    }

    fn offered(line: &str) -> (usize, Vec<String>) {
        match words().offer(line, line.len()) {
            Offer::Words(start, found) => (start, found),
            Offer::Files => panic!("files for {line}"),
        }
    }

    #[test]
    fn sql_goes_on_with_columns_tables_and_keywords_in_any_case() {
        assert_eq!(offered("sel"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(offered("SELECT di"), (7, vec!["diag".to_owned(), "DISTINCT".to_owned()]));
        assert_eq!(offered("SELECT COUNT(*) FROM\nvi"), (21, vec!["visits".to_owned()]));
        assert_eq!(offered("SELECT 1 FROM a.v"), (14, vec!["a.visits".to_owned()]));
        assert_eq!(offered("SELECT sum(pat"), (11, vec!["patient".to_owned()]));
        assert_eq!(offered("zz"), (0, vec![]));
    }

    #[test]
    fn commands_go_on_with_what_they_take() {
        assert_eq!(offered("\\ti").1, ["\\timeout", "\\timing"]);
        assert_eq!(offered("\\d v"), (3, vec!["visits".to_owned()]));
        assert_eq!(offered("\\format c").1, ["csv"]);
        assert_eq!(offered("\\recipients a,b").1, ["b"]);
        assert_eq!(offered("\\explain SELECT pa").1, ["patient"]);
        assert_eq!(words().offer("\\i x", 4), Offer::Files);
    }
}
