use super::batch::triple_batch;
use super::distributed::{Need, Supply};
use super::{Preprocessing, Triples};
use crate::auth::AuthBits;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Lane, Mesh};
use crate::session::{Params, Session};
use crate::sim::Federation;
use senate_block::Block;
use senate_circuit::{BatchShape, Bits, PartyId, PartySet, Sharing, StageId};

fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

async fn open(mesh: Mesh, entropy: Entropy) -> Result<Session, Error> {
    Session::open(mesh, Params::new([4; 32]), entropy).await
}

/// Asserts D_i ⊕ ⊕_j M_i[x^j] = xΔ_i and the bit-0 invariants for the parts of all parties of a
/// set, ascending, and returns x.
fn value(deltas: &[Block], parts: &[&AuthBits]) -> Bits {
    let len = parts[0].len();
    let value: Bits =
        (0..len).map(|r| parts.iter().fold(false, |x, p| x ^ p.d()[r].bit0())).collect();
    for (i, part) in parts.iter().enumerate() {
        assert_eq!((part.len(), part.mac_planes().len()), (len, parts.len() - 1));
        for r in 0..len {
            let mut sum = part.d()[r];
            for (j, other) in parts.iter().enumerate().filter(|(j, _)| *j != i) {
                let mac = other.macs(if i < j { i } else { i - 1 })[r];
                assert_eq!(mac.bit0(), other.d()[r].bit0());
                sum ^= mac;
            }
            assert!(sum == deltas[i].times(value.bit(r)), "row {r} of party {i}");
        }
    }
    value
}

pub(super) fn assert_triples(deltas: &[Block], parts: &[&Triples]) {
    let plane = |pick: fn(&Triples) -> &AuthBits| {
        value(deltas, &parts.iter().map(|part| pick(part)).collect::<Vec<_>>())
    };
    let (a, b, c) = (plane(|t| &t.a), plane(|t| &t.b), plane(|t| &t.c));
    assert!(a.iter().zip(b.iter()).zip(c.iter()).all(|((a, b), c)| a & b == c));
    let balanced = |bits: &Bits| bits.count_ones().abs_diff(bits.len() / 2) < 10 + bits.len() / 4;
    assert!(balanced(&a) && balanced(&b));
}

const NEEDS: [Need; 2] = [
    Need { stage: StageId(0), masks: 30, triples: 20 },
    Need { stage: StageId(1), masks: 0, triples: 60 },
];

#[test]
fn two_stages_of_every_party_set_get_right_shares() {
    for n in 2..6 {
        let results = Federation::new(n, 6).run(|mesh, entropy| async move {
            let session = open(mesh, entropy).await?;
            session.bind(&[5; 32]).await?;
            let mut made = Vec::new();
            let sets = [session.parties(), session.parties().without(party(1))];
            for (index, set) in sets.into_iter().enumerate() {
                if !set.contains(session.me()) || set.len() < 2 {
                    continue;
                }
                let sharing = Sharing::new(40, [(n, 80), (n - 1, 80)]);
                let supply = Supply::new(&session, set, index as u16, &NEEDS, sharing)?;
                let (mut one, mut two) = (supply.stage(StageId(0))?, supply.stage(StageId(1))?);
                let masks = one.masks(30).await?;
                let first = async {
                    let (more, rest) = (one.triples(15).await?, one.triples(5).await?);
                    Ok((more.into_owned(), rest.into_owned()))
                };
                let (others, mine) = futures_util::try_join!(two.triples(60), first)?;
                let others = others.into_owned();
                assert!(matches!(one.masks(1).await, Err(Error::Misuse(_))));
                assert!(matches!(supply.stage(StageId(1)), Err(Error::Misuse(_))));
                supply.make_ahead().await?;
                let delta = session.member(set)?.delta();
                made.push((set, delta, masks, [mine.0, mine.1, others]));
            }
            Ok(made)
        });
        let made: Vec<_> = results.into_iter().flat_map(Result::unwrap).collect();
        for set in [PartySet::first(n), PartySet::first(n).without(party(1))] {
            let parts: Vec<_> = made.iter().filter(|made| made.0 == set).collect();
            let deltas: Vec<_> = parts.iter().map(|part| part.1).collect();
            if !parts.is_empty() {
                assert_eq!(parts.len(), set.len());
                value(&deltas, &parts.iter().map(|part| &part.2).collect::<Vec<_>>());
            }
            for k in 0..if parts.is_empty() { 0 } else { 3 } {
                assert_triples(&deltas, &parts.iter().map(|part| &part.3[k]).collect::<Vec<_>>());
            }
        }
    }
}

/// What memory held before it is used again shows nowhere.
#[test]
fn batches_in_used_memory_are_right() {
    let needs = [Need { stage: StageId(0), masks: 900, triples: 3 << 9 }];
    let results = Federation::new(3, 6).run(|mesh, entropy| async move {
        let session = open(mesh, entropy).await?;
        let cots = session.workbench(session.parties(), Lane::supply(1, 0))?.cots;
        // Room for rows, columns and planes of every size that occurs, all full of ones.
        for len in [512, 900, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288] {
            (0..12).for_each(|_| cots.spare().put(vec![Block(u128::MAX); len]));
        }
        let supply = Supply::new(
            &session,
            session.parties(),
            0,
            &needs,
            Sharing::even(40, 1 << 9, [(3, 3 << 9)]),
        )?;
        let mut stage = supply.stage(StageId(0))?;
        let masks = stage.masks(900).await?;
        let triples = stage.triples(3 << 9).await?.into_owned();
        Ok((session.member(session.parties())?.delta(), masks, triples))
    });
    let made: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    let deltas: Vec<_> = made.iter().map(|made| made.0).collect();
    value(&deltas, &made.iter().map(|made| &made.1).collect::<Vec<_>>());
    assert_triples(&deltas, &made.iter().map(|made| &made.2).collect::<Vec<_>>());
}

/// Used-up batches leave no memory behind once the last one of their set has been made.
#[test]
fn memory_is_kept_for_a_batch_that_is_still_to_come_only() {
    let needs = [Need { stage: StageId(0), masks: 0, triples: 3 << 12 }];
    for ahead in [false, true] {
        let results = Federation::new(2, 6).run(|mesh, entropy| async move {
            let session = open(mesh, entropy).await?;
            let cots = session.workbench(session.parties(), Lane::supply(1, 0))?.cots;
            let sharing = Sharing::even(40, 1 << 12, [(2, 3 << 12)]);
            let supply = Supply::new(&session, session.parties(), 0, &needs, sharing)?;
            let mut stage = supply.stage(StageId(0))?;
            if ahead {
                supply.make_ahead().await?;
                assert!(cots.spare().is_empty());
            }
            for left in [2, 1, 0] {
                stage.triples(1 << 12).await?;
                assert_eq!(cots.spare().is_empty(), ahead || left == 0);
            }
            Ok(())
        });
        results.into_iter().for_each(|result| result.unwrap());
    }
}

/// A batch of several extensions, whose rows cross the borders between them.
#[test]
fn spans_and_rows_need_not_align() {
    let shape = BatchShape { triples: 30_001, bucket: 3 };
    for n in [2, 3] {
        let results = Federation::new(n, 6).run(|mesh, entropy| async move {
            let session = open(mesh, entropy).await?;
            let bench = session.workbench(session.parties(), Lane::supply(0, 0))?;
            Ok((bench.member.delta(), triple_batch(&bench, 0, shape).await?))
        });
        let made: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        let deltas: Vec<_> = made.iter().map(|made| made.0).collect();
        let parts: Vec<_> = made.iter().map(|made| &made.1).collect();
        assert_eq!(parts[0].a.len(), shape.triples);
        assert_triples(&deltas, &parts);
    }
}
