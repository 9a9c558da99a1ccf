//! `[policy]` of a party.toml against what the federation declares.

use super::Policy;
use crate::catalog::Federation;
use senate_circuit::PartyId;

/// What is wrong with a policy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// A key that is missing, unknown or of the wrong kind.
    #[error("[policy]: {0}")]
    Syntax(String),
    /// A rule about something that is not there.
    #[error("[policy]: {place}: {problem}")]
    Invalid {
        /// Table and column.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl Policy {
    /// Smallest group size that hides anything.
    const SIZE_MIN: u32 = 2;

    /// Reads `owner`'s policy.
    ///
    /// # Errors
    /// [`PolicyError`] naming the table and column.
    pub fn parse(
        value: toml::Value,
        federation: &Federation,
        owner: PartyId,
    ) -> Result<Self, PolicyError> {
        let policy: Self = value
            .try_into()
            .map_err(|error: toml::de::Error| PolicyError::Syntax(error.message().to_owned()))?;
        policy.check(federation, owner)?;
        Ok(policy)
    }

    /// Checks that every rule is about something of `owner`'s in the federation.
    ///
    /// # Errors
    /// [`PolicyError::Invalid`].
    pub fn check(&self, federation: &Federation, owner: PartyId) -> Result<(), PolicyError> {
        let invalid = |place: String, problem: String| PolicyError::Invalid { place, problem };
        for name in &self.recipients {
            if name != Self::ANYONE && federation.party(name).is_none() {
                return Err(invalid("recipients".to_owned(), format!("no party `{name}`")));
            }
        }
        if let Some(budget) = self.budget
            && (budget.queries == 0 || budget.per_template == Some(0))
        {
            let problem = "a budget of nothing; leave the table out to deny it".to_owned();
            return Err(invalid("budget".to_owned(), problem));
        }
        for (name, rules) in &self.tables {
            let held = federation.table(name).filter(|table| table.holder(owner).is_some());
            let table = held.ok_or_else(|| {
                let party = federation.party_name(owner);
                invalid(format!("table {name}"), format!("{party} holds no such table"))
            })?;
            let missing = |column: &String| table.column(column).is_none();
            if let Some(column) = rules.columns.keys().find(|column| missing(column)) {
                return Err(invalid(format!("table {name}"), format!("no column `{column}`")));
            }
            let Some(rule) = &rules.min_group else { continue };
            let place = format!("table {name}, min_group");
            if missing(&rule.entity) {
                return Err(invalid(place, format!("no column `{}`", rule.entity)));
            }
            if table.column(&rule.entity).is_some_and(|column| column.kind.nullable) {
                let problem = format!("column `{}` may be NULL, so it names nobody", rule.entity);
                return Err(invalid(place, problem));
            }
            if rule.size < Self::SIZE_MIN {
                let problem = format!("size {} hides nothing; it is at least 2", rule.size);
                return Err(invalid(place, problem));
            }
        }
        Ok(())
    }
}
