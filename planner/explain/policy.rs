//! What the owners' policies say, with the provenance of every use of a column.

use crate::catalog::Federation;
use crate::plan::Plan;
use crate::policy::{Finding, Ruling};
use serde_json::{Value, json as value};

/// Findings that are alike, with all their owners.
struct Line<'a> {
    owners: Vec<String>,
    finding: &'a Finding,
}

/// One line per finding and its remedy; findings that only differ in the owner share one.
pub(super) fn lines(plan: &Plan, federation: &Federation) -> Vec<String> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for finding in &plan.verdict.findings {
        let owner = federation.party_name(finding.owner);
        let alike = |line: &&mut Line<'_>| {
            let other = line.finding;
            (&other.subject, &other.usage, &other.ruling)
                == (&finding.subject, &finding.usage, &finding.ruling)
        };
        match lines.iter_mut().find(alike) {
            Some(line) => line.owners.push(owner),
            None => lines.push(Line { owners: vec![owner], finding }),
        }
    }
    let text = |line: Line<'_>| {
        let Finding { subject, usage, ruling, .. } = line.finding;
        let owners = line.owners.join(", ");
        match ruling {
            Ruling::Allowed(why) => format!("{owners}: {subject}: {usage}: allowed ({why})"),
            Ruling::Refused(refusal) => format!(
                "{owners}: {subject}: {usage}: REFUSED by rule {}: {}; {}",
                refusal.rule, refusal.why, refusal.remedy
            ),
        }
    };
    lines.into_iter().map(text).collect()
}

/// The findings as JSON.
pub(super) fn findings(plan: &Plan, federation: &Federation) -> Vec<Value> {
    let finding = |finding: &Finding| {
        let owner = federation.party_name(finding.owner);
        let Finding { subject, usage, ruling, .. } = finding;
        match ruling {
            Ruling::Allowed(why) => value!({
                "owner": owner, "subject": subject, "usage": usage, "allowed": true, "why": why,
            }),
            Ruling::Refused(refusal) => value!({
                "owner": owner, "subject": subject, "usage": usage, "allowed": false,
                "rule": refusal.rule, "why": refusal.why, "remedy": refusal.remedy,
            }),
        }
    };
    plan.verdict.findings.iter().map(finding).collect()
}
