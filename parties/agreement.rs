//! What a party agrees to before anything joint happens: the plan that it makes by itself out of the
//! request, whose digest must be the same at every participant.

use crate::config::Workspace;
use crate::failure::{Cause, Failure, Outcome};
use crate::policies::{self, Bundle};
use crate::request::{Request, StageStats, Stats};
use senate_circuit::{PartyId, PartySet, Stage};
use senate_planner::catalog::Federation;
use senate_planner::lower::LowerError;
use senate_planner::plan::{Options, Plan, PlanError, plan};
use senate_planner::policy::{Consent, Policies};
use senate_planner::sql::{PlanError as SqlError, PlanOptions};
use std::fmt::Write;

/// A planned query.
#[derive(Debug)]
pub struct Agreement {
    /// What was asked.
    pub request: Request,
    /// Its tighter bounds on rows.
    pub bounds: PlanOptions,
    /// What every party does.
    pub plan: Plan,
    /// The signed policies that it was planned under; none when all parties run in this process.
    pub policies: Bundle,
}

impl Agreement {
    /// Plans the request under the policies in the workspace, whose parties all run in this process.
    ///
    /// # Errors
    /// As [`Agreement::under`]; usage when a party.toml is wrong.
    pub fn reach(workspace: &Workspace, request: Request) -> Outcome<Self> {
        Self::under(workspace, request, &policies::in_workspace(workspace)?)
    }

    /// Plans the request under the owners' policies. The same inputs give the same digest at every
    /// party.
    ///
    /// # Errors
    /// As [`Agreement::considered`]; refused when a policy forbids the query.
    pub fn under(workspace: &Workspace, request: Request, policies: &Policies) -> Outcome<Self> {
        let agreement = Self::considered(workspace, request, policies)?;
        policies::permitted(&agreement.plan.verdict, &workspace.federation)?;
        Ok(agreement)
    }

    /// Plans the request under the policies that its owners have signed.
    ///
    /// # Errors
    /// As [`Agreement::under`]; aborted when a signature is wrong.
    pub fn signed(workspace: &Workspace, request: Request, policies: Bundle) -> Outcome<Self> {
        let agreement = Self::under(workspace, request, &policies::opened(workspace, &policies)?)?;
        Ok(Self { policies, ..agreement })
    }

    /// Plans the request, whatever the policies say about it: to be explained, not to be run.
    ///
    /// # Errors
    /// Usage for SQL that is wrong or outside the supported set, and for wrong options.
    pub fn considered(
        workspace: &Workspace,
        request: Request,
        policies: &Policies,
    ) -> Outcome<Self> {
        request.check()?;
        let federation = &workspace.federation;
        let recipients: PartySet =
            request.recipients.iter().map(|name| workspace.party(name)).collect::<Outcome<_>>()?;
        let mut bounds = PlanOptions::default();
        for bound in &request.bounds {
            bounds.bound(bound, federation).map_err(|error| Failure::usage(error.to_string()))?;
        }
        bounds_allowed(&bounds, recipients, policies, workspace)?;
        let options = Options {
            recipients,
            asker: workspace.party(&request.asker)?,
            decompose: request.stages.into(),
            backends: request.backend.into(),
            bounds: bounds.clone(),
            links: request.snapshot.checked(workspace)?,
            policies: policies.clone(),
        };
        let plan = plan(federation, &request.sql, &options).map_err(|error| failure(&error))?;
        Ok(Self { request, bounds, plan, policies: Bundle::new() })
    }

    /// What the policies say about a request, without making its circuits.
    ///
    /// # Errors
    /// As [`Agreement::under`].
    pub fn permitted(workspace: &Workspace, request: &Request, policies: &Policies) -> Outcome<()> {
        let federation = &workspace.federation;
        let names = request.recipients.iter();
        let recipients: PartySet =
            names.map(|name| workspace.party(name)).collect::<Outcome<_>>()?;
        let consent = Consent { policies, recipients, asker: workspace.party(&request.asker)? };
        let options = PlanOptions::default();
        let query = senate_planner::sql::plan_under(&request.sql, federation, &options, &consent)
            .map_err(|error| Failure::usage(error.to_string()))?;
        policies::permitted(&query.verdict, federation)
    }

    /// The digest in hexadecimal.
    pub fn digest_text(&self) -> String {
        self.plan.digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What is known of the query's figures before it runs.
    pub fn stats(&self, federation: &Federation) -> Stats {
        let name = |party: PartyId| federation.party_name(party);
        let stage = |stage: &Stage| {
            let statistics = stage.program.stats();
            StageStats {
                id: stage.id.0,
                parties: stage.parties.iter().map(name).collect(),
                backend: stage.backend.name().to_owned(),
                evaluator: name(stage.evaluator),
                and_gates: statistics.ands,
                depth: u64::from(statistics.and_depth),
                ..StageStats::default()
            }
        };
        let stages: Vec<StageStats> = self.plan.stages.iter().map(stage).collect();
        let and_gates = stages.iter().map(|stage| stage.and_gates).sum();
        Stats { and_gates, stages, plan_digest: self.digest_text(), ..Stats::default() }
    }

    /// The stages in which `party` takes part.
    pub fn stages_of(&self, party: PartyId) -> impl Iterator<Item = &Stage> {
        self.plan.stages.iter().filter(move |stage| stage.parties.contains(party))
    }
}

/// Whether a bound holds tells how many rows pass: not of a table whose small groups are hidden.
fn bounds_allowed(
    bounds: &PlanOptions,
    recipients: PartySet,
    policies: &Policies,
    workspace: &Workspace,
) -> Outcome<()> {
    for (owner, table) in bounds.bounds.keys() {
        let rules = policies.of(*owner).and_then(|policy| policy.tables.get(table));
        let hides_groups = rules.is_some_and(|rules| rules.min_group.is_some());
        if hides_groups && recipients != PartySet::only(*owner) {
            let owner = workspace.federation.party_name(*owner);
            return Err(Failure::refused(format!(
                "refused by the policy of party {owner}, rule min_group: {table}: whether a tighter \
                 --bound holds tells how many rows pass"
            ))
            .with_remedy("ask without --bound on this table"));
        }
    }
    Ok(())
}

/// The parties whose rows a query takes.
///
/// # Errors
/// Usage for SQL that is wrong or outside the supported set.
pub fn owners(workspace: &Workspace, sql: &str) -> Outcome<PartySet> {
    let options = PlanOptions::default();
    let query = senate_planner::sql::plan(sql, &workspace.federation, &options)
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(query.locals.iter().map(|local| local.party).collect())
}

fn failure(error: &PlanError) -> Failure {
    match error {
        PlanError::Lower(LowerError::Malformed { .. } | LowerError::Circuit(_)) => {
            Failure::unexpected(format!("planning: {error}"))
        }
        PlanError::Sql(SqlError::Unsupported { .. }) => {
            Failure::new(Cause::Unsupported, error.to_string())
        }
        _ => Failure::usage(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::Question;
    use senate_planner::explain::text;
    use std::path::Path;

    #[test]
    fn packaged_questions_have_the_plans_of_their_folders() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        for question in Question::ALL {
            let folder = folder.join(question.name());
            let workspace = Workspace::open(&folder).unwrap();
            let packaged = question.generate(Question::PARTIES, question.rows());
            let asker = packaged.parties.first().unwrap().clone();
            let request = Request {
                sql: packaged.query,
                recipients: vec![asker.clone()],
                asker,
                bounds: Vec::new(),
                stages: crate::request::Stages::Decomposed,
                backend: crate::request::BackendChoice::Auto,
                timeout_s: 600,
                snapshot: crate::snapshot::Snapshot::default(),
            };
            let plan = Agreement::reach(&workspace, request).unwrap().plan;
            let explained = text(&plan, &workspace.federation);
            // The first line is the digest, which changes with the version.
            let (_, explained) = explained.split_once("\n\n").unwrap();
            let path = folder.join("plan.txt");
            if std::env::var_os("SENATE_WRITE_QUERIES").is_some() {
                std::fs::write(&path, explained).unwrap();
            }
            let golden = std::fs::read_to_string(&path).unwrap();
            let remedy = "if the change is meant, run the tests with SENATE_WRITE_QUERIES=1";
            assert_eq!(explained, golden, "{}: {remedy}", question.name());
        }
    }
}
