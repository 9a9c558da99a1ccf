//! Every type, at its extremes.

use super::clear::{Choices, Rows, assert_all_same, compare};
use crate::support::{NULL, Random, Table, Workspace};

const LABELS: [&str; 8] = ["", "a", "ab", "Zoë", "日本", "a,b", "q\"uote", "12345678"];
const BIG: [&str; 7] =
    ["-9223372036854775808", "9223372036854775807", "0", "-1", "1", "4611686018427387904", "17"];
const FINE: [&str; 5] =
    ["-99999999999999.9999", "99999999999999.9999", "0.0000", "-0.0001", "12.3400"];

const INSTANTS: [&str; 4] = [
    "1677-09-21T00:12:43.145224192",
    "2262-04-11T23:47:16.854775807",
    "1969-12-31T23:59:59.999999999",
    "2024-02-29T12:00:00",
];

/// Rows of every type; `parties` holders of 0 to 6 rows each, with duplicates and extremes.
pub(crate) fn ledger(parties: usize, seed: u64) -> Workspace {
    let mut random = Random::new(seed);
    let mut pick = |list: &[&str]| list[random.below(list.len() as u64) as usize].to_owned();
    let mut row = || {
        vec![
            pick(&["true", "false"]),
            pick(&["-32768", "32767", "0", "-1", "5"]),
            pick(&["-2147483648", "2147483647", "3", "-3", "0"]),
            pick(&BIG),
            pick(&FINE),
            pick(&["0001-01-01", "9999-12-31", "1970-01-01", "1969-12-31", "2024-02-29"]),
            pick(&LABELS),
            pick(&["00000000", "ffffffff", "00ff00ff", "7f000001"]),
            pick(&["-5", "-4", "0", "4", "5"]),
            pick(&["red", "green", "blue"]),
            pick(&INSTANTS),
            pick(&["0000-01-01T00:00:00", "9999-12-31T23:59:59", "2024-02-29T12:00:00"]),
        ]
    };
    let mut rows = |count: usize| -> Rows { (0..count).map(|_| row()).collect() };
    let parts = (0..parties).map(|party| {
        let count = [5, 0, 6, 1, 4, 3][party % 6];
        (party, count + [0, 2, 3][party % 3], rows(count))
    });
    let parts = parts.collect();
    let table = Table {
        name: "ledger",
        columns: vec![
            ("flag", "BOOLEAN", ""),
            ("tiny", "SMALLINT", ""),
            ("num", "INT", ""),
            ("big", "BIGINT", ""),
            ("amount", "DECIMAL(18,4)", ""),
            ("day", "DATE", ""),
            ("label", "VARCHAR(8)", ""),
            ("code", "BINARY(4)", ""),
            ("level", "INT", "min = -5, max = 5"),
            ("kind", "VARCHAR(5)", "values = [\"red\", \"green\", \"blue\"]"),
            ("at", "TIMESTAMP", ""),
            ("seen", "TIMESTAMP(0)", ""),
        ],
        parts,
    };
    Workspace::new(parties, vec![table])
}

const COLUMNS: [&str; 12] =
    ["flag", "tiny", "num", "big", "amount", "day", "label", "code", "level", "kind", "at", "seen"];

#[test]
fn every_type_is_grouped_ordered_and_passed_on() {
    for (parties, seed) in [(2, 1), (3, 2), (6, 7)] {
        let workspace = ledger(parties, seed);
        let mut queries = vec!["SELECT * FROM ledger".to_owned()];
        for column in COLUMNS {
            queries.push(format!("SELECT {column} FROM ledger"));
            queries.push(format!("SELECT DISTINCT {column} FROM ledger"));
            queries.push(format!("SELECT {column}, COUNT(*) FROM ledger GROUP BY {column}"));
            queries.push(format!("SELECT MIN({column}), MAX({column}) FROM ledger"));
            queries.push(format!("SELECT {column} FROM ledger ORDER BY {column} DESC LIMIT 4"));
            queries.push(format!("SELECT {column} FROM ledger ORDER BY {column} LIMIT 3 OFFSET 2"));
        }
        // DataFusion has no MIN over booleans in every context; those are compared as numbers.
        queries.retain(|sql| !sql.contains("MIN(flag)"));
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        assert_all_same(&workspace, &queries);
    }
}

#[test]
fn every_type_survives_the_protocol_and_the_csv() {
    let workspace = ledger(3, 6);
    let sql = "SELECT * FROM ledger";
    let mut expected = workspace.expected(sql);
    expected.sort();
    // org_b holds no rows.
    for recipients in ["org_a", "org_b,org_c"] {
        let mut actual = workspace.answer(sql, &["--recipients", recipients]);
        actual.sort();
        assert_eq!(actual, expected, "{recipients}");
    }
}

#[test]
fn comparisons_reach_the_ends_of_each_type() {
    let workspace = ledger(3, 3);
    assert_all_same(
        &workspace,
        &[
            "SELECT big FROM ledger WHERE big < 0",
            "SELECT COUNT(*) FROM ledger WHERE big = -9223372036854775808",
            "SELECT COUNT(*) FROM ledger WHERE big >= 9223372036854775807",
            "SELECT COUNT(*) FROM ledger WHERE tiny <= -32768 OR num >= 2147483647",
            "SELECT amount, big FROM ledger WHERE amount > -0.0001 AND amount < 99999999999999.9999",
            "SELECT COUNT(*) FROM ledger WHERE day < DATE '1970-01-01'",
            "SELECT label FROM ledger WHERE label > 'Z' AND label <> '日本'",
            "SELECT COUNT(*) FROM ledger WHERE label = ''",
            "SELECT COUNT(*), label FROM ledger WHERE label IN ('', 'Zoë', 'a,b') GROUP BY label",
            "SELECT label, kind FROM ledger WHERE kind IN ('red', 'blue') AND NOT flag",
            "SELECT CASE WHEN label = '12345678' THEN 'eight' WHEN label = '' THEN 'none' ELSE label END AS l, COUNT(*) FROM ledger GROUP BY 1",
            "SELECT kind, MAX(label), MIN(label), MIN(day) FROM ledger GROUP BY kind HAVING MIN(label) < 'b'",
            "SELECT flag, kind, MIN(big), MAX(amount) FROM ledger GROUP BY flag, kind HAVING MAX(amount) > 12.34",
            "SELECT SUM(tiny), SUM(num), SUM(amount), SUM(level) FROM ledger",
            "SELECT kind, SUM(tiny), SUM(num), SUM(amount), SUM(level), AVG(amount) FROM ledger GROUP BY kind",
            "SELECT kind, SUM(level * level), SUM(-level), SUM(ABS(level)) FROM ledger GROUP BY kind",
            "SELECT level, SUM(CASE WHEN flag THEN tiny ELSE -1 END) FROM ledger GROUP BY level",
            "SELECT SUM(tiny * 2 + level) AS s, COUNT(big) FROM ledger WHERE flag",
            "SELECT COUNT(*) FILTER (WHERE flag) AS yes, COUNT(*) FILTER (WHERE NOT flag) AS no FROM ledger",
            "SELECT kind, AVG(tiny) > 0 AS up FROM ledger GROUP BY kind",
            "SELECT amount + 1 AS x, amount * 2 AS y, amount - level AS z, -amount AS w FROM ledger",
            "SELECT label || kind || '!' AS l FROM ledger",
            "SELECT MAX(label || CAST(tiny AS VARCHAR)) AS m, MIN(CAST(amount AS VARCHAR)) AS n FROM ledger",
            "SELECT code, flag, COUNT(*) FROM ledger GROUP BY code, flag ORDER BY code DESC, flag",
            "SELECT COUNT(*) FROM ledger WHERE code = X'ffffffff'",
            "SELECT kind, SUM(amount) * 2.5 AS s, MAX(amount) + 0.00001 AS m, SUM(tiny) * SUM(level) AS p FROM ledger GROUP BY kind",
            "SELECT SUM(amount * level) AS s, AVG(amount) AS a, AVG(-amount * 3) AS b FROM ledger",
            "SELECT kind, SUM(num) * -3 AS s, ABS(MIN(amount)) AS m FROM ledger GROUP BY kind",
            "SELECT kind, MAX(day) > DATE '2000-01-01' AS late, MIN(code) AS c FROM ledger GROUP BY kind",
            "SELECT upper(kind) AS u, lower(label) AS l, length(label) AS n, octet_length(label) AS b FROM ledger",
            "SELECT level, MAX(big) - 1 AS m FROM ledger WHERE big > 0 GROUP BY level",
            "SELECT level, MIN(big) + 1 AS m FROM ledger WHERE big < 0 GROUP BY level",
            "SELECT CAST(MAX(level) AS SMALLINT) AS d, CAST(MIN(tiny) AS DECIMAL(8,3)) AS e FROM ledger",
            "SELECT label FROM ledger WHERE kind = 'mauve'",
            "SELECT kind, COUNT(*) FROM ledger WHERE kind LIKE '%r%' AND kind < 'h' GROUP BY kind",
            "SELECT day - DATE '2000-01-01' AS d FROM ledger",
            "SELECT CASE WHEN level > 0 THEN amount ELSE -amount END AS x, CASE level WHEN 5 THEN 1 ELSE 0 END AS y FROM ledger",
            "SELECT MAX(CASE WHEN flag THEN kind ELSE label END) AS m, MIN(CASE WHEN flag THEN 'x' ELSE label END) AS n FROM ledger",
            "SELECT GREATEST(tiny, level, num) AS g, LEAST(amount, level) AS l, GREATEST(label, kind) AS s FROM ledger",
            "SELECT kind FROM ledger UNION SELECT label FROM ledger ORDER BY 1 DESC LIMIT 3",
            "SELECT t, SUM(s) FROM (SELECT 'x' AS t, SUM(level) AS s FROM ledger UNION ALL SELECT 'longer', COUNT(*) FROM ledger) u GROUP BY t",
            "SELECT level, amount FROM ledger WHERE amount = 12.34 OR (amount > 12 AND level < 4.5)",
            "SELECT big, big = 17 OR big < -17 AS x FROM ledger WHERE big IN (17, 1, -9223372036854775808)",
            "SELECT SUM(CAST(big AS DECIMAL(20,0))) AS s FROM ledger",
            "SELECT amount FROM ledger UNION ALL SELECT level FROM ledger",
            "SELECT big FROM ledger UNION SELECT amount FROM ledger ORDER BY 1",
            "SELECT CAST(level AS VARCHAR) AS v, CAST(flag AS INT) AS f, CAST(day AS VARCHAR) AS d FROM ledger",
            "SELECT date_part('year', day) AS y, level % 2 AS p, COUNT(*) FROM ledger GROUP BY 1, 2",
            "SELECT MIN(level) IN (-5, 3) AS x, MAX(kind) IN ('red', 'blue') AS y FROM ledger",
            "SELECT level, GREATEST(MAX(num), MIN(big)) AS g, LEAST(COUNT(*), 2) AS l FROM ledger GROUP BY level",
            "SELECT flag, MAX(day) AS d, MIN(day) < DATE '1970-01-01' AS e FROM ledger GROUP BY flag HAVING MAX(day) <> DATE '2024-02-29'",
            "SELECT abs(level) AS a, level - 1 AS b, level * level AS c, -level AS d FROM ledger WHERE level + 1 > 0",
            "SELECT tiny + num AS s, tiny - num AS d, tiny * level AS p FROM ledger WHERE num BETWEEN -3 AND 3",
            "SELECT level % 3 AS m, level / 2 AS h, COUNT(*) FROM ledger GROUP BY 1, 2",
            "SELECT COUNT(*) FROM ledger WHERE at < TIMESTAMP '1970-01-01 00:00:00'",
            "SELECT at FROM ledger WHERE at >= TIMESTAMP '2262-04-11T23:47:16.854775807' OR at = '2024-02-29T12:00:00'",
            "SELECT seen FROM ledger WHERE seen > '2024-02-29T11:59:59' AND seen < '2200-12-31T23:59:59'",
            "SELECT kind, MAX(seen) AS l, MIN(at) AS f FROM ledger GROUP BY kind HAVING MIN(at) < TIMESTAMP '2000-01-01T00:00:00.5'",
            "SELECT flag, MAX(seen) > '2024-02-29T12:00:00' AS x, MAX(at) = TIMESTAMP '2024-02-29T12:00:00' AS y FROM ledger GROUP BY flag",
            "SELECT date_trunc('day', at) AS d, date_part('hour', seen) AS h, COUNT(*) FROM ledger WHERE at > '1900-01-01T00:00:00' GROUP BY 1, 2",
            "SELECT CAST(seen AS DATE) AS d, COUNT(*) FROM ledger GROUP BY 1",
            "SELECT CASE WHEN flag THEN seen ELSE TIMESTAMP '2000-01-01T00:00:00' END AS w FROM ledger WHERE seen < '2100-01-01T00:00:00' AND seen > '1900-01-01T00:00:00'",
            "SELECT GREATEST(MAX(at), TIMESTAMP '2000-01-01T00:00:00') AS g, MAX(at) IN ('2024-02-29T12:00:00') AS i FROM ledger",
            "SELECT MAX(CAST(at AS VARCHAR)) AS u FROM ledger",
            "SELECT at FROM ledger UNION SELECT CAST(day AS TIMESTAMP) FROM ledger WHERE day = DATE '2024-02-29' ORDER BY 1",
            "SELECT CAST(MAX(seen) AS TIMESTAMP(3)) AS f FROM ledger WHERE seen < CAST('9000-01-01T00:00:00' AS TIMESTAMP(0))",
        ],
    );
}

#[test]
fn null_in_results_of_one_party_meets_the_others_values() {
    let workspace = ledger(3, 22);
    let left = "org_a.ledger a LEFT JOIN org_a.ledger b ON a.level = b.level + 1";
    let over = |column: &str, outer: &str| {
        let inner =
            format!("SELECT b.{column} AS m FROM {left} UNION ALL SELECT {column} FROM ledger");
        outer.replace("$t", &format!("({inner}) t"))
    };
    let mut queries = Vec::new();
    for column in ["level", "big", "amount", "label", "day", "flag", "seen"] {
        queries.push(over(column, "SELECT m, COUNT(m), COUNT(*) FROM $t GROUP BY m"));
        queries.push(over(column, "SELECT DISTINCT m FROM $t"));
        queries.push(over(column, "SELECT m FROM $t ORDER BY m DESC"));
        queries.push(over(column, "SELECT m FROM $t ORDER BY m NULLS FIRST LIMIT 3"));
        queries.push(over(
            column,
            "SELECT COUNT(m), MAX(m), m IS NULL AS n FROM $t GROUP BY m IS NULL",
        ));
        // NULL is one value to set operations, and none to joins.
        let of = |party: &str, more: &str| {
            let left = left.replace("org_a", party);
            format!("SELECT b.{column} AS m{more} FROM {left}")
        };
        let both = |more: &str| format!("{} INTERSECT {}", of("org_a", more), of("org_c", more));
        queries.extend([both(""), both(", b.flag AS f"), both(", a.kind AS k")]);
        queries.push(format!("SELECT m, COUNT(*) FROM ({}) t GROUP BY m", both("")));
    }
    queries.push(over("amount", "SELECT SUM(m), AVG(m), MIN(m) FROM $t WHERE m IS NULL OR m < 5"));
    for more in [
        "SELECT kind, SUM(CASE WHEN flag THEN level END) AS s, AVG(CASE WHEN flag THEN amount END) AS a FROM ledger GROUP BY kind",
        "SELECT kind, SUM(CASE WHEN flag THEN level END) AS s FROM ledger GROUP BY kind ORDER BY s NULLS FIRST, kind",
        "SELECT s, COUNT(*) FROM (SELECT kind, SUM(CASE WHEN level > 4 THEN level END) AS s FROM ledger GROUP BY kind) t GROUP BY s",
        "SELECT kind, SUM(CASE WHEN level > 4 THEN level END) AS s FROM ledger GROUP BY kind HAVING SUM(CASE WHEN level > 4 THEN level END) IS NULL",
    ] {
        queries.push(more.to_owned());
    }
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    assert_all_same(&workspace, &queries);
}

#[test]
fn nullable_columns_are_like_others() {
    let workspace = with_nulls(ledger(3, 31), 31);
    let mut queries = Vec::new();
    for column in COLUMNS {
        queries.extend([
            format!("SELECT {column} FROM ledger ORDER BY {column} DESC"),
            format!("SELECT {column} FROM ledger ORDER BY {column} NULLS FIRST LIMIT 4"),
            format!("SELECT {column}, COUNT(*) AS n, COUNT({column}) AS m FROM ledger GROUP BY {column}"),
            format!("SELECT COUNT(DISTINCT {column}) AS n FROM ledger"),
            format!("SELECT DISTINCT {column}, kind AS k FROM ledger WHERE {column} IS NOT NULL"),
            format!("SELECT kind, MIN({column}) AS a, MAX({column}) AS b FROM ledger GROUP BY kind"),
            format!("SELECT {column} FROM org_a.ledger UNION SELECT {column} FROM org_c.ledger"),
            format!("SELECT {column} FROM org_a.ledger INTERSECT SELECT {column} FROM org_c.ledger"),
            format!("SELECT {column}, COUNT(*) AS n FROM ledger GROUP BY {column} HAVING {column} IS NULL OR COUNT(*) > 1"),
            format!("SELECT a.{column}, a.n, b.n AS m FROM (SELECT {column}, COUNT(*) AS n FROM ledger GROUP BY {column}) a \
                     JOIN (SELECT {column}, COUNT(*) AS n FROM org_c.ledger GROUP BY {column}) b ON a.{column} = b.{column}"),
        ]);
    }
    for column in ["tiny", "num", "amount", "level"] {
        queries.extend([
            format!("SELECT SUM({column}) AS s, COUNT({column}) AS c FROM ledger"),
            format!("SELECT kind, SUM({column}) AS s FROM ledger GROUP BY kind"),
            format!("SELECT COUNT(*) AS n FROM ledger WHERE {column} > 0 OR {column} IS NULL"),
            format!("SELECT CASE WHEN {column} > 0 THEN 'up' WHEN flag THEN label ELSE kind END AS c, COUNT(*) FROM ledger GROUP BY 1"),
        ]);
    }
    for more in [
        "SELECT flag AND tiny > 0 AS f, flag OR tiny > 0 AS g, NOT flag AS h FROM ledger",
        "SELECT COALESCE(level, 0) AS l, SUM(CASE WHEN flag THEN 1 END) AS s FROM ledger GROUP BY 1",
        "SELECT kind, label, day, COUNT(*) AS n FROM ledger GROUP BY kind, label, day ORDER BY n DESC, label, day, kind LIMIT 5",
        "SELECT level + tiny AS s, level * 2 AS d FROM ledger WHERE level IN (4, 5) OR tiny IS NULL",
        "SELECT GREATEST(level, 1) AS g, LEAST(tiny, level) AS m FROM ledger",
        "SELECT SUM(amount) AS s, AVG(amount) AS a, COUNT(amount) AS c FROM ledger",
        "SELECT AVG(amount) FILTER (WHERE flag IS TRUE) AS a, AVG(amount) FILTER (WHERE flag IS UNKNOWN) AS u FROM ledger",
        "SELECT kind, AVG(amount) FILTER (WHERE flag IS NOT FALSE) AS a FROM ledger GROUP BY kind",
        "SELECT COALESCE(a.level, 7) AS l, a.num FROM org_a.ledger a LEFT JOIN (SELECT level, COUNT(*) AS n FROM org_b.ledger WHERE level IS NOT NULL GROUP BY level) b ON COALESCE(a.level, 7) = b.level",
        "SELECT level FROM org_a.ledger WHERE level IS NOT NULL EXCEPT SELECT level FROM org_b.ledger",
        "SELECT level, label FROM ledger EXCEPT SELECT tiny, label FROM org_c.ledger",
        "SELECT num FROM org_a.ledger WHERE COALESCE(level, 1) NOT IN (SELECT COALESCE(tiny, 2) FROM org_b.ledger)",
        "SELECT kind, COALESCE(level, tiny, 3) AS l, COUNT(*) AS n FROM ledger GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT x.level FROM (SELECT level, MAX(num) AS m FROM ledger GROUP BY level) x WHERE x.m > 0",
    ] {
        queries.push(more.to_owned());
    }
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    assert_all_same(&workspace, &queries);
    // AVG over integers is declared to be another than DataFusion's.
    let average =
        |what: &str| format!("SELECT {what} AS a, SUM(num) AS s, COUNT(num) AS c FROM ledger");
    let reference = "ROUND(CAST(AVG(CAST(num AS DECIMAL(20,6))) AS DECIMAL(38,10)), 6)";
    let reference = average(&format!("CAST({reference} AS DECIMAL(25,6))"));
    compare(&workspace, &average("AVG(num)"), &reference, &Choices::default()).unwrap();
    // DataFusion itself refuses the first ones below DISTINCT.
    for (own, reference) in [
        ("flag IS TRUE", "COALESCE(flag, false)"),
        ("flag IS NOT FALSE", "COALESCE(flag, true)"),
        ("flag IS UNKNOWN", "flag IS NULL"),
    ] {
        for shape in [
            "SELECT DISTINCT # AS c FROM ledger",
            "SELECT # AS c FROM ledger UNION SELECT flag FROM ledger",
        ] {
            let [own, reference] = [own, reference].map(|value| shape.replace('#', value));
            compare(&workspace, &own, &reference, &Choices::default()).unwrap();
        }
    }
}

#[test]
fn what_several_aggregates_share_is_not_mixed_up() {
    let workspace = with_nulls(ledger(3, 35), 35);
    let average = |what: &str| {
        let exact = format!("CAST(AVG(CAST({what} AS DECIMAL(20,6))) AS DECIMAL(38,10))");
        format!("CAST(ROUND({exact}, 6) AS DECIMAL(25,6))")
    };
    for more in [
        "SUM(level) AS b",
        "SUM(level + 1) AS b",
        "SUM(level * 2) AS b, COUNT(level) AS c",
        "MAX(level * 3) AS b, SUM(level) AS c, COUNT(level + 1) AS d",
    ] {
        for what in ["level + 1", "level * 2", "level"] {
            for group in ["", " GROUP BY kind"] {
                let sql = format!("SELECT AVG({what}) AS a, {more} FROM ledger{group}");
                let reference = format!("SELECT {} AS a, {more} FROM ledger{group}", average(what));
                compare(&workspace, &sql, &reference, &Choices::default()).unwrap();
            }
        }
    }
}

/// The same with every column nullable, and every third cell NULL.
fn with_nulls(workspace: Workspace, seed: u64) -> Workspace {
    let mut random = Random::new(seed);
    let mut tables = workspace.into_tables();
    for table in &mut tables {
        for (_, _, more) in &mut table.columns {
            *more = match *more {
                "" => "nullable = true",
                "min = -5, max = 5" => "min = -5, max = 5, nullable = true",
                _ => "values = [\"red\", \"green\", \"blue\"], nullable = true",
            };
        }
        for cell in table.parts.iter_mut().flat_map(|(_, _, rows)| rows.iter_mut().flatten()) {
            if random.below(3) == 0 {
                NULL.clone_into(cell);
            }
        }
    }
    Workspace::new(3, tables)
}

#[test]
fn ties_are_broken_by_the_other_columns_before_the_limit() {
    let workspace = ledger(3, 5);
    let cases = [
        (
            "SELECT kind, label, day FROM ledger ORDER BY kind LIMIT 4",
            "SELECT kind, label, day FROM ledger ORDER BY kind, label, day LIMIT 4",
        ),
        (
            "SELECT level, big FROM ledger ORDER BY big DESC",
            "SELECT level, big FROM ledger ORDER BY big DESC, level",
        ),
        (
            "SELECT label, level FROM ledger ORDER BY flag DESC, kind LIMIT 5 OFFSET 1",
            "SELECT label, level FROM ledger ORDER BY flag DESC, kind, label, level LIMIT 5 OFFSET 1",
        ),
        (
            "SELECT day, amount, tiny FROM ledger LIMIT 3",
            "SELECT day, amount, tiny FROM ledger ORDER BY day, amount, tiny LIMIT 3 -- list",
        ),
        (
            "SELECT kind, COUNT(*) AS n FROM ledger GROUP BY kind ORDER BY n DESC LIMIT 2",
            "SELECT kind, COUNT(*) AS n FROM ledger GROUP BY kind ORDER BY n DESC, kind LIMIT 2",
        ),
        (
            "SELECT level AS l, COUNT(*) AS n FROM ledger GROUP BY level ORDER BY COUNT(*) LIMIT 3",
            "SELECT level AS l, COUNT(*) AS n FROM ledger GROUP BY level ORDER BY n, l LIMIT 3",
        ),
        (
            "SELECT amount FROM ledger ORDER BY amount * -1 LIMIT 3",
            "SELECT amount FROM ledger ORDER BY amount DESC LIMIT 3",
        ),
    ];
    for (sql, reference) in cases {
        compare(&workspace, sql, reference, &Choices::default()).unwrap();
    }
}
