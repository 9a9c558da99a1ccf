//! What a query's traffic shows depends on public sizes only.

use crate::support::{Random, Table, Workspace};
use serde_json::Value;

/// Three parties with room for eight rows each, of which `rows(party)` are used.
fn clinics(seed: u64, rows: fn(usize) -> u64) -> Workspace {
    let mut random = Random::new(seed);
    let mut part = |party: usize| {
        let row = |random: &mut Random| {
            vec![random.between(0, 60).to_string(), random.between(0, 3).to_string()]
        };
        (party, 8, (0..rows(party)).map(|_| row(&mut random)).collect::<Vec<_>>())
    };
    let parts = (0..3).map(&mut part).collect();
    let columns = vec![("age", "INT", "min = 0, max = 127"), ("ward", "INT", "min = 0, max = 3")];
    Workspace::new(3, vec![Table { name: "stays", columns, parts }])
}

/// Bytes by party and by stage, gates, and the digest of the plan.
fn traffic(workspace: &Workspace, sql: &str) -> [Value; 3] {
    let file = workspace.path().join("stats.json");
    workspace.answer(sql, &["--stats", file.to_str().unwrap()]);
    let stats: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let stages =
        stats["stages"].as_array().unwrap().iter().map(|stage| stage["bytes_sent"].clone());
    [stats["bytes_sent"].clone(), Value::Array(stages.collect()), stats["plan_digest"].clone()]
}

#[test]
fn traffic_is_the_same_whatever_the_rows_are() {
    for sql in [
        "SELECT ward, COUNT(*), MAX(age) FROM stays WHERE age > 30 GROUP BY ward",
        "SELECT age, ward FROM stays ORDER BY age DESC, ward LIMIT 3",
    ] {
        let full = traffic(&clinics(1, |_| 8), sql);
        assert!(full[0].as_object().unwrap().values().all(|bytes| bytes.as_u64() > Some(0)));
        assert_eq!(full, traffic(&clinics(2, |_| 8), sql), "other rows");
        assert_eq!(full, traffic(&clinics(3, |party| [0, 3, 1][party]), sql), "fewer rows");
    }
}
