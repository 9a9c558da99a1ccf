//! Where statements end: at a semicolon outside quotes and comments, or, for backslash commands, at
//! the end of the line.

/// Something to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A statement, without its semicolon.
    Sql(String),
    /// A backslash command with its arguments.
    Command(String),
}

/// Collects lines until there is something to do.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: String,
}

/// What the text is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Quotes(char),
    /// E'…', where a backslash escapes.
    Escapes,
    /// $tag$ … $tag$, whose tag has so many characters with its dollars.
    Dollars {
        at: usize,
        len: usize,
    },
    LineComment,
    BlockComment(usize),
}

impl Splitter {
    /// Everything that a script says; its last statement may lack the semicolon.
    pub fn split(script: &str) -> Vec<Piece> {
        Self::numbered(script).into_iter().map(|(_, piece)| piece).collect()
    }

    /// As [`Splitter::split`], each with the number of the line that it ends in.
    pub(super) fn numbered(script: &str) -> Vec<(usize, Piece)> {
        let mut splitter = Self::default();
        // Some editors mark files as UTF-8.
        let script = script.strip_prefix('\u{feff}').unwrap_or(script);
        let mut pieces = Vec::new();
        let mut number = 0;
        for line in script.lines() {
            number += 1;
            pieces.extend(splitter.line(line).into_iter().map(|piece| (number, piece)));
        }
        pieces.extend(splitter.end().map(|piece| (number, piece)));
        pieces
    }

    /// What is complete after this line.
    pub fn line(&mut self, line: &str) -> Vec<Piece> {
        let word = line.trim();
        if self.pending.trim().is_empty() {
            if word.starts_with('\\') {
                self.pending.clear();
                return vec![Piece::Command(word.to_owned())];
            }
            if ["quit", "exit"].iter().any(|end| word.eq_ignore_ascii_case(end)) {
                return vec![Piece::Command("\\q".to_owned())];
            }
        }
        self.pending.push_str(line);
        self.pending.push('\n');
        let mut pieces = Vec::new();
        while let Some(end) = semicolon(&self.pending) {
            let rest = self.pending.split_off(end);
            let statement = std::mem::replace(&mut self.pending, rest);
            self.pending.remove(0);
            pieces.extend(sql(&statement));
        }
        if is_blank(&self.pending) && !is_open(&self.pending) {
            self.pending.clear();
        }
        pieces
    }

    /// A last statement without semicolon.
    pub fn end(&mut self) -> Option<Piece> {
        sql(&std::mem::take(&mut self.pending))
    }

    /// Drops what has been collected.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Whether a line editor may hand the text over: nothing in it waits for more.
    pub fn is_complete(text: &str) -> bool {
        let mut splitter = Self::default();
        text.lines().for_each(|line| drop(splitter.line(line)));
        splitter.pending.trim().is_empty()
    }
}

/// What an EXPLAIN statement explains.
pub(super) fn explained(sql: &str) -> Option<&str> {
    let (word, rest) = sql.trim_start().split_once(char::is_whitespace)?;
    word.eq_ignore_ascii_case("explain").then_some(rest)
}

fn sql(statement: &str) -> Option<Piece> {
    let statement = statement.trim();
    // A comment without an end is an error, which whoever parses it reports.
    (!is_blank(statement) || is_open(statement)).then(|| Piece::Sql(statement.to_owned()))
}

/// The text's characters with their position and what they are inside of; quotes and comment marks
/// count as inside.
fn scan(text: &str) -> impl Iterator<Item = (usize, char, Inside)> {
    let mut inside = Inside::Nothing;
    // Characters that belong to a mark, and where it is.
    let (mut skip, mut skipped) = (0, inside);
    text.char_indices().map(move |(at, letter)| {
        if skip > 0 {
            skip -= 1;
            return (at, letter, skipped);
        }
        let rest = text.get(at..).unwrap_or_default();
        let before = inside;
        match inside {
            Inside::Nothing if rest.starts_with("--") => inside = Inside::LineComment,
            Inside::Nothing if rest.starts_with("/*") => {
                (inside, skip) = (Inside::BlockComment(1), 1)
            }
            Inside::Nothing if letter == '\'' && is_escaping(text, at) => inside = Inside::Escapes,
            Inside::Nothing if matches!(letter, '\'' | '"') => inside = Inside::Quotes(letter),
            Inside::Nothing if letter == '$' => {
                if let Some(len) = tag(text, at) {
                    (inside, skip) = (Inside::Dollars { at, len }, len - 1);
                }
            }
            Inside::Escapes if letter == '\\' => skip = 1,
            Inside::Escapes if letter == '\'' => inside = Inside::Nothing,
            Inside::Dollars { at, len }
                if text.get(at..at + len).is_some_and(|t| rest.starts_with(t)) =>
            {
                (inside, skip) = (Inside::Nothing, len - 1);
            }
            Inside::Quotes(quote) if letter == quote => inside = Inside::Nothing,
            Inside::LineComment if letter == '\n' => inside = Inside::Nothing,
            Inside::BlockComment(depth) if rest.starts_with("/*") => {
                (inside, skip) = (Inside::BlockComment(depth + 1), 1);
            }
            Inside::BlockComment(depth) if rest.starts_with("*/") => {
                skip = 1;
                inside = match depth {
                    1 => Inside::Nothing,
                    _ => Inside::BlockComment(depth - 1),
                };
            }
            _ => {}
        }
        skipped = if before == Inside::Nothing { inside } else { before };
        (at, letter, skipped)
    })
}

/// Whether the quote here begins a string with backslash escapes.
fn is_escaping(text: &str, at: usize) -> bool {
    let mut before = text.get(..at).unwrap_or_default().chars().rev();
    let is_prefix = before.next().is_some_and(|letter| letter.eq_ignore_ascii_case(&'e'));
    is_prefix && !before.next().is_some_and(is_word)
}

/// Length of the tag of a dollar quote that begins here.
fn tag(text: &str, at: usize) -> Option<usize> {
    let (before, rest) = (text.get(..at)?, text.get(at + 1..)?);
    let (name, _) = rest.split_once('$')?;
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with(|letter: char| letter.is_ascii_digit());
    (is_name && !before.ends_with(is_word)).then_some(name.len() + 2)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

fn semicolon(text: &str) -> Option<usize> {
    let found = scan(text).find(|(_, letter, inside)| *letter == ';' && *inside == Inside::Nothing);
    found.map(|(at, ..)| at)
}

/// Whether there is nothing but space and comments.
fn is_blank(text: &str) -> bool {
    scan(text).all(|(_, letter, inside)| match inside {
        Inside::Nothing => letter.is_whitespace(),
        Inside::Quotes(_) | Inside::Escapes | Inside::Dollars { .. } => false,
        Inside::LineComment | Inside::BlockComment(_) => true,
    })
}

/// Whether a block comment has no end yet.
fn is_open(text: &str) -> bool {
    let last = scan(text).last();
    matches!(last, Some((_, _, Inside::BlockComment(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqls(script: &str) -> Vec<String> {
        let pieces = Splitter::split(script).into_iter();
        let sql = |piece| match piece {
            Piece::Sql(sql) => sql,
            Piece::Command(command) => format!("command {command}"),
        };
        pieces.map(sql).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        assert_eq!(sqls("SELECT 1; SELECT\n2;"), ["SELECT 1", "SELECT\n2"]);
        assert_eq!(sqls("SELECT ';' || 'it''s;';"), ["SELECT ';' || 'it''s;'"]);
        assert_eq!(sqls("SELECT \"a;b\" FROM t"), ["SELECT \"a;b\" FROM t"]);
        assert_eq!(sqls("SELECT 1 -- no; end\n + 2;"), ["SELECT 1 -- no; end\n + 2"]);
        assert_eq!(sqls("SELECT /* ; /* ; */ ; */ 1;"), ["SELECT /* ; /* ; */ ; */ 1"]);
        assert_eq!(sqls(";;\n -- nothing\n;"), Vec::<String>::new());
        assert_eq!(sqls("SELECT $$a;b$$; SELECT 2"), ["SELECT $$a;b$$", "SELECT 2"]);
        assert_eq!(sqls("SELECT $t$;$$;$t$ x; 1"), ["SELECT $t$;$$;$t$ x", "1"]);
        assert_eq!(sqls("SELECT $1; SELECT $2;"), ["SELECT $1", "SELECT $2"]);
        assert_eq!(sqls("SELECT E'a\\';b', e'\\\\'; 1"), ["SELECT E'a\\';b', e'\\\\'", "1"]);
        assert_eq!(sqls("SELECT 'a\\'; 1"), ["SELECT 'a\\'", "1"]);
        assert_eq!(sqls("SELECT face'a\\'; 1"), ["SELECT face'a\\'", "1"]);
        // What has no end is handed over, for its error.
        assert_eq!(sqls("/* open; SELECT 1;"), ["/* open; SELECT 1;"]);
        assert_eq!(sqls("\u{feff}SELECT 1;"), ["SELECT 1"]);
        assert_eq!(sqls("SELECT '\\d';\n"), ["SELECT '\\d'"]);
    }

    #[test]
    fn a_command_ends_with_its_line_and_starts_no_statement() {
        assert_eq!(sqls("-- first\n\\d t ;\nSELECT 1;"), ["command \\d t ;", "SELECT 1"]);
        assert_eq!(sqls("SELECT\n\\d\n;"), ["SELECT\n\\d"]);
        assert_eq!(sqls("exit"), ["command \\q"]);
        assert_eq!(sqls("/* open\n\\d\n*/ SELECT 1;"), ["/* open\n\\d\n*/ SELECT 1"]);
    }

    #[test]
    fn an_editor_waits_for_the_end_of_a_statement() {
        for text in ["SELECT 1;", "\\d", "", " ", "SELECT 1; -- done", "quit"] {
            assert!(Splitter::is_complete(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "/* ;"] {
            assert!(!Splitter::is_complete(text), "{text}");
        }
    }

    #[test]
    fn explain_is_a_statement_of_the_shell() {
        assert_eq!(explained(" explain\nSELECT 1"), Some("SELECT 1"));
        assert_eq!(explained("explained SELECT"), None);
        assert_eq!(explained("SELECT 1"), None);
    }
}
