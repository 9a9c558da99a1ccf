//! Files in a party's folder that are nobody else's: only their owner can read what the program
//! makes there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Who can read a file that is made: its owner.
pub(crate) const MODE: u32 = 0o600;

/// How a file is opened that is made if it is not there; one that is there keeps its permissions.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
    options
}

/// An empty file to write.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// A file with this text.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}
