//! What a declaration promises of a table's rows.

use super::{DeclaredColumn, Place, values};
use crate::failure::Outcome;
use senate_planner::ir::Value;
use std::collections::HashSet;

/// Cells of one column.
pub(crate) type Cells = Vec<Option<Value>>;

/// How rows are named in messages.
pub(crate) enum Lines {
    /// By their lines in a text file.
    Listed(Vec<usize>),
    /// By their number.
    Counted,
    /// By part file and number; each part with its rows.
    Parts(Vec<(String, usize)>),
}

impl Lines {
    /// The row with this index, in words.
    pub(super) fn spot(&self, row: usize) -> String {
        match self {
            Self::Listed(lines) => format!("line {}", lines.get(row).copied().unwrap_or(0)),
            Self::Counted => format!("row {}", row + 1),
            Self::Parts(parts) => {
                let mut rest = row;
                for (part, rows) in parts {
                    if rest < *rows {
                        return format!("{part}: row {}", rest + 1);
                    }
                    rest -= rows;
                }
                format!("row {}", row + 1)
            }
        }
    }
}

/// No more rows than the declared capacity.
///
/// # Errors
/// Input when there are.
pub(super) fn capacity(place: &Place<'_>, rows: usize) -> Outcome<()> {
    let capacity = place.table.capacity;
    if rows <= capacity as usize {
        return Ok(());
    }
    Err(place
        .whole(format!("{rows} rows exceed the declared capacity {capacity}"))
        .with_remedy("raise the capacity in federation.toml at all parties"))
}

/// Capacity, NOT NULL, domain, dictionary and uniqueness.
pub(super) fn check(
    place: &Place<'_>,
    declared: &[&DeclaredColumn],
    columns: &[Cells],
    lines: &Lines,
) -> Outcome<()> {
    let rows = columns.first().map_or(0, Vec::len);
    capacity(place, rows)?;
    for (column, cells) in declared.iter().zip(columns) {
        let mut seen = HashSet::new();
        for (row, cell) in cells.iter().enumerate() {
            let violation = |why: &str| Err(place.violation(&lines.spot(row), &column.name, why));
            let Some(value) = cell else {
                if column.kind.nullable {
                    continue;
                }
                return violation("NULL in a NOT NULL column");
            };
            if let Err(why) = values::in_domain(value, &column.kind) {
                return violation(&why);
            }
            if column.values.as_ref().is_some_and(|values| !values.contains(value)) {
                return violation("a value outside the declared values");
            }
            if column.unique && !seen.insert(value) {
                return violation("a value that occurs twice in a unique column");
            }
        }
    }
    Ok(())
}
