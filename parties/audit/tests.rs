//! A log that is not what was written is known by it.

use super::*;
use crate::identity::Identity;
use senate_planner::policy::{Budget, Period};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn subject(query: &str) -> Subject {
    Subject {
        query: query.to_owned(),
        sql: format!("SELECT '{query}'"),
        asker: "b".to_owned(),
        ..Subject::default()
    }
}

/// A log of `entries` entries.
fn written(entries: usize) -> (TempDir, Identity) {
    let folder = tempfile::tempdir().unwrap();
    let (identity, _) = Identity::generate("a").unwrap();
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    for entry in 0..entries {
        ledger.record(&identity, Event::Asked, subject(&entry.to_string())).unwrap();
    }
    (folder, identity)
}

fn lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join(LOG_FILE)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn rewrite(folder: &Path, lines: &[String]) {
    fs::write(folder.join(LOG_FILE), lines.join("\n") + "\n").unwrap();
}

fn problem(folder: &Path, identity: &Identity) -> String {
    let failure = read(folder, "a", identity.fingerprint()).unwrap_err();
    assert_eq!(failure.cause.exit_code(), 5, "{failure}");
    failure.to_string()
}

#[test]
fn what_was_written_is_read_and_continued() {
    let (folder, identity) = written(3);
    let history = read(folder.path(), "a", identity.fingerprint()).unwrap();
    assert_eq!((history.entries.len(), history.head.seq), (3, 3));
    assert_eq!(history.entries[1].subject.sql, "SELECT '1'");
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    assert_eq!(ledger.head(), history.head);
    ledger.record(&identity, Event::Finished, subject("3")).unwrap();
    drop(ledger);
    assert_eq!(read(folder.path(), "a", identity.fingerprint()).unwrap().head.seq, 4);
}

#[test]
fn a_change_anywhere_is_found() {
    let (folder, identity) = written(4);
    let original = lines(folder.path());
    for (from, to) in
        [("SELECT '2'", "SELECT '9'"), ("\"seq\":3", "\"seq\":4"), ("asked", "failed")]
    {
        let mut changed = original.clone();
        changed[2] = changed[2].replace(from, to);
        rewrite(folder.path(), &changed);
        assert!(problem(folder.path(), &identity).contains("entry 3"), "{from}");
    }
    let mut spaced = original.clone();
    spaced[2] = spaced[2].replacen(':', ": ", 1);
    rewrite(folder.path(), &spaced);
    assert!(problem(folder.path(), &identity).contains("not in the form"));
}

#[test]
fn entries_that_are_missing_moved_or_added_are_found() {
    let (folder, identity) = written(4);
    let original = lines(folder.path());
    let mut removed = original.clone();
    removed.remove(1);
    let mut swapped = original.clone();
    swapped.swap(1, 2);
    let mut doubled = original.clone();
    doubled.push(original[3].clone());
    for lines in [removed, swapped, doubled] {
        rewrite(folder.path(), &lines);
        assert!(problem(folder.path(), &identity).contains("entry"));
    }
}

#[test]
fn a_log_that_lost_its_end_is_found() {
    let (folder, identity) = written(4);
    let original = lines(folder.path());
    rewrite(folder.path(), &original[..3]);
    assert!(problem(folder.path(), &identity).contains("ends after 3"));
    fs::remove_file(folder.path().join(LOG_FILE)).unwrap();
    assert!(problem(folder.path(), &identity).contains("ends after 0"));
    let text = original.join("\n");
    fs::write(folder.path().join(LOG_FILE), &text[..text.len() - 10]).unwrap();
    assert!(problem(folder.path(), &identity).contains("entry 4"));
    rewrite(folder.path(), &original);
    fs::remove_file(folder.path().join(HEAD_FILE)).unwrap();
    problem(folder.path(), &identity);
}

#[test]
fn what_a_crash_leaves_behind_is_no_tampering() {
    // Between a line and the head's file, before the first head, within a line.
    let (folder, identity) = written(2);
    let [log, head] = [LOG_FILE, HEAD_FILE].map(|file| folder.path().join(file));
    let behind = fs::read(&head).unwrap();
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    ledger.record(&identity, Event::Finished, subject("2")).unwrap();
    drop(ledger);
    fs::write(&head, behind).unwrap();
    let whole = fs::read(&log).unwrap();
    fs::write(&log, [&whole[..], b"{\"entry\":{\"seq\":4"].concat()).unwrap();
    assert_eq!(read(folder.path(), "a", identity.fingerprint()).unwrap().head.seq, 3);
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    assert_eq!(fs::read(&log).unwrap(), whole);
    ledger.record(&identity, Event::Asked, subject("3")).unwrap();
    assert_eq!(read(folder.path(), "a", identity.fingerprint()).unwrap().head.seq, 4);
    let (folder, identity) = written(1);
    fs::remove_file(folder.path().join(HEAD_FILE)).unwrap();
    Ledger::open(folder.path(), "a", &identity).unwrap();
}

#[test]
fn another_partys_log_does_not_pass_for_ones_own() {
    let (folder, _) = written(2);
    let (other, _) = Identity::generate("a").unwrap();
    assert!(problem(folder.path(), &other).contains("another certificate"));
    let (folder, identity) = written(1);
    let failure = read(folder.path(), "b", identity.fingerprint()).unwrap_err();
    assert_eq!(failure.cause.exit_code(), 5);
}

#[test]
fn one_process_writes_a_log() {
    let (folder, identity) = written(1);
    let first = Ledger::open(folder.path(), "a", &identity).unwrap();
    let second = Ledger::open(folder.path(), "a", &identity).err().unwrap();
    assert_eq!(second.cause.exit_code(), 2, "{second}");
    drop(first);
    Ledger::open(folder.path(), "a", &identity).unwrap();
}

#[test]
fn budgets_and_approvals_count_admissions_also_after_a_restart() {
    let (folder, identity) = written(0);
    let budget = Some(Budget { queries: 3, per: Period::Day, per_template: Some(2) });
    let usage = |approval: Option<(&str, u32)>| Usage {
        budget,
        approval: approval.map(|(id, times)| (id.to_owned(), Some(times))),
    };
    let of = |template: &str, approvals: &[&str]| Subject {
        template: template.to_owned(),
        approvals: approvals.iter().map(|id| (*id).to_owned()).collect(),
        ..subject("q")
    };
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    ledger.admit(&identity, of("x", &["one"]), &usage(Some(("one", 1)))).unwrap();
    let spent = ledger.admit(&identity, of("y", &["one"]), &usage(Some(("one", 1)))).unwrap_err();
    assert!(spent.to_string().contains("approval one"), "{spent}");
    ledger.admit(&identity, of("x", &[]), &usage(None)).unwrap();
    drop(ledger);
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    let same = ledger.admit(&identity, of("x", &[]), &usage(None)).unwrap_err();
    assert!(same.to_string().contains("of this kind"), "{same}");
    ledger.admit(&identity, of("z", &[]), &usage(None)).unwrap();
    let all = ledger.admit(&identity, of("w", &[]), &usage(None)).unwrap_err();
    assert_eq!(all.cause.exit_code(), 3);
    assert!(all.to_string().contains("rule budget: 3 queries per day"), "{all}");
}

#[test]
fn a_peer_whose_log_goes_back_is_reported() {
    let (folder, identity) = written(2);
    let ledger = Ledger::open(folder.path(), "a", &identity).unwrap();
    let head = ledger.head();
    let earlier = Head { seq: 1, ..head };
    let heads = [("b".to_owned(), head)].into();
    ledger.record(&identity, Event::Finished, Subject { heads, ..subject("q") }).unwrap();
    assert_eq!(ledger.compare("b", head), None);
    assert_eq!(ledger.compare("c", earlier), None);
    let later = Head { seq: 3, link: Link::first("b") };
    assert_eq!(ledger.compare("b", later), None);
    assert!(ledger.compare("b", earlier).unwrap().contains("party b has changed its past"));
    let forked = Head { link: Link::first("b"), ..head };
    assert!(ledger.compare("b", forked).is_some());
}

#[test]
fn heads_lie_on_the_chain_they_were_taken_from_and_on_no_other() {
    let (folder, identity) = written(5);
    let history = read(folder.path(), "a", identity.fingerprint()).unwrap();
    let mut link = Link::first("a");
    let mut heads = vec![Head { seq: 0, link }];
    for (at, hash) in history.hashes.iter().enumerate() {
        link = link.then(at as u64 + 1, hash);
        heads.push(Head { seq: at as u64 + 1, link });
    }
    heads.reverse();
    assert_eq!(follows("a", &history.hashes, &heads), Ok(()));
    assert_eq!(follows("a", &history.hashes[..3], &heads), Err(heads[1]));
    let mut other = history.hashes.clone();
    other[0][0] ^= 1;
    assert!(follows("a", &other, &heads[..2]).is_err());
}

#[test]
fn an_export_has_a_line_per_entry_and_quotes_what_needs_it() {
    let (folder, identity) = written(2);
    let mut entries = read(folder.path(), "a", identity.fingerprint()).unwrap().entries;
    entries[0].subject.user = "ann, of the registry".to_owned();
    let text = |format| {
        let mut text = Vec::new();
        export(&entries, format, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let csv = text(ExportFormat::Csv);
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.lines().nth(1).unwrap().starts_with("1,20"));
    let [heading, first] = [0, 1].map(|line| csv.lines().nth(line).unwrap());
    let before = heading.split(',').position(|name| name == "user").unwrap();
    let rest = first.splitn(before + 1, ',').nth(before).unwrap();
    assert!(rest.starts_with("\"ann, of the registry\","), "{first}");
    let json: serde_json::Value = serde_json::from_str(&text(ExportFormat::Json)).unwrap();
    assert_eq!(json[1]["sql"], "SELECT '1'");
}
