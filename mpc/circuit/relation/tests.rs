use super::*;
use crate::gadgets::check::pack;
use crate::{Bits, Program};

/// A row: None is invalid (and zero).
type Row = Option<[u128; 2]>;
const WIDTHS: [usize; 2] = [5, 3];

fn encode(rows: &[Row]) -> Bits {
    let of = |at: usize| rows.iter().map(|row| row.map_or(0, |r| r[at])).collect::<Vec<_>>();
    let mut bits: Bits = rows.iter().map(Option::is_some).collect();
    bits.extend_from(&pack(&of(0), WIDTHS[0]));
    bits.extend_from(&pack(&of(1), WIDTHS[1]));
    bits
}

/// Fails when an invalid row is not zero.
fn decode(bits: &Bits) -> Vec<Row> {
    let rows = bits.len() / (1 + WIDTHS.iter().sum::<usize>());
    let field = |row: usize, planes: std::ops::Range<usize>| {
        planes.rev().fold(0, |sum, plane| sum << 1 | u128::from(bits.bit(plane * rows + row)))
    };
    let row = |row: usize| {
        let values = [field(row, 1..6), field(row, 6..9)];
        if bits.bit(row) {
            Some(values)
        } else {
            assert_eq!(values, [0, 0]);
            None
        }
    };
    (0..rows).map(row).collect()
}

/// Runs `build` on these relations; returns output bundle 0 and the program.
fn run(
    inputs: &[Vec<Row>],
    build: impl FnOnce(&mut Builder, &[Relation]) -> Relation,
) -> (Vec<Row>, Program) {
    let mut b = Builder::new();
    let relations: Vec<_> =
        inputs.iter().map(|rows| Relation::input(&mut b, &WIDTHS, rows.len() as u32)).collect();
    build(&mut b, &relations).output(&mut b);
    let program = b.finish().unwrap();
    let bits: Vec<_> = inputs.iter().map(|rows| encode(rows)).collect();
    (decode(&program.evaluate(&bits).unwrap()[0]), program)
}

fn noise(seed: u64, at: u64) -> u64 {
    (seed * 1000 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33
}

fn rows(seed: u64, capacity: u64) -> Vec<Row> {
    let row = |at| {
        let n = u128::from(noise(seed, at));
        (n % 3 > 0).then_some([n >> 4 & 31, n >> 12 & 7])
    };
    (0..capacity).map(row).collect()
}

fn canonical(rows: &[Row]) -> Vec<Row> {
    let mut sorted: Vec<Row> = rows.iter().filter(|row| row.is_some()).copied().collect();
    sorted.sort_unstable();
    sorted.resize(rows.len(), None);
    sorted
}

fn both() -> Vec<KeyColumn> {
    KeyColumn::all_ascending(&[0, 1])
}

#[test]
fn merges_of_many_relations() {
    for (seed, sizes) in
        [vec![4, 4], vec![7, 0, 3], vec![5, 9, 2, 6], vec![3], vec![16, 16]].into_iter().enumerate()
    {
        let inputs: Vec<Vec<Row>> = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| canonical(&rows(seed as u64 * 10 + at as u64, *size)))
            .collect();
        let all = canonical(&inputs.concat());
        for limit in [100, 6, 1] {
            let (merged, _) = run(&inputs, |b, parts| Relation::merge(b, parts, &both(), limit));
            assert_eq!(merged, all[..all.len().min(limit as usize)]);
        }
    }
}

#[test]
fn merge_never_costs_more_than_bitonic() {
    let inputs = [canonical(&rows(1, 16)), canonical(&rows(2, 16))];
    let (_, program) = run(&inputs, |b, parts| Relation::merge(b, parts, &both(), 32));
    // σ = 1 + 8 key bits, w = 9 planes; odd-even merge of 32 rows.
    assert_eq!(program.ands(), (16 * 4 + 1) * (9 + 9));
}

#[test]
fn sorts_in_every_direction() {
    use Direction::{Ascending, Descending};
    for seed in 0..6 {
        let input = rows(seed, 11);
        let order = [
            KeyColumn { column: 0, direction: Descending, presence: Some(Ascending) },
            KeyColumn { column: 1, direction: Ascending, presence: Some(Descending) },
        ];
        let (sorted, _) = run(std::slice::from_ref(&input), |b, r| r[0].sort(b, &order, 11));
        let mut expected: Vec<_> = input.into_iter().flatten().collect();
        expected.sort_by_key(|[x, y]| {
            (x >> 4 & 1, std::cmp::Reverse(x & 15), std::cmp::Reverse(y >> 2 & 1), y & 3)
        });
        let valid = expected.len();
        assert_eq!(sorted[..valid].iter().copied().flatten().collect::<Vec<_>>(), expected);
        assert!(sorted[valid..].iter().all(Option::is_none));
    }
}

#[test]
fn filter_mask_compact() {
    for seed in 0..6 {
        let input = rows(seed, 9);
        let (out, _) = run(std::slice::from_ref(&input), |b, r| {
            let kept = r[0].filter(b, r[0].columns[0].bits[0]);
            kept.compact(b, 6)
        });
        let mut expected: Vec<Row> =
            input.into_iter().filter(|row| row.is_some_and(|r| r[0] & 1 == 1)).collect();
        expected.resize(6, None);
        assert_eq!(out, expected);
    }
}

#[test]
fn moving_rows() {
    let input = rows(3, 5);
    let shifted = |by: usize| {
        let mut rows = vec![None; by.min(5)];
        rows.extend_from_slice(&input[..5 - by.min(5)]);
        rows
    };
    for by in [0, 2, 5, 7] {
        let (out, program) =
            run(std::slice::from_ref(&input), |b, r| r[0].shift_later(b, by as u32));
        assert_eq!((out, program.ands()), (shifted(by), 0));
    }
    let (out, _) =
        run(std::slice::from_ref(&input), |b, r| r[0].shift_earlier(b, 1).truncate(b, 3));
    assert_eq!(out, input[1..4]);
    let (out, _) = run(std::slice::from_ref(&input), |b, r| r[0].pad(b, 7));
    assert_eq!(out, [input.clone(), vec![None; 2]].concat());
    let (out, _) = run(&[input.clone(), rows(4, 0), rows(5, 2)], Relation::concat);
    assert_eq!(out, [input, rows(5, 2)].concat());
}

#[test]
fn groups_of_equal_neighbours() {
    let input = canonical(&rows(8, 20));
    let (out, _) = run(std::slice::from_ref(&input), |b, r| {
        let group = r[0].continues_group(b, &[0]);
        r[0].filter(b, group).masked(b)
    });
    for (at, row) in out.iter().enumerate() {
        let previous = if at == 0 { None } else { input[at - 1] };
        let same = previous.zip(input[at]).is_some_and(|(p, r)| p[0] == r[0]);
        assert_eq!(row.is_some(), same);
    }
}

/// Every relation of up to three rows over one two-bit column, zero or not where invalid.
#[test]
fn canonical_accepts_exactly_canonical_relations_and_retraction_makes_them() {
    for rows in 0..4u32 {
        for repeats in [Repeats::Allowed, Repeats::Forbidden] {
            let mut b = Builder::new();
            let input = Relation::input(&mut b, &[2], rows);
            let order = KeyColumn::all_ascending(&[0]);
            let accepted = input.is_canonical(&mut b, &order, repeats);
            b.output(&[accepted]);
            let ok = b.constant(true, rows);
            let retracted = input.retract(&mut b, &order, repeats, ok);
            retracted.output(&mut b);
            let again = retracted.is_canonical(&mut b, &order, repeats);
            b.output(&[again]);
            let program = b.finish().unwrap();
            for pattern in 0..1u32 << (3 * rows) {
                let bits: Bits = (0..3 * rows).map(|at| pattern >> at & 1 == 1).collect();
                let out = program.evaluate(std::slice::from_ref(&bits)).unwrap();
                let row = |at: u32| {
                    let bit = |plane: u32| u32::from(bits.bit((plane * rows + at) as usize));
                    (bit(0) == 1, bit(1) + 2 * bit(2))
                };
                let all: Vec<_> = (0..rows).map(row).collect();
                let canonical = all.windows(2).all(|pair| {
                    let ((v, x), (w, y)) = (pair[0], pair[1]);
                    let rises = if repeats == Repeats::Allowed { x <= y } else { x < y };
                    !w || (v && rises)
                }) && all.iter().all(|(valid, x)| *valid || *x == 0);
                assert_eq!(out[0].bit(0), canonical, "{pattern:b}");
                assert!(out[2].bit(0));
                if canonical {
                    assert_eq!(out[1], bits);
                }
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let mut b = Builder::new();
    let x = Relation::input(&mut b, &[2], 3);
    let y = Relation::input(&mut b, &[3], 3);
    let joined = Relation::concat(&mut b, &[x, y]);
    joined.output(&mut b);
    assert_eq!(b.finish(), Err(BuildError::WidthsDiffer { left: 2, right: 3 }));

    let mut b = Builder::new();
    let x = Relation::input(&mut b, &[2], 3);
    x.project(&mut b, &[1]).output(&mut b);
    assert_eq!(b.finish(), Err(BuildError::UnknownColumn(1)));
}

#[test]
fn tiny_capacities_are_legal_everywhere() {
    for capacity in 0..3 {
        let input = rows(9, capacity);
        let (sorted, _) =
            run(std::slice::from_ref(&input), |b, r| r[0].sort(b, &both(), 5).compact(b, 5));
        assert_eq!(sorted, canonical(&input));
        let mut b = Builder::new();
        let relation = Relation::input(&mut b, &[0, 2], capacity as u32);
        let group = relation.continues_group(&mut b, &[0, 1]);
        let count = relation.count(&mut b);
        let starts = b.not(group);
        let sums = b.segmented_scan(starts, &relation.columns[1], Builder::add);
        let none = b.segmented_scan(starts, &relation.columns[0], Builder::max);
        assert_eq!((count.lanes, sums.lanes, none.width()), (1, capacity as u32, 0));
        b.output(&count.bits);
        b.output(&sums.bits);
        b.finish().unwrap();
    }
}

/// Every hash map of a builder has its own random state.
#[test]
fn equal_calls_give_equal_circuits() {
    let circuit = || {
        let mut b = Builder::new();
        let parts = [5, 9, 4].map(|rows| Relation::input(&mut b, &[7, 4], rows));
        let merged = Relation::merge(&mut b, &parts, &both(), 11);
        let group = merged.continues_group(&mut b, &[0]);
        merged.filter(&mut b, group).compact(&mut b, 8).output(&mut b);
        b.finish().unwrap().digest_bytes()
    };
    assert_eq!(circuit(), circuit());
}
