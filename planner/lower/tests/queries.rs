//! Joint plans as the front end writes them, on random local results, against the reference.

use super::harness::{Dice, collect, run, slow_links};
use super::reference::{self, Locals};
use crate::catalog::Federation;
use crate::cost::LinkSnapshot;
use crate::encode::Row;
use crate::ir::{Node, Value};
use crate::lower::{Backends, Decompose, Lowering, Ordering, lower};
use crate::sql::{self, PlanOptions};
use senate_circuit::{Backend, PartySet};

fn federation(m: usize) -> Federation {
    let mut text = String::from("name = \"study\"\n");
    for i in 0..m {
        text += &format!("[[party]]\nname = \"p{i}\"\naddress = \"127.0.0.1:{}\"\n", 7400 + i);
    }
    let holders: Vec<_> =
        (0..m).map(|i| format!("{{ party = \"p{i}\", capacity = {} }}", 2 + 3 * (i % 3))).collect();
    let holders = holders.join(", ");
    text += &format!(
        r#"
[[table]]
name = "t"
columns = [ {{ name = "k", type = "INT", min = 0, max = 5 }},
            {{ name = "v", type = "INT", min = -9, max = 20 }},
            {{ name = "d", type = "DECIMAL(6,2)", min = "-3.00", max = "7.50" }},
            {{ name = "s", type = "VARCHAR(2)" }},
            {{ name = "b", type = "BOOLEAN" }} ]
held_by = [{holders}]
[[table]]
name = "u"
columns = [ {{ name = "id", type = "INT", min = 0, max = 7, unique = true }},
            {{ name = "w", type = "SMALLINT", min = -4, max = 4 }} ]
held_by = [{holders}]
"#
    );
    Federation::parse(text.as_bytes()).unwrap()
}

const QUERIES: &[&str] = &[
    "SELECT k, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY k",
    "SELECT s, MIN(v) AS lo, MAX(v) AS hi FROM t WHERE b GROUP BY s ORDER BY s DESC",
    "SELECT b, AVG(v) AS mean, COUNT(v) AS n FROM t GROUP BY b",
    "SELECT COUNT(*) AS n, SUM(v) AS s, MIN(d) AS lo, MAX(s) AS hi FROM t",
    "SELECT DISTINCT s, b FROM t",
    "SELECT k, SUM(v) AS x FROM t GROUP BY k ORDER BY k",
    "SELECT k, SUM(v) AS x FROM t GROUP BY k ORDER BY k LIMIT 2 OFFSET 1",
    "SELECT k, b, COUNT(*) AS n FROM t GROUP BY k, b HAVING COUNT(*) < 3 ORDER BY k, b LIMIT 3",
    "SELECT k, COUNT(*) AS n FROM t GROUP BY k ORDER BY k DESC LIMIT 2",
    "SELECT s, COUNT(*) AS n FROM t GROUP BY s ORDER BY n DESC, s LIMIT 1 OFFSET 1",
    "SELECT k, v, s FROM t WHERE v > 0 ORDER BY v DESC, s LIMIT 4",
    "SELECT k, v FROM t ORDER BY k, v DESC LIMIT 3 OFFSET 2",
    "SELECT k, s FROM t",
    "SELECT k, SUM(v) - COUNT(*) * 2 AS x FROM t GROUP BY k HAVING COUNT(*) > 1 ORDER BY x, k LIMIT 2",
    "SELECT k, CASE WHEN SUM(v) > 5 THEN 'hi' ELSE 'lo' END AS c FROM t GROUP BY k",
    "SELECT a.id, a.w + b.w AS x, GREATEST(a.w, b.w) AS g FROM p0.u AS a JOIN p1.u AS b ON a.id = b.id",
    "SELECT a.w, COUNT(*) AS n FROM p0.u AS a JOIN p1.u AS b ON a.id = b.id GROUP BY a.w",
    "SELECT r.id, r.w, f.v FROM p0.u AS r JOIN p1.t AS f ON r.id = f.k WHERE f.v >= 0",
    "SELECT f.s, SUM(f.v * r.w) AS x FROM p0.u AS r JOIN p1.t AS f ON r.id = f.k GROUP BY f.s ORDER BY x DESC",
    "SELECT SUM(d) AS s, SUM(d * 2) AS e FROM t WHERE NOT b",
    "SELECT k, v FROM t WHERE v > (SELECT MIN(v) FROM t WHERE b) ORDER BY v, k LIMIT 3",
    "SELECT f.k, f.v, r.w FROM p1.t AS f LEFT JOIN p0.u AS r ON r.id = f.k",
    "SELECT f.s, SUM(r.w) AS x, COUNT(*) AS n FROM t AS f LEFT JOIN p0.u AS r ON r.id = f.k GROUP BY f.s",
    "SELECT a.id, a.w FROM p0.u AS a WHERE NOT EXISTS (SELECT 1 FROM p1.t AS f WHERE f.k = a.id)",
];

/// Random local results that satisfy their leaves' facts and claims.
fn locals(root: &Node, dice: &mut Dice) -> Locals {
    let mut leaves = Vec::new();
    collect(root, &mut leaves);
    leaves.sort_by_key(|leaf| leaf.slot);
    let rows = |leaf: &&crate::ir::Leaf| {
        let mut rows = dice.rows(&leaf.schema, &leaf.distinct);
        rows.retain(|row| {
            let holds = |c| reference::value(c, row) == Some(Value::Boolean(true));
            leaf.claims.iter().all(holds)
        });
        rows.truncate(if leaf.at_most_one_row { 1 } else { rows.len() });
        rows
    };
    leaves.iter().map(rows).collect()
}

/// Whether all aggregates are within the domains that the front end derived; random partial sums
/// need not come from any rows.
fn plausible(node: &Node, locals: &Locals) -> bool {
    match node {
        Node::Leaf(_) => true,
        Node::Union { inputs, .. } | Node::Join { inputs, .. } => {
            inputs.iter().all(|input| plausible(input, locals))
        }
        Node::Probe { inputs, .. } => inputs.iter().all(|input| plausible(input, locals)),
        Node::Aggregate { input, .. } | Node::Project { input, .. } => {
            let fits = |row: &Row| {
                row.iter().zip(node.columns()).all(|(v, column)| column.kind.contains(v.as_ref()))
            };
            plausible(input, locals) && reference::execute(node, locals).iter().all(fits)
        }
        Node::Filter { input, .. } | Node::Suppress { input, .. } | Node::Sort { input, .. } => {
            plausible(input, locals)
        }
    }
}

#[test]
fn planned_queries_agree_with_the_reference() {
    for m in [2usize, 3, 4] {
        let federation = federation(m);
        for text in QUERIES {
            let query = sql::plan(text, &federation, &PlanOptions::default())
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            let ordering = if query.ordered { Ordering::ByQuery } else { Ordering::Free };
            let rounds = Backends::Only(Backend::Interactive);
            for (decompose, backends, links) in [
                (Decompose::Yes, Backends::Cheapest, LinkSnapshot::default()),
                (Decompose::No, Backends::Cheapest, LinkSnapshot::default()),
                (Decompose::Yes, rounds, slow_links()),
            ] {
                let recipients = PartySet::first(m);
                let lowering =
                    Lowering { recipients, decompose, backends, ordering, links: &links };
                let lowered = lower(&query.root, &lowering)
                    .unwrap_or_else(|error| panic!("{text}: {error}\n{}", query.root));
                let mut seen = 0;
                for seed in 0..200 {
                    let locals = locals(&query.root, &mut Dice(seed * 31 + m as u64));
                    if !plausible(&query.root, &locals) || seen == 12 {
                        continue;
                    }
                    seen += 1;
                    let mut expected = reference::execute(&query.root, &locals);
                    if !query.ordered {
                        expected.sort_by(reference::ascending);
                    }
                    let (rows, overflow) = run(&query.root, &lowered, &locals);
                    assert!(!overflow, "{text}");
                    assert_eq!(rows, expected, "{text}\n{}\n{locals:?}", query.root);
                }
                assert!(seen >= 2, "{text}: {seen}");
            }
        }
    }
}
