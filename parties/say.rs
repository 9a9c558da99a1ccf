//! Words on stdout, for whoever still listens, and what of others' words a terminal may see.

use crate::failure::{Failure, Outcome};
use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// As `println!`, but a reader that has gone (`senate explain … | head`) is no reason to panic: what a
/// command does beside its words goes on, and its exit code stands. Words that cannot be written for
/// another reason make the command fail in the end ([`crate::say::all_said`]).
macro_rules! say {
    ($($words:tt)*) => {
        $crate::say::line(format_args!($($words)*))
    };
}

/// Why the first line that was lost could not be written.
static LOST: Mutex<Option<String>> = Mutex::new(None);

pub(crate) fn line(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{words}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert_with(|| error.to_string());
        }
        _ => {}
    }
}

/// Whether everything that was said could be written.
///
/// # Errors
/// Unexpected, with the system's reason.
pub(crate) fn all_said() -> Outcome<()> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(why) => Err(Failure::unexpected(format!("writing to standard output: {why}"))),
    }
}

/// Others' text on one line: what a terminal or a log would obey is written out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // Marks that turn the direction of writing hide what is said as well as control characters do.
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_moves_the_cursor_or_begins_a_line() {
        assert_eq!(printable("naïve 日 \\n"), "naïve 日 \\n");
        assert_eq!(printable("a\x1b[31mb\r\n\tc\u{202e}d"), "a\\u{1b}[31mb\\r\\n\\tc\\u{202e}d");
    }
}
