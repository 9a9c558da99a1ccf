//! `--format json`.

use super::{hex, names, policy, revelations};
use crate::catalog::Federation;
use crate::plan::{Plan, StageSummary};
use senate_circuit::Stage;
use serde_json::{Value, json as value};

/// The plan as one JSON object.
pub fn json(plan: &Plan, federation: &Federation) -> Value {
    let locals = plan.locals.iter().map(|local| {
        value!({
            "party": federation.party_name(local.party),
            "rows_max": local.schema.capacity,
            "plan": local.display,
        })
    });
    let stages = plan.stages.iter().zip(&plan.summaries);
    let revealed = revelations(plan, federation);
    let revealed =
        revealed.iter().map(|item| value!({ "what": item.what, "to": item.to, "why": item.why }));
    let preprocessing = plan.preprocessing.iter().map(|batches| {
        let (made, leaky) = (batches.made(), batches.leaky());
        value!({
            "parties": names(federation, batches.parties),
            "masks": batches.masks,
            "triples": made,
            "leaky_triples": leaky,
            "bytes_per_link": batches.traffic.links().values().max(),
        })
    });
    let traffic = plan.traffic();
    let links = traffic.links().iter().map(|((from, to), bytes)| {
        let (from, to) = (federation.party_name(*from), federation.party_name(*to));
        value!({ "from": from, "to": to, "bytes": bytes })
    });
    value!({
        "plan_digest": hex(&plan.digest),
        "sql": plan.sql,
        "local": locals.collect::<Vec<_>>(),
        "joint": plan.joint,
        "stages": stages.map(|(s, summary)| stage(s, summary, federation)).collect::<Vec<_>>(),
        "preprocessing": preprocessing.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "placement": super::placed::json(plan, federation),
        "recipients": names(federation, plan.recipients),
        "bytes_sent": plan.total_bytes(),
        "seconds": plan.nanos() as f64 / 1e9,
        "memory_bytes": plan.memory_bytes(),
        "allowed": plan.verdict.refused().is_none(),
        "policy": policy::findings(plan, federation),
        "revealed": revealed.collect::<Vec<_>>(),
    })
}

fn stage(stage: &Stage, summary: &StageSummary, federation: &Federation) -> Value {
    let links = summary.cost.bytes.iter().map(|((from, to), bytes)| {
        let (from, to) = (federation.party_name(*from), federation.party_name(*to));
        value!({ "from": from, "to": to, "bytes": bytes })
    });
    let children: Vec<_> = summary.children.iter().map(|child| child.0).collect();
    value!({
        "id": summary.id.0,
        "parties": names(federation, stage.parties),
        "backend": stage.backend.name(),
        "evaluator": federation.party_name(stage.evaluator),
        "operators": summary.operators,
        "children": children,
        "and_gates": summary.sizes.and_gates,
        "depth": summary.sizes.depth,
        "bytes": links.collect::<Vec<_>>(),
        "seconds": summary.cost.nanos as f64 / 1e9,
        "memory_bytes": summary.cost.memory_bytes,
    })
}
