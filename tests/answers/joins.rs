//! Joins across parties on unique keys, of two and more, under other names and column orders.

use super::clear::assert_all_same;
use crate::support::{Random, Table, Workspace};

/// Registers with different names for one key, in different columns; purchases refer to it.
fn registers(seed: u64) -> Workspace {
    let mut random = Random::new(seed);
    let mut keys =
        |many: i64| -> Vec<i64> { (-3..many).filter(|_| random.below(3) != 0).collect() };
    let (a, b, c, d) = (keys(9), keys(11), keys(7), keys(12));
    let row = |cells: &[String]| cells.to_vec();
    let people = a.iter().map(|k| row(&[k.to_string(), format!("p{k}"), (k * 7 % 5).to_string()]));
    let cards = b.iter().map(|k| row(&[format!("{}.50", k * 3), k.to_string()]));
    let visas =
        c.iter().map(|k| row(&[format!("20{:02}-01-31", k + 10), k.to_string(), "x".to_owned()]));
    let phones = d.iter().map(|k| row(&[k.to_string(), (k % 2 == 0).to_string()]));
    let purchases = (0..9).map(|_| {
        let who = random.between(-4, 9);
        row(&[random.between(-50, 50).to_string(), who.to_string(), random.below(4).to_string()])
    });
    let purchases: Vec<_> = purchases.collect();
    let pairs = |random: &mut Random| -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for x in 0..4i64 {
            for y in ["", "u", "日"] {
                if random.below(2) == 0 {
                    rows.push(row(&[
                        x.to_string(),
                        y.to_owned(),
                        random.between(-9, 9).to_string(),
                    ]));
                }
            }
        }
        rows
    };
    let links = [pairs(&mut random), pairs(&mut random)];
    let [left, right] = links;
    let table = |name, columns, parts| Table { name, columns, parts };
    Workspace::new(
        5,
        vec![
            table(
                "people",
                vec![
                    ("pid", "INT", "unique = true"),
                    ("alias", "VARCHAR(4)", ""),
                    ("grade", "SMALLINT", ""),
                ],
                vec![(0, 14, people.collect())],
            ),
            table(
                "cards",
                vec![("debt", "DECIMAL(9,2)", ""), ("holder", "BIGINT", "unique = true")],
                vec![(1, 15, cards.collect())],
            ),
            table(
                "visas",
                vec![
                    ("ends", "DATE", ""),
                    ("bearer", "INT", "unique = true, min = -3, max = 20"),
                    ("mark", "VARCHAR(1)", ""),
                ],
                vec![(2, 12, visas.collect())],
            ),
            table(
                "phones",
                vec![("owner", "SMALLINT", "unique = true"), ("mobile", "BOOLEAN", "")],
                vec![(3, 16, phones.collect())],
            ),
            table(
                "purchases",
                vec![
                    ("cost", "INT", ""),
                    ("buyer", "INT", ""),
                    ("shop", "SMALLINT", "min = 0, max = 3"),
                ],
                vec![(3, 6, purchases[..4].to_vec()), (4, 9, purchases[4..].to_vec())],
            ),
            table(
                "links",
                vec![("x", "INT", ""), ("y", "VARCHAR(3)", ""), ("w", "INT", "")],
                vec![(0, 12, left), (2, 12, right)],
            ),
        ],
    )
}

#[test]
fn joins_on_unique_keys_equal_datafusion() {
    for seed in [1, 2, 3] {
        assert_all_same(
            &registers(seed),
            &[
                "SELECT p.alias, c.debt FROM people p JOIN cards c ON p.pid = c.holder",
                "SELECT p.pid, c.holder, v.bearer FROM people p JOIN cards c ON p.pid = c.holder JOIN visas v ON v.bearer = c.holder",
                "SELECT p.alias, v.ends, f.mobile FROM phones f, visas v, people p, cards c WHERE f.owner = v.bearer AND c.holder = f.owner AND p.pid = v.bearer",
                "SELECT COUNT(*), SUM(c.debt), MAX(v.ends) FROM people p JOIN cards c ON p.pid = c.holder JOIN visas v ON p.pid = v.bearer WHERE c.debt > 1 AND p.grade < 4",
                "SELECT f.mobile, COUNT(*) AS n, SUM(p.grade) FROM people p JOIN phones f ON f.owner = p.pid GROUP BY f.mobile",
                "SELECT p.grade + c.debt AS x, p.pid FROM people p JOIN cards c ON p.pid = c.holder WHERE p.grade * 2 > c.debt",
                "SELECT p.alias, c.debt FROM people p JOIN cards c ON p.pid = c.holder ORDER BY c.debt DESC, p.alias LIMIT 2",
                "SELECT * FROM people p JOIN cards c ON p.pid = c.holder",
                "SELECT DISTINCT p.grade FROM people p JOIN visas v ON p.pid = v.bearer",
                "SELECT v.mark, CASE WHEN c.debt > 5 THEN 'high' ELSE 'low' END AS band, COUNT(*) FROM visas v JOIN cards c ON c.holder = v.bearer GROUP BY 1, 2",
                "SELECT p.alias FROM people p JOIN cards c ON p.pid = c.holder AND p.grade > 1 AND c.debt < 20",
                "SELECT alias, debt FROM people JOIN cards ON pid = holder WHERE pid BETWEEN 0 AND 5",
                "SELECT t.pid FROM (SELECT pid, grade FROM people WHERE grade > 0) t JOIN (SELECT holder AS h FROM cards WHERE debt > 0) u ON t.pid = u.h",
            ],
        );
    }
}

#[test]
fn foreign_keys_and_pairs_of_columns_join() {
    for seed in [4, 5] {
        assert_all_same(
            &registers(seed),
            &[
                "SELECT b.cost, p.alias FROM purchases b JOIN people p ON b.buyer = p.pid",
                "SELECT p.grade, SUM(b.cost) AS s, COUNT(*) FROM purchases b JOIN people p ON b.buyer = p.pid GROUP BY p.grade",
                "SELECT b.cost, b.shop, p.alias FROM org_d.purchases b JOIN people p ON p.pid = b.buyer WHERE b.cost > p.grade",
                "SELECT b.shop, MAX(c.debt) FROM purchases b JOIN cards c ON b.buyer = c.holder GROUP BY b.shop ORDER BY b.shop",
                "SELECT b.cost, c.debt, p.alias FROM purchases b JOIN cards c ON b.buyer = c.holder JOIN people p ON p.pid = b.buyer",
                "SELECT l.w, r.w FROM (SELECT x, y, SUM(w) AS w FROM org_a.links GROUP BY x, y) l JOIN (SELECT x, y, MAX(w) AS w FROM org_c.links GROUP BY x, y) r ON l.x = r.x AND l.y = r.y",
                "SELECT g.buyer, g.s, p.alias FROM (SELECT buyer, SUM(cost) AS s FROM purchases GROUP BY buyer) g JOIN people p ON p.pid = g.buyer",
                "SELECT pid FROM people WHERE pid IN (SELECT holder FROM cards)",
                "SELECT pid, alias FROM people WHERE pid IN (SELECT holder FROM cards WHERE debt > 3) AND grade > 0",
                "SELECT alias FROM people p WHERE EXISTS (SELECT 1 FROM cards c WHERE c.holder = p.pid)",
            ],
        );
    }
}

#[test]
fn a_single_row_stands_beside_every_row() {
    for seed in [6, 7] {
        assert_all_same(
            &registers(seed),
            &[
                "SELECT pid FROM people WHERE grade > (SELECT MIN(cost) FROM purchases)",
                "SELECT p.pid, p.grade - s.m AS d FROM people p, (SELECT MAX(cost) AS m FROM purchases) s",
                "SELECT s.m, p.pid FROM (SELECT MAX(cost) AS m FROM purchases) s CROSS JOIN people p ORDER BY p.pid DESC",
                "SELECT pid, grade - (SELECT MAX(cost) FROM purchases) AS d FROM people",
                "SELECT pid, (SELECT COUNT(*) FROM cards) AS n, (SELECT MAX(cost) FROM purchases WHERE cost > 1000) AS m FROM people WHERE grade > 1",
                "SELECT buyer, cost FROM purchases WHERE cost >= (SELECT MAX(cost) - 10 FROM purchases) AND shop < (SELECT COUNT(*) FROM cards)",
                "SELECT b.shop, COUNT(*) FROM purchases b WHERE b.cost < (SELECT MAX(debt) FROM cards) GROUP BY b.shop HAVING COUNT(*) > (SELECT MIN(grade) FROM people)",
                "SELECT p.alias FROM people p JOIN cards c ON p.pid = c.holder WHERE c.debt > (SELECT MIN(cost) FROM purchases)",
                "SELECT a.n, b.n FROM (SELECT COUNT(*) AS n FROM purchases) a, (SELECT SUM(debt) AS n FROM cards) b",
                "SELECT pid FROM people WHERE grade > (SELECT MAX(cost) FROM purchases WHERE cost > 1000)",
                "SELECT pid FROM people WHERE grade >= (SELECT COUNT(*) FROM purchases WHERE cost > 1000)",
                "SELECT buyer FROM purchases WHERE cost = (SELECT MAX(cost) FROM purchases)",
                "SELECT cost FROM purchases WHERE cost >= (SELECT cost FROM purchases ORDER BY cost DESC LIMIT 1 OFFSET 2)",
                "SELECT COUNT(*) FROM people p, (SELECT holder FROM cards WHERE holder = 3 LIMIT 1) c WHERE p.pid < c.holder",
                "SELECT alias FROM people WHERE alias > (SELECT MIN(mark) FROM visas) ORDER BY alias LIMIT 3",
            ],
        );
    }
}

#[test]
fn rows_without_a_partner_are_kept_or_sought() {
    for seed in [8, 9] {
        assert_all_same(
            &registers(seed),
            &[
                "SELECT p.pid, p.alias, c.debt, c.holder FROM people p LEFT JOIN cards c ON p.pid = c.holder",
                "SELECT b.cost, b.buyer, p.alias FROM purchases b LEFT JOIN people p ON b.buyer = p.pid",
                "SELECT p.alias, c.debt FROM people p RIGHT JOIN cards c ON p.pid = c.holder",
                "SELECT b.shop, COUNT(*), COUNT(p.pid), SUM(p.grade), MIN(p.alias) FROM purchases b LEFT JOIN people p ON b.buyer = p.pid GROUP BY b.shop ORDER BY b.shop",
                "SELECT p.alias, COUNT(*) AS n FROM purchases b LEFT JOIN people p ON b.buyer = p.pid GROUP BY p.alias",
                "SELECT p.pid FROM people p LEFT JOIN cards c ON p.pid = c.holder WHERE c.holder IS NULL",
                "SELECT p.pid, COALESCE(c.debt, 0) AS d FROM people p LEFT JOIN cards c ON p.pid = c.holder AND c.debt > 5 ORDER BY d DESC, p.pid LIMIT 4",
                "SELECT p.pid, c.debt, v.ends FROM people p LEFT JOIN cards c ON p.pid = c.holder LEFT JOIN visas v ON p.pid = v.bearer",
                "SELECT p.pid, c.debt, f.mobile FROM people p JOIN cards c ON p.pid = c.holder LEFT JOIN phones f ON f.owner = p.pid",
                "SELECT p.pid, x.n FROM people p LEFT JOIN (SELECT buyer, COUNT(*) AS n FROM purchases GROUP BY buyer) x ON x.buyer = p.pid",
                "SELECT l.x, l.y, l.w, r.w FROM (SELECT x, y, SUM(w) AS w FROM org_a.links GROUP BY x, y) l LEFT JOIN (SELECT x, y, MAX(w) AS w FROM org_c.links GROUP BY x, y) r ON l.x = r.x AND l.y = r.y",
                "SELECT p.pid, c.debt FROM people p LEFT JOIN cards c ON p.pid + 1 = c.holder",
                "SELECT pid FROM people WHERE NOT EXISTS (SELECT 1 FROM cards c WHERE c.holder = people.pid)",
                "SELECT pid, alias FROM people WHERE pid NOT IN (SELECT holder FROM cards WHERE debt > 3) AND grade > 0",
                "SELECT buyer, cost FROM purchases b WHERE NOT EXISTS (SELECT 1 FROM people p WHERE p.pid = b.buyer)",
                "SELECT shop, COUNT(*) FROM purchases WHERE buyer NOT IN (SELECT pid FROM people) GROUP BY shop",
                "SELECT pid FROM people EXCEPT SELECT buyer FROM purchases",
                "SELECT buyer, shop FROM purchases EXCEPT SELECT pid, grade FROM people",
                "SELECT shop FROM purchases EXCEPT ALL SELECT pid FROM people",
                "SELECT alias FROM people EXCEPT SELECT mark FROM visas ORDER BY alias",
                "SELECT pid FROM people WHERE NOT EXISTS (SELECT 1 FROM cards c WHERE c.holder = people.pid) AND EXISTS (SELECT 1 FROM visas v WHERE v.bearer = people.pid)",
                "SELECT COUNT(*) FROM people p LEFT JOIN cards c ON p.pid = c.holder WHERE c.debt > (SELECT MIN(cost) FROM purchases) OR c.debt IS NULL",
            ],
        );
    }
}
