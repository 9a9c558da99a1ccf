use crate::catalog::Federation;
use crate::sql::{JointQuery, PlanError, PlanOptions, plan};

const CLINICS: &str = r#"
name = "clinics"
[[party]]
name = "a"
address = "127.0.0.1:1"
[[party]]
name = "b"
address = "127.0.0.1:2"
[[party]]
name = "c"
address = "127.0.0.1:3"
[[table]]
name = "visits"
columns = [ { name = "patient", type = "INT" },
            { name = "diag", type = "SMALLINT", min = 0, max = 9 },
            { name = "cost", type = "DECIMAL(7,2)", min = 0, max = "999.99" },
            { name = "day", type = "DATE" },
            { name = "ward", type = "VARCHAR(4)" },
            { name = "acute", type = "BOOLEAN" },
            { name = "big", type = "BIGINT" },
            { name = "note", type = "VARCHAR(8)", nullable = true } ]
held_by = [ { party = "a", capacity = 100 }, { party = "b", capacity = 50 } ]
[[table]]
name = "people"
columns = [ { name = "id", type = "INT", unique = true }, { name = "age", type = "SMALLINT", min = 0, max = 120 } ]
held_by = [ { party = "a", capacity = 10 }, { party = "b", capacity = 20 }, { party = "c", capacity = 30 } ]
[[table]]
name = "insured"
columns = [ { name = "id", type = "INT", unique = true }, { name = "plan", type = "SMALLINT" } ]
held_by = [ { party = "c", capacity = 40 } ]
"#;

/// Queries (`==`) and their joint trees.
const GOLDEN: &str = include_str!("golden.txt");

fn planned(sql: &str, options: &PlanOptions) -> Result<JointQuery, PlanError> {
    plan(sql, &Federation::parse(CLINICS.as_bytes()).unwrap(), options)
}

fn joint(sql: &str) -> JointQuery {
    planned(sql, &PlanOptions::default()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[test]
fn queries_split_as_recorded() {
    let mut now = String::new();
    for sql in GOLDEN.lines().filter_map(|line| line.strip_prefix("== ")) {
        now += &format!("== {sql}\n{}", joint(sql).root);
    }
    for (now, recorded) in now.lines().zip(GOLDEN.lines()) {
        assert_eq!(now, recorded);
    }
    assert_eq!(now, GOLDEN);
}

#[test]
fn every_leaf_is_its_local_task() {
    let query = joint("SELECT ward, count(*) FROM visits WHERE acute GROUP BY ward");
    let parties: Vec<String> = query.locals.iter().map(|task| task.party.to_string()).collect();
    assert_eq!(parties, ["P1", "P2"]);
    assert_eq!(
        query.locals[1].display,
        "Aggregate: groupBy=[[visits.ward]], aggr=[[count(Int64(1))]]\n  \
         Projection: visits.ward\n    Filter: visits.acute\n      SubqueryAlias: visits\n        \
         TableScan: b.visits projection=[ward, acute]"
    );
    assert_eq!(query.output[1].name, "count(*)");
    assert_eq!(query.output[1].arrow, arrow_schema::DataType::Int64);
    assert!(!query.ordered);
}

#[test]
fn a_bound_lowers_what_an_owner_may_bring() {
    let federation = Federation::parse(CLINICS.as_bytes()).unwrap();
    let mut options = PlanOptions::default();
    options.bound("a.visits=7", &federation).unwrap();
    let query = planned("SELECT patient, count(*) FROM visits GROUP BY patient", &options).unwrap();
    let capacities: Vec<u32> = query.locals.iter().map(|task| task.schema.capacity).collect();
    assert_eq!(capacities, [7, 50]);
    for wrong in
        ["a.visits", "x.visits=1", "c.visits=1", "a.visits=0", "a.visits=101", "a.visits=z"]
    {
        assert!(options.bound(wrong, &federation).is_err(), "{wrong}");
    }
}

#[test]
fn ties_are_broken_by_the_output_columns_before_limit() {
    let query = joint("SELECT cost, patient FROM visits ORDER BY day DESC LIMIT 2");
    assert!(query.ordered);
    assert!(query.locals[0].display.starts_with(
        "Sort: visits.day DESC NULLS FIRST, visits.cost ASC NULLS LAST, \
         visits.patient ASC NULLS LAST, fetch=2"
    ));
}

#[test]
fn the_joint_part_refuses_by_name() {
    let cases = [
        (
            "SELECT v.diag, p.age FROM visits v JOIN people p ON v.patient = p.id",
            "a join on v.patient = p.id whose key is not known to be unique",
        ),
        ("SELECT a.people.id FROM a.people, b.people", "without an equality (cross join)"),
        (
            "SELECT p.id FROM a.people p LEFT JOIN visits v ON v.patient = p.id",
            "in which the key may repeat on the side whose rows may be missing",
        ),
        (
            "SELECT i.id FROM insured i FULL JOIN a.people p ON i.id = p.id",
            "Full JOIN across parties",
        ),
        (
            "SELECT id FROM insured i WHERE EXISTS (SELECT 1 FROM a.people p WHERE p.id = i.id) OR i.id = 3",
            "EXISTS or IN across parties as a part of OR, NOT or CASE",
        ),
        ("SELECT sum(cost) / count(*) FROM visits", "operator / in the joint part"),
        (
            "SELECT count(DISTINCT patient), count(DISTINCT diag) FROM visits",
            "COUNT(DISTINCT …) of several expressions over several parties' rows",
        ),
        ("SELECT median(cost) FROM visits", "aggregate median over several parties' rows"),
        (
            "SELECT replace(ward, 'a', 'bb') AS h FROM visits",
            "column h of a entering the joint part: no public bound on the length of this text",
        ),
        (
            "SELECT sqrt(age) FROM c.people UNION ALL SELECT age FROM a.people",
            "type Float64 has no encoding",
        ),
        (
            "SELECT rank() OVER (ORDER BY patient) FROM visits",
            "window functions over several parties' rows",
        ),
        (
            "SELECT round(s) FROM (SELECT diag, sum(patient) s FROM visits GROUP BY diag)",
            "function round in the joint part",
        ),
        (
            "SELECT CAST(s AS INT) FROM (SELECT diag, sum(cost) s FROM visits GROUP BY diag)",
            "CAST of DECIMAL(17,2) to Int32 in the joint part",
        ),
    ];
    for (sql, message) in cases {
        let error = planned(sql, &PlanOptions::default()).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains(message)), "{sql}: {error:?}");
    }
}
