//! What the other participants report at the end, listened for from the moment all have accepted:
//! a participant that goes away is noticed at once, whatever this party waits for.

use super::Daemon;
use crate::agreement::Agreement;
use crate::failure::{Cause, Failure, Outcome};
use crate::messages::Report;
use crate::query::Answered;
use crate::request::{Figures, Stats};
use crate::transport::Connection;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use senate_circuit::PartyId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

/// How long the others may take to report their figures after the answer is there.
const FIGURES_MAX: Duration = Duration::from_secs(3);
/// How long this party's session may take to find out itself why another's has ended.
const REASON_MAX: Duration = Duration::from_secs(2);

/// Reports that are still to come, and what those that came said.
pub(super) struct Reports<'a> {
    daemon: &'a Daemon,
    coming: FuturesUnordered<BoxFuture<'a, (PartyId, Outcome<Report>)>>,
    heard: BTreeSet<PartyId>,
    done: Vec<(PartyId, Figures)>,
    trouble: Option<Trouble>,
}

/// Why a participant has no figures; of two the later kind says more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Failed(PartyId),
    Cancelled(PartyId),
    Aborted(PartyId),
    Lost { by: PartyId, party: PartyId },
    Gone(PartyId),
}

impl<'a> Reports<'a> {
    /// Of these participants.
    pub(super) fn of(daemon: &'a Daemon, invited: Vec<(PartyId, Connection)>) -> Self {
        let report = |(party, mut connection): (PartyId, Connection)| {
            async move { (party, connection.receive().await) }.boxed()
        };
        let coming = invited.into_iter().map(report).collect();
        Self { daemon, coming, heard: BTreeSet::new(), done: Vec::new(), trouble: None }
    }

    /// This party's session beside the others'. When another ends without an answer, this one is
    /// soon over as well.
    ///
    /// # Errors
    /// As the session's; what a lost link means is told with the others' help.
    pub(super) async fn beside(
        mut self,
        session: impl Future<Output = Outcome<Answered>>,
        phase: impl Fn() -> String,
    ) -> Outcome<Answered> {
        tokio::pin!(session);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut session => break Some(ended),
                Some((party, report)) = self.coming.next() => self.take(party, report),
            }
            if self.trouble.is_some() {
                break timeout(REASON_MAX, &mut session).await.ok();
            }
        };
        match ended {
            Some(Ok(mut answered)) => {
                let _ = timeout(FIGURES_MAX, self.all()).await;
                self.add_to(&mut answered.stats);
                Ok(answered)
            }
            Some(Err(failure)) if failure.cause != Cause::Lost => Err(failure),
            ended => {
                let _ = timeout(REASON_MAX, self.until_gone()).await;
                Err(self.explain(ended.and_then(Result::err), &phase()))
            }
        }
    }

    /// What a session's failure on a lost link comes down to.
    fn explain(&self, own: Option<Failure>, phase: &str) -> Failure {
        let theirs = self.failure(phase);
        let Some(own) = own else {
            return theirs.unwrap_or_else(|| Failure::lost(format!("{phase}: ended elsewhere")));
        };
        let lost = own.lost.as_ref().and_then(|party| self.daemon.member.federation.party(party));
        match (&self.trouble, lost) {
            (Some(Trouble::Gone(_)), _) => theirs.unwrap_or(own),
            // Who has reported is there.
            (_, Some(party)) if !self.heard.contains(&party) => own,
            (Some(Trouble::Lost { .. } | Trouble::Aborted(_) | Trouble::Cancelled(_)), _) => {
                theirs.unwrap_or(own)
            }
            _ => own,
        }
    }

    /// The others' sessions, without one of this party's own.
    ///
    /// # Errors
    /// The first reason for no answer.
    pub(super) async fn alone(mut self, agreement: &Agreement) -> Outcome<Stats> {
        self.all().await;
        if let Some(failure) = self.failure("waiting for the participants") {
            return Err(failure);
        }
        let mut stats = agreement.stats(&self.daemon.member.federation);
        self.add_to(&mut stats);
        Ok(stats)
    }

    /// Puts down what each has told of itself, under its own name.
    fn add_to(&self, stats: &mut Stats) {
        self.done.iter().for_each(|(party, told)| stats.add(&self.daemon.name(*party), told));
    }

    /// Listens until everybody has reported, or somebody has failed.
    async fn all(&mut self) {
        while self.trouble.is_none() {
            let Some((party, report)) = self.coming.next().await else { return };
            self.take(party, report);
        }
        let _ = timeout(REASON_MAX, self.until_gone()).await;
    }

    /// Listens until everybody has reported, or it is plain who is gone.
    async fn until_gone(&mut self) {
        while !matches!(self.trouble, Some(Trouble::Gone(_))) {
            let Some((party, report)) = self.coming.next().await else { return };
            self.take(party, report);
        }
    }

    fn take(&mut self, by: PartyId, report: Outcome<Report>) {
        if report.is_ok() {
            self.heard.insert(by);
        }
        let trouble = match report {
            Ok(Report::Done(figures)) => return self.done.push((by, figures)),
            Ok(Report::Failed(Cause::Lost, Some(party))) => {
                match self.daemon.member.federation.party(&party) {
                    Some(party) => Trouble::Lost { by, party },
                    None => Trouble::Failed(by),
                }
            }
            Ok(Report::Failed(Cause::Interrupted, _)) => Trouble::Cancelled(by),
            Ok(Report::Failed(Cause::Aborted, _)) => Trouble::Aborted(by),
            Ok(Report::Failed(..)) => Trouble::Failed(by),
            Err(_) => Trouble::Gone(by),
        };
        self.trouble = self.trouble.take().max(Some(trouble));
    }

    fn failure(&self, phase: &str) -> Option<Failure> {
        let name = |party: PartyId| self.daemon.name(party);
        let remedy = "nothing was revealed; see that its daemon runs, then ask again";
        let failure = match self.trouble.as_ref()? {
            Trouble::Gone(party) => {
                let (name, why) = (name(*party), "was lost");
                Failure::lost_party(&name, format!("{phase}: party {name} {why}"))
                    .with_remedy(remedy)
            }
            Trouble::Lost { by, party } => {
                let (by, name) = (name(*by), name(*party));
                Failure::lost_party(&name, format!("{phase}: party {by} lost party {name}"))
                    .with_remedy(remedy)
            }
            Trouble::Aborted(by) => {
                Failure::aborted(format!("{phase}: party {} reports a failed check", name(*by)))
            }
            Trouble::Cancelled(by) => {
                Failure::refused(format!("{phase}: party {} cancelled the query", name(*by)))
                    .with_remedy("ask its operator")
            }
            Trouble::Failed(by) => {
                Failure::lost(format!("{phase}: party {} failed", name(*by))).with_remedy(remedy)
            }
        };
        Some(failure)
    }
}
