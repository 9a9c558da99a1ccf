//! Why a joint plan cannot be turned into circuits.

use senate_circuit::BuildError;

/// Rows of one relation in a circuit. Everybody plans what anybody asks, and time and memory for that
/// grow with the rows: with these about a minute and 2 GB.
pub(super) const ROWS_MAX: u32 = 1 << 21;

/// Why lowering failed. Never depends on anybody's rows.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// The joint plan needs something that has no circuit yet.
    #[error("not supported in the joint part of a query: {what}")]
    Unsupported {
        /// Named precisely.
        what: String,
    },
    /// The joint plan contradicts itself; the front end wrote it wrongly.
    #[error("malformed joint plan: {what}")]
    Malformed {
        /// What contradicts what.
        what: String,
    },
    /// Intermediate values need more than 127 bits.
    #[error("an expression's values need more than 127 bits: {what}")]
    TooWide {
        /// The operation.
        what: &'static str,
    },
    /// Capacities add up to more rows than a circuit can have.
    #[error(
        "the joint part would work on {rows} rows at once, and at most {ROWS_MAX} can be planned: \
         bound what the tables bring (--bound PARTY.TABLE=ROWS), or aggregate first"
    )]
    TooManyRows {
        /// Of one relation, by the declared capacities.
        rows: u64,
    },
    /// The circuit library refused.
    #[error("circuit: {0}")]
    Circuit(#[from] BuildError),
}

impl LowerError {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}
