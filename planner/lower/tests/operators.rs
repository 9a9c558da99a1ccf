//! Every operator equals the reference on random small relations.

use super::harness::{Dice, agree, inputs as inputs_of, int, leaf, lowered, run, schema, union};
use super::reference;
use crate::encode::Row;
use crate::ir::{Aggregate, AggregateFunction, BinaryOp, Expr, Node, SortKey, Value};
use crate::lower::Decompose;
use crate::types::{ColumnType, SqlType};

const SUM: AggregateFunction = AggregateFunction::Sum { zero_if_empty: false };
const COUNT: AggregateFunction = AggregateFunction::Sum { zero_if_empty: true };

fn aggregate(
    input: Node,
    keys: &[usize],
    list: &[(AggregateFunction, usize)],
    kinds: &[ColumnType],
) -> Node {
    let aggregates = list
        .iter()
        .map(|(function, argument)| Aggregate { function: *function, argument: *argument })
        .collect();
    let capacity = if keys.is_empty() { 1 } else { input.schema().capacity };
    Node::Aggregate {
        input: Box::new(input),
        keys: keys.to_vec(),
        aggregates,
        schema: schema(kinds, capacity),
    }
}

fn sort(input: Node, keys: &[(usize, bool, bool)], fetch: Option<u32>, skip: u32) -> Node {
    let key = |(column, descending, nulls_first): &(usize, bool, bool)| SortKey {
        column: *column,
        descending: *descending,
        nulls_first: *nulls_first,
    };
    Node::Sort { input: Box::new(input), keys: keys.iter().map(key).collect(), fetch, skip }
}

fn column(at: usize) -> Box<Expr> {
    Box::new(Expr::Column(at))
}

fn number(value: i128) -> Box<Expr> {
    Box::new(Expr::Literal(Some(Value::Integer(value)), int(value, value)))
}

#[test]
fn unions_of_bags() {
    let kinds = [int(-2, 4), ColumnType::full(SqlType::Varchar { bytes: 2 }).with_nullable(true)];
    for m in [2, 3, 5] {
        agree(&union((0..m).map(|i| leaf(i, &kinds, 3, &[])).collect()), 20);
    }
}

#[test]
fn grouped_sums_counts_and_extremes_of_partial_aggregates() {
    let kinds = [
        int(0, 5),
        int(1, 7),
        int(-3, 2).with_nullable(true),
        int(-3, 9).with_nullable(true),
        int(0, 4),
    ];
    let list = [(COUNT, 1), (SUM, 2), (AggregateFunction::Min, 3), (AggregateFunction::Max, 4)];
    for m in [2usize, 3, 4] {
        let input = union((0..m).map(|i| leaf(i, &kinds, 4, &[0])).collect());
        let many = m as i128;
        let out = [
            int(0, 5),
            int(0, 7 * many),
            int(-3 * many, 2 * many).with_nullable(true),
            int(-3, 9).with_nullable(true),
            int(0, 4).with_nullable(false),
        ];
        agree(&aggregate(input, &[0], &list, &out), 20);
    }
}

#[test]
fn grouped_raw_rows_and_distinct() {
    let kinds = [int(0, 2), ColumnType::boolean(), int(-5, 5)];
    let leaves = || union((0..3).map(|i| leaf(i, &kinds, 4, &[])).collect());
    let out = [int(0, 2), ColumnType::boolean(), int(-60, 60).with_nullable(true)];
    agree(&aggregate(leaves(), &[0, 1], &[(SUM, 2)], &out), 20);
    agree(&aggregate(leaves(), &[1, 0], &[], &[ColumnType::boolean(), int(0, 2)]), 20);
}

#[test]
fn aggregates_without_keys_have_one_row() {
    let kinds = [int(0, 9), int(-4, 3)];
    let leaves = |capacity| union((0..3).map(|i| leaf(i, &kinds, capacity, &[])).collect());
    let out = [int(0, 90), int(-40, 30).with_nullable(true), int(-4, 3).with_nullable(true)];
    for capacity in [1, 3] {
        let list = [(COUNT, 0), (SUM, 1), (AggregateFunction::Max, 1)];
        agree(&aggregate(leaves(capacity), &[], &list, &out), 30);
    }
}

#[test]
fn top_rows_with_ties_nulls_and_offsets() {
    let kinds = [int(0, 3).with_nullable(true), int(0, 3), ColumnType::boolean()];
    let leaves = |m| union((0..m).map(|i| leaf(i, &kinds, 5, &[])).collect());
    agree(&sort(leaves(3), &[(0, true, true)], Some(4), 0), 20);
    agree(&sort(leaves(4), &[(0, false, false), (2, true, false)], Some(3), 2), 20);
    agree(&sort(leaves(2), &[(1, true, false)], None, 3), 20);
}

#[test]
fn order_by_an_aggregate_with_limit_and_having() {
    let kinds = [int(0, 7), int(1, 5)];
    let input = union((0..4).map(|i| leaf(i, &kinds, 4, &[0])).collect());
    let grouped = aggregate(input, &[0], &[(COUNT, 1)], &[int(0, 7), int(0, 20)]);
    let more = Expr::Binary(BinaryOp::Greater, column(1), number(3));
    let having = Node::Filter { input: Box::new(grouped), predicate: more };
    agree(&sort(having, &[(1, true, false)], Some(3), 0), 30);
}

#[test]
fn joins_of_unique_keys_of_many_parties() {
    let kinds = [int(-1, 3), int(0, 6)];
    for m in [2usize, 3, 4] {
        let inputs: Vec<_> =
            (0..m).map(|i| Node::Leaf(leaf(i, &[kinds[1], kinds[0]], 4, &[1]))).collect();
        let out: Vec<_> = (0..m).flat_map(|_| [kinds[1], kinds[0]]).collect();
        let join = Node::Join {
            inputs,
            keys: vec![vec![1]; m],
            unique: vec![true; m],
            schema: schema(&out, 4),
        };
        agree(&join, 30);
    }
}

#[test]
fn joins_with_one_repeated_key_null_keys_and_different_domains() {
    let name = ColumnType::full(SqlType::Varchar { bytes: 2 });
    let a = [int(0, 3).with_nullable(true), name];
    let b = [int(-1, 5), int(0, 9)];
    let inputs = vec![Node::Leaf(leaf(0, &b, 6, &[])), Node::Leaf(leaf(1, &a, 4, &[0]))];
    let out = [b[0], b[1], a[0], a[1]];
    let join = Node::Join {
        inputs,
        keys: vec![vec![0], vec![0]],
        unique: vec![false, true],
        schema: schema(&out, 6),
    };
    agree(&join, 40);
    let grouped = aggregate(join, &[3], &[(SUM, 1)], &[name, int(0, 54).with_nullable(true)]);
    agree(&grouped, 40);
}

#[test]
fn expressions_over_joined_rows() {
    let (x, y) = (int(-5, 6).with_nullable(true), int(-1, 9));
    let inputs = vec![
        Node::Leaf(leaf(0, &[int(0, 7), x], 8, &[0])),
        Node::Leaf(leaf(1, &[int(0, 7), y], 8, &[0])),
    ];
    let join = Node::Join {
        inputs,
        keys: vec![vec![0], vec![0]],
        unique: vec![true, true],
        schema: schema(&[int(0, 7), x, int(0, 7), y], 8),
    };
    let binary =
        |op, l: &Expr, r: &Expr| Expr::Binary(op, Box::new(l.clone()), Box::new(r.clone()));
    let (x, y) = (Expr::Column(1), Expr::Column(3));
    let product = binary(BinaryOp::Multiply, &x, &y);
    let difference =
        binary(BinaryOp::Subtract, &binary(BinaryOp::Multiply, &product, &number(-3)), &y);
    let less = binary(BinaryOp::Less, &x, &y);
    let positive = binary(BinaryOp::GreaterEqual, &x, &number(0));
    let exprs = vec![
        binary(BinaryOp::Add, &product, &number(7)),
        difference.clone(),
        Expr::Negate(Box::new(x.clone())),
        less.clone(),
        binary(BinaryOp::And, &less, &positive),
        binary(BinaryOp::Or, &less, &Expr::Not(Box::new(positive.clone()))),
        Expr::IsNull(Box::new(x.clone())),
        Expr::Greatest(vec![x.clone(), y.clone(), *number(2)]),
        Expr::Least(vec![x.clone(), y.clone()]),
        Expr::Case {
            branches: vec![(less, product), (positive, *number(-8))],
            otherwise: Box::new(y.clone()),
        },
        average(x.clone()),
        // The sum of a BIGINT column is a decimal where it may exceed 64 bits.
        average(Expr::Cast(
            Box::new(x.clone()),
            ColumnType::between(SqlType::Decimal { precision: 30, scale: 0 }, -5, 6),
        )),
        binary(BinaryOp::Equal, &x, &y),
        binary(BinaryOp::NotEqual, &Expr::Column(0), &number(3)),
    ];
    let input = [int(0, 7), int(-5, 6).with_nullable(true), int(0, 7), int(-1, 9)];
    let kinds: Vec<_> = exprs.iter().map(|e| e.kind(&input).unwrap()).collect();
    let project = Node::Project { input: Box::new(join), schema: schema(&kinds, 8), exprs };
    agree(&project, 60);
}

/// The average over integers with this sum and column 0 as count.
fn average(sum: Expr) -> Expr {
    let sql = SqlType::Decimal { precision: 25, scale: 6 };
    let kind = ColumnType::between(sql, -20_000_000, 20_000_000).with_nullable(true);
    Expr::AvgQuotient { sum: Box::new(sum), count: Box::new(Expr::Column(0)), kind }
}

#[test]
fn a_value_that_does_not_fit_raises_the_flag_if_its_row_counts() {
    let kinds = [int(0, 5), int(0, 7)];
    let inputs = (0..2).map(|i| Node::Leaf(leaf(i, &kinds, 5, &[0]))).collect();
    let out = [kinds[0], kinds[1], kinds[0], kinds[1]];
    let (keys, unique) = (vec![vec![0]; 2], vec![true; 2]);
    let join = Node::Join { inputs, keys, unique, schema: schema(&out, 5) };
    let product = Expr::Binary(BinaryOp::Multiply, column(1), column(3));
    let exprs = vec![Expr::Cast(Box::new(product.clone()), int(0, 15))];
    let project = Node::Project { input: Box::new(join), exprs, schema: schema(&[int(0, 15)], 5) };
    let lowered = lowered(&project, Decompose::Yes);
    let (mut flags, rounds) = (0, 60);
    for seed in 0..rounds {
        let locals = inputs_of(&project, &mut Dice(seed));
        let Node::Project { input, .. } = &project else { unreachable!() };
        let too_large = |row: &Row| match reference::value(&product, row) {
            Some(Value::Integer(value)) => value > 15,
            _ => false,
        };
        let expected = reference::execute(input, &locals).iter().any(too_large);
        assert_eq!(run(&project, &lowered, &locals).1, expected);
        flags += u64::from(expected);
    }
    assert!(0 < flags && flags < rounds);
}
