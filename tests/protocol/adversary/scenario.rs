//! The run that is tampered with, and what a run consists of.

use crate::protocol::plans::{
    Inputs, inputs_of, own_inputs, party, reference, sweep_plan, sweep_plan_in_rounds,
};
use senate_circuit::{PartyId, PartySet, Stage};
use senate_mpc::sim::{Federation, Honest, Tamper};
use senate_mpc::{Error, Frame, Kind, Outputs, Params, Session, SessionHost, execute};
use std::collections::BTreeMap;

/// Parties of the sweep's scenario.
pub(crate) const PARTIES: usize = 3;

/// How the base oblivious transfers are made. Everything else is the real protocol in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseOt {
    /// By the parties.
    Real,
    /// By a dealer: a fiftieth of the time.
    Dealt,
}

/// A plan with inputs, run from session set-up to release.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) parties: usize,
    pub(crate) plan: Vec<Stage>,
    pub(crate) inputs: Inputs,
    pub(crate) seed: u64,
}

/// What every party ends with.
pub(crate) type Ends = Vec<Result<Outputs, Error>>;

impl Scenario {
    /// The scenario of the sweep: three stages, two party sets, a change of evaluator.
    pub(crate) fn sweep() -> Self {
        Self::of(PARTIES, sweep_plan())
    }

    /// The same with a stage in rounds between two garbled ones.
    pub(crate) fn in_rounds() -> Self {
        Self::of(PARTIES, sweep_plan_in_rounds())
    }

    /// `plan` among so many parties.
    pub(crate) fn of(parties: usize, plan: Vec<Stage>) -> Self {
        let inputs = inputs_of(&plan, 3);
        Self { parties, plan, inputs, seed: 5 }
    }

    /// Runs with `tamper` between the parties.
    pub(crate) fn run(&self, base: BaseOt, tamper: &mut dyn Tamper) -> Ends {
        Federation::new(self.parties, self.seed).run_tampered(tamper, async |mesh, entropy| {
            let params = Params::new([4; 32]);
            let session = match base {
                BaseOt::Real => Session::open(mesh, params, entropy).await?,
                BaseOt::Dealt => Session::open_dealt(mesh, params, entropy).await?,
            };
            session.bind(&[5; 32]).await?;
            let own = own_inputs(&self.plan, &self.inputs, session.me());
            execute(&SessionHost::new(session, &self.plan)?, &self.plan, &own).await
        })
    }

    /// What `me` must learn.
    pub(crate) fn reference(&self, me: PartyId) -> Outputs {
        reference(&self.plan, &self.inputs, me)
    }

    /// Whether everybody in `parties` ended with the right outputs.
    pub(crate) fn right(&self, ends: &Ends, parties: PartySet) -> bool {
        let right = |party: PartyId| ends[party.index()].as_ref() == Ok(&self.reference(party));
        parties.iter().all(right)
    }

    /// How many messages of each kind an honest run sends on each link.
    pub(crate) fn census(&self, base: BaseOt) -> Census {
        let mut counter = Counter(Census::new(), Honest);
        let ends = self.run(base, &mut counter);
        assert!(self.right(&ends, PartySet::first(self.parties)), "{ends:?}");
        counter.0
    }
}

/// Messages by kind, sender and receiver.
pub(crate) type Census = BTreeMap<(Kind, PartyId, PartyId), usize>;

struct Counter(Census, Honest);

impl Tamper for Counter {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        *self.0.entry((frame.kind, from, to)).or_default() += 1;
        self.1.on_frame(from, to, frame)
    }
}

/// Those of `parties` that follow the protocol when `cheater` does not.
pub(crate) fn honest(cheater: PartyId) -> PartySet {
    PartySet::first(PARTIES).without(cheater)
}

/// All parties of the scenario.
pub(crate) fn everybody() -> impl Iterator<Item = PartyId> {
    (0..PARTIES).map(party)
}
