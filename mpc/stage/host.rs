//! A bound session as a host of stages, with preprocessing made by the parties.

use super::{Host, StageContext, child_sources};
use crate::error::Error;
use crate::mesh::Mesh;
use crate::pre::distributed::{Distributed, Need, Sharing, Supply};
use crate::session::Session;
use senate_circuit::{Instruction, PartySet, PlaneId, Source, Stage};
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
        session.take_for_plan()?;
        let mut sets: Vec<PartySet> = Vec::new();
        let mut needs: BTreeMap<u64, Vec<Need>> = BTreeMap::new();
        for stage in plan {
            if !sets.contains(&stage.parties) {
                sets.push(stage.parties);
            }
            needs.entry(stage.parties.mask()).or_default().push(need_of(stage, plan)?);
        }
        let triples = needs.values().map(|needs| needs.iter().map(|need| need.triples).sum());
        let sharing = Sharing::new(session.params().rho_bits(), triples);
        let mut supplies = BTreeMap::new();
        for (index, set) in sets.into_iter().enumerate() {
            if set.contains(session.me()) {
                let index = u16::try_from(index);
                let index = index.map_err(|_| Error::Misuse("too many party sets"))?;
                let needs = needs.remove(&set.mask()).unwrap_or_default();
                supplies.insert(set.mask(), Supply::new(&session, set, index, &needs, sharing)?);
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

/// What `stage` of `plan` asks its preprocessing for: a mask per input wire that its owner enters
/// or that crosses from a smaller party set, a mask and a triple per AND gate.
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
    let mut masks = triples;
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
