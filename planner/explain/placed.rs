//! By what a plan was placed, and what other evaluators would have cost.

use super::text::time;
use crate::catalog::Federation;
use crate::cost::{LinkSnapshot, StageSizes, stage_cost};
use crate::plan::Plan;
use crate::targets::{Minimise, Targets};
use senate_circuit::{Backend, Stage, TreeDepth};
use serde_json::{Value, json as value};
use std::fmt::Write;

/// Units of money in which prices are computed.
const MONEY: f64 = 1e15;

/// A section of the plan as text; nothing where everything is as by default.
pub(super) fn section(out: &mut String, plan: &Plan, federation: &Federation) -> std::fmt::Result {
    let links = &plan.links;
    if *links == LinkSnapshot::default() {
        return Ok(());
    }
    let name = |party| federation.party_name(party);
    writeln!(out, "\nplaced to keep {} small", links.targets.minimise.name())?;
    for ((from, to), link) in &links.links {
        let (from, to) = (name(*from), name(*to));
        writeln!(out, "  {from} to {to}: {} us, {} Mbit/s", link.latency_us, link.mbit_per_s)?;
    }
    for (party, percent) in &links.speeds {
        writeln!(out, "  machine of {}: {percent} %", name(*party))?;
    }
    for (party, price) in &links.targets.egress {
        writeln!(out, "  sending from {}: {} per GB", name(*party), *price as f64 / 1e6)?;
    }
    if links.targets.batch_bytes != Targets::default().batch_bytes {
        let megabytes = links.targets.batch_bytes >> 20;
        writeln!(out, "  leaky triples of a batch: at most {megabytes} MiB at a party")?;
    }
    if links.targets.tree_depth != TreeDepth::default() {
        let k = links.targets.tree_depth.bits();
        writeln!(
            out,
            "  oblivious transfer: {} bits per row, trees of {} leaves",
            128 / k,
            1 << k
        )?;
    }
    Ok(())
}

/// The evaluators that were not chosen, with what they would cost, where they would not cost the
/// same.
pub(super) fn others(
    stage: &Stage,
    sizes: &StageSizes,
    links: &LinkSnapshot,
    federation: &Federation,
) -> String {
    if stage.backend == Backend::Interactive {
        return String::new();
    }
    let cost = |evaluator| stage_cost(stage.parties, stage.backend, evaluator, sizes, links);
    let chosen = links.rank(&cost(stage.evaluator));
    let mut told = String::new();
    for party in stage.parties.without(stage.evaluator).iter() {
        let cost = cost(party);
        if links.rank(&cost) != chosen {
            let (name, time) = (federation.party_name(party), time(cost.nanos));
            let money = links.targets.price_of(&cost) as f64 / MONEY;
            let _ = match links.targets.minimise {
                Minimise::Money => write!(told, "; {name}: {money:.6} and {time}"),
                Minimise::Time | Minimise::Bytes => write!(told, "; {name}: {time}"),
            };
        }
    }
    match told.strip_prefix("; ") {
        Some(told) => format!(" (instead of {told})"),
        None => told,
    }
}

/// The section for programs.
pub(super) fn json(plan: &Plan, federation: &Federation) -> Value {
    let name = |party| federation.party_name(party);
    let links = plan.links.links.iter().map(|((from, to), link)| {
        value!({
            "from": name(*from),
            "to": name(*to),
            "latency_us": link.latency_us,
            "mbit_per_s": link.mbit_per_s,
        })
    });
    let speeds = plan.links.speeds.iter();
    let speeds =
        speeds.map(|(party, percent)| value!({ "party": name(*party), "percent": percent }));
    let egress = plan.links.targets.egress.iter();
    let egress = egress
        .map(|(party, price)| value!({ "party": name(*party), "per_gb": *price as f64 / 1e6 }));
    value!({
        "minimise": plan.links.targets.minimise.name(),
        "batch_memory_mb": plan.links.targets.batch_bytes >> 20,
        "softspoken_k": plan.links.targets.tree_depth.bits(),
        "links": links.collect::<Vec<_>>(),
        "speeds": speeds.collect::<Vec<_>>(),
        "egress": egress.collect::<Vec<_>>(),
    })
}
