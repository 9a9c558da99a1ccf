//! The role of an aggregate function is for that function of the column, not of what is found by it.

use super::*;

const COLUMNS: &str = r#"
recipients = ["a"]
[table.visits.columns]
patient = ["join_key"]
diag = ["group_by"]
cost = ["aggregate(sum, avg)"]
age = ["aggregate(min)"]
ward = ["aggregate(sum)"]
vip = ["aggregate"]
fee = ["aggregate"]
"#;

#[test]
fn the_least_is_of_the_column_itself() {
    for (sql, column) in [
        ("SELECT MIN(-age) AS m FROM b.visits", "age"),
        ("SELECT MIN(100 - age) AS m FROM b.visits", "age"),
        ("SELECT MIN(age * -1) AS m FROM b.visits", "age"),
        ("SELECT MIN((age - 33) * (age - 33)) AS m FROM b.visits", "age"),
        ("SELECT MIN(ABS(age - 33)) AS m FROM b.visits", "age"),
        ("SELECT MIN(m) AS m FROM (SELECT -age AS m FROM b.visits) x", "age"),
        (
            "SELECT MIN(m) AS m FROM (SELECT age AS m FROM b.visits UNION ALL SELECT -age FROM b.visits) x",
            "age",
        ),
        ("SELECT MIN(v.age + p.w) AS m FROM b.visits v JOIN people p ON v.patient = p.id", "age"),
        ("SELECT MIN(v.age - p.w) AS m FROM b.visits v JOIN people p ON v.patient = p.id", "age"),
        ("SELECT MIN(v.age * p.w) AS m FROM b.visits v JOIN people p ON v.patient = p.id", "age"),
    ] {
        assert_eq!(
            refused_under(COLUMNS, sql),
            Some((format!("visits.{column}"), "filter")),
            "{sql}"
        );
    }
    for sql in [
        "SELECT MIN(age) AS m FROM b.visits",
        "SELECT MIN(age + 1) AS m, MIN(2 + age * 3 - 1) AS n FROM b.visits",
        "SELECT -MIN(age) AS m FROM b.visits",
        "SELECT diag, MIN(CAST(a AS BIGINT)) AS m FROM (SELECT diag, age - 5 AS a FROM b.visits) x GROUP BY diag",
        "SELECT MIN(m) AS m FROM (SELECT age AS m FROM b.visits UNION ALL SELECT zip FROM people) x",
    ] {
        assert_eq!(refused_under(COLUMNS, sql), None, "{sql}");
    }
    let searched = COLUMNS.replace("aggregate(min)\"", "aggregate(min)\", \"filter\"");
    assert_eq!(refused_under(&searched, "SELECT MIN(-age) AS m FROM b.visits"), None);
}

#[test]
fn a_product_and_a_test_for_null_inside_an_aggregate_are_filters() {
    for (value, column) in [
        ("v.cost * p.w", "cost"),
        ("v.cost * v.ward * (v.ward - 1)", "cost"),
        ("v.ward * v.ward", "ward"),
        ("CAST(v.vip AS INT)", "vip"),
        ("COALESCE(v.fee, 0)", "fee"),
        ("CAST(v.fee IS NULL AS INT)", "fee"),
        ("CASE WHEN v.fee IS NULL THEN 0 ELSE v.cost END", "fee"),
    ] {
        let from = "FROM b.visits v JOIN people p ON v.patient = p.id";
        for sql in [
            format!("SELECT SUM({value}) AS s {from}"),
            format!("SELECT v.diag, SUM({value}) AS s {from} GROUP BY v.diag"),
            format!("SELECT SUM(x) AS s FROM (SELECT {value} AS x {from}) t"),
        ] {
            let verdict = verdict_under(COLUMNS, &sql, PartySet::first(1));
            let is_refused = verdict.findings.iter().any(|finding| {
                let rule = finding.refusal().map(|refusal| refusal.rule);
                finding.subject == format!("visits.{column}") && rule == Some("filter")
            });
            assert!(is_refused, "{sql}");
        }
    }
    for value in
        ["v.cost * 3 - v.ward", "-1 * v.cost", "v.fee + 1", "COALESCE(v.cost, 7)", "v.cost * 0.5"]
    {
        let sql =
            format!("SELECT SUM({value}) AS s FROM b.visits v JOIN people p ON v.patient = p.id");
        assert_eq!(refused_under(COLUMNS, &sql), None, "{sql}");
    }
}

/// A key is compared as it is: what is made of parts of it tells them one by one.
#[test]
fn a_key_that_something_was_decided_by_is_a_filter() {
    let joined = |on: &str| format!("SELECT COUNT(*) AS n FROM b.visits v JOIN people p ON {on}");
    for on in [
        "CASE WHEN v.patient BETWEEN 40 AND 50 THEN 1 ELSE 0 END = p.id",
        "v.patient % 10 = p.id",
        "v.patient / 10 = p.id",
        "length(CAST(v.patient AS VARCHAR)) = p.id",
        "CASE WHEN v.patient = 7 THEN v.patient END = p.id",
        "v.patient * v.patient = p.id",
    ] {
        let found = refused_under(COLUMNS, &joined(on));
        assert_eq!(found, Some(("visits.patient".to_owned(), "filter")), "{on}");
    }
    for on in ["v.patient = p.id", "CAST(v.patient AS BIGINT) = p.id", "v.patient + 1 = p.id"] {
        assert_eq!(refused_under(COLUMNS, &joined(on)), None, "{on}");
    }
    let within = "SELECT id FROM people WHERE id IN (SELECT patient / 10 FROM b.visits)";
    let found = refused_under(COLUMNS, within);
    assert_eq!(found, Some(("visits.patient".to_owned(), "filter")));
}

/// What always fails tells which rows come to it.
#[test]
fn a_constant_that_fails_tells_about_what_decides_whether_it_is_computed() {
    for value in [
        "CASE WHEN diag = 1 THEN 1 / 0 ELSE 1 END",
        "CASE WHEN diag = 1 THEN 5 % 0 ELSE 1 END",
        "CASE WHEN diag = 1 AND 1 / 0 > 1 THEN 2 ELSE 1 END",
        "CASE WHEN diag = 1 THEN substr('abc', 1, -1) ELSE 'x' END",
        "substr(CAST(diag AS VARCHAR), 1, -1)",
    ] {
        let sql = format!("SELECT {value} AS d, COUNT(*) AS n FROM b.visits GROUP BY 1");
        let found = refused_under(COLUMNS, &sql);
        assert_eq!(found, Some(("visits.diag".to_owned(), "filter")), "{value}");
    }
    let sql =
        "SELECT substr(CAST(diag AS VARCHAR), 1, 2) AS d, COUNT(*) AS n FROM b.visits GROUP BY 1";
    assert_eq!(refused_under(COLUMNS, sql), None);
}

/// An owner's error tells that one of its rows has a value that leads to it.
#[test]
fn what_fails_for_some_values_is_a_filter() {
    let of = |value: &str| format!("SELECT SUM({value}) AS s FROM b.visits");
    for value in [
        "cost + 9223372036854775300",
        "cost - 9223372036854775800",
        "CAST(2147483600 AS INT) + cost",
        "cost + cost",
        "cost * 9223372036854775807",
        "CAST(cost AS SMALLINT)",
        "100 / cost",
        "100 % (cost - 507)",
        "7 / NULLIF(cost - 507, 0) + cost + 9223372036854775300",
        "CAST(cost AS DECIMAL(4, 2))",
        "CAST(cost AS BIGINT) * cost * cost",
        "-cost",
        // They fit, but their sum over the rows does not.
        "(CAST(cost AS BIGINT) + 1073741166) * 2147483648",
        "(CAST(cost AS DECIMAL(38, 0)) + 4999999542) * CAST('10000000000000000000000000000' AS DECIMAL(29, 0))",
        // More digits on the way than in the result.
        "CAST(cost AS DECIMAL(38, 0)) / 3",
        "CAST(cost AS DECIMAL(38, 0)) % CAST('1.5' AS DECIMAL(2, 1))",
        "1 / CAST(NULLIF(CAST(cost AS DECIMAL(12, 1)), CAST('0.0' AS DECIMAL(2, 1))) AS BIGINT)",
        "ceil(CAST(cost AS DECIMAL(12, 1)))",
    ] {
        let found = refused_under(COLUMNS, &of(value));
        assert_eq!(found, Some(("visits.cost".to_owned(), "filter")), "{value}");
    }
    for value in [
        "cost + 1",
        "cost * 1000 - 5",
        "-1 * cost",
        "CAST(cost AS BIGINT) + ward",
        "CAST(cost AS DECIMAL(38, 0)) + 9223372036854775300",
        "CAST(cost AS DECIMAL(12, 2)) * 3",
    ] {
        assert_eq!(refused_under(COLUMNS, &of(value)), None, "{value}");
    }
    let searched = COLUMNS.replace("aggregate(sum, avg)\"", "aggregate(sum, avg)\", \"filter\"");
    assert_eq!(refused_under(&searched, &of("cost + 9223372036854775300")), None);
    for condition in [
        "substr('abcdef', 1, cost) <> ''",
        "replace(CAST(cost AS VARCHAR), '1', '22') = 'x'",
        "'x' LIKE CAST(cost AS VARCHAR)",
    ] {
        let value = format!("CASE WHEN {condition} THEN 1 ELSE 0 END");
        let found = refused_under(COLUMNS, &of(&value));
        assert_eq!(found, Some(("visits.cost".to_owned(), "filter")), "{condition}");
    }
    let below = "(SELECT (CAST(cost AS BIGINT) + 1073741166) * 2147483648 AS c FROM b.visits) x";
    let found = refused_under(COLUMNS, &format!("SELECT SUM(c) AS s FROM {below}"));
    assert_eq!(found, Some(("visits.cost".to_owned(), "filter")));
    let average = "AVG((CAST(cost AS DECIMAL(38, 0)) + 999492) * CAST('10000000000000000000000000000' AS DECIMAL(38, 0)))";
    let found = refused_under(COLUMNS, &format!("SELECT {average} AS s FROM b.visits"));
    assert_eq!(found, Some(("visits.cost".to_owned(), "filter")));
}
