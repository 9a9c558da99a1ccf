//! Daemons meet and tell each other what they know of the catalog; queries are held against it.

use super::Daemon;
use crate::catalog::{
    Board, CatalogReport, Discord, OwnFacts, Standing, Transfer, bytes_max, compare, fault_text,
    seal, topic_name, verify,
};
use crate::chunks;
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use crate::messages::{Card, Purpose, Taken, Version, short};
use crate::transport::Connection;
use senate_circuit::{PartyId, PartySet};
use senate_control::{Catalog, Digest, Fact, GossipSpec, Observation, Statement, Topic, Word};
use senate_planner::catalog::Federation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// After the start, before the first meetings.
const START_PAUSE: Duration = Duration::from_millis(200);
/// Between rounds in which every peer is met.
const ROUND: Duration = Duration::from_secs(30);
/// After news, so that what comes together is told together.
const NEWS_PAUSE: Duration = Duration::from_millis(300);
/// How long a meeting may take.
const MEETING_MAX: Duration = Duration::from_secs(20);
/// How long measuring a link may take.
const MEASURING_MAX: Duration = Duration::from_secs(60);
/// Plans whose approval is published in one epoch; of later ones only their participants know.
const APPROVALS_MAX: usize = 256;
/// Version tag of the digest of what is known.
const KNOWLEDGE_CONTEXT: &str = "senate catalog knowledge 1";

/// What this daemon has published and knows of the others.
pub(super) struct Bulletin {
    board: Board,
    standing: Standing,
    me: PartyId,
    federation: [u8; 32],
    approved: Mutex<BTreeSet<[u8; 32]>>,
    certificates: Mutex<BTreeMap<PartyId, Vec<u8>>>,
    notes: Mutex<BTreeMap<PartyId, String>>,
    news: Arc<Notify>,
}

impl Bulletin {
    /// Publishes this party's facts and listens.
    pub(super) fn start(
        federation: &Arc<Federation>,
        me: PartyId,
        identity: &Identity,
        own: OwnFacts,
    ) -> Outcome<Self> {
        let parties = PartySet::first(federation.parties.len());
        let news = Arc::new(Notify::new());
        let (names, told) = (Arc::clone(federation), Arc::clone(&news));
        let spec = GossipSpec { me, parties, epoch: federation.epoch };
        let board = Board::start(spec, move |observation| {
            tell(&observation, &|party| names.party_name(party));
            if let Observation::Stated(Statement { fact, .. }) = observation {
                // Approvals wait for the next round.
                if !matches!(fact.topic, Topic::Approval(_)) {
                    told.notify_one();
                }
            }
        })?;
        let certificate = identity.certificate().to_vec();
        let bulletin = Self {
            board,
            standing: own.standing,
            me,
            federation: federation.digest,
            approved: Mutex::default(),
            certificates: Mutex::new(BTreeMap::from([(me, certificate)])),
            notes: Mutex::default(),
            news,
        };
        for fact in own.facts {
            bulletin.board.state(seal(identity, &federation.digest, fact)?);
        }
        Ok(bulletin)
    }

    /// With what this party takes part in queries.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Holds what a party runs against what it has published.
    ///
    /// # Errors
    /// The contradiction.
    pub(super) fn compare(&self, party: PartyId, standing: &Standing) -> Result<(), Discord> {
        compare(&self.board.known(), party, standing)
    }

    /// Nobody takes part who has sealed statements that contradict each other.
    ///
    /// # Errors
    /// Aborted, naming who has.
    pub(super) fn trust(
        &self,
        participants: PartySet,
        name: &dyn Fn(PartyId) -> String,
    ) -> Outcome<()> {
        let known = self.board.known();
        match participants.iter().find_map(|party| known.fault(party)) {
            None => Ok(()),
            Some(fault) => Err(Failure::aborted(format!("party {}", fault_text(&fault, name)))
                .with_remedy(
                    "ask its operator; then have an epoch with a higher number signed by all",
                )),
        }
    }

    /// Publishes that this party approves a plan.
    pub(super) fn approve(&self, identity: &Identity, plan: [u8; 32]) {
        {
            // Also what was published before a restart, as far as others have told it back.
            let known = self.board.known();
            let is_own = |statement: &Statement| {
                statement.fact.party == self.me
                    && matches!(statement.fact.topic, Topic::Approval(_))
            };
            let before = known.statements().filter(is_own).count();
            let mut approved = lock(&self.approved);
            if before.max(approved.len()) >= APPROVALS_MAX || !approved.insert(plan) {
                return;
            }
        }
        let (topic, digest) = (Topic::Approval(Digest(plan)), Digest(plan));
        let fact = Fact { party: self.me, epoch: self.standing.epoch, topic, digest };
        match seal(identity, &self.federation, fact) {
            Ok(statement) => self.board.state(statement),
            Err(failure) => tracing::warn!(%failure, "an approval is not published"),
        }
    }

    /// For `senate doctor`.
    pub(super) fn report(&self, federation: &Federation) -> CatalogReport {
        let notes = lock(&self.notes).values().cloned().collect();
        CatalogReport::new(&self.board.known(), federation, notes)
    }

    /// Everything for `peer`, with the certificates that seals are verified with.
    async fn transfer(&self, peer: PartyId) -> Outcome<Vec<u8>> {
        let words = self.board.meet(peer).await?;
        let certificates = lock(&self.certificates).clone();
        Ok(Transfer { certificates, words }.to_bytes())
    }

    fn note(&self, party: PartyId, note: Option<String>) {
        let mut notes = lock(&self.notes);
        match note {
            Some(note) => notes.insert(party, note),
            None => notes.remove(&party),
        };
    }
}

impl Daemon {
    /// Meets the others as long as the daemon serves: all of them in rounds, and when there is news.
    pub(super) async fn gossip(self: Arc<Self>) {
        sleep(START_PAUSE).await;
        loop {
            for party in self.peers().iter() {
                match timeout(MEETING_MAX, self.meet(party)).await {
                    Ok(Ok(is_here)) => self.look_at(party, is_here).await,
                    Ok(Err(failure)) => self.not_met(party, &failure),
                    Err(_) => self.not_met(party, &Failure::lost("no answer")),
                }
            }
            tokio::select! {
                () = sleep(ROUND) => {}
                () = self.bulletin.news.notified() => sleep(NEWS_PAUSE).await,
            }
        }
    }

    /// Measures the link to a party that was just met.
    async fn look_at(&self, party: PartyId, is_here: bool) {
        match timeout(MEASURING_MAX, self.measure(party, is_here)).await {
            Ok(Ok(Taken::Yes)) if !is_here => self.bulletin.news.notify_one(),
            Ok(Err(failure)) => self.not_met(party, &failure),
            _ => {}
        }
    }

    fn card(&self) -> Card {
        Card {
            version: Version::own(),
            federation: self.member.federation.digest,
            epoch: self.member.federation.epoch,
            knowledge: knowledge(&self.bulletin.board.known()),
            links: self.measured.own(),
        }
    }

    /// Longest transfer that is taken in.
    fn transfer_max(&self) -> usize {
        bytes_max(self.member.federation.parties.len())
    }

    fn peers(&self) -> PartySet {
        PartySet::first(self.member.federation.parties.len()).without(self.member.me)
    }

    fn not_met(&self, party: PartyId, failure: &Failure) {
        let name = self.name(party);
        if failure.cause == crate::failure::Cause::Aborted {
            tracing::warn!(party = %name, %failure, "gossip refused");
            self.bulletin.note(party, Some(format!("{name}: {failure}")));
        } else {
            tracing::debug!(party = %name, %failure, "not met");
        }
    }

    /// This daemon's side of a meeting that it asks for. Tells whether the party is on this machine.
    async fn meet(&self, party: PartyId) -> Outcome<bool> {
        let own = self.card();
        let mut connection = self.member.dial(party, Purpose::Catalog(own.clone())).await?;
        let card: Card = connection.receive().await?;
        let is_here = connection.is_here();
        if !self.can_talk(party, &own, &card) {
            return Ok(is_here);
        }
        self.measured.told(party, card.links);
        if card.knowledge == own.knowledge {
            return Ok(is_here);
        }
        chunks::send(&mut connection, &self.bulletin.transfer(party).await?).await?;
        let whole = chunks::receive(&mut connection, self.transfer_max()).await?;
        self.learn(party, &whole)?;
        Ok(is_here)
    }

    /// The other side.
    pub(super) async fn be_met(&self, connection: Connection, party: PartyId, card: Card) {
        match timeout(MEETING_MAX, self.answer_meeting(connection, party, card)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.not_met(party, &failure),
            Err(_) => self.not_met(party, &Failure::lost("no answer")),
        }
    }

    async fn answer_meeting(
        &self,
        mut connection: Connection,
        party: PartyId,
        card: Card,
    ) -> Outcome<()> {
        let own = self.card();
        connection.send(&own).await?;
        if !self.can_talk(party, &own, &card) {
            return Ok(());
        }
        self.measured.told(party, card.links);
        if card.knowledge == own.knowledge {
            return Ok(());
        }
        let whole = chunks::receive(&mut connection, self.transfer_max()).await?;
        chunks::send(&mut connection, &self.bulletin.transfer(party).await?).await?;
        self.learn(party, &whole)
    }

    /// Whether the peer is in the same epoch of the same federation, and why not.
    fn can_talk(&self, party: PartyId, own: &Card, card: &Card) -> bool {
        let name = self.name(party);
        let note = if card.version != own.version {
            format!("{name} runs version {} of senate instead of {}", card.version, own.version)
        } else if card.epoch != own.epoch {
            format!("{name} is in epoch {} of the federation instead of {}", card.epoch, own.epoch)
        } else if card.federation != own.federation {
            let (theirs, ours) = (short(&card.federation), short(&own.federation));
            format!("{name} has another federation.toml: digest {theirs} instead of {ours}")
        } else {
            self.bulletin.note(party, None);
            return true;
        };
        tracing::debug!(party = %name, "{note}");
        self.bulletin.note(party, Some(note));
        false
    }

    /// Takes in what a peer has told, if every new statement in it carries its party's seal.
    fn learn(&self, from: PartyId, whole: &[u8]) -> Outcome<()> {
        let Transfer { certificates, words } =
            Transfer::from_bytes(whole).ok_or_else(|| Failure::aborted("gossip: malformed"))?;
        let known = self.bulletin.board.known();
        let mut new = Vec::new();
        for word in words {
            let Word::Statement(statement) = word else { continue };
            let Fact { party, epoch, topic, digest } = statement.fact;
            let is_ours = epoch == known.epoch() && known.parties().contains(party);
            if !is_ours {
                return Err(Failure::aborted("gossip: a statement of another epoch or party"));
            }
            let is_known = known.stated(party, topic) == Ok(Some(digest));
            if !is_known && known.fault(party).is_none() {
                new.push(self.verified(&certificates, statement)?);
            }
        }
        let verified = certificates
            .into_iter()
            .filter(|(party, _)| new.iter().any(|new: &Statement| new.fact.party == *party));
        lock(&self.bulletin.certificates).extend(verified);
        new.into_iter().for_each(|new| self.bulletin.board.hear(from, Word::Statement(new)));
        Ok(())
    }

    fn verified(
        &self,
        certificates: &BTreeMap<PartyId, Vec<u8>>,
        statement: Statement,
    ) -> Outcome<Statement> {
        let party = statement.fact.party;
        let forged = |why: String| {
            let (name, what) = (self.name(party), topic_name(&statement.fact.topic));
            Failure::aborted(format!(
                "gossip: it passes on what {name} has not sealed: {what}: {why}"
            ))
        };
        let certificate = certificates.get(&party);
        let certificate = certificate.ok_or_else(|| forged("no certificate".to_owned()))?;
        let pinned = self.member.workspace.fingerprint(party)?;
        verify(certificate, pinned, &self.member.federation.digest, &statement).map_err(forged)?;
        Ok(statement)
    }
}

/// Every fact of the catalog, whatever its seal. Of a party with a fault only that it has one: which
/// of its contradictions came here first differs, and is not told again.
fn knowledge(known: &Catalog) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key(KNOWLEDGE_CONTEXT);
    let faulty: PartySet = known.faults().map(|fault| fault.party()).collect();
    faulty.iter().for_each(|party| {
        hash.update(&(party.index() as u64).to_le_bytes());
    });
    hash.update(&(faulty.len() as u64).to_le_bytes());
    let sound = known.statements().filter(|statement| !faulty.contains(statement.fact.party));
    sound.for_each(|statement| {
        hash.update(&statement.fact.to_bytes());
    });
    *hash.finalize().as_bytes()
}

fn tell(observation: &Observation, name: &dyn Fn(PartyId) -> String) {
    match observation {
        Observation::Stated(Statement { fact, .. }) => {
            let (party, what) = (name(fact.party), topic_name(&fact.topic));
            tracing::debug!(%party, "has published {what}");
        }
        Observation::Agreed(topic, Digest(digest)) => {
            let (what, digest) = (topic_name(topic), short(digest));
            tracing::info!(%digest, "every party has published the same digest of {what}");
        }
        Observation::Fault(fault) => {
            tracing::warn!("party {}", fault_text(fault, name));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_control::Seal;

    #[test]
    fn parties_that_saw_different_contradictions_know_the_same() {
        let stated = |digests: &[u8], other: u8| {
            let mut known = Catalog::new(PartySet::first(2), 1);
            for (party, digest) in digests.iter().map(|digest| (0, *digest)).chain([(1, other)]) {
                let (party, topic) = (PartyId::new(party).unwrap(), Topic::Roster);
                let fact = Fact { party, epoch: 1, topic, digest: Digest([digest; 32]) };
                known.insert(Statement { fact, seal: Seal::new(&[digest]).unwrap() });
            }
            knowledge(&known)
        };
        assert_eq!(stated(&[1, 2], 5), stated(&[2, 3], 5));
        assert_ne!(stated(&[1, 2], 5), stated(&[2, 3], 6));
        assert_ne!(stated(&[1], 5), stated(&[1, 2], 5));
    }
}
