//! The plan that all parties compute for themselves and compare by digest before any data moves.

use crate::catalog::Federation;
use crate::cost::{LinkSnapshot, StageCost, StageSizes, setup_cost, stage_cost};
use crate::encode::ResultSchema;
use crate::lower::{Backends, Decompose, LeafLayout, LowerError, Lowering, Ordering, lower};
use crate::memory;
use crate::policy::{Consent, Policies, SmallestGroup, Verdict};
use crate::sql::{self, JointQuery, LocalTask, PlanOptions};
use crate::traffic::{self, Batches, Traffic};
use senate_circuit::{Backend, PartyId, PartySet, Program, Source, Stage, StageId};
use std::collections::BTreeMap;

/// Version tag of the digest's encoding.
const DIGEST_CONTEXT: &str = "senate plan 1";

/// Public choices that come with a query; part of the digest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who learns the result.
    pub recipients: PartySet,
    /// Who asks.
    pub asker: PartyId,
    /// Stages of as few parties as possible, or one circuit among all.
    pub decompose: Decompose,
    /// How stages may be run.
    pub backends: Backends,
    /// Tighter bounds on rows.
    pub bounds: PlanOptions,
    /// Links and machines that decide between equivalent plans, by the federation's targets.
    pub links: LinkSnapshot,
    /// What the owners allow.
    pub policies: Policies,
}

/// Why a query has no plan; found before any data moves.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Wrong or unsupported SQL.
    #[error(transparent)]
    Sql(#[from] sql::PlanError),
    /// No circuit for it.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// Nobody, or somebody outside the federation, is to learn the result.
    #[error("the recipients are not parties of the federation")]
    Recipients,
}

/// A query as work for every party. Plain data: the same at every party.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The text.
    pub sql: String,
    /// What each party computes alone; `Source::Owner::slot` is the position in this list.
    pub locals: Vec<LocalTask>,
    /// How a local result becomes an input bundle, by slot. A slot without layout enters no stage.
    pub layouts: BTreeMap<usize, LeafLayout>,
    /// Circuits, children before parents, the root last. Empty when the query is one party's and
    /// only that party learns the result: then `locals[0]` is the result.
    pub stages: Vec<Stage>,
    /// What it was priced with.
    pub links: LinkSnapshot,
    /// Predicted cost of opening the session; nothing when there are no stages.
    pub setup: StageCost,
    /// Per party set, in the order of their first stages.
    pub preprocessing: Vec<Batches>,
    /// Per stage.
    pub summaries: Vec<StageSummary>,
    /// The joint operators, as text.
    pub joint: String,
    /// The result, reveal 0 of the root stage.
    pub result: ResultSchema,
    /// Reveal 1 of the root stage exists: one bit, 1 if some value did not fit its SQL type, which
    /// makes the result an error.
    pub reveals_overflow: bool,
    /// This reveal of the root stage is the number of groups that are not in the result because
    /// they are too small.
    pub reveals_suppressed: Option<usize>,
    /// Why they are.
    pub smallest_groups: Vec<SmallestGroup>,
    /// What the owners' policies say; a plan that they forbid may be explained, never run.
    pub verdict: Verdict,
    /// H(the owners' policies).
    pub policies: [u8; 32],
    /// Who learns the result.
    pub recipients: PartySet,
    /// Who asks.
    pub asker: PartyId,
    /// Who takes part: owners and recipients.
    pub participants: PartySet,
    /// What the parties compare: H(everything above that matters).
    pub digest: [u8; 32],
}

/// What `explain` and statistics say about a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageSummary {
    /// The stage.
    pub id: StageId,
    /// Its operators, in order of evaluation.
    pub operators: Vec<String>,
    /// Stages whose results it takes.
    pub children: Vec<StageId>,
    /// Sizes of its circuit.
    pub sizes: StageSizes,
    /// Predicted time and memory, preprocessing included; bytes without it.
    pub cost: StageCost,
}

impl Plan {
    /// The root stage, which opens the result.
    pub fn root(&self) -> Option<&Stage> {
        self.stages.last()
    }

    /// Predicted time: opening the session, then the longest chain of stages, or what the busiest machine
    /// computes in all of them.
    pub fn nanos(&self) -> u64 {
        let mut done: BTreeMap<StageId, u64> = BTreeMap::new();
        for summary in &self.summaries {
            let ready = summary.children.iter().filter_map(|child| done.get(child)).max();
            let end = ready.copied().unwrap_or(0).saturating_add(summary.cost.nanos);
            done.insert(summary.id, end);
        }
        let chain = done.values().max().copied().unwrap_or(0);
        let busiest = self.participants.iter().map(|party| self.busy(party)).max().unwrap_or(0);
        self.setup.nanos.saturating_add(chain.max(busiest))
    }

    /// What the machine of `of` computes in all stages.
    fn busy(&self, of: PartyId) -> u64 {
        let stages = self.stages.iter().zip(&self.summaries);
        let here = |stage: &Stage| self.links.beside(of, stage.parties);
        let one = |(stage, summary): (&Stage, &StageSummary)| {
            here(stage).saturating_mul(summary.cost.compute_nanos)
        };
        let all = stages.map(one).fold(0, u64::saturating_add);
        self.links.on_machine_of(of, all)
    }

    /// Bound on the memory of any one party.
    pub fn memory_bytes(&self) -> u64 {
        let depth = self.links.targets.tree_depth;
        let bound = |party| memory::bound(party, &self.stages, &self.preprocessing, depth);
        self.participants.iter().map(bound).max().unwrap_or(0)
    }

    /// Payload bytes on each link: session, preprocessing, stages.
    pub fn traffic(&self) -> Traffic {
        let depth = self.links.targets.tree_depth;
        traffic::plan(self.participants, &self.stages, &self.preprocessing, depth)
    }

    /// AND gates of all stages.
    pub fn and_gates(&self) -> u64 {
        self.summaries.iter().map(|summary| summary.sizes.and_gates).sum()
    }

    /// Payload bytes on all links.
    pub fn total_bytes(&self) -> u64 {
        self.traffic().links().values().sum()
    }
}

/// Plans a query.
///
/// # Errors
/// [`PlanError`]; it depends on public data only.
pub fn plan(federation: &Federation, sql: &str, options: &Options) -> Result<Plan, PlanError> {
    let everybody = PartySet::first(federation.parties.len());
    if options.recipients.is_empty() || !options.recipients.is_subset(everybody) {
        return Err(PlanError::Recipients);
    }
    let consent = Consent {
        policies: &options.policies,
        recipients: options.recipients,
        asker: options.asker,
    };
    let query = sql::plan_under(sql, federation, &options.bounds, &consent)?;
    let targets = federation.targets.clone();
    let links = LinkSnapshot { targets, ..options.links.clone() };
    let options = Options { links, ..options.clone() };
    let mut plan = assemble(sql, query, &options)?;
    plan.digest = digest(&plan, federation, &options);
    Ok(plan)
}

fn assemble(sql: &str, query: JointQuery, options: &Options) -> Result<Plan, PlanError> {
    let ordering = if query.ordered { Ordering::ByQuery } else { Ordering::Free };
    let JointQuery { locals, root, output, verdict, smallest_groups, .. } = query;
    let owners: PartySet = locals.iter().map(|local| local.party).collect();
    let columns = output.into_iter().map(|column| (column.name, column.arrow)).collect();
    let Options { recipients, decompose, backends, ref links, .. } = *options;
    let lowered = lower(&root, &Lowering { recipients, decompose, backends, ordering, links })?;
    let participants = owners.union(recipients);
    let setup = match lowered.stages.is_empty() {
        true => StageCost::default(),
        false => setup_cost(participants, links),
    };
    Ok(Plan {
        setup,
        sql: sql.to_owned(),
        links: links.clone(),
        locals,
        layouts: lowered.layouts,
        preprocessing: traffic::preprocessing(&lowered.stages, &links.targets),
        summaries: summaries(&lowered.stages, lowered.operators, links),
        stages: lowered.stages,
        joint: root.to_string(),
        result: ResultSchema { columns, shape: lowered.result, ordering },
        reveals_overflow: lowered.overflow.is_some(),
        reveals_suppressed: lowered.suppressed.map(|_| 1 + usize::from(lowered.overflow.is_some())),
        smallest_groups,
        verdict,
        policies: options.policies.digest(owners),
        recipients,
        asker: options.asker,
        participants,
        digest: [0; 32],
    })
}

fn summaries(
    stages: &[Stage],
    operators: Vec<Vec<String>>,
    links: &LinkSnapshot,
) -> Vec<StageSummary> {
    let summary = |(stage, operators): (&Stage, Vec<String>)| {
        let sizes = sizes(stage);
        let mut cost = stage_cost(stage.parties, stage.backend, stage.evaluator, &sizes, links);
        cost.bytes = traffic::stage(stage, stages).links().clone();
        StageSummary { id: stage.id, operators, children: children(stage), sizes, cost }
    };
    stages.iter().zip(operators).map(summary).collect()
}

/// The sizes of a stage's circuit that its cost depends on.
pub fn sizes(stage: &Stage) -> StageSizes {
    let sizes = program_sizes(&stage.program, &stage.inputs);
    match stage.backend {
        Backend::Garbled => sizes,
        Backend::Interactive => sizes.in_layers(stage.program.layers().gates()),
    }
}

/// The sizes of a circuit whose bundles come from `inputs`, without layers.
pub(crate) fn program_sizes(program: &Program, inputs: &[Source]) -> StageSizes {
    let stats = program.stats();
    let bundles = program.inputs.iter().zip(inputs);
    let soldered = bundles
        .filter(|(_, source)| matches!(source, Source::Child { .. }))
        .map(|(bundle, _)| program.wires_of(bundle) as u64)
        .sum();
    StageSizes {
        and_gates: stats.ands,
        depth: u64::from(stats.and_depth),
        layer_bytes: 0,
        input_wires: stats.inputs.saturating_sub(soldered),
        soldered_wires: soldered,
        output_wires: stats.outputs,
        live_wires: stats.peak_live,
    }
}

/// H(version, text, federation, options, local plans, layouts, stages with their circuits, result).
fn digest(plan: &Plan, federation: &Federation, options: &Options) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(plan.sql.as_bytes());
    part(&federation.digest);
    part(&options.recipients.mask().to_le_bytes());
    part(format!("{:?}", (options.asker, options.decompose, options.backends)).as_bytes());
    part(format!("{:?}", (&options.bounds, &options.links)).as_bytes());
    part(&(plan.locals.len() as u64).to_le_bytes());
    for local in &plan.locals {
        part(format!("{:?}", local.party).as_bytes());
        part(local.display.as_bytes());
        let facts = (&local.schema, &local.distinct, local.at_most_one_row, &local.claims);
        part(format!("{facts:?}").as_bytes());
    }
    part(plan.joint.as_bytes());
    part(format!("{:?}", plan.layouts).as_bytes());
    part(format!("{:?}", (&plan.result, plan.reveals_overflow)).as_bytes());
    part(&plan.policies);
    part(format!("{:?}", (&plan.verdict, &plan.smallest_groups)).as_bytes());
    part(&(plan.stages.len() as u64).to_le_bytes());
    for stage in &plan.stages {
        let Stage { id, parties, backend, evaluator, program, inputs, ver, reveals } = stage;
        let who = (id, parties, backend, evaluator);
        part(format!("{:?}", (who, inputs, ver, reveals)).as_bytes());
        part(&program.digest_bytes());
    }
    *hash.finalize().as_bytes()
}

/// The stages whose outputs a stage takes.
fn children(stage: &Stage) -> Vec<StageId> {
    let child = |source: &Source| match source {
        Source::Child { stage, .. } => Some(*stage),
        Source::Owner { .. } => None,
    };
    stage.inputs.iter().filter_map(child).collect()
}

#[cfg(test)]
mod tests;
