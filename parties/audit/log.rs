//! The log's file: appending, and reading with every check.

use super::chain::{Head, Link, follows};
use super::entry::{Entry, Event, Subject};
use super::{HEAD_FILE, LOG_FILE};
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity, Signature};
use crate::private;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

const ENTRY_CONTEXT: &str = "audit entry";
const HEAD_CONTEXT: &str = "audit head";
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    entry: Entry,
    link: Link,
    signature: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedHead {
    head: Head,
    signature: Signature,
}

/// A log whose every link and signature has been checked.
#[derive(Clone, Debug)]
pub struct History {
    /// In order.
    pub entries: Vec<Entry>,
    /// H(each of them).
    pub hashes: Vec<[u8; 32]>,
    /// Where it ends.
    pub head: Head,
    /// Bytes of its lines; behind them there may be part of a line that a crash has cut off.
    bytes: u64,
}

/// Reads the log of `party` in `folder`.
///
/// # Errors
/// Aborted for a log that has been changed, reordered, cut, or signed by somebody else, naming the
/// entry; usage when it cannot be read.
pub fn read(folder: &Path, party: &str, pinned: Fingerprint) -> Outcome<History> {
    let path = folder.join(LOG_FILE);
    let mut history = History {
        entries: Vec::new(),
        hashes: Vec::new(),
        head: Head { seq: 0, link: Link::first(party) },
        bytes: 0,
    };
    // Before the log: a daemon may write beside this, the log first.
    let known = head_text(folder)?;
    let mut cut = false;
    match File::open(&path) {
        Ok(file) => {
            let mut lines = BufReader::new(file);
            while let Some(line) = next_line(&mut lines, &path)? {
                let seq = history.head.seq + 1;
                cut = !line.ends_with('\n');
                if cut {
                    break;
                }
                history
                    .take(&line, pinned)
                    .map_err(|why| broken(format!("{}: entry {seq}: {why}", path.display())))?;
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
    }
    complete(folder, party, known.as_deref(), &history, pinned).map_err(|failure| match cut {
        true => failure.at(format!("entry {}: its line is cut off", history.head.seq + 1)),
        false => failure,
    })?;
    Ok(history)
}

/// How often each approval has been used, as the log's lines say that are there: to show it, without
/// the checks of [`read`].
///
/// # Errors
/// Usage when the log cannot be read.
pub fn uses(folder: &Path) -> Outcome<BTreeMap<String, usize>> {
    let path = folder.join(LOG_FILE);
    let mut uses = BTreeMap::new();
    let mut lines = match File::open(&path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(uses),
        Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
    };
    while let Some(line) = next_line(&mut lines, &path)? {
        let Ok(Line { entry, .. }) = serde_json::from_str(&line) else { break };
        if entry.event == Event::Admitted {
            entry.subject.approvals.into_iter().for_each(|id| *uses.entry(id).or_insert(0) += 1);
        }
    }
    Ok(uses)
}

/// One line without its end; `None` at the end of the file.
fn next_line(lines: &mut impl BufRead, path: &Path) -> Outcome<Option<String>> {
    let mut line = String::new();
    let mut bounded = std::io::Read::take(&mut *lines, LINE_BYTES_MAX);
    bounded.read_line(&mut line).map_err(|error| broken(format!("{}: {error}", path.display())))?;
    Ok((!line.is_empty()).then_some(line))
}

/// The text of the head's file, if it is there.
fn head_text(folder: &Path) -> Outcome<Option<String>> {
    let path = folder.join(HEAD_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(format!("{}: {error}", path.display()))),
    }
}

/// The log is not shorter than it once was, when the head's file had this `text`.
fn complete(
    folder: &Path,
    party: &str,
    text: Option<&str>,
    history: &History,
    pinned: Fingerprint,
) -> Outcome<()> {
    let path = folder.join(HEAD_FILE);
    let wrong = |why: &str| broken(format!("{}: {why}", path.display()));
    let Some(text) = text else {
        // A crash may come before this file is there.
        return if history.entries.len() < 2 { Ok(()) } else { Err(wrong("it is missing")) };
    };
    let SignedHead { head, signature } =
        serde_json::from_str(text).map_err(|_| wrong("malformed"))?;
    signature.verify(pinned, HEAD_CONTEXT, &head_bytes(&head)).map_err(|why| wrong(&why))?;
    if head.seq > history.head.seq {
        let (known, found) = (head.seq, history.head.seq);
        let why = format!("the log once had {known} entries and now ends after {found}");
        return Err(wrong(&why));
    }
    // A crash may come between the log and this file, so the log may be ahead.
    let on_chain = follows(party, &history.hashes, &[head]).is_ok();
    if on_chain { Ok(()) } else { Err(wrong("the log has another history")) }
}

impl History {
    fn take(&mut self, line: &str, pinned: Fingerprint) -> Result<(), String> {
        let text = line.strip_suffix('\n').ok_or("its line is cut off")?;
        let Line { entry, link, signature } =
            serde_json::from_str(text).map_err(|_| "its line is malformed".to_owned())?;
        if entry.seq != self.head.seq + 1 {
            return Err(format!("it says that it is entry {}", entry.seq));
        }
        let hash = hash(&entry)?;
        if link != self.head.link.then(entry.seq, &hash) {
            return Err("it does not follow from the entries before it".to_owned());
        }
        signature.verify(pinned, ENTRY_CONTEXT, link.bytes())?;
        // One text per entry: nothing can be hidden in spaces or in the order of keys.
        let again = serde_json::to_string(&Line { entry: entry.clone(), link, signature });
        if again.ok().as_deref() != Some(text) {
            return Err("its line is not in the form that this program writes".to_owned());
        }
        self.head = Head { seq: entry.seq, link };
        self.bytes += line.len() as u64;
        self.entries.push(entry);
        self.hashes.push(hash);
        Ok(())
    }
}

fn hash(entry: &Entry) -> Result<[u8; 32], String> {
    let text = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
    Ok(*blake3::hash(&text).as_bytes())
}

fn head_bytes(head: &Head) -> Vec<u8> {
    [&head.seq.to_le_bytes(), head.link.bytes()].concat()
}

fn broken(why: String) -> Failure {
    Failure::aborted(why).with_remedy(
        "restore the log from a copy; a new log is noticed by the parties that know the old one",
    )
}

/// The open end of a log.
pub(super) struct Tail {
    folder: PathBuf,
    file: File,
    pub(super) head: Head,
    /// A line may have been written in part; nothing more is appended.
    torn: bool,
}

impl Tail {
    /// Opens the log of `party` for this process alone, and checks all of it.
    ///
    /// # Errors
    /// As [`read`]; usage when another process has it open.
    pub(super) fn open(
        folder: &Path,
        party: &str,
        pinned: Fingerprint,
    ) -> Outcome<(Self, History)> {
        let path = folder.join(LOG_FILE);
        let failed = |why: String| Failure::usage(format!("{}: {why}", path.display()));
        let file = private::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| failed(error.to_string()))?;
        file.try_lock().map_err(|error| {
            failed(format!("another process writes it: {error}"))
                .with_remedy("stop the other daemon of this party")
        })?;
        let history = read(folder, party, pinned)?;
        // What a crash has left of a line was never in the log.
        let length = file.metadata().map_err(|error| failed(error.to_string()))?.len();
        if length > history.bytes {
            tracing::warn!(path = %path.display(), "a line that a crash cut off is removed");
            file.set_len(history.bytes).map_err(|error| failed(error.to_string()))?;
        }
        let tail = Self { folder: folder.to_owned(), file, head: history.head, torn: false };
        Ok((tail, history))
    }

    /// Appends an event. When this returns, it is on disk.
    pub(super) fn append(
        &mut self,
        identity: &Identity,
        event: Event,
        subject: Subject,
    ) -> Outcome<(Entry, [u8; 32])> {
        if self.torn {
            return Err(self.unwritten("an earlier entry could not be written in full"));
        }
        let seq = self.head.seq + 1;
        let entry = Entry::now(seq, event, subject);
        let hash = hash(&entry).map_err(Failure::unexpected)?;
        let link = self.head.link.then(seq, &hash);
        let signature = identity.sign(ENTRY_CONTEXT, link.bytes())?;
        let line = Line { entry, link, signature };
        let text = serde_json::to_string(&line)
            .map_err(|error| Failure::unexpected(format!("encoding an entry: {error}")))?;
        // Half a line would make the log unreadable.
        let length = self.file.metadata().ok().map(|file| file.len());
        let undone = |file: &File| length.is_some_and(|length| file.set_len(length).is_ok());
        let written =
            self.file.write_all((text + "\n").as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.torn = !undone(&self.file);
            return Err(self.unwritten(&error.to_string()));
        }
        let head = Head { seq, link };
        if let Err(failure) = self.write_head(identity, head) {
            self.torn = !undone(&self.file);
            return Err(failure);
        }
        self.head = head;
        Ok((line.entry, hash))
    }

    fn write_head(&self, identity: &Identity, head: Head) -> Outcome<()> {
        let signature = identity.sign(HEAD_CONTEXT, &head_bytes(&head))?;
        let text = serde_json::to_string(&SignedHead { head, signature })
            .map_err(|error| Failure::unexpected(format!("encoding the head: {error}")))?;
        let (path, fresh) = (self.folder.join(HEAD_FILE), self.folder.join("audit.head.new"));
        let written = private::create(&fresh)
            .and_then(|mut file| {
                file.write_all((text + "\n").as_bytes())?;
                file.sync_data()
            })
            .and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|error| self.unwritten(&error.to_string()))
    }

    fn unwritten(&self, why: &str) -> Failure {
        let path = self.folder.join(LOG_FILE);
        Failure::unexpected(format!("{}: {why}; nothing runs without its entry", path.display()))
            .with_remedy("make room on the disk, then ask again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_an_error_and_leaves_the_log_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, _) = Identity::generate("a").unwrap();
        let own = identity.fingerprint();
        let (mut tail, _) = Tail::open(folder.path(), "a", own).unwrap();
        tail.append(&identity, Event::Asked, Subject::default()).unwrap();
        let (head, log) = (tail.head, folder.path().join(LOG_FILE));
        let before = std::fs::read(&log).unwrap();
        // The head's file cannot be replaced: the entry is taken back.
        std::fs::create_dir(folder.path().join("audit.head.new")).unwrap();
        tail.append(&identity, Event::Asked, Subject::default()).unwrap_err();
        assert_eq!((tail.head, std::fs::read(&log).unwrap()), (head, before));
        std::fs::remove_dir(folder.path().join("audit.head.new")).unwrap();
        tail.append(&identity, Event::Asked, Subject::default()).unwrap();
        assert_eq!(read(folder.path(), "a", identity.fingerprint()).unwrap().entries.len(), 2);
        // A full disk.
        tail.file = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let failure = tail.append(&identity, Event::Asked, Subject::default()).unwrap_err();
        assert!(failure.to_string().contains("nothing runs without its entry"), "{failure}");
    }
}
