//! Everything that anybody learns from a query beyond its own data, and why.

use super::names;
use crate::catalog::Federation;
use crate::plan::Plan;
use crate::policy::MinGroup;

/// One thing that becomes known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revelation {
    /// What.
    pub what: String,
    /// Party names.
    pub to: Vec<String>,
    /// Why it cannot be avoided, or is wanted.
    pub why: String,
}

/// What the plan reveals, to whom and why.
pub fn revelations(plan: &Plan, federation: &Federation) -> Vec<Revelation> {
    let all = names(federation, plan.participants);
    let recipients = names(federation, plan.recipients);
    let columns: Vec<_> = plan.result.columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut list = vec![Revelation {
        what: format!(
            "the result: columns {}, at most {} rows, and their number",
            columns.join(", "),
            plan.result.shape.rows
        ),
        to: recipients.clone(),
        why: "it is the answer; its order depends on its values only".to_owned(),
    }];
    if plan.stages.is_empty() {
        return list;
    }
    if plan.reveals_overflow {
        list.push(Revelation {
            what: "one bit: whether some value did not fit its SQL type".to_owned(),
            to: recipients.clone(),
            why: "such a result would be wrong, so it is an error".to_owned(),
        });
    }
    if plan.reveals_suppressed.is_some() {
        let groups = plan.smallest_groups.iter().map(|group| {
            let MinGroup { entity, size } = &group.rule;
            format!("fewer than {size} distinct {entity} of {}", group.table)
        });
        let groups: Vec<String> = groups.collect();
        list.push(Revelation {
            what: format!("how many groups are left out, those of {}", groups.join(" or ")),
            to: recipients,
            why: "policies show no smaller groups, and nothing is left out silently".to_owned(),
        });
    }
    for layout in plan.layouts.values() {
        list.push(Revelation {
            what: format!(
                "{} brings at most {} rows of {} columns",
                federation.party_name(layout.party),
                layout.shape.rows,
                layout.shape.fields.len()
            ),
            to: all.clone(),
            why: "capacities fix the size of the circuits; actual numbers of rows stay secret"
                .to_owned(),
        });
    }
    list.push(Revelation {
        what: "the query, this plan, and the declared schemas".to_owned(),
        to: all.clone(),
        why: "every party plans for itself and compares digests".to_owned(),
    });
    list.push(Revelation {
        what: "whether the computation was aborted".to_owned(),
        to: all,
        why: "a failed check, a lost party, or a party whose own rows or local computation fail \
              (it says no more than that) ends the query for everybody"
            .to_owned(),
    });
    list
}
