//! The SQL front end: text and federation in, joint query out.
//!
//! The text is parsed, its syntax tree checked against an allow-list, planned and optimized by
//! DataFusion (without any execution engine), and split by `crate::rules` into one plaintext plan
//! per leaf and the joint tree over their results. The same inputs give the same query at every
//! party; nothing here reads data.

mod allow;
mod average;
mod bounds;
mod context;
mod form;
mod growth;
mod optimize;
mod parameters;
mod shared;
mod subquery;

pub use bounds::{SQL_BYTES_MAX, STACK_BYTES};
pub use form::Form;
pub use parameters::Template;
pub use shared::SharedPlan;

use crate::catalog::Federation;
use crate::ir::{Expr, Node, Schema};
use crate::policy::{self, Consent, Guarded, Policies, SmallestGroup, Verdict};
use crate::rules;
use crate::types::ColumnType;
use arrow_schema::DataType;
use datafusion_common::DataFusionError;
use senate_circuit::{PartyId, PartySet};
use std::collections::BTreeMap;

/// A query split into what each party computes alone and what they compute together.
#[derive(Clone, Debug)]
pub struct JointQuery {
    /// The leaves' plaintext plans: [`crate::ir::Leaf::slot`] is the position in this list.
    pub locals: Vec<LocalTask>,
    /// The joint tree. A single leaf when one party owns all the data.
    pub root: Node,
    /// The result's columns, one per column of the root.
    pub output: Vec<OutputColumn>,
    /// Whether the query has an ORDER BY. If not, rows are put in the order of all output columns
    /// ascending before they are shown.
    pub ordered: bool,
    /// What the owners' policies say.
    pub verdict: Verdict,
    /// Groups below these sizes are not in the result.
    pub smallest_groups: Vec<SmallestGroup>,
}

/// What one party computes alone, on plaintext.
#[derive(Clone, Debug)]
pub struct LocalTask {
    /// Who computes it.
    pub party: PartyId,
    /// The plan. Its table scans name "party"."table" and wait to be bound to that party's data.
    pub plan: SharedPlan,
    /// Deterministic text of the plan, for digests and `explain`.
    pub display: String,
    /// The result's columns with their domains, and the most rows it may have.
    pub schema: Schema,
    /// As in [`crate::ir::Leaf::distinct`].
    pub distinct: Vec<usize>,
    /// The result never has more than one row.
    pub at_most_one_row: bool,
    /// As in [`crate::ir::Leaf::claims`].
    pub claims: Vec<Expr>,
}

/// A column of the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputColumn {
    /// Header.
    pub name: String,
    /// Type and domain of the values.
    pub kind: ColumnType,
    /// The Arrow type DataFusion gives this column (AVG over integers is DECIMAL(25,6) here).
    pub arrow: DataType,
}

/// Public choices that come with a query and are part of its digest.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PlanOptions {
    /// Tighter bounds on the rows of a holder's table that pass its local filter, by party and
    /// table name.
    pub bounds: BTreeMap<(PartyId, String), u32>,
}

/// Why a query has no plan. All are mistakes or limits of the text, found before any data moves.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Not SQL, or names a table, column or function that does not exist.
    #[error("SQL error: {0}")]
    Sql(String),
    /// SQL outside the supported set.
    #[error("unsupported: {what}")]
    Unsupported {
        /// The construct.
        what: String,
    },
    /// An option that does not fit the federation.
    #[error("option {option}: {problem}")]
    Option {
        /// The option as given.
        option: String,
        /// What is wrong.
        problem: String,
    },
}

impl PlanError {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}

impl From<DataFusionError> for PlanError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::NotImplemented(what) => Self::unsupported(what.clone()),
            root => Self::Sql(root.strip_backtrace()),
        }
    }
}

impl PlanOptions {
    /// Adds a `--bound party.table=N`.
    ///
    /// # Errors
    /// [`PlanError::Option`] for a wrong spelling, party, table or number.
    pub fn bound(&mut self, text: &str, federation: &Federation) -> Result<(), PlanError> {
        let fail = |problem: &str| PlanError::Option {
            option: format!("--bound {text}"),
            problem: problem.to_owned(),
        };
        let (place, rows) = text.split_once('=').ok_or_else(|| fail("not party.table=N"))?;
        let (party, table) = place.split_once('.').ok_or_else(|| fail("not party.table=N"))?;
        let id = federation.party(party).ok_or_else(|| fail("no such party"))?;
        let holder = federation.table(table).and_then(|table| table.holder(id));
        let holder = holder.ok_or_else(|| fail("the party holds no such table"))?;
        let rows: u32 = rows.parse().map_err(|_| fail("the bound is not a number of rows"))?;
        if rows == 0 || rows > holder.capacity {
            return Err(fail("the bound is not between 1 and the declared capacity"));
        }
        match self.bounds.insert((id, table.to_owned()), rows) {
            Some(other) if other != rows => Err(fail("another bound is given for the same table")),
            _ => Ok(()),
        }
    }
}

/// Plans a query over data that are all in one place, so that nobody's policy has a say.
///
/// # Errors
/// As [`plan_under`].
pub fn plan(
    sql: &str,
    federation: &Federation,
    options: &PlanOptions,
) -> Result<JointQuery, PlanError> {
    let policies = Policies::in_one_process();
    let recipients = PartySet::first(federation.parties.len());
    let Some(asker) = recipients.leader() else {
        return Err(PlanError::Sql("a federation has parties".to_owned()));
    };
    plan_under(sql, federation, options, &Consent { policies: &policies, recipients, asker })
}

/// Plans a query under the owners' policies. A query that they forbid has a plan too, so that it
/// can be explained; its verdict says that it may not run.
///
/// # Errors
/// [`PlanError`]; nothing has been computed or sent.
pub fn plan_under(
    sql: &str,
    federation: &Federation,
    options: &PlanOptions,
    consent: &Consent<'_>,
) -> Result<JointQuery, PlanError> {
    let statement = allow::statement(sql)?;
    let context = context::Catalog::new(federation);
    let logical = optimize::logical(statement, &context)?;
    let plan = optimize::optimized(logical.plan.clone(), &context)?;
    let mut verdict = policy::judge(&plan, federation, consent);
    let rules = policy::group_rules(federation, consent);
    let (guarded, findings) = policy::guard(logical.plan, &rules)?;
    verdict.findings.extend(findings);
    let (plan, smallest_groups) = match guarded {
        Guarded::AsItWas => (plan, Vec::new()),
        Guarded::Plan(guarded, groups) => (optimize::optimized(*guarded, &context)?, groups),
    };
    let mut query = rules::split(&plan, logical.ordered, federation, options)?;
    (query.verdict, query.smallest_groups) = (verdict, smallest_groups);
    Ok(query)
}

#[cfg(test)]
mod tests;
