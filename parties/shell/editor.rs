//! The line editor, on a thread of its own because it blocks: history, completion, and statements
//! of several lines edited as one.

use super::complete::{Offer, Words};
use super::statement::Splitter;
use crate::failure::{Failure, Outcome};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use senate_planner::catalog::Federation;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Statements that are remembered.
const HISTORY_MAX: usize = 2_000;

/// What came from the prompt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// One or more lines, complete.
    Text(String),
    /// The user gave up the line.
    Interrupted,
    /// There will be no more.
    End,
}

/// A user at a terminal.
pub struct Prompt {
    asks: mpsc::Sender<Ask>,
}

enum Ask {
    Statement { prompt: String, words: Words, reply: oneshot::Sender<Outcome<Read>> },
    Confirm { question: String, reply: oneshot::Sender<bool> },
}

impl Prompt {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// Unexpected when there is none, or no thread.
    pub fn start() -> Outcome<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .build();
        let mut editor = Editor::<Sql, FileHistory>::with_config(config).map_err(failed)?;
        let helper = Sql { words: Words::default(), files: FilenameCompleter::new() };
        editor.set_helper(Some(helper));
        let history = history_file();
        if let Some(path) = &history {
            // The first time there is none.
            let _ = editor.load_history(path);
        }
        let (asks, asked) = mpsc::channel();
        std::thread::Builder::new()
            .name("prompt".to_owned())
            .spawn(move || serve(editor, history.as_deref(), &asked))
            .map_err(|error| Failure::unexpected(format!("a thread for the prompt: {error}")))?;
        Ok(Self { asks })
    }

    /// The next statement or command; Tab offers the names of `federation`.
    ///
    /// # Errors
    /// Unexpected when the terminal cannot be read.
    pub async fn read(&self, prompt: String, federation: Option<&Federation>) -> Outcome<Read> {
        let words = federation.map(Words::of).unwrap_or_default();
        let (reply, read) = oneshot::channel();
        let _ = self.asks.send(Ask::Statement { prompt, words, reply });
        read.await.unwrap_or(Ok(Read::End))
    }

    /// Whether the user says yes.
    pub async fn confirm(&self, question: &str) -> bool {
        let (reply, confirmed) = oneshot::channel();
        let _ = self.asks.send(Ask::Confirm { question: question.to_owned(), reply });
        confirmed.await.unwrap_or(false)
    }
}

/// Answers until nobody asks any more.
fn serve(
    mut editor: Editor<Sql, FileHistory>,
    history: Option<&Path>,
    asked: &mpsc::Receiver<Ask>,
) {
    while let Ok(ask) = asked.recv() {
        match ask {
            Ask::Statement { prompt, words, reply } => {
                if let Some(helper) = editor.helper_mut() {
                    helper.words = words;
                }
                let read = match editor.readline(&prompt) {
                    Ok(text) => {
                        remember(&mut editor, &text, history);
                        Ok(Read::Text(text))
                    }
                    Err(ReadlineError::Interrupted) => Ok(Read::Interrupted),
                    Err(ReadlineError::Eof) => Ok(Read::End),
                    Err(error) => Err(failed(error)),
                };
                let _ = reply.send(read);
            }
            Ask::Confirm { question, reply } => {
                let answer = Editor::<(), FileHistory>::new()
                    .and_then(|mut plain| plain.readline(&question))
                    .unwrap_or_default();
                let is_yes = ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes));
                let _ = reply.send(is_yes);
            }
        }
    }
}

/// Keeps a statement, never an answer. A history that cannot be written is none.
fn remember(editor: &mut Editor<Sql, FileHistory>, text: &str, history: Option<&Path>) {
    if !text.trim().is_empty() && editor.add_history_entry(text).unwrap_or(false) {
        let _ = history.map(|path| editor.append_history(path));
    }
}

/// The history in the user's state directory, which is made if need be.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")))?;
    let folder = state.join("senate");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).ok()?;
    Some(folder.join("history"))
}

fn failed(error: ReadlineError) -> Failure {
    Failure::unexpected(format!("the terminal: {error}"))
}

/// What the editor knows of SQL.
struct Sql {
    words: Words,
    files: FilenameCompleter,
}

impl Completer for Sql {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        match self.words.offer(line, cursor) {
            Offer::Words(start, words) => Ok((start, words.into_iter().map(pair).collect())),
            Offer::Files => self.files.complete_path(line, cursor),
        }
    }
}

impl Validator for Sql {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match Splitter::is_complete(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Hinter for Sql {
    type Hint = String;
}

impl Highlighter for Sql {}

impl Helper for Sql {}
