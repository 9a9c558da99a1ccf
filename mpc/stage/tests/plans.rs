//! Circuits and plans that tests run.

use super::Inputs;
use senate_circuit::{
    Bits, Builder, PartyId, PartySet, PlaneId, Program, Reveal, Source, Stage, StageId,
};

/// A small generator for circuits and inputs.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }

    pub(super) fn bits(&mut self, len: usize) -> Bits {
        (0..len).map(|_| self.below(2) == 1).collect()
    }
}

/// A random circuit of every kind of instruction over `bundles` inputs of two planes of `lanes`
/// lanes, with one output of three planes and an odd number of lanes in one of them.
pub(super) fn random_circuit(seed: u64, bundles: usize, lanes: u32, steps: usize) -> Program {
    let mut noise = Noise::new(seed);
    let mut b = Builder::new();
    let mut planes: Vec<PlaneId> = Vec::new();
    for _ in 0..bundles {
        planes.extend(b.input(&[lanes, lanes]));
    }
    let public = b.public(&noise.bits(lanes as usize));
    planes.push(public);
    for _ in 0..steps {
        let x = planes[noise.below(planes.len())];
        let y = planes[noise.below(planes.len())];
        let next = match noise.below(7) {
            0..3 => b.and(x, y),
            3 => b.xor(x, y),
            4 => b.not(x),
            5 => {
                let map = (0..lanes).map(|_| noise.below(lanes as usize) as u32).collect();
                let map = b.map(map);
                b.gather(x, map)
            }
            _ => {
                let both = b.concat(&[x, y]);
                let start = noise.below(lanes as usize + 1) as u32;
                let map = b.map((start..start + lanes).collect());
                b.gather(both, map)
            }
        };
        planes.push(next);
    }
    let last: Vec<_> = planes.iter().rev().take(2).copied().collect();
    let odd = b.concat(&[last[0], last[1]]);
    let one = b.constant(true, 1);
    let odd = b.concat(&[odd, one]);
    b.output(&[last[0], odd, planes[0]]);
    b.finish().unwrap()
}

/// One stage in which every party owns one bundle and everybody learns the output.
pub(super) fn lone_stage(set: PartySet, evaluator: PartyId, program: Program) -> Stage {
    let owners = set.iter().enumerate();
    let inputs = owners.map(|(slot, party)| Source::Owner { party, slot }).collect();
    let reveals = vec![Reveal { bundle: 0, recipients: set }];
    Stage { id: StageId(0), parties: set, evaluator, program, inputs, ver: vec![], reveals }
}

/// Random clear inputs for every owned bundle of `plan`.
pub(super) fn inputs_of(plan: &[Stage], seed: u64) -> Inputs {
    let mut noise = Noise::new(seed);
    let mut inputs = Inputs::new();
    for stage in plan {
        for (source, bundle) in stage.inputs.iter().zip(&stage.program.inputs) {
            if let Source::Owner { slot, .. } = source {
                inputs.insert(*slot, noise.bits(stage.program.wires_of(bundle)));
            }
        }
    }
    inputs
}
