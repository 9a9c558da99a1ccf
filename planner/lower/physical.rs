//! The operator tree after the paper's steps 1 and 3: circuits per operator, party sets, and which
//! relations are exactly verifiable and may therefore be a stage of their own.

use super::shape::{Field, Shape};
use crate::ir::{Expr, SortKey};
use senate_circuit::{PartyId, PartySet};

/// One operator with everything below it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Physical {
    /// What is computed.
    pub operator: Operator,
    /// From what.
    pub inputs: Vec<Physical>,
    /// Whose data it takes: the union over the inputs.
    pub parties: PartySet,
    /// The output.
    pub shape: Shape,
    /// Whether `shape` describes the operator's range exactly (of scattered sets: up to invalid
    /// rows), so that a parent stage can verify it and the operator may be a stage of its own.
    pub exact: bool,
}

/// An operator with a circuit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// An owner's input.
    Leaf {
        /// The owner.
        party: PartyId,
        /// Its local task.
        slot: usize,
        /// Per column: the local result's column, and whether rows where it is NULL are dropped.
        columns: Vec<LeafColumn>,
        /// Most rows the local result may have; those after the first `shape.rows` in order are
        /// dropped (a pushed-down LIMIT).
        capacity: u32,
    },
    /// Merges sorted bags with the same columns; keeps the first `keep` rows.
    Merge {
        /// Pushed-down LIMIT.
        keep: Option<u32>,
    },
    /// All rows of all inputs, in no order. Free.
    Concat,
    /// Combines rows that agree on the first `keys` columns.
    Group {
        /// Number of key columns.
        keys: usize,
        /// One per further column.
        combine: Vec<Combine>,
    },
    /// Rows of two sets whose first `keys` columns agree: key, left payload, right payload.
    Intersect {
        /// Number of key columns.
        keys: usize,
        /// Half the rows of both inputs: lanes in which every match stands before rows are moved.
        lanes: u32,
        /// How many sets this and the intersections below it take, and their rows together.
        pooled: (u32, u64),
        /// Whether rows are moved together.
        compacted: bool,
    },
    /// As `Intersect`, but keys may repeat in the right input (PK–FK join), of which other rows may be
    /// kept too: key, left payload, right payload.
    Lookup {
        /// Number of key columns.
        keys: usize,
        /// Which rows of the right input are kept.
        found: Found,
    },
    /// Every row of the first input beside the one row of the second; none where that has none.
    Broadcast,
    /// Chooses columns and changes encodings (to the field given).
    Arrange {
        /// Input column and new encoding, per output column.
        columns: Vec<(usize, Field)>,
        /// Exactly one row, valid or not before (aggregates without keys).
        one_row: bool,
    },
    /// Rows for which the predicate is true.
    Filter(Expr),
    /// Rows for which the predicate is true, and the number of the others for the root stage.
    Suppress(Expr),
    /// Computed columns.
    Project(Vec<Expr>),
    /// Sorts; keeps the first `keep` rows.
    Sort {
        /// All columns that decide.
        order: Vec<SortKey>,
        /// LIMIT plus OFFSET.
        keep: Option<u32>,
    },
    /// The first rows of a sorted relation.
    First(u32),
    /// A sorted relation without its first rows.
    Skip(u32),
}

/// A column of a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LeafColumn {
    /// Column of the local result.
    pub source: usize,
    /// Rows where it is NULL are dropped by the owner (inner-join keys).
    pub skip_null: bool,
}

/// Whether a row's key has to be in the set in which it is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Found {
    /// It has to.
    Required,
    /// It may be; else what comes from the set is zero: NULL, as its columns are nullable.
    Optional,
    /// It must not.
    Excluded,
}

/// How rows of one group combine in a column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Combine {
    /// Addition in the column's ring; NULLs are ignored.
    Sum,
    /// Smaller value; NULLs are ignored.
    Min,
    /// Larger value; NULLs are ignored.
    Max,
}

impl Operator {
    /// Name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Leaf { .. } => "input",
            Self::Merge { keep: None } => "merge",
            Self::Merge { keep: Some(_) } => "merge top",
            Self::Concat => "concatenate",
            Self::Group { combine, .. } if combine.is_empty() => "distinct union",
            Self::Group { .. } => "group",
            Self::Intersect { .. } => "intersect",
            Self::Lookup { found: Found::Required, .. } => "key join",
            Self::Lookup { found: Found::Optional, .. } => "left join",
            Self::Lookup { found: Found::Excluded, .. } => "anti-join",
            Self::Broadcast => "broadcast",
            Self::Arrange { .. } => "arrange",
            Self::Filter(_) => "filter",
            Self::Suppress(_) => "suppress small groups",
            Self::Project(_) => "project",
            Self::Sort { keep: None, .. } => "sort",
            Self::Sort { keep: Some(_), .. } => "top",
            Self::First(_) => "limit",
            Self::Skip(_) => "offset",
        }
    }
}

impl Physical {
    /// Members of the inputs.
    pub(crate) fn parties_of(inputs: &[Self]) -> PartySet {
        inputs.iter().fold(PartySet::EMPTY, |set, input| set.union(input.parties))
    }
}
