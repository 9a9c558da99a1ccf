//! What this party publishes when its daemon starts.

use super::Standing;
use crate::config::{PartyConfig, Workspace};
use crate::draft::replace_private;
use crate::failure::{Failure, Outcome};
use crate::messages::VERSION;
use senate_circuit::PartyId;
use senate_control::{Digest, Fact, Topic};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Remembers which version of its policy a party has published last.
const PUBLISHED_FILE: &str = "published.json";
/// Version tags of the digests.
const TABLE_CONTEXT: &str = "senate published table 1";
const POLICY_CONTEXT: &str = "senate published policy 1";

/// The facts of one start.
pub(crate) struct OwnFacts {
    /// With what it takes part in queries.
    pub(crate) standing: Standing,
    /// Everything that it states.
    pub(crate) facts: Vec<Fact>,
}

/// Everything that `me` publishes, the version of its policy counted on where the policy is another
/// one than at the last start.
///
/// # Errors
/// Usage when the version cannot be read or written.
pub(crate) fn own_facts(
    workspace: &Workspace,
    config: &PartyConfig,
    me: PartyId,
) -> Outcome<OwnFacts> {
    let federation = &workspace.federation;
    let policy_digest = policy_digest(workspace, config)?;
    let policy = policy_version(&config.folder, &policy_digest)?;
    let standing = Standing { epoch: federation.epoch, policy, policy_digest };
    let fact = |topic, digest| Fact { party: me, epoch: federation.epoch, topic, digest };
    let mut facts = vec![
        fact(Topic::Roster, Digest(federation.digest)),
        fact(Topic::Release, Digest(*blake3::hash(VERSION.as_bytes()).as_bytes())),
        fact(Topic::Policy(policy), Digest(policy_digest)),
    ];
    for table in workspace.tables_of(me) {
        // One without a source is not published: queries on it find that out themselves.
        if config.source(&table.name).is_ok() {
            let declared = format!("{:?}", (&table.columns, table.capacity));
            let topic = Topic::Table(table_name(&table.name));
            facts.push(fact(topic, Digest(hash(TABLE_CONTEXT, &[declared.as_bytes()]))));
        }
    }
    Ok(OwnFacts { standing, facts })
}

/// Digest of a table's name.
pub(super) fn table_name(name: &str) -> Digest {
    Digest(*blake3::hash(name.as_bytes()).as_bytes())
}

/// Whose queries run without asking, and what is allowed with which columns.
fn policy_digest(workspace: &Workspace, config: &PartyConfig) -> Outcome<[u8; 32]> {
    let mut accepted: Vec<String> =
        config.accept.iter().map(|party| workspace.federation.party_name(*party)).collect();
    accepted.sort();
    accepted.dedup();
    let policy = serde_json::to_vec(&config.policy)
        .map_err(|error| Failure::unexpected(format!("encoding the policy: {error}")))?;
    let mut parts = vec![policy.as_slice()];
    parts.extend(accepted.iter().map(String::as_bytes));
    Ok(hash(POLICY_CONTEXT, &parts))
}

fn hash(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    *hash.finalize().as_bytes()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    policy_version: u32,
    policy_digest: String,
}

/// The version under which this policy has been published, or is now.
fn policy_version(folder: &Path, digest: &[u8; 32]) -> Outcome<u32> {
    let path = folder.join(PUBLISHED_FILE);
    let place = |failure: Failure| failure.at(path.display());
    let before: Option<Published> = match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
            let remedy = "restore it from a backup; without it, begin a new epoch";
            place(Failure::usage(error.to_string()).with_remedy(remedy))
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(place(Failure::usage(error.to_string()))),
    };
    let policy_digest = data_encoding::HEXLOWER.encode(digest);
    let policy_version = match before {
        Some(before) if before.policy_digest == policy_digest => return Ok(before.policy_version),
        Some(before) => before.policy_version.checked_add(1),
        None => Some(1),
    };
    let policy_version = policy_version
        .ok_or_else(|| place(Failure::usage("no further version").with_remedy("a new epoch")))?;
    let text = serde_json::to_string_pretty(&Published { policy_version, policy_digest })
        .map_err(|error| Failure::unexpected(error.to_string()))?;
    replace_private(&path, &(text + "\n"))?;
    Ok(policy_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_policy_is_another_version_and_the_same_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let version = |byte| policy_version(folder.path(), &[byte; 32]);
        assert_eq!(
            [version(1), version(1), version(2), version(1)].map(Outcome::unwrap),
            [1, 1, 2, 3]
        );
        std::fs::write(folder.path().join(PUBLISHED_FILE), "{}").unwrap();
        assert_eq!(version(1).unwrap_err().cause.exit_code(), 2);
    }
}
