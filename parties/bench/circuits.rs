//! AND gates of every operator beside the paper's formulas.

use crate::failure::{Failure, Outcome};
use senate_planner::lower::census::census;
use std::fmt::Write;

/// Rows of each input that the table has: powers of two, the paper's sizes and their multiples.
const ROWS: [u32; 6] = [64, 600, 1000, 1024, 2400, 4800];

/// The table, in Markdown.
///
/// # Errors
/// Unexpected when an operator has no circuit.
pub fn table() -> Outcome<String> {
    let mut text = "| operator | rows of each input | AND gates | the paper's formula | ratio |\n\
                    |---|--:|--:|--:|--:|\n"
        .to_owned();
    let all = ROWS.into_iter().map(census).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| Failure::unexpected(error.to_string()))?;
    for at in 0..all.first().map_or(0, Vec::len) {
        for count in all.iter().filter_map(|counts| counts.get(at)) {
            let formula = count.formula.map_or("–".to_owned(), |formula| formula.to_string());
            let ratio = count.formula.map(|formula| count.and_gates as f64 / formula as f64);
            let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
            let (operator, rows, gates) = (count.operator, count.rows, count.and_gates);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {operator} | {rows} | {gates} | {formula} | {ratio} |");
        }
    }
    Ok(text)
}
