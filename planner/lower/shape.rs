//! How relations are laid out on planes, and what is publicly known about their rows.

use crate::ir::{Expr, SortKey};
use crate::types::ColumnType;

/// How one column is carried on planes.
///
/// Without `ring` the encoding is that of [`ColumnType`]. With `ring: Some(w)` the value is a
/// partial sum: the integer modulo 2^w in two's complement, without offset and without a claim on
/// its range, so that the domain is closed under addition (PROTOCOL.md §8).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    /// SQL type, domain and nullability.
    pub kind: ColumnType,
    /// Width of a partial sum's ring.
    pub ring: Option<u32>,
}

impl Field {
    /// A column in its type's own encoding.
    pub fn plain(kind: ColumnType) -> Self {
        Self { kind, ring: None }
    }

    /// Planes of the value, without the presence plane.
    pub fn value_bits(&self) -> u32 {
        match self.ring {
            Some(width) => width,
            None => u32::try_from(self.kind.value_bits()).unwrap_or(u32::MAX),
        }
    }

    /// All planes: the value, then the presence plane of a nullable column.
    pub fn planes(&self) -> u32 {
        self.value_bits() + u32::from(self.kind.nullable)
    }

    /// The same column without NULL.
    #[must_use]
    pub fn present(mut self) -> Self {
        self.kind.nullable = false;
        self
    }
}

/// Bits that hold 0 ..= `largest`.
pub(crate) fn bits_for(largest: u128) -> u32 {
    u128::BITS - largest.leading_zeros()
}

/// What is publicly known about a canonical relation (PROTOCOL.md §8), or about the valid rows of a
/// scattered set: the exact range, when the operator that made it is exact.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    /// Columns in order.
    pub fields: Vec<Field>,
    /// Capacity.
    pub rows: u32,
    /// Sort order of the valid rows; empty when nothing is known.
    pub order: Vec<SortKey>,
    /// Most rows that agree on all columns of `order`; 1 for a set.
    pub repeats: u32,
    /// Predicates over the columns that hold in every valid row.
    pub claims: Vec<Expr>,
}

impl Shape {
    /// Planes of one row, the valid plane included.
    pub fn planes(&self) -> u32 {
        1 + self.fields.iter().map(Field::planes).sum::<u32>()
    }

    /// Planes of the columns of `order`.
    pub(crate) fn key_planes(&self) -> u32 {
        let fields = self.order.iter().filter_map(|key| self.fields.get(key.column));
        fields.map(Field::planes).sum()
    }

    /// Wires of the whole relation.
    pub fn wires(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.planes())
    }

    /// Whether no two rows agree on the order's columns.
    pub(crate) fn is_set(&self) -> bool {
        self.repeats <= 1
    }
}

/// Ascending order by these columns, NULLs last.
pub(crate) fn ascending(columns: impl IntoIterator<Item = usize>) -> Vec<SortKey> {
    let key = |column| SortKey { column, descending: false, nulls_first: false };
    columns.into_iter().map(key).collect()
}

/// The columns an expression reads, added to `into`.
pub(crate) fn columns_of(expr: &Expr, into: &mut Vec<usize>) {
    match expr {
        Expr::Column(column) => into.push(*column),
        Expr::Literal(..) => {}
        Expr::Binary(_, a, b) => [a, b].into_iter().for_each(|e| columns_of(e, into)),
        Expr::Not(a) | Expr::Negate(a) | Expr::IsNull(a) | Expr::Cast(a, _) => columns_of(a, into),
        Expr::Case { branches, otherwise } => {
            branches.iter().for_each(|(condition, value)| {
                columns_of(condition, into);
                columns_of(value, into);
            });
            columns_of(otherwise, into);
        }
        Expr::Greatest(list) | Expr::Least(list) => list.iter().for_each(|e| columns_of(e, into)),
        Expr::AvgQuotient { sum, count, .. } => {
            columns_of(sum, into);
            columns_of(count, into);
        }
    }
}

/// The expression with its columns renumbered; `None` when one has no new number.
pub(crate) fn renumber(expr: &Expr, to: &dyn Fn(usize) -> Option<usize>) -> Option<Expr> {
    let one = |e: &Expr| renumber(e, to).map(Box::new);
    let all = |list: &[Expr]| list.iter().map(|e| renumber(e, to)).collect::<Option<Vec<_>>>();
    Some(match expr {
        Expr::Column(column) => Expr::Column(to(*column)?),
        Expr::Literal(..) => expr.clone(),
        Expr::Binary(op, a, b) => Expr::Binary(*op, one(a)?, one(b)?),
        Expr::Not(a) => Expr::Not(one(a)?),
        Expr::Negate(a) => Expr::Negate(one(a)?),
        Expr::IsNull(a) => Expr::IsNull(one(a)?),
        Expr::Cast(a, kind) => Expr::Cast(one(a)?, *kind),
        Expr::Case { branches, otherwise } => {
            let pair = |(c, v): &(Expr, Expr)| Some((renumber(c, to)?, renumber(v, to)?));
            let branches = branches.iter().map(pair).collect::<Option<Vec<_>>>()?;
            Expr::Case { branches, otherwise: one(otherwise)? }
        }
        Expr::Greatest(list) => Expr::Greatest(all(list)?),
        Expr::Least(list) => Expr::Least(all(list)?),
        Expr::AvgQuotient { sum, count, kind } => {
            Expr::AvgQuotient { sum: one(sum)?, count: one(count)?, kind: *kind }
        }
    })
}
