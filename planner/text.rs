//! Values of columns as files and people spell them: nothing is rounded, wrapped or shortened.

use crate::ir::Value;
use crate::types::SqlType;

const DAY_SECONDS: i128 = 86_400;

/// The value of type `sql` that `text` spells, if it spells one:
/// - BOOLEAN: true, t, 1, false, f, 0 in any case;
/// - integers and decimals in decimal digits, of which none but zeros are lost to the scale;
/// - DATE: YYYY-MM-DD;
/// - TIMESTAMP: YYYY-MM-DD, at midnight or with T or a space and HH:MM, :SS, a point and up to nine
///   digits, of which none but zeros are lost to the type, and Z, which changes nothing. Other zones
///   are refused: the type has none;
/// - VARCHAR: the text itself, of any length; BINARY: hexadecimal digits after \x or nothing, of any
///   number.
pub fn parse(text: &str, sql: SqlType) -> Option<Value> {
    match sql {
        SqlType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Some(Value::Boolean(true)),
            "false" | "f" | "0" => Some(Value::Boolean(false)),
            _ => None,
        },
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt | SqlType::UnsignedBigInt => {
            text.parse().ok().map(Value::Integer)
        }
        SqlType::Decimal { scale, .. } => decimal(text, scale).map(Value::Integer),
        SqlType::Date => days(text).map(Value::Integer),
        SqlType::Timestamp { digits } => instant(text, digits).map(Value::Integer),
        SqlType::Varchar { .. } => Some(Value::Bytes(text.as_bytes().to_vec())),
        SqlType::Binary { .. } => bytes(text.strip_prefix("\\x").unwrap_or(text)).map(Value::Bytes),
    }
}

/// A number as its SQL type prints it: decimals with their scale, dates and timestamps by ISO 8601.
pub fn spell(number: i128, sql: SqlType) -> String {
    match sql {
        SqlType::Decimal { scale, .. } => pointed(number, scale.unsigned_abs().into()),
        SqlType::Date => civil(number),
        SqlType::Timestamp { digits } => {
            let unit = 10i128.pow(digits.into());
            let (seconds, fraction) = (number.div_euclid(unit), number.rem_euclid(unit));
            let (day, time) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
            let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
            let whole = format!("{}T{hour:02}:{minute:02}:{second:02}", civil(day));
            let digits = usize::from(digits);
            if fraction == 0 { whole } else { format!("{whole}.{fraction:0digits$}") }
        }
        _ => number.to_string(),
    }
}

/// `-12.50` at scale 2 is −1250.
fn decimal(text: &str, scale: i8) -> Option<i128> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if (whole.is_empty() && fraction.is_empty()) || !are_digits(whole) {
        return None;
    }
    let kept = fixed(fraction, usize::try_from(scale).ok()?)?;
    let number: i128 = format!("0{whole}{kept}").parse().ok()?;
    Some(if text.starts_with('-') { -number } else { number })
}

/// Digits behind a point, exactly so many.
fn fixed(fraction: &str, digits: usize) -> Option<String> {
    let (kept, lost) = fraction.split_at_checked(digits.min(fraction.len()))?;
    let loses = lost.bytes().any(|digit| digit != b'0');
    (are_digits(fraction) && !loses).then(|| format!("{kept:0<digits$}"))
}

fn pointed(number: i128, scale: usize) -> String {
    if scale == 0 {
        return number.to_string();
    }
    let digits = format!("{:0>1$}", number.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if number < 0 { "-" } else { "" })
}

/// Units of 10^-`digits` seconds since 1970-01-01.
fn instant(text: &str, digits: u8) -> Option<i128> {
    let (date, time) = text.split_at_checked(10)?;
    let day = days(date)?;
    let unit = 10i128.pow(digits.into());
    if time.is_empty() {
        return Some(day * DAY_SECONDS * unit);
    }
    let time = time.strip_prefix(['T', 't', ' '])?;
    let time = time.strip_suffix(['Z', 'z']).unwrap_or(time);
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) if time.len() == 8 && (1..=9).contains(&fraction.len()) => {
            (time, fraction)
        }
        Some(_) => return None,
        None => (time, ""),
    };
    let mut parts = time.split(':').map(two_digits);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = day * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let fraction: i128 = format!("0{}", fixed(fraction, digits.into())?).parse().ok()?;
    Some(seconds * unit + fraction)
}

/// Days since 1970-01-01 of YYYY-MM-DD.
fn days(text: &str) -> Option<i128> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || !are_digits(year) {
        return None;
    }
    let (year, month, day): (i128, _, _) =
        (year.parse().ok()?, two_digits(month)?, two_digits(day)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i128::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years run from March so that the leap day is last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The date so many days after 1970-01-01: the inverse of [`days`], and signed with more digits where
/// that has none.
fn civil(days: i128) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
    let year = 400 * era + year_of_era + i128::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

fn two_digits(text: &str) -> Option<i128> {
    if text.len() == 2 && are_digits(text) { text.parse().ok() } else { None }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit())
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str, sql: SqlType) -> Option<i128> {
        match parse(text, sql) {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let price = SqlType::Decimal { precision: 9, scale: 2 };
        let cases = [("-12.5", -1250), ("3", 300), (".25", 25), ("7.1000", 710), ("-0.01", -1)];
        for (text, value) in cases {
            assert_eq!(number(text, price), Some(value), "{text}");
            assert_eq!(number(&spell(value, price), price), Some(value), "{text}");
        }
        for text in ["1.005", "", ".", "1e3", "--1", "1.2.3", " 1", "1.0x", "1.0ä"] {
            assert_eq!(parse(text, price), None, "{text}");
        }
        assert_eq!(spell(-5, price), "-0.05");
    }

    #[test]
    fn booleans_and_bytes() {
        assert_eq!(parse("T", SqlType::Boolean), Some(Value::Boolean(true)));
        assert_eq!(parse("yes", SqlType::Boolean), None);
        let two = SqlType::Binary { bytes: 2 };
        assert_eq!(parse("\\xFf00", two), Some(Value::Bytes(vec![255, 0])));
        assert_eq!(parse("abc", two), None);
        assert_eq!(parse("äb", two), None);
    }

    #[test]
    fn every_day_of_four_digit_years_is_spelled_as_it_is_read() {
        let first = number("0000-01-01", SqlType::Date).unwrap();
        let last = number("9999-12-31", SqlType::Date).unwrap();
        assert_eq!((first, last), (-719_528, 2_932_896));
        let mut before = String::new();
        for day in first..=last {
            let text = spell(day, SqlType::Date);
            assert_eq!(number(&text, SqlType::Date), Some(day));
            assert!(before < text, "{before} {text}");
            before = text;
        }
        assert_eq!(spell(last + 1, SqlType::Date), "+10000-01-01");
        for text in ["2019-02-29", "2019-2-3", "2019-13-01", "2019-00-01", "+019-01-01", "2019"] {
            assert_eq!(parse(text, SqlType::Date), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_exact_or_refused() {
        let at = |digits| SqlType::Timestamp { digits };
        for (text, digits, value, spelled) in [
            ("1970-01-01", 0, 0, "1970-01-01T00:00:00"),
            ("1970-01-02T00:01", 3, 86_460_000, "1970-01-02T00:01:00"),
            ("1969-12-31 23:59:59.5", 3, -500, "1969-12-31T23:59:59.500"),
            ("1970-01-01T01:00:00.000001Z", 6, 3_600_000_001, "1970-01-01T01:00:00.000001"),
            ("1970-01-01 00:00:01.000", 0, 1, "1970-01-01T00:00:01"),
            ("9999-12-31T23:59:59", 0, 253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(number(text, at(digits)), Some(value), "{text}");
            assert_eq!(spell(value, at(digits)), spelled);
            assert_eq!(number(spelled, at(digits)), Some(value));
        }
        let (low, high) = at(9).range();
        assert_eq!(spell(low, at(9)), "1677-09-21T00:12:43.145224192");
        assert_eq!(number(&spell(high, at(9)), at(9)), Some(high));
        assert_eq!(spell(at(3).range().1, at(3)), "9999-12-31T23:59:59.999");
        assert_eq!(spell(at(0).range().0, at(0)), "0000-01-01T00:00:00");
        for text in [
            "1970-01-01T",
            "1970-01-01T24:00:00",
            "1970-01-01T00:60",
            "1970-01-01T00:00:60",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00.5",
            "1970-01-01T00:00:00.0000000000",
            "1970-01-01T00:00:00.5",
            "1970-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00 Z",
            "1970-01-01T0:00:00",
            "1970-01-01T00:00:00:00",
            "1970-01-01x00:00:00",
            "1970-01-0äT00:00:00",
        ] {
            assert_eq!(parse(text, at(0)), None, "{text}");
        }
    }
}
