//! Tables in a PostgreSQL database: the needed columns of one relation, for the rows that a query's
//! filters do not rule out, in one read-only snapshot. Everything else is DataFusion's.

mod connect;
mod predicate;
mod types;

use super::check::{Cells, capacity};
use super::{DeclaredColumn, Need, Place, csv, values};
use crate::failure::{Cause, Failure, Outcome};
use connect::Link;
use futures_util::StreamExt;
use postgres_protocol::escape::escape_identifier;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{IsolationLevel, SimpleQueryMessage, Statement, Transaction};

pub(crate) use types::{Inferred, inferred};

/// How long reading a table may take.
const READ_MAX: Duration = Duration::from_secs(300);
/// Most bytes of a table's text form.
const TABLE_BYTES_MAX: usize = 4 << 30;
/// What the text form of values depends on.
const SETTINGS: &str = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL statement_timeout = '300s'; SET LOCAL idle_in_transaction_session_timeout = '300s'";

/// A relation in a database. Passwords are no part of it: they come from PGPASSWORD or a password
/// file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    /// `postgresql://[user@]host[:port]/database[?sslmode=…]`
    pub url: String,
    /// A query whose rows are the table's; without one, the relation `table`.
    pub query: Option<String>,
    /// The table, possibly with its schema (`ehr.visits`).
    pub table: String,
    /// Certificates of the authorities that vouch for the server, in PEM.
    pub ca: Option<PathBuf>,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Relation {
    /// What to put behind FROM.
    fn relation_sql(&self) -> String {
        match &self.query {
            // A line break ends a comment at the query's end.
            Some(query) => format!("(\n{}\n) AS \"source\"", query.trim().trim_end_matches(';')),
            None => self.table.split('.').map(escape_identifier).collect::<Vec<_>>().join("."),
        }
    }

    /// Checks what can be checked without the server.
    ///
    /// # Errors
    /// Usage for a malformed URL, one with a password, or missing certificates.
    pub fn check(&self) -> Outcome<()> {
        connect::settings(self).map(drop)
    }
}

/// A column as the database has it.
pub(crate) struct Found {
    /// Name.
    pub(crate) name: String,
    /// Type.
    pub(crate) kind: Type,
}

/// The declared columns that are needed, at least one, and their cells.
///
/// # Errors
/// Lost when the server cannot be reached; input when the relation differs from the declaration.
pub(super) async fn read<'a>(
    place: &Place<'a>,
    relation: &Relation,
    need: &Need,
) -> Outcome<(Vec<&'a DeclaredColumn>, Vec<Cells>)> {
    let reading = async {
        let mut link = Link::open(relation).await?;
        let snapshot = snapshot(&mut link).await.map_err(|error| failed(place, &error))?;
        read_from(place, relation, need, &snapshot).await
    };
    match tokio::time::timeout(READ_MAX, reading).await {
        Ok(read) => read,
        Err(_) => Err(place.whole(format!("not read within {} s", READ_MAX.as_secs()))),
    }
}

async fn read_from<'a>(
    place: &Place<'a>,
    relation: &Relation,
    need: &Need,
    snapshot: &Transaction<'_>,
) -> Outcome<(Vec<&'a DeclaredColumn>, Vec<Cells>)> {
    let from = relation.relation_sql();
    let failed = |error| failed(place, &error);
    let statement = snapshot.prepare(&format!("SELECT * FROM {from}")).await.map_err(failed)?;
    let found = types::declared(place, &columns_of(&statement))?;
    capacity(place, count(snapshot, &from).await.map_err(failed)?)?;
    let mut read: Vec<&DeclaredColumn> =
        place.table.columns.iter().filter(|column| need.has(&column.name)).collect();
    if read.is_empty() {
        // Rows are counted by one column.
        read.extend(place.table.columns.first());
    }
    let names: Vec<String> = read.iter().map(|column| escape_identifier(&column.name)).collect();
    let filter = need.filter.as_ref().and_then(|filter| predicate::superset(filter, &found));
    let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    let select = format!("SELECT {} FROM {from}{filter}", names.join(", "));
    tracing::debug!(table = %place.table.name, columns = names.len(), filtered = !filter.is_empty(),
        "reading from PostgreSQL");
    let text = copy(snapshot, &select).await.map_err(failed)?;
    let text = text.map_err(|why| place.whole(why))?;
    let records =
        csv::records(&text).map_err(|(line, why)| place.whole(format!("line {line}: {why}")))?;
    let mut cells = vec![Vec::with_capacity(records.len()); read.len()];
    for (row, record) in records.into_iter().enumerate() {
        if record.fields.len() != read.len() {
            return Err(place.whole(format!("row {}: another number of fields", row + 1)));
        }
        for ((column, field), cells) in read.iter().zip(record.fields).zip(&mut cells) {
            let cell = field.map(|text| values::parse(&text, column.kind.sql)).transpose();
            let spot = || format!("row {}", row + 1);
            cells.push(cell.map_err(|why| place.violation(&spot(), &column.name, why))?);
        }
    }
    Ok((read, cells))
}

/// A whole relation as text, with the types that its columns have there.
///
/// # Errors
/// Lost when the server cannot be reached; input when it refuses.
pub(crate) async fn sample(relation: &Relation) -> Outcome<(Vec<Found>, Vec<csv::Record>)> {
    let reading = async {
        let mut link = Link::open(relation).await?;
        let refused = |error| Failure::input(format!("{relation}: {}", explained(&error)));
        let snapshot = snapshot(&mut link).await.map_err(refused)?;
        let all = format!("SELECT * FROM {}", relation.relation_sql());
        let statement = snapshot.prepare(&all).await.map_err(refused)?;
        let text = copy(&snapshot, &all).await.map_err(refused)?;
        let text = text.map_err(|why| Failure::input(format!("{relation}: {why}")))?;
        let records = csv::records(&text)
            .map_err(|(line, why)| Failure::input(format!("{relation}: line {line}: {why}")))?;
        Ok((columns_of(&statement), records))
    };
    match tokio::time::timeout(READ_MAX, reading).await {
        Ok(read) => read,
        Err(_) => {
            Err(Failure::input(format!("{relation}: not read within {} s", READ_MAX.as_secs())))
        }
    }
}

/// One snapshot in which nothing can be changed.
async fn snapshot(link: &mut Link) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let builder = link.client.build_transaction().read_only(true);
    let snapshot = builder.isolation_level(IsolationLevel::RepeatableRead).start().await?;
    snapshot.batch_execute(SETTINGS).await?;
    Ok(snapshot)
}

fn columns_of(statement: &Statement) -> Vec<Found> {
    let found = statement.columns().iter();
    found
        .map(|column| Found { name: column.name().to_owned(), kind: column.type_().clone() })
        .collect()
}

async fn count(snapshot: &Transaction<'_>, from: &str) -> Result<usize, tokio_postgres::Error> {
    let answer = snapshot.simple_query(&format!("SELECT count(*) FROM {from}")).await?;
    let count = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|count| count.parse().ok()),
        _ => None,
    });
    Ok(count.unwrap_or(usize::MAX))
}

/// The rows as CSV in which, as in ours, an unquoted empty field is NULL, or why there are none.
async fn copy(
    snapshot: &Transaction<'_>,
    select: &str,
) -> Result<Result<String, &'static str>, tokio_postgres::Error> {
    let copy = format!("COPY ({select}\n) TO STDOUT (FORMAT csv)");
    let mut stream = Box::pin(snapshot.copy_out(copy.as_str()).await?);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > TABLE_BYTES_MAX {
            return Ok(Err("the table is too large to be read"));
        }
    }
    const ENCODING: &str = "text that is not UTF-8: convert it in the `query` of its [source]";
    Ok(String::from_utf8(bytes).map_err(|_| ENCODING))
}

fn failed(place: &Place<'_>, error: &tokio_postgres::Error) -> Failure {
    let failure = place.whole(explained(error));
    match error.as_db_error() {
        Some(refusal) if refusal.code().code().starts_with("42") => {
            failure.with_remedy("correct `query` or `table` in [source] of party.toml")
        }
        Some(_) => failure,
        None => Failure { cause: Cause::Lost, ..failure },
    }
}

/// What the server said, unless that can hold a cell.
fn explained(error: &tokio_postgres::Error) -> String {
    let Some(refusal) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return format!("{error}{}", cause.unwrap_or_default());
    };
    let code = refusal.code().code();
    // Connection, authorisation, names, syntax, resources, the operator; not data or constraints.
    let is_plain = ["08", "25", "28", "3D", "3F", "42", "53", "57"]
        .iter()
        .any(|class| code.starts_with(class));
    match is_plain {
        true => format!("PostgreSQL: {} (SQLSTATE {code})", refusal.message()),
        false => format!("PostgreSQL refuses the query (SQLSTATE {code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(query: Option<&str>, table: &str) -> Relation {
        let url = "postgresql://localhost/ehr".to_owned();
        Relation { url, query: query.map(str::to_owned), table: table.to_owned(), ca: None }
    }

    #[test]
    fn names_are_quoted_and_queries_wrapped() {
        let visits = relation(None, "ehr.Visits\"x");
        assert_eq!(visits.relation_sql(), "\"ehr\".\"Visits\"\"x\"");
        let wrapped = relation(Some("SELECT 1 AS a; "), "t").relation_sql();
        assert_eq!(wrapped, "(\nSELECT 1 AS a\n) AS \"source\"");
    }
}
