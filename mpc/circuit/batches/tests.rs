use super::division::{BATCH_MANY, LEAKY_BYTES_USUAL, PARTIES_OF_FEWEST, usual};
use super::*;
use crate::PartySet;

/// The bound on the leakage of one batch.
fn leakage(shape: BatchShape) -> f64 {
    let bucket = shape.bucket as f64;
    (-bucket - (bucket - 1.0) * (shape.triples as f64).log2()).exp2()
}

/// Sets of two, eleven and forty parties in turn.
fn sets(counts: &[usize]) -> impl Iterator<Item = (usize, usize)> + Clone {
    [2, 11, 40].into_iter().cycle().zip(counts.iter().copied())
}

#[test]
fn bucket_sizes_are_those_of_the_bound() {
    for (bucket, least) in [(3, 370_728), (4, 4_096), (5, 431), (6, 112), (7, 46)] {
        assert_eq!(Allowance::whole(40).least_batch(bucket), least);
    }
    assert_eq!(Allowance { rho_bits: 40, shares: 4 }.least_batch(3), 741_456);
    let shape = |triples| BatchShape::cheapest(triples, Allowance::whole(40));
    assert_eq!(shape(400_000), BatchShape { triples: 400_000, bucket: 3 });
    assert_eq!(shape(300_000), BatchShape { triples: 370_728, bucket: 3 });
    assert_eq!(shape(5_000), BatchShape { triples: 5_000, bucket: 4 });
    for triples in [0, 1, 2, 10, 100, 1_000, 1 << 19] {
        for rho in [40, 64, 80] {
            let made = BatchShape::cheapest(triples, Allowance::whole(rho));
            let bound = (1.0 + 1e-9) * (-f64::from(rho)).exp2();
            assert!(made.triples >= triples && leakage(made) <= bound, "{made:?}");
        }
    }
}

#[test]
fn the_leakage_of_all_batches_of_a_session_together_is_bounded() {
    let big = 3 * usual(2) + 1;
    let plans: [&[usize]; 10] = [
        &[],
        &[5],
        &[400_000],
        &[1, 1, 1],
        &[big],
        &[big, 1 << 24, 7],
        &[100; 1000],
        &[1 << 19, 1 << 19, 1 << 19, 1 << 20],
        &[1_087_000, 1_300_000, 0, 1_087_000],
        &[1 << 26, 1 << 22],
    ];
    for (rho, plan) in plans.iter().flat_map(|plan| [(40, plan), (62, plan)]) {
        let sharing = Sharing::new(rho, sets(plan));
        let shapes = sets(plan).flat_map(|(n, triples)| sharing.batches(n, triples));
        let total: f64 = shapes.map(|(_, shape)| leakage(shape)).sum();
        assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {plan:?}");
    }
}

#[test]
fn what_is_made_ahead_and_what_a_plan_needs_beyond_it_share_the_bound() {
    let stocks: [&[usize]; 4] = [&[1], &[300_000, 9], &[1 << 20; 5], &[40; 64]];
    let rests: [&[usize]; 4] = [&[0], &[5, 700_000], &[1 << 22, 1], &[100; 300]];
    for (stock, rest) in stocks.iter().flat_map(|stock| rests.map(|rest| (*stock, rest))) {
        for rho in [40, 62] {
            let (ahead, after) =
                (Sharing::ahead(rho, sets(stock)), Sharing::after(rho, LEAKY_BYTES, sets(rest)));
            let made = sets(stock).flat_map(|(n, triples)| ahead.batches(n, triples));
            let more = sets(rest).flat_map(|(n, triples)| after.batches(n, triples));
            let total: f64 = made.chain(more).map(|(_, shape)| leakage(shape)).sum();
            assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {stock:?}");
        }
    }
}

/// What a plan with these sets takes, in leaky triples per triple.
fn price(sets: &[(usize, usize)]) -> f64 {
    let sharing = Sharing::new(40, sets.iter().copied());
    let shapes = sets.iter().flat_map(|(n, triples)| sharing.batches(*n, *triples));
    let leaky: usize = shapes.map(|(_, shape)| shape.leaky()).sum();
    leaky as f64 / sets.iter().map(|(_, triples)| *triples).sum::<usize>() as f64
}

#[test]
fn batches_serve_every_lane_once_and_take_three_leaky_triples_where_they_can() {
    for triples in
        [1, 400_000, 741_457, 1_087_000, 1_541_309, 4_000_000, 7_700_160, 30_000_001, 78_118_911]
    {
        let sharing = Sharing::new(40, [(2, triples)]);
        let mut next = 0;
        for (span, shape) in sharing.batches(2, triples) {
            assert_eq!(span.start, next);
            assert!(
                span.len() <= LEAKY_BYTES / (3 * 3 * share_bytes(2)) && shape.triples >= span.len()
            );
            next = span.end;
        }
        assert_eq!(next, triples);
        assert!(triples < 400_000 || price(&[(2, triples)]) < 3.0001, "{triples}");
    }
    // Three stages of a tree of four parties; seven of a tree of eight.
    assert!(price(&[(2, 1_087_000), (2, 1_087_000), (4, 1_280_000)]) < 3.0001);
    assert!(price(&[(2, 1_087_000); 6]) < 3.1);
    // Many small sets beside a large one share what one batch may leak.
    assert!(price(&[[(2, 540_000); 1].as_slice(), &[(3, 200); 40]].concat()) < 3.2);
    let one = Sharing::new(40, [(10, 400_000)]).batches(10, 400_000).collect::<Vec<_>>();
    assert_eq!(one, [(0..400_000, BatchShape { triples: 400_000, bucket: 3 })]);
}

#[test]
fn memory_of_leaky_triples_and_masks_is_bounded() {
    for parties in 2..=PartySet::MAX {
        let bytes = masks_per_batch(parties) * share_bytes(parties);
        assert!(bytes <= MASKS_BYTES && bytes > MASKS_BYTES / 3, "{parties}: {bytes}");
    }
    for (parties, triples) in
        (2..=PartySet::MAX).flat_map(|parties| [(parties, 1 << 20), (parties, 1 << 24)])
    {
        let sharing = Sharing::new(40, [(parties, triples)]);
        let many = BATCH_MANY * 4 * 3 * share_bytes(parties);
        for (_, shape) in sharing.batches(parties, triples) {
            let most = if parties <= PARTIES_OF_FEWEST {
                LEAKY_BYTES
            } else {
                // Where a batch has to be larger for the bound, hardly more than it has to.
                LEAKY_BYTES_USUAL.max(many) * 5 / 4
            };
            assert!(shape.leaky() * 48 * parties <= most, "{parties}: {shape:?}");
            assert!(shape.bucket <= 4);
        }
    }
}

#[test]
fn a_bound_on_memory_holds_and_costs_leaky_triples() {
    let sets = [(8, 2_115_263), (8, 2_115_263), (4, 978_431)];
    for leaky_bytes in [LEAKY_BYTES, 1 << 28] {
        let sharing = Sharing::within(40, leaky_bytes, sets);
        for (parties, triples) in sets {
            for (_, shape) in sharing.batches(parties, triples) {
                assert!(shape.leaky() * 48 * parties <= leaky_bytes, "{leaky_bytes}: {shape:?}");
                let fewest = leaky_bytes == LEAKY_BYTES;
                assert_eq!(shape.bucket, if fewest { 3 } else { 4 }, "{leaky_bytes} {parties}");
            }
        }
    }
}

/// The tree of sixteen parties' sorted keys, 600 rows each: what the many pairs of a large set make
/// beyond their need costs most, so they make nothing beyond it.
#[test]
fn large_sets_leave_the_allowance_to_small_ones() {
    let sets = [(16, 4_537_727), (8, 1_956_863), (8, 1_956_863), (4, 899_231), (4, 899_231)];
    let sharing = Sharing::new(40, sets.into_iter().chain([(4, 899_231), (4, 899_231)]));
    let made = |parties, triples| {
        let shapes = sharing.batches(parties, triples).map(|(_, shape)| shape);
        shapes.fold((0, 0), |(sum, most), BatchShape { triples, bucket }| {
            (sum + triples, bucket.max(most))
        })
    };
    assert_eq!(made(8, 1_956_863), (1_956_863, 3));
    let (four, bucket) = made(4, 899_231);
    assert!(bucket == 3 && four < 899_231 * 4 / 3, "{four}");
    assert_eq!(made(16, 4_537_727).1, 4);
}

/// The tree of sixteen parties' sorted keys, 1 000 rows each: many batches share the bound.
#[test]
fn large_trees_take_four_leaky_triples_at_most() {
    let mut sets = vec![(16, 7_939_327)];
    for (parties, triples) in [(8, 3_705_663), (4, 1_720_831), (2, 794_415)] {
        sets.extend(vec![(parties, triples); 16 / parties]);
    }
    let sharing = Sharing::new(40, sets.iter().copied());
    for (parties, triples) in sets {
        let shapes = sharing.batches(parties, triples).map(|(_, shape)| shape.bucket);
        assert!(shapes.max().unwrap_or(0) <= 4, "{parties}");
    }
}

/// Σ n(n−1)·B·ℓ over all batches, and the most that the leaky triples of one take.
fn cost(leaky_bytes: usize, sets: &[(usize, usize)]) -> (usize, usize) {
    let sharing = Sharing::within(40, leaky_bytes, sets.iter().copied());
    let batches = sets.iter().flat_map(|(n, triples)| {
        sharing.batches(*n, *triples).map(move |(_, shape)| (*n, shape.leaky()))
    });
    batches.fold((0, 0), |(sum, most), (n, leaky)| {
        (sum + n * (n - 1) * leaky, most.max(3 * leaky * share_bytes(n)))
    })
}

/// Where the allowance is enough for batches that make just what their sets need, they do; and what
/// takes more is not dearer because of a set that takes the fewest.
#[test]
fn no_set_pays_for_what_another_leaks() {
    let needs =
        |sets: &[(usize, usize)]| sets.iter().map(|(n, t)| n * (n - 1) * 3 * t).sum::<usize>();
    let exact: [&[(usize, usize)]; 3] = [
        &[(2, 728_415), (2, 728_415), (4, 1_716_831)],
        &[(7, 1_430_048), (5, 712_124), (5, 712_124), (5, 712_124)],
        &[(10, 1_026_440), (10, 1_026_440), (10, 520_000)],
    ];
    for sets in exact {
        let (cost, _) = cost(LEAKY_BYTES, sets);
        assert!(cost <= needs(sets) * 101 / 100, "{sets:?}: {cost}");
    }
    let (alone, _) = cost(LEAKY_BYTES, &[(37, 14_644)]);
    let (both, _) = cost(LEAKY_BYTES, &[(37, 14_644), (2, 481_344)]);
    assert!(both <= alone + 2 * 4 * 481_344, "{both}");
}

#[test]
fn batches_that_take_more_stay_in_memory_too() {
    let many = |own: (usize, usize)| {
        let others = (2..62).flat_map(|n| [(n, 900_000 + n), (n, 7 * n), (n, 40_000 * n)]);
        std::iter::once(own).chain(others).collect::<Vec<_>>()
    };
    for own in [(16, 304_659), (52, 1_466_780), (64, 1 << 26)] {
        for leaky_bytes in [1 << 28, LEAKY_BYTES, 1 << 33] {
            let (_, most) = cost(leaky_bytes, &many(own));
            assert!(most <= leaky_bytes, "{own:?}: {most}");
        }
    }
}
