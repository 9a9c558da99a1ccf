//! What a party asks of the others' policies, tells of its own, and lets its operator decide.

use super::Daemon;
use super::jobs::Job;
use crate::agreement::{Agreement, owners};
use crate::approvals::{Matter, Ruling, Scope};
use crate::chunks;
use crate::config::Otherwise;
use crate::failure::{Cause, Failure, Outcome};
use crate::messages::{Announcement, Answer, Approval, Chain, PublicReason, Purpose, Verdict};
use crate::policies::{Bundle, Published, opened, taken};
use crate::query::agree_signed;
use crate::request::Request;
use crate::transport::Connection;
use futures_channel::mpsc::UnboundedSender;
use futures_util::FutureExt;
use futures_util::future::{join, try_join_all};
use senate_circuit::{PartyId, PartySet};
use senate_planner::policy::Policies;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long an owner may take to say what it allows.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// How often a held query looks for a decision.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Why a proposal is refused: here, and as far as others may know.
pub(super) struct Refused {
    pub(super) failure: Failure,
    pub(super) public: PublicReason,
    /// The log has it already: the party's rows were used.
    pub(super) is_logged: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let public = PublicReason::from(&failure);
        Self { failure, public, is_logged: false }
    }
}

/// By what another party's query may run.
pub(super) struct Permission {
    /// The decision, and how often it may be used; none for parties in [accept].
    pub(super) approval: Option<(String, Option<u32>)>,
}

impl Daemon {
    /// Tells another party what this one allows.
    pub(super) async fn publish(&self, mut connection: Connection) {
        let _ = connection.send(&Answer::Given(&self.published)).await;
    }

    /// Shows the hashes of this party's audit log.
    pub(super) async fn show_history(&self, mut connection: Connection) {
        let hashes = self.ledger.hashes();
        let entries = hashes.len() as u64;
        if connection.send(&Answer::Given(Chain { entries })).await.is_ok() {
            let _ = chunks::send(&mut connection, &hashes.concat()).await;
        }
    }

    /// The plan of an own query under the owners' policies as they are now, and these; a refusal is
    /// in the log. While the owners are asked, planning begins under what they said last time.
    pub(super) async fn agreed(
        &self,
        job: &Job,
        request: &Request,
    ) -> Outcome<(Bundle, Arc<Agreement>)> {
        let (workspace, sql) = (Arc::clone(&self.member.workspace), request.sql.clone());
        let owners = tokio::task::spawn_blocking(move || owners(&workspace, &sql))
            .await
            .map_err(|error| Failure::unexpected(format!("planning: {error}")))??;
        let early = async {
            let last = self.last_policies(owners)?;
            let agreed = self.agreed_under(request, &last).await;
            Some((last, agreed))
        };
        let (policies, early) = join(self.policies(owners, request), early).await;
        let policies = policies?;
        job.enter("planning");
        let agreed = match early {
            Some((last, agreed)) if last == policies => agreed,
            _ => self.agreed_under(request, &policies).await,
        };
        if let Some(failure) = agreed.as_ref().err().filter(|f| f.cause == Cause::Refused) {
            self.log_refusal(job, request, failure)?;
        }
        Ok((policies, agreed?))
    }

    async fn agreed_under(&self, request: &Request, policies: &Bundle) -> Outcome<Arc<Agreement>> {
        agree_signed(&self.member.workspace, request.clone(), policies.clone()).await
    }

    /// What all these owners said last time, and this party says.
    fn last_policies(&self, owners: PartySet) -> Option<Bundle> {
        let last = self.last_policies.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |owner: PartyId| {
            let name = self.name(owner);
            let own = (owner == self.member.me).then(|| self.published.clone());
            own.or_else(|| last.get(&name).cloned()).map(|published| (name, published))
        };
        owners.iter().map(of).collect()
    }

    /// The policies of the owners, as they are now.
    async fn policies(&self, owners: PartySet, request: &Request) -> Outcome<Bundle> {
        let patience = Duration::from_secs(request.timeout_s).min(ANSWER_MAX);
        let asked = owners.without(self.member.me).iter().map(|owner| {
            async move {
                let name = self.name(owner);
                let asked = timeout(patience, self.policy_of(owner)).await;
                let published = asked.unwrap_or_else(|_| {
                    let why = format!("party {name} did not answer in time");
                    Err(Failure::lost_party(&name, why))
                });
                Ok::<_, Failure>((name, published?))
            }
            .boxed()
        });
        let mut bundle: Bundle = try_join_all(asked).await?.into_iter().collect();
        let mut last = self.last_policies.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(bundle.iter().map(|(name, published)| (name.clone(), published.clone())));
        drop(last);
        if owners.contains(self.member.me) {
            bundle.insert(self.name(self.member.me), self.published.clone());
        }
        Ok(bundle)
    }

    async fn policy_of(&self, owner: PartyId) -> Outcome<Published> {
        let mut connection = self.member.dial_patiently(owner, Purpose::Policy).await?;
        let answer = connection.receive_within(ANSWER_MAX).await.map_err(|failure| {
            let name = self.name(owner);
            Failure { lost: Some(name.clone()), ..failure.at(format!("party {name}")) }
        })?;
        taken(&self.member.workspace, &self.config.folder, owner, answer)
    }

    /// Plans another party's query under the policies that came with it, once its rows may be used.
    pub(super) async fn permitted(
        &self,
        from: PartyId,
        query: &Announcement,
        job: &Job,
        news: &UnboundedSender<Verdict>,
    ) -> Result<(Arc<Agreement>, Permission), Refused> {
        let name = self.name(self.member.me);
        // Who brings no rows is asked for no policy.
        if query.policies.get(&name).is_some_and(|own| *own != self.published) {
            let failure =
                Failure::refused("the query was planned under another policy of this party")
                    .with_remedy(
                        "nothing to do: the asking party sees the new one when it asks again",
                    );
            return Err(Refused { failure, public: PublicReason::Policies, is_logged: false });
        }
        let policies = opened(&self.member.workspace, &query.policies)?;
        if query.request.asker != self.name(from) {
            return Err(Failure::usage("the query names another asker").into());
        }
        let mut approval = None;
        if !self.config.accept.contains(&from) {
            job.enter("waiting for this party's approval");
            approval = Some(self.decision(from, &query.request, &policies, news).await?);
            job.enter("planning");
        } else {
            // A denial binds those too whose queries run without asking.
            let matter = |scope| Matter::of(&query.request, scope, &self.member.workspace);
            self.decided(&[matter(Scope::Query)?, matter(Scope::Template)?])?;
        }
        let agreement =
            agree_signed(&self.member.workspace, query.request.clone(), query.policies.clone())
                .await?;
        Ok((agreement, Permission { approval }))
    }

    /// The approval that a query runs by; held queries wait here for one.
    async fn decision(
        &self,
        from: PartyId,
        request: &Request,
        policies: &Policies,
        news: &UnboundedSender<Verdict>,
    ) -> Result<(String, Option<u32>), Refused> {
        let matters = [Scope::Query, Scope::Template]
            .map(|scope| Matter::of(request, scope, &self.member.workspace));
        let [exact, general] = matters;
        let matters = [exact?, general?];
        if let Some(approval) = self.decided(&matters)? {
            return Ok(approval);
        }
        // What the policy forbids is nothing to decide.
        let (workspace, policies) = (Arc::clone(&self.member.workspace), policies.clone());
        let asked = request.clone();
        let check = move || Agreement::permitted(&workspace, &asked, &policies);
        tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| Failure::unexpected(format!("planning: {error}")))??;
        let id = matters[0].id();
        self.approvals.wait(&id, request)?;
        let unapproved = || Refused {
            failure: Failure::refused(format!(
                "{} is not in [accept] from, and query {id} is not approved",
                self.name(from)
            ))
            .with_remedy(format!("see `senate inbox`; `senate approve {id}` lets it run")),
            public: PublicReason::Unapproved(Approval::new(&id)),
            is_logged: false,
        };
        if self.config.otherwise == Otherwise::Refuse {
            return Err(unapproved());
        }
        let Ok(_held) = Arc::clone(&self.held).try_acquire_owned() else {
            return Err(unapproved());
        };
        tracing::info!(%id, "a query waits for approval: see `senate inbox`");
        let _ = news.unbounded_send(Verdict::Waiting(Approval::new(&id)));
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // It stays in the inbox, and may be asked again.
                if self.draining() {
                    let failure = self.shutting_down();
                    return Err(Refused {
                        failure,
                        public: PublicReason::Internal,
                        is_logged: false,
                    });
                }
                if let Some(decided) = self.decided(&matters).transpose() {
                    return decided;
                }
            }
        };
        let patience = Duration::from_secs(request.timeout_s);
        timeout(patience, look).await.unwrap_or_else(|_| Err(unapproved()))
    }

    /// What has been decided about any of these; a denial outweighs an approval.
    fn decided(&self, matters: &[Matter]) -> Result<Option<(String, Option<u32>)>, Refused> {
        let mut approved = None;
        for matter in matters {
            let decision = self.approvals.decided(matter, self.member.identity.fingerprint())?;
            match decision {
                Some(decision) if decision.ruling == Ruling::Denied => {
                    let failure = Failure::refused(format!("query {} was denied", matter.id()));
                    return Err(Refused {
                        failure,
                        public: PublicReason::Denied,
                        is_logged: false,
                    });
                }
                Some(decision) => {
                    let id = decision.use_of(&matter.id());
                    let left = self.ledger.uses(&id);
                    let spent = decision.times.is_some_and(|times| left >= times as usize);
                    if !spent {
                        approved = Some((id, decision.times));
                    }
                }
                None => {}
            }
        }
        Ok(approved)
    }
}
