//! Session workers: processes of a party in which its sessions live, behind one address.

use crate::hosts::{Daemon, GROUPS, Hosts, answer, few, many, refusal, send};
use crate::support::party_name;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

const EXPECTED: &str = "diag,n\n0,7\n2,5\n1,3\n3,3\n";
const BEGUN: &str = "session begun";
const READY: &str = "session opened ahead and ready";

/// Session workers that a daemon has started and that have not ended.
fn workers(daemon: &Daemon) -> Vec<u32> {
    let parent = format!("PPid:\t{}\n", daemon.pid());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_worker = line.split(|byte| *byte == 0).nth(1) == Some(b"worker");
        (is_worker && status.contains(&parent)).then_some(pid)
    });
    processes.collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The worker that waits for the daemon's next session.
fn spare(daemon: &Daemon) -> u32 {
    until("a spare worker", || workers(daemon).len() == 1);
    workers(daemon)[0]
}

fn begun(daemon: &Daemon) -> usize {
    daemon.log.lock().unwrap().matches(BEGUN).count()
}

/// A worker that an operator starts.
fn elsewhere(hosts: &Hosts, party: usize) -> Daemon {
    let mut child = hosts.senate(party, &["worker"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    assert!(said.contains("session worker of"), "{said}");
    Daemon::new(child, said, lines)
}

#[test]
fn parties_with_and_without_workers_answer_together() {
    let hosts = Hosts::new(3, 8, &few);
    hosts.configure(0, "[workers]\nlocal = 2\n[ahead]\nmemory_mb = 0\n");
    hosts.configure(1, "[workers]\nlocal = 0\n[ahead]\nmemory_mb = 0\n");
    let daemons = hosts.serve_all();
    let remote = elsewhere(&hosts, 1);
    for (count, asker) in [2, 0, 1].into_iter().enumerate() {
        assert_eq!(answer(&hosts.query(asker, GROUPS, &[])), EXPECTED);
        assert_eq!(begun(&daemons[0]), count + 1, "each in a process of its own");
        assert_eq!(begun(&remote), count + 1, "one after the other");
    }
    assert_eq!((begun(&daemons[1]), begun(&daemons[2])), (0, 0));
    until("only a spare worker is left", || workers(&daemons[0]).len() == 1);
}

#[test]
fn queries_wait_for_workers_that_are_elsewhere_and_these_end_their_session_first() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure_all("[workers]\nlocal = 0\n");
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &["--timeout", "3"]), 4);
    assert!(stderr.contains("waiting for room at org_"), "{stderr}");
    // What concerns one's own rows alone needs no session.
    let own = "SELECT COUNT(*) AS n FROM org_a.visits";
    assert_eq!(answer(&hosts.query(0, own, &["--timeout", "5"])), "n\n6\n");
    let mut remote: Vec<_> = (0..2).map(|party| elsewhere(&hosts, party)).collect();
    let queries: Vec<_> = [0, 1, 0].map(|party| hosts.start(party, GROUPS, &[])).into();
    remote[0].says(BEGUN);
    // A worker that is stopped serves what it has begun; another one serves the rest.
    remote[0].signal("-INT");
    let _other = elsewhere(&hosts, 0);
    assert!(remote[0].ends().success());
    for query in queries {
        assert!(answer(&query.wait_with_output().unwrap()).starts_with("diag,n\n"));
    }
}

#[test]
fn a_worker_with_other_files_is_told_why_it_gets_nothing() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure(0, "[workers]\nlocal = 0\n");
    let daemon = hosts.serve(0);
    hosts.publish(0, &hosts.federation.replace("max = 500", "max = 400"));
    let worker = elsewhere(&hosts, 0);
    worker.says("was started with another federation.toml");
    daemon.says("the peer has another federation.toml");
    hosts.publish(0, &hosts.federation);
    let none = hosts.serve(1);
    elsewhere(&hosts, 1).says("its party.toml has no [workers]");
    drop(none);
}

#[test]
fn workers_that_do_not_start_are_named_as_the_reason_and_tried_again() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure_all("[workers]\nlocal = 1\n[ahead]\nmemory_mb = 0\n");
    let daemons = hosts.serve_all();
    let file = hosts.home(1).join(party_name(1)).join("party.toml");
    let good = fs::read_to_string(&file).unwrap();
    // The first one has read the file by the time it waits.
    let waits = spare(&daemons[1]).to_string();
    fs::write(&file, "not toml").unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &waits]).status().unwrap().success());
    until("it has ended", || workers(&daemons[1]).is_empty());
    let stderr = refusal(&hosts.query(0, GROUPS, &["--timeout", "30"]), 4);
    assert!(stderr.contains(&party_name(1)), "{stderr}");
    daemons[1].says("failure=a session worker ended before it offered itself: exit status: 2");
    fs::write(&file, good).unwrap();
    assert!(answer(&hosts.query(0, GROUPS, &[])).starts_with("diag,n\n"));
}

#[test]
fn sessions_opened_ahead_have_workers_beside_those_of_queries() {
    let hosts = Hosts::new(3, 8, &few);
    hosts.configure_all("[workers]\nlocal = 1\n");
    let daemons = hosts.serve_all();
    assert_eq!(answer(&hosts.query(0, GROUPS, &[])), EXPECTED);
    daemons.iter().for_each(|daemon| daemon.says(READY));
    let stats = hosts.home(1).join("stats.json");
    let rows = answer(&hosts.query(1, GROUPS, &["--stats", stats.to_str().unwrap()]));
    let stats: Value = serde_json::from_str(&fs::read_to_string(stats).unwrap()).unwrap();
    assert_eq!((rows.as_str(), &stats["opened_ahead"]), (EXPECTED, &Value::Bool(true)));
    // Whatever is being opened meanwhile, and for whom, is in nobody's way.
    let two = "SELECT COUNT(*) AS n FROM (SELECT patient FROM org_a.visits INTERSECT \
               SELECT patient FROM org_b.visits) both_held";
    for pause_ms in [0, 800, 1500, 300] {
        std::thread::sleep(Duration::from_millis(pause_ms));
        assert_eq!(answer(&hosts.query(0, two, &[])), "n\n6\n");
        assert_eq!(answer(&hosts.query(2, GROUPS, &[])), EXPECTED);
    }
}

#[test]
fn a_worker_that_is_stuck_holds_up_its_query_only_and_is_killed() {
    let hosts = Hosts::new(2, 400, &many);
    hosts.configure_all("[workers]\nlocal = 1\n[ahead]\nmemory_mb = 0\n");
    let daemons = hosts.serve_all();
    let stuck = spare(&daemons[1]).to_string();
    let query = hosts.start(0, GROUPS, &["--timeout", "8"]);
    daemons[1].says(BEGUN);
    let signal = |signal: &str| {
        std::process::Command::new("kill").args([signal, &stuck]).status().unwrap().success()
    };
    assert!(signal("-STOP"));
    assert_eq!(query.wait_with_output().unwrap().status.code(), Some(4));
    let small = "SELECT COUNT(*) FROM visits";
    assert_eq!(answer(&hosts.query(1, small, &[])).lines().nth(1), Some("800"));
    until("it is gone", || !fs::exists(format!("/proc/{stuck}/exe")).unwrap_or(false));
}

#[test]
fn a_killed_worker_ends_its_query_everywhere_and_no_other() {
    let hosts = Hosts::new(3, 400, &many);
    hosts.configure_all("[workers]\nlocal = 2\n[ahead]\nmemory_mb = 0\n");
    let daemons = hosts.serve_all();
    let killed = spare(&daemons[1]).to_string();
    let query = hosts.start(0, GROUPS, &["--timeout", "60"]);
    daemons[1].says(BEGUN);
    assert!(std::process::Command::new("kill").args(["-9", &killed]).status().unwrap().success());
    let start = Instant::now();
    let stderr = refusal(&query.wait_with_output().unwrap(), 4);
    assert!(start.elapsed() < Duration::from_secs(30), "{stderr}");
    assert!(stderr.contains(&party_name(1)), "the line names the party: {stderr}");
    let small = "SELECT COUNT(*) FROM visits";
    assert_eq!(answer(&hosts.query(1, small, &[])).lines().nth(1), Some("1200"));
}

#[test]
fn workers_end_with_their_user_s_patience_and_with_their_gateway() {
    let hosts = Hosts::new(2, 400, &many);
    hosts.configure_all("[workers]\nlocal = 2\n[ahead]\nmemory_mb = 0\n");
    let mut daemons = hosts.serve_all();
    let query = hosts.start(0, GROUPS, &["--timeout", "60"]);
    daemons.iter().for_each(|daemon| daemon.says(BEGUN));
    send("-INT", &query);
    assert_eq!(query.wait_with_output().unwrap().status.code(), Some(130));
    until("a spare worker each is left", || {
        daemons.iter().all(|daemon| workers(daemon).len() == 1)
    });
    let query = hosts.start(0, GROUPS, &["--timeout", "60"]);
    until("the second session has begun", || begun(&daemons[1]) == 2);
    let orphans = workers(&daemons[1]);
    drop(daemons.pop());
    let stderr = refusal(&query.wait_with_output().unwrap(), 4);
    assert!(stderr.contains(&party_name(1)), "{stderr}");
    until("no worker survives its gateway", || {
        orphans.iter().all(|pid| !fs::exists(format!("/proc/{pid}/exe")).unwrap_or(false))
    });
}

#[test]
fn four_queries_of_two_parties_share_two_workers_each() {
    let hosts = Hosts::new(3, 8, &few);
    hosts.configure_all("[workers]\nlocal = 2\n");
    let _daemons = hosts.serve_all();
    let queries: Vec<_> = [0, 1, 0, 1].map(|party| hosts.start(party, GROUPS, &[])).into();
    for query in queries {
        assert_eq!(answer(&query.wait_with_output().unwrap()), EXPECTED);
    }
}
