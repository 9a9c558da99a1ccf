//! Cutting a program into chunks: the unit in which gates are authenticated, garbled, evaluated and
//! checked. Public and the same at every party.

use crate::garble::Gates;
use crate::garble::table_rows;
use crate::wire::BLOCK_BYTES;
use senate_circuit::{Drops, Instruction, PartySet, PlaneId, Program};
use std::ops::Range;

/// A chunk ends with the instruction that brings it to this many AND gates.
const CHUNK_GATES: usize = 1 << 14;

/// Most chunks that may be garbled but not yet evaluated.
const WINDOW_CHUNKS: usize = 8;

/// As many gates may be garbled but not yet evaluated in a stage of so many parties: the tables of a
/// gate grow with the square of their number. No chunk has more: a wider instruction is split over
/// several.
pub fn window_gates(parties: usize) -> usize {
    match parties {
        0..=4 => 1 << 17,
        5..=8 => 1 << 16,
        9..=16 => 1 << 15,
        _ => CHUNK_GATES,
    }
}

/// A program with what walking it takes.
pub(super) struct Layout<'a> {
    pub(super) program: &'a Program,
    pub(super) drops: Drops,
    pub(super) chunks: Vec<Chunk>,
    parties: usize,
}

/// Consecutive instructions, the first and the last of which may be parts of a wide AND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) number: u64,
    pub(super) instructions: Range<usize>,
    /// Lanes of the first instruction that belong to earlier chunks.
    pub(super) skip: usize,
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
    /// AND of two planes, or of some lanes of them.
    And { at: usize, left: PlaneId, right: PlaneId, gates: Gates, lanes: Lanes },
}

/// Some lanes of an instruction: `start .. start + len` of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) total: usize,
}

impl Lanes {
    /// Whether these are all lanes of the instruction.
    pub(crate) fn whole(self) -> bool {
        self.len == self.total
    }

    /// Whether the instruction is done with these.
    pub(crate) fn last(self) -> bool {
        self.start + self.len == self.total
    }
}

impl Work {
    /// The instruction, if it is done with this work and planes may be dropped.
    pub(super) fn done(self) -> Option<usize> {
        match self {
            Self::Free(at) => Some(at),
            Self::And { at, lanes, .. } => lanes.last().then_some(at),
        }
    }
}

impl<'a> Layout<'a> {
    /// For a stage of so many parties.
    pub(super) fn new(program: &'a Program, parties: usize) -> Self {
        let chunks = chunks(program, CHUNK_GATES, window_gates(parties));
        Self { program, drops: program.drops(), chunks, parties }
    }

    /// How many chunks garbling and authentication may run ahead of evaluation.
    pub(super) fn window(&self) -> usize {
        (window_gates(self.parties) / self.largest().max(1)).clamp(1, WINDOW_CHUNKS)
    }

    /// Gates of the largest chunk.
    fn largest(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.gates).max().unwrap_or(0)
    }

    /// Most bytes that an honest peer of `set` has on the way at a time: the tables of the window
    /// and of the chunk in hand, and a label and some bits per input wire.
    pub(super) fn bytes_ahead(&self, set: PartySet) -> usize {
        let wires: usize = self.program.inputs.iter().map(|b| self.program.wires_of(b)).sum();
        let gates = (self.window() + 1).saturating_mul(self.largest());
        let gate_bytes = (table_rows(set.len()) + 2) * BLOCK_BYTES;
        gates.saturating_mul(gate_bytes).saturating_add(wires.saturating_mul(2 * BLOCK_BYTES))
    }

    /// The instructions of `chunk`, in order.
    pub(super) fn work(&self, chunk: &Chunk) -> impl Iterator<Item = Work> {
        let mut offset = 0;
        chunk.instructions.clone().map(move |at| match self.program.instructions.get(at) {
            Some(Instruction::And(left, right)) => {
                let total = self.program.lanes_of(PlaneId(at as u32));
                let start = if at == chunk.instructions.start { chunk.skip } else { 0 };
                let len = (total - start).min(chunk.gates - offset);
                let gates = Gates { gate: chunk.first_gate + offset as u64, offset, len };
                offset += len;
                let lanes = Lanes { start, len, total };
                Work::And { at, left: *left, right: *right, gates, lanes }
            }
            _ => Work::Free(at),
        })
    }
}

/// Every lane of every instruction belongs to one chunk; there is at least one chunk. No chunk has
/// more than `gates_max` gates.
fn chunks(program: &Program, gates_min: usize, gates_max: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut start, mut skip, mut first_gate, mut gates) = (0, 0, 0, 0);
    let mut close = |instructions: Range<usize>, skip: usize, gates: &mut usize| {
        let number = chunks.len() as u64;
        chunks.push(Chunk { number, instructions, skip, first_gate, gates: *gates });
        first_gate += *gates as u64;
        *gates = 0;
    };
    let count = program.instructions.len();
    for (at, instruction) in program.instructions.iter().enumerate() {
        let lanes = match instruction {
            Instruction::And(..) => program.lanes_of(PlaneId(at as u32)),
            _ => 0,
        };
        let mut done = 0;
        while lanes - done > gates_max - gates {
            done += gates_max - gates;
            gates = gates_max;
            close(start..at + 1, skip, &mut gates);
            (start, skip) = (at, done);
        }
        gates += lanes - done;
        if gates >= gates_min || at + 1 == count {
            close(start..at + 1, skip, &mut gates);
            (start, skip) = (at + 1, 0);
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
        let chunks = chunks(&program, 64, 1000);
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
        assert_eq!(Layout::new(&ands(1, 3), 2).window(), WINDOW_CHUNKS);
        assert_eq!(Layout::new(&ands(1 << 16, 2), 2).window(), 2);
        assert_eq!(Layout::new(&ands(1 << 18, 2), 2).window(), 1);
        // The same memory for more parties.
        assert_eq!(Layout::new(&ands(1 << 14, 2), 16).window(), 2);
        assert_eq!(Layout::new(&ands(1 << 14, 2), 64).window(), 1);
    }

    #[test]
    fn a_wide_instruction_is_split_over_chunks() {
        let program = ands(25, 3);
        let layout = Layout { chunks: chunks(&program, 8, 10), ..Layout::new(&program, 2) };
        let (mut lanes, mut gate) = (Vec::new(), 0);
        for chunk in &layout.chunks {
            assert!(chunk.gates <= 10 && chunk.first_gate == gate);
            for work in layout.work(chunk) {
                if let Work::And { gates, lanes: part, .. } = work {
                    assert_eq!((gates.gate, gates.len), (gate + gates.offset as u64, part.len));
                    lanes.push((part.start, part.len, part.last()));
                }
            }
            gate += chunk.gates as u64;
        }
        let one = [(0, 10, false), (10, 10, false), (20, 5, true)];
        let two = [(0, 5, false), (5, 10, false), (15, 10, true)];
        assert_eq!((lanes.len(), gate), (9, 75));
        assert!(lanes.starts_with(&one) || lanes.starts_with(&two), "{lanes:?}");
        let done = lanes.iter().filter(|(_, _, last)| *last).count();
        assert_eq!((done, lanes.iter().map(|(_, len, _)| len).sum::<usize>()), (3, 75));
        let wide = ands(1 << 20, 1);
        for parties in [2, 8, 16, 64] {
            let layout = Layout::new(&wide, parties);
            assert!(layout.chunks.iter().all(|chunk| chunk.gates <= window_gates(parties)));
        }
    }
}
