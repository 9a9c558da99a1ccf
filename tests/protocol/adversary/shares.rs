//! A party that lies about its own share of a bit, to everybody and in everything it does: its
//! MACs do not follow (PROTOCOL.md §4).

use super::scenario::{Ends, PARTIES, Scenario, everybody, honest};
use crate::protocol::plans::{on_backends, own_inputs, sweep_plan};
use senate_block::Block;
use senate_circuit::{Backend, PartyId, Stage};
use senate_mpc::pre::{Lent, Preprocessing};
use senate_mpc::sim::Federation;
use senate_mpc::stage::{Host, StageContext};
use senate_mpc::{
    AuthBits, Error, Fault, Mesh, Outputs, Params, Session, SessionHost, Step, execute,
};
use std::cell::Cell;
use std::rc::Rc;

/// Which share of the stage's preprocessing the liar flips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// The first mask of the first request: a mask of an input or of a wire that crosses.
    EnteringMask,
    /// The first mask of the second request: of an AND gate's output, where only one bundle enters.
    GateMask,
    /// The left factor of the first triple.
    Left,
    /// The right factor of the first triple.
    Right,
    /// The product of the triple of this number.
    Product(usize),
}

/// A host that lies in one stage.
struct Liar {
    honest: SessionHost,
    lie: Option<Lie>,
    stage: u32,
}

/// Preprocessing of one stage with a lie in it.
struct Lying<P> {
    honest: P,
    lie: Option<Lie>,
    requests: Rc<Cell<usize>>,
}

impl Host for Liar {
    type Preprocessing = Lying<<SessionHost as Host>::Preprocessing>;

    fn mesh(&self) -> &Mesh {
        self.honest.mesh()
    }

    fn context(&self, stage: &Stage) -> Result<StageContext, Error> {
        self.honest.context(stage)
    }

    fn preprocessing(&self, stage: &Stage) -> Result<Self::Preprocessing, Error> {
        let lie = self.lie.filter(|_| stage.id.0 == self.stage);
        let honest = self.honest.preprocessing(stage)?;
        Ok(Lying { honest, lie, requests: Rc::default() })
    }
}

impl<P: Preprocessing> Preprocessing for Lying<P> {
    async fn masks(&mut self, count: usize) -> Result<AuthBits, Error> {
        let masks = self.honest.masks(count).await?;
        let request = self.requests.replace(self.requests.get() + 1);
        Ok(match self.lie {
            Some(Lie::EnteringMask) if request == 0 => flipped(&masks, 0),
            Some(Lie::GateMask) if request == 1 => flipped(&masks, 0),
            _ => masks,
        })
    }

    async fn triples(&mut self, count: usize) -> Result<Lent, Error> {
        let mut triples = self.honest.triples(count).await?.into_owned();
        match self.lie {
            Some(Lie::Left) => triples.a = flipped(&triples.a, 0),
            Some(Lie::Right) => triples.b = flipped(&triples.b, 0),
            Some(Lie::Product(lane)) => triples.c = flipped(&triples.c, lane),
            _ => {}
        }
        Ok(triples.into())
    }
}

/// The same shares with one share bit flipped: the liar does not know the MACs of the other.
fn flipped(shares: &AuthBits, lane: usize) -> AuthBits {
    let lie = |plane: &[Block]| -> Vec<Block> {
        let told = plane.iter().enumerate();
        told.map(|(at, block)| *block ^ Block::ONE.times(at == lane)).collect()
    };
    let macs = shares.mac_planes().iter().map(|plane| lie(plane)).collect();
    AuthBits::from_planes(lie(shares.d()), macs).unwrap()
}

fn run(scenario: &Scenario, stage: u32, liar: PartyId, lie: Lie) -> Ends {
    Federation::new(PARTIES, scenario.seed).run(async |mesh, entropy| {
        let session = Session::open_dealt(mesh, Params::new([4; 32]), entropy).await?;
        session.bind(&[5; 32]).await?;
        let own = own_inputs(&scenario.plan, &scenario.inputs, session.me());
        let lie = (session.me() == liar).then_some(lie);
        let host = Liar { honest: SessionHost::new(session, &scenario.plan)?, lie, stage };
        execute(&host, &scenario.plan, &own).await
    })
}

/// Every liar tells each lie in `stage`: somebody honest, or the owner of the input, names one of
/// the faults and nobody honest accepts.
fn assert_caught(scenario: &Scenario, stage: u32, lies: &[(Lie, &[Fault])]) {
    for (lie, faults) in lies {
        for liar in everybody() {
            let ends = run(scenario, stage, liar, *lie);
            let honest: Vec<_> = honest(liar).iter().map(|party| &ends[party.index()]).collect();
            let caught = |end: &Result<Outputs, Error>| {
                faults.iter().any(|fault| end == &Err(Error::unattributed(*fault)))
            };
            // The owner of the input is the one that checks its mask; it may be the liar itself.
            let own = *lie == Lie::EnteringMask && caught(&ends[liar.index()]);
            let named = honest.iter().any(|end| caught(end));
            assert!(own || named, "{lie:?} of {liar}: {ends:?}");
            assert!(honest.iter().all(|end| end.is_err()), "{lie:?} of {liar}: {ends:?}");
        }
    }
}

#[test]
fn a_lie_about_an_own_share_is_caught_by_its_mac() {
    let lies: [(_, &[_]); 5] = [
        (Lie::EnteringMask, &[Fault::OpenMac(Step::Input)]),
        // Tables and labels are made from shares: labels no longer follow Λ.
        (Lie::GateMask, &[Fault::LabelHash]),
        // A wrong factor shifts the opened bit, and the product where the other factor is 1.
        (Lie::Left, &[Fault::OpenMac(Step::Beaver), Fault::LabelHash]),
        (Lie::Right, &[Fault::OpenMac(Step::Beaver), Fault::LabelHash]),
        (Lie::Product(0), &[Fault::LabelHash]),
    ];
    assert_caught(&Scenario::sweep(), 2, &lies);
}

#[test]
fn in_rounds_a_lie_about_an_own_share_is_caught_by_its_mac() {
    let layers = Fault::OpenMac(Step::Interactive);
    let lies: [(_, &[_]); 3] = [
        // A wrong factor shifts the opened bit, and the liar's product where the other one is 1.
        (Lie::Left, &[layers]),
        (Lie::Right, &[layers]),
        (Lie::Product(0), &[layers]),
    ];
    assert_caught(&Scenario::in_rounds(), 1, &lies);
}

/// A product that no further layer takes is checked by whatever opens it.
#[test]
fn in_rounds_a_lie_about_a_last_product_is_caught_where_it_is_opened() {
    use Backend::{Garbled, Interactive};
    let mac = Fault::OpenMac;
    // The last lane of x∧y is carried on or put out; the last gate of all makes the range check.
    let (carried, checked) = (7, 9);
    let cases: [(_, _, _, &[_]); 5] = [
        ([Interactive, Garbled, Garbled], 0, carried, &[mac(Step::Solder)]),
        ([Garbled, Interactive, Interactive], 1, carried, &[mac(Step::Interactive)]),
        ([Garbled, Interactive, Garbled], 1, carried, &[mac(Step::Beaver), Fault::LabelHash]),
        ([Garbled, Garbled, Interactive], 2, carried, &[mac(Step::Output)]),
        ([Garbled, Interactive, Garbled], 1, checked, &[mac(Step::Ver)]),
    ];
    for (backends, stage, lane, faults) in cases {
        let scenario = Scenario::of(PARTIES, on_backends(sweep_plan(), backends));
        for liar in scenario.plan[stage].parties.iter() {
            let ends = run(&scenario, stage as u32, liar, Lie::Product(lane));
            let what = format!("{backends:?} {stage} {lane} of {liar}: {ends:?}");
            let caught = |end: &Result<Outputs, Error>| {
                faults.iter().any(|fault| end == &Err(Error::unattributed(*fault)))
            };
            assert!(honest(liar).iter().any(|party| caught(&ends[party.index()])), "{what}");
            assert!(honest(liar).iter().all(|party| ends[party.index()].is_err()), "{what}");
        }
    }
}
