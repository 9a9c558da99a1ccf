//! No aggregate of a table with a smallest group shows fewer entities than its groups have.

use super::*;
use crate::sql::{JointQuery, PlanError};

const CLINIC: &str = r#"
recipients = ["a"]
[table.visits]
min_group = { entity = "patient", size = 5 }
[table.visits.columns]
patient = ["join_key"]
diag = ["group_by", "filter"]
cost = ["aggregate"]
age = ["filter", "aggregate"]
ward = ["aggregate", "filter"]
vip = ["aggregate", "filter"]
fee = ["aggregate", "filter"]
"#;

/// The asker's own rows beside those of the clinic.
const JOINED: &str = "b.visits v JOIN people p ON v.patient = p.id";

fn judged(sql: &str) -> Verdict {
    under_clinic(sql).verdict
}

/// Over the study with few values, and each patient once.
fn under_clinic(sql: &str) -> JointQuery {
    planned(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn planned(sql: &str) -> Result<JointQuery, PlanError> {
    let few = |text: &str, column: &str, more: &str| {
        let name = format!("name = \"{column}\", type = \"INT\"");
        text.replace(&name, &format!("{name}, {more}"))
    };
    let study = few(STUDY, "patient", "unique = true");
    let study = few(&few(&study, "ward", "min = 0, max = 9"), "w", "min = 0, max = 9");
    let federation = Federation::parse(study.as_bytes()).unwrap();
    let [a, b] = [0, 1].map(|party| PartyId::new(party).unwrap());
    let declared = BTreeMap::from([(a, policy(OPEN, 0)), (b, policy(CLINIC, 1))]);
    let policies = Policies::new(declared, Undeclared::Denied);
    let consent = Consent { policies: &policies, recipients: PartySet::only(a), asker: a };
    plan_under(sql, &federation, &PlanOptions::default(), &consent)
}

fn assert_refused(sql: &str) {
    let verdict = judged(sql);
    let by_size = verdict.findings.iter().any(|finding| {
        let rule = finding.refusal().map(|refusal| refusal.rule);
        finding.subject == "visits" && rule == Some("min_group")
    });
    assert!(by_size, "{sql}: {:?}", verdict.refused());
}

fn assert_allowed(sql: &str) {
    assert_eq!(judged(sql).refused(), None, "{sql}");
}

#[test]
fn one_branch_of_a_union_brings_no_entities_for_another() {
    for sql in [
        "SELECT SUM(cost) AS s FROM (SELECT cost FROM b.visits WHERE age = 35 \
         UNION ALL SELECT 0 AS cost FROM b.visits) x",
        "SELECT diag, SUM(cost) AS s, COUNT(*) AS n FROM (SELECT diag, cost FROM b.visits \
         WHERE age = 35 UNION ALL SELECT diag, 0 FROM b.visits) x GROUP BY diag",
        "SELECT COUNT(*) - 12 AS n FROM (SELECT 1 AS one FROM b.visits WHERE age = 35 \
         UNION ALL SELECT 1 FROM b.visits) x",
        "WITH one AS (SELECT cost FROM b.visits WHERE age = 35), \
         more AS (SELECT 0 AS cost FROM b.visits), \
         both AS (SELECT * FROM one UNION ALL SELECT * FROM more) SELECT SUM(cost) AS s FROM both",
        "SELECT SUM(cost) AS s FROM (SELECT cost FROM b.visits WHERE age = 35 UNION ALL \
         (SELECT 0 FROM people UNION ALL SELECT 0 AS cost FROM b.visits)) x",
        "SELECT SUM(cost) AS s FROM (SELECT cost FROM b.visits WHERE age = 35 UNION ALL \
         SELECT id FROM people) x",
        "SELECT diag FROM b.visits UNION SELECT zip FROM people",
        "SELECT diag AS d FROM b.visits UNION SELECT diag FROM b.visits WHERE age = 35",
    ] {
        assert_refused(sql);
    }
    for sql in [
        "SELECT SUM(cost) AS s FROM b.visits WHERE age = 35 UNION ALL SELECT SUM(cost) FROM b.visits",
        "SELECT diag FROM b.visits GROUP BY diag UNION SELECT zip FROM people",
        "SELECT p.zip, COUNT(*) AS n FROM b.visits v JOIN people p ON v.patient = p.id GROUP BY p.zip",
    ] {
        assert_allowed(sql);
    }
}

#[test]
fn no_function_of_several_columns_chooses_among_the_rows_of_a_group() {
    for value in [
        "v.cost * p.w",
        "v.cost * (1 - p.w)",
        "v.cost * CAST(v.vip AS INT)",
        "CAST(v.vip AS INT)",
        "v.cost * v.ward * (v.ward - 1) * (v.ward - 2)",
        "ABS(v.cost - 500)",
        "GREATEST(v.cost, 900)",
        "LEAST(v.cost, p.w)",
        "COALESCE(v.fee, 0)",
        "COALESCE(v.fee, v.cost)",
        "NVL(v.fee, 0)",
        "CAST(v.fee IS NULL AS INT)",
        "CAST(v.fee IS NOT NULL AS INT) * 3",
        "CASE WHEN v.fee IS NULL THEN 0 ELSE v.cost END",
        "CASE WHEN v.fee IS NOT NULL THEN v.cost ELSE 0 END",
        "CASE WHEN v.vip THEN v.cost ELSE 0 END",
        "CASE WHEN p.w = 1 THEN v.cost ELSE 0 END",
    ] {
        assert_refused(&format!("SELECT SUM({value}) AS s FROM {JOINED}"));
        assert_refused(&format!("SELECT v.diag, AVG({value}) AS s FROM {JOINED} GROUP BY v.diag"));
        assert_refused(&format!("SELECT SUM(x) AS s FROM (SELECT {value} AS x FROM {JOINED}) t"));
        assert_refused(&format!(
            "WITH t AS (SELECT v.diag, {value} AS x FROM {JOINED}) \
             SELECT diag FROM t GROUP BY diag HAVING SUM(x) > 9"
        ));
    }
    // Operations that only an owner computes, on rows of its own.
    for value in [
        "cost / (1 + ward)",
        "cost % (1 + ward)",
        "cost / 1000",
        "NULLIF(cost, 907)",
        "CAST(POWER(ward, 4) AS BIGINT)",
    ] {
        assert_refused(&format!("SELECT diag, SUM({value}) AS s FROM b.visits GROUP BY diag"));
    }
    for value in [
        "v.cost",
        "v.cost * 2 - 1",
        "-3 * v.cost",
        "CAST(v.cost AS BIGINT) + v.ward",
        "COALESCE(v.cost, 0)",
    ] {
        assert_allowed(&format!("SELECT SUM({value}) AS s FROM {JOINED} WHERE p.w = 1"));
        assert_allowed(&format!("SELECT p.zip, SUM({value}) AS s FROM {JOINED} GROUP BY p.zip"));
    }
    assert_allowed("SELECT diag, SUM(cost) * COUNT(*) AS s FROM b.visits GROUP BY diag");
    assert_allowed(
        "SELECT SUM(s * n) AS t FROM (SELECT diag, SUM(cost) AS s, COUNT(*) AS n FROM b.visits GROUP BY diag) x",
    );
}

#[test]
fn what_groups_have_made_chooses_no_rows_either() {
    let own = |made: &str| format!("b.visits v JOIN ({made}) p ON v.patient = p.id");
    let grouped = own("SELECT id, MAX(w) AS w FROM people GROUP BY id");
    for value in ["v.cost * p.w", "CASE WHEN p.w = 1 THEN v.cost ELSE 0 END", "v.cost + p.w", "p.w"]
    {
        assert_refused(&format!("SELECT SUM({value}) AS s FROM {grouped}"));
    }
    let distinct = own("SELECT DISTINCT id FROM people");
    for value in ["CASE WHEN p.id = 5 THEN v.cost ELSE 0 END", "v.cost * p.id"] {
        assert_refused(&format!("SELECT SUM({value}) AS s FROM {distinct}"));
    }
    let listed = format!("{JOINED} JOIN (VALUES (5, 1), (6, 0)) x(id, w) ON p.id = x.id");
    assert_refused(&format!("SELECT SUM(v.cost * x.w) AS s FROM {listed}"));
    assert_refused(&format!("SELECT SUM(x.w) AS s FROM {listed}"));
    assert_refused("SELECT COUNT(DISTINCT CASE WHEN age = 35 THEN ward END) AS n FROM b.visits");
}

#[test]
fn who_learns_a_sum_of_its_own_values_does_not_learn_whose_rows_they_stand_beside() {
    for value in ["SUM(p.w)", "MAX(p.w)", "AVG(p.w + 1)", "SUM(v.cost + p.w)", "MIN(p.id)"] {
        assert_refused(&format!("SELECT v.diag, {value} AS s FROM {JOINED} GROUP BY v.diag"));
    }
    for value in ["COUNT(*)", "SUM(v.cost)", "COUNT(p.w)"] {
        assert_allowed(&format!("SELECT v.diag, {value} AS s FROM {JOINED} GROUP BY v.diag"));
    }
    assert_allowed("SELECT zip, SUM(w) AS s FROM people GROUP BY zip");
}

#[test]
fn no_join_gives_single_rows_more_weight() {
    for from in [
        "b.visits v JOIN (SELECT id FROM people UNION ALL SELECT id FROM people WHERE id = 5) p \
         ON v.patient = p.id",
        "b.visits v JOIN people p ON v.patient = p.w",
        "b.visits v JOIN (SELECT id, zip FROM people GROUP BY id, zip UNION ALL \
         SELECT id, zip FROM people) p ON v.patient = p.id",
    ] {
        assert_refused(&format!("SELECT SUM(v.cost) AS s FROM {from}"));
        assert_refused(&format!("SELECT v.diag, COUNT(*) AS n FROM {from} GROUP BY v.diag"));
    }
    for from in [
        "b.visits v JOIN people p ON v.patient = p.id AND p.w > 3",
        "people p JOIN b.visits v ON v.patient = p.id JOIN people q ON p.id = q.id",
        "b.visits v JOIN (SELECT DISTINCT w FROM people) p ON v.patient = p.w",
        "b.visits v JOIN (SELECT w, COUNT(*) AS n FROM people GROUP BY w) p ON v.patient = p.w",
        "b.visits v JOIN (SELECT p.id FROM people p JOIN people q ON p.w = q.id) x \
         ON v.patient = x.id",
    ] {
        assert_allowed(&format!("SELECT SUM(v.cost) AS s FROM {from}"));
        assert_allowed(&format!("SELECT v.diag, COUNT(*) AS n FROM {from} GROUP BY v.diag"));
    }
}

#[test]
fn nothing_fails_for_the_rows_of_a_group_that_is_left_out() {
    for sql in [
        "SELECT SUM(ward + 9223372036854775300) AS s FROM b.visits WHERE age = 35",
        "SELECT SUM(cost) AS s FROM b.visits WHERE age + 9223372036854775300 > 0",
        "SELECT SUM(cost) AS s FROM b.visits WHERE 1 / (ward - 3) > 0",
        "SELECT SUM(CAST(ward AS SMALLINT)) AS s FROM b.visits WHERE age = 35",
        "SELECT SUM(ward) AS s, SUM(DISTINCT ward) AS d FROM b.visits",
    ] {
        assert_refused(sql);
    }
    assert_allowed("SELECT SUM(ward + 1) AS s FROM b.visits WHERE age * 2 > 70");
}

/// The one row of an aggregate is a group like another: beside other rows it stands only if it is
/// large enough.
#[test]
fn a_scalar_subquery_over_a_guarded_table_is_suppressed_like_a_group() {
    let suppressed =
        |sql: &str| format!("{:?}", under_clinic(sql).root).matches("Suppress").count();
    for (sql, times) in [
        ("SELECT id FROM people WHERE w > (SELECT SUM(cost) FROM b.visits WHERE age = 35)", 1),
        (
            "SELECT id FROM people, (SELECT COUNT(*) n FROM b.visits WHERE age = 35) x WHERE w > x.n",
            1,
        ),
        (
            "SELECT diag, SUM(cost) AS s FROM b.visits WHERE age > (SELECT AVG(age) FROM b.visits) \
             GROUP BY diag",
            2,
        ),
        (
            "SELECT diag, SUM(cost) AS s FROM b.visits WHERE age < (SELECT MAX(w) FROM people) \
             GROUP BY diag",
            1,
        ),
    ] {
        assert_allowed(sql);
        assert_eq!(suppressed(sql), times, "{sql}");
    }
    for sql in [
        "SELECT patient FROM b.visits WHERE age > (SELECT MAX(w) FROM people)",
        "SELECT id FROM people WHERE w > (SELECT cost FROM b.visits WHERE age = 35 LIMIT 1)",
        "SELECT id FROM people WHERE w > (SELECT SUM(secret) FROM b.visits)",
    ] {
        assert!(judged(sql).refused().is_some(), "{sql}");
    }
}

/// Rows without a partner would be counted with those that have one.
#[test]
fn no_outer_or_anti_join_meets_a_table_with_a_smallest_group() {
    for sql in [
        "SELECT p.zip, COUNT(v.cost) AS n FROM people p LEFT JOIN b.visits v ON v.patient = p.id \
         GROUP BY p.zip",
        "SELECT v.diag, COUNT(*) AS n FROM b.visits v LEFT JOIN people p ON v.patient = p.id \
         GROUP BY v.diag",
        "SELECT v.diag, COUNT(*) AS n FROM b.visits v WHERE NOT EXISTS (SELECT 1 FROM people p \
         WHERE v.patient = p.id) GROUP BY v.diag",
    ] {
        let error = planned(sql).unwrap_err().to_string();
        assert!(error.contains("a table with a smallest group"), "{sql}: {error}");
    }
}

/// Two questions for each side of each join would be a million.
#[test]
fn whether_rows_repeat_is_judged_in_time_however_many_relations_of_one_row_there_are() {
    let ones: String =
        (0..60).map(|n| format!(", (SELECT MAX(w) AS m FROM people) o{n}")).collect();
    let keyed: String =
        (0..40).map(|n| format!(" JOIN people p{n} ON v.patient = p{n}.id")).collect();
    let start = std::time::Instant::now();
    let judging = move || {
        let sql = |from: &str| {
            format!("SELECT v.diag, COUNT(*) AS n FROM b.visits v{from} GROUP BY v.diag")
        };
        assert_allowed(&sql(&ones));
        assert_allowed(&sql(&keyed));
    };
    let thread = std::thread::Builder::new().stack_size(crate::sql::STACK_BYTES).spawn(judging);
    thread.unwrap().join().unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
}
