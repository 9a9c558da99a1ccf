//! One party, six parties, empty parts, one row, capacities far above the data.

use super::clear::{assert_all_same, assert_same};
use super::types::ledger;
use crate::support::{Table, Workspace};

fn numbers(parts: &[(usize, &[i64])]) -> Workspace {
    let parts = parts.iter().enumerate().map(|(party, (capacity, values))| {
        let rows = values.iter().map(|v| vec![v.to_string(), (v % 3).to_string()]).collect();
        (party, *capacity, rows)
    });
    let parts: Vec<_> = parts.collect();
    let table = Table {
        name: "numbers",
        columns: vec![("v", "INT", ""), ("r", "SMALLINT", "min = -2, max = 2")],
        parts,
    };
    let count = table.parts.len();
    Workspace::new(count, vec![table])
}

const QUERIES: [&str; 8] = [
    "SELECT v FROM numbers",
    "SELECT COUNT(*), SUM(v), MIN(v), MAX(v) FROM numbers",
    "SELECT r, COUNT(*), SUM(v) FROM numbers GROUP BY r",
    "SELECT DISTINCT r FROM numbers",
    "SELECT v, r FROM numbers ORDER BY v DESC LIMIT 3",
    "SELECT v FROM numbers ORDER BY v LIMIT 100 OFFSET 2",
    "SELECT v FROM numbers WHERE v > 0 ORDER BY v LIMIT 0",
    "SELECT r FROM numbers GROUP BY r HAVING SUM(v) > 5 ORDER BY r DESC",
];

#[test]
fn partitions_of_any_shape() {
    let shapes: [&[(usize, &[i64])]; 6] = [
        &[(1, &[]), (1, &[])],
        &[(1, &[4]), (1, &[4])],
        &[(9, &[]), (2, &[7, -7])],
        &[(50, &[1]), (1, &[]), (3, &[2, 3])],
        &[(4, &[5, 5, 5, 5]), (4, &[5, 5, 5, 5]), (4, &[5]), (4, &[])],
        &[
            (2, &[1, 2]),
            (2, &[3]),
            (2, &[]),
            (3, &[-1, -2, -3]),
            (5, &[0, 0]),
            (1, &[2_147_483_647]),
        ],
    ];
    for shape in shapes {
        assert_all_same(&numbers(shape), &QUERIES);
    }
}

#[test]
fn one_party_alone_answers_any_query() {
    let workspace = ledger(2, 8);
    assert_all_same(
        &workspace,
        &[
            "SELECT label, ROW_NUMBER() OVER (ORDER BY big, label, num, day) AS n FROM org_a.ledger",
            "SELECT COUNT(DISTINCT label) FROM org_a.ledger",
            "SELECT a.label, b.label FROM org_a.ledger a LEFT JOIN org_a.ledger b ON a.num = b.num AND a.tiny < b.tiny",
            "SELECT label FROM org_a.ledger WHERE big = (SELECT MAX(big) FROM org_a.ledger)",
            "SELECT code, kind FROM org_a.ledger ORDER BY code, kind DESC",
        ],
    );
    assert_same(&workspace, "SELECT 1 AS one FROM org_a.ledger LIMIT 1");
}
