//! Aggregates, groups and the shapes of queries around them.

use super::clear::{Choices, answer, assert_all_same, compare, explanation, refusal};
use super::shops;
use super::types::ledger;
use crate::support::{Table, Workspace};
use senate::request::{BackendChoice, Stages};

#[test]
fn aggregates_over_no_rows_are_as_sql_says() {
    let workspace = shops(3, 11);
    assert_all_same(
        &workspace,
        &[
            "SELECT COUNT(*), COUNT(city), SUM(units), MIN(sold), MAX(city), AVG(price) FROM sales WHERE shelf > 50",
            "SELECT COUNT(*) FROM sales WHERE shelf = 9 AND shelf = 8",
            "SELECT city, COUNT(*) FROM sales WHERE shelf > 50 GROUP BY city",
            "SELECT SUM(units) FROM sales WHERE FALSE",
            "SELECT COUNT(*) AS n FROM sales WHERE shelf > 50 HAVING COUNT(*) > 0",
            "SELECT COUNT(*) AS n FROM sales HAVING COUNT(*) > 3",
            "SELECT SUM(units) IS NULL AS none, COALESCE(SUM(units), 7) AS s FROM sales WHERE shelf > 50",
            "SELECT DISTINCT city FROM sales WHERE shelf > 50",
            "SELECT city FROM sales WHERE shelf > 50 ORDER BY city LIMIT 2",
            "SELECT SUM(units) FROM org_b.sales",
            "SELECT COUNT(*), MAX(price) FROM org_b.sales",
        ],
    );
}

#[test]
fn groups_projections_and_names() {
    let workspace = shops(3, 12);
    assert_all_same(
        &workspace,
        &[
            "SELECT city, city AS again, COUNT(*), COUNT(*) AS n FROM sales GROUP BY city",
            "SELECT COUNT(DISTINCT city) FROM sales",
            "SELECT refund, COUNT(DISTINCT city), SUM(units) FROM org_a.sales GROUP BY refund",
            "SELECT refund, COUNT(DISTINCT shelf) FROM sales GROUP BY refund",
            "SELECT SUM(DISTINCT shelf) FROM sales",
            "SELECT 1 AS one, 'x' AS letter, city FROM sales",
            "SELECT 5 AS five, COUNT(*) FROM sales",
            "SELECT DISTINCT 1 AS one, refund FROM sales",
            "SELECT Shelf AS S, CITY AS c FROM Sales WHERE REFUND",
            "SELECT s.shelf + 1 AS next, COUNT(*) AS n FROM sales AS s GROUP BY s.shelf + 1",
            "SELECT shelf * 2 AS twice, MAX(units) FROM sales GROUP BY shelf ORDER BY twice DESC",
            "SELECT city, COUNT(*) * 2 + 1 AS n, MAX(shelf) - MIN(shelf) AS spread FROM sales GROUP BY city",
            "SELECT city, SUM(units) + SUM(shelf) AS s FROM sales GROUP BY city HAVING SUM(units) > 0 OR MIN(shelf) < 0",
            "SELECT city FROM sales GROUP BY city HAVING COUNT(*) > 2 AND AVG(price) > 10",
            "SELECT refund, shelf > 3 AS high, COUNT(*) FROM sales GROUP BY refund, shelf > 3",
            "SELECT GREATEST(shelf, 2) AS g, LEAST(shelf, 2) AS l, COUNT(*) FROM sales GROUP BY 1, 2",
            "SELECT city, COUNT(*) FROM sales WHERE shelf NOT IN (1, 2, 3) AND shelf NOT BETWEEN 7 AND 9 GROUP BY city",
            "SELECT city, COUNT(*) FROM sales WHERE NOT (refund AND shelf < 5) GROUP BY city",
            "SELECT EXTRACT(MONTH FROM sold) AS m, COUNT(*) FROM sales GROUP BY 1 ORDER BY m",
            "SELECT upper(city) AS u, SUM(price) FROM sales GROUP BY 1",
            "SELECT CASE shelf WHEN 1 THEN 'one' WHEN 2 THEN 'two' END AS w, COUNT(*) FROM sales GROUP BY 1",
            "SELECT MAX(n) AS most, COUNT(*) AS cities FROM (SELECT city, COUNT(*) AS n FROM sales GROUP BY city) t",
            "SELECT n, COUNT(*) AS times FROM (SELECT city, COUNT(*) AS n FROM sales GROUP BY city) t GROUP BY n ORDER BY n",
            "WITH big AS (SELECT city, units FROM sales WHERE units > 0), agg AS (SELECT city, SUM(units) AS s FROM big GROUP BY city) SELECT city, s FROM agg WHERE s > 100 ORDER BY s",
            "SELECT city FROM (SELECT city, shelf FROM sales ORDER BY shelf, city, units LIMIT 6) t",
            "SELECT city, MAX(x) FROM (SELECT city, shelf AS x FROM sales UNION ALL SELECT city, -shelf FROM sales) t GROUP BY city",
            "SELECT city FROM sales UNION SELECT 'none' FROM clients",
            "SELECT id FROM clients UNION ALL SELECT shelf FROM sales",
            "SELECT id FROM clients UNION SELECT shelf FROM sales ORDER BY id",
            "SELECT city, AVG(price) AS a FROM sales GROUP BY city ORDER BY a DESC, city LIMIT 2",
            "SELECT AVG(price), SUM(price) / 2 AS h FROM org_a.sales",
            "SELECT refund, AVG(DISTINCT shelf) > 3, COUNT(DISTINCT city), AVG(DISTINCT price) FROM org_a.sales GROUP BY refund ORDER BY refund",
            "SELECT DISTINCT shelf, refund FROM sales ORDER BY shelf DESC, refund LIMIT 5",
            "SELECT COUNT(DISTINCT city) FROM org_c.sales",
            "SELECT shelf FROM sales GROUP BY shelf ORDER BY SUM(units) DESC, shelf LIMIT 3",
            "SELECT shelf, SUM(units) FROM org_a.sales GROUP BY shelf UNION ALL SELECT shelf, SUM(units) FROM org_c.sales GROUP BY shelf",
            "SELECT city, COUNT(*) FROM org_a.sales GROUP BY city",
            "SELECT s.city, s.shelf FROM org_a.sales s WHERE s.units > (SELECT AVG(units) FROM org_a.sales) ORDER BY 1, 2",
            "SELECT (city = 'Oslo') AS o, MIN(price) FROM sales GROUP BY 1",
            "SELECT refund FROM sales ORDER BY refund DESC LIMIT 3",
            "SELECT city, SUM(price) * 0.5 AS h, SUM(units) * 0.5 AS u, SUM(shelf) + 0.25 AS s FROM sales GROUP BY city",
            "SELECT SUM(shelf) * 1.5 AS x, SUM(price) * 2 AS y, COUNT(*) + 0.5 AS z FROM sales",
            "SELECT city, MAX(CASE WHEN refund THEN units END) AS k, COUNT(CASE WHEN refund THEN 1 END) AS c FROM sales GROUP BY city",
            "SELECT city, COALESCE(MAX(CASE WHEN refund THEN units END), 0) AS k FROM sales GROUP BY city",
            "SELECT COUNT(NULLIF(city, 'Oslo')) AS n, MAX(NULLIF(shelf, 9)) AS m FROM sales",
            "SELECT city FROM sales WHERE units = (SELECT MAX(units) FROM sales)",
            "SELECT city, COUNT(*) FROM sales WHERE shelf IN (SELECT id FROM org_a.clients) GROUP BY city",
            "SELECT CASE WHEN SUM(units) > 0 THEN 'up' WHEN SUM(units) < 0 THEN 'down' ELSE 'flat' END AS t FROM sales",
            "SELECT refund AND shelf > 2 AS x, refund OR city = 'Oslo' AS y, NOT refund AS z FROM sales",
            "SELECT SUM(2) AS s, MAX(3) AS m, MIN('x') AS n, COUNT(1) AS c FROM sales",
            "SELECT units FROM sales ORDER BY abs(units) LIMIT 2",
            "SELECT * FROM sales WHERE 1 = 0",
            "SELECT city FROM org_a.sales INTERSECT SELECT city FROM org_c.sales",
            "SELECT city || '-' || CAST(shelf AS VARCHAR) AS l, COUNT(*) FROM sales GROUP BY 1",
            "SELECT concat(city, '/', sold) AS l, substr(city, 1, 2) AS p FROM sales",
            "SELECT x.city, x.s, y.m FROM (SELECT city, SUM(units) AS s FROM sales GROUP BY city) x JOIN (SELECT city, MAX(price) AS m FROM sales GROUP BY city) y ON x.city = y.city",
            "SELECT a.id, s.n FROM org_a.clients a JOIN (SELECT shelf, COUNT(*) AS n FROM sales GROUP BY shelf) s ON s.shelf = a.id WHERE s.n > 1",
            "SELECT id FROM org_a.clients NATURAL JOIN org_a.clients AS again",
            "WITH t AS (SELECT city, COUNT(*) AS n FROM sales GROUP BY city) SELECT a.city, a.n, b.n AS m FROM t a JOIN t b ON a.city = b.city",
            "SELECT city, COUNT(*) AS n FROM sales GROUP BY city HAVING COUNT(*) = (SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM sales GROUP BY city) u)",
            "SELECT SUM(x) FROM (SELECT shelf AS x FROM sales ORDER BY shelf DESC LIMIT 4 OFFSET 2) t",
            "SELECT x, y FROM (SELECT shelf AS x, id AS y FROM sales JOIN org_a.clients ON id = shelf UNION SELECT id, score FROM clients) t ORDER BY x, y DESC LIMIT 4",
            "SELECT b.id, b.score FROM org_b.clients b WHERE b.id IN (SELECT a.id FROM org_a.clients a WHERE a.score > 500) AND b.id IN (SELECT id FROM org_c.clients)",
            "SELECT s.shelf, s.units FROM sales s JOIN org_c.clients c ON c.id = s.shelf AND s.units > c.score * 1000",
            "SELECT COUNT(DISTINCT a.score) AS n FROM org_a.clients a JOIN org_b.clients b ON a.id = b.id",
            "SELECT a.id FROM org_a.clients a JOIN org_b.clients b USING (id)",
            "SELECT GREATEST(a.score, b.score, 500) AS g FROM org_a.clients a, org_b.clients b, org_c.clients c WHERE a.id = b.id AND b.id = c.id AND a.score BETWEEN b.score AND c.score + 300",
            "SELECT a.score - b.score AS d, COUNT(*) FROM org_a.clients a JOIN org_b.clients b ON a.id = b.id GROUP BY 1",
            "SELECT id, MAX(score) - MIN(score) AS spread FROM clients GROUP BY id HAVING COUNT(*) > 1 ORDER BY spread DESC, id LIMIT 3",
            "SELECT city, SUM(price * shelf) FROM sales GROUP BY city",
            "SELECT city, MIN(price * -1), MAX(price - 0.5) FROM sales GROUP BY city",
            "SELECT city, units FROM sales WHERE units * 2 > 1000000000 AND price * 2 < 100.5",
            "SELECT COUNT(*) FROM sales WHERE sold > DATE '2024-03-01' AND sold < DATE '2024-08-01'",
            "SELECT MIN(sold), MAX(sold) FROM sales WHERE city = 'Oslo' OR city = ''",
            "SELECT city, COUNT(*) FROM sales WHERE city LIKE '%o%' GROUP BY city",
            "SELECT city, length(city) AS n FROM sales WHERE length(city) > 1",
            "SELECT * FROM sales ORDER BY shelf DESC, city, price, refund, sold, units LIMIT 4",
            "SELECT * FROM clients ORDER BY score DESC NULLS FIRST, id",
        ],
    );
}

#[test]
fn options_do_not_change_the_answer() {
    let workspace = shops(4, 13);
    let sql =
        "SELECT city, COUNT(*) AS n, SUM(units) AS s FROM sales WHERE shelf < 7 GROUP BY city";
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let choices = [
        Choices { recipients: named(&["org_b", "org_d"]), ..Choices::default() },
        Choices { stages: Stages::OneCircuit, ..Choices::default() },
        Choices { backend: BackendChoice::Interactive, ..Choices::default() },
        Choices { bounds: named(&["org_a.sales=7", "org_c.sales=15"]), ..Choices::default() },
    ];
    for choices in choices {
        compare(&workspace, sql, sql, &choices).unwrap();
    }
    let own = "SELECT city, COUNT(*) FROM org_a.sales GROUP BY city";
    let other = Choices { recipients: named(&["org_c"]), ..Choices::default() };
    compare(&workspace, own, own, &other).unwrap();
}

#[test]
fn a_bound_holds_for_what_passes_the_filters_whatever_is_above_them() {
    // org_a holds 7 rows, org_c 15.
    let workspace = shops(3, 14);
    let choices = |bound: &str| Choices { bounds: vec![bound.to_owned()], ..Choices::default() };
    for sql in [
        "SELECT COUNT(*) FROM sales",
        "SELECT refund, MAX(units) FROM sales GROUP BY refund",
        "SELECT units FROM sales ORDER BY units LIMIT 1",
        "SELECT units FROM sales",
    ] {
        compare(&workspace, sql, sql, &choices("org_c.sales=15")).unwrap();
        let failure = answer(&workspace, sql, &choices("org_c.sales=14")).unwrap_err();
        assert_eq!(failure.cause.exit_code(), 6, "{sql}");
        assert!(failure.to_string().contains("org_c") && failure.to_string().contains("14"));
    }
    let filtered = "SELECT COUNT(*) FROM sales WHERE shelf = 100";
    compare(&workspace, filtered, filtered, &choices("org_c.sales=1")).unwrap();
}

#[test]
fn a_result_that_does_not_fit_its_type_is_an_error() {
    let huge = ["9223372036854775807", "-9223372036854775808"];
    let rows = |value: &str| vec![vec!["1".to_owned(), value.to_owned()]; 2];
    let table = Table {
        name: "t",
        columns: vec![("k", "INT", "min = 0, max = 3"), ("v", "BIGINT", "")],
        parts: vec![(0, 3, rows(huge[0])), (1, 2, rows(huge[0])), (2, 2, rows(huge[1]))],
    };
    let workspace = Workspace::new(3, vec![table]);
    for sql in [
        "SELECT SUM(v) FROM t",
        "SELECT k, SUM(v) FROM t GROUP BY k",
        "SELECT SUM(v) FROM org_a.t",
        "SELECT v + v AS w FROM t",
        "SELECT v * 2 AS w FROM org_a.t",
        "SELECT -v AS w FROM org_c.t",
        "SELECT k, SUM(v) FROM org_a.t GROUP BY k UNION ALL SELECT k, v FROM org_b.t",
    ] {
        let (exit, text) = refusal(&workspace, sql);
        assert!(text.contains("overflow") && (exit == 2 || exit == 6), "{sql}: {exit} {text}");
    }
    // The same from the binary, over the protocol; explain declares the bit that tells.
    let output = workspace.query("SELECT SUM(v) FROM t", &["--recipients", "org_b"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("numeric overflow") && output.stdout.is_empty(), "{stderr}");
    let flag = "one bit: whether some value did not fit its SQL type";
    assert!(explanation(&workspace, "SELECT SUM(v) FROM t").contains(flag));
    assert!(!explanation(&workspace, "SELECT MAX(v), SUM(k) FROM t").contains(flag));
    assert_all_same(&workspace, &["SELECT k, MIN(v), MAX(v), COUNT(v) FROM t GROUP BY k"]);
}

#[test]
fn what_is_not_supported_is_named() {
    let workspace = ledger(2, 4);
    for (sql, word) in [
        ("SELECT label, ROW_NUMBER() OVER (ORDER BY big) FROM ledger", "window"),
        ("SELECT COUNT(DISTINCT label), COUNT(DISTINCT day) FROM ledger", "DISTINCT"),
        ("SELECT STDDEV(tiny) FROM ledger", "stddev"),
        ("SELECT label FROM ledger GROUP BY label HAVING MAX(label) LIKE 'a%'", "LIKE"),
        ("SELECT SUM(label) FROM ledger", "sum"),
        ("SELECT a.label FROM org_a.ledger a FULL JOIN org_b.ledger b ON a.num = b.num", "Full"),
        ("SELECT a.label FROM org_a.ledger a LEFT JOIN org_b.ledger b ON a.num = b.num", ""),
        ("SELECT a.label FROM org_a.ledger a, org_b.ledger b", ""),
        ("SELECT a.label FROM org_a.ledger a JOIN org_b.ledger b ON a.num < b.num", ""),
        ("SELECT SUM(num) / COUNT(*) FROM ledger", "/"),
        ("SELECT CAST(SUM(num) AS VARCHAR) FROM ledger", "CAST"),
        ("SELECT CAST(AVG(num) AS DOUBLE) FROM ledger", ""),
        ("SELECT label FROM org_c.ledger", "org_c"),
        ("SELECT colour FROM ledger", "colour"),
        ("SELECT label FROM ledger LIMIT -1", ""),
    ] {
        let (exit, text) = refusal(&workspace, sql);
        assert!(exit == 2 && text.contains(word), "{sql}: {exit} {text}");
        eprintln!("{sql}\n    {text}");
    }
}
