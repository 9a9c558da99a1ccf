//! What the audit log says about a query from the moment its inputs are used until it is over.

use super::Daemon;
use super::jobs::Job;
use crate::agreement::Agreement;
use crate::audit::{Event, Head, Subject, Usage};
use crate::failure::{Failure, Outcome};
use crate::request::Request;
use senate_circuit::{PartyId, PartySet};
use senate_planner::explain::hex;
use senate_planner::sql::Form;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether counted refusals are to be written.
const SETTLE_EVERY: Duration = Duration::from_secs(15);

/// A query whose beginning is in the log. What is dropped before its end is given up.
pub(super) struct Page<'a> {
    daemon: &'a Daemon,
    subject: Subject,
    /// Where the log ended when it began.
    pub(super) head: Head,
    is_over: bool,
}

impl Daemon {
    /// A user of this party asked: the entry is there before anything else is.
    pub(super) fn begin_own(&self, job: &Job, agreement: &Agreement) -> Outcome<Page<'_>> {
        let subject = self.subject(job, agreement);
        let head = self.ledger.record(&self.member.identity, Event::Asked, subject.clone())?;
        Ok(Page { daemon: self, subject, head, is_over: false })
    }

    /// Another party asked, and this one's rows may be used once more.
    pub(super) fn begin_other(
        &self,
        job: &Job,
        agreement: &Agreement,
        approval: Option<(String, Option<u32>)>,
        asker: (PartyId, Head),
    ) -> Outcome<Page<'_>> {
        let mut subject = self.subject(job, agreement);
        subject.approvals = approval.iter().map(|(id, _)| id.clone()).collect();
        self.note_head(&mut subject, asker.0, asker.1);
        let budget = self.config.policy.as_ref().and_then(|policy| policy.budget);
        let usage = Usage { budget, approval };
        let head = self.ledger.admit(&self.member.identity, subject.clone(), &usage)?;
        Ok(Page { daemon: self, subject, head, is_over: false })
    }

    /// A query that did not begin. Where many of one side's are refused within a minute, further
    /// ones are only counted.
    ///
    /// # Errors
    /// As the log's.
    pub(super) fn log_refusal(
        &self,
        job: &Job,
        request: &Request,
        failure: &Failure,
    ) -> Outcome<()> {
        let now = Instant::now();
        self.log_further_refusals(Some(now))?;
        if !self.refusals.one_more(&job.user().to_string(), now) {
            return Ok(());
        }
        let subject = Subject {
            query: job.session().to_string(),
            sql: request.sql.clone(),
            asker: request.asker.clone(),
            user: job.user().to_string(),
            recipients: request.recipients.clone(),
            outcome: failure.to_string(),
            ..Subject::default()
        };
        self.ledger.record(&self.member.identity, Event::Refused, subject).map(|_| ())
    }

    /// Writes how many refusals have only been counted: of minutes that are over, or of all for no
    /// `now`.
    ///
    /// # Errors
    /// As the log's.
    pub(super) fn log_further_refusals(&self, now: Option<Instant>) -> Outcome<()> {
        self.refusals.settle(now, |whose, further| {
            let party = whose.strip_prefix("party ").map(str::to_owned);
            let subject = Subject {
                asker: party.unwrap_or_else(|| self.name(self.member.me)),
                user: whose.to_owned(),
                outcome: format!("{further} further refusals of {whose} within a minute"),
                ..Subject::default()
            };
            self.ledger.record(&self.member.identity, Event::Refused, subject).map(|_| ())
        })
    }

    /// Writes what has been counted while nothing else is refused.
    pub(super) async fn count_refusals(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SETTLE_EVERY).await;
            if let Err(failure) = self.log_further_refusals(Some(Instant::now())) {
                tracing::error!(%failure, "the audit log misses refusals");
            }
        }
    }

    fn subject(&self, job: &Job, agreement: &Agreement) -> Subject {
        let (plan, request) = (&agreement.plan, &agreement.request);
        let names = |parties: PartySet| parties.iter().map(|party| self.name(party)).collect();
        let template = Form::of(&request.sql).map(|template| template.general);
        let mut sizes = BTreeMap::new();
        for local in &plan.locals {
            let rows = sizes.entry(format!("rows_max {}", self.name(local.party))).or_insert(0);
            *rows += u64::from(local.schema.capacity);
        }
        let gates = plan.and_gates();
        sizes.insert("and_gates".to_owned(), gates);
        Subject {
            query: job.session().to_string(),
            sql: request.sql.clone(),
            digest: agreement.digest_text(),
            policies: hex(&plan.policies),
            template: template.unwrap_or_default(),
            asker: request.asker.clone(),
            user: job.user().to_string(),
            participants: names(plan.participants),
            recipients: names(plan.recipients),
            sizes,
            ..Subject::default()
        }
    }

    fn note_head(&self, subject: &mut Subject, peer: PartyId, head: Head) {
        let name = self.name(peer);
        if let Some(suspicion) = self.ledger.compare(&name, head) {
            tracing::warn!(%suspicion, "compare with `senate audit verify --peer {name}`");
            subject.suspicions.push(suspicion);
        }
        subject.heads.insert(name, head);
    }
}

impl Page<'_> {
    /// Where a participant's log ends, as it said when it accepted.
    pub(super) fn note_head(&mut self, peer: PartyId, head: Head) {
        let daemon = self.daemon;
        daemon.note_head(&mut self.subject, peer, head);
    }

    /// What was noticed about the others' logs.
    pub(super) fn suspicions(&self) -> &[String] {
        &self.subject.suspicions
    }

    /// Writes how it ended.
    ///
    /// # Errors
    /// Unexpected when that cannot be written.
    pub(super) fn end(mut self, outcome: Result<&str, &Failure>) -> Outcome<()> {
        self.close(outcome)
    }

    fn close(&mut self, outcome: Result<&str, &Failure>) -> Outcome<()> {
        self.is_over = true;
        let event = if outcome.is_ok() { Event::Finished } else { Event::Failed };
        self.subject.outcome = outcome.map_or_else(ToString::to_string, str::to_owned);
        let (ledger, identity) = (&self.daemon.ledger, &self.daemon.member.identity);
        ledger.record(identity, event, self.subject.clone()).map(|_| ())
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let given_up = Failure::lost("given up before its end");
            if let Err(failure) = self.close(Err(&given_up)) {
                tracing::error!(%failure, "the audit log misses an ending");
            }
        }
    }
}
