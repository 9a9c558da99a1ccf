//! The type of a column from the text of its cells.

use senate_planner::text::parse;
use senate_planner::types::SqlType;

/// What the cells seen so far can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Guess {
    any: bool,
    not_boolean: bool,
    not_integer: bool,
    is_wide: bool,
    not_number: bool,
    not_date: bool,
    not_timestamp: bool,
    /// Digits of seconds.
    time_digits: usize,
    whole_digits: usize,
    scale: usize,
}

/// The type that all cells have; `None` when there is none to see.
pub(super) fn guess<'a>(cells: impl IntoIterator<Item = &'a str>) -> Option<SqlType> {
    let mut guess = Guess::default();
    cells.into_iter().for_each(|cell| guess.see(cell));
    guess.kind()
}

/// Whether a text looks so, and what that is.
type Look = (fn(&str) -> bool, &'static str);

/// What texts may be that were written otherwise, the more particular first.
const LOOKS: [Look; 3] = [
    (is_timestamp, "a date with a time: write it without a zone for TIMESTAMP"),
    (is_decimal, "a number of more than 38 digits: round it for DECIMAL, if it is a number"),
    (is_number, "a number with an exponent: write it without one for DECIMAL"),
];

/// What texts that no other type fits would be, were they written otherwise; all of them must look
/// so.
pub(super) fn resembled<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Option<&'static str> {
    cells.clone().next()?;
    let found = LOOKS.into_iter().find(|(looks, _)| cells.clone().all(looks));
    found.map(|(_, what)| what)
}

/// 2020-01-31T12:00 and its like.
fn is_timestamp(cell: &str) -> bool {
    let (Some(date), Some(rest)) = (cell.get(..10), cell.get(10..)) else { return false };
    let is_time = rest.strip_prefix(['T', ' ']).is_some_and(|time| {
        let (hour, minute) = time.split_once(':').unwrap_or((time, ""));
        hour.len() == 2
            && hour.bytes().all(|byte| byte.is_ascii_digit())
            && minute.starts_with(|c: char| c.is_ascii_digit())
    });
    is_time && parse(date, SqlType::Date).is_some()
}

/// Digits with at most one point between them; 01234 is a name that looks like a number.
fn is_decimal(cell: &str) -> bool {
    let unsigned = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let are_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(fraction) && (whole.len() == 1 || !whole.starts_with('0'))
}

/// A decimal, or one times a power of ten.
fn is_number(cell: &str) -> bool {
    let (mantissa, exponent) = cell.split_once(['e', 'E']).unwrap_or((cell, "0"));
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal(mantissa) && are_digits
}

impl Guess {
    fn see(&mut self, cell: &str) {
        self.any = true;
        let lower = cell.to_ascii_lowercase();
        self.not_boolean |= !["true", "false", "t", "f"].contains(&lower.as_str());
        self.not_date |= parse(cell, SqlType::Date).is_none();
        self.not_timestamp |= parse(cell, SqlType::Timestamp { digits: 9 }).is_none();
        let unsigned = cell.strip_prefix('-').unwrap_or(cell);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        // 01234 is a name that looks like a number.
        let is_name = whole.len() > 1 && whole.starts_with('0');
        let is_number = !whole.is_empty()
            && !is_name
            && are_digits(whole)
            && are_digits(fraction)
            && !unsigned.ends_with('.');
        self.not_number |= !is_number;
        self.not_integer |= !fraction.is_empty() || cell.parse::<i64>().is_err();
        self.is_wide |= cell.parse::<i32>().is_err();
        self.whole_digits = self.whole_digits.max(whole.len());
        self.scale = self.scale.max(fraction.len());
        let second = fraction.trim_end_matches(['Z', 'z']).trim_end_matches('0');
        self.time_digits = self.time_digits.max(second.len());
    }

    fn kind(self) -> Option<SqlType> {
        // What nothing fits is text.
        const TEXT: SqlType = SqlType::Varchar { bytes: 4096 };
        if !self.any {
            return None;
        }
        Some(match self {
            Self { not_boolean: false, .. } => SqlType::Boolean,
            Self { not_date: false, .. } => SqlType::Date,
            Self { not_timestamp: false, time_digits, .. } => {
                let digits =
                    [0, 3, 6, 9].into_iter().find(|most| usize::from(*most) >= time_digits);
                digits.map_or(TEXT, |digits| SqlType::Timestamp { digits })
            }
            Self { not_number: true, .. } => TEXT,
            Self { not_integer: false, is_wide: false, .. } => SqlType::Int,
            Self { not_integer: false, .. } => SqlType::BigInt,
            _ => decimal(self.whole_digits, self.scale).unwrap_or(TEXT),
        })
    }
}

/// A decimal with room for these digits; only the scale follows them closely.
fn decimal(whole_digits: usize, scale: usize) -> Option<SqlType> {
    let needed = whole_digits.max(1) + scale;
    let precision = [9, 18, 38].into_iter().find(|most| usize::from(*most) >= needed)?;
    Some(SqlType::Decimal { precision, scale: i8::try_from(scale).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_only_looks_like_a_number_stays_text() {
        let text = SqlType::Varchar { bytes: 4096 };
        for cells in [&["01234"][..], &["1e3"], &["1."], &["1", "x"], &["+1"], &[""]] {
            assert_eq!(guess(cells.iter().copied()), Some(text), "{cells:?}");
        }
        let decimal = SqlType::Decimal { precision: 18, scale: 2 };
        assert_eq!(guess(["12345678.5", "-0.25", "3"]), Some(decimal));
        assert_eq!(guess(["99999999999999999999"]), {
            Some(SqlType::Decimal { precision: 38, scale: 0 })
        });
        assert_eq!(guess(["0", "-7"]), Some(SqlType::Int));
        assert_eq!(guess(["1", "0"]), Some(SqlType::Int), "digits are no truth values");
        assert_eq!(guess([]), None);
    }

    #[test]
    fn dates_with_times_have_as_many_digits_as_the_longest_second() {
        for (cells, digits) in [
            (&["2020-01-31T12:00:00Z", "2020-01-31 07:05", "2020-01-31"][..], 0),
            (&["2020-01-31 12:00:00.5", "2020-01-31 12:00:00.120000"], 3),
            (&["2020-01-31 12:00:00.1234"], 6),
            (&["2020-01-31 12:00:00.123456789Z"], 9),
        ] {
            let found = guess(cells.iter().copied());
            assert_eq!(found, Some(SqlType::Timestamp { digits }), "{cells:?}");
        }
        assert_eq!(guess(["2020-01-31"]), Some(SqlType::Date));
        let zoned = ["2020-01-31T12:00:00+01:00"];
        assert_eq!(guess(zoned), Some(SqlType::Varchar { bytes: 4096 }));
        assert!(resembled(zoned.into_iter()).unwrap().contains("without a zone"));
    }

    #[test]
    fn text_that_would_be_a_number_or_a_date_is_told_from_other_text() {
        let look = |cells: &[&'static str]| resembled(cells.iter().copied()).unwrap_or("text");
        let long = "0.1234567890123456789012345678901234567890";
        for (cells, what) in [
            (&["2020-01-31T12:00:00-05:00", "2020-01-31 07:05"][..], "a date with a time"),
            (&[long, "-1"], "more than 38 digits"),
            (&["1e3", "-2.5E-07", "7"], "an exponent"),
            (&["1e3", "x"], "text"),
            (&["01234"], "text"),
            (&["2020-01-31Tea"], "text"),
            (&["ünïcödé-textT12"], "text"),
            (&["1e"], "text"),
            (&["12e-4x"], "text"),
            (&[], "text"),
        ] {
            assert!(look(cells).contains(what), "{cells:?}: {}", look(cells));
        }
    }
}
