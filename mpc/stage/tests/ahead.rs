//! Sessions opened ahead: their stock serves their one plan, whatever that needs.

use super::plans::{inputs_of, tree};
use super::{own_inputs, party, reference};
use crate::error::{Error, Fault, Step};
use crate::mesh::{Kind, Mesh};
use crate::pre::stock::{Provision, Provisions, Stock};
use crate::session::{Params, Session};
use crate::sim::{Action, Federation, Tampering, Target};
use crate::stage::{SessionHost, execute, provisions_of};
use crate::{Entropy, Outputs};
use senate_circuit::{LEAKY_BYTES, PartySet, Stage};
use std::cell::Cell;

/// Two pairs, then everybody, in two stages: three party sets.
fn plan() -> Vec<Stage> {
    tree(
        &[
            (&[0, 1], 0, &[0, 1], &[]),
            (&[1, 2], 2, &[1, 2], &[]),
            (&[0, 1, 2], 1, &[0], &[0, 1]),
            (&[0, 1, 2], 0, &[2], &[2]),
        ],
        4,
    )
}

fn parties() -> PartySet {
    PartySet::first(3)
}

async fn open(mesh: Mesh, entropy: Entropy, provisions: &Provisions) -> Result<Session, Error> {
    let params = Params::new([4; 32]).opened_ahead(provisions);
    Session::open_dealt(mesh, params, entropy).await
}

async fn answer(
    mesh: Mesh,
    entropy: Entropy,
    plan: &[Stage],
    provisions: &Provisions,
) -> Result<Outputs, Error> {
    let session = open(mesh, entropy, provisions).await?;
    let stock = Stock::make(&session, provisions.clone(), async || ()).await?;
    session.bind(&[5; 32]).await?;
    let own = own_inputs(plan, &inputs_of(plan, 7), session.me());
    execute(&SessionHost::stocked(session, plan, LEAKY_BYTES, stock)?, plan, &own).await
}

fn provisions(entries: Vec<Provision>) -> Provisions {
    Provisions::new(parties(), entries).unwrap()
}

#[test]
fn a_plan_is_answered_from_less_more_or_other_stock_than_it_needs() {
    let plan = plan();
    let whole = provisions_of(&plan).unwrap();
    assert_eq!(whole.len(), 3);
    let scaled = |by: &dyn Fn(usize) -> usize| {
        let scale = |p: &Provision| Provision { masks: by(p.masks), triples: by(p.triples), ..*p };
        provisions(whole.iter().map(scale).collect())
    };
    let other = Provision { set: [party(0), party(2)].into_iter().collect(), masks: 9, triples: 3 };
    let last = *whole.last().unwrap();
    let expected = reference(&plan, &inputs_of(&plan, 7));
    for provisions in [
        scaled(&|count| count),
        scaled(&|count| count / 2),
        scaled(&|count| 3 * count + 1),
        scaled(&|_| 0),
        provisions(vec![other, Provision { triples: 1, ..last }]),
    ] {
        let results =
            Federation::new(3, 21).run(|mesh, entropy| answer(mesh, entropy, &plan, &provisions));
        for outputs in results {
            assert_eq!(outputs.unwrap(), expected);
        }
    }
}

#[test]
fn a_session_makes_once_and_unbound_what_it_was_opened_with_and_serves_itself() {
    let plan = plan();
    let agreed = provisions(provisions_of(&plan).unwrap());
    let results = Federation::new(3, 22).run(|mesh, entropy| {
        let (plan, agreed) = (&plan, &agreed);
        async move {
            let misuse = |error: Option<Error>| matches!(error, Some(Error::Misuse(_)));
            let session = open(mesh, entropy, agreed).await?;
            let another = agreed.clone().within(500);
            assert!(misuse(Stock::make(&session, another, async || ()).await.err()));
            let pauses = Cell::new(0);
            let pause = async || pauses.set(pauses.get() + 1);
            let stock = Stock::make(&session, agreed.clone(), pause).await?;
            // One batch of masks and one of triples for each of this party's sets.
            let sets = agreed.entries().iter().filter(|entry| entry.set.contains(session.me()));
            assert_eq!(pauses.get(), 2 * sets.count());
            assert!(misuse(Stock::make(&session, agreed.clone(), async || ()).await.err()));
            assert!(misuse(SessionHost::stocked(session.clone(), plan, LEAKY_BYTES, stock).err()));
            session.bind(&[5; 32]).await?;
            assert!(misuse(Stock::make(&session, agreed.clone(), async || ()).await.err()));
            assert!(session.failure().is_none(), "what is refused does no harm");
            Ok(())
        }
    });
    results.into_iter().for_each(Result::unwrap);
}

#[test]
fn a_stock_does_not_serve_another_session() {
    let agreed = provisions(provisions_of(&plan()).unwrap());
    let stocks = Federation::new(3, 23).run(|mesh, entropy| {
        let agreed = &agreed;
        async move {
            let session = open(mesh, entropy, agreed).await?;
            Stock::make(&session, agreed.clone(), async || ()).await
        }
    });
    let stocks: Vec<_> = stocks.into_iter().map(|stock| Cell::new(stock.ok())).collect();
    let results = Federation::new(3, 24).run(|mesh, entropy| {
        let stock = stocks[mesh.me().index()].take().unwrap();
        let agreed = &agreed;
        async move {
            let session = open(mesh, entropy, agreed).await?;
            session.bind(&[5; 32]).await?;
            assert!(matches!(
                SessionHost::stocked(session, &[], LEAKY_BYTES, stock),
                Err(Error::Misuse(_))
            ));
            Ok(())
        }
    });
    results.into_iter().for_each(Result::unwrap);
}

#[test]
fn parties_with_other_provisions_open_no_session() {
    let whole = provisions(provisions_of(&plan()).unwrap());
    let results = Federation::new(3, 25).run(|mesh, entropy| {
        let mine = match mesh.me() == party(1) {
            true => whole.clone().within(whole.bytes() - 100),
            false => whole.clone(),
        };
        async move { open(mesh, entropy, &mine).await.map(|_| ()) }
    });
    assert_eq!(results[0], Err(Error::by(party(1), Fault::Binding)));
    assert!(results.iter().all(Result::is_err));
    // Nor is an ordinary session opened with a party that wants to make something ahead.
    let results = Federation::new(2, 26).run(|mesh, entropy| async move {
        let none = Provisions::new(mesh.parties(), vec![])?;
        let params = Params::new([4; 32]);
        let params = if mesh.me() == party(0) { params } else { params.opened_ahead(&none) };
        Session::open_dealt(mesh, params, entropy).await.map(|_| ())
    });
    assert_eq!(results[0], Err(Error::by(party(1), Fault::Binding)));
}

#[test]
fn whoever_cheats_while_a_stock_is_made_leaves_a_dead_session() {
    let plan = plan();
    let agreed = provisions(provisions_of(&plan).unwrap());
    for (kind, skip, fault) in [
        // The first extensions are those of base OTs, if this party chooses there, and of the Δ check.
        (Kind::Corr, 2, Fault::CotConsistency),
        (Kind::Resp, 2, Fault::Echo(Step::Shares)),
        (Kind::BucketBits, 0, Fault::OpenMac(Step::Bucketing)),
    ] {
        let target = Target { from: party(0), to: PartySet::only(party(1)), kind, skip };
        let mut cheat = Tampering::new(target, Action::FlipBit(3));
        let results = Federation::new(3, 27).run_tampered(&mut cheat, |mesh, entropy| async {
            let session = open(mesh, entropy, &agreed).await?;
            let made = Stock::make(&session, agreed.clone(), async || ()).await;
            let error = made.err().ok_or(Error::Misuse("a stock was made"))?;
            assert_eq!(session.bind(&[5; 32]).await, Err(error));
            assert!(session.member(session.parties()).is_err(), "the keys are gone");
            Ok(error)
        });
        assert_eq!(cheat.hits, 1, "{kind:?}");
        let Ok(Error::Cheating { fault: found, .. }) = results[1] else {
            panic!("{kind:?}: {:?}", results[1]);
        };
        assert_eq!(found, fault);
        assert!(results.iter().all(Result::is_ok), "{kind:?}: {results:?}");
    }
}
