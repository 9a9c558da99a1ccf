//! `\d`: what the federation file says about tables.

use crate::failure::{Failure, Outcome};
use senate_planner::catalog::{Federation, Table, TableColumn};
use senate_planner::text::spell;
use senate_planner::types::ColumnType;
use std::fmt::Write;

/// All tables with their holders.
pub(super) fn tables(federation: &Federation) -> String {
    let mut rows = vec![vec!["Table".to_owned(), "Columns".to_owned(), "Held by".to_owned()]];
    for table in &federation.tables {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let holders = table.holders.iter().map(|holder| federation.party_name(holder.party));
        let holders = holders.collect::<Vec<_>>().join(", ");
        rows.push(vec![table.name.clone(), columns.join(", "), holders]);
    }
    aligned(&rows)
}

/// One table, by its name or as party.table.
///
/// # Errors
/// Usage when there is none.
pub(super) fn table(federation: &Federation, name: &str) -> Outcome<String> {
    let (party, name) = match name.split_once('.') {
        Some((party, table)) => (Some(party), table),
        None => (None, name),
    };
    let table = federation.table(name).filter(|table| match party {
        Some(party) => federation.party(party).is_some_and(|party| table.holder(party).is_some()),
        None => true,
    });
    let table = table.ok_or_else(|| {
        Failure::usage(format!("no table {name}")).with_remedy("\\d lists the tables")
    })?;
    Ok(described(federation, table))
}

fn described(federation: &Federation, table: &Table) -> String {
    let head = ["Column", "Type", "Nullable", "Values"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for column in &table.columns {
        let nullable = if column.kind.nullable { "yes" } else { "no" };
        let kind = column.kind.sql.to_string();
        rows.push(vec![column.name.clone(), kind, nullable.to_owned(), values(column)]);
    }
    let mut text = format!("Table {}\n{}\n", table.name, aligned(&rows));
    for holder in &table.holders {
        let party = federation.party_name(holder.party);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "held by {party}: at most {} rows", holder.capacity);
    }
    text.trim_end().to_owned()
}

/// What is declared about a column's values.
fn values(column: &TableColumn) -> String {
    let mut said = Vec::new();
    if column.unique {
        said.push("unique at each holder".to_owned());
    }
    if let Some(values) = &column.values {
        said.push(format!("one of {}", values.len()));
    } else if let Some(range) = range(&column.kind) {
        said.push(range);
    }
    said.join(", ")
}

/// The declared range, where it is narrower than the type's.
fn range(kind: &ColumnType) -> Option<String> {
    if (kind.low, kind.high) == kind.sql.range() {
        return None;
    }
    Some(format!("{} to {}", spell(kind.low, kind.sql), spell(kind.high, kind.sql)))
}

/// Columns side by side, the first row underlined.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        lines.push(cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned());
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            lines.push(rules.join("-+-"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDERATION: &str = "name = \"f\"\n[[party]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n\
        [[party]]\nname = \"b\"\naddress = \"127.0.0.1:2\"\n[[table]]\nname = \"t\"\ncolumns = [\
        { name = \"id\", type = \"INT\", unique = true, min = 0, max = 9 }, \
        { name = \"day\", type = \"DATE\", nullable = true }, \
        { name = \"price\", type = \"DECIMAL(5,2)\", max = 1.50 } ]\n\
        held_by = [ { party = \"b\", capacity = 20 } ]\n";

    #[test]
    fn a_table_is_described_with_types_values_and_holders() {
        let federation = Federation::parse(FEDERATION.as_bytes()).unwrap();
        let text = table(&federation, "t").unwrap();
        assert!(text.contains("id     | INT          | no       | unique at each holder, 0 to 9"));
        assert!(text.contains("day    | DATE         | yes      |\n"), "{text}");
        assert!(text.contains("-999.99 to 1.50"), "{text}");
        assert!(text.ends_with("held by b: at most 20 rows"));
        assert_eq!(table(&federation, "b.t").unwrap(), text);
        for name in ["a.t", "x", "c.t"] {
            assert_eq!(table(&federation, name).unwrap_err().cause.exit_code(), 2);
        }
        assert!(tables(&federation).contains("t     | id, day, price | b"));
    }
}
