//! The ways in which a column's values can decide what is learnt.

use std::fmt;

/// One use of a column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Usage {
    /// Read from the table, whatever for.
    Read,
    /// Compared with a column of another table.
    JoinKey,
    /// The key of groups; DISTINCT and UNION included.
    GroupBy,
    /// Decides which rows count.
    Filter,
    /// Enters this aggregate function.
    Aggregate(String),
    /// Decides the order of rows.
    Order,
    /// Shown row by row, as it is or in an expression.
    Output,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("reads it"),
            Self::JoinKey => f.write_str("joins on it"),
            Self::GroupBy => f.write_str("groups by it"),
            Self::Filter => f.write_str("filters by it"),
            Self::Aggregate(function) => write!(f, "aggregates it with {function}"),
            Self::Order => f.write_str("orders by it"),
            Self::Output => f.write_str("shows it row by row"),
        }
    }
}
