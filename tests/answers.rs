//! Answers equal plain DataFusion on the union of the tables, on workspaces the planner never saw.

mod aggregates;
mod clear;
mod joins;
mod shapes;
mod types;

use crate::support::{Random, Table, Workspace};
use serde_json::Value;

/// Orders and customers with skew, empty partitions, capacities above the data, duplicates.
fn shops(parties: usize, seed: u64) -> Workspace {
    let mut random = Random::new(seed);
    let cities = ["Oslo", "Rome", "Lima", "Bern", "a", ""];
    let sales = |random: &mut Random, count: u64| -> Vec<Vec<String>> {
        (0..count)
            .map(|_| {
                vec![
                    random.between(-3, 9).to_string(),
                    cities[random.below(6) as usize].to_owned(),
                    format!("{}.{:02}", random.between(0, 99), random.below(100)),
                    (random.below(3) == 0).to_string(),
                    format!("2024-0{}-1{}", 1 + random.below(9), random.below(10)),
                    random.between(-5_000_000_000, 5_000_000_000).to_string(),
                ]
            })
            .collect()
    };
    let parts = (0..parties)
        .map(|party| {
            let count = [7, 0, 15, 1, 4, 9][party % 6];
            let rows = sales(&mut random, count);
            (party, count as usize + [1, 3, 0, 4, 0, 2][party % 6], rows)
        })
        .collect();
    let customers = |random: &mut Random, party: usize| {
        let mut ids: Vec<i64> = (1..=14).filter(|_| random.below(4) != 0).collect();
        ids.truncate(10);
        let row = |random: &mut Random, id: i64| {
            vec![id.to_string(), random.between(300, 850).to_string()]
        };
        (party, 12, ids.into_iter().map(|id| row(random, id)).collect::<Vec<_>>())
    };
    let parts_of_customers = (0..parties).map(|party| customers(&mut random, party)).collect();
    Workspace::new(
        parties,
        vec![
            Table {
                name: "sales",
                columns: vec![
                    ("shelf", "INT", "min = -3, max = 9"),
                    ("city", "VARCHAR(5)", ""),
                    ("price", "DECIMAL(10,2)", ""),
                    ("refund", "BOOLEAN", ""),
                    ("sold", "DATE", ""),
                    ("units", "BIGINT", ""),
                ],
                parts,
            },
            Table {
                name: "clients",
                columns: vec![
                    ("id", "INT", "unique = true"),
                    ("score", "SMALLINT", "min = 300, max = 850"),
                ],
                parts: parts_of_customers,
            },
        ],
    )
}

fn assert_same(workspace: &Workspace, sql: &str) {
    let ordered = sql.contains("ORDER BY");
    let (mut actual, mut expected) = (workspace.answer(sql, &[]), workspace.expected(sql));
    if !ordered {
        actual.sort();
        expected.sort();
    }
    assert_eq!(actual, expected, "{sql}");
}

const OVER_ALL: &[&str] = &[
    "SELECT COUNT(*) FROM sales",
    "SELECT city, COUNT(*), SUM(units) FROM sales GROUP BY city",
    "SELECT shelf, MIN(price), MAX(price), SUM(price), COUNT(price) FROM sales WHERE NOT refund GROUP BY shelf",
    "SELECT city, shelf, COUNT(*) AS n FROM sales GROUP BY city, shelf HAVING COUNT(*) > 1",
    "SELECT DISTINCT city FROM sales WHERE shelf BETWEEN 0 AND 5",
    "SELECT city, COUNT(*) AS n FROM sales GROUP BY city ORDER BY n DESC, city LIMIT 3",
    "SELECT sold, units FROM sales ORDER BY sold DESC, units LIMIT 5",
    "SELECT units + shelf * 2 AS x, sold FROM sales WHERE refund ORDER BY x",
    "SELECT SUM(units), MIN(sold), MAX(city) FROM sales WHERE shelf = 100",
    "SELECT CASE WHEN refund THEN 'back' ELSE city END AS c, COUNT(*) FROM sales GROUP BY 1",
    "SELECT shelf, units FROM sales WHERE price > (SELECT AVG(price) FROM sales WHERE NOT refund)",
    "SELECT MAX(sold), MIN(sold), COUNT(*) FROM sales WHERE price > 50 AND (refund OR shelf < 2)",
];

#[test]
fn queries_over_horizontal_partitions_equal_datafusion() {
    for (parties, seed) in [(2, 1), (3, 2), (5, 3)] {
        let workspace = shops(parties, seed);
        OVER_ALL.iter().for_each(|sql| assert_same(&workspace, sql));
    }
}

#[test]
fn joins_across_parties_equal_datafusion() {
    for (parties, seed) in [(2, 5), (4, 6)] {
        let workspace = shops(parties, seed);
        let two = "SELECT a.id, a.score, b.score FROM org_a.clients a JOIN org_b.clients b ON a.id = b.id";
        assert_same(&workspace, two);
        let spread = "SELECT a.id FROM org_a.clients a, org_b.clients b WHERE a.id = b.id \
                      AND GREATEST(a.score, b.score) - LEAST(a.score, b.score) > 100";
        assert_same(&workspace, spread);
        let sums = "SELECT COUNT(*), SUM(a.score - b.score) FROM org_a.clients a JOIN org_b.clients b ON a.id = b.id \
                    WHERE a.score > b.score";
        assert_same(&workspace, sums);
        let optional =
            "SELECT a.id, b.score FROM org_a.clients a LEFT JOIN org_b.clients b ON a.id = b.id";
        assert_same(&workspace, optional);
        let alone =
            "SELECT a.id FROM org_a.clients a WHERE a.id NOT IN (SELECT id FROM org_b.clients)";
        assert_same(&workspace, alone);
        if parties == 4 {
            let four = "SELECT a.id, a.score + b.score + c.score + d.score AS total FROM org_a.clients a \
                        JOIN org_b.clients b ON a.id = b.id JOIN org_c.clients c ON b.id = c.id \
                        JOIN org_d.clients d ON a.id = d.id ORDER BY total DESC, a.id LIMIT 4";
            assert_same(&workspace, four);
        }
    }
}

#[test]
fn a_join_inside_one_party_runs_there_and_meets_the_others_results() {
    let workspace = shops(3, 9);
    let sql = "SELECT city, COUNT(*) AS n FROM (SELECT s.city FROM org_a.sales s JOIN org_a.clients c ON s.shelf = c.id \
               UNION ALL SELECT city FROM org_c.sales WHERE city LIKE '%m%') t GROUP BY city ORDER BY n, city";
    assert_same(&workspace, sql);
}

#[test]
fn averages_are_exact_quotients() {
    let workspace = shops(3, 4);
    let exact =
        workspace.expected("SELECT shelf, SUM(units), COUNT(units) FROM sales GROUP BY shelf");
    let mut expected: Vec<Vec<String>> = exact
        .iter()
        .map(|row| {
            let (sum, count): (i128, i128) = (row[1].parse().unwrap(), row[2].parse().unwrap());
            let doubled = 2 * sum.abs() * 1_000_000 + count;
            let micros = doubled / (2 * count);
            let sign = if sum < 0 && micros != 0 { "-" } else { "" };
            vec![row[0].clone(), format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)]
        })
        .collect();
    let mut actual = workspace.answer("SELECT shelf, AVG(units) FROM sales GROUP BY shelf", &[]);
    expected.sort();
    actual.sort();
    assert_eq!(actual, expected);
}

#[test]
fn the_answer_does_not_depend_on_the_decomposition() {
    let workspace = shops(4, 8);
    for sql in OVER_ALL.iter().take(6) {
        assert_eq!(workspace.answer(sql, &[]), workspace.answer(sql, &["--no-decompose"]), "{sql}");
    }
}

#[test]
fn the_answer_does_not_depend_on_the_backend() {
    let workspace = shops(3, 8);
    for sql in OVER_ALL.iter().skip(1).take(3) {
        let [garbled, interactive] = ["garbled", "interactive"].map(|backend| {
            let file = workspace.path().join("stats.json");
            let flags = ["--backend", backend, "--stats", file.to_str().unwrap()];
            let answer = workspace.answer(sql, &flags);
            let stats: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let stages = stats["stages"].as_array().unwrap();
            assert!(stages.iter().all(|stage| stage["backend"] == backend), "{sql}: {stages:?}");
            (answer, stages.len())
        });
        assert_eq!(garbled, interactive, "{sql}");
        assert_eq!(garbled.0, workspace.answer(sql, &[]), "{sql}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let workspace = shops(2, 3);
    for (sql, exit, word) in [
        ("SELECT nothing FROM sales", 2, "nothing"),
        ("SELECT * FROM strangers", 2, "strangers"),
        ("SELECT city FROM sales GROUP BY ROLLUP(city)", 2, "ROLLUP"),
        ("SELECT random() FROM sales", 2, "random"),
        ("INSERT INTO sales VALUES (1)", 2, ""),
        ("SELECT a.city FROM org_a.sales a JOIN org_b.sales b ON a.city = b.city", 2, ""),
        ("SELECT", 2, ""),
    ] {
        let output = workspace.query(sql, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{sql}: {stderr}");
        assert!(stderr.contains(word) && !stderr.is_empty(), "{sql}: {stderr}");
        assert!(output.stdout.is_empty(), "{sql}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let workspace = shops(2, 3);
    let file = workspace.path().join("both");
    let file = file.to_str().unwrap();
    for (options, word) in [
        (["-o", file, "--stats", file], "the same file"),
        (["--bound", "org_a.sales=3", "--bound", "org_a.sales=4"], "another bound"),
    ] {
        let output = workspace.query("SELECT COUNT(*) FROM sales", &options);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
    assert!(!std::path::Path::new(file).exists());
}
