//! Building small joint plans and running them in the clear.

use super::reference::{self, Locals};
use crate::clear;
use crate::cost::{Link, LinkSnapshot};
use crate::encode::{ResultSchema, Row, bits_of_rows, rows_of};
use crate::ir::{Column, Leaf, Node, Schema, Value};
use crate::lower::{Backends, Decompose, Lowered, Lowering, Ordering, lower};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Backend, PartyId, PartySet, Program};
use std::collections::BTreeMap;

/// A small deterministic generator.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }

    pub(super) fn value(&mut self, kind: &ColumnType) -> Option<Value> {
        if kind.nullable && self.below(4) == 0 {
            return None;
        }
        Some(match kind.sql {
            SqlType::Boolean => Value::Boolean(self.below(2) == 1),
            SqlType::Varchar { bytes } => {
                let len = self.below(u64::from(bytes) + 1);
                Value::Bytes((0..len).map(|_| b'a' + self.below(2) as u8).collect())
            }
            SqlType::Binary { bytes } => {
                Value::Bytes((0..bytes).map(|_| self.below(3) as u8).collect())
            }
            _ => {
                let span = u64::try_from(kind.span()).unwrap().min(1 << 30) + 1;
                Value::Integer(kind.low + i128::from(self.below(span)))
            }
        })
    }

    /// At most `capacity` rows, distinct on `distinct` unless that is empty.
    pub(super) fn rows(&mut self, schema: &Schema, distinct: &[usize]) -> Vec<Row> {
        let count = self.below(u64::from(schema.capacity) + 1);
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..count {
            let row: Row = schema.columns.iter().map(|c| self.value(&c.kind)).collect();
            let clash = |other: &Row| distinct.iter().all(|c| other[*c] == row[*c]);
            if distinct.is_empty() || !rows.iter().any(clash) {
                rows.push(row);
            }
        }
        rows
    }
}

pub(super) fn int(low: i128, high: i128) -> ColumnType {
    ColumnType::between(SqlType::BigInt, low, high)
}

pub(super) fn schema(kinds: &[ColumnType], capacity: u32) -> Schema {
    let column = |(at, kind): (usize, &ColumnType)| Column { name: format!("c{at}"), kind: *kind };
    Schema { columns: kinds.iter().enumerate().map(column).collect(), capacity }
}

pub(super) fn leaf(slot: usize, kinds: &[ColumnType], capacity: u32, distinct: &[usize]) -> Leaf {
    Leaf {
        party: PartyId::new(slot).unwrap(),
        slot,
        schema: schema(kinds, capacity),
        distinct: distinct.to_vec(),
        at_most_one_row: false,
        claims: Vec::new(),
    }
}

pub(super) fn union(leaves: Vec<Leaf>) -> Node {
    let capacity = leaves.iter().map(|leaf| leaf.schema.capacity).sum();
    let columns = leaves[0].schema.columns.clone();
    let schema = Schema { columns, capacity };
    Node::Union { inputs: leaves.into_iter().map(Node::Leaf).collect(), schema }
}

pub(super) fn lowered(node: &Node, decompose: Decompose) -> Lowered {
    lowered_for(node, decompose, PartySet::first(1))
}

pub(super) fn lowered_for(node: &Node, decompose: Decompose, recipients: PartySet) -> Lowered {
    let (links, ordering) = (LinkSnapshot::default(), ordering(node));
    let backends = Backends::Cheapest;
    lower(node, &Lowering { recipients, decompose, backends, ordering, links: &links }).unwrap()
}

/// In rounds over links so slow that circuits must be shallow.
pub(super) fn lowered_in_rounds(node: &Node) -> Lowered {
    let (recipients, links) = (PartySet::first(1), slow_links());
    let (decompose, backends) = (Decompose::Yes, Backends::Only(Backend::Interactive));
    let ordering = ordering(node);
    lower(node, &Lowering { recipients, decompose, backends, ordering, links: &links }).unwrap()
}

/// Half a minute one way.
pub(super) fn slow_links() -> LinkSnapshot {
    let default = Link { latency_us: 1 << 25, mbit_per_s: 8192 };
    LinkSnapshot { default, ..LinkSnapshot::default() }
}

pub(super) fn ordering(node: &Node) -> Ordering {
    match node {
        Node::Sort { .. } => Ordering::ByQuery,
        Node::Project { input, .. } => ordering(input),
        _ => Ordering::Free,
    }
}

/// Random inputs of a plan's leaves, by slot.
pub(super) fn inputs(node: &Node, dice: &mut Dice) -> Locals {
    let mut leaves = Vec::new();
    collect(node, &mut leaves);
    leaves.sort_by_key(|leaf| leaf.slot);
    leaves.iter().map(|leaf| dice.rows(&leaf.schema, &leaf.distinct)).collect()
}

pub(super) fn collect<'a>(node: &'a Node, into: &mut Vec<&'a Leaf>) {
    match node {
        Node::Leaf(leaf) => into.push(leaf),
        Node::Union { inputs, .. } | Node::Join { inputs, .. } => {
            inputs.iter().for_each(|input| collect(input, into));
        }
        Node::Probe { inputs, .. } => inputs.iter().for_each(|input| collect(input, into)),
        Node::Filter { input, .. }
        | Node::Suppress { input, .. }
        | Node::Project { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Sort { input, .. } => collect(input, into),
    }
}

/// The result and the overflow flag of the stages, in the clear.
pub(super) fn run(node: &Node, lowered: &Lowered, locals: &Locals) -> (Vec<Row>, bool) {
    let mut leaves = Vec::new();
    collect(node, &mut leaves);
    let mut bits = BTreeMap::new();
    for leaf in leaves {
        let layout = &lowered.layouts[&leaf.slot];
        bits.insert(leaf.slot, bits_of_rows(layout, &leaf.schema, &locals[leaf.slot]).unwrap());
    }
    let opened = clear::run(&lowered.stages, &bits).unwrap();
    assert!(opened.accepted, "an honest input fails a Ver");
    let columns = node.schema().columns;
    let columns = columns.iter().map(|c| (c.name.clone(), c.kind.sql.arrow())).collect();
    let (shape, ordering) = (lowered.result.clone(), lowered.ordering);
    let result = ResultSchema { columns, shape, ordering };
    let overflow = opened.revealed.get(1).is_some_and(|(_, flag)| flag.bit(0));
    (rows_of(&result, &opened.revealed[0].1).unwrap(), overflow)
}

/// Stages and reference agree on random inputs, decomposed or not, garbled or in rounds.
pub(super) fn agree(node: &Node, rounds: u64) {
    let ways = [
        ("decomposed", lowered(node, Decompose::Yes)),
        ("one circuit", lowered(node, Decompose::No)),
        ("in rounds", lowered_in_rounds(node)),
    ];
    for (way, lowered) in ways {
        for seed in 0..rounds {
            let locals = inputs(node, &mut Dice(seed * 7919 + 1));
            let mut expected = reference::execute(node, &locals);
            if ordering(node) == Ordering::Free {
                expected.sort_by(reference::ascending);
            }
            let (rows, overflow) = run(node, &lowered, &locals);
            assert!(!overflow);
            assert_eq!(rows, expected, "seed {seed}, {way}, {locals:?}");
        }
    }
}

pub(super) fn ands(lowered: &Lowered) -> u64 {
    lowered.stages.iter().map(|stage| stage.program.ands()).sum()
}

pub(super) fn checked(lowered: &Lowered) {
    lowered.stages.iter().map(|stage| &stage.program).for_each(|p: &Program| p.check().unwrap());
}
