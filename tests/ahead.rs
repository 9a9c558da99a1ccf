//! Daemons think ahead: sessions are open before their query, serve one, and are never in its way.

use crate::hosts::{Daemon, GROUPS, Hosts, answer, few};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const READY: &str = "session opened ahead and ready";

/// The answer and the figures of a query.
fn ask(hosts: &Hosts, party: usize) -> (String, Value) {
    let stats = hosts.home(party).join("stats.json");
    let rows = answer(&hosts.query(party, GROUPS, &["--stats", stats.to_str().unwrap()]));
    (rows, serde_json::from_str(&fs::read_to_string(stats).unwrap()).unwrap())
}

fn sent(stats: &Value, what: &str) -> u64 {
    stats[what].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum()
}

fn all_ready(daemons: &[Daemon]) {
    daemons.iter().for_each(|daemon| daemon.says(READY));
    daemons.iter().for_each(|daemon| daemon.log.lock().unwrap().clear());
}

#[test]
fn the_second_query_finds_its_session_open_and_its_triples_made() {
    let hosts = Hosts::new(3, 8, &few);
    let daemons = hosts.serve_all();
    let (expected, first) = ask(&hosts, 0);
    assert_eq!(first["opened_ahead"], false);
    // Each serves one query: the next one needs the next session, whoever asks.
    for asker in [0, 1] {
        all_ready(&daemons);
        let (rows, stats) = ask(&hosts, asker);
        assert_eq!((rows, &stats["opened_ahead"]), (expected.clone(), &Value::Bool(true)));
        assert!(stats["phases"].get("session set-up").is_none(), "{stats}");
        assert!(2 * sent(&stats, "bytes_sent") < sent(&first, "bytes_sent"), "{stats}");
        assert!(sent(&stats, "bytes_sent_ahead") > 0);
    }
}

#[test]
fn sessions_have_the_trees_that_the_federation_asks_for() {
    let hosts = Hosts::new(3, 8, &few);
    let totals = [(1, 2), (2, 8)].map(|(epoch, k)| {
        let text = &hosts.federation;
        let text = format!("epoch = {epoch}\n{text}[targets]\nsoftspoken_k = {k}\n");
        (0..3).for_each(|party| hosts.publish(party, &text));
        let daemons = hosts.serve_all();
        let (expected, first) = ask(&hosts, 0);
        all_ready(&daemons);
        let (rows, second) = ask(&hosts, 1);
        assert_eq!((rows, &second["opened_ahead"]), (expected, &Value::Bool(true)));
        sent(&first, "bytes_sent")
    });
    assert!(totals[0] > totals[1], "{totals:?}");
}

#[test]
fn of_two_that_ask_at_once_one_gets_the_session() {
    let hosts = Hosts::new(3, 8, &few);
    let daemons = hosts.serve_all();
    let (expected, _) = ask(&hosts, 0);
    all_ready(&daemons);
    let asked = std::thread::scope(|scope| {
        let asks = [0, 1].map(|party| {
            scope.spawn({
                let hosts = &hosts;
                move || ask(hosts, party)
            })
        });
        asks.map(|ask| ask.join().unwrap())
    });
    let ahead = asked.iter().filter(|(_, stats)| stats["opened_ahead"] == true).count();
    assert_eq!(ahead, 1);
    assert!(asked.iter().all(|(rows, _)| *rows == expected));
}

#[test]
fn a_session_whose_party_is_gone_is_no_obstacle() {
    let hosts = Hosts::new(3, 8, &few);
    let mut daemons = hosts.serve_all();
    let (expected, _) = ask(&hosts, 0);
    all_ready(&daemons);
    drop(daemons.pop());
    daemons.push(hosts.serve(2));
    // At once: the others may not have noticed.
    let (rows, stats) = ask(&hosts, 0);
    assert_eq!((rows, &stats["opened_ahead"]), (expected, &Value::Bool(false)));
}

#[test]
fn a_party_may_keep_nothing_ahead_and_a_daemon_with_sessions_drains_at_once() {
    let hosts = Hosts::new(2, 8, &few);
    let own = hosts.home(1).join("org_b").join("party.toml");
    let policy = fs::read_to_string(&own).unwrap();
    fs::write(&own, format!("{policy}[ahead]\nmemory_mb = 0\n")).unwrap();
    let mut daemons = hosts.serve_all();
    let (expected, _) = ask(&hosts, 0);
    std::thread::sleep(Duration::from_secs(2));
    let (rows, stats) = ask(&hosts, 0);
    assert_eq!((rows, &stats["opened_ahead"]), (expected, &Value::Bool(false)));
    assert!(daemons.iter().all(|daemon| !daemon.log.lock().unwrap().contains(READY)));
    daemons.clear();
    fs::write(&own, policy).unwrap();
    let mut daemons = hosts.serve_all();
    ask(&hosts, 0);
    all_ready(&daemons);
    let start = Instant::now();
    for daemon in &mut daemons {
        daemon.signal("-TERM");
        assert!(daemon.ends().success());
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}
