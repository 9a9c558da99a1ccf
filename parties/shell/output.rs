//! Where answers go.

use crate::failure::{Failure, Outcome};
use crate::format::{self, Format};
use datafusion::arrow::record_batch::RecordBatch;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The screen, or a file.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// How answers are written.
    pub(super) format: Format,
    file: Option<Redirected>,
}

#[derive(Debug)]
struct Redirected {
    path: PathBuf,
    file: File,
    answers: usize,
}

impl Output {
    /// Answers go to a new file, or to the screen again.
    ///
    /// # Errors
    /// Usage when the file cannot be made.
    pub(super) fn redirect(&mut self, path: Option<&Path>) -> Outcome<()> {
        self.file = match path {
            None => None,
            Some(path) => {
                let file = File::create(path)
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                Some(Redirected { path: path.to_owned(), file, answers: 0 })
            }
        };
        Ok(())
    }

    /// Whether an answer could be written; asked before the query runs.
    ///
    /// # Errors
    /// Usage when a binary format has no file of its own.
    pub(super) fn check(&self) -> Outcome<()> {
        if !matches!(self.format, Format::Parquet | Format::Arrow) {
            return Ok(());
        }
        let why = match &self.file {
            Some(redirected) if redirected.answers == 0 => return Ok(()),
            Some(Redirected { path, .. }) => format!("{} holds an answer already", path.display()),
            None => "answers in this format go to a file".to_owned(),
        };
        Err(Failure::usage(why).with_remedy("name a new one with \\o FILE"))
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// Unexpected when it cannot be written.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Outcome<()> {
        match &mut self.file {
            Some(redirected) => {
                redirected.answers += 1;
                format::write(rows, self.format, &mut redirected.file)
            }
            None => format::write(rows, self.format, &mut std::io::stdout()),
        }
    }
}

/// Prints what is no answer.
pub(super) fn say(text: &str) -> Outcome<()> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::unexpected(format!("writing to the screen: {error}")))
}
