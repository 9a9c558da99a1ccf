//! Layers of AND gates: what the interactive backend computes in one round.

use crate::{Instruction, MapId, PlaneId, Program};

/// Where a program's layers end, and how many gates each has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layers {
    ends: Vec<usize>,
    gates: Vec<u64>,
}

impl Layers {
    /// Per layer the instruction before which it ends: the first that reads one of its gates, or
    /// the end of the program.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// AND gates of each layer.
    pub fn gates(&self) -> &[u64] {
        &self.gates
    }
}

impl Program {
    /// Cuts the program into layers: a layer goes on until an instruction reads one of its gates.
    /// As many as [`Stats::and_depth`](crate::Stats) for a program that is [`Program::in_layers`],
    /// never fewer.
    pub fn layers(&self) -> Layers {
        let mut layers = Layers::default();
        // Per plane the number of layers that must have ended before it is known.
        let mut after: Vec<usize> = Vec::with_capacity(self.instructions.len());
        let mut open: Option<u64> = None;
        for (at, (instruction, lanes)) in self.instructions.iter().zip(&self.lanes).enumerate() {
            let of = |plane: PlaneId| after.get(plane.0 as usize).copied().unwrap_or(0);
            let needed = instruction.operands().map(of).max().unwrap_or(0);
            if needed > layers.ends.len()
                && let Some(gates) = open.take()
            {
                layers.ends.push(at);
                layers.gates.push(gates);
            }
            after.push(match instruction {
                Instruction::And(..) => {
                    *open.get_or_insert(0) += u64::from(*lanes);
                    layers.ends.len() + 1
                }
                _ => needed,
            });
        }
        if let Some(gates) = open {
            layers.ends.push(self.instructions.len());
            layers.gates.push(gates);
        }
        layers
    }

    /// AND gates by depth: those of the layers that [`Program::in_layers`] has.
    pub fn gates_by_depth(&self) -> Vec<u64> {
        let mut gates = Vec::new();
        let all = self.instructions.iter().zip(&self.lanes).zip(self.depths());
        for ((instruction, lanes), depth) in all {
            if matches!(instruction, Instruction::And(..)) {
                gates.resize(gates.len().max(depth as usize), 0);
                let layer = gates.get_mut(depth as usize - 1);
                layer.into_iter().for_each(|gates| *gates += u64::from(*lanes));
            }
        }
        gates
    }

    /// The same circuit with its instructions in the order of layers: every AND as early as its
    /// inputs allow. What is free comes as early or as late as it can, whichever keeps fewer wires
    /// alive at once.
    #[must_use]
    pub fn in_layers(self) -> Self {
        let depths = self.depths();
        let orders = [self.early(&depths), self.late(&depths)].map(|slots| in_order(&slots));
        let [early, late] = orders;
        let order = if self.peak(&late) < self.peak(&early) { late } else { early };
        self.reordered(&order)
    }

    /// Per plane the most AND gates on a path to it.
    fn depths(&self) -> Vec<u32> {
        let mut depths: Vec<u32> = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let of = |plane: PlaneId| depths.get(plane.0 as usize).copied().unwrap_or(0);
            let below = instruction.operands().map(of).max().unwrap_or(0);
            depths.push(below + u32::from(matches!(instruction, Instruction::And(..))));
        }
        depths
    }

    /// Per instruction its slot when everything comes as early as it can: inputs, then by turns
    /// what is free and a layer.
    fn early(&self, depths: &[u32]) -> Vec<u32> {
        let slot = |(instruction, depth): (&Instruction, &u32)| match instruction {
            Instruction::Input => 0,
            Instruction::And(..) => 2 * depth,
            _ => 2 * depth + 1,
        };
        self.instructions.iter().zip(depths).map(slot).collect()
    }

    /// As [`Program::early`], but what is free waits for the first that reads it.
    fn late(&self, depths: &[u32]) -> Vec<u32> {
        let mut slots = self.early(depths);
        let last = slots.iter().copied().max().unwrap_or(0) | 1;
        let mut wanted = vec![last; slots.len()];
        for (at, instruction) in self.instructions.iter().enumerate().rev() {
            let fixed = matches!(instruction, Instruction::Input | Instruction::And(..));
            let (Some(slot), Some(wanted_at)) = (slots.get_mut(at), wanted.get(at).copied()) else {
                continue;
            };
            if !fixed {
                *slot = wanted_at;
            }
            let before = if fixed { slot.saturating_sub(1) } else { *slot };
            for plane in instruction.operands() {
                let slot = wanted.get_mut(plane.0 as usize);
                slot.into_iter().for_each(|slot| *slot = before.min(*slot));
            }
        }
        slots
    }

    /// Most wires alive at once in this order.
    fn peak(&self, order: &[u32]) -> u64 {
        let mut last: Vec<Option<usize>> = vec![None; self.instructions.len()];
        for (position, at) in order.iter().enumerate() {
            let Some(instruction) = self.instructions.get(*at as usize) else { continue };
            let own = [PlaneId(*at)].into_iter();
            for plane in own.chain(instruction.operands()) {
                let slot = last.get_mut(plane.0 as usize);
                slot.into_iter().for_each(|last| *last = Some(position));
            }
        }
        for plane in self.outputs.iter().flat_map(|bundle| &bundle.planes) {
            last.get_mut(plane.0 as usize).into_iter().for_each(|last| *last = None);
        }
        let mut dying = vec![0u64; order.len()];
        for (plane, last) in (0u32..).zip(&last) {
            let slot = last.and_then(|position| dying.get_mut(position));
            slot.into_iter().for_each(|dying| *dying += self.lanes_of(PlaneId(plane)) as u64);
        }
        let (mut live, mut peak) = (0u64, 0);
        for (at, dying) in order.iter().zip(dying) {
            live += self.lanes_of(PlaneId(*at)) as u64;
            peak = peak.max(live);
            live -= dying;
        }
        peak
    }

    /// The instructions in this order, a permutation in which operands come before their use.
    fn reordered(self, order: &[u32]) -> Self {
        let mut ids = vec![PlaneId(u32::MAX); order.len()];
        for (new, old) in (0u32..).zip(order) {
            ids.get_mut(*old as usize).into_iter().for_each(|id| *id = PlaneId(new));
        }
        let plane = |old: PlaneId| ids.get(old.0 as usize).copied().unwrap_or(old);
        let picked = order.iter().filter_map(|at| self.instructions.get(*at as usize));
        let same = |map: MapId| map;
        let instructions = picked.map(|old| old.renumbered(plane, same)).collect();
        let lanes = order.iter().filter_map(|at| self.lanes.get(*at as usize)).copied().collect();
        let [mut inputs, mut outputs] = [self.inputs, self.outputs];
        for slot in inputs.iter_mut().chain(&mut outputs).flat_map(|bundle| &mut bundle.planes) {
            *slot = plane(*slot);
        }
        Self { instructions, lanes, maps: self.maps, inputs, outputs }
    }
}

/// Positions by slot, those of one slot as they are.
fn in_order(slots: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0u32..).take(slots.len()).collect();
    order.sort_by_key(|at| slots.get(*at as usize).copied());
    order
}

#[cfg(test)]
mod tests {
    use crate::{Bits, Builder, Program, Word};

    fn sum_and_order(width: usize) -> Program {
        let mut b = Builder::new();
        let (x, y) = (b.input_word(width, 3), b.input_word(width, 3));
        let sum = b.add(&x, &y);
        let less = b.less_than(&x, &y);
        let min = b.min(&sum, &y);
        b.output(&min.bits);
        b.output(&[less]);
        b.finish().unwrap()
    }

    #[test]
    fn layers_hold_every_gate_once_and_are_as_many_as_the_circuit_is_deep() {
        for width in [1, 2, 5, 16] {
            let program = sum_and_order(width);
            let by_depth = program.gates_by_depth();
            let (ands, depth) = (program.ands(), program.stats().and_depth as usize);
            assert!(program.layers().gates().len() >= depth);
            let layered = program.in_layers();
            let layers = layered.layers();
            assert_eq!((layers.gates(), layers.gates().len()), (&by_depth[..], depth));
            assert_eq!(layers.gates().iter().sum::<u64>(), ands);
            assert_eq!(layered.stats().and_depth as usize, depth);
            assert!(layers.ends().is_sorted() && layers.ends().len() == depth);
        }
    }

    #[test]
    fn the_order_of_layers_computes_the_same_with_the_same_maps() {
        let program = sum_and_order(9);
        let bits: Bits = (0..27).map(|i| i * i % 7 < 3).collect();
        let inputs = [bits.clone(), bits.slice(3, 24)].map(|mut bits| {
            bits.extend_from(&Bits::zeros(27 - bits.len()));
            bits
        });
        let expected = program.evaluate(&inputs).unwrap();
        let maps = program.maps.clone();
        let layered = program.in_layers();
        assert_eq!(layered.evaluate(&inputs).unwrap(), expected);
        assert_eq!(layered.maps, maps);
        assert_eq!(layered.clone().in_layers(), layered);
    }

    #[test]
    fn a_layer_ends_before_what_reads_it() {
        let mut b = Builder::new();
        let x = b.input(&[4, 4, 4]);
        let one = b.and(x[0], x[1]);
        let mixed = b.xor(one, x[2]);
        let two = b.and(x[1], x[2]);
        let three = b.and(mixed, two);
        b.output(&[three]);
        let program = b.finish().unwrap();
        // The exclusive or reads the first gate before the second is written.
        assert_eq!(program.layers().gates(), [4, 4, 4]);
        assert_eq!(program.layers().ends(), [4, 6, 7]);
        let layered = program.in_layers();
        assert_eq!(layered.layers().gates(), [8, 4]);
    }

    #[test]
    fn what_is_free_waits_where_that_keeps_fewer_wires_alive() {
        let mut b = Builder::new();
        let (x, rows) = (b.input_word(6, 1), b.input(&[64])[0]);
        let all = b.all(&x.bits, 1);
        let all = b.repeat(all, 64);
        // Twice as many wires as their source, needed only in the last layer.
        let map = b.map((0..64).rev().collect());
        let turned = b.gather(rows, map);
        let kept = b.and(all, turned);
        let word = Word::bit(kept, 64);
        b.output(&word.bits);
        let late = b.finish().unwrap().in_layers();
        let gather =
            late.instructions.iter().rposition(|i| matches!(i, crate::Instruction::Gather(..)));
        let layers = late.layers();
        assert!(gather >= layers.ends().iter().rev().nth(1).copied(), "{gather:?} {layers:?}");
    }

    #[test]
    fn a_program_without_gates_has_no_layers() {
        let mut b = Builder::new();
        let x = b.input(&[2])[0];
        b.output(&[x]);
        assert_eq!(b.finish().unwrap().layers(), super::Layers::default());
    }
}
