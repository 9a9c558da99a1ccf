//! Intersections whose invalid rows stay where they are: what Ver accepts is what can come about,
//! and of two relations with the same valid rows nobody can tell which one it was.

use super::harness::{Dice, agree, ands, int, leaf, lowered, schema};
use super::inverses::{bundle, rows};
use super::ranges::{accepted, field, set};
use super::trees;
use crate::ir::Node;
use crate::lower::physical::{Operator, Physical};
use crate::lower::scattered::Scattered;
use crate::lower::shape::{Field, Shape};
use crate::lower::table::Table;
use crate::lower::tree::Costing;
use crate::lower::{Decompose, Ordering, join, place, ver};
use crate::types::{ColumnType, SqlType};
use senate_circuit::{Bits, Builder, Program};
use std::collections::BTreeSet;

/// How the planes of an input are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Made {
    /// Canonical, by an owner or another operator.
    Canonical,
    /// By an intersection.
    Scattered,
}
use Made::{Canonical, Scattered as InPlace};

fn input(b: &mut Builder, shape: &Shape, made: Made) -> Scattered {
    let table = Table::input(b, &shape.fields, shape.rows);
    match made {
        Canonical => Scattered::of_canonical(b, table, 1),
        InPlace => Scattered::new(table),
    }
}

fn passing(program: &Program, width: usize) -> BTreeSet<Vec<bool>> {
    assert!(width <= 16, "{width}");
    let all = (0..1u64 << width).map(|word| Bits::from_words(vec![word], width));
    let passes = |bits: &Bits| program.evaluate(std::slice::from_ref(bits)).unwrap()[0].bit(0);
    all.filter(passes).map(|bits| bits.iter().collect()).collect()
}

/// All bit strings that an intersection's Ver accepts.
fn allowed(shape: &Shape, made: Made) -> BTreeSet<Vec<bool>> {
    let mut b = Builder::new();
    let set = input(&mut b, shape, made);
    let ok = ver::in_scattered_range(&mut b, &set, shape, 1).unwrap();
    b.output(&[ok]);
    passing(&b.finish().unwrap(), shape.wires() as usize)
}

/// The intersection of two inputs, compacted or not.
fn intersection(inputs: [(&Shape, Made); 2], compacted: bool) -> Program {
    let mut b = Builder::new();
    let [left, right] = inputs.map(|(shape, made)| input(&mut b, shape, made));
    let table = join::intersect(&mut b, &left, &right, 1);
    let table = if compacted { table.canonical(&mut b) } else { table };
    b.output(&table.relation.planes());
    b.finish().unwrap()
}

fn bits(of: &[bool]) -> Bits {
    of.iter().copied().collect()
}

/// The valid rows as a canonical relation.
fn tidied(of: &[bool], shape: &Shape) -> Bits {
    bundle(&rows(of, shape), shape)
}

/// Two or three rows with a key of two bits; payloads that share planes and such that do not.
fn shapes(payloads: [&[Field]; 2]) -> [Shape; 2] {
    let shape = |payload: &[Field], rows| {
        let fields = [&[field(0, 3)], payload].concat();
        set(&fields, rows, 1)
    };
    [shape(payloads[0], 2), shape(payloads[1], 3)]
}

#[test]
fn ver_accepts_scattered_sets_and_nothing_else() {
    let shape = set(&[field(0, 3), field(0, 0)], 3, 1);
    assert_eq!(shape.planes(), 3);
    let row =
        |of: &[bool], lane: usize| (of[lane], u8::from(of[3 + lane]) + 2 * u8::from(of[6 + lane]));
    let fine = |of: &[bool]| {
        let rows = [0, 1, 2].map(|lane| row(of, lane));
        rows.windows(2).all(|pair| {
            let [(_, before), (valid, after)] = [pair[0], pair[1]];
            before < after || before == after && !valid
        })
    };
    let all = (0..1u64 << 9).map(|word| Bits::from_words(vec![word], 9));
    let all: BTreeSet<Vec<bool>> = all.map(|bits| bits.iter().collect()).collect();
    let expected: BTreeSet<_> = all.into_iter().filter(|of| fine(of)).collect();
    assert_eq!(allowed(&shape, InPlace), expected);
    // Every canonical set passes as well as its like with other invalid rows.
    let canonical = accepted(&shape);
    assert!(canonical.is_subset(&allowed(&shape, Canonical)));
    for of in allowed(&shape, Canonical) {
        assert!(canonical.contains(&tidied(&of, &shape).iter().collect::<Vec<_>>()));
    }
}

#[test]
fn ver_says_nothing_about_invalid_rows_but_everything_about_valid_ones() {
    let shape = set(&[field(0, 3), field(0, 2)], 1, 1);
    let of = |valid, key: u8, payload: u8| {
        let bit = |x: u8, at: u8| x >> at & 1 == 1;
        vec![valid, bit(key, 0), bit(key, 1), bit(payload, 0), bit(payload, 1)]
    };
    for made in [Canonical, InPlace] {
        let allowed = allowed(&shape, made);
        for (key, payload) in (0..4).flat_map(|key| (0..4).map(move |payload| (key, payload))) {
            assert!(allowed.contains(&of(false, key, payload)));
            assert_eq!(allowed.contains(&of(true, key, payload)), payload < 3);
        }
    }
}

/// Whatever passes a child's Ver makes, in its parent, a relation that passes the next Ver, and
/// with the same valid rows as its canonical form makes.
#[test]
fn relations_that_are_alike_cannot_be_told_apart() {
    let bit = [field(0, 1)];
    for payloads in [[&[] as &[Field], &[]], [&bit, &[]]] {
        let shapes = shapes(payloads);
        let fields = [&shapes[0].fields[..], &shapes[1].fields[1..]].concat();
        let output = set(&fields, 2, 1);
        let next = allowed(&output, InPlace);
        let [left, right] = [&shapes[0], &shapes[1]];
        let canonical = intersection([(left, Canonical), (right, Canonical)], true);
        for made in [[InPlace, Canonical], [InPlace, InPlace]] {
            let inputs = [(left, made[0]), (right, made[1])];
            let programs = [true, false].map(|compacted| intersection(inputs, compacted));
            let rights = allowed(right, made[1]);
            for x in allowed(left, made[0]) {
                for y in &rights {
                    let tidy = [tidied(&x, left), tidied(y, right)];
                    let expected = canonical.evaluate(&tidy).unwrap().remove(0);
                    let [moved, in_place] =
                        programs.each_ref().map(|p| p.evaluate(&[bits(&x), bits(y)]).unwrap());
                    assert_eq!(moved[0], expected, "{x:?} {y:?}");
                    let in_place: Vec<_> = in_place[0].iter().collect();
                    assert!(next.contains(&in_place), "{x:?} {y:?}: reachable but rejected");
                    assert_eq!(tidied(&in_place, &output), expected, "{x:?} {y:?}");
                }
            }
        }
    }
}

/// The last intersection of sets that share planes: the left row of a pair comes first.
#[test]
fn payloads_that_share_planes_stay_with_their_side() {
    let wide = [field(0, 7)];
    let [left, right] = [set(&[&[field(0, 1)], &wide[..]].concat(), 1, 1), {
        set(&[&[field(0, 1)], &wide[..]].concat(), 2, 1)
    }];
    let fields = [&left.fields[..], &right.fields[1..]].concat();
    let output = set(&fields, 1, 1);
    let canonical = intersection([(&left, Canonical), (&right, Canonical)], true);
    let in_place = intersection([(&left, InPlace), (&right, InPlace)], false);
    for x in allowed(&left, InPlace) {
        for y in allowed(&right, InPlace) {
            let made = in_place.evaluate(&[bits(&x), bits(&y)]).unwrap().remove(0);
            let made: Vec<_> = made.iter().collect();
            let expected = canonical.evaluate(&[tidied(&x, &left), tidied(&y, &right)]).unwrap();
            assert_eq!(tidied(&made, &output), expected[0], "{x:?} {y:?}");
        }
    }
}

fn keys_of(capacities: &[u32]) -> Node {
    let kinds = [int(0, 15), int(-1, 1)];
    let leaves = capacities.iter().enumerate();
    let inputs = leaves.map(|(i, rows)| Node::Leaf(leaf(i, &kinds, *rows, &[0]))).collect();
    let out: Vec<_> = capacities.iter().flat_map(|_| kinds).collect();
    let (keys, unique) = (vec![vec![0]; capacities.len()], vec![true; capacities.len()]);
    let rows = capacities.iter().copied().min().unwrap_or(0);
    Node::Join { inputs, keys, unique, schema: schema(&out, rows) }
}

#[test]
fn intersections_of_equal_and_unequal_capacities() {
    let capacities: [&[u32]; 4] =
        [&[8, 8, 8, 8], &[16, 16, 17, 17, 16], &[1, 9, 4, 12], &[0, 3, 3]];
    for capacities in capacities {
        agree(&keys_of(capacities), 25);
    }
}

#[test]
fn only_the_last_of_several_intersections_moves_rows() {
    let node = trees::intersection(4, 64);
    let lowered = lowered(&node, Decompose::Yes);
    let [first, second, root] = lowered.stages.as_slice() else { panic!("three stages") };
    assert_eq!(first.program.ands(), second.program.ands());
    let two = trees::intersection(2, 64);
    let alone = super::harness::lowered(&two, Decompose::Yes);
    assert!(root.program.ands() > first.program.ands());
    assert!(first.program.ands() * 6 < ands(&alone) * 5);
}

/// Rows of the sets that an intersection and those below it take.
fn sets_of(tree: &Physical) -> Vec<u64> {
    match tree.operator {
        Operator::Intersect { .. } => tree.inputs.iter().flat_map(sets_of).collect(),
        _ => vec![u64::from(tree.shape.rows)],
    }
}

fn scattered_in(tree: &Physical) -> Vec<&Physical> {
    let below = tree.inputs.iter().flat_map(scattered_in);
    below.chain(tree.is_scattered().then_some(tree)).collect()
}

/// Every class that Ver accepts is reached when the child's sets have its rows each, which their
/// capacities together must allow.
#[test]
fn scattered_lanes_are_no_more_than_pooled_capacities_allow() {
    let mut dice = Dice(5);
    let mut lists: Vec<Vec<u32>> =
        vec![[&[16; 8][..], &[18]].concat(), vec![129, 124, 140, 138, 124]];
    lists.extend((0..60).map(|_| {
        let parties = 3 + dice.below(10);
        (0..parties).map(|_| 120 + dice.below(20) as u32).collect()
    }));
    let (mut seen, costing) = (0, Costing::default());
    for capacities in lists {
        let tree = place::root(&keys_of(&capacities), Ordering::Free, &costing).unwrap();
        for scattered in scattered_in(&tree) {
            let sets = sets_of(scattered);
            let needed = u64::from(scattered.shape.rows) * sets.len() as u64;
            assert!(needed <= sets.iter().sum(), "{capacities:?}: {sets:?}");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// A row of a child: valid, key, and what both payloads of 0 to 99, in seven bits each, are.
type Brought = (bool, u32, u32);

/// In a plan's last stage: an all-corrupt child may bring what is a scattered set, nothing else.
#[test]
fn a_parent_refuses_what_is_no_scattered_set() {
    let lowered = lowered(&trees::intersection(4, 8), Decompose::Yes);
    let root = lowered.stages.last().unwrap();
    let brought = |change: &dyn Fn(&mut [Brought])| {
        let mut rows: Vec<Brought> = (0..8).map(|row| (row % 2 == 0, 10 * row, 99)).collect();
        change(&mut rows);
        let plane = |bit: &dyn Fn(&Brought) -> bool| rows.iter().map(bit).collect();
        let mut planes: Vec<Bits> = vec![plane(&|row| row.0)];
        planes.extend((0..10).map(|bit| plane(&|row| row.1 >> bit & 1 == 1)));
        let payload = (0..7).map(|bit| plane(&|row| row.2 >> bit & 1 == 1));
        let payload: Vec<Bits> = payload.collect();
        planes.extend(payload.iter().chain(&payload).cloned());
        planes.iter().fold(Bits::default(), |mut all, plane| {
            all.extend_from(plane);
            all
        })
    };
    let fine = brought(&|_| ());
    let passes = |bits: Bits| {
        let other = [[bits.clone(), fine.clone()], [fine.clone(), bits]];
        other.map(|inputs| root.program.evaluate(&inputs).unwrap()[root.ver[0].bundle].bit(0))
    };
    assert_eq!(root.inputs.len(), 2);
    assert_eq!(passes(fine.clone()), [true; 2]);
    // Invalid rows may hold anything, in order.
    assert_eq!(passes(brought(&|rows| rows[1] = (false, 20, 127))), [false; 2]);
    assert_eq!(passes(brought(&|rows| rows[1] = (false, 0, 127))), [true; 2]);
    assert_eq!(passes(brought(&|rows| rows[3].1 = 1)), [false; 2]);
    // Valid ones have a key of their own, later than the one before, and allowed values.
    assert_eq!(passes(brought(&|rows| rows[1] = (true, 0, 5))), [false; 2]);
    assert_eq!(passes(brought(&|rows| rows[1] = (true, 19, 5))), [true; 2]);
    assert_eq!(passes(brought(&|rows| rows.swap(2, 4))), [false; 2]);
    assert_eq!(passes(brought(&|rows| rows[4].2 = 100)), [false; 2]);
}

/// Keys of several columns, strings among them, in another order than the tables' columns: padding
/// rows have the largest key in all of them.
#[test]
fn intersections_on_several_columns() {
    let name = ColumnType::full(SqlType::Varchar { bytes: 1 });
    let kinds = [int(0, 1), name, int(-3, 9)];
    for (key, parties) in [(vec![0, 1], 3), (vec![1, 0], 4)] {
        let inputs = (0..parties).map(|i| Node::Leaf(leaf(i, &kinds, 5, &key))).collect::<Vec<_>>();
        let out: Vec<_> = (0..parties).flat_map(|_| kinds).collect();
        let (keys, unique) = (vec![key; parties], vec![true; parties]);
        agree(&Node::Join { inputs, keys, unique, schema: schema(&out, 5) }, 20);
    }
}
