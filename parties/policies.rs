//! The owners' policies as they reach those who plan: out of the party.toml files of a workspace
//! that one process runs, or signed by each owner and sent with a query.

mod fetch;

pub use fetch::known;
pub(crate) use fetch::taken;

use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::{Identity, Signature};
use senate_circuit::{PartyId, PartySet};
use senate_planner::catalog::Federation;
use senate_planner::policy::{Policies, Policy, Undeclared, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a signature over a policy counts for.
const CONTEXT: &str = "policy";
/// Longest policy that is looked at, in bytes.
const POLICY_BYTES_MAX: usize = 1 << 20;

/// A policy as its owner publishes it. That there is none is a statement too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// [`Statement`] in JSON, as it was signed.
    statement: String,
    signature: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    party: String,
    /// Digest of the federation.toml that the policy was checked against.
    federation: [u8; 32],
    policy: Option<Policy>,
}

/// Published policies by the name of their owner, as they come with a query.
pub type Bundle = BTreeMap<String, Published>;

impl Published {
    /// The policy of `party`, signed.
    ///
    /// # Errors
    /// Usage when the identity's key cannot sign.
    pub fn sign(
        identity: &Identity,
        federation: &Federation,
        party: PartyId,
        policy: Option<&Policy>,
    ) -> Outcome<Self> {
        let statement = Statement {
            party: federation.party_name(party),
            federation: federation.digest,
            policy: policy.cloned(),
        };
        let statement = serde_json::to_string(&statement)
            .map_err(|error| Failure::unexpected(format!("encoding the policy: {error}")))?;
        let signature = identity.sign(CONTEXT, statement.as_bytes())?;
        Ok(Self { statement, signature })
    }

    /// What `party` has signed.
    ///
    /// # Errors
    /// Aborted when it is not its word on this federation.
    pub fn open(&self, workspace: &Workspace, party: PartyId) -> Outcome<Option<Policy>> {
        let name = workspace.federation.party_name(party);
        let wrong = |why: String| Failure::aborted(format!("the policy of party {name}: {why}"));
        if self.statement.len() > POLICY_BYTES_MAX {
            return Err(wrong("longer than 1 MiB".to_owned()));
        }
        let pinned = workspace.fingerprint(party)?;
        self.signature.verify(pinned, CONTEXT, self.statement.as_bytes()).map_err(wrong)?;
        let statement: Statement =
            serde_json::from_str(&self.statement).map_err(|_| wrong("malformed".to_owned()))?;
        if statement.party != name || statement.federation != workspace.federation.digest {
            return Err(wrong("a statement about another party or federation".to_owned()));
        }
        if let Some(policy) = &statement.policy {
            policy.check(&workspace.federation, party).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(statement.policy)
    }
}

/// The policies of a bundle; an owner that is missing there has declared none.
///
/// # Errors
/// As [`Published::open`]; usage for a name that is no party's.
pub fn opened(workspace: &Workspace, bundle: &Bundle) -> Outcome<Policies> {
    let mut declared = BTreeMap::new();
    for (name, published) in bundle {
        let party = workspace.party(name)?;
        if let Some(policy) = published.open(workspace, party)? {
            declared.insert(party, policy);
        }
    }
    Ok(Policies::new(declared, Undeclared::Denied))
}

/// What all the party.toml files of a workspace say, for runs inside one process.
///
/// # Errors
/// Usage when a file is wrong.
pub fn in_workspace(workspace: &Workspace) -> Outcome<Policies> {
    let mut declared = BTreeMap::new();
    for party in PartySet::first(workspace.federation.parties.len()).iter() {
        if let Some(policy) = PartyConfig::read(workspace, party)?.policy {
            declared.insert(party, policy);
        }
    }
    Ok(Policies::new(declared, Undeclared::InOneProcess))
}

/// The refusal of a query that a policy forbids.
///
/// # Errors
/// Refused, naming the owner, the column, the use and the rule.
pub fn permitted(verdict: &Verdict, federation: &Federation) -> Outcome<()> {
    let Some((finding, refusal)) =
        verdict.refused().and_then(|finding| Some((finding, finding.refusal()?)))
    else {
        return Ok(());
    };
    let owner = federation.party_name(finding.owner);
    Err(Failure::refused(format!(
        "refused by the policy of party {owner}, rule {}: {}: the query {}: {}",
        refusal.rule, finding.subject, finding.usage, refusal.why
    ))
    .with_remedy(format!("{}; `senate explain` shows every use", refusal.remedy)))
}

/// Keeps what an owner has published, so that `explain` knows it when the owner is away.
pub fn keep(folder: &Path, owner: &str, published: &Published) {
    let path = kept_at(folder, owner);
    let text = serde_json::to_string_pretty(published).unwrap_or_default();
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| crate::private::write(&path, &(text + "\n")));
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "a policy was not kept");
    }
}

/// What was kept; nothing when there is nothing, or nothing readable.
pub fn kept(folder: &Path, owner: &str) -> Option<Published> {
    let text = std::fs::read_to_string(kept_at(folder, owner)).ok()?;
    serde_json::from_str(&text).ok()
}

fn kept_at(folder: &Path, owner: &str) -> PathBuf {
    folder.join("policies").join(format!("{owner}.json"))
}
