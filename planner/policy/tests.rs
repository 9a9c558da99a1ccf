//! Each rule has a query that it refuses, and no way of writing a query gets around it.

mod groups;
mod searches;

use super::*;
use crate::catalog::Federation;
use crate::sql::{PlanOptions, plan_under};

const STUDY: &str = r#"
name = "study"
[[party]]
name = "a"
address = "127.0.0.1:1"
[[party]]
name = "b"
address = "127.0.0.1:2"
[[table]]
name = "visits"
columns = [ { name = "patient", type = "INT" }, { name = "diag", type = "INT" }, { name = "cost", type = "INT" },
            { name = "age", type = "INT" }, { name = "ward", type = "INT" }, { name = "secret", type = "INT" },
            { name = "unlisted", type = "INT" }, { name = "fee", type = "INT", nullable = true },
            { name = "vip", type = "BOOLEAN" } ]
held_by = [ { party = "a", capacity = 10 }, { party = "b", capacity = 10 } ]
[[table]]
name = "people"
columns = [ { name = "id", type = "INT", unique = true }, { name = "zip", type = "INT" },
            { name = "w", type = "INT" } ]
held_by = [ { party = "a", capacity = 10 } ]
"#;

const OPEN: &str = r#"
recipients = ["a", "b"]
[table.visits.columns]
patient = ["join_key", "output"]
diag = ["group_by", "filter"]
cost = ["aggregate(sum, avg)"]
age = ["filter"]
ward = ["aggregate(count)"]
secret = ["never"]
[table.people.columns]
id = ["join_key", "output", "filter"]
zip = ["output", "group_by"]
w = ["output", "aggregate", "filter"]
"#;

const STRICT: &str = r#"
recipients = ["a"]
[table.visits]
min_group = { entity = "patient", size = 3 }
[table.visits.columns]
patient = ["join_key"]
diag = ["group_by", "filter"]
cost = ["aggregate(sum)"]
fee = ["aggregate"]
age = ["filter"]
"#;

fn federation() -> Federation {
    Federation::parse(STUDY.as_bytes()).unwrap()
}

fn policy(text: &str, owner: usize) -> Policy {
    let value = toml::from_str(text).unwrap();
    Policy::parse(value, &federation(), PartyId::new(owner).unwrap()).unwrap()
}

/// Party a asks b, and declares OPEN itself.
fn verdict_under(text: &str, sql: &str, recipients: PartySet) -> Verdict {
    let tables = |text: &str| text.split("[table.people").next().unwrap().to_owned();
    let [a, b] = [0, 1].map(|party| PartyId::new(party).unwrap());
    let declared = BTreeMap::from([(a, policy(OPEN, 0)), (b, policy(&tables(text), 1))]);
    let policies = Policies::new(declared, Undeclared::Denied);
    let consent = Consent { policies: &policies, recipients, asker: recipients.leader().unwrap() };
    let query = plan_under(sql, &federation(), &PlanOptions::default(), &consent);
    query.unwrap_or_else(|error| panic!("{sql}: {error}")).verdict
}

/// Subject and rule of what b refuses.
fn refused_under(text: &str, sql: &str) -> Option<(String, &'static str)> {
    let verdict = verdict_under(text, sql, PartySet::first(1));
    let finding = verdict.refused()?;
    assert_eq!(finding.owner, PartyId::new(1).unwrap(), "{sql}");
    Some((finding.subject.clone(), finding.refusal()?.rule))
}

fn refused(sql: &str) -> Option<(String, &'static str)> {
    refused_under(OPEN, sql)
}

#[test]
fn what_the_roles_allow_is_allowed() {
    for sql in [
        "SELECT diag, COUNT(*), SUM(cost), AVG(cost) FROM visits WHERE age > 30 GROUP BY diag",
        "SELECT patient FROM visits WHERE diag = 3 ORDER BY patient LIMIT 5",
        "SELECT DISTINCT diag FROM visits",
        "SELECT COUNT(DISTINCT ward) FROM visits",
        "SELECT COUNT(DISTINCT ward), COUNT(*) FROM visits",
        "SELECT p.zip, COUNT(*) FROM visits v JOIN people p ON v.patient = p.id GROUP BY p.zip",
        "SELECT id FROM people WHERE id IN (SELECT patient FROM visits WHERE age < 9)",
        "SELECT diag, s FROM (SELECT diag, SUM(cost) AS s FROM visits GROUP BY diag) WHERE s > 9",
        "SELECT x.diag FROM (SELECT * FROM visits) x GROUP BY x.diag HAVING COUNT(*) > 1",
        "SELECT COUNT(*) FILTER (WHERE age > 3) FROM visits",
        "SELECT SUM(cost * 2 + COALESCE(cost, 0)) FROM visits",
        "SELECT zip FROM people",
    ] {
        assert_eq!(refused(sql), None, "{sql}");
    }
}

#[test]
fn each_rule_refuses_a_query_naming_column_rule_and_owner() {
    for (sql, column, rule) in [
        ("SELECT secret FROM b.visits", "secret", "never"),
        ("SELECT COUNT(*) FROM b.visits v JOIN people p ON v.diag = p.id", "diag", "join_key"),
        ("SELECT age, COUNT(*) FROM b.visits GROUP BY age", "age", "group_by"),
        ("SELECT COUNT(*) FROM b.visits WHERE cost > 3", "cost", "filter"),
        ("SELECT SUM(age) FROM b.visits", "age", "aggregate"),
        ("SELECT diag FROM b.visits", "diag", "output"),
        ("SELECT unlisted FROM visits", "unlisted", "output"),
    ] {
        assert_eq!(refused(sql), Some((format!("visits.{column}"), rule)), "{sql}");
    }
}

#[test]
fn no_spelling_gets_around_a_rule() {
    for (sql, column, rule) in [
        // Aliases, subqueries, common table expressions.
        ("SELECT s AS diag FROM (SELECT secret AS s FROM b.visits) t", "secret", "never"),
        (
            "WITH t AS (SELECT secret x FROM b.visits) SELECT COUNT(*) FROM t WHERE x > 1",
            "secret",
            "never",
        ),
        (
            "WITH t(diag) AS (SELECT age FROM b.visits) SELECT diag, COUNT(*) FROM t GROUP BY diag",
            "age",
            "group_by",
        ),
        // CASE, arithmetic, casts, functions.
        ("SELECT CASE WHEN secret > 5 THEN 1 ELSE 0 END AS c FROM b.visits", "secret", "never"),
        ("SELECT secret * 2 + patient AS p FROM b.visits", "secret", "never"),
        ("SELECT CAST(patient AS BIGINT) + age AS p FROM b.visits", "age", "output"),
        ("SELECT CAST(age AS BIGINT) FROM b.visits", "age", "output"),
        ("SELECT GREATEST(age, 0) AS g FROM b.visits", "age", "output"),
        (
            "SELECT CASE WHEN age = 1 THEN 1 WHEN age = 2 THEN 2 END AS c FROM b.visits",
            "age",
            "output",
        ),
        ("SELECT SUM(CASE WHEN age > 3 THEN cost ELSE 0 END) FROM b.visits", "age", "aggregate"),
        ("SELECT SUM(CAST(cost AS BIGINT) + age) FROM b.visits", "age", "aggregate"),
        // Choosing rows inside of an aggregate is a filter.
        ("SELECT SUM(CASE WHEN cost > 3 THEN 1 ELSE 0 END) FROM b.visits", "cost", "filter"),
        (
            "SELECT SUM(c) FROM (SELECT CASE cost WHEN 3 THEN 1 ELSE 0 END AS c FROM b.visits)",
            "cost",
            "filter",
        ),
        ("SELECT SUM(cost % 2) FROM b.visits", "cost", "filter"),
        ("SELECT COUNT(NULLIF(ward, 3)) FROM b.visits", "ward", "filter"),
        // A cast that loses something decides something.
        ("SELECT SUM(CAST(CAST(cost - 500 AS BOOLEAN) AS INT)) FROM b.visits", "cost", "filter"),
        ("SELECT SUM(CAST(cost * 0.001 AS BIGINT)) FROM b.visits", "cost", "filter"),
        // Picking rows by their place, or by a constant in a table's clothes.
        (
            "SELECT SUM(cost) FROM (SELECT cost, row_number() OVER () AS rn FROM b.visits) WHERE rn = 3",
            "cost",
            "filter",
        ),
        (
            "SELECT SUM(cost) FROM b.visits v JOIN (VALUES (17)) x(id) ON v.patient = x.id",
            "patient",
            "filter",
        ),
        ("SELECT COUNT(DISTINCT CASE WHEN ward > 3 THEN 1 END) FROM b.visits", "ward", "filter"),
        // Other functions than the listed ones.
        ("SELECT MIN(ward) FROM b.visits", "ward", "aggregate"),
        ("SELECT MAX(cost) FROM b.visits", "cost", "aggregate"),
        ("SELECT diag FROM b.visits GROUP BY diag HAVING MAX(cost) > 4", "cost", "aggregate"),
        ("SELECT diag FROM b.visits GROUP BY diag ORDER BY MIN(cost)", "cost", "aggregate"),
        ("SELECT first_value(cost) FROM b.visits", "cost", "aggregate"),
        ("SELECT MAX(w) FROM (SELECT DISTINCT ward AS w FROM b.visits)", "ward", "aggregate"),
        (
            "SELECT MAX(n) FROM (SELECT ward, COUNT(*) n FROM b.visits GROUP BY ward)",
            "ward",
            "group_by",
        ),
        // Groups in other words.
        ("SELECT DISTINCT age FROM b.visits", "age", "group_by"),
        ("SELECT age FROM b.visits UNION SELECT zip FROM people", "age", "group_by"),
        ("SELECT COUNT(*) FROM (SELECT DISTINCT age FROM b.visits)", "age", "group_by"),
        ("SELECT age / 10 AS decade, COUNT(*) FROM b.visits GROUP BY age / 10", "age", "group_by"),
        // Laundering through a union or a join.
        ("SELECT zip FROM people UNION ALL SELECT age FROM b.visits", "age", "output"),
        ("SELECT v.age FROM people p JOIN b.visits v ON p.id = v.patient", "age", "output"),
        (
            "SELECT x FROM (SELECT p.id, v.age AS x FROM people p JOIN b.visits v ON p.id = v.patient)",
            "age",
            "output",
        ),
        // Joins in other words.
        ("SELECT id FROM people WHERE id IN (SELECT age FROM b.visits)", "age", "join_key"),
        (
            "SELECT id FROM people WHERE EXISTS (SELECT 1 FROM b.visits v WHERE v.age = id)",
            "age",
            "join_key",
        ),
        ("SELECT COUNT(*) FROM people, b.visits v WHERE id = v.age", "age", "join_key"),
        (
            "SELECT COUNT(*) FROM people JOIN b.visits v ON id = v.patient AND zip < v.age",
            "age",
            "join_key",
        ),
        (
            "SELECT COUNT(*) FROM people JOIN b.visits v ON id = v.patient WHERE zip - v.age = 0",
            "age",
            "join_key",
        ),
        // Orders and choices of rows.
        ("SELECT patient FROM b.visits ORDER BY age", "age", "output"),
        (
            "SELECT patient FROM (SELECT patient, cost FROM b.visits ORDER BY cost LIMIT 1)",
            "cost",
            "output",
        ),
        ("SELECT patient, rank() OVER (ORDER BY age) AS r FROM b.visits", "age", "output"),
        ("SELECT SUM(cost) FILTER (WHERE ward = 2) FROM b.visits", "ward", "filter"),
        (
            "SELECT diag, COUNT(*) FROM b.visits GROUP BY diag HAVING SUM(ward) > 3",
            "ward",
            "aggregate",
        ),
        (
            "SELECT patient FROM b.visits WHERE cost > (SELECT AVG(cost) FROM b.visits)",
            "cost",
            "filter",
        ),
    ] {
        assert_eq!(refused(sql), Some((format!("visits.{column}"), rule)), "{sql}");
    }
}

#[test]
fn a_comparison_across_tables_is_a_join_wherever_it_stands() {
    let open = OPEN.replace("age = [\"filter\"]", "age = [\"filter\", \"aggregate\"]");
    let joined = "FROM b.visits v JOIN people p ON v.patient = p.id";
    for sum in ["SUM(CASE WHEN v.age = p.zip THEN 1 ELSE 0 END)", "SUM(GREATEST(v.age, p.zip))"] {
        let verdict = verdict_under(&open, &format!("SELECT {sum} {joined}"), PartySet::first(1));
        let is_refused = verdict.findings.iter().any(|finding| {
            let rule = finding.refusal().map(|refusal| refusal.rule);
            finding.subject == "visits.age" && rule == Some("join_key")
        });
        assert!(is_refused, "{sum}");
    }
}

#[test]
fn rows_of_counted_groups_are_not_chosen_inside_an_aggregate() {
    let refusal = Some(("visits".to_owned(), "min_group"));
    for sql in [
        "SELECT SUM(CASE WHEN age = 93 THEN cost ELSE 0 END) FROM b.visits",
        "SELECT COUNT(*) FILTER (WHERE age = 93) FROM b.visits",
        "SELECT diag, COUNT(fee) FROM b.visits GROUP BY diag",
        "SELECT diag, COUNT(*), SUM(fee + 1) FROM b.visits GROUP BY diag",
        "SELECT SUM(c) FROM (SELECT CASE age WHEN 93 THEN cost ELSE CAST(0 AS INT) END AS c FROM b.visits)",
    ] {
        let open = STRICT.replace("age = [\"filter\"]", "age = [\"filter\", \"aggregate\"]");
        assert_eq!(refused_under(&open, sql), refusal, "{sql}");
    }
    assert_eq!(refused_under(STRICT, "SELECT SUM(cost) FROM b.visits WHERE age = 93"), None);
}

#[test]
fn an_owner_s_own_answer_is_judged_when_another_asks_for_it() {
    let [a, b] = [0, 1].map(|party| PartyId::new(party).unwrap());
    let declared = BTreeMap::from([(b, policy(STRICT, 1))]);
    let policies = Policies::new(declared, Undeclared::Denied);
    let refused = |asker| {
        let consent = Consent { policies: &policies, recipients: PartySet::only(b), asker };
        let sql = "SELECT 1 AS one FROM b.visits WHERE secret > 5 AND patient = 7";
        let query = plan_under(sql, &federation(), &PlanOptions::default(), &consent).unwrap();
        query.verdict.refused().is_some()
    };
    assert!(refused(a) && !refused(b), "that there are rows tells the asker something");
}

#[test]
fn who_is_not_named_learns_nothing_and_an_owner_may_look_at_its_own() {
    let sql = "SELECT diag, COUNT(*) FROM b.visits GROUP BY diag";
    let to_a = verdict_under(STRICT, sql, PartySet::first(1));
    assert_eq!(to_a.refused(), None);
    let b = PartyId::new(1).unwrap();
    assert_eq!(
        verdict_under(STRICT, "SELECT secret FROM b.visits", PartySet::only(b)).refused(),
        None
    );
    let named = STRICT.replace("recipients = [\"a\"]", "recipients = []");
    assert_eq!(refused_under(&named, sql), Some(("the answer".to_owned(), "recipients")));
    let other = STRICT.replace("[table.visits", "[table.people");
    let nothing = other.split("[table.people").next().unwrap();
    assert_eq!(refused_under(nothing, sql), Some(("visits".to_owned(), "table")));
}

#[test]
fn without_a_policy_nothing_is_allowed_except_in_one_process() {
    let sql = "SELECT COUNT(*) FROM b.visits";
    let recipients = PartySet::first(1);
    let judged = |policies: &Policies| {
        let consent = Consent { policies, recipients, asker: recipients.leader().unwrap() };
        plan_under(sql, &federation(), &PlanOptions::default(), &consent).unwrap().verdict
    };
    let denied = judged(&Policies::default());
    assert_eq!(denied.refused().unwrap().refusal().unwrap().rule, "policy");
    assert_eq!(judged(&Policies::in_one_process()).refused(), None);
}

#[test]
fn small_groups_are_suppressed_wherever_the_text_groups() {
    for sql in [
        "SELECT diag, COUNT(*) FROM visits GROUP BY diag",
        "SELECT COUNT(*) FROM b.visits",
        "SELECT DISTINCT diag FROM b.visits",
        "SELECT d, SUM(c) FROM (SELECT diag AS d, cost AS c FROM b.visits WHERE age > 3) GROUP BY d",
        "SELECT MAX(n) FROM (SELECT diag, COUNT(*) AS n FROM b.visits GROUP BY diag)",
        "WITH t AS (SELECT * FROM b.visits) SELECT diag, SUM(cost) FROM t GROUP BY diag ORDER BY diag LIMIT 2",
    ] {
        let federation = federation();
        let b = PartyId::new(1).unwrap();
        let mut declared = BTreeMap::from([(b, policy(STRICT, 1))]);
        declared.insert(PartyId::new(0).unwrap(), policy(OPEN, 0));
        let policies = Policies::new(declared, Undeclared::Denied);
        let recipients = PartySet::first(1);
        let consent =
            Consent { policies: &policies, recipients, asker: recipients.leader().unwrap() };
        let query = plan_under(sql, &federation, &PlanOptions::default(), &consent).unwrap();
        assert_eq!(query.verdict.refused(), None, "{sql}");
        assert!(query.root.to_string().contains("suppress unless"), "{sql}\n{}", query.root);
        assert_eq!(query.smallest_groups[0].rule.size, 3);
    }
}

#[test]
fn rows_of_a_table_with_a_smallest_group_are_never_looked_at_one_by_one() {
    let open = STRICT.replace("[\"join_key\"]", "[\"join_key\", \"output\"]");
    for sql in [
        "SELECT patient FROM b.visits",
        "SELECT id FROM people WHERE id IN (SELECT patient FROM b.visits)",
        "SELECT id FROM people JOIN b.visits v ON id = v.patient",
        "SELECT patient FROM b.visits UNION ALL SELECT id FROM people",
    ] {
        let (subject, rule) = refused_under(&open, sql).unwrap_or_default();
        assert_eq!((subject.as_str(), rule), ("visits", "min_group"), "{sql}");
    }
}

#[test]
fn the_strictest_holder_of_a_table_decides_about_its_groups() {
    let size = |holder: usize, size: u32| {
        let text = STRICT.replace("size = 3", &format!("size = {size}"));
        (PartyId::new(holder).unwrap(), policy(&text, holder))
    };
    let policies = Policies::new([size(0, 2), size(1, 5)].into(), Undeclared::Denied);
    let recipients = PartySet::first(2);
    let consent = Consent { policies: &policies, recipients, asker: recipients.leader().unwrap() };
    let smallest = |sql: &str| {
        let query = plan_under(sql, &federation(), &PlanOptions::default(), &consent).unwrap();
        query.smallest_groups.iter().map(|group| group.rule.size).collect::<Vec<_>>()
    };
    assert_eq!(smallest("SELECT diag, COUNT(*) FROM visits GROUP BY diag"), [5]);
    assert_eq!(smallest("SELECT diag, COUNT(*) FROM a.visits GROUP BY diag"), [2]);
}

#[test]
fn a_policy_about_what_is_not_there_is_refused() {
    for text in [
        "recipients = [\"c\"]",
        "recipients = []\n[table.nowhere]",
        "recipients = []\n[table.visits.columns]\nnothing = [\"filter\"]",
        "recipients = []\n[table.visits]\nmin_group = { entity = \"nothing\", size = 3 }",
        "recipients = []\n[table.visits]\nmin_group = { entity = \"patient\", size = 1 }",
        "recipients = []\nbudget = { queries = 0, per = \"day\" }",
        "recipients = []\nbudget = { queries = 1, per = \"year\" }",
        "recipients = []\nallow = \"everything\"",
    ] {
        let value = toml::from_str(text).unwrap();
        assert!(Policy::parse(value, &federation(), PartyId::new(0).unwrap()).is_err(), "{text}");
    }
    let people = toml::from_str("recipients = []\n[table.people]").unwrap();
    assert!(Policy::parse(people, &federation(), PartyId::new(1).unwrap()).is_err());
}

#[test]
fn the_digest_follows_every_rule() {
    let digests: BTreeSet<_> = [OPEN, STRICT, &STRICT.replace("size = 3", "size = 4")]
        .map(|t| policy(t, 0).digest())
        .into();
    assert_eq!(digests.len(), 3);
    let one = policy(OPEN, 0);
    let again: Policy = serde_json::from_str(&one.canonical()).unwrap();
    assert_eq!(again, one);
}
