//! What the owners' policies say about a query, finding by finding.

use senate_circuit::PartyId;

/// What all rules say about a query.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// In the order of owners, then as found in the plan.
    pub findings: Vec<Finding>,
}

/// One thing that a rule of one owner decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whose rule it is.
    pub owner: PartyId,
    /// The column as `table.column`, or what else is judged.
    pub subject: String,
    /// What the query does with it, and through which expression.
    pub usage: String,
    /// The decision.
    pub ruling: Ruling,
}

/// A decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// Allowed, because of this.
    Allowed(String),
    /// Not allowed.
    Refused(Refusal),
}

/// Why a query may not run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Name of the rule.
    pub rule: &'static str,
    /// What the policy says.
    pub why: String,
    /// What would be allowed, or who can change it.
    pub remedy: String,
}

impl Finding {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.ruling {
            Ruling::Allowed(_) => None,
            Ruling::Refused(refusal) => Some(refusal),
        }
    }
}

impl Verdict {
    /// The first finding that forbids the query.
    pub fn refused(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.refusal().is_some())
    }
}
