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
        "SELECT a.people.id, a.people.age + b.people.age AS s FROM a.people JOIN b.people ON a.people.id = b.people.id JOIN c.people ON a.people.id = c.people.id WHERE greatest(a.people.age, b.people.age, c.people.age) - least(a.people.age, b.people.age, c.people.age) > 20",
        "SELECT i.plan, count(*) FROM visits v JOIN insured i ON v.patient = i.id WHERE v.diag = 4 GROUP BY i.plan",
        "SELECT v.ward, x.age, i.plan FROM a.visits v JOIN a.people x ON v.patient = x.id JOIN c.insured i ON x.id = i.id WHERE v.acute",
        "SELECT p.id FROM c.people p WHERE p.id IN (SELECT patient FROM visits WHERE diag = 1)",
        "SELECT p.id, g.n FROM c.people p JOIN (SELECT patient, count(*) n FROM visits GROUP BY patient) g ON g.patient = p.id ORDER BY g.n DESC, p.id LIMIT 4",
        "SELECT a.people.id, i.plan FROM a.people, b.people, insured i WHERE a.people.id = b.people.id AND b.people.age = i.plan AND i.id = a.people.age + 1",
    ] {
        let q = joint(sql);
        println!("== {sql}\n{}", q.root);
        for l in &q.locals {
            println!("-- {} {} rows: {}\n{}", l.party, l.schema.capacity, l.schema, l.display);
        }
        println!("{:?}\n", q.output);
    }
}
