use crate::catalog::Federation;
use crate::sql::{JointQuery, PlanOptions, plan};

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

fn joint(sql: &str) -> JointQuery {
    let federation = Federation::parse(CLINICS.as_bytes()).unwrap();
    plan(sql, &federation, &PlanOptions::default()).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[test]
#[ignore = "prints plans"]
fn print() {
    for sql in [
        "SELECT diag, count(*) FROM visits WHERE acute GROUP BY diag",
        "SELECT diag, count(*) AS n FROM visits WHERE acute AND patient > 5 GROUP BY diag ORDER BY n DESC LIMIT 3",
        "SELECT avg(patient), sum(cost), min(day), count(*), sum(big), avg(cost) FROM visits",
        "SELECT patient, cost * 2 AS c FROM visits WHERE diag = 3 AND acute ORDER BY c DESC LIMIT 5 OFFSET 2",
        "SELECT DISTINCT ward FROM visits",
        "SELECT count(DISTINCT ward) FROM visits",
        "SELECT diag, avg(patient) FROM visits GROUP BY diag HAVING count(*) > 3 AND avg(patient) > 2.5",
        "SELECT upper(ward), count(*) FROM a.visits GROUP BY 1",
        "SELECT patient FROM a.visits UNION ALL SELECT id FROM c.people",
        "SELECT CASE WHEN n > 3 THEN 1 ELSE 0 END AS k, greatest(n, s, 4) AS g FROM (SELECT diag, count(*) n, sum(patient) s FROM visits GROUP BY diag)",
    ] {
        let q = joint(sql);
        println!("== {sql}\n{}", q.root);
        for l in &q.locals {
            println!("-- {} {} rows: {}\n{}", l.party, l.schema.capacity, l.schema, l.display);
        }
        println!("{:?}\n", q.output);
    }
}
