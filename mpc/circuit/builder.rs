//! Writing a circuit: constant folding, common subexpressions once, dead planes dropped at the end.

mod fold;
mod maps;

use crate::{Bits, BuildError, Bundle, Instruction, Lanes, MapId, PlaneId, Program};
use maps::Maps;
use std::collections::HashMap;

/// What gadgets spare where they can have one only for more of the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Goal {
    /// AND gates, as garbling wants.
    #[default]
    Gates,
    /// Layers of AND gates, as rounds over slow links want.
    Depth,
}

/// Writes a [`Program`].
///
/// No method panics: the first misuse is recorded, everything after it yields a void plane, and
/// [`Builder::finish`] returns the error. Equal calls give equal programs, byte for byte.
#[derive(Debug, Default)]
pub struct Builder {
    goal: Goal,
    instructions: Vec<Instruction>,
    lanes: Vec<Lanes>,
    maps: Maps,
    known: HashMap<(Instruction, Lanes), PlaneId>,
    inputs: Vec<Bundle>,
    outputs: Vec<Bundle>,
    error: Option<BuildError>,
}

/// Stands for the result of a failed call; it is never in a finished program.
const VOID: PlaneId = PlaneId(u32::MAX);

impl Builder {
    /// An empty circuit.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty circuit whose gadgets spare layers of AND gates instead of gates.
    pub fn shallow() -> Self {
        Self::with_goal(Goal::Depth)
    }

    /// An empty circuit with this goal.
    pub fn with_goal(goal: Goal) -> Self {
        Self { goal, ..Self::default() }
    }

    /// What its gadgets spare.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// The next input bundle: one plane per entry of `shape`, which lists their lanes.
    pub fn input(&mut self, shape: &[Lanes]) -> Vec<PlaneId> {
        let planes: Vec<_> =
            shape.iter().map(|lanes| self.push(Instruction::Input, *lanes)).collect();
        self.inputs.push(Bundle { planes: planes.clone() });
        planes
    }

    /// The next output bundle; returns its index in [`Program::outputs`].
    pub fn output(&mut self, planes: &[PlaneId]) -> usize {
        for plane in planes {
            self.lanes_of(*plane);
        }
        self.outputs.push(Bundle { planes: planes.to_vec() });
        self.outputs.len() - 1
    }

    /// Lanes of a plane; 0 after an error.
    pub fn lanes_of(&mut self, plane: PlaneId) -> Lanes {
        match self.lanes.get(plane.0 as usize) {
            Some(lanes) => *lanes,
            None => {
                self.fail(BuildError::UnknownPlane(plane));
                0
            }
        }
    }

    /// A public bit in every lane.
    pub fn constant(&mut self, bit: bool, lanes: Lanes) -> PlaneId {
        self.intern(Instruction::Constant(bit && lanes > 0), lanes)
    }

    /// Public bits, one per lane.
    pub fn public(&mut self, bits: &Bits) -> PlaneId {
        let (zero, one) = (self.constant(false, 1), self.constant(true, 1));
        let both = self.concat(&[zero, one]);
        let map = self.map(bits.iter().map(u32::from).collect());
        self.gather(both, map)
    }

    /// Exclusive or, lane by lane. Free.
    pub fn xor(&mut self, left: PlaneId, right: PlaneId) -> PlaneId {
        match self.common_lanes(left, right) {
            Some(lanes) => self.fold_xor(left, right, lanes),
            None => VOID,
        }
    }

    /// Conjunction, lane by lane. One AND gate per lane unless it folds away.
    pub fn and(&mut self, left: PlaneId, right: PlaneId) -> PlaneId {
        match self.common_lanes(left, right) {
            Some(lanes) => self.fold_and(left, right, lanes),
            None => VOID,
        }
    }

    /// Negation, lane by lane. Free.
    pub fn not(&mut self, plane: PlaneId) -> PlaneId {
        let lanes = self.lanes_of(plane);
        if self.error.is_some() { VOID } else { self.fold_not(plane, lanes) }
    }

    /// Disjunction, lane by lane. One AND gate per lane.
    pub fn or(&mut self, left: PlaneId, right: PlaneId) -> PlaneId {
        let (left, right) = (self.not(left), self.not(right));
        let neither = self.and(left, right);
        self.not(neither)
    }

    /// `then` where `condition` is 1, else `otherwise`. One AND gate per lane.
    pub fn mux(&mut self, condition: PlaneId, then: PlaneId, otherwise: PlaneId) -> PlaneId {
        let differ = self.xor(then, otherwise);
        let change = self.and(condition, differ);
        self.xor(otherwise, change)
    }

    /// An index map for [`Builder::gather`]; equal maps are stored once. Make a map once and use it
    /// for all planes of a relation: hashing it is the expensive part.
    pub fn map(&mut self, lanes: Vec<u32>) -> MapId {
        self.maps.intern(lanes)
    }

    /// The map to the lanes `start .. end`; none when `end` is not larger.
    pub fn range(&mut self, start: u32, end: u32) -> MapId {
        self.maps.range(start, end)
    }

    /// Number of entries of a map; 0 after an error.
    pub fn map_len(&mut self, map: MapId) -> Lanes {
        match self.maps.facts(map) {
            Some(facts) => facts.len,
            None => {
                self.fail(BuildError::UnknownMap(map));
                0
            }
        }
    }

    /// Lane i of the result is lane `map[i]` of `plane`. Free.
    pub fn gather(&mut self, plane: PlaneId, map: MapId) -> PlaneId {
        let lanes = self.lanes_of(plane);
        match self.maps.facts(map) {
            _ if self.error.is_some() => VOID,
            None => self.fail(BuildError::UnknownMap(map)),
            Some(facts) if facts.len > 0 && facts.max >= lanes => {
                self.fail(BuildError::LaneOutOfRange { lane: facts.max, lanes })
            }
            Some(facts) => self.fold_gather(plane, lanes, map, facts),
        }
    }

    /// The lanes of all parts, one after the other. Free.
    pub fn concat(&mut self, parts: &[PlaneId]) -> PlaneId {
        let mut total: Lanes = 0;
        for part in parts {
            match total.checked_add(self.lanes_of(*part)) {
                Some(sum) => total = sum,
                None => return self.fail(BuildError::TooLarge),
            }
        }
        if self.error.is_some() { VOID } else { self.fold_concat(parts, total) }
    }

    /// Lanes `start .. start + len`. Free.
    pub fn slice(&mut self, plane: PlaneId, start: u32, len: u32) -> PlaneId {
        let Some(end) = start.checked_add(len) else { return self.fail(BuildError::TooLarge) };
        let map = self.range(start, end);
        self.gather(plane, map)
    }

    /// The one lane of `plane`, `lanes` times. Free.
    pub fn repeat(&mut self, plane: PlaneId, lanes: Lanes) -> PlaneId {
        let map = self.map(vec![0; lanes as usize]);
        self.gather(plane, map)
    }

    /// The public value of a plane that folded to a constant.
    pub fn constant_of(&self, plane: PlaneId) -> Option<bool> {
        match self.instruction(plane) {
            Some(Instruction::Constant(bit)) => Some(*bit),
            _ => None,
        }
    }

    /// Records a misuse found by a gadget; the first one is what [`Builder::finish`] returns.
    pub fn fail(&mut self, error: BuildError) -> PlaneId {
        self.error.get_or_insert(error);
        VOID
    }

    /// The circuit, without the planes and maps that no output depends on. All inputs stay.
    ///
    /// # Errors
    /// The first misuse of this builder.
    pub fn finish(self) -> Result<Program, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let program = Program {
            instructions: self.instructions,
            lanes: self.lanes,
            maps: self.maps.into_lanes(),
            inputs: self.inputs,
            outputs: self.outputs,
        };
        let program = program.without_dead_planes();
        program.check()?;
        Ok(program)
    }

    fn instruction(&self, plane: PlaneId) -> Option<&Instruction> {
        self.instructions.get(plane.0 as usize)
    }

    fn common_lanes(&mut self, left: PlaneId, right: PlaneId) -> Option<Lanes> {
        let (l, r) = (self.lanes_of(left), self.lanes_of(right));
        if l != r {
            self.fail(BuildError::LanesDiffer { left: l, right: r });
        }
        self.error.is_none().then_some(l)
    }

    fn intern(&mut self, instruction: Instruction, lanes: Lanes) -> PlaneId {
        let key = (instruction, lanes);
        if let Some(plane) = self.known.get(&key) {
            return *plane;
        }
        let plane = self.push(key.0.clone(), lanes);
        self.known.insert(key, plane);
        plane
    }

    fn push(&mut self, instruction: Instruction, lanes: Lanes) -> PlaneId {
        match u32::try_from(self.instructions.len()) {
            Ok(next) if next < VOID.0 => {
                self.instructions.push(instruction);
                self.lanes.push(lanes);
                PlaneId(next)
            }
            _ => self.fail(BuildError::TooLarge),
        }
    }
}

#[cfg(test)]
mod tests;
