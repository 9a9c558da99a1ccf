//! An owner's policy from its daemon.

use super::{Bundle, Published, in_workspace, keep, kept, opened};
use crate::agreement::owners;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use crate::messages::{Answer, Hello, Purpose, VERSION};
use crate::transport::Connection;
use futures_util::future::join_all;
use senate_circuit::{PartyId, PartySet};
use senate_planner::policy::Policies;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long `explain` waits for an owner before it uses what it knows.
const EXPLAIN_MAX: Duration = Duration::from_secs(3);

/// What `owner` allows now, checked and kept in `folder`.
///
/// # Errors
/// Lost when its daemon does not answer, refused when it refuses, aborted for a false statement.
async fn fetch(
    workspace: &Workspace,
    identity: &Identity,
    folder: &Path,
    owner: PartyId,
    patience: Duration,
) -> Outcome<Published> {
    let name = workspace.federation.party_name(owner);
    let lost = |failure: Failure| Failure {
        lost: Some(name.clone()),
        ..failure.at(format!("party {name}"))
    };
    let answer = timeout(patience, converse(workspace, identity, owner, Purpose::Policy));
    let answer = answer
        .await
        .map_err(|_| Failure::lost_party(&name, format!("party {name} did not answer in time")))?;
    taken(workspace, folder, owner, answer.map_err(lost)?)
}

/// What `owner` has answered, checked and kept in `folder`.
///
/// # Errors
/// Refused when it refuses, aborted for a false statement.
pub(crate) fn taken(
    workspace: &Workspace,
    folder: &Path,
    owner: PartyId,
    answer: Answer<Published>,
) -> Outcome<Published> {
    let name = workspace.federation.party_name(owner);
    match answer {
        Answer::Given(published) => {
            published.open(workspace, owner)?;
            keep(folder, &name, &published);
            Ok(published)
        }
        Answer::Refused(reason) => Err(reason.failure(&name)),
    }
}

async fn converse(
    workspace: &Workspace,
    identity: &Identity,
    owner: PartyId,
    purpose: Purpose,
) -> Outcome<Answer<Published>> {
    let (address, pinned) = (workspace.address(owner)?, workspace.fingerprint(owner)?);
    let mut connection = Connection::dial(identity, address, pinned).await?;
    let federation = workspace.federation.digest;
    connection.send(&Hello { version: VERSION.to_owned(), federation, purpose }).await?;
    connection.receive().await
}

/// What is known of the policies under which `asker` would ask; without one, all parties run in
/// this process. Says on stderr which owners could not be reached.
///
/// # Errors
/// Usage for SQL that is wrong and when this party's own files are.
pub async fn known(workspace: &Workspace, asker: Option<&str>, sql: &str) -> Outcome<Policies> {
    let Some(asker) = asker else { return in_workspace(workspace) };
    let me = workspace.party(asker)?;
    let (bundle, unknown) = gathered(workspace, me, owners(workspace, sql)?).await?;
    if !unknown.is_empty() {
        eprintln!("not reached, so their policies are not known: {}", unknown.join(", "));
    }
    opened(workspace, &bundle)
}

/// From the owners' daemons, or from the last time; the names of the others come back too.
async fn gathered(
    workspace: &Workspace,
    me: PartyId,
    owners: PartySet,
) -> Outcome<(Bundle, Vec<String>)> {
    let config = PartyConfig::read(workspace, me)?;
    let identity = config.identity(workspace, me)?;
    let (mut bundle, mut unknown) = (Bundle::new(), Vec::new());
    let federation = &workspace.federation;
    if owners.contains(me) {
        let own = Published::sign(&identity, federation, me, config.policy.as_ref())?;
        bundle.insert(federation.party_name(me), own);
    }
    let others: Vec<PartyId> = owners.without(me).iter().collect();
    let asked =
        others.iter().map(|owner| fetch(workspace, &identity, &config.folder, *owner, EXPLAIN_MAX));
    for (owner, answer) in others.iter().zip(join_all(asked).await) {
        let name = federation.party_name(*owner);
        let published = match answer {
            Ok(published) => Some(published),
            Err(_) => kept(&config.folder, &name)
                .filter(|published| published.open(workspace, *owner).is_ok()),
        };
        match published {
            Some(published) => drop(bundle.insert(name, published)),
            None => unknown.push(name),
        }
    }
    Ok((bundle, unknown))
}
