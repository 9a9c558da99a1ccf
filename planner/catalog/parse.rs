//! From TOML to the typed federation.

use super::address::{check_name, host_of};
use super::literal::{column_value, sql_type};
use super::sections::{AvailabilityEntry, ConsistencyEntry, TargetsEntry};
use super::{CatalogError, Federation, Holder, Party, Table, TableColumn};
use crate::ir::Value;
use crate::types::{ColumnType, SqlType};
use senate_circuit::{PartyId, PartySet};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default = "first_epoch")]
    epoch: u32,
    #[serde(default)]
    party: Vec<PartyEntry>,
    #[serde(default)]
    table: Vec<TableEntry>,
    #[serde(default)]
    availability: AvailabilityEntry,
    #[serde(default)]
    consistency: ConsistencyEntry,
    #[serde(default)]
    targets: TargetsEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyEntry {
    name: String,
    address: String,
    #[serde(default)]
    replicas: Vec<String>,
    fingerprint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableEntry {
    name: String,
    columns: Vec<ColumnEntry>,
    held_by: Vec<HolderEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    name: String,
    #[serde(rename = "type")]
    sql_type: String,
    #[serde(default)]
    nullable: bool,
    #[serde(default)]
    unique: bool,
    min: Option<toml::Value>,
    max: Option<toml::Value>,
    values: Option<Vec<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolderEntry {
    party: String,
    capacity: i64,
}

/// Parses and checks the whole file.
pub(super) fn federation(bytes: &[u8]) -> Result<Federation, CatalogError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| CatalogError::Syntax(format!("not UTF-8: {error}")))?;
    let file: File = toml::from_str(text)
        .map_err(|error| CatalogError::Syntax(error.to_string().trim_end().to_owned()))?;
    let parties = parties(file.party)?;
    let mut names = BTreeSet::new();
    let mut tables = Vec::with_capacity(file.table.len());
    for entry in file.table {
        let place = format!("table {}", entry.name);
        if !names.insert(entry.name.clone()) {
            return Err(invalid(&place, "declared twice"));
        }
        tables.push(table(&place, entry, &parties)?);
    }
    if file.epoch == 0 {
        return Err(invalid("epoch", "epochs are counted from 1"));
    }
    let (availability, targets) = (file.availability.checked()?, file.targets.checked(&parties)?);
    file.consistency.check()?;
    let (name, epoch, digest) = (file.name, file.epoch, *blake3::hash(bytes).as_bytes());
    Ok(Federation { name, epoch, parties, tables, availability, targets, digest })
}

/// Most daemons of one party beside its first one.
const REPLICAS_MAX: usize = 8;

fn first_epoch() -> u32 {
    1
}

fn parties(entries: Vec<PartyEntry>) -> Result<Vec<Party>, CatalogError> {
    if !(2..=PartySet::MAX).contains(&entries.len()) {
        let found = match entries.len() {
            1 => "1 party".to_owned(),
            count => format!("{count} parties"),
        };
        let problem = format!("{found}; a federation has 2 to {}", PartySet::MAX);
        return Err(invalid("[[party]]", &problem));
    }
    let mut names = BTreeSet::new();
    for entry in &entries {
        let place = format!("party {:?}", entry.name);
        identifier(&place, &entry.name)?;
        if !names.insert(entry.name.as_str()) {
            return Err(invalid(&place, "declared twice"));
        }
    }
    if let Some(entry) = entries.iter().find(|entry| entry.replicas.len() > REPLICAS_MAX) {
        let problem = format!("more than {REPLICAS_MAX} replicas");
        return Err(invalid(&format!("party {:?}", entry.name), &problem));
    }
    addresses(&entries)?;
    let party = |entry: PartyEntry| {
        let PartyEntry { name, address, replicas, fingerprint } = entry;
        Party { name, address, replicas, fingerprint }
    };
    Ok(entries.into_iter().map(party).collect())
}

/// Every daemon has an address of its own.
fn addresses(entries: &[PartyEntry]) -> Result<(), CatalogError> {
    let mut owners = BTreeMap::new();
    for PartyEntry { name, address, replicas, .. } in entries {
        let place = format!("party {name:?}");
        for address in std::iter::once(address).chain(replicas) {
            host_of(address).map_err(|problem| invalid(&place, &problem))?;
            if let Some(owner) = owners.insert(address.to_ascii_lowercase(), name) {
                let problem = format!("address {address} is that of party {owner:?} already");
                return Err(invalid(&place, &problem));
            }
        }
    }
    Ok(())
}

fn table(place: &str, entry: TableEntry, parties: &[Party]) -> Result<Table, CatalogError> {
    identifier(place, &entry.name)?;
    if entry.columns.is_empty() {
        return Err(invalid(place, "no columns"));
    }
    let mut names = BTreeSet::new();
    let mut columns = Vec::with_capacity(entry.columns.len());
    for column_entry in entry.columns {
        let place = format!("{place}, column {}", column_entry.name);
        if column_entry.name.is_empty() {
            return Err(invalid(&place, "empty name"));
        }
        if !names.insert(column_entry.name.clone()) {
            return Err(invalid(&place, "declared twice"));
        }
        columns.push(column(&place, column_entry)?);
    }
    let holders = holders(place, entry.held_by, parties)?;
    Ok(Table { name: entry.name, columns, holders })
}

fn holders(
    place: &str,
    entries: Vec<HolderEntry>,
    parties: &[Party],
) -> Result<Vec<Holder>, CatalogError> {
    let place = format!("{place}, held_by");
    if entries.is_empty() {
        return Err(invalid(&place, "no party holds the table"));
    }
    let mut holders: Vec<Holder> = Vec::with_capacity(entries.len());
    for entry in entries {
        let party = parties
            .iter()
            .position(|party| party.name == entry.party)
            .and_then(PartyId::new)
            .ok_or_else(|| invalid(&place, &format!("unknown party {:?}", entry.party)))?;
        if holders.iter().any(|holder| holder.party == party) {
            return Err(invalid(&place, &format!("party {} twice", entry.party)));
        }
        let capacity = u32::try_from(entry.capacity)
            .ok()
            .filter(|capacity| (1..=Federation::CAPACITY_MAX).contains(capacity))
            .ok_or_else(|| {
                let most = Federation::CAPACITY_MAX;
                let problem = format!("capacity {} is not in 1..{most}", entry.capacity);
                invalid(&format!("{place}, party {}", entry.party), &problem)
            })?;
        holders.push(Holder { party, capacity });
    }
    Ok(holders)
}

fn column(place: &str, entry: ColumnEntry) -> Result<TableColumn, CatalogError> {
    let sql = sql_type(&entry.sql_type)
        .map_err(|problem| invalid(&format!("{place}, type"), &problem))?;
    let parse = |key: &str, value: &toml::Value| {
        column_value(sql, value).map_err(|problem| invalid(&format!("{place}, {key}"), &problem))
    };
    let bound = |key: &str, value: Option<&toml::Value>, otherwise: i128| match value {
        None => Ok(otherwise),
        Some(value) => match parse(key, value)? {
            Value::Integer(bound) => Ok(bound),
            Value::Boolean(_) | Value::Bytes(_) => {
                Err(invalid(&format!("{place}, {key}"), &format!("{sql} takes no bounds")))
            }
        },
    };
    let (low, high) = sql.range();
    let low = bound("min", entry.min.as_ref(), low)?;
    let high = bound("max", entry.max.as_ref(), high)?;
    if low > high {
        return Err(invalid(place, "min is larger than max"));
    }
    let values = match entry.values {
        None => None,
        Some(values) if values.is_empty() => {
            return Err(invalid(&format!("{place}, values"), "no values"));
        }
        Some(values) => {
            Some(values.iter().map(|value| parse("values", value)).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let declared = ColumnType::between(sql, low, high).with_nullable(entry.nullable);
    let kind = narrowed(place, declared, values.as_deref())?;
    Ok(TableColumn { name: entry.name, kind, unique: entry.unique, values })
}

/// The domain cut to the span of the dictionary.
fn narrowed(
    place: &str,
    kind: ColumnType,
    values: Option<&[Value]>,
) -> Result<ColumnType, CatalogError> {
    let Some(values) = values else { return Ok(kind) };
    let key = format!("{place}, values");
    let mut bounds: Option<(i128, i128)> = None;
    for value in values {
        if !kind.contains(Some(value)) {
            return Err(invalid(&key, "a value outside the column's own domain"));
        }
        if let (Value::Integer(value), true) = (value, kind.sql != SqlType::Boolean) {
            let (low, high) = bounds.unwrap_or((*value, *value));
            bounds = Some((low.min(*value), high.max(*value)));
        }
    }
    let (low, high) = bounds.unwrap_or((kind.low, kind.high));
    Ok(ColumnType { low, high, ..kind })
}

fn identifier(place: &str, name: &str) -> Result<(), CatalogError> {
    check_name(name).map_err(|problem| invalid(place, &problem))
}

pub(super) fn invalid(place: &str, problem: &str) -> CatalogError {
    CatalogError::Invalid { place: place.to_owned(), problem: problem.to_owned() }
}
