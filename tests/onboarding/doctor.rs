//! What `senate doctor` finds, and its exit code.

use super::{Host, done, refused};
use std::fs;
use std::net::TcpListener;
use std::process::Output;

fn joined() -> (Host, Host) {
    let a = Host::with_visits("org_a", "1,2\n2,3\n");
    let b = Host::with_visits("org_b", "1,5\n");
    let (invite, codes, _) = a.invite(&["--yes-if", &b.fingerprint], 1);
    done(&b.join(&[&codes[0], "--yes-if", &a.fingerprint]));
    done(&invite.wait_with_output().unwrap());
    (a, b)
}

fn examine(host: &Host) -> Output {
    host.senate(&["doctor", "--format", "json"]).output().unwrap()
}

/// Party and check of everything that is not as it should be.
fn trouble(output: &Output) -> Vec<(String, String, String)> {
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    for report in reports.as_array().unwrap() {
        for finding in report["findings"].as_array().unwrap() {
            if finding["state"] != "ok" {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
                let words = text(&finding["detail"]) + " / " + &text(&finding["remedy"]);
                found.push((text(&report["party"]), text(&finding["check"]), words));
            }
        }
    }
    found
}

#[test]
fn what_stands_in_the_way_is_named_with_its_hop_and_exit_code() {
    let (a, b) = joined();
    let output = examine(&a);
    refused(&output, 4);
    let found = trouble(&output);
    assert!(found.iter().all(|(_, check, _)| check == "port") && found.len() == 2, "{found:?}");
    assert!(found[1].0 == "org_b" && found[1].2.contains("senate serve --as org_b"), "{found:?}");
    let _daemon = a.serve();
    {
        let _other = b.serve();
        let output = examine(&a);
        let shown = done(&output);
        for check in ["name", "port", "TLS", "clock", "version", "round trip", "bandwidth"] {
            assert!(shown.contains(&format!("\"check\": \"{check}\"")), "{shown}");
        }
        // The daemon of b still has the file that b's operator has changed since.
        let path = b.folder.path().join("federation.toml");
        let signed = b.federation();
        fs::write(&path, signed.clone() + "# changed\n").unwrap();
        let output = examine(&b);
        refused(&output, 2);
        let found = trouble(&output);
        assert!(found.iter().any(|(_, check, why)| {
            check == "federation" && why.contains("not what all parties have signed")
        }));
        assert!(found.iter().any(|(party, _, why)| party == "org_a" && why.contains("digest")));
        fs::write(&path, signed).unwrap();
    }
    let _silent = TcpListener::bind(&b.address).unwrap();
    let output = examine(&a);
    refused(&output, 4);
    let found = trouble(&output);
    let hops: Vec<_> = found.iter().filter(|(party, ..)| party == "org_b").collect();
    assert!(hops.len() == 1 && hops[0].1 == "TLS", "{found:?}");
}

#[test]
fn every_address_of_a_peer_is_looked_at() {
    let (a, b) = joined();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = format!("address = {:?}", b.address);
    let replicas = format!("{first}\nreplicas = [\"{away}\", \"no.such.host.invalid:7401\"]");
    for host in [&a, &b] {
        let text = host.federation().replace(&first, &replicas);
        fs::write(host.folder.path().join("federation.toml"), text).unwrap();
        fs::remove_file(host.folder.path().join("federation.sig")).unwrap();
    }
    let _daemon = a.serve();
    {
        let _other = b.serve();
        let output = examine(&a);
        let shown = done(&output);
        assert!(shown.contains(&format!("\"party\": \"org_b at {}\"", b.address)), "{shown}");
        let found = trouble(&output);
        // Daemons may not have met yet.
        let found = found.iter().filter(|(_, check, _)| check != "catalog");
        let at: Vec<_> = found.map(|(party, check, _)| (&**party, &**check)).collect();
        let expected = [
            (&*format!("org_b at {away}"), "port"),
            ("org_b at no.such.host.invalid:7401", "name"),
        ];
        assert_eq!(at, expected, "queries reach it at its first address: {shown}");
    }
    let output = examine(&a);
    refused(&output, 4);
    let found = trouble(&output);
    assert_eq!(found.iter().filter(|(party, ..)| party.starts_with("org_b at ")).count(), 3);
}

#[test]
fn a_peer_with_another_certificate_is_told_from_one_that_is_away() {
    let (a, b) = joined();
    fs::remove_file(b.home().join("identity.pem")).unwrap();
    fs::remove_file(b.folder.path().join("federation.sig")).unwrap();
    let address = b.address.clone();
    done(&b.senate(&["init", "--address", &address]).output().unwrap());
    let _daemon = b.serve();
    let output = examine(&a);
    refused(&output, 3);
    let found = trouble(&output);
    let other = found.iter().find(|(party, ..)| party == "org_b").unwrap();
    assert!(other.1 == "TLS" && other.2.contains("another certificate, sha256:"), "{found:?}");
    let output = examine(&b);
    let found = trouble(&output);
    assert!(found.iter().any(|(party, check, _)| party == "org_a" && check == "port"), "{found:?}");
}

#[test]
fn the_own_side_is_examined_too() {
    let (a, b) = joined();
    let _daemons = (a.serve(), b.serve());
    #[cfg(unix)]
    for entry in fs::read_dir(a.home()).unwrap().map(Result::unwrap) {
        use std::os::unix::fs::PermissionsExt;
        let (name, found) = (entry.file_name(), entry.metadata().unwrap());
        let is_open = found.is_file() && found.permissions().mode() & 0o077 != 0;
        assert!(!is_open || name == "visits.csv", "others can read {name:?}");
    }
    let rows = "patient,diag\n".to_owned() + &"1,2\n".repeat(100);
    a.put("visits.csv", &rows);
    let output = examine(&a);
    refused(&output, 6);
    assert!(trouble(&output)[0].2.contains("exceed the declared capacity"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let identity = a.home().join("identity.pem");
        fs::set_permissions(&identity, PermissionsExt::from_mode(0o644)).unwrap();
        let output = examine(&a);
        refused(&output, 2);
        assert!(trouble(&output)[0].2.contains("chmod 600"));
        let stderr = refused(&a.senate(&["serve"]).output().unwrap(), 2);
        assert!(stderr.contains("chmod 600"), "{stderr}");
    }
}
