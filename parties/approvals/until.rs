//! Until when a decision counts, as its maker says it.

use super::now;
use crate::failure::{Failure, Outcome};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

/// Seconds since 1970 for `7d`, `12h`, `30m`, `2w`, a date (to its end, UTC) or a time (RFC 3339).
///
/// # Errors
/// Usage for anything else, and for a time that is over.
pub fn until(text: &str) -> Outcome<i64> {
    let wrong = || {
        Failure::usage(format!("--until {text}: no time"))
            .with_remedy("write 12h, 7d, 2w, 2027-01-31 or 2027-01-31T12:00:00Z")
    };
    let end = match (span(text), date(text)) {
        (Some(seconds), _) => now().checked_add(seconds).ok_or_else(wrong)?,
        (None, Some(date)) => {
            let next = date.next_day().ok_or_else(wrong)?;
            next.midnight().assume_utc().unix_timestamp()
        }
        (None, None) => {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?.unix_timestamp()
        }
    };
    if end <= now() {
        return Err(Failure::usage(format!("--until {text}: that is over")));
    }
    Ok(end)
}

fn span(text: &str) -> Option<i64> {
    let units = [('m', 60), ('h', 3_600), ('d', 24 * 3_600), ('w', 7 * 24 * 3_600)];
    let (_, seconds) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    let number = text.get(..text.len() - 1)?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse::<i64>().ok()?.checked_mul(seconds)).flatten()
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_dates_and_times_are_understood_and_the_past_is_refused() {
        assert!((until("12h").unwrap() - now() - 12 * 3_600).abs() < 5);
        assert!((until("2w").unwrap() - now() - 14 * 24 * 3_600).abs() < 5);
        assert_eq!(until("2100-01-31").unwrap(), 4_105_123_200);
        assert_eq!(until("2100-01-31T00:00:00Z").unwrap(), 4_105_036_800);
        for wrong in ["", "d", "-3d", "soon", "2100-02-30", "2020-01-01", "99999999999999999999d"] {
            assert_eq!(until(wrong).unwrap_err().cause.exit_code(), 2, "{wrong}");
        }
    }
}
