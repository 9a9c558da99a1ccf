//! Clear evaluation: the oracle that every other way of running a circuit must agree with.

use crate::{Bits, BuildError, Bundle, Instruction, PlaneId, Program};

impl Program {
    /// Output bundles for these input bundles, in the clear. A bundle is one `Bits`: its planes'
    /// lanes one after the other, so it has [`Program::wires_of`] bits. Word-parallel; planes are
    /// dropped after their last use.
    ///
    /// # Errors
    /// [`BuildError::Inputs`] when the inputs do not fit; anything of [`Program::check`].
    pub fn evaluate(&self, inputs: &[Bits]) -> Result<Vec<Bits>, BuildError> {
        self.check()?;
        let mut planes: Vec<Bits> = vec![Bits::default(); self.instructions.len()];
        self.split_inputs(inputs, &mut planes)?;
        let drops = self.drops();
        for (at, instruction) in self.instructions.iter().enumerate() {
            let value = self.step(instruction, self.lanes_at(at), &planes);
            if let (Some(slot), Some(value)) = (planes.get_mut(at), value) {
                *slot = value;
            }
            for plane in drops.after(at) {
                planes.get_mut(plane.0 as usize).into_iter().for_each(|p| *p = Bits::default());
            }
        }
        Ok(self.outputs.iter().map(|bundle| joined(bundle, &planes)).collect())
    }

    fn split_inputs(&self, inputs: &[Bits], planes: &mut [Bits]) -> Result<(), BuildError> {
        if inputs.len() != self.inputs.len() {
            return Err(BuildError::Inputs);
        }
        for (bundle, bits) in self.inputs.iter().zip(inputs) {
            if bits.len() != self.wires_of(bundle) {
                return Err(BuildError::Inputs);
            }
            let mut start = 0;
            for plane in &bundle.planes {
                let lanes = self.lanes_of(*plane);
                if let Some(slot) = planes.get_mut(plane.0 as usize) {
                    *slot = bits.slice(start, lanes);
                }
                start += lanes;
            }
        }
        Ok(())
    }

    fn lanes_at(&self, at: usize) -> usize {
        self.lanes.get(at).map_or(0, |lanes| *lanes as usize)
    }

    /// The value of one instruction; `None` for an input, which is there already.
    fn step(&self, instruction: &Instruction, lanes: usize, planes: &[Bits]) -> Option<Bits> {
        let words = |plane: &PlaneId| value(planes, *plane).words().iter().copied();
        let pack = |words: Vec<u64>| Some(Bits::from_words(words, lanes));
        match instruction {
            Instruction::Input => None,
            Instruction::Constant(bit) => Some(Bits::repeat(*bit, lanes)),
            Instruction::Xor(a, b) => pack(words(a).zip(words(b)).map(|(a, b)| a ^ b).collect()),
            Instruction::And(a, b) => pack(words(a).zip(words(b)).map(|(a, b)| a & b).collect()),
            Instruction::Not(a) => pack(words(a).map(|a| !a).collect()),
            Instruction::Gather(a, map) => {
                let source = value(planes, *a);
                let map = self.maps.get(map.0 as usize).map(Vec::as_slice).unwrap_or_default();
                let word = |chunk: &[u32]| {
                    chunk
                        .iter()
                        .rev()
                        .fold(0, |word, lane| word << 1 | u64::from(source.bit(*lane as usize)))
                };
                pack(map.chunks(64).map(word).collect())
            }
            Instruction::Concat(parts) => {
                let mut bits = Bits::default();
                parts.iter().for_each(|part| bits.extend_from(value(planes, *part)));
                Some(bits)
            }
        }
    }
}

fn joined(bundle: &Bundle, planes: &[Bits]) -> Bits {
    let mut bits = Bits::default();
    bundle.planes.iter().for_each(|plane| bits.extend_from(value(planes, *plane)));
    bits
}

fn value(planes: &[Bits], plane: PlaneId) -> &Bits {
    static EMPTY: std::sync::LazyLock<Bits> = std::sync::LazyLock::new(Bits::default);
    planes.get(plane.0 as usize).unwrap_or(&EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    #[test]
    fn every_instruction_around_word_borders() {
        for lanes in [0u32, 1, 63, 64, 65, 130] {
            let mut b = Builder::new();
            let x = b.input(&[lanes, lanes]);
            let xor = b.xor(x[0], x[1]);
            let and = b.and(x[0], x[1]);
            let not = b.not(x[0]);
            let reversed = b.map((0..lanes).rev().collect());
            let turned = b.gather(x[1], reversed);
            let one = b.constant(true, 3);
            let joined = b.concat(&[x[0], one, x[1]]);
            b.output(&[xor, and, not]);
            b.output(&[turned]);
            b.output(&[joined]);
            let program = b.finish().unwrap();
            let p: Bits = (0..lanes).map(|i| i % 3 == 0).collect();
            let q: Bits = (0..lanes).map(|i| i % 5 < 2).collect();
            let mut input = p.clone();
            input.extend_from(&q);
            let out = program.evaluate(&[input]).unwrap();
            let (p, q): (Vec<bool>, Vec<bool>) = (p.iter().collect(), q.iter().collect());
            let each = |f: fn(bool, bool) -> bool| {
                p.iter().zip(&q).map(move |(p, q)| f(*p, *q)).collect::<Vec<_>>()
            };
            let all = [each(|p, q| p ^ q), each(|p, q| p & q), each(|p, _| !p)].concat();
            assert_eq!(out[0].iter().collect::<Vec<_>>(), all);
            assert!(out[1].iter().eq(q.iter().rev().copied()));
            assert!(out[2].iter().eq(p.iter().copied().chain([true; 3]).chain(q.clone())));
        }
    }

    #[test]
    fn inputs_of_another_shape_are_refused() {
        let mut b = Builder::new();
        let x = b.input(&[4]);
        b.output(&x);
        let program = b.finish().unwrap();
        assert_eq!(program.evaluate(&[]), Err(BuildError::Inputs));
        assert_eq!(program.evaluate(&[Bits::zeros(5)]), Err(BuildError::Inputs));
    }
}
