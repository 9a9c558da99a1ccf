//! federation.toml while it is made and changed: comments and keys that others have added stay. A
//! draft may have one party only; the file that all sign has all.

mod columns;
mod merge;
mod private;

pub use columns::{Column, Literal};
pub use private::begin_private;

use crate::config::{FEDERATION_FILE, Workspace};
use crate::failure::{Failure, Outcome};
use crate::tables::DeclaredTable;
use senate_planner::catalog::Federation;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// Longest federation.toml that is exchanged, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// Stands in for the other parties while there are none; no party can have this name.
const NOBODY: &str = "\n[[party]]\nname = \"nobody-yet\"\naddress = \"nobody.invalid:1\"\n";

/// A party as federation.toml names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Name.
    pub name: String,
    /// Host and port of its daemon.
    pub address: String,
    /// Pinned identity.
    pub fingerprint: String,
}

/// One holder's part of a table, with all that is public about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Public upper bound on the holder's rows.
    pub capacity: u32,
}

/// An editable federation.toml.
#[derive(Clone, Debug)]
pub struct Draft {
    document: DocumentMut,
}

/// What an edit needs to know of a file.
#[derive(Deserialize)]
struct View {
    name: String,
    #[serde(default)]
    party: Vec<PartyView>,
    #[serde(default)]
    table: Vec<TableView>,
}

#[derive(Deserialize)]
struct PartyView {
    name: String,
    address: String,
    fingerprint: Option<String>,
}

#[derive(Deserialize)]
struct TableView {
    name: String,
    columns: Vec<Column>,
    held_by: Vec<HolderView>,
}

#[derive(Deserialize)]
struct HolderView {
    party: String,
    capacity: u32,
}

impl Part {
    /// The part as a federation file in which nobody else holds any.
    pub fn shown(&self, party: &str) -> String {
        let mut entry = Table::new();
        put(&mut entry, "name", self.table.as_str().into());
        put(&mut entry, "columns", columns::written(&self.columns));
        // Only a list that is there already could be malformed.
        let _ = hold(&mut entry, party, self.capacity);
        let mut entries = ArrayOfTables::new();
        entries.push(entry);
        let mut document = DocumentMut::new();
        document.insert("table", Item::ArrayOfTables(entries));
        document.to_string()
    }
}

impl Draft {
    /// A federation of one.
    ///
    /// # Errors
    /// Usage for a malformed name.
    pub fn new(name: &str, member: &Member) -> Outcome<Self> {
        let mut document = DocumentMut::new();
        document.insert("name", Item::Value(name.into()));
        let mut draft = Self { document };
        draft.put_party(member)?;
        draft.federation().map(|_| draft)
    }

    /// Reads the draft in a workspace; `None` when there is none.
    ///
    /// # Errors
    /// Usage when the file is no federation.toml.
    pub fn read(folder: &Path) -> Outcome<Option<Self>> {
        let path = folder.join(FEDERATION_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map(Some).map_err(|failure| failure.at(path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(error.to_string()).at(path.display())),
        }
    }

    /// Reads a draft's text.
    ///
    /// # Errors
    /// Usage when it is no federation.toml.
    pub fn parse(text: &str) -> Outcome<Self> {
        if text.len() > BYTES_MAX {
            return Err(Failure::usage(format!("longer than {BYTES_MAX} bytes")));
        }
        let document = text.parse().map_err(|error| Failure::usage(format!("{error}")))?;
        let draft = Self { document };
        draft.federation().map(|_| draft)
    }

    /// Whether these bytes are the draft of a party that is alone as yet.
    pub(crate) fn begun(bytes: &[u8]) -> bool {
        let draft = std::str::from_utf8(bytes).ok().and_then(|text| Self::parse(text).ok());
        draft.and_then(|draft| draft.members().ok()).is_some_and(|members| members.len() == 1)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// The federation's name.
    ///
    /// # Errors
    /// Usage when the file has none.
    pub fn name(&self) -> Outcome<String> {
        Ok(self.view()?.name)
    }

    /// Its members, in the file's order; a fingerprint that is not pinned is empty.
    ///
    /// # Errors
    /// Usage when the file is wrong.
    pub fn members(&self) -> Outcome<Vec<Member>> {
        let member = |party: PartyView| Member {
            name: party.name,
            address: party.address,
            fingerprint: party.fingerprint.unwrap_or_default(),
        };
        Ok(self.view()?.party.into_iter().map(member).collect())
    }

    /// The member of this name.
    ///
    /// # Errors
    /// Usage when the file is wrong or has no such party.
    pub fn member(&self, name: &str) -> Outcome<Member> {
        let found = self.members()?.into_iter().find(|member| member.name == name);
        found.ok_or_else(|| {
            Failure::usage(format!("{FEDERATION_FILE} has no party `{name}`"))
                .with_remedy("make its identity first: senate init --as PARTY --address HOST:PORT")
        })
    }

    /// What a party holds.
    ///
    /// # Errors
    /// Usage when the file is wrong.
    pub fn parts_of(&self, party: &str) -> Outcome<Vec<Part>> {
        let part = |table: TableView| {
            let holder = table.held_by.iter().find(|holder| holder.party == party)?;
            Some(Part { table: table.name, columns: table.columns, capacity: holder.capacity })
        };
        Ok(self.view()?.table.into_iter().filter_map(part).collect())
    }

    /// Who holds a part of the table.
    ///
    /// # Errors
    /// Usage when the file is wrong.
    pub fn holders(&self, table: &str) -> Outcome<Vec<String>> {
        let tables = self.view()?.table.into_iter().filter(|entry| entry.name == table);
        Ok(tables.flat_map(|entry| entry.held_by).map(|holder| holder.party).collect())
    }

    /// Everything checked, as a session would.
    ///
    /// # Errors
    /// Usage naming table, column and key.
    pub fn federation(&self) -> Outcome<Federation> {
        let mut text = self.text();
        if self.view()?.party.len() == 1 {
            text += NOBODY;
        }
        Federation::parse(text.as_bytes()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// A party's part of a table as it is declared.
    ///
    /// # Errors
    /// Usage when the file is wrong or the party holds no such table.
    pub fn declared(&self, folder: &Path, party: &str, table: &str) -> Outcome<DeclaredTable> {
        let workspace = Workspace { folder: folder.to_owned(), federation: self.federation()? };
        let mut tables = workspace.tables_of(workspace.party(party)?).into_iter();
        tables
            .find(|declared| declared.name == table)
            .ok_or_else(|| Failure::usage(format!("party {party} holds no table {table}")))
    }

    /// Adds a party, or changes the one of this name.
    ///
    /// # Errors
    /// Usage when the file is wrong.
    pub fn put_party(&mut self, member: &Member) -> Outcome<()> {
        let entry = named(self.entries("party")?, &member.name)?;
        put(entry, "name", member.name.as_str().into());
        put(entry, "address", member.address.as_str().into());
        put(entry, "fingerprint", member.fingerprint.as_str().into());
        Ok(())
    }

    /// Adds a party's part of a table, or changes it. Where others hold a part too, the declaration
    /// becomes wide enough for all.
    ///
    /// # Errors
    /// Usage when the declarations contradict each other; names table and column.
    pub fn put_part(&mut self, party: &str, part: &Part) -> Outcome<()> {
        let view = self.view()?;
        let known = view.table.iter().find(|entry| entry.name == part.table);
        let is_shared =
            known.is_some_and(|entry| entry.held_by.iter().any(|holder| holder.party != party));
        let columns = match known {
            Some(entry) if is_shared => merge::columns(&entry.columns, &part.columns)
                .map_err(|failure| failure.at(format!("table {}", part.table)))?,
            _ => part.columns.clone(),
        };
        let is_changed = known.is_none_or(|entry| entry.columns != columns);
        let entry = named(self.entries("table")?, &part.table)?;
        put(entry, "name", part.table.as_str().into());
        if is_changed {
            put(entry, "columns", columns::written(&columns));
        }
        hold(entry, party, part.capacity)?;
        self.federation().map(drop)
    }

    /// Writes the draft into a workspace.
    ///
    /// # Errors
    /// Usage when the file cannot be written.
    pub fn write(&self, folder: &Path) -> Outcome<()> {
        replace(&folder.join(FEDERATION_FILE), &self.text())
    }

    fn view(&self) -> Outcome<View> {
        toml::from_str(&self.text())
            .map_err(|error| Failure::usage(format!("{FEDERATION_FILE}: {error}")))
    }

    fn entries(&mut self, kind: &str) -> Outcome<&mut ArrayOfTables> {
        let item = self.document.entry(kind).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut().ok_or_else(|| {
            Failure::usage(format!("{FEDERATION_FILE}: `{kind}` is no list of sections"))
                .with_remedy(format!("write [[{kind}]] above each"))
        })
    }
}

/// Replaces a file by a whole new one, never by a part of it. Everybody can read it, unless its
/// owner has seen to that.
///
/// # Errors
/// Usage when it cannot be written.
pub fn replace(path: &Path, text: &str) -> Outcome<()> {
    replace_with_mode(path, text, 0o644)
}

/// As [`replace`]; a file that was not there is its owner's alone.
///
/// # Errors
/// Usage when it cannot be written.
pub fn replace_private(path: &Path, text: &str) -> Outcome<()> {
    replace_with_mode(path, text, crate::private::MODE)
}

fn replace_with_mode(path: &Path, text: &str, mode: u32) -> Outcome<()> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    crate::private::replace(path, mode, |file| file.write_all(text.as_bytes()).map_err(failed))
}

fn put(entry: &mut Table, key: &str, new: Value) {
    let old = entry.get(key).and_then(Item::as_value);
    if old.is_none_or(|old| old.to_string().trim() != new.to_string().trim()) {
        entry.insert(key, Item::Value(new));
    }
}

/// The entry of this name; an empty one is added where there is none.
fn named<'a>(entries: &'a mut ArrayOfTables, name: &str) -> Outcome<&'a mut Table> {
    let is_named = |entry: &Table| entry.get("name").and_then(Item::as_str) == Some(name);
    let known = entries.iter().position(is_named);
    if known.is_none() {
        entries.push(Table::new());
    }
    let last = entries.len().saturating_sub(1);
    entries
        .get_mut(known.unwrap_or(last))
        .ok_or_else(|| Failure::unexpected("an entry that is not there"))
}

fn hold(entry: &mut Table, party: &str, capacity: u32) -> Outcome<()> {
    let held = entry.entry("held_by").or_insert(Item::Value(Array::new().into()));
    let held = held.as_array_mut().ok_or_else(|| {
        Failure::usage(format!("{FEDERATION_FILE}: held_by is written [ {{ … }}, … ]"))
    })?;
    let own = held
        .iter_mut()
        .filter_map(Value::as_inline_table_mut)
        .find(|holder| holder.get("party").and_then(Value::as_str) == Some(party));
    let capacity = Value::from(i64::from(capacity));
    match own {
        Some(holder) => {
            holder.insert("capacity", capacity);
        }
        None => held
            .push(InlineTable::from_iter([("party", Value::from(party)), ("capacity", capacity)])),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
