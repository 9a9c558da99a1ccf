//! The `[source.TABLE]` section of party.toml, written beside what is there.

use crate::failure::{Failure, Outcome};
use crate::tables::{FileFormat, Source};
use std::path::Path;
use toml_edit::{DocumentMut, Item, Table, Value};

/// The party file's text with this source; `None` when the source is found without one.
///
/// # Errors
/// Usage when the text is no party.toml.
pub(crate) fn with_source(
    text: &str,
    folder: &Path,
    table: &str,
    source: &Source,
) -> Outcome<Option<String>> {
    if let Source::File { path, .. } = source
        && path.to_str().is_none()
    {
        return Err(Failure::usage(format!("{}: its name is not UTF-8", path.display()))
            .with_remedy("rename the file: party.toml is UTF-8 and has to name it"));
    }
    let mut document: DocumentMut =
        text.parse().map_err(|error| Failure::usage(format!("party.toml: {error}")))?;
    let sources = document.entry("source").or_insert_with(|| {
        let mut sources = Table::new();
        sources.set_implicit(true);
        Item::Table(sources)
    });
    let sources = sources
        .as_table_mut()
        .ok_or_else(|| Failure::usage("party.toml: `source` is no section"))?;
    if !sources.contains_key(table)
        && Source::by_default(folder, table).is_ok_and(|found| found == *source)
    {
        return Ok(None);
    }
    sources.insert(table, Item::Table(section(folder, source)));
    Ok(Some(document.to_string()))
}

fn section(folder: &Path, source: &Source) -> Table {
    let mut section = Table::new();
    let mut put = |key: &str, value: Value| {
        section.insert(key, Item::Value(value));
    };
    // What lies in the party's folder stays there when the folder moves.
    let within = |path: &Path| {
        path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned().into()
    };
    match source {
        Source::File { format, path, ignored } => {
            let key = match format {
                FileFormat::Csv => "csv",
                FileFormat::Parquet => "parquet",
            };
            put(key, within(path));
            if !ignored.is_empty() {
                put("ignore", Value::Array(ignored.iter().map(String::as_str).collect()));
            }
        }
        Source::Postgres(relation) => {
            put("postgres", relation.url.as_str().into());
            match &relation.query {
                Some(query) => put("query", query.as_str().into()),
                None => put("table", relation.table.as_str().into()),
            }
            if let Some(ca) = &relation.ca {
                put("ca", within(ca));
            }
        }
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_beside_what_is_there() {
        let folder = Path::new("/data/a");
        let before = "# mine\n[accept]\nfrom = [\"b\"] # only\n";
        let path = folder.join("rows.parquet");
        let ignored = vec!["ssn".to_owned()];
        let source = Source::File { format: FileFormat::Parquet, path, ignored };
        let after = with_source(before, folder, "t", &source).unwrap().unwrap();
        let section = "[source.t]\nparquet = \"rows.parquet\"\nignore = [\"ssn\"]\n";
        assert_eq!(after, format!("{before}\n{section}"));
        let elsewhere = Source::csv("/elsewhere/t.csv".into());
        let changed = with_source(&after, folder, "t", &elsewhere).unwrap().unwrap();
        assert!(changed.contains("csv = \"/elsewhere/t.csv\"") && !changed.contains("parquet"));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_party_toml_cannot_hold_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"/data/n\xff.csv");
        let failure = with_source("", Path::new("/data/a"), "t", &Source::csv(name.into()));
        assert!(failure.unwrap_err().message.contains("not UTF-8"));
    }

    #[test]
    fn what_is_found_anyway_needs_no_section() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "x\n1\n").unwrap();
        let source = Source::csv(path);
        assert_eq!(with_source("", folder.path(), "t", &source).unwrap(), None);
    }
}
