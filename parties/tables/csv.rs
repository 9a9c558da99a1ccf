//! RFC 4180 as interface.md reads it: an unquoted empty field is NULL, `""` is the empty string.

/// One record and where it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// Line of its first character, from 1.
    pub(crate) line: usize,
    /// Its fields; `None` is NULL.
    pub(crate) fields: Vec<Option<String>>,
}

/// Splits a whole file into records. A last line break is optional.
///
/// # Errors
/// Line and reason: a stray or unclosed quote.
pub(crate) fn records(text: &str) -> Result<Vec<Record>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let mut records = Vec::new();
    while !reader.rest.is_empty() {
        records.push(reader.record()?);
    }
    Ok(records)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn record(&mut self) -> Result<Record, (usize, String)> {
        let mut record = Record { line: self.line, fields: Vec::new() };
        loop {
            let field = if self.take("\"") { Some(self.quoted()?) } else { self.unquoted()? };
            record.fields.push(field);
            if self.take(",") {
                continue;
            }
            if self.take("\r\n") || self.take("\n") {
                self.line += 1;
            } else if !self.rest.is_empty() {
                return Err((self.line, "text after a closing quote".to_owned()));
            }
            return Ok(record);
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn quoted(&mut self) -> Result<String, (usize, String)> {
        let start = self.line;
        let mut field = String::new();
        loop {
            let Some((before, after)) = self.rest.split_once('"') else {
                return Err((start, "a quoted field that never ends".to_owned()));
            };
            self.line += before.matches('\n').count();
            field.push_str(before);
            self.rest = after;
            if !self.take("\"") {
                return Ok(field);
            }
            field.push('"');
        }
    }

    fn unquoted(&mut self) -> Result<Option<String>, (usize, String)> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (mut field, mut rest) = self.rest.split_at(end);
        if rest.starts_with('\n')
            && let Some(shorter) = field.strip_suffix('\r')
        {
            field = shorter;
            rest = self.rest.split_at(end - 1).1;
        }
        self.rest = rest;
        if field.contains('"') {
            return Err((self.line, "a quote inside an unquoted field".to_owned()));
        }
        Ok((!field.is_empty()).then(|| field.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Vec<Option<String>>> {
        records(text).unwrap().into_iter().map(|record| record.fields).collect()
    }

    #[test]
    fn empty_is_null_and_quoted_empty_is_the_empty_string() {
        assert_eq!(fields("a,,\"\"\n"), [[Some("a".into()), None, Some(String::new())]]);
    }

    #[test]
    fn quotes_commas_and_line_breaks_inside_quotes() {
        let read = records("\"a\"\"b\",\"c,\nd\"\r\ne,f").unwrap();
        assert_eq!(read[0].fields, [Some("a\"b".into()), Some("c,\nd".into())]);
        assert_eq!(read[1], Record { line: 3, fields: vec![Some("e".into()), Some("f".into())] });
    }

    #[test]
    fn a_last_line_break_and_a_byte_order_mark_change_nothing() {
        assert_eq!(fields("\u{feff}x\ny\n"), fields("x\r\ny"));
        assert_eq!(fields("x,\n"), [[Some("x".into()), None]]);
        assert!(fields("").is_empty());
    }

    #[test]
    fn malformed_quotes_are_refused_with_their_line() {
        assert_eq!(records("a\n\"b").unwrap_err().0, 2);
        assert_eq!(records("a\n\"b\"c\n").unwrap_err().0, 2);
        assert_eq!(records("a\"b\n").unwrap_err().0, 1);
    }
}
