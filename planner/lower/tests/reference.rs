//! A row-based executor of joint plans, written without any of the code under test.

use crate::encode::Row;
use crate::ir::{AggregateFunction, BinaryOp, Expr, Kept, Node, SortKey, Value};
use crate::types::SqlType;
use std::cmp::Ordering;

pub(super) type Locals = Vec<Vec<Row>>;

pub(super) fn execute(node: &Node, locals: &Locals) -> Vec<Row> {
    match node {
        Node::Leaf(leaf) => locals[leaf.slot].clone(),
        Node::Union { inputs, .. } => inputs.iter().flat_map(|i| execute(i, locals)).collect(),
        Node::Filter { input, predicate } | Node::Suppress { input, predicate } => {
            let keep = |row: &Row| value(predicate, row) == Some(Value::Boolean(true));
            execute(input, locals).into_iter().filter(keep).collect()
        }
        Node::Project { input, exprs, .. } => {
            let project = |row: Row| exprs.iter().map(|e| value(e, &row)).collect();
            execute(input, locals).into_iter().map(project).collect()
        }
        Node::Aggregate { input, keys, aggregates, .. } => {
            let mut groups: Vec<(Row, Vec<Row>)> = Vec::new();
            if keys.is_empty() {
                groups.push((Vec::new(), Vec::new()));
            }
            for row in execute(input, locals) {
                let key: Row = keys.iter().map(|k| row[*k].clone()).collect();
                match groups.iter_mut().find(|(other, _)| *other == key) {
                    Some((_, rows)) => rows.push(row),
                    None => groups.push((key, vec![row])),
                }
            }
            let finish = |(mut key, rows): (Row, Vec<Row>)| {
                for aggregate in aggregates {
                    let values: Vec<_> =
                        rows.iter().filter_map(|row| row[aggregate.argument].clone()).collect();
                    key.push(aggregated(aggregate.function, &values));
                }
                key
            };
            groups.into_iter().map(finish).collect()
        }
        Node::Join { inputs, keys, .. } => {
            let mut joined: Vec<(Row, Row)> = vec![(Vec::new(), Vec::new())];
            for (i, (input, key)) in inputs.iter().zip(keys).enumerate() {
                let rows = execute(input, locals);
                let mut next = Vec::new();
                for (k, so_far) in &joined {
                    for row in &rows {
                        let own: Row = key.iter().map(|c| row[*c].clone()).collect();
                        if own.iter().all(Option::is_some) && (i == 0 || own == *k) {
                            next.push((own, [so_far.clone(), row.clone()].concat()));
                        }
                    }
                }
                joined = next;
            }
            joined.into_iter().map(|(_, row)| row).collect()
        }
        Node::Probe { inputs, keys, kept, schema } => {
            let [rows, set] = [0, 1].map(|at| execute(&inputs[at], locals));
            let key = |row: &Row, at: usize| -> Row {
                keys[at].iter().map(|c| row[*c].clone()).collect()
            };
            let mut found = Vec::new();
            for row in rows {
                let partner = set.iter().find(|other| key(other, 1) == key(&row, 0));
                match (kept, partner) {
                    (Kept::Unmatched, Some(_)) => {}
                    (Kept::All, Some(partner)) => found.push([row, partner.clone()].concat()),
                    (_, None) => {
                        let mut row = row;
                        row.resize(schema.columns.len(), None);
                        found.push(row);
                    }
                }
            }
            found
        }
        Node::Sort { input, keys, fetch, skip } => {
            let mut rows = execute(input, locals);
            rows.sort_by(|a, b| compare(a, b, keys).then_with(|| ascending(a, b)));
            let fetch = fetch.map_or(usize::MAX, |fetch| fetch as usize);
            rows.into_iter().skip(*skip as usize).take(fetch).collect()
        }
    }
}

fn aggregated(function: AggregateFunction, values: &[Value]) -> Option<Value> {
    let sorted = |pick: fn(Ordering) -> bool| {
        values.iter().cloned().reduce(|a, b| if pick(order(&a, &b)) { a } else { b })
    };
    match function {
        AggregateFunction::Min => sorted(Ordering::is_le),
        AggregateFunction::Max => sorted(Ordering::is_ge),
        AggregateFunction::Sum { zero_if_empty } => {
            let sum = values.iter().map(integer).sum();
            (zero_if_empty || !values.is_empty()).then_some(Value::Integer(sum))
        }
    }
}

fn integer(value: &Value) -> i128 {
    match value {
        Value::Integer(value) => *value,
        other => panic!("{other:?} is no integer"),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => panic!("mixed types"),
    }
}

fn compare(a: &Row, b: &Row, keys: &[SortKey]) -> Ordering {
    keys.iter().fold(Ordering::Equal, |o, key| {
        o.then_with(|| match (&a[key.column], &b[key.column]) {
            (None, None) => Ordering::Equal,
            (None, _) => {
                if key.nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (_, None) => {
                if key.nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(a), Some(b)) if key.descending => order(b, a),
            (Some(a), Some(b)) => order(a, b),
        })
    })
}

/// All columns ascending, NULLs last.
pub(super) fn ascending(a: &Row, b: &Row) -> Ordering {
    let keys: Vec<_> = (0..a.len())
        .map(|column| SortKey { column, descending: false, nulls_first: false })
        .collect();
    compare(a, b, &keys)
}

pub(super) fn value(expr: &Expr, row: &Row) -> Option<Value> {
    let boolean = |b| Some(Value::Boolean(b));
    match expr {
        Expr::Column(column) => row[*column].clone(),
        Expr::Literal(value, _) => value.clone(),
        Expr::Not(x) => match value(x, row)? {
            Value::Boolean(x) => boolean(!x),
            _ => panic!("NOT"),
        },
        Expr::Negate(x) => Some(Value::Integer(-integer(&value(x, row)?))),
        Expr::IsNull(x) => boolean(value(x, row).is_none()),
        Expr::Binary(op, x, y) => binary(*op, value(x, row), value(y, row)),
        Expr::Case { branches, otherwise } => branches
            .iter()
            .find(|(condition, _)| value(condition, row) == boolean(true))
            .map_or_else(|| value(otherwise, row), |(_, v)| value(v, row)),
        Expr::Greatest(list) => list.iter().filter_map(|e| value(e, row)).max_by(order),
        Expr::Least(list) => list.iter().filter_map(|e| value(e, row)).min_by(order),
        Expr::Cast(x, _) => value(x, row),
        Expr::AvgQuotient { sum, count, kind } => {
            let scale = 10i128.pow(kind.sql.scale() as u32);
            let (s, c) = (integer(&value(sum, row)?), integer(&value(count, row)?));
            if c == 0 {
                return None;
            }
            let SqlType::Decimal { .. } = kind.sql else { panic!("AVG") };
            let (n, c2) = (2 * s.abs() * scale + c, 2 * c);
            Some(Value::Integer(s.signum() * (n / c2)))
        }
    }
}

fn binary(op: BinaryOp, x: Option<Value>, y: Option<Value>) -> Option<Value> {
    let known = |v: &Option<Value>, b: bool| *v == Some(Value::Boolean(b));
    match op {
        BinaryOp::And if known(&x, false) || known(&y, false) => {
            return Some(Value::Boolean(false));
        }
        BinaryOp::Or if known(&x, true) || known(&y, true) => return Some(Value::Boolean(true)),
        _ => {}
    }
    let (x, y) = (x?, y?);
    Some(match op {
        BinaryOp::Add => Value::Integer(integer(&x) + integer(&y)),
        BinaryOp::Subtract => Value::Integer(integer(&x) - integer(&y)),
        BinaryOp::Multiply => Value::Integer(integer(&x) * integer(&y)),
        BinaryOp::And => Value::Boolean(true),
        BinaryOp::Or => Value::Boolean(false),
        BinaryOp::Equal => Value::Boolean(x == y),
        BinaryOp::NotEqual => Value::Boolean(x != y),
        BinaryOp::Less => Value::Boolean(order(&x, &y).is_lt()),
        BinaryOp::LessEqual => Value::Boolean(order(&x, &y).is_le()),
        BinaryOp::Greater => Value::Boolean(order(&x, &y).is_gt()),
        BinaryOp::GreaterEqual => Value::Boolean(order(&x, &y).is_ge()),
    })
}
