//! Joint trees as text: deterministic, one operator a line, for tests, digests and `explain`.

use crate::ir::{
    Aggregate, AggregateFunction, Column, Expr, Kept, Leaf, Node, Schema, SortKey, Value,
};
use std::fmt::{self, Display, Formatter};

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        indented(self, 0, f)
    }
}

impl Display for Expr {
    /// Columns as `#0`, every operation in parentheses.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => write!(f, "#{column}"),
            Self::Literal(None, _) => f.write_str("NULL"),
            Self::Literal(Some(value), kind) => write!(f, "{value}:{}", kind.sql),
            Self::Binary(operator, left, right) => {
                write!(f, "({left} {} {right})", operator.symbol())
            }
            Self::Not(inner) => write!(f, "NOT {inner}"),
            Self::Negate(inner) => write!(f, "-{inner}"),
            Self::IsNull(inner) => write!(f, "({inner} IS NULL)"),
            Self::Case { branches, otherwise } => {
                f.write_str("CASE")?;
                for (condition, value) in branches {
                    write!(f, " WHEN {condition} THEN {value}")?;
                }
                write!(f, " ELSE {otherwise} END")
            }
            Self::Greatest(inner) => write!(f, "greatest({})", list(inner)),
            Self::Least(inner) => write!(f, "least({})", list(inner)),
            Self::Cast(inner, kind) => write!(f, "({inner} AS {kind})"),
            Self::AvgQuotient { sum, count, kind } => write!(f, "avg({sum} / {count} AS {kind})"),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Bytes(value) => write!(f, "'{}'", value.escape_ascii()),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let function = match self.function {
            AggregateFunction::Sum { zero_if_empty: false } => "sum",
            AggregateFunction::Sum { zero_if_empty: true } => "count",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
        };
        write!(f, "{function}(#{})", self.argument)
    }
}

impl Display for SortKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { " desc" } else { "" };
        // NULLs are largest unless said otherwise.
        let nulls = match (self.descending, self.nulls_first) {
            (false, true) => " nulls first",
            (true, false) => " nulls last",
            _ => "",
        };
        write!(f, "#{}{direction}{nulls}", self.column)
    }
}

impl Display for Schema {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let column = |column: &Column| format!("{} {}", column.name, column.kind);
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        write!(f, "{} rows ({})", self.capacity, columns.join(", "))
    }
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn indented(node: &Node, depth: usize, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{:1$}", "", depth * 2)?;
    match node {
        Node::Leaf(leaf) => return leaf_line(leaf, f),
        Node::Union { schema, .. } => writeln!(f, "union: {schema}")?,
        Node::Filter { predicate, .. } => writeln!(f, "filter {predicate}")?,
        Node::Suppress { predicate, .. } => writeln!(f, "suppress unless {predicate}")?,
        Node::Project { exprs, schema, .. } => writeln!(f, "project {}: {schema}", list(exprs))?,
        Node::Aggregate { keys, aggregates, schema, .. } => {
            writeln!(f, "aggregate by {keys:?} [{}]: {schema}", list(aggregates))?;
        }
        Node::Join { keys, unique, schema, .. } => {
            writeln!(f, "join on {keys:?} unique {unique:?}: {schema}")?;
        }
        Node::Probe { keys: [rows, set], kept, schema, .. } => {
            let kept = match kept {
                Kept::All => "all",
                Kept::Unmatched => "unmatched",
            };
            writeln!(f, "probe on {rows:?} in {set:?}, {kept} rows: {schema}")?;
        }
        Node::Sort { keys, fetch, skip, .. } => {
            write!(f, "sort [{}]", list(keys))?;
            if let Some(fetch) = fetch {
                write!(f, " limit {fetch}")?;
            }
            writeln!(f, "{}", if *skip > 0 { format!(" offset {skip}") } else { String::new() })?;
        }
    }
    for input in inputs(node) {
        indented(input, depth + 1, f)?;
    }
    Ok(())
}

fn inputs(node: &Node) -> &[Node] {
    match node {
        Node::Leaf(_) => &[],
        Node::Union { inputs, .. } | Node::Join { inputs, .. } => inputs,
        Node::Probe { inputs, .. } => inputs.as_slice(),
        Node::Filter { input, .. }
        | Node::Suppress { input, .. }
        | Node::Project { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Sort { input, .. } => std::slice::from_ref(input),
    }
}

fn leaf_line(leaf: &Leaf, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "leaf {} of {}: {}", leaf.slot, leaf.party, leaf.schema)?;
    if !leaf.distinct.is_empty() {
        write!(f, " distinct {:?}", leaf.distinct)?;
    }
    if leaf.at_most_one_row {
        f.write_str(" one row")?;
    }
    if !leaf.claims.is_empty() {
        write!(f, " claims {}", list(&leaf.claims))?;
    }
    writeln!(f)
}
