//! `--format text`.

use super::{hex, names, placed, policy, revelations};
use crate::catalog::Federation;
use crate::plan::{Plan, StageSummary};
use senate_circuit::{Backend, PartyId, StageId};
use std::fmt::Write;

/// The plan as text.
pub fn text(plan: &Plan, federation: &Federation) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, plan, federation);
    out
}

fn write(out: &mut String, plan: &Plan, federation: &Federation) -> std::fmt::Result {
    writeln!(out, "plan {}", hex(&plan.digest))?;
    writeln!(out, "\nlocal")?;
    for (slot, local) in plan.locals.iter().enumerate() {
        let rows = local.schema.capacity;
        writeln!(out, "  {slot}: {}, at most {rows} rows", federation.party_name(local.party))?;
        local.display.lines().try_for_each(|line| writeln!(out, "     {line}"))?;
    }
    if let Some(root) = plan.summaries.last() {
        writeln!(out, "\njoint")?;
        let joint = named(&plan.joint, federation);
        joint.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        placed::section(out, plan, federation)?;
        writeln!(out, "\nstages")?;
        stage(out, plan, federation, root, 1)?;
        let gates: u64 = plan.and_gates();
        let bytes = plan.total_bytes();
        let (links, setup) = (plan.setup.bytes.len() as u64, plan.setup.total_bytes());
        writeln!(
            out,
            "  opening the session: {} on each link, about {}",
            size(setup / links.max(1)),
            time(plan.setup.nanos)
        )?;
        for batches in &plan.preprocessing {
            let parties = names(federation, batches.parties).join(", ");
            let link = batches.traffic.links().values().max().copied().unwrap_or(0);
            let (made, leaky) = (batches.made(), batches.leaky());
            let (masks, link) = (batches.masks, size(link));
            writeln!(
                out,
                "  preprocessing among {parties}: {made} triples out of {leaky}, {masks} masks, \
                 {link} on each link"
            )?;
        }
        writeln!(
            out,
            "  in all: {gates} AND gates, {} sent, about {}, at most {} of memory at a party",
            size(bytes),
            time(plan.nanos()),
            size(plan.memory_bytes())
        )?;
    } else {
        writeln!(out, "\nno joint stage: one party answers from its own data")?;
    }
    writeln!(out, "\npolicy")?;
    policy::lines(plan, federation).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    writeln!(out, "\nrevealed")?;
    for item in revelations(plan, federation) {
        writeln!(out, "  {}\n    to {} because {}", item.what, item.to.join(", "), item.why)?;
    }
    Ok(())
}

fn stage(
    out: &mut String,
    plan: &Plan,
    federation: &Federation,
    summary: &StageSummary,
    depth: usize,
) -> std::fmt::Result {
    let Some(stage_of) = plan.stages.iter().find(|stage| stage.id == summary.id) else {
        return Ok(());
    };
    let indent = "  ".repeat(depth);
    let parties = names(federation, stage_of.parties).join(", ");
    let how = match stage_of.backend {
        Backend::Garbled => {
            let others = placed::others(stage_of, &summary.sizes, &plan.links, federation);
            format!("evaluated by {}{others}", federation.party_name(stage_of.evaluator))
        }
        Backend::Interactive => "a round per layer".to_owned(),
    };
    let operators = summary.operators.join(", ");
    writeln!(out, "{indent}stage {} among {parties}: {operators}", summary.id.0)?;
    writeln!(
        out,
        "{indent}  {} AND gates, depth {}, {how}, about {}, {} of memory",
        summary.sizes.and_gates,
        summary.sizes.depth,
        time(summary.cost.nanos),
        size(summary.cost.memory_bytes)
    )?;
    for ((from, to), bytes) in &summary.cost.bytes {
        let (from, to) = (federation.party_name(*from), federation.party_name(*to));
        writeln!(out, "{indent}  {from} to {to}: {}", size(*bytes))?;
    }
    let find = |id: &StageId| plan.summaries.iter().find(|summary| summary.id == *id);
    let children = summary.children.iter().filter_map(find);
    children.into_iter().try_for_each(|child| stage(out, plan, federation, child, depth + 1))
}

/// The joint tree with the leaves' parties by name.
fn named(joint: &str, federation: &Federation) -> String {
    let parties = (0..federation.parties.len()).filter_map(PartyId::new);
    parties.fold(joint.to_owned(), |text, party| {
        text.replace(&format!(" of {party}: "), &format!(" of {}: ", federation.party_name(party)))
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

pub(super) fn time(nanos: u64) -> String {
    format!("{}.{:03} s", nanos / 1_000_000_000, nanos / 1_000_000 % 1_000)
}
