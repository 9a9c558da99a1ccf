//! Decisions about other parties' queries: each a signed file in the party's folder, about one
//! query or about all queries that differ from it in constants only.

mod until;

pub use until::until;

use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity, Signature};
use crate::request::{Request, Stages};
use senate_planner::sql::Form;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

const CONTEXT: &str = "approval";
/// Queries that wait for a decision; further ones are refused without being kept.
const WAITING_MAX: usize = 1_000;
/// Of one asking party.
const WAITING_OF_ONE_MAX: usize = 100;
/// Longest of them, in bytes.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Digits of an identifier.
const ID_DIGITS: usize = 16;

/// What a decision is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This query.
    Query,
    /// All that differ in constants only.
    Template,
}

/// A query as far as decisions tell queries apart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matter {
    /// Text in normal form.
    pub sql: String,
    /// Whether constants are parameters in it.
    pub scope: Scope,
    /// Who asks.
    pub asker: String,
    /// Who learns the answer.
    pub recipients: Vec<String>,
    /// Tighter bounds on rows.
    pub bounds: Vec<String>,
    /// How the plan is divided.
    pub stages: Stages,
    /// Digest of the federation.toml that the text is about.
    pub federation: [u8; 32],
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// It may run.
    Approved,
    /// It may not.
    Denied,
}

/// A decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// About what.
    pub matter: Matter,
    /// What.
    pub ruling: Ruling,
    /// Seconds since 1970 from which it no longer counts.
    pub until: Option<i64>,
    /// How many queries may run by it.
    pub times: Option<u32>,
    /// Seconds since 1970 when it was made.
    pub made: i64,
}

/// A query that waits for a decision, as its asker sent it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The query.
    pub request: Request,
    /// Seconds since 1970 when it was last asked.
    pub asked: i64,
}

impl Decision {
    /// What the audit log calls a use of it, under its identifier: one that is made again counts
    /// anew.
    pub fn use_of(&self, id: &str) -> String {
        format!("{id}@{}", self.made)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// [`Decision`] in JSON, as it was signed.
    decision: String,
    signature: Signature,
}

impl Matter {
    /// The query of a request, or its template.
    ///
    /// # Errors
    /// Usage for a text that is no SQL.
    pub fn of(request: &Request, scope: Scope, workspace: &Workspace) -> Outcome<Self> {
        let template = Form::of(&request.sql).map_err(|error| Failure::usage(error.to_string()))?;
        let sql = match scope {
            Scope::Query => template.exact,
            Scope::Template => template.general,
        };
        Ok(Self {
            sql,
            scope,
            asker: request.asker.clone(),
            recipients: request.recipients.clone(),
            bounds: request.bounds.clone(),
            stages: request.stages,
            federation: workspace.federation.digest,
        })
    }

    /// What is decided about this query, about all that differ from it in constants only.
    ///
    /// # Errors
    /// Usage for a text that is no SQL.
    pub fn generalised(&self) -> Outcome<Self> {
        let template = Form::of(&self.sql).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { sql: template.general, scope: Scope::Template, ..self.clone() })
    }

    /// Identifier: the beginning of a hash over everything.
    pub fn id(&self) -> String {
        let mut hash = blake3::Hasher::new_derive_key("senate approval 1");
        hash.update(&serde_json::to_vec(self).unwrap_or_default());
        hash.finalize().to_hex().chars().take(ID_DIGITS).collect()
    }
}

/// The decisions of a party, in its folder.
#[derive(Clone, Debug)]
pub struct Approvals {
    folder: PathBuf,
}

impl Approvals {
    /// Of the party with this folder.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.join("approvals") }
    }

    /// The decision about a matter that counts now, if there is one.
    ///
    /// # Errors
    /// Aborted when its file is not what this party signed.
    pub fn decided(&self, matter: &Matter, own: Fingerprint) -> Outcome<Option<Decision>> {
        let path = self.path(&matter.id());
        let Some(decision) = read(&path, own)? else { return Ok(None) };
        if decision.matter != *matter {
            return Err(forged(&path, "a decision about something else"));
        }
        let over = decision.until.is_some_and(|until| until <= now());
        Ok((!over).then_some(decision))
    }

    /// All decisions with their identifiers, also those that no longer count.
    ///
    /// # Errors
    /// Aborted when a file is not what this party signed.
    pub fn all(&self, own: Fingerprint) -> Outcome<Vec<(String, Decision)>> {
        let mut found = Vec::new();
        for (id, path) in files(&self.folder)? {
            if let Some(decision) = read(&path, own)? {
                if decision.matter.id() != id {
                    return Err(forged(&path, "a decision about something else"));
                }
                found.push((id, decision));
            }
        }
        Ok(found)
    }

    /// Signs and keeps a decision; the query no longer waits.
    ///
    /// # Errors
    /// Usage when it cannot be written.
    pub fn decide(&self, identity: &Identity, mut decision: Decision) -> Outcome<String> {
        let id = decision.matter.id();
        if let Ok(Some(last)) = read(&self.path(&id), identity.fingerprint()) {
            // Uses of the last one are not uses of this.
            decision.made = decision.made.max(last.made.saturating_add(1));
        }
        let text = serde_json::to_string(&decision)
            .map_err(|error| Failure::unexpected(format!("encoding a decision: {error}")))?;
        let signature = identity.sign(CONTEXT, text.as_bytes())?;
        let signed = Signed { decision: text, signature };
        write(&self.path(&id), &signed)?;
        Ok(id)
    }

    /// Queries that wait for a decision, by the identifier of the query.
    ///
    /// # Errors
    /// Usage when a file cannot be read.
    pub fn waiting(&self) -> Outcome<Vec<(String, Waiting)>> {
        let mut found = Vec::new();
        for (id, path) in files(&self.waiting_folder())? {
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            let waiting = serde_json::from_str(&text)
                .map_err(|_| Failure::usage(format!("{}: malformed", path.display())))?;
            found.push((id, waiting));
        }
        Ok(found)
    }

    /// Keeps a query that waits, unless too many do.
    ///
    /// # Errors
    /// Usage when it cannot be written; refused when too many wait.
    pub fn wait(&self, id: &str, request: &Request) -> Outcome<()> {
        let path = self.waiting_folder().join(format!("{id}.json"));
        let bytes = serde_json::to_vec(request).map_or(usize::MAX, |text| text.len());
        if bytes > WAITING_BYTES_MAX {
            return Err(Failure::refused("a query that is too long to be decided on"));
        }
        if !path.exists() {
            let waiting = self.waiting()?;
            let theirs = waiting.iter().filter(|(_, other)| other.request.asker == request.asker);
            if waiting.len() >= WAITING_MAX || theirs.count() >= WAITING_OF_ONE_MAX {
                return Err(Failure::refused("too many queries wait for a decision")
                    .with_remedy("look at `senate inbox`"));
            }
        }
        write(&path, &Waiting { request: request.clone(), asked: now() })
    }

    /// The query no longer waits.
    pub fn settle(&self, id: &str) {
        let _ = std::fs::remove_file(self.waiting_folder().join(format!("{id}.json")));
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn waiting_folder(&self) -> PathBuf {
        self.folder.join("waiting")
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn read(path: &Path, own: Fingerprint) -> Outcome<Option<Decision>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let Signed { decision, signature } =
        serde_json::from_str(&text).map_err(|_| forged(path, "malformed"))?;
    signature.verify(own, CONTEXT, decision.as_bytes()).map_err(|why| forged(path, &why))?;
    serde_json::from_str(&decision).map(Some).map_err(|_| forged(path, "malformed"))
}

/// Identifiers and paths of the JSON files in a folder, in order.
fn files(folder: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(folder, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        if let (Some(id), true) = (id, path.extension().is_some_and(|end| end == "json")) {
            found.push((id, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Written whole or not at all.
fn write(path: &Path, contents: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(contents)
        .map_err(|error| Failure::unexpected(format!("encoding a decision: {error}")))?;
    let fresh = path.with_extension("new");
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| crate::private::write(&fresh, &(text + "\n")))
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

fn forged(path: &Path, why: &str) -> Failure {
    Failure::aborted(format!("{}: not what this party signed: {why}", path.display()))
        .with_remedy("remove the file and decide again with `senate approve` or `senate deny`")
}

#[cfg(test)]
mod tests;
