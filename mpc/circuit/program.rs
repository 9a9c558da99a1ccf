//! The circuit itself: a list of instructions over bit planes in static single assignment form.

mod check;
mod encode;
mod layers;
mod live;

pub use layers::Layers;
pub use live::Drops;

/// A bit plane: the value that instruction number `.0` of a program produces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlaneId(pub u32);

/// An index map of a program, shared by the gathers that use it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MapId(pub u32);

/// Number of lanes of a plane: one lane is one wire.
pub type Lanes = u32;

/// One step of a program; it produces the plane whose id is the step's position.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Instruction {
    /// A plane of the next input bundle that names it.
    Input,
    /// A public bit in every lane. In a built program it feeds only concatenations and outputs.
    Constant(bool),
    /// Lane-wise exclusive or. Free.
    Xor(PlaneId, PlaneId),
    /// Lane-wise conjunction. One AND gate per lane.
    And(PlaneId, PlaneId),
    /// Lane-wise negation. Free.
    Not(PlaneId),
    /// Lane i of the result is lane `map[i]` of the source. Free.
    Gather(PlaneId, MapId),
    /// The lanes of all parts, one after the other. Free.
    Concat(Vec<PlaneId>),
}

/// Planes that enter or leave a program together, such as one relation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bundle {
    /// The planes, in the order in which their bits are given or returned.
    pub planes: Vec<PlaneId>,
}

/// A circuit: instructions, the lanes of each plane, index maps, inputs and outputs.
///
/// Invariants (established by the builder, checked by [`Program::check`]): operands come before
/// their use, lane counts agree, map entries are in range, and every `Input` plane stands in
/// exactly one input bundle.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Program {
    /// The steps, in order.
    pub instructions: Vec<Instruction>,
    /// Lanes of the plane that each instruction produces.
    pub lanes: Vec<Lanes>,
    /// Index maps of the gathers.
    pub maps: Vec<Vec<u32>>,
    /// Input bundles, in the order in which a stage lists their sources.
    pub inputs: Vec<Bundle>,
    /// Output bundles, in the order in which a stage names them.
    pub outputs: Vec<Bundle>,
}

impl Program {
    /// Lanes of `plane`; 0 for a plane that does not exist.
    pub fn lanes_of(&self, plane: PlaneId) -> usize {
        self.lanes.get(plane.0 as usize).map_or(0, |lanes| *lanes as usize)
    }

    /// Number of wires in a bundle: the sum of its planes' lanes.
    pub fn wires_of(&self, bundle: &Bundle) -> usize {
        bundle.planes.iter().map(|plane| self.lanes_of(*plane)).sum()
    }
}
