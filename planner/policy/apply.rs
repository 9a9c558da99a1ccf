//! The owners' policies applied to what a plan does with their tables.

use super::flow::{Demand, Failing, Origin, Table, Traced, repeated, trace};
use super::verdict::{Finding, Refusal, Ruling, Verdict};
use super::{Consent, Policy, TablePolicy, Undeclared, rules};
use super::{GroupRule, Roles, Usage};
use crate::catalog::Federation;
use datafusion_expr::LogicalPlan;
use senate_circuit::{PartyId, PartySet};
use std::collections::{BTreeMap, BTreeSet};

/// What every concerned owner says about an optimized plan.
pub(crate) fn judge(plan: &LogicalPlan, federation: &Federation, consent: &Consent<'_>) -> Verdict {
    let traced = trace(plan);
    let repeated = repeated(plan, &|table, column| is_unique(federation, table, column));
    let mut verdict = Verdict::default();
    for owner in owners(&traced, federation).iter() {
        Owner { owner, traced: &traced, repeated: &repeated, federation, consent }
            .judge(&mut verdict.findings);
    }
    verdict
}

/// The smallest groups that the concerned owners allow to be shown.
pub(crate) fn group_rules(federation: &Federation, consent: &Consent<'_>) -> Vec<GroupRule> {
    let mut found = Vec::new();
    for owner in PartySet::first(federation.parties.len()).iter() {
        let Some(policy) = consent.policies.of(owner).filter(|_| consent.concerns(owner)) else {
            continue;
        };
        for (table, rules) in &policy.tables {
            if let Some(rule) = &rules.min_group {
                let holder = federation.party_name(owner);
                found.push(GroupRule { owner, holder, table: table.clone(), rule: rule.clone() });
            }
        }
    }
    found
}

/// The holders of everything that is scanned.
fn owners(traced: &Traced, federation: &Federation) -> PartySet {
    let tables = traced.tables.iter();
    tables.fold(PartySet::EMPTY, |all, (holder, table)| {
        all.union(holders(federation, holder.as_deref(), table))
    })
}

fn holders(federation: &Federation, holder: Option<&str>, table: &str) -> PartySet {
    match holder {
        Some(party) => federation.party(party).map_or(PartySet::EMPTY, PartySet::only),
        None => federation
            .table(table)
            .map(|table| table.holders.iter().map(|holder| holder.party).collect())
            .unwrap_or_default(),
    }
}

/// Whether no two rows of the table, of whichever of its holders, have the same value in the column.
fn is_unique(federation: &Federation, (holder, table): &Table, column: &str) -> bool {
    let is_of_one = holders(federation, holder.as_deref(), table).len() == 1;
    let columns = federation.table(table).map(|table| table.columns.iter());
    let mut named = columns.into_iter().flatten().filter(|declared| declared.name == column);
    is_of_one && named.any(|declared| declared.unique)
}

/// One owner looks at the query.
struct Owner<'a> {
    owner: PartyId,
    traced: &'a Traced,
    /// Tables whose rows a join may repeat.
    repeated: &'a BTreeSet<Table>,
    federation: &'a Federation,
    consent: &'a Consent<'a>,
}

impl Owner<'_> {
    fn judge(&self, findings: &mut Vec<Finding>) {
        let name = self.federation.party_name(self.owner);
        if !self.consent.concerns(self.owner) {
            let why = format!("only {name} itself learns the answer");
            findings.push(self.finding("its rows", "takes part", Ruling::Allowed(why)));
            return;
        }
        let policies = self.consent.policies;
        let Some(policy) = policies.of(self.owner) else {
            let ruling = match policies.undeclared {
                Undeclared::InOneProcess => Ruling::Allowed(
                    "no policy declared; whoever runs all parties in one process holds the data"
                        .to_owned(),
                ),
                Undeclared::Denied => Ruling::Refused(Refusal {
                    rule: "policy",
                    why: format!("{name} declares no policy, so its tables are not for others"),
                    remedy: format!("ask {name} to declare [policy] in its party.toml"),
                }),
            };
            findings.push(self.finding("its rows", "takes part", ruling));
            return;
        };
        self.recipients(policy, &name, findings);
        for (holder, table) in &self.traced.tables {
            let own = holders(self.federation, holder.as_deref(), table).contains(self.owner);
            match policy.tables.get(table) {
                _ if !own => {}
                Some(rules) => {
                    self.columns(holder.as_deref(), table, rules, findings);
                    self.group_sizes(&(holder.clone(), table.clone()), rules, findings);
                }
                None => findings.push(self.finding(
                    table,
                    "takes part",
                    Ruling::Refused(Refusal {
                        rule: "table",
                        why: format!("the policy of {name} does not list table {table}"),
                        remedy: format!("ask {name} to list it under [policy.table.{table}]"),
                    }),
                )),
            }
        }
        for what in &self.traced.unknown {
            let refusal = Refusal {
                rule: "provenance",
                why: "what flows through this construct cannot be traced".to_owned(),
                remedy: "write the query without it".to_owned(),
            };
            findings.push(self.finding(what, "is used", Ruling::Refused(refusal)));
        }
    }

    fn recipients(&self, policy: &Policy, name: &str, findings: &mut Vec<Finding>) {
        for recipient in self.consent.recipients.without(self.owner).iter() {
            let recipient = self.federation.party_name(recipient);
            let ruling = if policy.allows_recipient(&recipient) {
                Ruling::Allowed("recipients".to_owned())
            } else {
                let allowed: Vec<&str> = policy.recipients.iter().map(String::as_str).collect();
                let allowed =
                    if allowed.is_empty() { "nobody".to_owned() } else { allowed.join(", ") };
                Ruling::Refused(Refusal {
                    rule: "recipients",
                    why: format!("the policy of {name} lets {allowed} learn answers"),
                    remedy: format!("name other --recipients, or ask {name} to add {recipient}"),
                })
            };
            findings.push(self.finding("the answer", &format!("goes to {recipient}"), ruling));
        }
    }

    /// Groups are as large as the rule wants before an aggregate chooses among their rows: what it
    /// has chosen may be a single one's. Who knows a value of each row, and learns the sum of them,
    /// may know which rows are in the group.
    fn group_sizes(&self, table: &Table, rules: &TablePolicy, findings: &mut Vec<Finding>) {
        if rules.min_group.is_none() {
            return;
        }
        let name = self.federation.party_name(self.owner);
        let (_, table_name) = table;
        let mut refuse = |usage: String, why: String, remedy: &str| {
            let refusal = Refusal { rule: "min_group", why, remedy: remedy.to_owned() };
            findings.push(self.finding(table_name, &usage, Ruling::Refused(refusal)));
        };
        let choosing = self.traced.choosing.iter().filter(|(rows, _)| rows == table);
        for (_, aggregate) in choosing {
            refuse(
                format!("chooses rows inside {aggregate}"),
                format!(
                    "{name} counts the groups of {table_name} before this aggregate chooses their \
                     rows: by a condition, by a product of columns, by leaving out NULL"
                ),
                "choose rows in WHERE, where groups are counted afterwards; aggregate sums of \
                 columns that are never NULL, times constants",
            );
        }
        let of_table = |origin: &&Origin| {
            (origin.holder.as_ref(), &origin.table) == (table.0.as_ref(), &table.1)
        };
        let failing = self.failing().filter(|it| it.origins.iter().any(|at| of_table(&at)));
        for Failing { part, .. } in failing {
            refuse(
                format!("computes {part}"),
                format!(
                    "it fails for some values, which ends the query: that would tell whether a \
                     group of {table_name} that is left out has one"
                ),
                "cast to a type that has room for all values, such as DECIMAL(38, 0)",
            );
        }
        if self.repeated.contains(table) {
            refuse(
                "is joined so that its rows may repeat".to_owned(),
                format!(
                    "a row of {table_name} that comes more often than others weighs more in what \
                     is made of its group, and may be told from it"
                ),
                "join it with rows that are unique by the key: of one party's table whose column \
                 is declared unique, or grouped by the key before",
            );
        }
        let known = |values: &Option<Table>| match values {
            None => true,
            Some((holder, table)) => {
                let asker = PartySet::only(self.consent.asker);
                let learn = self.consent.recipients.union(asker).without(self.owner);
                let holders = holders(self.federation, holder.as_deref(), table);
                holders.iter().any(|holder| learn.contains(holder))
            }
        };
        for beside in self.traced.beside.iter().filter(|beside| beside.rows == *table) {
            if known(&beside.values) {
                refuse(
                    format!("marks rows by {}", beside.through),
                    format!(
                        "who learns the answer knows the values that this aggregate brings to the \
                         rows of {table_name}, so it would tell which rows are in a group"
                    ),
                    &format!("aggregate columns of {table_name}; group or filter by the others"),
                );
            }
        }
    }

    /// What may fail in this owner's own computations. Where others' columns take part, it is the
    /// circuit that computes, which fails for nobody.
    fn failing(&self) -> impl Iterator<Item = &Failing> {
        let capacity = |origin: &Origin| {
            let table = self.federation.table(&origin.table)?;
            let named = origin.holder.as_deref().map(|name| self.federation.party(name));
            let is_named = named.is_none_or(|party| party == Some(self.owner));
            let holder = table.holders.iter().find(|holder| holder.party == self.owner);
            holder.filter(|_| is_named).map(|holder| i128::from(holder.capacity))
        };
        self.traced.failing.iter().filter(move |failing| {
            // Tables that are joined have a row for each pair at most.
            let tables: BTreeMap<_, _> = failing
                .origins
                .iter()
                .map(|origin| ((&origin.holder, &origin.table), capacity(origin)))
                .collect();
            let rows =
                tables.into_values().try_fold(1i128, |all, rows| Some(all.saturating_mul(rows?)));
            rows.is_some_and(|rows| rows > failing.rows)
        })
    }

    fn columns(
        &self,
        holder: Option<&str>,
        table: &str,
        rules: &TablePolicy,
        findings: &mut Vec<Finding>,
    ) {
        let name = self.federation.party_name(self.owner);
        let of_table = |demand: &&Demand| {
            demand.origin.table == table && demand.origin.holder.as_deref() == holder
        };
        // An expression that fails for some values decides by them, whatever becomes of its own.
        let failing = self.failing().flat_map(|Failing { part, origins, .. }| {
            let through = format!("{part}, which fails for some values (cast to a wider type)");
            origins.iter().map(move |origin| Demand {
                origin: origin.clone(),
                usage: Usage::Filter,
                through: through.clone(),
            })
        });
        let failing: Vec<_> = failing.collect();
        for demand in failing.iter().chain(&self.traced.demands).filter(of_table) {
            let none = Roles::default();
            let column = &demand.origin.column;
            let roles = rules.columns.get(column).unwrap_or(&none);
            let forbidden = rules::forbidden(&demand.usage, roles);
            if demand.usage == Usage::Read && forbidden.is_none() {
                continue;
            }
            let subject = format!("{table}.{column}");
            let ruling = match forbidden {
                None => Ruling::Allowed(roles.to_string()),
                Some(forbidden) => Ruling::Refused(Refusal {
                    rule: forbidden.rule,
                    why: format!("the policy of {name} gives {subject}: {roles}"),
                    remedy: format!("this needs {} from {name}", forbidden.needs),
                }),
            };
            let usage = format!("{} in {}", demand.usage, demand.through);
            findings.push(self.finding(&subject, &usage, ruling));
        }
    }

    fn finding(&self, subject: &str, usage: &str, ruling: Ruling) -> Finding {
        let (subject, usage) = (subject.to_owned(), usage.to_owned());
        Finding { owner: self.owner, subject, usage, ruling }
    }
}
