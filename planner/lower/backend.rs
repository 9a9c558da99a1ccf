//! Which backend runs a stage, and with which gadgets: the cheapest by the agreed prices.

use super::emit::Draft;
use crate::cost::{LinkSnapshot, StageSizes, best_evaluator, stage_cost};
use crate::plan::program_sizes;
use crate::targets::Rank;
use senate_circuit::{Backend, PartyId, PartySet};

/// Which backends a plan may use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Backends {
    /// Whichever is predicted to be faster, stage by stage.
    #[default]
    Cheapest,
    /// One for all stages.
    Only(Backend),
}

/// Prices the ways to run one stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pricing<'a> {
    pub backends: Backends,
    pub parties: PartySet,
    pub leader: PartyId,
    pub links: &'a LinkSnapshot,
}

/// A circuit with the backend that it is cheapest on.
pub(super) struct Choice {
    pub draft: Draft,
    pub backend: Backend,
    /// Who evaluates it.
    pub evaluator: PartyId,
    price: Rank,
}

impl Pricing<'_> {
    /// The cheapest way to run a circuit that spares gates.
    pub(super) fn of_few_gates(&self, draft: Draft) -> Choice {
        let backend = match self.backends {
            Backends::Only(backend) => backend,
            Backends::Cheapest => {
                let price = |backend| self.price(backend, &self.sizes(backend, &draft)).0;
                let faster = price(Backend::Interactive) < price(Backend::Garbled);
                if faster { Backend::Interactive } else { Backend::Garbled }
            }
        };
        self.on(backend, draft)
    }

    /// Whether a circuit that spares depth may be cheaper than `choice`: whether it would be if it
    /// had no more gates and a single layer.
    pub(super) fn depth_may_pay(&self, choice: &Choice) -> bool {
        let sizes = self.sizes(Backend::Interactive, &choice.draft);
        let flat = StageSizes { depth: sizes.depth.min(1), ..sizes };
        self.backends != Backends::Only(Backend::Garbled)
            && self.price(Backend::Interactive, &flat).0 < choice.price
    }

    /// The cheaper one of `choice` and a circuit that spares depth.
    pub(super) fn or_of_few_layers(&self, choice: Choice, draft: Draft) -> Choice {
        let shallow = self.on(Backend::Interactive, draft);
        if shallow.price < choice.price { shallow } else { choice }
    }

    fn on(&self, backend: Backend, draft: Draft) -> Choice {
        let (price, evaluator) = self.price(backend, &self.sizes(backend, &draft));
        Choice { draft, backend, evaluator, price }
    }

    fn sizes(&self, backend: Backend, draft: &Draft) -> StageSizes {
        let sizes = program_sizes(&draft.program, &draft.sources);
        match backend {
            Backend::Garbled => sizes,
            Backend::Interactive => sizes.in_layers(&draft.program.gates_by_depth()),
        }
    }

    /// The rank among other ways to run the stage, with who evaluates it best.
    fn price(&self, backend: Backend, sizes: &StageSizes) -> (Rank, PartyId) {
        let best = best_evaluator(self.parties, backend, sizes, self.links);
        let evaluator = best.unwrap_or(self.leader);
        let cost = stage_cost(self.parties, backend, evaluator, sizes, self.links);
        (self.links.rank(&cost), evaluator)
    }
}
