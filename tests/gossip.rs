//! What daemons publish to each other, and that queries are held against it.

use crate::hosts::{Daemon, GROUPS, Hosts, answer, few, policy, refusal};
use crate::support::party_name;
use std::fs;
use std::time::{Duration, Instant};

/// The report of `senate doctor` as JSON, whatever it thinks.
fn doctor(hosts: &Hosts, party: usize) -> serde_json::Value {
    let output = hosts.senate(party, &["doctor", "--format", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the daemon of `party` says about the catalog, once it contains these words.
fn catalog(hosts: &Hosts, party: usize, words: &[&str]) -> String {
    let start = Instant::now();
    loop {
        let report = doctor(hosts, party);
        let own = report.as_array().unwrap().iter().find(|one| {
            one["party"].as_str().unwrap() == format!("{} (this party's daemon)", party_name(party))
        });
        let findings = own.and_then(|own| own["findings"].as_array().cloned()).unwrap_or_default();
        let said: Vec<String> = findings
            .iter()
            .filter(|finding| finding["check"] == "catalog")
            .map(|finding| finding["detail"].as_str().unwrap().to_owned())
            .collect();
        let said = said.join("\n");
        if words.iter().all(|word| said.contains(word)) {
            return said;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{words:?} are not in\n{said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn accept(hosts: &Hosts, party: usize, from: &[usize]) {
    let names = |parties: &mut dyn Iterator<Item = usize>| {
        let names: Vec<_> = parties.map(|party| format!("\"{}\"", party_name(party))).collect();
        names.join(", ")
    };
    let from = names(&mut from.iter().copied());
    let everybody = policy(&names(&mut (0..hosts.parties)));
    hosts.rewrite(party, &format!("[accept]\nfrom = [{from}]\n{everybody}"));
}

fn restarted(hosts: &Hosts, daemons: &mut [Daemon], party: usize) {
    daemons[party].signal("-TERM");
    daemons[party].ends();
    daemons[party] = hosts.serve(party);
}

#[test]
fn daemons_tell_each_other_what_they_have_published() {
    let hosts = Hosts::new(3, 8, &few);
    let mut daemons = hosts.serve_all();
    for party in 0..3 {
        catalog(&hosts, party, &["sealed by 3 of 3", "org_b: 1 tables, policy 1"]);
    }
    daemons[0].says("every party has published the same digest of federation.toml");
    answer(&hosts.query(0, GROUPS, &[]));
    accept(&hosts, 1, &[0, 2]);
    restarted(&hosts, &mut daemons, 1);
    catalog(&hosts, 0, &["org_b: 1 tables, policy 2", "org_c: 1 tables, policy 1"]);
    answer(&hosts.query(0, GROUPS, &[]));
}

#[test]
fn a_party_that_runs_an_older_policy_than_it_has_published_is_refused() {
    let hosts = Hosts::new(2, 8, &few);
    let published = hosts.home(1).join(party_name(1)).join("published.json");
    let mut daemons = hosts.serve_all();
    catalog(&hosts, 0, &["org_b: 1 tables, policy 1"]);
    let (older, policy) = (fs::read(&published).unwrap(), [0, 1]);
    accept(&hosts, 1, &[0]);
    restarted(&hosts, &mut daemons, 1);
    catalog(&hosts, 0, &["org_b: 1 tables, policy 2"]);
    fs::write(&published, older).unwrap();
    accept(&hosts, 1, &policy);
    restarted(&hosts, &mut daemons, 1);
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    let words = "party org_b: runs version 1 of its policy, but has published version 2";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn a_party_that_publishes_two_policies_as_one_is_named_and_refused() {
    let hosts = Hosts::new(3, 8, &few);
    let mut daemons = hosts.serve_all();
    catalog(&hosts, 0, &["sealed by 3 of 3"]);
    // It forgets what it has published, and begins anew with another policy.
    fs::remove_file(hosts.home(2).join(party_name(2)).join("published.json")).unwrap();
    accept(&hosts, 2, &[0]);
    restarted(&hosts, &mut daemons, 2);
    let fault = "org_c has sealed two different digests of version 1 of its policy";
    catalog(&hosts, 0, &[fault]);
    catalog(&hosts, 1, &[fault]);
    for party in [0, 1] {
        let stderr = refusal(&hosts.query(party, GROUPS, &[]), 5);
        assert!(stderr.contains(&format!("party {fault}")), "{stderr}");
    }
    // An epoch that all begin anew forgets it.
    for party in 0..3 {
        hosts.publish(party, &hosts.federation.replacen("name =", "epoch = 2\nname =", 1));
        restarted(&hosts, &mut daemons, party);
    }
    catalog(&hosts, 0, &["epoch 2, sealed by 3 of 3"]);
    answer(&hosts.query(0, GROUPS, &[]));
}

#[test]
fn a_party_in_another_epoch_is_named() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.publish(1, &hosts.federation.replacen("name =", "epoch = 2\nname =", 1));
    let _daemons = hosts.serve_all();
    catalog(&hosts, 0, &["org_b is in epoch 2 of the federation instead of 1"]);
    refusal(&hosts.query(0, GROUPS, &[]), 3);
}

#[test]
fn a_party_is_reached_at_its_replica_when_the_first_daemon_is_gone() {
    let mut hosts = Hosts::new(2, 8, &few);
    let (dead, second) = (crate::hosts::free_address(), crate::hosts::free_address());
    let first = hosts.federation.clone();
    let address = first.lines().filter(|line| line.starts_with("address")).nth(1).unwrap();
    let both = format!("address = \"{dead}\"\nreplicas = [\"{second}\"]");
    hosts.federation = first.replace(address, &both);
    (0..2).for_each(|party| hosts.publish(party, &hosts.federation));
    hosts.configure(1, &format!("[ports]\nmesh = \"{second}\"\n"));
    let _daemons = hosts.serve_all();
    assert_eq!(answer(&hosts.query(0, GROUPS, &[])).lines().next(), Some("diag,n"));
    assert_eq!(answer(&hosts.query(1, GROUPS, &[])).lines().next(), Some("diag,n"));
}
