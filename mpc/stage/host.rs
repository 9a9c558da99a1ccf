//! A bound session as a host of stages, with preprocessing made by the parties.

use super::{Host, StageContext, child_sources};
use crate::error::Error;
use crate::mesh::Mesh;
use crate::pre::distributed::{Distributed, Need, Supply};
use crate::pre::stock::{Provision, Stock, Stocked};
use crate::session::Session;
use senate_circuit::{
    Backend, Instruction, LEAKY_BYTES, PartySet, PlaneId, Sharing, Source, Stage,
};
use std::collections::BTreeMap;

/// A bound session and the supplies of all party sets of a plan that this party is in.
#[derive(Debug)]
pub struct SessionHost {
    session: Session,
    supplies: BTreeMap<u64, Supply>,
}

impl SessionHost {
    /// Sizes one supply per party set from the whole plan. All parties pass the same plan; nothing
    /// is made before a stage asks for it.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the session is not bound or runs a plan already, or the plan does not
    /// fit it.
    pub fn new(session: Session, plan: &[Stage]) -> Result<Self, Error> {
        Self::within(session, plan, LEAKY_BYTES)
    }

    /// As [`SessionHost::new`], with what [`Sharing::within`] takes: the same at all parties, as the
    /// digest that the session is bound to says.
    ///
    /// # Errors
    /// As [`SessionHost::new`].
    pub fn within(session: Session, plan: &[Stage], leaky_bytes: usize) -> Result<Self, Error> {
        session.take_for_plan()?;
        let needs = needs_by_set(plan)?;
        let triples = |needs: &[Need]| needs.iter().map(|need| need.triples).sum();
        let sets = needs.iter().map(|(set, needs)| (set.len(), triples(needs)));
        let sharing = Sharing::within(session.params().rho_bits(), leaky_bytes, sets);
        Self::supplied(session, &needs, sharing, BTreeMap::new())
    }

    /// As [`SessionHost::within`] in a session that was opened ahead: stages take from its stock first.
    ///
    /// # Errors
    /// As [`SessionHost::new`]; [`Error::Misuse`] for another session's stock.
    pub fn stocked(
        session: Session,
        plan: &[Stage],
        leaky_bytes: usize,
        stock: Stock,
    ) -> Result<Self, Error> {
        session.take_for_plan()?;
        let needs = needs_by_set(plan)?;
        let made = |set: PartySet| {
            let mut entries = stock.provisions().entries().iter();
            entries.find(|entry| entry.set == set).map_or(0, |entry| entry.triples)
        };
        let rest = needs.iter().map(|(set, needs)| {
            let triples: usize = needs.iter().map(|need| need.triples).sum();
            (set.len(), triples.saturating_sub(made(*set)))
        });
        let sharing = Sharing::after(session.params().rho_bits(), leaky_bytes, rest);
        let stocked = stock.open(&session)?;
        Self::supplied(session, &needs, sharing, stocked)
    }

    fn supplied(
        session: Session,
        needs: &[(PartySet, Vec<Need>)],
        sharing: Sharing,
        mut stocked: BTreeMap<u64, Stocked>,
    ) -> Result<Self, Error> {
        let mut supplies = BTreeMap::new();
        for (index, (set, needs)) in needs.iter().enumerate() {
            if set.contains(session.me()) {
                let index = u16::try_from(index);
                let index = index.map_err(|_| Error::Misuse("too many party sets"))?;
                let stocked = stocked.remove(&set.mask()).unwrap_or_default();
                let supply = Supply::stocked(&session, *set, index, needs, sharing, stocked)?;
                supplies.insert(set.mask(), supply);
            }
        }
        Ok(Self { session, supplies })
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Host for SessionHost {
    type Preprocessing = Distributed;

    fn mesh(&self) -> &Mesh {
        self.session.mesh()
    }

    fn context(&self, stage: &Stage) -> Result<StageContext, Error> {
        let member = self.session.member(stage.parties)?;
        let (entropy, zero) = (self.session.entropy().clone(), self.session.zero().clone());
        StageContext::new(self.mesh(), self.session.id(), member, stage, entropy, zero)
    }

    fn preprocessing(&self, stage: &Stage) -> Result<Distributed, Error> {
        let supply = self.supplies.get(&stage.parties.mask());
        supply.ok_or(Error::Misuse("the plan has no such party set"))?.stage(stage.id)
    }
}

/// What the plan needs in all, per party set in the order in which the sets occur: what a session
/// for a plan like it makes ahead.
///
/// # Errors
/// As [`need_of`].
pub fn provisions_of(plan: &[Stage]) -> Result<Vec<Provision>, Error> {
    let sum = |(set, needs): (PartySet, Vec<Need>)| Provision {
        set,
        masks: needs.iter().map(|need| need.masks).sum(),
        triples: needs.iter().map(|need| need.triples).sum(),
    };
    Ok(needs_by_set(plan)?.into_iter().map(sum).collect())
}

/// The plan's party sets in the order in which they occur, with their stages' needs.
fn needs_by_set(plan: &[Stage]) -> Result<Vec<(PartySet, Vec<Need>)>, Error> {
    let mut sets: Vec<(PartySet, Vec<Need>)> = Vec::new();
    for stage in plan {
        let need = need_of(stage, plan)?;
        match sets.iter_mut().find(|(set, _)| *set == stage.parties) {
            Some((_, needs)) => needs.push(need),
            None => sets.push((stage.parties, vec![need])),
        }
    }
    Ok(sets)
}

/// What `stage` of `plan` asks its preprocessing for: a mask per input wire that its owner enters
/// or that crosses from a smaller party set, a triple per AND gate, and a mask where it is garbled.
///
/// # Errors
/// [`Error::Misuse`] when a child is not in the plan.
pub fn need_of(stage: &Stage, plan: &[Stage]) -> Result<Need, Error> {
    let program = &stage.program;
    let wires = |at: usize| program.inputs.get(at).map_or(0, |bundle| program.wires_of(bundle));
    let gates =
        program.instructions.iter().enumerate().map(|(at, instruction)| match instruction {
            Instruction::And(..) => program.lanes_of(PlaneId(at as u32)),
            _ => 0,
        });
    let triples = gates.sum();
    let mut masks = match stage.backend {
        Backend::Garbled => triples,
        Backend::Interactive => 0,
    };
    for (at, source) in stage.inputs.iter().enumerate() {
        if matches!(source, Source::Owner { .. }) {
            masks += wires(at);
        }
    }
    for (at, id, _) in child_sources(stage) {
        let child = plan.iter().find(|child| child.id == id);
        let child = child.ok_or(Error::Misuse("an earlier stage is missing"))?;
        if child.parties != stage.parties {
            masks += wires(at);
        }
    }
    Ok(Need { stage: stage.id, masks, triples })
}
