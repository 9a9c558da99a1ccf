//! Cutting a program into chunks: the unit in which gates are authenticated, garbled, evaluated and
//! checked. Public and the same at every party.

use crate::garble::Gates;
use senate_circuit::{Drops, Instruction, PlaneId, Program};
use std::ops::Range;

/// A chunk ends with the instruction that brings it to this many AND gates.
const CHUNK_GATES: usize = 1 << 14;

/// Most chunks that may be garbled but not yet evaluated.
const WINDOW_CHUNKS: usize = 8;
/// As many gates may be garbled but not yet evaluated, or one chunk if that has more.
const WINDOW_GATES: usize = 1 << 17;

/// A program with what walking it takes.
pub(super) struct Layout<'a> {
    pub(super) program: &'a Program,
    pub(super) drops: Drops,
    pub(super) chunks: Vec<Chunk>,
}

/// Consecutive instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) number: u64,
    pub(super) instructions: Range<usize>,
    /// Number in the stage of the first AND gate.
    pub(super) first_gate: u64,
    /// AND gates in the chunk.
    pub(super) gates: usize,
}

/// One instruction of a chunk, ANDs with their operands and gate numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Local for every kind of value.
    Free(usize),
    /// AND of two planes.
    And { at: usize, left: PlaneId, right: PlaneId, gates: Gates },
}

impl<'a> Layout<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        Self { program, drops: program.drops(), chunks: chunks(program, CHUNK_GATES) }
    }

    /// How many chunks garbling and authentication may run ahead of evaluation.
    pub(super) fn window(&self) -> usize {
        let largest = self.chunks.iter().map(|chunk| chunk.gates).max().unwrap_or(0);
        (WINDOW_GATES / largest.max(1)).clamp(1, WINDOW_CHUNKS)
    }

    /// The instructions of `chunk`, in order.
    pub(super) fn work(&self, chunk: &Chunk) -> impl Iterator<Item = Work> {
        let mut offset = 0;
        chunk.instructions.clone().map(move |at| match self.program.instructions.get(at) {
            Some(Instruction::And(left, right)) => {
                let len = self.program.lanes_of(PlaneId(at as u32));
                let gates = Gates { gate: chunk.first_gate + offset as u64, offset, len };
                offset += len;
                Work::And { at, left: *left, right: *right, gates }
            }
            _ => Work::Free(at),
        })
    }
}

/// Every instruction belongs to one chunk; there is at least one chunk.
fn chunks(program: &Program, gates_min: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut start, mut first_gate, mut gates) = (0, 0, 0);
    let count = program.instructions.len();
    for (at, instruction) in program.instructions.iter().enumerate() {
        if matches!(instruction, Instruction::And(..)) {
            gates += program.lanes_of(PlaneId(at as u32));
        }
        if gates >= gates_min || at + 1 == count {
            let instructions = start..at + 1;
            chunks.push(Chunk { number: chunks.len() as u64, instructions, first_gate, gates });
            (start, first_gate, gates) = (at + 1, first_gate + gates as u64, 0);
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_circuit::Builder;

    fn ands(lanes: u32, count: usize) -> Program {
        let mut b = Builder::new();
        let inputs = b.input(&[lanes, lanes]);
        let mut plane = inputs[0];
        for _ in 0..count {
            let sum = b.xor(plane, inputs[1]);
            plane = b.and(sum, plane);
        }
        b.output(&[plane]);
        b.finish().unwrap()
    }

    #[test]
    fn chunks_cover_all_instructions_and_gates_in_order() {
        let program = ands(10, 25);
        let chunks = chunks(&program, 64);
        assert_eq!(chunks.iter().map(|chunk| chunk.gates).collect::<Vec<_>>(), [70, 70, 70, 40]);
        let (mut next, mut gate) = (0, 0);
        for (number, chunk) in chunks.iter().enumerate() {
            let at = (chunk.number, chunk.instructions.start, chunk.first_gate);
            assert_eq!(at, (number as u64, next, gate));
            (next, gate) = (chunk.instructions.end, gate + chunk.gates as u64);
        }
        assert_eq!((next, gate), (program.instructions.len(), 250));
    }

    #[test]
    fn the_window_is_bounded_in_gates() {
        assert_eq!(Layout::new(&ands(1, 3)).window(), WINDOW_CHUNKS);
        assert_eq!(Layout::new(&ands(1 << 16, 2)).window(), 2);
        assert_eq!(Layout::new(&ands(1 << 18, 2)).window(), 1);
    }
}
