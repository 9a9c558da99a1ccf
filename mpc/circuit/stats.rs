//! What a circuit costs, counted from the program.

use crate::{Instruction, Program};

/// Sizes of a circuit. Gates and wires are counted per lane, instructions per plane.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// AND gates.
    pub ands: u64,
    /// Largest number of AND gates on a path: the interactive backend's rounds.
    pub and_depth: u32,
    /// AND gates of each AND instruction, in program order.
    pub ands_per_instruction: Vec<u32>,
    /// All instructions.
    pub instructions: usize,
    /// XOR gates.
    pub xors: u64,
    /// Wires that gathers and concatenations move.
    pub moved: u64,
    /// Input wires.
    pub inputs: u64,
    /// Output wires.
    pub outputs: u64,
    /// Largest number of wires alive at once when planes are dropped after their last use.
    pub peak_live: u64,
}

impl Program {
    /// Number of AND gates.
    pub fn ands(&self) -> u64 {
        let all = self.instructions.iter().zip(&self.lanes);
        all.filter(|(i, _)| matches!(i, Instruction::And(..))).map(|(_, n)| u64::from(*n)).sum()
    }

    /// Counts everything.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { instructions: self.instructions.len(), ..Stats::default() };
        let drops = self.drops();
        let mut live = 0u64;
        let mut depth: Vec<u32> = Vec::with_capacity(self.instructions.len());
        for (at, (instruction, lanes)) in self.instructions.iter().zip(&self.lanes).enumerate() {
            let of = |plane: crate::PlaneId| depth.get(plane.0 as usize).copied().unwrap_or(0);
            let below = instruction.operands().map(of).max().unwrap_or(0);
            let gates = u64::from(*lanes);
            let own = match instruction {
                Instruction::And(..) => {
                    stats.ands += gates;
                    stats.ands_per_instruction.push(*lanes);
                    u32::from(*lanes > 0)
                }
                Instruction::Xor(..) => {
                    stats.xors += gates;
                    0
                }
                Instruction::Gather(..) | Instruction::Concat(_) => {
                    stats.moved += gates;
                    0
                }
                Instruction::Input => {
                    stats.inputs += gates;
                    0
                }
                Instruction::Constant(_) | Instruction::Not(_) => 0,
            };
            depth.push(below + own);
            live += gates;
            stats.peak_live = stats.peak_live.max(live);
            live -= drops.after(at).iter().map(|p| self.lanes_of(*p) as u64).sum::<u64>();
        }
        stats.and_depth = depth.into_iter().max().unwrap_or(0);
        stats.outputs = self.outputs.iter().map(|bundle| self.wires_of(bundle) as u64).sum();
        stats
    }
}

#[cfg(test)]
mod tests {
    use crate::Builder;

    #[test]
    fn a_chain_of_two_ands() {
        let mut b = Builder::new();
        let x = b.input(&[10, 10, 10]);
        let first = b.and(x[0], x[1]);
        let mixed = b.xor(first, x[2]);
        let second = b.and(mixed, x[0]);
        b.output(&[second]);
        let stats = b.finish().unwrap().stats();
        assert_eq!((stats.ands, stats.and_depth, stats.xors), (20, 2, 10));
        assert_eq!((stats.inputs, stats.outputs), (30, 10));
        assert_eq!(stats.ands_per_instruction, vec![10, 10]);
        // Three inputs and the first product; x[1] is dropped then.
        assert_eq!(stats.peak_live, 40);
    }
}
