//! Parties as real processes with pinned mutual TLS: agreement, refusals, crashes, recovery.

use crate::support::party_name;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A federation whose parties have a directory each, as on separate hosts.
struct Hosts {
    folder: TempDir,
    parties: usize,
    federation: String,
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Hosts {
    /// `rows` gives each party's CSV of visits(patient, diag).
    fn new(parties: usize, capacity: usize, rows: &dyn Fn(usize) -> Vec<(i64, i64)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hosts = Self { folder, parties, federation: String::new() };
        let listeners: Vec<_> =
            (0..parties).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut text = "name = \"hosts\"\n".to_owned();
        let mut holders = Vec::new();
        for (party, listener) in listeners.iter().enumerate() {
            let name = party_name(party);
            let init = hosts.senate(party, &["init"]).output().unwrap();
            let fingerprint = String::from_utf8(init.stdout).unwrap();
            assert!(init.status.success() && fingerprint.starts_with("fingerprint = "));
            let address = listener.local_addr().unwrap();
            write!(text, "[[party]]\nname = \"{name}\"\naddress = \"{address}\"\n").unwrap();
            text += &fingerprint;
            holders.push(format!("{{ party = \"{name}\", capacity = {capacity} }}"));
            let everybody: Vec<_> =
                (0..parties).map(|p| format!("\"{}\"", party_name(p))).collect();
            let accept = format!("[accept]\nfrom = [{}]\n", everybody.join(", "));
            fs::write(hosts.home(party).join(&name).join("party.toml"), accept).unwrap();
            let lines = rows(party).iter().map(|(p, d)| format!("{p},{d}\n")).collect::<String>();
            let csv = format!("patient,diag\n{lines}");
            fs::write(hosts.home(party).join(&name).join("visits.csv"), csv).unwrap();
        }
        write!(
            text,
            "[[table]]\nname = \"visits\"\ncolumns = [{{ name = \"patient\", type = \"INT\" }}, \
             {{ name = \"diag\", type = \"INT\", min = 0, max = 500 }}]\nheld_by = [{}]\n",
            holders.join(", ")
        )
        .unwrap();
        hosts.federation = text;
        (0..parties).for_each(|party| hosts.publish(party, &hosts.federation));
        hosts
    }

    fn publish(&self, party: usize, federation: &str) {
        fs::write(self.home(party).join("federation.toml"), federation).unwrap();
    }

    fn home(&self, party: usize) -> PathBuf {
        let home = self.folder.path().join(format!("host_{party}"));
        fs::create_dir_all(home.join(party_name(party))).unwrap();
        home
    }

    fn senate(&self, party: usize, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
        command.args(words).arg("--workspace").arg(self.home(party));
        command.args(["--as", &party_name(party)]);
        command
    }

    fn serve(&self, party: usize) -> Daemon {
        let mut command = self.senate(party, &["serve"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let daemon = Daemon(child);
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "{} did not start", party_name(party));
        }
        // Keep the pipe from filling up.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        daemon
    }

    fn serve_all(&self) -> Vec<Daemon> {
        (0..self.parties).map(|party| self.serve(party)).collect()
    }

    fn query(&self, party: usize, sql: &str, more: &[&str]) -> Output {
        self.start(party, sql, more).wait_with_output().unwrap()
    }

    fn start(&self, party: usize, sql: &str, more: &[&str]) -> Child {
        let mut command = self.senate(party, &["query", "--format", "csv"]);
        command.args(more).arg(sql);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn few(party: usize) -> Vec<(i64, i64)> {
    (0..6).map(|row| (row, (row * (party as i64 + 1)) % 4)).collect()
}

const GROUPS: &str = "SELECT diag, COUNT(*) AS n FROM visits GROUP BY diag ORDER BY n DESC, diag";

fn answer(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refusal(output: &Output, exit: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(output.stdout.is_empty(), "nothing is printed when a query fails");
    stderr
}

#[test]
fn any_party_asks_and_the_answer_is_that_of_the_union() {
    let hosts = Hosts::new(3, 8, &few);
    let _daemons = hosts.serve_all();
    // Parties hold (0,1,2,3,0,1), (0,2,0,2,0,2) and (0,3,2,1,0,3).
    let expected = "diag,n\n0,7\n2,5\n1,3\n3,3\n";
    for party in 0..3 {
        assert_eq!(answer(&hosts.query(party, GROUPS, &[])), expected);
    }
}

#[test]
fn a_killed_party_ends_the_query_at_the_others_and_they_keep_serving() {
    let many = |party: usize| (0..400).map(|row| (row, (row * 7 + party as i64) % 500)).collect();
    let hosts = Hosts::new(3, 400, &many);
    let mut daemons = hosts.serve_all();
    for wait_ms in [0, 150, 600, 1500] {
        let query = hosts.start(0, GROUPS, &["--timeout", "60"]);
        std::thread::sleep(Duration::from_millis(wait_ms));
        drop(daemons.pop());
        let start = Instant::now();
        let stderr = refusal(&query.wait_with_output().unwrap(), 4);
        assert!(start.elapsed() < Duration::from_secs(30), "{stderr}");
        assert!(stderr.contains("org_c"), "the line names the lost party: {stderr}");
        daemons.push(hosts.serve(2));
    }
    let small = "SELECT COUNT(*) FROM visits";
    assert_eq!(answer(&hosts.query(1, small, &[])).lines().nth(1), Some("1200"));
}

#[test]
fn a_party_that_is_not_there_is_named() {
    let hosts = Hosts::new(2, 8, &few);
    let _only = hosts.serve(0);
    let stderr = refusal(&hosts.query(0, GROUPS, &["--timeout", "10"]), 4);
    assert!(stderr.contains("org_b"), "{stderr}");
    let stderr = refusal(&hosts.query(1, GROUPS, &["--timeout", "10"]), 4);
    assert!(stderr.contains("org_b"), "one's own daemon is named too: {stderr}");
}

#[test]
fn different_federation_files_are_refused_before_any_input() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.publish(1, &hosts.federation.replace("max = 500", "max = 400"));
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    assert!(stderr.contains("federation"), "{stderr}");
}

#[test]
fn a_stranger_with_another_key_is_not_talked_to() {
    let hosts = Hosts::new(2, 8, &few);
    let home = hosts.home(1).join(party_name(1));
    fs::remove_file(home.join("identity.pem")).unwrap();
    assert!(hosts.senate(1, &["init"]).output().unwrap().status.success());
    let _daemons = hosts.serve_all_or_none();
    let output = hosts.query(0, GROUPS, &["--timeout", "10"]);
    assert!([3, 4].contains(&output.status.code().unwrap()) && output.stdout.is_empty());
}

impl Hosts {
    /// Daemons of all parties that are willing to start.
    fn serve_all_or_none(&self) -> Vec<Daemon> {
        let start = |party| {
            let command = self.senate(party, &["serve"]).stderr(Stdio::piped()).spawn();
            let mut child = command.unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            let _ = lines.read_line(&mut line);
            std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
            Daemon(child)
        };
        (0..self.parties).map(start).collect()
    }
}

#[test]
fn nobody_answers_a_party_it_does_not_accept() {
    let hosts = Hosts::new(2, 8, &few);
    let policy = hosts.home(1).join(party_name(1)).join("party.toml");
    fs::write(policy, "[accept]\nfrom = []\n").unwrap();
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    assert!(stderr.contains("org_b"), "{stderr}");
    assert!(answer(&hosts.query(1, GROUPS, &[])).starts_with("diag,n\n"));
}

#[test]
fn data_that_breaks_its_declaration_is_refused_and_others_learn_only_who() {
    for (bad, word) in [
        ("patient,diag\n1,501\n", "diag"),
        ("patient,diag\nx,1\n", "patient"),
        ("patient,diag\n,1\n", "patient"),
        ("patient,diag\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,7\n8,8\n9,9\n", "capacity"),
    ] {
        let hosts = Hosts::new(2, 8, &few);
        fs::write(hosts.home(1).join(party_name(1)).join("visits.csv"), bad).unwrap();
        let _daemons = hosts.serve_all();
        let stderr = refusal(&hosts.query(1, GROUPS, &[]), 6);
        assert!(stderr.contains(word), "{stderr}");
        let stderr = refusal(&hosts.query(0, GROUPS, &[]), 6);
        assert!(stderr.contains("org_b") && !stderr.contains("501"), "{stderr}");
    }
}

#[test]
fn a_tighter_bound_that_does_not_hold_is_refused() {
    let hosts = Hosts::new(2, 8, &few);
    let _daemons = hosts.serve_all();
    let rows = "SELECT patient, diag FROM visits ORDER BY patient, diag";
    let bound = ["--bound", "org_b.visits=5"];
    refusal(&hosts.query(0, rows, &bound), 6);
    assert_eq!(answer(&hosts.query(0, rows, &["--bound", "org_b.visits=6"])).lines().count(), 13);
}

#[test]
fn a_port_in_use_is_an_error_of_its_own() {
    let hosts = Hosts::new(2, 8, &few);
    let _daemon = hosts.serve(0);
    let second = hosts.senate(0, &["serve"]).output().unwrap();
    let stderr = refusal(&second, 2);
    assert!(stderr.contains("127.0.0.1"), "{stderr}");
}
