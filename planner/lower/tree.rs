//! Decomposing an m-way operator into a binary tree over party subsets ([Senate] §5): exhaustive
//! search by cost for few inputs, balanced for many. Deterministic.

use super::error::LowerError;
use super::estimate;
use super::physical::Physical;
use crate::cost::{LinkSnapshot, StageSizes, best_evaluator, stage_cost};
use crate::targets::Rank;
use senate_circuit::{Backend, PartySet};

/// Most inputs for which every binary tree is considered (3^m splits).
const EXHAUSTIVE: usize = 8;

/// What trees are chosen by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costing {
    /// Prices of the links.
    pub links: LinkSnapshot,
}

/// The inputs combined pairwise by `join` in the cheapest tree.
pub(super) fn binary(
    inputs: Vec<Physical>,
    join: &dyn Fn(Physical, Physical) -> Physical,
    costing: &Costing,
) -> Result<Physical, LowerError> {
    binary_with_order(inputs, join, costing).map(|(tree, _)| tree)
}

/// As [`binary`], with the inputs' positions in the order of the tree's leaves.
pub(super) fn binary_with_order(
    inputs: Vec<Physical>,
    join: &dyn Fn(Physical, Physical) -> Physical,
    costing: &Costing,
) -> Result<(Physical, Vec<usize>), LowerError> {
    let shape =
        if inputs.len() <= EXHAUSTIVE { search(&inputs, join, costing) } else { balanced(&inputs) };
    let shape = shape.ok_or_else(|| LowerError::malformed("an operator without inputs"))?;
    let mut order = Vec::new();
    shape.leaves(&mut order);
    let mut slots: Vec<Option<Physical>> = inputs.into_iter().map(Some).collect();
    let tree = shape.build(&mut slots, join);
    tree.map(|tree| (tree, order)).ok_or_else(|| LowerError::malformed("an operator's tree"))
}

/// A binary tree over input positions.
#[derive(Clone, Debug)]
enum Shape {
    Leaf(usize),
    Pair(Box<Shape>, Box<Shape>),
}

impl Shape {
    fn leaves(&self, into: &mut Vec<usize>) {
        match self {
            Self::Leaf(at) => into.push(*at),
            Self::Pair(a, b) => {
                a.leaves(into);
                b.leaves(into);
            }
        }
    }

    fn build(
        &self,
        slots: &mut [Option<Physical>],
        join: &dyn Fn(Physical, Physical) -> Physical,
    ) -> Option<Physical> {
        match self {
            Self::Leaf(at) => slots.get_mut(*at)?.take(),
            Self::Pair(a, b) => {
                let left = a.build(slots, join)?;
                let right = b.build(slots, join)?;
                Some(join(left, right))
            }
        }
    }
}

/// The best tree for a subset of the inputs.
#[derive(Clone)]
struct Best {
    shape: Shape,
    /// The combined relation, its own inputs dropped.
    relation: Physical,
    /// Time until it exists.
    nanos: u64,
    /// Bytes of everything below.
    bytes: u64,
    /// What sending them costs.
    money: u128,
    /// Gates that its consumer's stage must evaluate because it is no stage of its own.
    inline_gates: u64,
}

impl Best {
    fn rank(&self, links: &LinkSnapshot) -> Rank {
        links.targets.rank(self.nanos, self.bytes, self.money)
    }
}

fn search(
    inputs: &[Physical],
    join: &dyn Fn(Physical, Physical) -> Physical,
    costing: &Costing,
) -> Option<Shape> {
    let m = inputs.len();
    let all = (1usize << m).checked_sub(1)?;
    let everyone = Physical::parties_of(inputs);
    let mut best: Vec<Option<Best>> = vec![None; all + 1];
    for subset in 1..=all {
        if subset.is_power_of_two() {
            let at = subset.trailing_zeros() as usize;
            let relation = Physical { inputs: Vec::new(), ..inputs.get(at)?.clone() };
            let shape = Shape::Leaf(at);
            *best.get_mut(subset)? =
                Some(Best { shape, relation, nanos: 0, bytes: 0, money: 0, inline_gates: 0 });
            continue;
        }
        let mut chosen: Option<Best> = None;
        let mut left = (subset - 1) & subset;
        while left > 0 {
            let right = subset ^ left;
            if left > right {
                let pair = (best.get(left)?.as_ref()?, best.get(right)?.as_ref()?);
                let candidate = combined(pair, join, everyone, costing);
                let rank = |best: &Best| best.rank(&costing.links);
                if chosen.as_ref().is_none_or(|chosen| rank(&candidate) < rank(chosen)) {
                    chosen = Some(candidate);
                }
            }
            left = (left - 1) & subset;
        }
        *best.get_mut(subset)? = chosen;
    }
    best.pop()?.map(|best| best.shape)
}

fn combined(
    (left, right): (&Best, &Best),
    join: &dyn Fn(Physical, Physical) -> Physical,
    everyone: PartySet,
    costing: &Costing,
) -> Best {
    let mut relation = join(left.relation.clone(), right.relation.clone());
    let gates = estimate::and_gates(&relation)
        + estimate::ver_gates(&left.relation.shape)
        + estimate::ver_gates(&right.relation.shape)
        + left.inline_gates
        + right.inline_gates;
    let wires = left.relation.shape.wires() + right.relation.shape.wires();
    relation.inputs = Vec::new();
    let shape = Shape::Pair(Box::new(left.shape.clone()), Box::new(right.shape.clone()));
    let (nanos, bytes) = (left.nanos.max(right.nanos), left.bytes + right.bytes);
    let money = left.money + right.money;
    let parties = relation.parties;
    let stage = relation.exact && parties.len() > 1 || parties == everyone;
    let sizes = StageSizes { and_gates: gates, input_wires: wires, ..StageSizes::default() };
    match best_evaluator(parties, Backend::Garbled, &sizes, &costing.links) {
        Some(evaluator) if stage => {
            let cost = stage_cost(parties, Backend::Garbled, evaluator, &sizes, &costing.links);
            let nanos = nanos.saturating_add(cost.nanos);
            let bytes = bytes.saturating_add(cost.total_bytes());
            let money = money + costing.links.targets.price_of(&cost);
            Best { shape, relation, nanos, bytes, money, inline_gates: 0 }
        }
        _ => Best { shape, relation, nanos, bytes, money, inline_gates: gates },
    }
}

/// Repeatedly pairs the two smallest relations, the earlier of equals.
fn balanced(inputs: &[Physical]) -> Option<Shape> {
    let mut queue: Vec<(u64, usize, Shape)> = inputs
        .iter()
        .enumerate()
        .map(|(at, input)| (u64::from(input.shape.rows), at, Shape::Leaf(at)))
        .collect();
    let mut next = queue.len();
    while queue.len() > 1 {
        queue.sort_by_key(|(rows, at, _)| (*rows, *at));
        let mut rest = queue.split_off(2);
        let (b, a) = (queue.pop()?, queue.pop()?);
        rest.push((a.0 + b.0, next, Shape::Pair(Box::new(a.2), Box::new(b.2))));
        next += 1;
        queue = rest;
    }
    queue.pop().map(|(_, _, shape)| shape)
}
