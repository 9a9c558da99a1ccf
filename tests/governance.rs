//! Who may learn what: policies, approvals and audit logs among real daemons, and groups that are
//! too small to be shown.

use crate::hosts::{GROUPS, Hosts, answer, few, policy, refusal};
use crate::support::{Random, Table, Workspace, party_name};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const COUNT: &str = "SELECT COUNT(*) AS n FROM visits WHERE diag = 1";

/// Columns with fewer rights than everything.
const STRICT: &str = "[policy]\nrecipients = [\"org_a\"]\n[policy.table.visits.columns]\n\
                      patient = [\"never\"]\ndiag = [\"group_by\", \"filter\"]\n";

fn accepting(from: &str, more: &str) -> String {
    format!("[accept]\nfrom = [{from}]\n{more}")
}

fn folder(hosts: &Hosts, party: usize) -> PathBuf {
    hosts.home(party).join(party_name(party))
}

fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn run(hosts: &Hosts, party: usize, words: &[&str]) -> Output {
    hosts.senate(party, words).output().unwrap()
}

fn log(hosts: &Hosts, party: usize) -> Vec<serde_json::Value> {
    let text = stdout(&run(hosts, party, &["audit", "export"]));
    serde_json::from_str(&text).unwrap()
}

/// The only query that waits at a party.
fn waiting(hosts: &Hosts, party: usize) -> String {
    let text = stdout(&run(hosts, party, &["inbox", "--format", "json"]));
    let inbox: serde_json::Value = serde_json::from_str(&text).unwrap();
    let waiting = inbox["waiting"].as_array().unwrap();
    assert_eq!(waiting.len(), 1, "{inbox}");
    waiting[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_policy_binds_the_asker_and_is_shown_before_anything_runs() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("\"org_a\"", STRICT));
    let _daemons = hosts.serve_all();
    assert!(answer(&hosts.query(0, GROUPS, &[])).starts_with("diag,n\n"));
    let sql = "SELECT patient + 1 AS p FROM visits WHERE diag = 1";
    let stderr = refusal(&hosts.query(0, sql, &[]), 3);
    for word in ["org_b", "rule never", "visits.patient"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    let explained = stdout(&run(&hosts, 0, &["explain", sql]));
    assert!(explained.contains("org_b: visits.patient"), "{explained}");
    assert!(explained.contains("REFUSED by rule never"), "{explained}");
    let explained = stdout(&run(&hosts, 0, &["explain", "--format", "json", GROUPS]));
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["allowed"], true);
    answer(&hosts.query(0, GROUPS, &["--recipients", "org_a,org_b"]));
}

#[test]
fn who_is_no_recipient_of_a_partys_rows_cannot_ask_for_them() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(0, &accepting("\"org_b\"", &policy("\"org_a\"")));
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(1, GROUPS, &[]), 3);
    assert!(stderr.contains("org_a") && stderr.contains("rule recipients"), "{stderr}");
}

#[test]
fn an_owner_without_a_policy_shares_nothing() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("\"org_a\"", ""));
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, GROUPS, &[]), 3);
    assert!(stderr.contains("org_b") && stderr.contains("rule policy"), "{stderr}");
    // What only it learns about its own rows is its own affair.
    assert!(answer(&hosts.query(1, "SELECT COUNT(*) FROM org_b.visits", &[])).contains('6'));
}

#[test]
fn a_query_is_approved_once_by_itself_and_as_a_template_until_it_is_withdrawn() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("", &policy("\"org_a\"")));
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, COUNT, &[]), 3);
    let id = waiting(&hosts, 1);
    assert!(stderr.contains("org_b") && stderr.contains(&id), "{stderr}");
    assert!(run(&hosts, 1, &["approve", &id]).status.success());
    assert_eq!(answer(&hosts.query(0, COUNT, &[])), "n\n2\n");
    let inbox = stdout(&run(&hosts, 1, &["inbox"]));
    assert!(inbox.contains("once, and used up"), "{inbox}");
    refusal(&hosts.query(0, COUNT, &[]), 3);
    let id = waiting(&hosts, 1);
    let approved = run(&hosts, 1, &["approve", &id[..6], "--template", "--until", "1d"]);
    let template = stdout(&approved).split_whitespace().next().unwrap().to_owned();
    for diag in ["1", "2", "3"] {
        answer(&hosts.query(0, &COUNT.replace("= 1", &format!("= {diag}")), &[]));
    }
    refusal(&hosts.query(0, &COUNT.replace("= 1", "> 1"), &[]), 3);
    assert!(run(&hosts, 1, &["deny", &template]).status.success());
    let stderr = refusal(&hosts.query(0, COUNT, &[]), 3);
    assert!(stderr.contains("denied"), "{stderr}");
    let approvals = log(&hosts, 1);
    let by = |entry: &&serde_json::Value| entry["event"] == "admitted";
    assert_eq!(approvals.iter().filter(by).count(), 4);
    assert!(approvals.iter().filter(by).all(|entry| entry["approvals"][0].is_string()));
}

#[test]
fn a_query_that_was_decided_can_be_decided_as_a_template() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("\"org_a\"", &policy("\"org_a\"")));
    let daemons = hosts.serve_all();
    let other = COUNT.replace("= 1", "= 2");
    answer(&hosts.query(0, &other, &[]));
    drop(daemons);
    hosts.rewrite(1, &accepting("", &policy("\"org_a\"")));
    let _daemons = hosts.serve_all();
    refusal(&hosts.query(0, COUNT, &[]), 3);
    let id = waiting(&hosts, 1);
    assert!(run(&hosts, 1, &["approve", &id]).status.success());
    let said = stdout(&run(&hosts, 1, &["approve", &id, "--template", "--until", "30d"]));
    assert!(said.contains("template approved"), "{said}");
    answer(&hosts.query(0, &other, &[]));
    let said = stdout(&run(&hosts, 1, &["deny", &id, "--template"]));
    assert!(said.contains("template denied"), "{said}");
    let stderr = refusal(&hosts.query(0, &other, &[]), 3);
    assert!(stderr.contains("denied"), "{stderr}");
}

#[test]
fn a_query_that_waits_for_an_approval_does_not_hold_up_the_daemons_end() {
    let hosts = Hosts::new(2, 8, &few);
    let hold = format!("[accept]\notherwise = \"hold\"\n{}", policy("\"org_a\""));
    hosts.rewrite(1, &hold);
    let daemons = hosts.serve_all();
    let query = hosts.start(0, COUNT, &["--timeout", "300"]);
    daemons[1].says("waits for approval");
    let began = Instant::now();
    daemons[1].signal("-TERM");
    let output = query.wait_with_output().unwrap();
    assert!(!output.status.success() && began.elapsed() < Duration::from_secs(30));
    assert!(!waiting(&hosts, 1).is_empty(), "it is still in the inbox");
}

#[test]
fn whoever_asks_hears_at_once_of_all_whose_approval_is_missing() {
    let hosts = Hosts::new(3, 8, &few);
    let everything = policy("\"*\"");
    (1..3).for_each(|party| hosts.rewrite(party, &accepting("", &everything)));
    let _daemons = hosts.serve_all();
    let stderr = refusal(&hosts.query(0, COUNT, &[]), 3);
    for party in [1, 2] {
        let id = waiting(&hosts, party);
        assert!(stderr.contains(&party_name(party)) && stderr.contains(&id), "{stderr}");
        stdout(&run(&hosts, party, &["approve", &id]));
    }
    assert!(answer(&hosts.query(0, COUNT, &[])).starts_with("n\n"));
}

#[test]
fn a_held_query_waits_for_its_approval() {
    let hosts = Hosts::new(2, 8, &few);
    let hold = format!("[accept]\notherwise = \"hold\"\n{}", policy("\"org_a\""));
    hosts.rewrite(1, &hold);
    let daemons = hosts.serve_all();
    let query = hosts.start(0, COUNT, &["--timeout", "60"]);
    daemons[1].says("waits for approval");
    assert!(run(&hosts, 1, &["approve", &waiting(&hosts, 1)]).status.success());
    assert_eq!(answer(&query.wait_with_output().unwrap()), "n\n2\n");
    let stderr = refusal(&hosts.query(0, COUNT, &["--timeout", "3"]), 3);
    assert!(stderr.contains("org_b") && stderr.contains("approved"), "{stderr}");
}

#[test]
fn a_forged_approval_lets_nothing_run() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("", &policy("\"org_a\"")));
    let _daemons = hosts.serve_all();
    refusal(&hosts.query(0, COUNT, &[]), 3);
    let id = waiting(&hosts, 1);
    assert!(run(&hosts, 1, &["deny", &id]).status.success());
    let path = folder(&hosts, 1).join("approvals").join(format!("{id}.json"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("denied"));
    fs::write(&path, text.replace("denied", "approved")).unwrap();
    let output = hosts.query(0, COUNT, &[]);
    assert!(!output.status.success() && output.stdout.is_empty());
    refusal(&run(&hosts, 1, &["inbox"]), 5);
}

#[test]
fn a_budget_is_used_up_by_others_only_and_survives_a_restart() {
    let hosts = Hosts::new(2, 8, &few);
    let budget = "budget = { queries = 2, per = \"day\" }\n";
    let limited = policy("\"org_a\"").replacen("[policy]\n", &format!("[policy]\n{budget}"), 1);
    hosts.rewrite(1, &accepting("\"org_a\"", &limited));
    let mut daemons = hosts.serve_all();
    for _ in 0..2 {
        answer(&hosts.query(0, COUNT, &[]));
    }
    drop(daemons.pop());
    daemons.push(hosts.serve(1));
    let stderr = refusal(&hosts.query(0, COUNT, &[]), 3);
    assert!(stderr.contains("org_b"), "{stderr}");
    answer(&hosts.query(1, COUNT, &[]));
    let refused = log(&hosts, 1);
    let outcome = |entry: &serde_json::Value| entry["outcome"].as_str().unwrap().to_owned();
    assert!(refused.iter().any(|entry| outcome(entry).contains("rule budget")));
}

#[test]
fn a_query_that_fails_on_the_rows_has_used_its_budget_and_the_log_has_no_value() {
    let hosts = Hosts::new(2, 8, &few);
    let budget = "budget = { queries = 2, per = \"day\" }\n";
    let limited = policy("\"org_a\"").replacen("[policy]\n", &format!("[policy]\n{budget}"), 1);
    hosts.rewrite(1, &accepting("\"org_a\"", &limited));
    let _daemons = hosts.serve_all();
    // Whether it fails tells something of a row: as often as others may ask, and no oftener.
    let oracle = "SELECT COUNT(*) AS n FROM org_b.visits WHERE 100 / (diag - 2) > -900";
    for _ in 0..2 {
        let output = hosts.query(0, oracle, &[]);
        assert!(!output.status.success() && output.stdout.is_empty());
    }
    refusal(&hosts.query(0, oracle, &[]), 3);
    let log = log(&hosts, 1);
    let events: Vec<_> = log.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["admitted", "failed", "admitted", "failed", "refused"]);
    assert_eq!(log[1]["outcome"], "party org_b: local computation: division by zero");
}

#[test]
fn a_denial_binds_a_party_whose_queries_run_without_asking() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("", &policy("\"org_a\"")));
    let mut daemons = hosts.serve_all();
    refusal(&hosts.query(0, COUNT, &[]), 3);
    assert!(run(&hosts, 1, &["deny", &waiting(&hosts, 1)]).status.success());
    hosts.rewrite(1, &accepting("\"org_a\"", &policy("\"org_a\"")));
    drop(daemons.pop());
    daemons.push(hosts.serve(1));
    let stderr = refusal(&hosts.query(0, COUNT, &[]), 3);
    assert!(stderr.contains("denied"), "{stderr}");
    answer(&hosts.query(0, &COUNT.replace("= 1", "= 2"), &[]));
}

#[test]
fn a_loop_of_refused_queries_does_not_fill_the_log() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("", &policy("\"org_a\"")));
    let mut daemons = hosts.serve_all();
    let asked: Vec<_> = (0..14).map(|_| hosts.start(0, COUNT, &[])).collect();
    for query in asked {
        refusal(&query.wait_with_output().unwrap(), 3);
    }
    let mut owner = daemons.pop().unwrap();
    owner.signal("-TERM");
    assert!(owner.ends().success());
    let log = log(&hosts, 1);
    assert!(log.iter().all(|entry| entry["event"] == "refused" && entry["asker"] == "org_a"));
    let (last, singly) = log.split_last().unwrap();
    assert_eq!(singly.len(), 10);
    assert!(singly.iter().all(|entry| entry["sql"] == COUNT));
    assert_eq!(last["outcome"], "4 further refusals of party org_a within a minute");
    assert!(run(&hosts, 1, &["audit", "verify"]).status.success());
}

#[test]
fn a_bound_does_not_count_the_rows_of_a_table_with_a_smallest_group() {
    let hosts = Hosts::new(2, 8, &few);
    let small = "min_group = { entity = \"patient\", size = 2 }\n[policy.table.visits.columns]";
    let guarded = policy("\"org_a\"").replacen(
        "[policy.table.visits.columns]",
        &format!("[policy.table.visits]\n{small}"),
        1,
    );
    hosts.rewrite(1, &accepting("\"org_a\"", &guarded));
    let _daemons = hosts.serve_all();
    let count = "SELECT COUNT(*) AS n FROM org_b.visits WHERE diag = 1";
    let stderr = refusal(&hosts.query(0, count, &["--bound", "org_b.visits=1"]), 3);
    assert!(stderr.contains("rule min_group") && stderr.contains("--bound"), "{stderr}");
    answer(&hosts.query(0, "SELECT COUNT(*) AS n FROM org_b.visits", &[]));
    for seconds in ["0", "18446744073709551615"] {
        refusal(&hosts.query(0, count, &["--timeout", seconds]), 2);
    }
}

#[test]
fn every_party_logs_a_query_before_and_after_and_knows_a_log_that_was_changed() {
    let hosts = Hosts::new(2, 8, &few);
    let mut daemons = hosts.serve_all();
    answer(&hosts.query(0, COUNT, &[]));
    answer(&hosts.query(1, GROUPS, &[]));
    let [a, b] = [log(&hosts, 0), log(&hosts, 1)];
    let events = |log: &[serde_json::Value]| {
        log.iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(events(&a), ["asked", "finished", "admitted", "finished"]);
    assert_eq!(events(&b), ["admitted", "finished", "asked", "finished"]);
    for key in ["query", "sql", "digest", "policies", "asker", "participants", "recipients"] {
        assert_eq!(a[0][key], b[0][key], "{key}");
    }
    assert_eq!(b[0]["sizes"]["rows_max org_b"], 1);
    assert!(a[1]["heads"]["org_b"]["seq"].is_number() && b[0]["heads"]["org_a"].is_object());
    let verified = stdout(&run(&hosts, 0, &["audit", "verify", "--peer", "org_b"]));
    assert!(verified.contains("org_b: 4 entries"), "{verified}");
    let csv = stdout(&run(&hosts, 0, &["audit", "export", "--format", "csv"]));
    assert_eq!(csv.lines().filter(|line| line.contains("org_a")).count(), 4);
    for own in ["audit.log", "audit.head"] {
        let path = folder(&hosts, 0).join(own);
        let before = fs::read(&path).unwrap();
        let stderr =
            refusal(&run(&hosts, 0, &["audit", "export", "-o", path.to_str().unwrap()]), 2);
        assert!(stderr.contains("is the log itself") && fs::read(path).unwrap() == before);
    }

    // A log that starts anew is noticed in the next query and by a comparison.
    drop(daemons.pop());
    let [path, head] = ["audit.log", "audit.head"].map(|file| folder(&hosts, 1).join(file));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("COUNT", "count", 1)).unwrap();
    let stderr = refusal(&run(&hosts, 1, &["audit", "verify"]), 5);
    assert!(stderr.contains("entry 1"), "{stderr}");
    refusal(&run(&hosts, 1, &["serve"]), 5);
    fs::remove_file(path).unwrap();
    fs::remove_file(head).unwrap();
    daemons.push(hosts.serve(1));
    let output = hosts.query(0, COUNT, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("org_b has changed its past"), "{stderr}");
    let stderr = refusal(&run(&hosts, 0, &["audit", "verify", "--peer", "org_b"]), 5);
    assert!(stderr.contains("org_b"), "{stderr}");
}

/// Patients and diagnoses: diagnosis d has d + 1 patients, the first half of them at party 0; the
/// first patient of each comes twice.
fn clinics(size: usize) -> Workspace {
    let rows = |party: usize| {
        let mut rows = Vec::new();
        for diag in 0..6usize {
            let patients = (0..=diag).filter(|patient| patient % 2 == party);
            for patient in patients.flat_map(|p| if p < 2 { vec![p, p] } else { vec![p] }) {
                rows.push(vec![patient.to_string(), diag.to_string(), "10".to_owned()]);
            }
        }
        rows
    };
    limited((0..2).map(|party| (party, 24, rows(party))).collect(), size)
}

/// visits(patient, diag, cost) at two parties that show no smaller groups of patients.
fn limited(parts: Vec<(usize, usize, Vec<Vec<String>>)>, size: usize) -> Workspace {
    let columns = vec![
        ("patient", "INT", ""),
        ("diag", "INT", "min = 0, max = 9"),
        ("cost", "INT", "min = 0, max = 99"),
    ];
    let workspace = Workspace::new(2, vec![Table { name: "visits", columns, parts }]);
    for party in 0..2 {
        let file = workspace.path().join(party_name(party)).join("party.toml");
        let smallest = format!(
            "[policy.table.visits]\nmin_group = {{ entity = \"patient\", size = {size} }}\n\
             [policy.table.visits.columns]"
        );
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace("[policy.table.visits.columns]", &smallest)).unwrap();
    }
    workspace
}

#[test]
fn groups_of_too_few_entities_are_left_out_and_counted() {
    let workspace = clinics(4);
    let sql =
        "SELECT diag, COUNT(*) AS n, SUM(cost) AS c, AVG(cost) AS a FROM visits GROUP BY diag";
    for more in [&[][..], &["--no-decompose"]] {
        let output = workspace.query(sql, more);
        let expected = "diag,n,c,a\n3,6,60,10.000000\n4,7,70,10.000000\n5,8,80,10.000000\n";
        assert_eq!(stdout(&output), expected);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("suppressed_groups=3"), "{stderr}");
    }
    // Repeated rows are no entities; a filter leaves fewer; what is left may be asked further.
    let to_a = &["--recipients", "org_a"][..];
    for (sql, more, expected, suppressed) in [
        ("SELECT COUNT(*) AS n FROM visits WHERE diag < 3", &[][..], "n\n", 1),
        ("SELECT COUNT(*) AS n FROM visits", &[], "n\n32\n", 0),
        ("SELECT diag FROM org_b.visits GROUP BY diag HAVING COUNT(*) > 3", to_a, "diag\n", 5),
        ("SELECT COUNT(*) AS n FROM (SELECT DISTINCT diag FROM visits)", &[], "n\n3\n", 3),
        (
            "SELECT diag, COUNT(*) AS n FROM visits GROUP BY diag HAVING SUM(cost) > 60",
            &[],
            "diag,n\n4,7\n5,8\n",
            3,
        ),
    ] {
        let output = workspace.query(sql, more);
        assert_eq!(stdout(&output), expected, "{sql}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(&format!("suppressed_groups={suppressed}")), "{sql}: {stderr}");
    }
    let stderr = refusal(&workspace.query("SELECT cost FROM visits", &[]), 3);
    assert!(stderr.contains("min_group") && stderr.contains("org_"), "{stderr}");
}

#[test]
fn what_is_left_is_what_plain_datafusion_leaves_under_the_same_limit() {
    let mut random = Random::new(7);
    let mut part = |party: usize| {
        // Some diagnoses are common, some rare.
        let mut row = |_| {
            let diag = random.below(8).min(random.below(8));
            [random.below(6), diag, random.below(90)].map(|value| value.to_string()).to_vec()
        };
        (party, 26, (0..26).map(&mut row).collect())
    };
    let workspace = limited(vec![part(0), part(1)], 4);
    let limit = "COUNT(DISTINCT patient) >= 4";
    for (sql, from, by) in [
        ("SELECT diag, COUNT(*) AS n, SUM(cost) AS c, MIN(cost) AS m", "visits", "diag"),
        ("SELECT diag, COUNT(DISTINCT patient) AS n", "visits", "diag"),
        ("SELECT diag + 1 AS d, MAX(cost) AS m", "visits WHERE cost > 20", "diag + 1"),
        ("SELECT diag, COUNT(patient) AS n", "org_b.visits", "diag"),
    ] {
        let text = |having: &str| format!("{sql} FROM {from} GROUP BY {by} {having} ORDER BY 1");
        let expected = workspace.expected(&text(&format!("HAVING {limit}")));
        let groups = workspace.expected(&text("")).len();
        assert!(!expected.is_empty() && expected.len() < groups, "{sql}: nothing to see");
        let more = ["--recipients", "org_a"];
        assert_eq!(workspace.answer(&text(""), &more), expected, "{sql}");
        let output = workspace.query(&text(""), &more);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let counted = format!("suppressed_groups={} ", groups - expected.len());
        assert!(stderr.contains(&counted), "{sql}: {stderr}");
    }
}

#[test]
fn every_way_of_asking_is_judged_and_logged() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.rewrite(1, &accepting("\"org_a\"", STRICT));
    let daemons = hosts.serve_all();
    answer(&hosts.query(0, GROUPS, &[]));
    daemons.iter().for_each(|daemon| daemon.says("session opened ahead and ready"));
    // A session is open already; the user waits, comes back, or sits at a shell.
    let forbidden = "SELECT patient FROM visits";
    let stderr = refusal(&hosts.query(0, forbidden, &[]), 3);
    assert!(stderr.contains("rule never"), "{stderr}");
    let id = answer(&hosts.query(0, forbidden, &["--detach"]));
    let stderr = refusal(&run(&hosts, 0, &["jobs", "attach", id.trim()]), 3);
    assert!(stderr.contains("rule never"), "{stderr}");
    let mut shell = hosts.senate(0, &["shell"]);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let _ = shell.stdin.take().unwrap().write_all(format!("{forbidden};").as_bytes());
    let output = shell.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("rule never") && output.stdout.is_empty(), "{stderr}");
    let refused = log(&hosts, 0);
    let refused = refused.iter().filter(|entry| entry["event"] == "refused");
    assert!(refused.map(|entry| assert_eq!(entry["sql"], forbidden)).count() == 3);
    // The session is still there for what is allowed, and its query is in both logs.
    let id = answer(&hosts.query(0, GROUPS, &["--detach"]));
    answer(&run(&hosts, 0, &["jobs", "attach", id.trim()]));
    for party in 0..2 {
        let log = log(&hosts, party);
        let last = log.last().unwrap();
        assert_eq!((&last["event"], &last["sql"]), (&"finished".into(), &GROUPS.into()));
    }
}
