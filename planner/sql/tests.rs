use super::*;

const PAIR: &str = r#"
name = "pair"
[[party]]
name = "a"
address = "127.0.0.1:1"
[[party]]
name = "b"
address = "127.0.0.1:2"
[[table]]
name = "t"
columns = [ { name = "x", type = "INT" }, { name = "f", type = "BOOLEAN" } ]
held_by = [ { party = "a", capacity = 8 }, { party = "b", capacity = 8 } ]
"#;

fn planned(sql: &str) -> Result<JointQuery, PlanError> {
    plan(sql, &Federation::parse(PAIR.as_bytes()).unwrap(), &PlanOptions::default())
}

fn refused(sql: &str) -> PlanError {
    match planned(sql) {
        Ok(query) => panic!("{sql} was planned: {}", query.root),
        Err(error) => error,
    }
}

#[test]
fn a_nul_character_in_text_is_refused_by_name() {
    for text in ["chr(0)", "CAST(X'00' AS VARCHAR)", "'a\0'", "concat('a', chr(0))"] {
        let error =
            refused(&format!("SELECT CASE WHEN x = 1 THEN {text} ELSE 'n' END AS s FROM t"));
        assert!(error.to_string().contains("a NUL character in text"), "{text}: {error}");
    }
}

#[test]
fn mistakes_are_sql_errors() {
    let cases = [
        ("SELECT x FROM nowhere", "no table nowhere in the federation"),
        ("SELECT x FROM c.t", "no party c in the federation"),
        ("SELECT y FROM t", "No field named y"),
        ("SELECT nofun(x) FROM t", "nofun"),
        ("SELECT x FROM", "Expected"),
        ("SELECT 9223372036854775807 + 1 AS y FROM t", "numeric overflow"),
        ("SELECT x FROM t WHERE x > 4611686018427387904 * 2 - 1", "numeric overflow"),
        ("", "no query in the text"),
    ];
    for (sql, message) in cases {
        let error = refused(sql);
        assert!(matches!(error, PlanError::Sql(_)), "{sql}: {error:?}");
        assert!(error.to_string().contains(message), "{sql}: {error}");
    }
}

#[test]
fn syntax_outside_the_set_is_named() {
    let cases = [
        ("SELECT x FROM t TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT x, count(*) FROM t GROUP BY x WITH ROLLUP", "WITH ROLLUP"),
        ("SELECT x, count(*) FROM t GROUP BY ROLLUP (x)", "ROLLUP, CUBE and GROUPING SETS"),
        ("SELECT x FROM t FOR UPDATE", "FOR UPDATE"),
        ("SELECT x FROM t WITH (NOLOCK)", "table hints"),
        ("SELECT x FROM t WHERE f IS NOT DISTINCT FROM true AND x = 1", "IS [NOT] DISTINCT FROM"),
        ("SELECT DISTINCT ON (x) x FROM t", "DISTINCT ON"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT n FROM r",
            "RECURSIVE",
        ),
        ("SELECT TOP 3 x FROM t", "TOP"),
        ("SELECT x FROM t FETCH FIRST 2 ROWS ONLY", "FETCH FIRST"),
        ("SELECT x FROM t QUALIFY rank() OVER (ORDER BY x) = 1", "QUALIFY"),
        ("INSERT INTO t VALUES (1, true)", "INSERT: only a query"),
        ("DROP TABLE t", "DROP: only a query"),
        ("COPY t TO 'x'", "COPY: only a query"),
        ("SET x = 1", "SET: only a query"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT x FROM t WHERE x & 1 = 1", "operator &"),
        ("SELECT x FROM t WHERE now() > x", "function now"),
        ("SELECT random() FROM t", "random"),
        ("SELECT x FROM t, LATERAL (SELECT 1) l", "LATERAL"),
    ];
    for (sql, message) in cases {
        let error = refused(sql);
        assert!(error.to_string().contains(message), "{sql}: {error}");
    }
}

#[test]
fn subqueries_are_answered_as_sql_says_or_refused() {
    let several = "a scalar subquery that may have more than one row";
    let cases = [
        ("SELECT x, (SELECT x FROM t) AS m FROM t", several),
        ("SELECT x FROM t WHERE x = (SELECT DISTINCT x FROM t)", several),
        ("SELECT x FROM t WHERE x = (SELECT x FROM t GROUP BY x)", several),
        ("SELECT x, x IN (SELECT x FROM t) AS y FROM t", "an IN subquery outside"),
        ("SELECT SUM(CASE WHEN x IN (SELECT x FROM t) THEN 1 ELSE 0 END) FROM t", "an IN subquery"),
        ("SELECT EXISTS (SELECT x FROM t) AS y FROM t", "an EXISTS subquery outside"),
        ("SELECT x FROM t WHERE x = $1", "parameter $1 has no value"),
        ("SELECT x * 1e2 AS y FROM t", "an exponent in a number"),
        ("SELECT x FROM t WHERE CAST(x AS DECIMAL(9,-3)) > 1.5", "a negative scale"),
        ("SELECT x + 1.5E+2 AS y FROM t", "an exponent in a number"),
        ("SELECT x FROM t WHERE CAST(x AS VARCHAR) LIKE 'a!%' ESCAPE '!'", "another ESCAPE"),
    ];
    for (sql, message) in cases {
        let error = refused(sql);
        assert!(error.to_string().contains(message), "{sql}: {error}");
    }
    for sql in [
        "SELECT x FROM t WHERE x = (SELECT 3)",
        "SELECT x FROM t WHERE x > 1.25e2 AND x > 15e-1",
        "SELECT x FROM t WHERE CAST(x AS VARCHAR) LIKE 'a\\%' ESCAPE '\\'",
    ] {
        let planned = allow::statement(sql).map(drop);
        assert!(planned.is_ok(), "{sql}: {planned:?}");
    }
}

/// On a thread with the stack that a party's threads have.
fn deep<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(run).unwrap().join().unwrap()
}

#[test]
fn a_query_of_any_size_is_planned_or_refused() {
    let chain = |operator: &str, count: usize| {
        format!("SELECT x FROM t WHERE {}", vec!["x = 1"; count].join(operator))
    };
    let nested =
        |depth: usize| format!("SELECT {}x{} FROM t", "(".repeat(depth), ")".repeat(depth));
    let unions = |count: usize| vec!["SELECT x FROM t"; count].join(" UNION ALL ");
    let doubled = |count: usize| {
        let next = |n: usize| {
            format!(", a{n} AS (SELECT x FROM a{m} UNION ALL SELECT x FROM a{m})", m = n - 1)
        };
        let tables: String = (1..=count).map(next).collect();
        format!("WITH a0 AS (SELECT x FROM t){tables} SELECT COUNT(*) AS n FROM a{count}")
    };
    let grown = |count: usize| {
        let next = |n: usize| format!(", a{n} AS (SELECT x + x AS x FROM a{m})", m = n - 1);
        let tables: String = (1..=count).map(next).collect();
        format!("WITH a0 AS (SELECT x + 0 AS x FROM t){tables} SELECT x FROM a{count} WHERE x > 0")
    };
    const LONG: &str = "more than 4096 times the length of a column in one text";
    let doubled_text = |count: usize| {
        let next = |n: usize| format!(", a{n} AS (SELECT MAX(l || l) AS l FROM a{m})", m = n - 1);
        let tables: String = (1..=count).map(next).collect();
        format!(
            "WITH a0 AS (SELECT CAST(x AS VARCHAR) AS l FROM a.t){tables} SELECT l FROM a{count}"
        )
    };
    let too_large = [
        (grown(300), "more than 2000 operators in one expression"),
        (
            format!("SELECT x FROM t WHERE x IN ({})", grown(20)),
            "more than 2000 operators in one expression",
        ),
        (chain(" OR ", 300), "more than 200 operators in a row"),
        (chain(" OR ", 3_000), "more than 1000 operators"),
        (format!("SELECT 1{} AS y FROM t", "+1".repeat(30_000)), "more than 1000 operators"),
        (
            format!("SELECT x FROM t WHERE x IN ({})", vec!["1"; 40_000].join(",")),
            "more than 65536 bytes",
        ),
        (
            format!("SELECT x FROM t WHERE x IN (1){}", " IN (true)".repeat(4_500)),
            "more than 1000 operators",
        ),
        (
            format!("SELECT {}x{} AS y FROM t", "abs(".repeat(30), ")".repeat(30)),
            "more than 2000 operators in one expression",
        ),
        (
            format!(
                "SELECT {} FROM t",
                (0..2_000).map(|n| format!("x AS c{n}")).collect::<Vec<_>>().join(",")
            ),
            "more than 400 columns",
        ),
        (unions(600), "more than 500 tables and subqueries"),
        (doubled(60), "more than 500 tables and subqueries"),
        (nested(5_000), "recursion limit"),
        ("SELECT x FROM t WHERE repeat('x', 500000000) = 'a'".to_owned(), LONG),
        ("SELECT x FROM t WHERE repeat(repeat('x', 200), 200) = 'a'".to_owned(), LONG),
        ("SELECT x FROM t WHERE repeat('x', 5 * 100000000) = 'a'".to_owned(), LONG),
        ("SELECT x FROM t WHERE repeat('x', x) = 'a'".to_owned(), LONG),
        ("SELECT x FROM t WHERE rpad('x', 400000000, 'y') = 'a'".to_owned(), LONG),
        (format!("SELECT x FROM t WHERE repeat('{}', 100) = 'a'", "y".repeat(20_000)), LONG),
        (format!("SELECT x FROM t WHERE replace('aa', 'a', '{}') = 'a'", "b".repeat(60_000)), LONG),
        (
            "SELECT repeat(m, 100) AS r FROM (SELECT MAX(repeat(l, 100)) AS m FROM \
             (SELECT CAST(x AS VARCHAR) AS l FROM t) u) v"
                .to_owned(),
            LONG,
        ),
        (doubled_text(20), LONG),
    ];
    for (sql, message) in too_large {
        let error = deep(move || refused(&sql));
        assert!(error.to_string().contains(message), "{message}: {error}");
    }
    let fits = [
        grown(6),
        format!("SELECT x FROM t WHERE x IN (1){}", " IN (true)".repeat(150)),
        format!("SELECT x FROM t WHERE x = 1{}", " IS TRUE".repeat(5)),
        chain(" OR ", 150),
        chain(" AND NOT ", 150),
        "SELECT x FROM t WHERE lpad(CAST(x AS VARCHAR), 10, '0') > repeat('-', 80)".to_owned(),
        "SELECT x FROM t WHERE replace(replace(lpad(CAST(x AS VARCHAR), 10), '0', 'zero'), 'e', '') = 'a'"
            .to_owned(),
        unions(100),
        doubled(5),
        format!(
            "SELECT x FROM t WHERE x IN ({})",
            (0..3_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        ),
    ];
    for sql in fits {
        let planned = deep(move || planned(&sql).map(drop));
        assert!(planned.is_ok(), "{planned:?}");
    }
}
