//! A source's columns as they would be declared: types from what is there, lengths and digits
//! rounded up, nothing about single values unless asked for.

pub(crate) mod entry;
mod grant;
mod observe;
mod words;

pub use grant::Grant;

use crate::draft::{Column, Literal, Part};
use crate::failure::{Failure, Outcome};
use crate::tables::Source;
use observe::{Observed, observe};
use senate_planner::catalog::{Federation, sql_type};
use senate_planner::ir::Value;
use senate_planner::text::spell;
use senate_planner::types::SqlType;
use std::collections::{BTreeMap, BTreeSet};

/// Lengths that strings are declared with, in bytes.
const LENGTHS: [u32; 10] = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
/// Smallest capacity that is suggested.
const CAPACITY_MIN: usize = 64;
/// Longest dictionary that is made from data.
const VALUES_MAX: usize = 1024;

/// What the operator wants to be different from what is inferred.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wishes {
    /// Types by column.
    pub kinds: BTreeMap<String, String>,
    /// Columns that are no part of the table.
    pub excluded: BTreeSet<String>,
    /// Columns with a declared range; without bounds, the data's.
    pub ranges: BTreeMap<String, Option<(String, String)>>,
    /// Columns whose values make a public dictionary.
    pub values: BTreeSet<String>,
    /// Columns declared unique.
    pub unique: BTreeSet<String>,
    /// Columns declared nullable although no NULL is there.
    pub nullable: BTreeSet<String>,
    /// The capacity.
    pub capacity: Option<u32>,
}

impl Wishes {
    /// Every column that is wished for is one of the source's, and what is wished for is no column
    /// that is left out.
    fn check(&self, header: &[&str], ignored: &[String]) -> Outcome<()> {
        let keys = self.kinds.keys().chain(self.ranges.keys());
        let declared =
            || keys.clone().chain(&self.values).chain(&self.unique).chain(&self.nullable);
        let mut names = declared().chain(&self.excluded);
        if let Some(name) = names.find(|name| !header.contains(&name.as_str())) {
            return Err(Failure::usage(format!("there is no column `{name}`"))
                .with_remedy(format!("its columns are {}", header.join(", "))));
        }
        let is_out = |name: &&String| self.excluded.contains(*name) || ignored.contains(*name);
        match declared().find(is_out) {
            None => Ok(()),
            Some(name) => Err(Failure::usage(format!(
                "column `{name}` is left out of the table and declared"
            ))
            .with_remedy(
                "leave out --exclude, or the other options for it; to publish what `ignore` \
                 in party.toml lists, name the source again, as in --csv FILE",
            )),
        }
    }
}

/// Reads the whole source and declares it.
///
/// # Errors
/// Usage for a wish about a column that is not there; input when the source cannot be read or a
/// column has no type here.
pub async fn infer(table: &str, source: &Source, wishes: &Wishes) -> Outcome<Part> {
    let place = source.to_string();
    let observed = observe(source, wishes).await.map_err(|failure| {
        match failure.message.starts_with(&place) {
            true => failure,
            false => failure.at(source),
        }
    })?;
    let rows = observed.first().map_or(0, |column| column.cells.len());
    let columns = observed.iter().map(|column| declare(column, wishes));
    let columns = columns.collect::<Outcome<Vec<_>>>().map_err(|failure| failure.at(source))?;
    if columns.is_empty() {
        return Err(Failure::input(format!("{source}: no columns")));
    }
    let capacity = match wishes.capacity {
        Some(capacity) => capacity,
        None => roomy(rows).ok_or_else(|| {
            Failure::input(format!("{source}: more rows than any table can have"))
        })?,
    };
    if rows > capacity as usize {
        let room = roomy(rows).unwrap_or(Federation::CAPACITY_MAX);
        return Err(Failure::input(format!(
            "{source}: {rows} rows exceed the declared capacity {capacity}"
        ))
        .with_remedy(format!("raise it: --capacity {room}, or leave the option out")));
    }
    for column in &observed {
        if let Some(what) = column.resembles {
            eprintln!(
                "column {:?} is declared as text, although it looks like {what}",
                column.name
            );
        }
    }
    Ok(Part { table: table.to_owned(), columns, capacity })
}

/// A capacity with at least a tenth to spare: 64, 96, 128, 192, 256, … It tells others no more of
/// the number of rows than between which two of these steps it lies.
pub fn roomy(rows: usize) -> Option<u32> {
    let wanted = rows.checked_add(rows / 10)?;
    let steps = (0..32).map(|power| CAPACITY_MIN << power).flat_map(|step| [step, step / 2 * 3]);
    let step = steps.into_iter().find(|step| *step >= wanted)?;
    u32::try_from(step).ok().filter(|capacity| *capacity <= Federation::CAPACITY_MAX)
}

fn declare(column: &Observed, wishes: &Wishes) -> Outcome<Column> {
    let name = &column.name;
    let at = |failure: Failure| failure.at(format!("column {name:?}"));
    let kind = kind(column, wishes.kinds.get(name)).map_err(at)?;
    let range = match wishes.ranges.get(name) {
        None => None,
        Some(Some((low, high))) => Some((literal(low, kind), literal(high, kind))),
        Some(None) => Some(spanned(column, kind).map_err(at)?),
    };
    let (min, max) = range.unzip();
    let values = match wishes.values.contains(name) {
        true => Some(dictionary(column, kind).map_err(at)?),
        false => None,
    };
    Ok(Column {
        name: name.clone(),
        kind: kind.to_string(),
        nullable: wishes.nullable.contains(name) || column.cells.contains(&None),
        unique: wishes.unique.contains(name),
        min,
        max,
        values,
    })
}

/// The declared type: as wished, or as observed with room.
fn kind(column: &Observed, wish: Option<&String>) -> Outcome<SqlType> {
    if let Some(wish) = wish {
        return sql_type(wish).map_err(Failure::usage);
    }
    match column.kind {
        SqlType::Varchar { .. } => {
            let longest = column.cells.iter().flatten().map(|value| match value {
                Value::Bytes(bytes) => bytes.len(),
                _ => 0,
            });
            let longest = longest.max().unwrap_or(0);
            let fits = LENGTHS.into_iter().find(|bytes| *bytes as usize >= longest);
            fits.map(|bytes| SqlType::Varchar { bytes }).ok_or_else(|| {
                Failure::input("text longer than 4096 bytes")
                    .with_remedy("leave the column out with --exclude")
            })
        }
        kind => Ok(kind),
    }
}

/// A bound as somebody typed it, or as a value of the type prints.
fn literal(text: &str, kind: SqlType) -> Literal {
    let is_integer = matches!(kind, SqlType::SmallInt | SqlType::Int | SqlType::BigInt);
    match text.parse() {
        Ok(number) if is_integer => Literal::Integer(number),
        _ => Literal::Text(text.to_owned()),
    }
}

fn spanned(column: &Observed, kind: SqlType) -> Outcome<(Literal, Literal)> {
    let numbers = column.cells.iter().flatten().filter_map(|value| match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    });
    let (low, high) = (numbers.clone().min(), numbers.max());
    let bound = |number: i128| literal(&spell(number, kind), kind);
    low.zip(high).map(|(low, high)| (bound(low), bound(high))).ok_or_else(|| {
        Failure::usage("no numbers or dates that could have a range")
            .with_remedy("give the range: --range COLUMN=LOW..HIGH")
    })
}

fn dictionary(column: &Observed, kind: SqlType) -> Outcome<Vec<Literal>> {
    let distinct: BTreeSet<&Value> = column.cells.iter().flatten().collect();
    if distinct.is_empty() || distinct.len() > VALUES_MAX {
        return Err(Failure::usage(format!(
            "{} different values make no dictionary; 1 to {VALUES_MAX} do",
            distinct.len()
        )));
    }
    let spelled = distinct.into_iter().map(|value| match value {
        Value::Boolean(bit) => Literal::Boolean(*bit),
        Value::Integer(number) => literal(&spell(*number, kind), kind),
        Value::Bytes(bytes) => match kind {
            SqlType::Binary { .. } => Literal::Text(data_encoding::HEXLOWER.encode(bytes)),
            _ => Literal::Text(String::from_utf8_lossy(bytes).into_owned()),
        },
    });
    Ok(spelled.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(csv: &str, wishes: &Wishes) -> Outcome<Part> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, csv).unwrap();
        futures_executor::block_on(infer("t", &Source::csv(path), wishes))
    }

    const ROWS: &str = "id,big,price,day,ok,zip,note\n1,5000000000,1.25,2020-01-31,true,01234,\n\
        7,2,-100,2019-12-01,f,99999,hello world\n";

    #[test]
    fn types_are_inferred_and_only_they_leave() {
        let part = inferred(ROWS, &Wishes::default()).unwrap();
        let kinds: Vec<&str> = part.columns.iter().map(|column| column.kind.as_str()).collect();
        let expected =
            ["INT", "BIGINT", "DECIMAL(9,2)", "DATE", "BOOLEAN", "VARCHAR(8)", "VARCHAR(16)"];
        assert_eq!(kinds, expected);
        assert_eq!(part.columns.iter().filter(|column| column.nullable).count(), 1);
        let silent = |column: &Column| {
            column.min.is_none() && column.max.is_none() && column.values.is_none()
        };
        assert!(part.columns.iter().all(|column| silent(column) && !column.unique));
        assert_eq!(part.capacity, 64);
    }

    #[test]
    fn ranges_and_dictionaries_come_when_asked_for() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wishes = Wishes {
            kinds: BTreeMap::from([("zip".to_owned(), "VARCHAR(5)".to_owned())]),
            excluded: set(&["note", "big"]),
            ranges: BTreeMap::from([
                ("id".to_owned(), Some(("0".to_owned(), "10".to_owned()))),
                ("price".to_owned(), None),
                ("day".to_owned(), None),
            ]),
            values: set(&["zip"]),
            unique: set(&["id"]),
            capacity: Some(9),
            ..Wishes::default()
        };
        let part = inferred(ROWS, &wishes).unwrap();
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!((part.columns.len(), part.capacity), (5, 9));
        let [id, price, day, _, zip] = part.columns.as_slice() else { panic!("five columns") };
        assert!(id.unique && id.max == Some(Literal::Integer(10)));
        assert_eq!((&price.min, &price.max), (&Some(text("-100.00")), &Some(text("1.25"))));
        assert_eq!(day.min, Some(text("2019-12-01")));
        assert_eq!(zip.values, Some(vec![text("01234"), text("99999")]));
    }

    #[test]
    fn what_cannot_be_declared_is_named() {
        let x = || BTreeSet::from(["x".to_owned()]);
        for unknown in [
            Wishes { unique: x(), ..Wishes::default() },
            Wishes { values: x(), ..Wishes::default() },
            Wishes { nullable: x(), ..Wishes::default() },
            Wishes { excluded: x(), ..Wishes::default() },
            Wishes { ranges: BTreeMap::from([("x".to_owned(), None)]), ..Wishes::default() },
            Wishes {
                kinds: BTreeMap::from([("x".to_owned(), "INT".to_owned())]),
                ..Wishes::default()
            },
        ] {
            let failure = inferred(ROWS, &unknown).unwrap_err();
            assert_eq!(failure.cause.exit_code(), 2, "{unknown:?}");
            assert!(failure.message.contains("t.csv: there is no column `x`"), "{failure}");
            assert!(failure.remedy.unwrap().contains("id, big, price, day, ok, zip, note"));
        }
        let id = || BTreeSet::from(["id".to_owned()]);
        let both = Wishes { excluded: id(), unique: id(), ..Wishes::default() };
        assert!(inferred(ROWS, &both).unwrap_err().message.contains("left out of the table"));
        let twice = inferred("a,b,a\n1,2,3\n", &Wishes::default()).unwrap_err();
        assert!(twice.message.contains("t.csv: column `a` occurs twice"), "{twice}");
        let full = inferred(ROWS, &Wishes { capacity: Some(1), ..Wishes::default() }).unwrap_err();
        assert!(full.remedy.unwrap().contains("--capacity 64"), "it says how many");
        let empty = inferred("a,b\n1,\n2,\n", &Wishes::default()).unwrap_err();
        assert!(empty.message.contains("column \"b\""), "{empty}");
        assert!(empty.remedy.unwrap().contains("--column b="), "it says how");
        let long = format!("a\n{}\n", "x".repeat(5000));
        assert!(inferred(&long, &Wishes::default()).is_err());
    }

    #[test]
    fn capacities_have_room_and_hide_the_number_of_rows() {
        let cases = [(0, 64), (58, 64), (59, 64), (60, 96), (1000, 1536), (88, 96), (120, 192)];
        for (rows, capacity) in cases {
            assert_eq!(roomy(rows), Some(capacity), "{rows}");
        }
        assert_eq!(roomy(1 << 29), None);
    }
}
