//! Files that are nobody else's, and files that are replaced as a whole.

use crate::failure::{Failure, Outcome};
use std::fs::{File, OpenOptions, Permissions};
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

/// Replaces what is in a file by what `write` writes: afterwards it holds all of that or is as it was.
/// Links to the file stay, and its permissions; a new one has `mode`, less what the process gives to no
/// file. Devices and pipes are written to.
///
/// # Errors
/// Usage when it cannot be written; those of `write`.
pub(crate) fn replace(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Outcome<()>,
) -> Outcome<()> {
    let failed = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(path).is_ok_and(|what| !what.is_file()) {
        return write(&mut OpenOptions::new().write(true).open(path).map_err(failed)?);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mode: Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    let mut fresh = tempfile::Builder::new()
        .prefix(".senate")
        .permissions(mode)
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    write(fresh.as_file_mut())?;
    if let Ok(found) = std::fs::metadata(&target) {
        fresh.as_file().set_permissions(found.permissions()).map_err(failed)?;
    }
    fresh.as_file().sync_all().map_err(failed)?;
    fresh.persist(&target).map(drop).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_replaced_file_keeps_its_links_and_permissions_and_is_never_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        symlink("file", &link).unwrap();
        let put = |path: &Path, text: &'static str| {
            replace(path, MODE, |file| {
                file.write_all(text.as_bytes()).map_err(|error| Failure::usage(error.to_string()))
            })
        };
        put(&file, "one").unwrap();
        let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        put(&link, "two").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), mode()), ("two", 0o640));
        let half = replace(&file, MODE, |file| {
            file.write_all(b"thr").unwrap();
            Err(Failure::usage("full"))
        });
        assert_eq!(half.unwrap_err().message, "full");
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
