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

fn refused(sql: &str) -> PlanError {
    let federation = Federation::parse(PAIR.as_bytes()).unwrap();
    match plan(sql, &federation, &PlanOptions::default()) {
        Ok(query) => panic!("{sql} was planned: {}", query.root),
        Err(error) => error,
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
