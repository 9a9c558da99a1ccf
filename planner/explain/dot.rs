//! `--format dot`.

use super::names;
use crate::catalog::Federation;
use crate::plan::Plan;
use senate_circuit::Source;
use std::fmt::Write;

/// The stages and owners as a Graphviz digraph.
pub fn dot(plan: &Plan, federation: &Federation) -> String {
    let mut out = String::from("digraph plan {\n  rankdir=BT;\n  node [shape=box];\n");
    // Writing to a String cannot fail.
    let _ = body(&mut out, plan, federation);
    out.push_str("}\n");
    out
}

fn body(out: &mut String, plan: &Plan, federation: &Federation) -> std::fmt::Result {
    for (slot, local) in plan.locals.iter().enumerate() {
        let owner = escaped(&federation.party_name(local.party));
        writeln!(out, "  local{slot} [shape=ellipse, label=\"{owner}\"];")?;
    }
    for (stage, summary) in plan.stages.iter().zip(&plan.summaries) {
        let id = stage.id.0;
        let parties = escaped(&names(federation, stage.parties).join(", "));
        let operators = escaped(&summary.operators.join(", "));
        let (gates, backend) = (summary.sizes.and_gates, stage.backend.name());
        let label = format!("{parties}\\n{operators}\\n{gates} AND, {backend}");
        writeln!(out, "  stage{id} [label=\"{label}\"];")?;
        for source in &stage.inputs {
            match source {
                Source::Owner { slot, .. } => writeln!(out, "  local{slot} -> stage{id};")?,
                Source::Child { stage, .. } => writeln!(out, "  stage{} -> stage{id};", stage.0)?,
            }
        }
    }
    let recipients = escaped(&names(federation, plan.recipients).join(", "));
    writeln!(out, "  result [shape=plaintext, label=\"{recipients}\"];")?;
    match plan.root() {
        Some(root) => writeln!(out, "  stage{} -> result;", root.id.0),
        None => writeln!(out, "  local0 -> result;"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
