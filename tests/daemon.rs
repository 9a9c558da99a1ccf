//! Parties as real processes with pinned mutual TLS: agreement, refusals, crashes, recovery.

use crate::hosts::{GROUPS, Hosts, answer, few, many, policy, refusal, send};
use crate::support::party_name;
use senate::config::{PartyConfig, Workspace};
use senate::transport::{Connection, SILENCE_MAX};
use senate_circuit::PartyId;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

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
    let daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    daemons[1].says("the peer has another federation.toml");
    assert!(stderr.contains("org_b: has another federation.toml"), "{stderr}");
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

#[test]
fn nobody_answers_a_party_it_does_not_accept() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &format!("[accept]\nfrom = []\n{}", policy("\"org_a\"")));
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
fn a_party_that_reads_longer_than_silence_lasts_is_not_lost() {
    let hosts = Hosts::new(2, 8, &few);
    let table = hosts.home(1).join(party_name(1)).join("visits.csv");
    let rows = fs::read(&table).unwrap();
    fs::remove_file(&table).unwrap();
    assert!(Command::new("mkfifo").arg(&table).status().unwrap().success());
    let _daemons = hosts.serve_all();
    let query = hosts.start(0, "SELECT COUNT(*) FROM visits", &[]);
    // Opens when the party has begun to read.
    let mut pipe = fs::OpenOptions::new().write(true).open(&table).unwrap();
    std::thread::sleep(SILENCE_MAX + Duration::from_secs(4));
    pipe.write_all(&rows).unwrap();
    drop(pipe);
    let answered = answer(&query.wait_with_output().unwrap());
    assert_eq!(answered.lines().nth(1), Some("12"), "{answered}");
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
    let workspace = Workspace::open(&hosts.home(0)).unwrap();
    let address = workspace.address(PartyId::new(0).unwrap()).unwrap().to_owned();
    let taken = TcpListener::bind(&address).unwrap();
    let stderr = refusal(&hosts.senate(0, &["serve"]).output().unwrap(), 2);
    assert!(stderr.contains(&address), "{stderr}");
    drop(taken);
    let _daemon = hosts.serve(0);
    let stderr = refusal(&hosts.senate(0, &["serve"]).output().unwrap(), 2);
    assert!(stderr.contains("stop the other daemon of this party"), "{stderr}");
}

#[test]
fn a_terminated_daemon_ends_its_query_first_and_begins_no_other() {
    let hosts = Hosts::new(3, 400, &many);
    let daemons = hosts.serve_all();
    let query = hosts.start(0, GROUPS, &[]);
    daemons[1].says("query proposed");
    daemons[1].signal("-TERM");
    daemons[1].says("draining");
    let stderr = refusal(&hosts.query(1, GROUPS, &["--timeout", "10"]), 4);
    assert!(stderr.contains("org_b"), "{stderr}");
    let stderr = refusal(&hosts.query(2, GROUPS, &["--timeout", "10"]), 4);
    assert!(stderr.contains("org_b"), "{stderr}");
    let rows = answer(&query.wait_with_output().unwrap());
    let counts = rows.lines().skip(1).map(|line| line.split(',').nth(1).unwrap());
    assert_eq!(counts.map(|count| count.parse::<u32>().unwrap()).sum::<u32>(), 1200);
    assert_eq!({ daemons }[1].ends().code(), Some(0));
}

#[test]
fn an_interrupted_client_ends_its_query_at_every_party() {
    let hosts = Hosts::new(3, 400, &many);
    let daemons = hosts.serve_all();
    for phase in ["query asked", "query proposed"] {
        let query = hosts.start(0, GROUPS, &[]);
        daemons[usize::from(phase == "query proposed")].says(phase);
        send("-INT", &query);
        refusal(&query.wait_with_output().unwrap(), 130);
        daemons[0].says("went away");
        daemons.iter().for_each(|daemon| daemon.log.lock().unwrap().clear());
    }
    let query = hosts.start(0, GROUPS, &[]);
    daemons[1..].iter().for_each(|daemon| daemon.says("query proposed"));
    std::thread::sleep(Duration::from_millis(500));
    send("-INT", &query);
    refusal(&query.wait_with_output().unwrap(), 130);
    daemons.iter().for_each(|daemon| daemon.says("went away"));
    let small = "SELECT COUNT(*) FROM visits";
    assert_eq!(answer(&hosts.query(2, small, &[])).lines().nth(1), Some("1200"));
}

#[test]
fn a_party_that_hangs_is_named_within_the_timeout() {
    let hosts = Hosts::new(3, 400, &many);
    let daemons = hosts.serve_all();
    for wait_ms in [0, 1000] {
        let start = Instant::now();
        let query = hosts.start(0, GROUPS, &["--timeout", "12"]);
        std::thread::sleep(Duration::from_millis(wait_ms));
        daemons[2].signal("-STOP");
        let stderr = refusal(&query.wait_with_output().unwrap(), 4);
        assert!(start.elapsed() < Duration::from_secs(20), "{stderr}");
        assert!(stderr.contains("party org_c"), "the line names the party: {stderr}");
        daemons[2].signal("-CONT");
    }
    let small = "SELECT COUNT(*) FROM visits";
    assert_eq!(answer(&hosts.query(1, small, &[])).lines().nth(1), Some("1200"));
}

#[test]
fn two_parties_may_ask_at_once() {
    let hosts = Hosts::new(3, 8, &few);
    let _daemons = hosts.serve_all();
    let queries: Vec<_> = (0..3).map(|party| hosts.start(party, GROUPS, &[])).collect();
    for query in queries {
        let rows = answer(&query.wait_with_output().unwrap());
        assert_eq!(rows, "diag,n\n0,7\n2,5\n1,3\n3,3\n");
    }
}

#[test]
fn strange_bytes_and_other_versions_do_no_harm() {
    let hosts = Hosts::new(2, 8, &few);
    let daemons = hosts.serve_all();
    let workspace = Workspace::open(&hosts.home(1)).unwrap();
    let (one, other) = (PartyId::new(0).unwrap(), PartyId::new(1).unwrap());
    let address = workspace.address(one).unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 255, 255, 0], &[0; 4096]] {
        TcpStream::connect(address).unwrap().write_all(bytes).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = PartyConfig::read(&workspace, other).unwrap();
        let identity = config.identity(&workspace, other).unwrap();
        let greet = async |hello: serde_json::Value| {
            let pinned = workspace.fingerprint(one).unwrap();
            let mut connection = Connection::dial(&identity, address, pinned).await.unwrap();
            connection.send(&hello).await.unwrap();
            connection.receive::<serde_json::Value>().await
        };
        let lane = serde_json::json!({ "Lane": [vec![7; 16], "Protocol"] });
        let federation = workspace.federation.digest;
        for hello in [
            serde_json::json!({ "version": "0.0.1", "federation": federation, "purpose": lane }),
            serde_json::json!({ "version": "0.0.1", "federation": vec![0; 32], "purpose": lane }),
            serde_json::json!({ "version": 7 }),
            serde_json::json!("hello"),
        ] {
            assert!(greet(hello).await.is_err(), "nobody answers what makes no sense");
        }
        let question = serde_json::json!({ "sql": "SELECT 1", "asker": "org_b", "bounds": [],
            "recipients": ["org_b"], "stages": "decomposed", "timeout_s": 5 });
        let announce = serde_json::json!({ "Announce": { "session": vec![7; 16],
            "request": question, "digest": vec![0; 32],
            "standing": { "epoch": 1, "policy": 1, "policy_digest": vec![0; 32] } } });
        let hello =
            serde_json::json!({ "version": "0.0.1", "federation": federation, "purpose": announce });
        let verdict = greet(hello).await.unwrap();
        assert!(verdict["Refused"]["Version"].is_array(), "{verdict}");
    });
    daemons[0].says("version 0.0.1 instead of");
    assert!(answer(&hosts.query(1, GROUPS, &[])).starts_with("diag,n\n"));
}

#[test]
fn signs_of_life_are_no_greeting_and_a_party_that_sends_only_them_keeps_no_other_out() {
    let hosts = Hosts::new(2, 8, &few);
    let _daemons = hosts.serve_all();
    let workspace = Workspace::open(&hosts.home(1)).unwrap();
    let (one, other) = (PartyId::new(0).unwrap(), PartyId::new(1).unwrap());
    let (address, pinned) = (workspace.address(one).unwrap(), workspace.fingerprint(one).unwrap());
    let identity = PartyConfig::read(&workspace, other).unwrap();
    let identity = identity.identity(&workspace, other).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..300 {
            held.extend(Connection::dial(&identity, address, pinned).await.ok());
        }
        assert!(held.len() > 90, "{}", held.len());
        let jobs = hosts.senate(0, &["jobs"]).output().unwrap();
        assert!(jobs.status.success(), "{}", String::from_utf8_lossy(&jobs.stderr));
        let start = Instant::now();
        while !held.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(40), "{} are still there", held.len());
            let mut alive = Vec::new();
            for mut connection in held {
                if connection.heartbeat().await.is_ok() {
                    alive.push(connection);
                }
            }
            held = alive;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    assert!(answer(&hosts.query(1, GROUPS, &[])).starts_with("diag,n\n"));
}

#[test]
fn whoever_connects_and_says_nothing_keeps_nobody_else_out() {
    let hosts = Hosts::new(2, 8, &few);
    let _daemons = hosts.serve_all();
    let workspace = Workspace::open(&hosts.home(0)).unwrap();
    let address = workspace.federation.parties[1].address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let silent = runtime.block_on(async {
        let mut silent = Vec::new();
        for _ in 0..300 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            silent.extend(socket.connect(address).await.ok());
        }
        silent
    });
    assert!(silent.len() > 256, "as many as a daemon serves at a time");
    assert!(answer(&hosts.query(0, GROUPS, &[])).starts_with("diag,n\n"));
    drop(silent);
}

#[test]
fn long_questions_end_no_daemon() {
    let hosts = Hosts::new(2, 8, &few);
    let _daemons = hosts.serve_all();
    let or = (0..190).map(|n| format!("diag = {n}")).collect::<Vec<_>>().join(" OR ");
    let list = (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for filter in [or, format!("diag IN ({list})")] {
        let sql = format!("SELECT diag, COUNT(*) AS n FROM visits WHERE {filter} GROUP BY diag");
        assert!(answer(&hosts.query(0, &sql, &[])).starts_with("diag,n\n"));
    }
    let sum = vec!["1"; 5_000].join("+");
    let stderr = refusal(&hosts.query(0, &format!("SELECT {sum} AS n FROM visits"), &[]), 2);
    assert!(stderr.contains("more than 1000 operators"), "{stderr}");
    assert!(answer(&hosts.query(0, GROUPS, &[])).starts_with("diag,n\n"));
}
