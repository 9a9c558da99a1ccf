//! What can be wrong with a circuit, as [`crate::Builder`] and [`crate::Program::check`] report it.

use crate::{MapId, PlaneId};
use std::fmt;

/// Why a circuit is malformed. Circuits are written by this party's own planner, so any of these is
/// a defect of the caller and never the effect of somebody's data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BuildError {
    /// A plane that does not exist, or that comes after its use.
    UnknownPlane(PlaneId),
    /// An index map that does not exist.
    UnknownMap(MapId),
    /// Operands of one instruction with different numbers of lanes.
    LanesDiffer {
        /// Lanes of the first operand.
        left: u32,
        /// Lanes of the second operand, or the declared lanes of the result.
        right: u32,
    },
    /// A gather that reads past the end of its source.
    LaneOutOfRange {
        /// The lane asked for.
        lane: u32,
        /// Lanes of the source.
        lanes: u32,
    },
    /// Operands of one gadget with different shapes: columns or bits.
    WidthsDiffer {
        /// Width of the first operand.
        left: usize,
        /// Width of the second operand.
        right: usize,
    },
    /// A column position past the end of a relation's columns.
    UnknownColumn(usize),
    /// More planes, lanes or index maps than 32 bits can number.
    TooLarge,
    /// An input plane that stands in no input bundle, or in two, or a bundle naming another plane.
    InputBundle(PlaneId),
    /// A program whose `lanes` and `instructions` have different lengths.
    Shape,
    /// An evaluation got a number of input planes or bits other than the program declares.
    Inputs,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlane(plane) => write!(f, "plane {} is not defined here", plane.0),
            Self::UnknownMap(map) => write!(f, "index map {} is not defined", map.0),
            Self::LanesDiffer { left, right } => write!(f, "{left} lanes meet {right} lanes"),
            Self::LaneOutOfRange { lane, lanes } => write!(f, "lane {lane} of {lanes} lanes"),
            Self::WidthsDiffer { left, right } => write!(f, "width {left} meets width {right}"),
            Self::UnknownColumn(column) => write!(f, "no column {column}"),
            Self::TooLarge => write!(f, "circuit too large"),
            Self::InputBundle(plane) => write!(f, "plane {} is not in one input bundle", plane.0),
            Self::Shape => write!(f, "one lane count per instruction is needed"),
            Self::Inputs => write!(f, "inputs do not fit the program"),
        }
    }
}

impl std::error::Error for BuildError {}
