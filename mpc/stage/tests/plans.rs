//! Circuits and plans that tests run.

use super::{Inputs, party};
use senate_circuit::{
    Backend, Bits, Builder, PartyId, PartySet, PlaneId, Program, Reveal, Source, Stage, StageId,
    VerBit,
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
    let mut b = Builder::new();
    let planes = random_planes(&mut b, seed, bundles, lanes, steps);
    let last: Vec<_> = planes.iter().rev().take(2).copied().collect();
    let one = b.constant(true, 1);
    let odd = b.concat(&[last[0], last[1], one]);
    b.output(&[last[0], odd, planes[0]]);
    b.finish().unwrap()
}

/// As [`random_circuit`], with an output of the same shape as an input and a range check that
/// always holds.
fn carrying_circuit(seed: u64, bundles: usize, lanes: u32) -> Program {
    let mut b = Builder::new();
    let planes = random_planes(&mut b, seed, bundles, lanes, 20);
    let last: Vec<_> = planes.iter().rev().take(2).copied().collect();
    b.output(&[last[1], last[0]]);
    let first = b.map(vec![0]);
    let (x, y) = (b.gather(planes[0], first), b.gather(planes[1], first));
    let both = b.and(x, y);
    let not_y = b.not(y);
    let only = b.and(x, not_y);
    let never = b.and(both, only);
    let ver = b.not(never);
    b.output(&[ver]);
    b.finish().unwrap()
}

fn random_planes(
    b: &mut Builder,
    seed: u64,
    bundles: usize,
    lanes: u32,
    steps: usize,
) -> Vec<PlaneId> {
    let mut noise = Noise::new(seed);
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
    planes
}

/// One node of a tree: its parties, its evaluator, the parties that enter clear inputs here, and
/// the numbers of its children.
pub(super) type Node<'a> = (&'a [usize], usize, &'a [usize], &'a [u32]);

/// A tree of random stages; the last one reveals its result to everybody in it, every other one
/// carries it to its parent; each has a range check that holds.
pub(super) fn tree(nodes: &[Node<'_>], lanes: u32) -> Vec<Stage> {
    let mut slot = 0;
    let stages = nodes.iter().enumerate().map(|(number, (members, e, owners, children))| {
        let set: PartySet = members.iter().map(|index| party(*index)).collect();
        let mut inputs = Vec::new();
        for owner in *owners {
            inputs.push(Source::Owner { party: party(*owner), slot });
            slot += 1;
        }
        let carried = children.iter().map(|id| Source::Child { stage: StageId(*id), bundle: 0 });
        inputs.extend(carried);
        let program = carrying_circuit(number as u64 + 1, inputs.len(), lanes);
        let root = number + 1 == nodes.len();
        let reveals = if root { vec![Reveal { bundle: 0, recipients: set }] } else { vec![] };
        Stage {
            id: StageId(number as u32),
            parties: set,
            backend: Backend::Garbled,
            evaluator: party(*e),
            program,
            inputs,
            ver: vec![VerBit { bundle: 1 }],
            reveals,
        }
    });
    stages.collect()
}

/// One stage in which every party owns one bundle and everybody learns the output.
pub(super) fn lone_stage(set: PartySet, evaluator: PartyId, program: Program) -> Stage {
    let owners = set.iter().enumerate();
    let inputs = owners.map(|(slot, party)| Source::Owner { party, slot }).collect();
    let reveals = vec![Reveal { bundle: 0, recipients: set }];
    let (id, backend) = (StageId(0), Backend::Garbled);
    Stage { id, parties: set, backend, evaluator, program, inputs, ver: vec![], reveals }
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
