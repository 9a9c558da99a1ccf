use super::*;
use tempfile::TempDir;

const FEDERATION: &str = "name = \"pair\"\n[[party]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n\
                          [[party]]\nname = \"b\"\naddress = \"127.0.0.1:2\"\n";

fn desk() -> (TempDir, Workspace, Approvals, Identity) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("federation.toml"), FEDERATION).unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    let approvals = Approvals::of(folder.path());
    let (identity, _) = Identity::generate("a").unwrap();
    (folder, workspace, approvals, identity)
}

fn request(sql: &str) -> Request {
    Request {
        sql: sql.to_owned(),
        asker: "b".to_owned(),
        recipients: vec!["b".to_owned()],
        bounds: Vec::new(),
        stages: Stages::Decomposed,
        backend: crate::request::BackendChoice::Auto,
        timeout_s: 9,
        snapshot: crate::snapshot::Snapshot::default(),
    }
}

fn approval(matter: Matter) -> Decision {
    Decision { matter, ruling: Ruling::Approved, until: None, times: None, made: now() }
}

#[test]
fn a_decision_is_about_its_query_asker_recipients_and_federation() {
    let (_folder, workspace, approvals, identity) = desk();
    let exact = |request: &Request| Matter::of(request, Scope::Query, &workspace).unwrap();
    let one = request("SELECT COUNT(*) FROM t WHERE x = 3");
    approvals.decide(&identity, approval(exact(&one))).unwrap();
    let own = identity.fingerprint();
    let decided = |request: &Request| approvals.decided(&exact(request), own).unwrap().is_some();
    assert!(decided(&one) && decided(&request("select count(*) from t where x=3")));
    assert!(!decided(&request("SELECT COUNT(*) FROM t WHERE x = 4")));
    assert!(!decided(&Request { asker: "c".to_owned(), ..one.clone() }));
    assert!(!decided(&Request { recipients: vec!["a".to_owned()], ..one.clone() }));
    assert!(!decided(&Request { bounds: vec!["a.t=3".to_owned()], ..one.clone() }));
    assert!(decided(&Request { timeout_s: 10, ..one }));
}

#[test]
fn a_template_covers_other_constants_and_nothing_else() {
    let (_folder, workspace, approvals, identity) = desk();
    let general = |sql: &str| Matter::of(&request(sql), Scope::Template, &workspace).unwrap();
    let matter = general("SELECT COUNT(*) FROM t WHERE x = 3");
    approvals.decide(&identity, approval(matter)).unwrap();
    let own = identity.fingerprint();
    let decided = |sql: &str| approvals.decided(&general(sql), own).unwrap().is_some();
    assert!(decided("SELECT COUNT(*) FROM t WHERE x = 17"));
    assert!(!decided("SELECT COUNT(*) FROM t WHERE x > 3"));
    assert!(!decided("SELECT COUNT(*) FROM t WHERE x = 3 OR TRUE"));
}

#[test]
fn a_decision_that_is_over_no_longer_counts() {
    let (_folder, workspace, approvals, identity) = desk();
    let matter = Matter::of(&request("SELECT 1"), Scope::Query, &workspace).unwrap();
    let decision = Decision { until: Some(now() - 1), ..approval(matter.clone()) };
    approvals.decide(&identity, decision.clone()).unwrap();
    assert_eq!(approvals.decided(&matter, identity.fingerprint()).unwrap(), None);
    assert_eq!(approvals.all(identity.fingerprint()).unwrap().len(), 1);
}

#[test]
fn a_decision_that_is_made_again_within_a_second_counts_anew() {
    let (_folder, workspace, approvals, identity) = desk();
    let matter = Matter::of(&request("SELECT 1"), Scope::Query, &workspace).unwrap();
    let uses = [(); 3].map(|()| {
        let id = approvals.decide(&identity, approval(matter.clone())).unwrap();
        approvals.decided(&matter, identity.fingerprint()).unwrap().unwrap().use_of(&id)
    });
    assert!(uses[0] != uses[1] && uses[1] != uses[2] && uses[0] != uses[2], "{uses:?}");
}

#[test]
fn a_decision_that_was_changed_moved_or_signed_by_somebody_else_is_an_error() {
    let (_folder, workspace, approvals, identity) = desk();
    let matter = Matter::of(&request("SELECT 1"), Scope::Query, &workspace).unwrap();
    let denied = Decision { ruling: Ruling::Denied, ..approval(matter.clone()) };
    let id = approvals.decide(&identity, denied.clone()).unwrap();
    let own = identity.fingerprint();
    let path = approvals.path(&id);
    let text = std::fs::read_to_string(&path).unwrap();
    let code = || approvals.decided(&matter, own).unwrap_err().cause.exit_code();
    std::fs::write(&path, text.replace("denied", "approved")).unwrap();
    assert_eq!(code(), 5);
    let other = Matter::of(&request("SELECT 2"), Scope::Query, &workspace).unwrap();
    let other = approvals.decide(&identity, approval(other)).unwrap();
    std::fs::copy(approvals.path(&other), &path).unwrap();
    assert_eq!(code(), 5);
    let (stranger, _) = Identity::generate("a").unwrap();
    approvals.decide(&stranger, approval(matter.clone())).unwrap();
    assert_eq!(code(), 5);
}

#[test]
fn queries_wait_until_they_are_settled() {
    let (_folder, workspace, approvals, _) = desk();
    let asked = request("SELECT 1");
    let id = Matter::of(&asked, Scope::Query, &workspace).unwrap().id();
    approvals.wait(&id, &asked).unwrap();
    approvals.wait(&id, &asked).unwrap();
    let waiting = approvals.waiting().unwrap();
    assert_eq!((waiting.len(), &waiting[0].0, &waiting[0].1.request), (1, &id, &asked));
    approvals.settle(&id);
    assert!(approvals.waiting().unwrap().is_empty());
}

#[test]
fn nobody_fills_another_s_inbox() {
    let (_folder, _workspace, approvals, _identity) = desk();
    let from = |asker: &str| Request { asker: asker.to_owned(), ..request("SELECT 1") };
    for at in 0..WAITING_OF_ONE_MAX {
        approvals.wait(&format!("b{at}"), &from("b")).unwrap();
    }
    assert_eq!(approvals.wait("more", &from("b")).unwrap_err().cause.exit_code(), 3);
    approvals.wait("b0", &from("b")).unwrap();
    approvals.wait("c0", &from("c")).unwrap();
    let long = request(&format!("SELECT {}", "1 + ".repeat(WAITING_BYTES_MAX)));
    assert_eq!(
        approvals
            .wait("long", &Request { asker: "d".to_owned(), ..long })
            .unwrap_err()
            .cause
            .exit_code(),
        3
    );
}
