//! The joint part of a query as plain data: what every party computes alone, and the tree of
//! relational operators over those results. The front end writes it, `lower` turns it into stages.

use crate::types::ColumnType;
use senate_circuit::PartyId;

/// A column of a node's output.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Column {
    /// Name, for messages and for the result's header.
    pub name: String,
    /// Domain and encoding.
    pub kind: ColumnType,
}

/// A relation with a public capacity: a secret number of rows, at most `capacity`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Schema {
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Public upper bound on the rows.
    pub capacity: u32,
}

/// One party's plaintext result, the only way in which data enters the joint part.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Leaf {
    /// Who computes and holds it.
    pub party: PartyId,
    /// Index into the plan's local tasks.
    pub slot: usize,
    /// Its columns and capacity.
    pub schema: Schema,
    /// Column positions whose combination is distinct over the leaf's rows (e.g. the keys of a
    /// local partial aggregate, or a unique join key); empty when nothing is known. A leaf with a
    /// zero-column key (a global partial aggregate) has `at_most_one_row` instead.
    pub distinct: Vec<usize>,
    /// The leaf never has more than one row.
    pub at_most_one_row: bool,
    /// Predicates over the leaf's columns that every row satisfies by the query (pushed-down
    /// filters on retained columns): claimed by the owner and verified in the consuming stage.
    pub claims: Vec<Expr>,
}

/// A relational operator over secret relations.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A party's local result.
    Leaf(Leaf),
    /// Bag union of inputs with the same columns.
    Union {
        /// At least two.
        inputs: Vec<Node>,
        /// Common columns; capacity is the sum.
        schema: Schema,
    },
    /// Rows for which the predicate is true.
    Filter {
        /// Rows in.
        input: Box<Node>,
        /// A boolean; NULL counts as false.
        predicate: Expr,
    },
    /// Groups for which the predicate is true, because an owner's policy shows no smaller ones. How
    /// many others there were is revealed with the result.
    Suppress {
        /// Groups in.
        input: Box<Node>,
        /// A boolean; NULL counts as false.
        predicate: Expr,
    },
    /// Computed columns.
    Project {
        /// Rows in.
        input: Box<Node>,
        /// One expression per output column.
        exprs: Vec<Expr>,
        /// Names and types of the expressions.
        schema: Schema,
    },
    /// One row per distinct key (exactly one row when `keys` is empty). DISTINCT is the case
    /// without aggregates. Output columns: the keys, then the aggregates.
    Aggregate {
        /// Rows in.
        input: Box<Node>,
        /// Key columns of the input.
        keys: Vec<usize>,
        /// Combining functions over input columns.
        aggregates: Vec<Aggregate>,
        /// Output columns.
        schema: Schema,
    },
    /// Inner equi-join of m ≥ 2 inputs on one common key: row combinations whose keys agree.
    /// Output columns: all columns of input 0, then all of input 1, and so on.
    Join {
        /// The joined relations.
        inputs: Vec<Node>,
        /// Per input: its key columns, all of the same number and compatible types.
        keys: Vec<Vec<usize>>,
        /// Per input: whether its key is distinct. At most one input may be false.
        unique: Vec<bool>,
        /// Output columns; capacity is the smallest unique input's, or that of the input that is
        /// not unique.
        schema: Schema,
    },
    /// Rows of input 0 looked up in input 1, a set: LEFT JOIN and anti-join. Each row comes once at
    /// most, whatever it meets.
    Probe {
        /// The rows, whose key is never NULL, and the set.
        inputs: Box<[Node; 2]>,
        /// Key columns of the rows and of the set.
        keys: [Vec<usize>; 2],
        /// Which rows are kept, beside what.
        kept: Kept,
        /// Output columns: the rows', then with [`Kept::All`] the set's, nullable.
        schema: Schema,
    },
    /// ORDER BY and LIMIT. All output columns that are not keys break ties, ascending, in order.
    Sort {
        /// Rows in.
        input: Box<Node>,
        /// Sort keys, most significant first.
        keys: Vec<SortKey>,
        /// LIMIT.
        fetch: Option<u32>,
        /// OFFSET.
        skip: u32,
    },
}

/// Rows that a [`Node::Probe`] keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kept {
    /// All, beside the set's row with the same key, or NULLs.
    All,
    /// Those whose key is not in the set.
    Unmatched,
}

/// One ORDER BY item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SortKey {
    /// Input column.
    pub column: usize,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// A combining aggregate. COUNT never occurs: a count is the `Sum` of a column (partial counts, or
/// a projected constant 1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// Input column it is computed over.
    pub argument: usize,
}

/// The combining functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AggregateFunction {
    /// Sum; over no rows 0 (`zero_if_empty`) as for counts, else NULL.
    Sum {
        /// True for counts.
        zero_if_empty: bool,
    },
    /// Smallest value; NULL over no rows.
    Min,
    /// Largest value; NULL over no rows.
    Max,
}

/// A scalar expression over one row. `kind` of a result is computed by [`Expr::kind`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Expr {
    /// Input column.
    Column(usize),
    /// A constant of this type; `None` is NULL.
    Literal(Option<Value>, ColumnType),
    /// Two operands.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// Unary minus.
    Negate(Box<Expr>),
    /// IS NULL.
    IsNull(Box<Expr>),
    /// CASE: the first branch whose condition is true, else the last (NULL when absent in SQL).
    Case {
        /// Condition and value.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Box<Expr>,
    },
    /// GREATEST, NULLs ignored as DataFusion does.
    Greatest(Vec<Expr>),
    /// LEAST, NULLs ignored as DataFusion does.
    Least(Vec<Expr>),
    /// Change of type with the same value; a value that does not fit raises the overflow flag.
    Cast(Box<Expr>, ColumnType),
    /// AVG's final step, `sum / count` in the type given. NULL when the count is 0. See
    /// interface.md for the rounding of each type.
    AvgQuotient {
        /// Exact sum.
        sum: Box<Expr>,
        /// Number of values.
        count: Box<Expr>,
        /// Result type.
        kind: ColumnType,
    },
}

/// A constant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Value {
    /// BOOLEAN.
    Boolean(bool),
    /// Integers; unscaled decimals; days since 1970-01-01 for dates.
    Integer(i128),
    /// VARCHAR and BINARY.
    Bytes(Vec<u8>),
}

/// Binary operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// +
    Add,
    /// −
    Subtract,
    /// *
    Multiply,
    /// =
    Equal,
    /// <>
    NotEqual,
    /// <
    Less,
    /// <=
    LessEqual,
    /// >
    Greater,
    /// >=
    GreaterEqual,
    /// AND (three-valued)
    And,
    /// OR (three-valued)
    Or,
}

impl Node {
    /// Output columns.
    pub fn columns(&self) -> &[Column] {
        match self {
            Self::Leaf(leaf) => &leaf.schema.columns,
            Self::Filter { input, .. }
            | Self::Suppress { input, .. }
            | Self::Sort { input, .. } => input.columns(),
            Self::Union { schema, .. }
            | Self::Project { schema, .. }
            | Self::Aggregate { schema, .. }
            | Self::Join { schema, .. }
            | Self::Probe { schema, .. } => &schema.columns,
        }
    }

    /// Public upper bound on the rows.
    pub fn capacity(&self) -> u32 {
        match self {
            Self::Leaf(leaf) => leaf.schema.capacity,
            Self::Filter { input, .. } | Self::Suppress { input, .. } => input.capacity(),
            Self::Sort { input, fetch, skip, .. } => {
                let rest = input.capacity().saturating_sub(*skip);
                fetch.map_or(rest, |fetch| rest.min(fetch))
            }
            Self::Union { schema, .. }
            | Self::Project { schema, .. }
            | Self::Aggregate { schema, .. }
            | Self::Join { schema, .. }
            | Self::Probe { schema, .. } => schema.capacity,
        }
    }

    /// Output columns and capacity.
    pub fn schema(&self) -> Schema {
        Schema { columns: self.columns().to_vec(), capacity: self.capacity() }
    }
}
