//! Tables in files and in a PostgreSQL database: the same rows, the same checks, no more read than
//! needed. The database is what `.ci/services` starts; without one these tests say so and pass.

use crate::support::{Table, Workspace, party_name};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tokio_postgres::NoTls;

/// The server that `.ci/services` has started.
struct Server {
    url: String,
    password: String,
    certificate: PathBuf,
}

impl Server {
    fn find() -> Option<Self> {
        let Ok(url) = std::env::var("SENATE_TEST_POSTGRES") else {
            eprintln!("skipped: no PostgreSQL server; run `.ci/services cargo test sources`");
            return None;
        };
        let passwords = fs::read_to_string(std::env::var("PGPASSFILE").unwrap()).unwrap();
        let password = passwords.trim().rsplit(':').next().unwrap().to_owned();
        let certificate = std::env::var("SENATE_TEST_POSTGRES_CA").unwrap().into();
        Some(Self { url, password, certificate })
    }

    fn execute(&self, sql: &str) -> String {
        let mut config: tokio_postgres::Config = self.url.parse().unwrap();
        config.password(&self.password);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            let driver = tokio::spawn(connection);
            let answer = client.simple_query(sql).await.unwrap();
            driver.abort();
            let rows = answer.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            rows.collect::<Vec<_>>().join("\n")
        })
    }
}

/// Two holders of a table; the rows of the first are in the database.
struct Place {
    server: Server,
    workspace: Workspace,
}

impl Place {
    fn new(relation: &str, create: &str) -> Option<Self> {
        let server = Server::find()?;
        server.execute(&format!("DROP TABLE IF EXISTS {relation}; {create}"));
        let rows = |rows: &[[&str; 3]]| {
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
        };
        let columns = vec![
            ("id", "INT", "unique = true, min = 0, max = 100"),
            ("price", "DECIMAL(9,2)", ""),
            ("name", "VARCHAR(8)", ""),
        ];
        let parts =
            vec![(0, 4, rows(&[])), (1, 4, rows(&[["1", "2.50", "b"], ["9", "1.00", "ab"]]))];
        let workspace = Workspace::new(2, vec![Table { name: "items", columns, parts }]);
        let place = Self { server, workspace };
        place.source(&format!("table = \"{relation}\"\n"), "");
        Some(place)
    }

    fn source(&self, more: &str, parameters: &str) {
        let folder = self.workspace.path().join(party_name(0));
        let _ = fs::remove_file(folder.join("items.csv"));
        let url = format!("{}{parameters}", self.server.url);
        let text = format!("[source.items]\npostgres = \"{url}\"\n{more}");
        fs::write(folder.join("party.toml"), text).unwrap();
    }

    fn query(&self, sql: &str, setting: (&str, &str)) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_senate"));
        command.args(["query", "--format", "csv", "--local"]).arg(self.workspace.path());
        command.env(setting.0, setting.1).arg(sql).output().unwrap()
    }

    fn answer(&self, sql: &str) -> String {
        let output = self.query(sql, ("SENATE", ""));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refusal(&self, sql: &str, exit: i32) -> String {
        let output = self.query(sql, ("SENATE", ""));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{stderr}");
        assert!(output.stdout.is_empty() && !stderr.contains(&self.server.password), "{stderr}");
        stderr
    }
}

const ALL: &str = "SELECT id, price, name FROM items ORDER BY id";

#[test]
fn rows_of_a_database_are_read_as_they_are() {
    let create = "CREATE TABLE rows_as_they_are (id bigint, price numeric(9,2), name text); \
        INSERT INTO rows_as_they_are VALUES (3, 1.5, 'NULL'), (2, -7, ''), (5, 0.01, 'a\"b,c\nd')";
    let Some(place) = Place::new("rows_as_they_are", create) else { return };
    let expected = "id,price,name\n1,2.50,b\n2,-7.00,\"\"\n3,1.50,NULL\n5,0.01,\"a\"\"b,c\nd\"\n\
        9,1.00,ab\n";
    assert_eq!(place.answer(ALL), expected);
    place.source("query = \"SELECT id, price, name FROM rows_as_they_are WHERE id < 4\"", "");
    assert_eq!(place.answer("SELECT COUNT(*) AS n FROM items"), "n\n4\n");
    let ca = place.server.certificate.display().to_string();
    let verified = format!("table = \"rows_as_they_are\"\nca = \"{ca}\"\n");
    let by_name = place.server.url.replace("127.0.0.1", "localhost");
    let by_name = Place { server: Server { url: by_name, ..place.server }, ..place };
    by_name.source(&verified, "?sslmode=require");
    assert_eq!(by_name.answer(ALL), expected);
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_talked_to() {
    let create = "CREATE TABLE vouched (id int, price numeric, name text)";
    let Some(place) = Place::new("vouched", create) else { return };
    let (other, _) = senate::identity::Identity::generate("x").unwrap();
    let path = place.workspace.path().join("other.pem");
    let der = other.certificate();
    let base64 = data_encoding::BASE64_MIME.encode(&der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}-----END CERTIFICATE-----\n");
    fs::write(&path, pem).unwrap();
    let source = format!("table = \"vouched\"\nca = \"{}\"\n", path.display());
    place.source(&source, "?sslmode=require");
    let stderr = place.refusal(ALL, 4);
    assert!(stderr.contains("vouches"), "{stderr}");
}

#[test]
fn only_needed_columns_and_rows_are_read() {
    let create = "CREATE TABLE needed (id int, price numeric(9,2), name varchar(8)); \
        INSERT INTO needed VALUES (3, 1, 'x'), (4, 2, 'y'), (20, 3.4, 'z')";
    let Some(place) = Place::new("needed", create) else { return };
    // Divides by zero where the row with id 3 is read with its price.
    let fragile = "query = \"SELECT id, price / (id - 3) AS price, name FROM needed\"\n";
    place.source(fragile, "");
    assert_eq!(place.answer("SELECT COUNT(*) AS n FROM items WHERE name = 'x'"), "n\n1\n");
    let filtered = "SELECT id, name FROM items WHERE id > 3 ORDER BY id";
    assert_eq!(place.answer(filtered), "id,name\n4,y\n9,ab\n20,z\n");
    let stderr = place.refusal("SELECT SUM(price) AS s FROM items", 6);
    assert!(stderr.contains("SQLSTATE 22012"), "{stderr}");
}

#[test]
fn days_and_times_of_a_database_are_read_and_compared_as_they_are() {
    let Some(server) = Server::find() else { return };
    server.execute(
        "DROP TABLE IF EXISTS times; CREATE TABLE times (day date, at timestamp); INSERT INTO times \
         VALUES ('2024-02-29', '2024-02-29 23:59:59.5'), ('0001-01-01', NULL), \
         ('9999-12-31', '0001-01-01 00:00:00.000001')",
    );
    let columns = vec![("day", "DATE", ""), ("at", "TIMESTAMP(6)", "nullable = true")];
    let parts = vec![(0, 4, vec![]), (1, 4, vec![vec!["1970-01-01".into(), "1970-01-01".into()]])];
    let workspace = Workspace::new(2, vec![Table { name: "items", columns, parts }]);
    let place = Place { server, workspace };
    place.source("table = \"times\"\n", "");
    let all = "day,at\n0001-01-01,\n1970-01-01,1970-01-01T00:00:00\n\
        2024-02-29,2024-02-29T23:59:59.500\n9999-12-31,0001-01-01T00:00:00.000001\n";
    assert_eq!(place.answer("SELECT day, at FROM items ORDER BY day"), all);
    for (filter, rows) in [
        ("day > DATE '0000-12-31'", 4),
        ("day < DATE '0001-01-02'", 1),
        ("at >= CAST('2024-02-29T23:59:59.5' AS TIMESTAMP(6))", 1),
        ("at < CAST('0001-01-01T00:00:00.000002' AS TIMESTAMP(6))", 1),
        ("at > CAST('0000-12-31T00:00:00' AS TIMESTAMP(6))", 3),
    ] {
        let sql = format!("SELECT COUNT(*) AS n FROM items WHERE {filter}");
        assert_eq!(place.answer(&sql), format!("n\n{rows}\n"), "{filter}");
    }
    for (change, why) in [
        ("UPDATE times SET at = 'infinity'", "row 1, column at: not a value of type TIMESTAMP(6)"),
        ("ALTER TABLE times ALTER at TYPE timestamptz", "column at has type timestamptz"),
    ] {
        place.server.execute(change);
        let stderr = place.refusal("SELECT day, at FROM items", 6);
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn text_of_a_query_stays_text_in_the_database() {
    let create = "CREATE TABLE stays (id int, price numeric, name text); \
        INSERT INTO stays VALUES (3, 1, 'a''\\b'), (4, 2, 'y')";
    let Some(place) = Place::new("stays", create) else { return };
    assert_eq!(place.answer("SELECT id FROM items WHERE name = 'a''\\b'"), "id\n3\n");
    for attack in ["x''; DROP TABLE stays; --", "\\''; DROP TABLE stays; --", "x'' OR ''1''=''1"] {
        let sql = format!("SELECT COUNT(*) AS n FROM items WHERE name = '{attack}'");
        assert_eq!(place.answer(&sql), "n\n0\n", "{attack}");
    }
    place.source(
        "query = \"WITH gone AS (DELETE FROM stays RETURNING *) SELECT * FROM gone\"\n",
        "",
    );
    place.refusal(ALL, 6);
    assert_eq!(place.server.execute("SELECT count(*) FROM stays"), "2");
}

#[test]
fn rows_that_break_their_declaration_are_refused_without_being_shown() {
    let row = |values: &str| format!("INSERT INTO broken VALUES {values}");
    let cases = [
        (row("(1, 1, 'a'), (2, NULL, 'b')"), "row 2, column price: NULL in a NOT NULL column"),
        (row("(1, 1, 'a'), (1, 2, 'b')"), "column id: a value that occurs twice"),
        (row("(777, 1, 'a')"), "row 1, column id: a value outside 0 to 100"),
        (row("(1, 0.125, 'a')"), "row 1, column price: not a value of type DECIMAL(9,2)"),
        (row("(1, 'NaN', 'a')"), "row 1, column price: not a value"),
        (row("(1, 1, 'secret-name')"), "column name: 11 bytes are longer than VARCHAR(8)"),
        (row("(1, 1, 'a'), (2, 1, 'a'), (3, 1, 'a'), (4, 1, 'a'), (5, 1, 'a')"), "capacity 4"),
        ("ALTER TABLE broken ALTER name TYPE char(8)".to_owned(), "column name has type bpchar"),
        ("ALTER TABLE broken ALTER id TYPE float8".to_owned(), "column id has type float8"),
        ("ALTER TABLE broken DROP COLUMN name".to_owned(), "`name` is not there exactly once"),
        ("ALTER TABLE broken RENAME TO broken_2".to_owned(), "relation \"broken\" does not exist"),
    ];
    for (change, why) in cases {
        let create = "DROP TABLE IF EXISTS broken_2; \
            CREATE TABLE broken (id int, price numeric, name text)";
        let Some(place) = Place::new("broken", create) else { return };
        place.server.execute(&change);
        let stderr = place.refusal(ALL, 6);
        assert!(stderr.contains(why) && stderr.contains("party org_a, table items"), "{stderr}");
        assert!(!stderr.contains("777") && !stderr.contains("secret-name"), "{stderr}");
    }
}

#[test]
fn a_wrong_password_and_an_absent_server_are_told_apart() {
    let create = "CREATE TABLE apart (id int, price numeric, name text)";
    let Some(place) = Place::new("apart", create) else { return };
    let output = place.query(ALL, ("PGPASSWORD", "wrong-password"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("PGPASSWORD") && !stderr.contains("wrong-password"), "{stderr}");
    let absent = "postgresql://senate@127.0.0.1:1/postgres".to_owned();
    let place = Place { server: Server { url: absent, ..place.server }, ..place };
    place.source("table = \"apart\"\n", "");
    assert!(place.refusal(ALL, 4).contains("see that the server runs"));
}
