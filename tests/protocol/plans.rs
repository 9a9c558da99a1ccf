//! Circuits, plans and inputs that the tests run, and what the plans compute in the clear.

use senate_circuit::{
    Backend, Bits, Builder, PartyId, PartySet, PlaneId, Program, Reveal, Source, Stage, StageId,
    VerBit,
};
use senate_mpc::Outputs;
use std::collections::BTreeMap;

/// Clear inputs by slot; slots are numbered through a whole plan.
pub(crate) type Inputs = BTreeMap<usize, Bits>;

/// The party at position `index`.
pub(crate) fn party(index: usize) -> PartyId {
    PartyId::new(index).unwrap()
}

/// The set of these positions.
pub(crate) fn set_of(members: &[usize]) -> PartySet {
    members.iter().map(|index| party(*index)).collect()
}

/// A small generator for circuits and inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }

    pub(crate) fn bits(&mut self, len: usize) -> Bits {
        (0..len).map(|_| self.below(2) == 1).collect()
    }
}

/// What `me` owns of `inputs`.
pub(crate) fn own_inputs(plan: &[Stage], inputs: &Inputs, me: PartyId) -> Inputs {
    let sources = plan.iter().flat_map(|stage| &stage.inputs);
    let own = sources.filter_map(|source| match source {
        Source::Owner { party, slot } if *party == me => Some((*slot, inputs[slot].clone())),
        _ => None,
    });
    own.collect()
}

/// What `me` learns of `plan`, computed in the clear.
pub(crate) fn reference(plan: &[Stage], inputs: &Inputs, me: PartyId) -> Outputs {
    let mut results: BTreeMap<StageId, Vec<Bits>> = BTreeMap::new();
    let mut revealed = Outputs::new();
    for stage in plan {
        let sources = stage.inputs.iter().map(|source| match source {
            Source::Owner { slot, .. } => inputs[slot].clone(),
            Source::Child { stage, bundle } => results[stage][*bundle].clone(),
        });
        let outputs = stage.program.evaluate(&sources.collect::<Vec<_>>()).unwrap();
        for reveal in stage.reveals.iter().filter(|reveal| reveal.recipients.contains(me)) {
            revealed.insert((stage.id, reveal.bundle), outputs[reveal.bundle].clone());
        }
        results.insert(stage.id, outputs);
    }
    revealed
}

/// Random clear inputs for every owned bundle of `plan`.
pub(crate) fn inputs_of(plan: &[Stage], seed: u64) -> Inputs {
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

/// One stage in which every party owns one bundle and everybody learns the first output.
pub(crate) fn lone_stage(set: PartySet, evaluator: PartyId, program: Program) -> Stage {
    let owners = set.iter().enumerate();
    let inputs = owners.map(|(slot, party)| Source::Owner { party, slot }).collect();
    let reveals = vec![Reveal { bundle: 0, recipients: set }];
    let (id, backend) = (StageId(0), Backend::Garbled);
    Stage { id, parties: set, backend, evaluator, program, inputs, ver: vec![], reveals }
}

/// The plan of the sweep: P1 and P2 compute on a byte each; with P3 they add its byte under new
/// masks; then the same three go on with another evaluator, P2 enters another byte, and one bundle
/// goes to everybody, one to P3 alone. Every stage has a range check that holds.
pub(crate) fn sweep_plan() -> Vec<Stage> {
    let mut last = mixing_stage(2, &[0, 1, 2], 2, [carried(1), owner(1, 3)]);
    last.reveals = vec![
        Reveal { bundle: 0, recipients: set_of(&[0, 1, 2]) },
        Reveal { bundle: 2, recipients: set_of(&[2]) },
    ];
    vec![
        mixing_stage(0, &[0, 1], 1, [owner(0, 0), owner(1, 1)]),
        mixing_stage(1, &[0, 1, 2], 0, [carried(0), owner(2, 2)]),
        last,
    ]
}

/// Two parties, two stages, each evaluated by another one.
pub(crate) fn plan_of_two() -> Vec<Stage> {
    let mut last = mixing_stage(1, &[0, 1], 0, [carried(0), owner(0, 2)]);
    last.reveals = vec![Reveal { bundle: 0, recipients: set_of(&[0, 1]) }];
    vec![mixing_stage(0, &[0, 1], 1, [owner(0, 0), owner(1, 1)]), last]
}

/// Two pairs whose results four parties join.
pub(crate) fn plan_of_four() -> Vec<Stage> {
    let mut last = mixing_stage(2, &[0, 1, 2, 3], 3, [carried(0), carried(1)]);
    last.reveals = vec![Reveal { bundle: 0, recipients: set_of(&[0, 1, 2, 3]) }];
    vec![
        mixing_stage(0, &[0, 1], 1, [owner(0, 0), owner(1, 1)]),
        mixing_stage(1, &[2, 3], 2, [owner(2, 2), owner(3, 3)]),
        last,
    ]
}

/// The plan with its stages on these backends, interactive ones layer by layer.
pub(crate) fn on_backends(
    mut plan: Vec<Stage>,
    backends: impl IntoIterator<Item = Backend>,
) -> Vec<Stage> {
    for (stage, backend) in plan.iter_mut().zip(backends) {
        stage.backend = backend;
        if backend == Backend::Interactive {
            stage.program = std::mem::take(&mut stage.program).in_layers();
        }
    }
    plan
}

/// The plan of the sweep with its second stage in rounds: a garbled pair enters it, and a garbled
/// stage of the same three goes on.
pub(crate) fn sweep_plan_in_rounds() -> Vec<Stage> {
    use Backend::{Garbled, Interactive};
    on_backends(sweep_plan(), [Garbled, Interactive, Garbled])
}

fn owner(index: usize, slot: usize) -> Source {
    Source::Owner { party: party(index), slot }
}

fn carried(stage: u32) -> Source {
    Source::Child { stage: StageId(stage), bundle: 0 }
}

fn mixing_stage(id: u32, members: &[usize], e: usize, inputs: [Source; 2]) -> Stage {
    Stage {
        id: StageId(id),
        parties: set_of(members),
        backend: Backend::Garbled,
        evaluator: party(e),
        program: mixing_circuit(),
        inputs: inputs.to_vec(),
        ver: vec![VerBit { bundle: 1 }],
        reveals: vec![],
    }
}

/// Two bytes x and y: x ⊕ turned(x∧y); a bit that is always 1 (two more ANDs); x∧y.
fn mixing_circuit() -> Program {
    let mut b = Builder::new();
    let (x, y) = (b.input(&[8])[0], b.input(&[8])[0]);
    let both = b.and(x, y);
    let turn = b.map(vec![3, 4, 5, 6, 7, 0, 1, 2]);
    let turned = b.gather(both, turn);
    let mixed = b.xor(x, turned);
    b.output(&[mixed]);
    let first = b.map(vec![0]);
    let (x, y) = (b.gather(x, first), b.gather(y, first));
    let (both, not_y) = (b.gather(both, first), b.not(y));
    let only = b.and(x, not_y);
    let never = b.and(both, only);
    let ver = b.not(never);
    b.output(&[ver]);
    let all: Vec<PlaneId> = vec![turned];
    b.output(&all);
    b.finish().unwrap()
}

/// A random circuit of every kind of instruction over `bundles` inputs of two planes of `lanes`
/// lanes, with an output of three planes of which one has an odd number of lanes.
pub(crate) fn random_circuit(seed: u64, bundles: usize, lanes: u32, steps: usize) -> Program {
    let mut b = Builder::new();
    let planes = random_planes(&mut b, seed, bundles, lanes, steps);
    let last: Vec<_> = planes.iter().rev().take(2).copied().collect();
    let one = b.constant(true, 1);
    let odd = b.concat(&[last[0], last[1], one]);
    b.output(&[last[0], odd, planes[0]]);
    b.finish().unwrap()
}

/// As [`random_circuit`], with an output of the shape of an input and a range check that holds.
fn carrying_circuit(seed: u64, bundles: usize, lanes: u32) -> Program {
    let mut b = Builder::new();
    let planes = random_planes(&mut b, seed, bundles, lanes, 12);
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
                b.slice(both, start, lanes)
            }
        };
        planes.push(next);
    }
    planes
}

/// One node of a tree: its members, its evaluator, who enters clear inputs here, its children.
pub(crate) type Node = (Vec<usize>, usize, Vec<usize>, Vec<u32>);

/// A tree of random stages; the last reveals its result to everybody in it, every other one
/// carries it to its parent; each has a range check that holds.
pub(crate) fn tree(nodes: &[Node], lanes: u32) -> Vec<Stage> {
    let mut slot = 0;
    let stages = nodes.iter().enumerate().map(|(number, (members, e, owners, children))| {
        let parties = set_of(members);
        let mut inputs = Vec::new();
        for owner in owners {
            inputs.push(Source::Owner { party: party(*owner), slot });
            slot += 1;
        }
        let carried = children.iter().map(|id| Source::Child { stage: StageId(*id), bundle: 0 });
        inputs.extend(carried);
        let program = carrying_circuit(number as u64 + 1, inputs.len(), lanes);
        let root = number + 1 == nodes.len();
        let reveals = if root { vec![Reveal { bundle: 0, recipients: parties }] } else { vec![] };
        let (id, evaluator) = (StageId(number as u32), party(*e));
        let (backend, ver) = (Backend::Garbled, vec![VerBit { bundle: 1 }]);
        Stage { id, parties, backend, evaluator, program, inputs, ver, reveals }
    });
    stages.collect()
}
