//! A workspace directory: the public federation.toml and each party's private party.toml.

mod limits;

pub(crate) use limits::machine_memory;
pub use limits::{Bytes, Limits, Ports};

use crate::ahead::MEMORY_BYTES;
use crate::draft::Draft;
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::tables::postgres::Relation;
use crate::tables::{DeclaredColumn, DeclaredTable, FileFormat, Source};
use crate::worker::WorkersEntry;
use senate_circuit::PartyId;
use senate_planner::catalog::Federation;
use senate_planner::policy::Policy;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the public file.
pub const FEDERATION_FILE: &str = "federation.toml";
/// Name of a party's private file.
pub const PARTY_FILE: &str = "party.toml";

/// A federation as this machine sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Where the files are.
    pub folder: PathBuf,
    /// What federation.toml says.
    pub federation: Federation,
}

impl Workspace {
    /// Reads the workspace in `folder`.
    ///
    /// # Errors
    /// Usage when federation.toml is missing or wrong.
    pub fn open(folder: &Path) -> Outcome<Self> {
        let path = folder.join(FEDERATION_FILE);
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::usage(format!("{}: {error}", path.display()))
                .with_remedy("name a directory that holds federation.toml")
        })?;
        let federation = Federation::parse(&bytes).map_err(|error| {
            let failure = Failure::usage(error.to_string()).at(folder.display());
            match Draft::begun(&bytes) {
                true => failure.with_remedy(
                    "bring in the others: `senate invite` here and `senate join` there, or the \
                     other way round",
                ),
                false => failure,
            }
        })?;
        Ok(Self { folder: folder.to_owned(), federation })
    }

    /// The party of this name.
    ///
    /// # Errors
    /// Usage when the federation has none.
    pub fn party(&self, name: &str) -> Outcome<PartyId> {
        self.federation.party(name).ok_or_else(|| {
            let known: Vec<&str> =
                self.federation.parties.iter().map(|party| party.name.as_str()).collect();
            Failure::usage(format!("{} has no party `{name}`", self.federation.name))
                .with_remedy(format!("its parties are {}", known.join(", ")))
        })
    }

    /// A party's own folder.
    pub fn folder_of(&self, party: PartyId) -> PathBuf {
        self.folder.join(self.federation.party_name(party))
    }

    /// Address of a party's daemon.
    ///
    /// # Errors
    /// Usage when the federation has no such party.
    pub fn address(&self, party: PartyId) -> Outcome<&str> {
        let entry = self.federation.parties.get(party.index());
        entry.map(|party| party.address.as_str()).ok_or_else(|| Failure::usage("no such party"))
    }

    /// Addresses of a party's daemons, in the order in which they are tried.
    ///
    /// # Errors
    /// Usage when the federation has no such party.
    pub fn addresses(&self, party: PartyId) -> Outcome<Vec<String>> {
        let entry = self.federation.parties.get(party.index());
        let entry = entry.ok_or_else(|| Failure::usage("no such party"))?;
        Ok(std::iter::once(&entry.address).chain(&entry.replicas).cloned().collect())
    }

    /// The identity that is pinned for a party.
    ///
    /// # Errors
    /// Usage when federation.toml has none, or a malformed one.
    pub fn fingerprint(&self, party: PartyId) -> Outcome<Fingerprint> {
        let name = self.federation.party_name(party);
        let entry = self.federation.parties.get(party.index());
        let text = entry.and_then(|party| party.fingerprint.as_deref()).ok_or_else(|| {
            Failure::usage(format!("{FEDERATION_FILE} pins no fingerprint for {name}"))
                .with_remedy("run `senate init` there and copy the fingerprint it prints")
        })?;
        text.parse().map_err(|why: String| Failure::usage(why).at(FEDERATION_FILE))
    }

    /// The tables of which `party` holds a part.
    pub fn tables_of(&self, party: PartyId) -> Vec<DeclaredTable> {
        let tables = self.federation.tables.iter();
        tables
            .filter_map(|table| {
                let columns = table.columns.iter().map(|column| DeclaredColumn {
                    name: column.name.clone(),
                    kind: column.kind,
                    unique: column.unique,
                    values: column.values.clone(),
                });
                table.holder(party).map(|holder| DeclaredTable {
                    party: self.federation.party_name(party),
                    name: table.name.clone(),
                    columns: columns.collect(),
                    capacity: holder.capacity,
                })
            })
            .collect()
    }
}

/// What a party keeps to itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyConfig {
    /// The party's folder.
    pub folder: PathBuf,
    /// Its identity file.
    pub identity: PathBuf,
    /// Parties whose queries run without asking. The party's own users always may.
    pub accept: Vec<PartyId>,
    /// Memory for sessions that are opened ahead of queries; 0 for none.
    pub ahead_bytes: usize,
    /// What its daemon may use.
    pub limits: Limits,
    /// What its daemon opens beside the port of federation.toml.
    pub ports: Ports,
    /// Processes in which sessions live; without it they live in the daemon.
    pub workers: Option<WorkersEntry>,
    /// What happens to the queries of others that nobody has approved.
    pub otherwise: Otherwise,
    /// What others may learn from this party's tables; nothing without it.
    pub policy: Option<Policy>,
    sources: BTreeMap<String, Source>,
}

impl PartyConfig {
    /// Reads the party.toml of `party`; without one, everything is as by default: nobody else's
    /// queries are accepted, tables are files in the party's folder.
    ///
    /// # Errors
    /// Usage when the file is wrong.
    pub fn read(workspace: &Workspace, party: PartyId) -> Outcome<Self> {
        let folder = workspace.folder_of(party);
        let path = folder.join(PARTY_FILE);
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str::<PartyFile>(&text)
                .map_err(|error| Failure::usage(error.to_string()).at(path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => PartyFile::default(),
            Err(error) => return Err(Failure::usage(error.to_string()).at(path.display())),
        };
        let accept = file.accept.from.iter().map(|name| workspace.party(name));
        let accept = accept
            .collect::<Outcome<_>>()
            .map_err(|failure| failure.at(format!("{}: [accept]", path.display())))?;
        let otherwise = file.accept.otherwise;
        let policy = file.policy.map(|policy| Policy::parse(policy, &workspace.federation, party));
        let policy = policy
            .transpose()
            .map_err(|error| Failure::usage(error.to_string()).at(path.display()))?;
        let declared = workspace.tables_of(party);
        let mut sources = BTreeMap::new();
        for (table, entry) in file.source {
            let place = format!("{}: [source.{table}]", path.display());
            if !declared.iter().any(|declared| declared.name == table) {
                let why = "this party holds no such table";
                return Err(Failure::usage(why).at(place));
            }
            let source = entry.source(&folder, &table).map_err(|failure| failure.at(place))?;
            sources.insert(table, source);
        }
        let limits = file.limits.checked();
        let limits =
            limits.map_err(|failure| failure.at(format!("{}: [limits]", path.display())))?;
        let identity = folder.join(file.identity.key);
        let ahead_bytes = (file.ahead.memory_mb as usize).saturating_mul(1 << 20);
        let ports = file.ports;
        Ok(Self {
            folder,
            identity,
            accept,
            ahead_bytes,
            limits,
            ports,
            workers: file.workers,
            otherwise,
            policy,
            sources,
        })
    }

    /// Where the rows of a table are.
    ///
    /// # Errors
    /// Input when there is no file.
    pub fn source(&self, table: &str) -> Outcome<Source> {
        match self.sources.get(table) {
            Some(source) => Ok(source.clone()),
            None => Source::by_default(&self.folder, table),
        }
    }

    /// Reads the identity and checks that it is the one that the federation pins.
    ///
    /// # Errors
    /// Usage when it is unreadable or another one.
    pub fn identity(&self, workspace: &Workspace, party: PartyId) -> Outcome<Identity> {
        let identity = Identity::read(&self.identity)?;
        if identity.fingerprint() == workspace.fingerprint(party)? {
            return Ok(identity);
        }
        let (path, found) = (self.identity.display(), identity.fingerprint());
        Err(Failure::usage(format!(
            "{path} is not the identity that {FEDERATION_FILE} pins for {}",
            workspace.federation.party_name(party)
        ))
        .with_remedy(format!("pin {found} at every party, or restore the old identity")))
    }
}

/// The identity file of a party whose federation.toml is still to be made.
///
/// # Errors
/// Usage when its party.toml is unreadable.
pub fn identity_path(folder: &Path, party: &str) -> Outcome<PathBuf> {
    #[derive(Deserialize, Default)]
    struct File {
        #[serde(default)]
        identity: IdentityEntry,
    }
    let own = folder.join(party);
    let path = own.join(PARTY_FILE);
    let file = match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str::<File>(&text)
            .map_err(|error| Failure::usage(error.to_string()).at(path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
        Err(error) => return Err(Failure::usage(error.to_string()).at(path.display())),
    };
    Ok(own.join(file.identity.key))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PartyFile {
    identity: IdentityEntry,
    accept: AcceptEntry,
    ahead: AheadEntry,
    limits: Limits,
    ports: Ports,
    policy: Option<toml::Value>,
    source: BTreeMap<String, SourceEntry>,
    workers: Option<WorkersEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    key: PathBuf,
}

impl Default for IdentityEntry {
    fn default() -> Self {
        Self { key: "identity.pem".into() }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct AcceptEntry {
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    otherwise: Otherwise,
}

/// What happens to a query that needs an approval and has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// It is refused at once, and can be approved for the next time.
    #[default]
    Refuse,
    /// It waits for the decision, until its asker gives up.
    Hold,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AheadEntry {
    memory_mb: u32,
}

impl Default for AheadEntry {
    fn default() -> Self {
        Self { memory_mb: (MEMORY_BYTES >> 20) as u32 }
    }
}

/// A `[source.TABLE]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    csv: Option<PathBuf>,
    parquet: Option<PathBuf>,
    #[serde(default)]
    ignore: Vec<String>,
    postgres: Option<String>,
    query: Option<String>,
    table: Option<String>,
    ca: Option<PathBuf>,
}

impl SourceEntry {
    fn source(self, folder: &Path, table: &str) -> Outcome<Source> {
        let is_relational = self.query.is_some() || self.table.is_some() || self.ca.is_some();
        match (self.csv, self.parquet, self.postgres) {
            (None, None, Some(url)) if self.ignore.is_empty() => {
                if self.query.is_some() && self.table.is_some() {
                    return Err(Failure::usage("one of `query` and `table` names the rows"));
                }
                let table = self.table.unwrap_or_else(|| table.to_owned());
                let ca = self.ca.map(|ca| folder.join(ca));
                let relation = Relation { url, query: self.query, table, ca };
                relation.check()?;
                Ok(Source::Postgres(relation))
            }
            (None, None, Some(_)) => Err(Failure::usage("`ignore` is for files")
                .with_remedy("columns that are not declared are not read from a database")),
            (Some(_), None, None) | (None, Some(_), None) if is_relational => {
                Err(Failure::usage("`query`, `table` and `ca` go with `postgres`"))
            }
            (Some(path), None, None) => Ok(file(FileFormat::Csv, folder, path, self.ignore)),
            (None, Some(path), None) => Ok(file(FileFormat::Parquet, folder, path, self.ignore)),
            _ => {
                Err(Failure::usage("exactly one of `csv`, `parquet`, `postgres` names the source"))
            }
        }
    }
}

fn file(format: FileFormat, folder: &Path, path: PathBuf, ignored: Vec<String>) -> Source {
    Source::File { format, path: folder.join(path), ignored }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDERATION: &str = r#"
name = "study"
[[party]]
name = "a"
address = "127.0.0.1:7401"
[[party]]
name = "b"
address = "127.0.0.1:7402"
[[table]]
name = "t"
columns = [ { name = "id", type = "INT", unique = true }, { name = "v", type = "VARCHAR(3)" } ]
held_by = [ { party = "a", capacity = 10 }, { party = "b", capacity = 20 } ]
"#;

    fn workspace(party_toml: Option<&str>) -> (tempfile::TempDir, Outcome<PartyConfig>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FEDERATION_FILE), FEDERATION).unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        if let Some(text) = party_toml {
            std::fs::write(folder.path().join("a").join(PARTY_FILE), text).unwrap();
        }
        let workspace = Workspace::open(folder.path()).unwrap();
        let party = workspace.party("a").unwrap();
        let config = PartyConfig::read(&workspace, party);
        (folder, config)
    }

    #[test]
    fn a_workspace_declares_each_holders_part() {
        let (folder, _) = workspace(None);
        let workspace = Workspace::open(folder.path()).unwrap();
        let tables = workspace.tables_of(workspace.party("b").unwrap());
        assert_eq!((tables.len(), tables[0].capacity), (1, 20));
        assert!(tables[0].columns[0].unique);
        assert_eq!(workspace.party("c").unwrap_err().cause.exit_code(), 2);
        let pinned = workspace.fingerprint(workspace.party("a").unwrap());
        assert_eq!(pinned.unwrap_err().cause.exit_code(), 2);
    }

    #[test]
    fn without_a_party_file_nobody_is_accepted() {
        let (folder, config) = workspace(None);
        let config = config.unwrap();
        assert_eq!((config.accept.as_slice(), config.ahead_bytes), (&[][..], MEMORY_BYTES));
        assert_eq!((&config.accept[..], config.otherwise), (&[][..], Otherwise::Refuse));
        assert_eq!(config.policy, None);
        assert_eq!(config.identity, folder.path().join("a/identity.pem"));
    }

    #[test]
    fn a_party_file_names_sources_policy_and_identity() {
        let text = "[identity]\nkey = \"k.pem\"\n[accept]\nfrom = [\"b\"]\n\
                    [ahead]\nmemory_mb = 0\n[source.t]\nparquet = \"rows.parquet\"\n";
        let (folder, config) = workspace(Some(text));
        let config = config.unwrap();
        assert_eq!((config.accept.len(), config.ahead_bytes), (1, 0));
        let path = folder.path().join("a/rows.parquet");
        assert_eq!(config.source("t").unwrap(), Source::parquet(path));
    }

    #[test]
    fn a_source_can_be_a_database() {
        let url = "postgresql://u@localhost/ehr";
        let (_folder, config) = workspace(Some(&format!("[source.t]\npostgres = \"{url}\"\n")));
        let relation = Relation { url: url.into(), query: None, table: "t".into(), ca: None };
        assert_eq!(config.unwrap().source("t").unwrap(), Source::Postgres(relation));
        let with_query = format!("[source.t]\npostgres = \"{url}\"\nquery = \"SELECT 1\"\n");
        let Source::Postgres(relation) =
            workspace(Some(&with_query)).1.unwrap().source("t").unwrap()
        else {
            panic!("another source");
        };
        assert_eq!(relation.query.as_deref(), Some("SELECT 1"));
    }

    #[test]
    fn mistakes_in_a_party_file_are_usage_errors() {
        for text in [
            "[accept]\nfrom = [\"nobody\"]\n",
            "[source.x]\ncsv = \"x.csv\"\n",
            "[source.t]\n",
            "[source.t]\ncsv = \"a\"\nparquet = \"b\"\n",
            "[source.t]\ncsv = \"a\"\nquery = \"b\"\n",
            "[source.t]\npostgres = \"postgresql://u@localhost/d\"\nignore = [\"b\"]\n",
            "[source.t]\npostgres = \"postgresql://u:p@localhost/d\"\n",
            "[source.t]\npostgres = \"postgresql://u@db.example.org/d\"\n",
            "[policy]\nallow = \"everything\"\n",
            "[policy]\nrecipients = [\"nobody\"]\n",
            "[policy]\nrecipients = []\n[policy.table.x]\n",
            "[policy]\nrecipients = []\n[policy.table.t.columns]\nw = [\"filter\"]\n",
            "[policy]\nrecipients = []\n[policy.table.t.columns]\nv = [\"read\"]\n",
            "[policy]\nrecipients = []\n[policy.table.t]\nmin_group = { entity = \"id\", size = 1 }\n",
            "[accept]\nfrom = []\notherwise = \"perhaps\"\n",
            "not toml",
        ] {
            let failure = workspace(Some(text)).1.unwrap_err();
            assert_eq!(failure.cause.exit_code(), 2, "{text}");
        }
    }
}
