//! Which session a query runs in, settled when all participants have accepted it: one that all of
//! them have opened ahead, if they can bind it together, else a fresh one. Whatever is wrong with
//! the former, the query goes on in the latter.

use super::Daemon;
use super::shelf::Claim;
use crate::agreement::Agreement;
use crate::failure::{Failure, Outcome};
use crate::messages::{Start, Taken};
use crate::session::{BIND_MAX, Bound};
use crate::transport::Connection;
use futures_util::future::{join, try_join_all};
use senate_circuit::PartyId;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a participant may take for its next word.
const WORD_MAX: Duration = BIND_MAX.saturating_add(Duration::from_secs(3));

impl Daemon {
    /// The asking party's side. `None` is a fresh session.
    ///
    /// # Errors
    /// Lost when a participant goes away.
    pub(super) async fn settle(
        &self,
        agreement: &Agreement,
        invited: &mut [(PartyId, Connection)],
    ) -> Outcome<Option<Bound>> {
        let Some(claim) = self.shelf.offer(self.member.me, agreement.plan.participants) else {
            self.tell_all(invited, Start::Fresh).await?;
            return Ok(None);
        };
        let session = claim.session;
        self.tell_all(invited, Start::Try(session)).await?;
        let mut bound = None;
        if self.all_say(invited, Taken::Yes).await? {
            self.tell_all(invited, Start::Ahead).await?;
            let own = self.bind(claim, agreement);
            let (own, all) = join(own, self.all_say(invited, Taken::Yes)).await;
            bound = if all? { own } else { None };
        }
        if bound.is_none() {
            tracing::info!(%session, "a session opened ahead was not there any more");
        }
        let start = if bound.is_some() { Start::Ahead } else { Start::Fresh };
        self.tell_all(invited, start).await?;
        Ok(bound)
    }

    /// A participant's side.
    ///
    /// # Errors
    /// Lost when the asking party goes away or says what makes no sense.
    pub(super) async fn be_settled(
        &self,
        connection: &mut Connection,
        agreement: &Agreement,
    ) -> Outcome<Option<Bound>> {
        let senseless = || Failure::lost("the asking party starts the query out of order");
        let session = match connection.receive_within(WORD_MAX).await? {
            Start::Fresh => return Ok(None),
            Start::Try(session) => session,
            Start::Ahead => return Err(senseless()),
        };
        let claim = self.shelf.grant(session, self.member.me, agreement.plan.participants);
        connection.send(&Taken::from(claim.is_some())).await?;
        match connection.receive_within(WORD_MAX).await? {
            Start::Fresh => return Ok(None),
            Start::Try(_) => return Err(senseless()),
            Start::Ahead => {}
        }
        let bound = match claim {
            Some(claim) => self.bind(claim, agreement).await,
            None => None,
        };
        connection.send(&Taken::from(bound.is_some())).await?;
        match (connection.receive_within(WORD_MAX).await?, bound) {
            (Start::Fresh, _) => Ok(None),
            (Start::Ahead, Some(bound)) => Ok(Some(bound)),
            _ => Err(senseless()),
        }
    }

    async fn bind(&self, claim: Claim, agreement: &Agreement) -> Option<Bound> {
        self.shelf.take(claim)?.bind(agreement.plan.digest).await
    }

    async fn tell_all(&self, invited: &mut [(PartyId, Connection)], start: Start) -> Outcome<()> {
        for (party, connection) in invited {
            let told = connection.send(&start).await;
            told.map_err(|failure| of_party(failure, self.name(*party)))?;
        }
        Ok(())
    }

    /// Whether everybody's next word is this one.
    async fn all_say<M: DeserializeOwned + PartialEq>(
        &self,
        invited: &mut [(PartyId, Connection)],
        word: M,
    ) -> Outcome<bool> {
        let words = invited.iter_mut().map(|(party, connection)| {
            let name = self.name(*party);
            async move {
                let said = connection.receive_within::<M>(WORD_MAX).await;
                said.map_err(|failure| of_party(failure, name))
            }
        });
        Ok(try_join_all(words).await?.iter().all(|said| *said == word))
    }
}

fn of_party(failure: Failure, name: String) -> Failure {
    let failure = failure.at(format!("party {name}"));
    Failure { lost: Some(name), ..failure }
}
