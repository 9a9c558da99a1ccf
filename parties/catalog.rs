//! What this party publishes to the others and what it knows of theirs: federation file, release,
//! tables, policy version and approved plans, as facts that each party seals and daemons gossip.

mod board;
mod own;
mod report;
mod sealing;
mod transfer;

pub(crate) use board::Board;
pub(crate) use own::{OwnFacts, own_facts};
pub(crate) use report::{CatalogReport, topic_name};
pub(crate) use sealing::{seal, verify};
pub(crate) use transfer::{Transfer, bytes_max};

use crate::failure::{Cause, Failure};
use senate_circuit::PartyId;
use senate_control::{Catalog, Digest, Fault};
use serde::{Deserialize, Serialize};

/// With what a party takes part in a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its epoch.
    pub(crate) epoch: u32,
    /// Version of its policy.
    pub(crate) policy: u32,
    /// Digest of its policy.
    pub(crate) policy_digest: [u8; 32],
}

/// How what a party runs contradicts what it has published.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Discord {
    /// It has published two things as one, or without end.
    Faulty,
    /// It is in another epoch.
    Epoch {
        /// In which it is.
        runs: u32,
        /// In which the party that compares is.
        expected: u32,
    },
    /// It has published a later policy than it runs.
    Superseded {
        /// What it runs.
        runs: u32,
        /// What it has published.
        published: u32,
    },
    /// It runs another policy than it has published under the same version.
    Contradiction(u32),
}

/// Compares what a party runs with everything that is known to have been published by it. A version
/// that is not known yet is none that contradicts.
pub(crate) fn compare(
    catalog: &Catalog,
    party: PartyId,
    standing: &Standing,
) -> Result<(), Discord> {
    if catalog.fault(party).is_some() {
        return Err(Discord::Faulty);
    }
    let (runs, expected) = (standing.epoch, catalog.epoch());
    if runs != expected {
        return Err(Discord::Epoch { runs, expected });
    }
    match catalog.policy(party).map_err(|_| Discord::Faulty)? {
        Some((published, _)) if published > standing.policy => {
            Err(Discord::Superseded { runs: standing.policy, published })
        }
        Some((version, Digest(digest)))
            if version == standing.policy && digest != standing.policy_digest =>
        {
            Err(Discord::Contradiction(version))
        }
        _ => Ok(()),
    }
}

impl Discord {
    /// The failure that it is to whoever compares.
    pub(crate) fn failure(self, party: &str) -> Failure {
        match self {
            Self::Faulty => Failure::aborted(format!(
                "party {party}: has sealed statements that contradict each other"
            ))
            .with_remedy("`senate doctor` shows them; ask its operator, then begin a new epoch"),
            Self::Epoch { runs, expected } => Failure::refused(format!(
                "party {party}: is in epoch {runs} of the federation instead of {expected}"
            ))
            .with_remedy("have one federation.toml signed by all and restart the daemons"),
            Self::Superseded { runs, published } => Failure::refused(format!(
                "party {party}: runs version {runs} of its policy, but has published version \
                 {published}"
            ))
            .with_remedy(
                "its operator restarts its daemon with the published policy; if published.json was \
                 lost, restore it or have all begin a new epoch",
            ),
            Self::Contradiction(version) => Failure::new(
                Cause::Aborted,
                format!(
                    "party {party}: runs another policy than it has published as version {version}"
                ),
            )
            .with_remedy("ask its operator which one holds, then begin a new epoch"),
        }
    }
}

/// A fault in words.
pub(crate) fn fault_text(fault: &Fault, name: &dyn Fn(PartyId) -> String) -> String {
    let party = name(fault.party());
    match fault {
        Fault::Equivocation(one, other) => {
            let short = |Digest(digest): Digest| crate::messages::short(&digest);
            let what = topic_name(&one.fact.topic);
            let (one, other) = (short(one.fact.digest), short(other.fact.digest));
            format!("{party} has sealed two different digests of {what}: {one} and {other}")
        }
        Fault::Flood(_) => format!("{party} has published more than there can be"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_circuit::PartySet;
    use senate_control::{Fact, Seal, Statement, Topic};

    #[test]
    fn what_a_party_runs_is_held_against_what_it_has_published() {
        let party = PartyId::new(1).unwrap();
        let mut catalog = Catalog::new(PartySet::first(2), 4);
        let runs = |epoch, policy, byte| Standing { epoch, policy, policy_digest: [byte; 32] };
        assert_eq!(compare(&catalog, party, &runs(4, 1, 1)), Ok(()));
        let mut publish = |version, byte| {
            let (topic, digest) = (Topic::Policy(version), Digest([byte; 32]));
            let fact = Fact { party, epoch: 4, topic, digest };
            catalog.insert(Statement { fact, seal: Seal::new(&[]).unwrap() });
            catalog.clone()
        };
        let published = publish(2, 2);
        assert_eq!(compare(&published, party, &runs(4, 2, 2)), Ok(()));
        assert_eq!(compare(&published, party, &runs(4, 3, 9)), Ok(()));
        let superseded = Discord::Superseded { runs: 1, published: 2 };
        assert_eq!(compare(&published, party, &runs(4, 1, 1)), Err(superseded));
        let contradiction = compare(&published, party, &runs(4, 2, 9)).unwrap_err();
        assert_eq!(contradiction, Discord::Contradiction(2));
        assert_eq!(contradiction.failure("b").cause.exit_code(), 5);
        let elsewhere = Discord::Epoch { runs: 3, expected: 4 };
        assert_eq!(compare(&published, party, &runs(3, 2, 2)), Err(elsewhere));
        assert_eq!(compare(&publish(2, 3), party, &runs(4, 2, 2)), Err(Discord::Faulty));
    }
}
