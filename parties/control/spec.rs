//! What one query asks of one party's control: who takes part, and what each stage waits for.

use senate_circuit::{PartyId, PartySet, StageId};

/// A stage as control sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageSpec {
    /// The stage.
    pub id: StageId,
    /// The completions that must be known before the stage starts, at each of its parties: that
    /// party has finished its part of that stage.
    pub waits: Vec<(StageId, PartyId)>,
    /// The parties that run the stage.
    pub parties: PartySet,
    /// The member that evaluates the circuit.
    pub evaluator: PartyId,
}

/// The checked plan of one query's life, as seen by `me`.
///
/// Invariants, established by [`LifeSpec::new`]: `me` takes part; stage ids are unique; a stage's
/// parties are a non-empty set of participants with the evaluator among them; a stage waits only
/// for parties of stages listed before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LifeSpec {
    me: PartyId,
    participants: PartySet,
    stages: Vec<StageSpec>,
}

/// Why a list of stages is not the plan of a query's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    /// The party itself is not among the participants.
    #[error("{0} does not take part in the query")]
    Outsider(PartyId),
    /// Two stages have one id.
    #[error("stage {} is listed twice", .0.0)]
    Repeated(StageId),
    /// The stage has no parties, parties that do not take part, or an evaluator from outside.
    #[error("the parties of stage {} are not a set of participants with its evaluator", .0.0)]
    Parties(StageId),
    /// The stage waits for a stage that does not come before it, or for a party outside that one.
    #[error("stage {} waits for something that no earlier stage completes", .0.0)]
    Waits(StageId),
}

impl LifeSpec {
    /// Checks a query's stages, children before parents.
    ///
    /// # Errors
    /// [`SpecError`] for the first broken invariant of the type.
    pub fn new(
        me: PartyId,
        participants: PartySet,
        stages: Vec<StageSpec>,
    ) -> Result<Self, SpecError> {
        if !participants.contains(me) {
            return Err(SpecError::Outsider(me));
        }
        for (position, stage) in stages.iter().enumerate() {
            let earlier = stages.get(..position).unwrap_or_default();
            if earlier.iter().any(|other| other.id == stage.id) {
                return Err(SpecError::Repeated(stage.id));
            }
            if !stage.parties.is_subset(participants) || !stage.parties.contains(stage.evaluator) {
                return Err(SpecError::Parties(stage.id));
            }
            let completes = |(child, party): &(StageId, PartyId)| {
                earlier.iter().any(|other| other.id == *child && other.parties.contains(*party))
            };
            if !stage.waits.iter().all(completes) {
                return Err(SpecError::Waits(stage.id));
            }
        }
        Ok(Self { me, participants, stages })
    }

    /// The party whose view this is.
    pub fn me(&self) -> PartyId {
        self.me
    }

    /// Everybody who takes part in the query.
    pub fn participants(&self) -> PartySet {
        self.participants
    }

    /// The other participants.
    pub fn peers(&self) -> PartySet {
        self.participants.without(self.me)
    }

    /// The stages, children before parents.
    pub fn stages(&self) -> &[StageSpec] {
        &self.stages
    }

    /// The stages that `party` runs.
    pub fn stages_of(&self, party: PartyId) -> impl Iterator<Item = &StageSpec> {
        self.stages.iter().filter(move |stage| stage.parties.contains(party))
    }

    /// The parties of a stage; empty if there is no such stage.
    pub fn parties_of(&self, stage: StageId) -> PartySet {
        self.stages
            .iter()
            .find(|spec| spec.id == stage)
            .map_or(PartySet::EMPTY, |spec| spec.parties)
    }

    /// The parties with a stage that waits for `party` to complete `stage`.
    pub fn consumers(&self, stage: StageId, party: PartyId) -> PartySet {
        self.stages
            .iter()
            .filter(|spec| spec.waits.contains(&(stage, party)))
            .fold(PartySet::EMPTY, |consumers, spec| consumers.union(spec.parties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(index: usize) -> PartyId {
        PartyId::new(index).unwrap()
    }

    fn stage(id: u32, waits: &[(u32, usize)], parties: usize, evaluator: usize) -> StageSpec {
        StageSpec {
            id: StageId(id),
            waits: waits.iter().map(|(stage, p)| (StageId(*stage), party(*p))).collect(),
            parties: PartySet::first(parties),
            evaluator: party(evaluator),
        }
    }

    #[test]
    fn a_plan_that_breaks_an_invariant_is_refused() {
        let two = PartySet::first(2);
        let check = |stages| LifeSpec::new(party(0), two, stages).map(|_| ());
        assert_eq!(check(vec![stage(0, &[], 2, 1), stage(1, &[(0, 1)], 2, 0)]), Ok(()));
        assert_eq!(
            LifeSpec::new(party(2), two, vec![]).map(|_| ()),
            Err(SpecError::Outsider(party(2)))
        );
        let twice = vec![stage(0, &[], 2, 0), stage(0, &[], 2, 0)];
        assert_eq!(check(twice), Err(SpecError::Repeated(StageId(0))));
        assert_eq!(check(vec![stage(0, &[], 3, 0)]), Err(SpecError::Parties(StageId(0))));
        assert_eq!(check(vec![stage(0, &[], 2, 2)]), Err(SpecError::Parties(StageId(0))));
        assert_eq!(check(vec![stage(0, &[], 0, 0)]), Err(SpecError::Parties(StageId(0))));
        assert_eq!(check(vec![stage(0, &[(0, 0)], 2, 0)]), Err(SpecError::Waits(StageId(0))));
        let outsider = vec![stage(0, &[], 1, 0), stage(1, &[(0, 1)], 2, 0)];
        assert_eq!(check(outsider), Err(SpecError::Waits(StageId(1))));
    }
}
