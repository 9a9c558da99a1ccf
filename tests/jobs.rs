//! Queries that outlive their askers, limits that hold, and what a daemon shows of itself.

use crate::hosts::{Daemon, GROUPS, Hosts, answer, few, many, refusal};
use crate::support::party_name;
use std::fs;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SMALL: &str = "SELECT COUNT(*) AS n FROM visits";
const CONSOLE: &str = "[ports]\nconsole = 0\n";

impl Hosts {
    fn jobs(&self, party: usize, words: &[&str]) -> Output {
        self.senate(party, &["jobs"]).args(words).output().unwrap()
    }

    /// The id of a query that goes on by itself.
    fn detached(&self, party: usize, sql: &str) -> String {
        answer(&self.query(party, sql, &["--detach"])).trim().to_owned()
    }
}

/// Waits until the list of queries says this of a query.
fn listed(hosts: &Hosts, party: usize, id: &str, words: &str) {
    let start = Instant::now();
    loop {
        let list = answer(&hosts.jobs(party, &[]));
        let line = list.lines().find(|line| line.starts_with(id)).unwrap_or_default().to_owned();
        if line.contains(words) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "no `{words}` for {id} in\n{list}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_detached_query_is_listed_everywhere_and_its_answer_waits_for_its_asker() {
    let hosts = Hosts::new(3, 8, &few);
    let _daemons = hosts.serve_all();
    let id = hosts.detached(0, GROUPS);
    listed(&hosts, 0, &id, "answer kept, 4 rows");
    listed(&hosts, 1, &id, "done");
    for _ in 0..2 {
        let csv = hosts.jobs(0, &["attach", &id[..6], "--format", "csv"]);
        assert_eq!(answer(&csv), "diag,n\n0,7\n2,5\n1,3\n3,3\n");
    }
    assert!(answer(&hosts.jobs(0, &["show", &id])).contains(GROUPS));
    let stderr = refusal(&hosts.jobs(1, &["attach", &id]), 2);
    assert!(stderr.contains("is over"), "nothing is kept where nobody asked: {stderr}");
    let stderr = refusal(&hosts.jobs(0, &["attach", "ffffffff"]), 2);
    assert!(stderr.contains("no query `ffffffff`"), "{stderr}");
    assert!(answer(&hosts.query(0, SMALL, &[])).contains("18"));
    let list = answer(&hosts.jobs(0, &[]));
    assert!(list.contains("done, 1 rows"), "a delivered answer is not kept: {list}");
}

#[test]
fn a_recipient_that_did_not_ask_fetches_the_answer_and_others_hear_that_it_went_there() {
    let hosts = Hosts::new(3, 8, &few);
    let _daemons = hosts.serve_all();
    let id = answer(&hosts.query(0, GROUPS, &["--detach", "--recipients", "org_b"]));
    let id = id.trim();
    listed(&hosts, 1, id, "answer kept, 4 rows");
    let csv = hosts.jobs(1, &["attach", id, "--format", "csv"]);
    assert_eq!(answer(&csv), "diag,n\n0,7\n2,5\n1,3\n3,3\n");
    for party in [0, 2] {
        listed(&hosts, party, id, "done, the answer went to others");
    }
    let cancelled = answer(&hosts.jobs(1, &["cancel", id]));
    assert!(cancelled.contains("answer kept"), "what has ended stays so: {cancelled}");
    let stderr = refusal(&hosts.jobs(1, &["show", &id[..3]]), 2);
    assert!(stderr.contains("at least 4 digits"), "{stderr}");
}

#[test]
fn participants_hear_why_a_query_did_not_begin() {
    let hosts = Hosts::new(3, 8, &few);
    let broken = hosts.home(1).join(party_name(1)).join("visits.csv");
    fs::write(broken, "patient,diag\nx,1\n").unwrap();
    let daemons = hosts.serve_all();
    refusal(&hosts.query(0, GROUPS, &[]), 6);
    daemons[2].says("party org_a says: the rows of party org_b break their declaration");
    let list = answer(&hosts.jobs(2, &["--format", "json"]));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let state = list[0]["state"]["failed"].as_str().unwrap();
    assert!(state.contains("the query did not begin") && list[0]["sql"] == GROUPS, "{list}");
    refusal(&hosts.jobs(2, &["--format", "csv"]), 2);
}

#[test]
fn a_question_writes_no_line_and_no_colour_into_anothers_log_or_list() {
    let hosts = Hosts::new(2, 8, &few);
    let daemons = hosts.serve_all();
    let forged = "2026-01-01T00:00:00Z  INFO query answered: forged";
    let sql = format!("SELECT COUNT(*) AS n FROM visits /* \u{1b}[31m\n{forged} */");
    assert!(answer(&hosts.query(0, &sql, &[])).contains("12"));
    daemons[1].says("query answered");
    let log = daemons[1].log.lock().unwrap().clone();
    let list = answer(&hosts.jobs(1, &[]));
    let shown = answer(&hosts.jobs(1, &["show", &list[..8]]));
    for text in [&log, &shown] {
        assert!(text.contains("forged") && !text.contains('\u{1b}'), "{text}");
        assert!(!text.lines().any(|line| line.starts_with(forged)), "{text}");
    }
}

#[test]
fn who_only_watches_a_query_may_leave() {
    let hosts = Hosts::new(2, 400, &many);
    let _daemons = hosts.serve_all();
    let query = hosts.start(0, GROUPS, &[]);
    let start = Instant::now();
    let id = loop {
        let list = answer(&hosts.jobs(0, &[]));
        if let Some(line) = list.lines().find(|line| line.contains("running: stage")) {
            break line.split_whitespace().next().unwrap().to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(40), "{list}");
    };
    let mut watching = hosts.senate(0, &["jobs"]).args(["attach", &id]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(answer(&query.wait_with_output().unwrap()).starts_with("diag,n\n"));
}

#[test]
fn a_query_is_cancelled_at_every_party_by_its_asker_or_by_a_participant() {
    let hosts = Hosts::new(3, 400, &many);
    let daemons = hosts.serve_all();
    for (by, why) in [(0, "cancelled by the operator"), (1, "org_b cancelled the query")] {
        let id = hosts.detached(0, GROUPS);
        listed(&hosts, by, &id, "running: stage");
        answer(&hosts.jobs(by, &["cancel", &id]));
        listed(&hosts, 0, &id, why);
        listed(&hosts, 2, &id, "failed");
        let code = if by == 0 { 130 } else { 3 };
        refusal(&hosts.jobs(0, &["attach", &id]), code);
    }
    assert!(answer(&hosts.query(2, SMALL, &[])).contains("1200"));
    drop(daemons);
}

#[test]
fn a_query_beyond_a_party_s_limits_is_refused_at_once_wherever_it_is_asked() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure(1, "[limits]\ntriples = 100\n");
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(1, GROUPS, &[]), 3);
    assert!(stderr.contains("AND triples, but the limit here is 100"), "{stderr}");
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    assert!(stderr.contains("party org_b: the query needs more than its limits allow"), "{stderr}");
    assert!(answer(&hosts.query(0, "SELECT COUNT(*) AS n FROM org_a.visits", &[])).contains('6'));
}

#[test]
fn eight_queries_of_several_parties_finish_within_the_admitted_budget() {
    let hosts = Hosts::new(3, 8, &few);
    // Two at a time, and at one party no more than two fit.
    hosts.configure_all(&format!("{CONSOLE}[ahead]\nmemory_mb = 0\n[limits]\nrunning = 2\n"));
    hosts.configure(2, "memory = \"300MB\"\n");
    let daemons = hosts.serve_all();
    // What planning and the first session take stays with the process.
    answer(&hosts.query(2, GROUPS, &[]));
    let before: Vec<f64> = daemons.iter().map(peak).collect();
    let is_over = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watching: Vec<_> =
            daemons.iter().map(|daemon| scope.spawn(|| watch(daemon, &is_over))).collect();
        let queries: Vec<_> = (0..8).map(|n| hosts.start(n % 3, GROUPS, &[])).collect();
        let answers: Vec<Output> =
            queries.into_iter().map(|query| query.wait_with_output().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        for output in &answers {
            assert_eq!(answer(output), "diag,n\n0,7\n2,5\n1,3\n3,3\n");
        }
        watching.into_iter().map(|watching| watching.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(most.iter().any(|(_, queued)| *queued > 0.0), "somebody had to wait");
    for ((daemon, (running, _)), before) in daemons.iter().zip(most).zip(before) {
        assert!((1.0..=2.0).contains(&running), "{running} at once");
        assert_eq!(daemon.figure("senate_admitted_memory_bytes"), 0.0);
        assert_eq!(daemon.figure("senate_queries_running"), 0.0);
        let grown = peak(daemon) - before;
        assert!(grown <= 300e6, "{grown} bytes more than before");
    }
}

fn peak(daemon: &Daemon) -> f64 {
    daemon.figure("senate_peak_memory_bytes")
}

/// Most queries that ran and waited while others finish; what was admitted stayed within its limit.
fn watch(daemon: &Daemon, is_over: &AtomicBool) -> (f64, f64) {
    let (mut running, mut queued) = (0.0_f64, 0.0_f64);
    while !is_over.load(Ordering::Relaxed) {
        let (admitted, limit) = (
            daemon.figure("senate_admitted_memory_bytes"),
            daemon.figure("senate_limit_memory_bytes"),
        );
        assert!(admitted <= limit, "{admitted} of {limit}");
        running = running.max(daemon.figure("senate_queries_running"));
        queued = queued.max(daemon.figure("senate_queries_queued"));
        std::thread::sleep(Duration::from_millis(15));
    }
    (running, queued)
}

#[test]
fn the_console_tells_health_readiness_and_figures_and_no_text_of_a_query() {
    let hosts = Hosts::new(2, 400, &many);
    hosts.configure_all(CONSOLE);
    let mut daemons = hosts.serve_all();
    assert!(answer(&hosts.query(0, SMALL, &[])).contains("800"));
    assert_eq!(daemons[0].page("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(daemons[1].page("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(daemons[0].page("/else").0, 404);
    let (_, text) = daemons[0].page("/metrics");
    let answered = "senate_queries_total{federation=\"hosts\",party=\"org_a\",role=\"asks\",\
                    outcome=\"answered\"} 1";
    assert!(text.contains(answered), "{text}");
    assert!(!text.contains("visits") && !text.contains("SELECT"), "{text}");
    assert!(daemons[1].figure("senate_sent_bytes_total") > 1000.0);
    let query = hosts.start(0, GROUPS, &[]);
    daemons[1].says(GROUPS);
    daemons[1].signal("-TERM");
    daemons[1].says("draining");
    assert_eq!(daemons[1].page("/readyz"), (503, "draining\n".to_owned()));
    answer(&query.wait_with_output().unwrap());
    assert_eq!(daemons[1].ends().code(), Some(0));
}

#[test]
fn a_party_that_comes_back_in_time_is_reached() {
    let hosts = Hosts::new(2, 8, &few);
    let _first = hosts.serve(0);
    let query = hosts.start(0, GROUPS, &[]);
    std::thread::sleep(Duration::from_millis(1200));
    let _second = hosts.serve(1);
    answer(&query.wait_with_output().unwrap());
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let hosts = Hosts::new(2, 8, &few);
    let daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &["-o", "/dev/full"]), 1);
    assert!(stderr.contains("/dev/full"), "{stderr}");
    let nowhere = hosts.home(0).join("nowhere/answer.csv");
    refusal(&hosts.query(0, GROUPS, &["-o", nowhere.to_str().unwrap()]), 2);
    // A recipient that cannot keep the answer says so, and the asker has its own.
    fs::write(hosts.home(1).join(party_name(1)).join("answers"), "in the way").unwrap();
    let both = ["--recipients", "org_a,org_b"];
    assert!(answer(&hosts.query(0, GROUPS, &both)).starts_with("diag,n\n"));
    daemons[1].says("answer not kept");
}

#[test]
fn logs_are_json_when_asked_and_hold_no_cell() {
    let hosts = Hosts::new(2, 8, &|party| vec![(1_987_654_320 + party as i64, 345)]);
    let daemons = hosts.serve_all_with(&["-vv", "--log-format", "json"]);
    assert!(answer(&hosts.query(0, SMALL, &[])).contains('2'));
    daemons[1].says("query answered");
    for daemon in &daemons {
        let log = daemon.log.lock().unwrap().clone();
        for line in log.lines().filter(|line| !line.contains("listening on")) {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
        }
        assert!(!log.contains("19876543"), "{log}");
    }
}
