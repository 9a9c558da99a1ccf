//! The federation file: parties, tables, columns with their public domains, holders and capacities.

mod address;
mod literal;
mod parse;
mod sections;

pub use address::{check_name, host_of};
pub use literal::sql_type;

use crate::ir::Value;
use crate::targets::{Availability, Targets};
use crate::types::ColumnType;
use senate_circuit::PartyId;

/// A federation as every party knows it. Public, byte-identical at every party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Federation {
    /// The federation's name.
    pub name: String,
    /// What is published holds in one epoch: to take something back, begin another one.
    pub epoch: u32,
    /// Parties in the file's order: position i is the party with index i.
    pub parties: Vec<Party>,
    /// Tables in the file's order.
    pub tables: Vec<Table>,
    /// How long is waited for whom.
    pub availability: Availability,
    /// What plans are chosen by.
    pub targets: Targets,
    /// BLAKE3 of the file's bytes, part of every query's agreement.
    pub digest: [u8; 32],
}

/// A member of the federation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// Name, also the schema under which SQL finds its tables.
    pub name: String,
    /// Host and port of its mesh and control endpoint.
    pub address: String,
    /// Further hosts and ports of daemons of the same party, tried in this order when those before
    /// do not answer.
    pub replicas: Vec<String>,
    /// Pinned identity; not needed when all parties run in one process.
    pub fingerprint: Option<String>,
}

/// A table, horizontally partitioned over its holders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Name in SQL.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<TableColumn>,
    /// Who holds a part, in the file's order. At least one.
    pub holders: Vec<Holder>,
}

/// A column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableColumn {
    /// Name in SQL.
    pub name: String,
    /// Type and domain.
    pub kind: ColumnType,
    /// No value occurs twice **at one holder**; across holders nothing is known.
    pub unique: bool,
    /// The public dictionary: the only values that may occur.
    pub values: Option<Vec<Value>>,
}

/// One party's part of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Who holds it.
    pub party: PartyId,
    /// Public upper bound on its rows, before any filter.
    pub capacity: u32,
}

/// What is wrong with a federation file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, or a key that is missing, unknown or of the wrong kind.
    #[error("federation.toml: {0}")]
    Syntax(String),
    /// A value that does not make sense.
    #[error("federation.toml: {place}: {problem}")]
    Invalid {
        /// Table, column or party, and key.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Federation {
    /// Largest capacity of one holder's part.
    pub const CAPACITY_MAX: u32 = 1 << 28;

    /// Parses a federation file.
    ///
    /// # Errors
    /// [`CatalogError`] naming the table, column, party and key.
    pub fn parse(bytes: &[u8]) -> Result<Self, CatalogError> {
        parse::federation(bytes)
    }

    /// The party of this name.
    pub fn party(&self, name: &str) -> Option<PartyId> {
        self.parties.iter().position(|party| party.name == name).and_then(PartyId::new)
    }

    /// Name of a party; its number when the federation has no such party.
    pub fn party_name(&self, party: PartyId) -> String {
        self.parties
            .get(party.index())
            .map_or_else(|| party.to_string(), |party| party.name.clone())
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// `party`'s part, if it holds one.
    pub fn holder(&self, party: PartyId) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.party == party)
    }
}

#[cfg(test)]
mod tests;
