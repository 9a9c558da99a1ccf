//! Codes that do not count, and rounds that end without a federation.

use super::{Host, done, refused};
use senate::identity::Identity;
use senate::invitation::Code;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_code_must_be_whole_known_in_time_and_of_the_very_party() {
    let (a, b) = (Host::new("org_a"), Host::new("org_b"));
    let (mut invite, codes, _) = a.invite(&[], 1);
    let fingerprint = a.fingerprint.parse().unwrap();
    let code = |fingerprint, lasts_s| {
        Code::fresh(fingerprint, &a.address, Duration::from_secs(lasts_s)).unwrap().reveal()
    };
    let before = b.federation();
    let other = Identity::generate("x").unwrap().0.fingerprint();
    for (code, exit, words) in [
        (codes[0][..codes[0].len() - 1].to_owned(), 2, "not a whole one"),
        (code(fingerprint, 60), 3, "does not know this code"),
        (code(fingerprint, 0), 3, "has expired"),
        (code(other, 60), 4, "that the code is from that very party"),
    ] {
        let stderr = refused(&b.join(&[&code, "--yes-if", &a.fingerprint]), exit);
        assert!(stderr.contains(words), "{stderr}");
    }
    assert_eq!(b.federation(), before);
    invite.kill().unwrap();
    invite.wait().unwrap();
    let stderr = refused(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]), 4);
    assert!(stderr.contains("while `senate invite` runs"), "{stderr}");
}

#[test]
fn a_code_counts_once() {
    let [a, b, c] = ["org_a", "org_b", "org_c"].map(Host::new);
    let known = ["--guests", "2", "--yes-if", &b.fingerprint, "--yes-if", &c.fingerprint];
    let (invite, codes, _) = a.invite(&known, 2);
    let mut first = b.senate(&["join", &codes[0], "--yes-if", &a.fingerprint]);
    let mut first = first.stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = super::BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waiting for the other parties") {
        line.clear();
        assert!(super::BufRead::read_line(&mut progress, &mut line).unwrap() > 0);
    }
    let stderr = refused(&c.join(&[&codes[0], "--yes-if", &a.fingerprint]), 3);
    assert!(stderr.contains("has been used"), "{stderr}");
    done(&c.join(&[&codes[1], "--yes-if", &a.fingerprint]));
    done(&invite.wait_with_output().unwrap());
    assert!(first.wait().unwrap().success());
    assert_eq!(a.federation(), c.federation());
}

#[test]
fn another_certificate_than_the_script_was_told_ends_the_round() {
    let [a, b, c] = ["org_a", "org_b", "org_c"].map(Host::new);
    let before = (a.federation(), b.federation());
    let (invite, codes, _) = a.invite(&["--yes-if", &c.fingerprint], 1);
    refused(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]), 3);
    let stderr = refused(&invite.wait_with_output().unwrap(), 3);
    assert!(stderr.contains(&b.fingerprint) && stderr.contains("no --yes-if names"), "{stderr}");
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    let stderr = refused(&b.join(&[&codes[0], "--yes-if", &c.fingerprint]), 3);
    assert!(stderr.contains("no --yes-if names"), "{stderr}");
    let stderr = refused(&invite.wait_with_output().unwrap(), 4);
    assert!(stderr.contains("a guest went away"), "{stderr}");
    // Nobody at the keyboard is a no.
    let (mut invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    refused(&b.join(&[&codes[0]]), 3);
    assert_eq!(invite.wait().unwrap().code(), Some(4));
    assert_eq!((a.federation(), b.federation()), before);
}

#[test]
fn wrong_attempts_are_counted_and_end_the_round() {
    let (a, b) = (Host::new("org_a"), Host::new("org_b"));
    let (invite, _, _) = a.invite(&[], 1);
    for _ in 0..17 {
        let code = Code::fresh(a.fingerprint.parse().unwrap(), &a.address, Duration::from_secs(9));
        refused(&b.join(&[&code.unwrap().reveal(), "--yes-if", &a.fingerprint]), 3);
    }
    let stderr = refused(&invite.wait_with_output().unwrap(), 3);
    assert!(stderr.contains("wrong attempts"), "{stderr}");
}

#[test]
fn names_and_addresses_are_checked_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("study");
    for (name, address, why) in [
        ("../../evil", "a:1", "a name is"),
        ("Bad Name!", "a:1", "a name is"),
        ("org_a", "foo", "--address \"foo\" is no HOST:PORT"),
        ("org_a", "a:99999", "1..65535"),
        ("org_a", "a b:1", "a space"),
        ("org_a", "http://x:1", "a scheme"),
    ] {
        let mut init = std::process::Command::new(env!("CARGO_BIN_EXE_senate"));
        init.arg("init").arg("--workspace").arg(&workspace);
        let output = init.args(["--as", name, "--address", address]).output().unwrap();
        let stderr = refused(&output, 2);
        assert!(stderr.contains(why), "{stderr}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{name} {address}");
    }
    let a = Host::new("org_a");
    let b = Host { name: "org_b", ..a };
    let stderr = refused(&b.senate(&["init", "--address", &b.address]).output().unwrap(), 2);
    assert!(stderr.contains("is that of party \"org_a\" already"), "{stderr}");
    assert!(!b.home().exists(), "nothing was written");
}

#[test]
fn two_parties_at_one_address_do_not_join() {
    let a = Host::new("org_a");
    let b = Host::at("org_b", a.address.clone(), None);
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    let stderr = refused(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]), 3);
    assert!(stderr.contains("a name or an address that another party has"), "{stderr}");
    let stderr = refused(&invite.wait_with_output().unwrap(), 2);
    assert!(stderr.contains("party \"org_b\": address"), "{stderr}");
}

#[test]
fn a_fingerprint_that_is_none_is_refused_at_once() {
    let a = Host::new("org_a");
    for words in [["invite", "--yes-if", "nonsense"], ["join", "--yes-if=sha256:00", "senate-x"]] {
        let stderr = refused(&a.senate(&words).output().unwrap(), 2);
        assert!(stderr.contains("sha256: followed by 64 hexadecimal digits"), "{stderr}");
    }
}

#[test]
fn members_and_newcomers_use_their_own_codes() {
    let [a, b, c] = ["org_a", "org_b", "org_c"].map(Host::new);
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    done(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]));
    done(&invite.wait_with_output().unwrap());
    let known = ["--yes-if", &b.fingerprint, "--yes-if", &c.fingerprint];
    let (invite, codes, _) = a.invite(&known, 2);
    for (host, code) in [(&b, &codes[1]), (&c, &codes[0])] {
        let stderr = refused(&host.join(&[code, "--yes-if", &a.fingerprint]), 3);
        assert!(stderr.contains("this code is for another party"), "{stderr}");
    }
    // Neither code is spent.
    let mut member = b.senate(&["join", &codes[0], "--yes-if", &a.fingerprint]);
    let mut member = member.stderr(Stdio::null()).spawn().unwrap();
    done(&c.join(&[&codes[1], "--yes-if", &a.fingerprint]));
    assert!(member.wait().unwrap().success());
    done(&invite.wait_with_output().unwrap());
}

#[test]
fn tables_that_contradict_each_other_are_named_before_anything_is_signed() {
    let a = Host::with_visits("org_a", "1,2\n");
    let b = Host::with_visits("org_b", "1,x\n");
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    refused(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]), 3);
    let stderr = refused(&invite.wait_with_output().unwrap(), 2);
    let words =
        "what org_b publishes: table visits: column \"diag\": declared as INT and as VARCHAR(8)";
    assert!(stderr.contains(words), "{stderr}");
}
