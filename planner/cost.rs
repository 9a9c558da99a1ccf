//! What a stage costs: bytes per link by the formulas of PROTOCOL.md §5, §6 and §7, time and memory
//! from a quantised snapshot of the links. Integers only, so that every party computes the same.

use crate::targets::{Rank, Targets};
use crate::traffic;
use senate_circuit::{Backend, PartyId, PartySet, TreeDepth};
use std::collections::BTreeMap;

/// Statistical security in bits per attempt (PROTOCOL.md §0).
pub(crate) const STATISTICAL: u32 = 40;
/// Computation of a party with two cores per AND gate, …
const NANOS_PER_AND: u64 = 150;
/// … per AND gate and other member of the stage, …
const NANOS_PER_AND_AND_PEER: u64 = 36;
/// … per leaky triple and other member at k = 4, of which a gate takes B, …
const NANOS_PER_LEAKY_AND_PEER: u64 = 54;
/// … with other trees of oblivious transfer, …
const NANOS_AT_DEPTH_2: u64 = 45;
const NANOS_AT_DEPTH_8: u64 = 220;
/// … and per block of the tables of a garbled gate, its mask's share included.
const NANOS_PER_TABLE_BLOCK: u64 = 17;
/// Base OTs, tree expansion and the Δ check: computation of a party per other party of the session.
const SETUP_NANOS_PER_PEER: u64 = 8_000_000;
/// Computation of a party per layer of an interactive stage and other member: a message each way.
const NANOS_PER_LAYER_AND_PEER: u64 = 40_000;
/// Gates after which the layers' MACs are compared (PROTOCOL.md §9).
const BLOCK: u64 = 1 << 17;
/// Computation of a stage beside its gates.
const STAGE_NANOS: u64 = 2_000_000;
/// Messages that wait for each other in a stage, apart from its chunks.
const ROUNDS: u64 = 24;
/// Bytes of a wire's label, mask and MACs that a party holds, per member of the stage.
const BYTES_PER_LIVE_WIRE: u64 = 32;
/// AND gates whose tables are in flight at once (PROTOCOL.md §6).
const WINDOW: u64 = 1 << 16;

/// A price of computation in a plan's predicted time: `senate bench calibrate` measures them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Price {
    /// The constant of this file.
    pub name: &'static str,
    /// What it is the price of.
    pub what: &'static str,
    /// The price.
    pub nanos: u64,
}

/// All prices of computation, in the order of this file.
pub fn prices() -> Vec<Price> {
    let price = |name, what, nanos| Price { name, what, nanos };
    vec![
        price(
            "NANOS_PER_AND",
            "an AND gate beside what grows with the peers, per member of one machine",
            NANOS_PER_AND,
        ),
        price(
            "NANOS_PER_AND_AND_PEER",
            "an AND gate beside its leaky triples and tables, per peer and member of one machine",
            NANOS_PER_AND_AND_PEER,
        ),
        price(
            "NANOS_PER_LEAKY_AND_PEER",
            "a leaky triple, of which a gate takes B, per peer and member of one machine",
            NANOS_PER_LEAKY_AND_PEER,
        ),
        price(
            "NANOS_PER_TABLE_BLOCK",
            "a block of a garbled gate's tables, per member of one machine",
            NANOS_PER_TABLE_BLOCK,
        ),
        price(
            "NANOS_PER_LAYER_AND_PEER",
            "a layer of an interactive stage, per peer",
            NANOS_PER_LAYER_AND_PEER,
        ),
        price(
            "SETUP_NANOS_PER_PEER",
            "opening a session, per peer and member of one machine",
            SETUP_NANOS_PER_PEER,
        ),
        price("STAGE_NANOS", "a stage, beside its gates and its links' delays", STAGE_NANOS),
    ]
}

/// One direction of one link, quantised to powers of two so that two measurements agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Link {
    /// One-way delay.
    pub latency_us: u32,
    /// Throughput.
    pub mbit_per_s: u32,
}

impl Link {
    /// Two processes of one machine.
    pub const LOOPBACK: Self = Self { latency_us: 64, mbit_per_s: 8192 };

    /// Rounded to the next power of two, at least 1.
    pub fn quantised(latency_us: u32, mbit_per_s: u32) -> Self {
        let round = |x: u32| x.max(1).checked_next_power_of_two().unwrap_or(1 << 31);
        Self { latency_us: round(latency_us), mbit_per_s: round(mbit_per_s) }
    }
}

/// Speed of the machine that the prices of computation were measured on, in percent.
pub const SPEED: u32 = 100;
/// Blocks per second that all cores of that machine, at once, hash, multiply and transpose.
pub const SPEED_BLOCKS: u64 = 590_000_000;

/// What a plan was priced with: links, machines, and what is to be small. Part of the agreed digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkSnapshot {
    /// Links that differ from `default`, from the first party to the second.
    pub links: BTreeMap<(PartyId, PartyId), Link>,
    /// Every other link.
    pub default: Link,
    /// Machines that differ from [`SPEED`], in percent.
    pub speeds: BTreeMap<PartyId, u32>,
    /// By what plans are chosen.
    pub targets: Targets,
}

impl Default for LinkSnapshot {
    fn default() -> Self {
        let (links, speeds, targets) = (BTreeMap::new(), BTreeMap::new(), Targets::default());
        Self { links, default: Link::LOOPBACK, speeds, targets }
    }
}

impl LinkSnapshot {
    /// The link from one party to another.
    pub fn link(&self, from: PartyId, to: PartyId) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(self.default)
    }

    /// The speed of a party's machine, in percent.
    pub fn speed(&self, party: PartyId) -> u32 {
        self.speeds.get(&party).copied().unwrap_or(SPEED).max(1)
    }

    /// Rank of a stage's cost among others.
    pub fn rank(&self, cost: &StageCost) -> Rank {
        self.targets.rank(cost.nanos, cost.total_bytes(), self.targets.price_of(cost))
    }

    /// How many of `parties` run on the machine of `of`, itself included if it is one of them.
    pub fn beside(&self, of: PartyId, parties: PartySet) -> u64 {
        let here = |to: &PartyId| *to == of || self.link(of, *to) == Link::LOOPBACK;
        parties.iter().filter(here).count() as u64
    }

    /// Computation of a stage on the slowest of these machines, which all others wait for.
    fn on_slowest(&self, parties: PartySet, nanos: u64) -> u64 {
        let slowest = parties.iter().map(|party| self.speed(party)).min().unwrap_or(SPEED);
        scaled(nanos, slowest)
    }

    /// What so much computation takes on the machine of `party`.
    pub fn on_machine_of(&self, party: PartyId, nanos: u64) -> u64 {
        scaled(nanos, self.speed(party))
    }
}

fn scaled(nanos: u64, percent: u32) -> u64 {
    let nanos = u128::from(nanos) * u128::from(SPEED) / u128::from(percent.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// The public sizes of a stage that its cost depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct StageSizes {
    /// AND gates.
    pub and_gates: u64,
    /// Longest chain of AND gates: the rounds of an interactive stage.
    pub depth: u64,
    /// Bytes in which one party tells another its bits of all layers.
    pub layer_bytes: u64,
    /// Wires that owners put in.
    pub input_wires: u64,
    /// Wires that come from child stages.
    pub soldered_wires: u64,
    /// Wires that are opened.
    pub output_wires: u64,
    /// Most wires alive at once.
    pub live_wires: u64,
}

/// Predicted cost of a stage.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct StageCost {
    /// Bytes per ordered pair of members.
    pub bytes: BTreeMap<(PartyId, PartyId), u64>,
    /// Wall clock; members that loopback links connect share a machine.
    pub nanos: u64,
    /// What one member computes, on a machine of its own at [`SPEED`].
    pub compute_nanos: u64,
    /// Memory at the evaluator.
    pub memory_bytes: u64,
}

impl StageCost {
    /// Bytes that `party` sends.
    pub fn sent_by(&self, party: PartyId) -> u64 {
        let sent = self.bytes.iter().filter(|((from, _), _)| *from == party);
        sent.map(|(_, bytes)| bytes).sum()
    }

    /// Bytes that anybody sends.
    pub fn total_bytes(&self) -> u64 {
        self.bytes.values().sum()
    }
}

/// Bucket size B for `triples` (PROTOCOL.md §5): the least with 2^B · ℓ^(B−1) ≥ 2^40.
pub fn bucket_size(triples: u64) -> u64 {
    let enough = |b: u32| {
        let leak = u128::from(triples.max(2)).saturating_pow(b - 1).saturating_mul(1 << b);
        leak >= 1 << STATISTICAL
    };
    (2..=STATISTICAL).find(|b| enough(*b)).map_or(u64::from(STATISTICAL), u64::from)
}

impl StageSizes {
    /// With the layers of these sizes.
    #[must_use]
    pub fn in_layers(self, gates: &[u64]) -> Self {
        let layer_bytes = gates.iter().map(|gates| (2 * gates).div_ceil(8)).sum();
        Self { depth: gates.len() as u64, layer_bytes, ..self }
    }
}

/// Cost of a stage among `parties` on this backend; a garbled one has this evaluator.
pub fn stage_cost(
    parties: PartySet,
    backend: Backend,
    evaluator: PartyId,
    sizes: &StageSizes,
    links: &LinkSnapshot,
) -> StageCost {
    let n = parties.len() as u64;
    let bits = PairBits::new(n, backend, sizes, links.targets.tree_depth);
    let mut cost = StageCost::default();
    for from in parties.iter() {
        for to in parties.iter().filter(|to| *to != from) {
            cost.bytes.insert((from, to), bits.bytes(to == evaluator));
        }
    }
    cost.compute_nanos = compute(parties, backend, sizes, links);
    cost.nanos = nanos(parties, backend, sizes, links, &cost);
    let window = sizes.and_gates.min(WINDOW);
    cost.memory_bytes = match backend {
        Backend::Garbled => {
            let in_flight = window * (3 * n).saturating_sub(4) * 16;
            sizes.live_wires * BYTES_PER_LIVE_WIRE * n + in_flight * n.saturating_sub(1)
        }
        // A share of a mask per wire; those of both inputs and the product per gate in flight.
        Backend::Interactive => (sizes.live_wires + 3 * sizes.and_gates.min(2 * BLOCK)) * 16 * n,
    };
    cost
}

/// Cost of opening a session among `parties` (PROTOCOL.md §3, §4), before any stage.
pub fn setup_cost(parties: PartySet, links: &LinkSnapshot) -> StageCost {
    let bytes = traffic::session(parties, links.targets.tree_depth).links().clone();
    let mut cost = StageCost { bytes, ..StageCost::default() };
    let peers = parties.len().saturating_sub(1) as u64;
    cost.compute_nanos = SETUP_NANOS_PER_PEER * peers;
    cost.nanos = links.on_slowest(parties, cost.compute_nanos * sharing(parties, links));
    cost
}

/// Bits from one member to another.
struct PairBits {
    every_pair: u64,
    to_evaluator: u64,
    to_garbler: u64,
}

impl PairBits {
    fn bytes(&self, to_evaluator: bool) -> u64 {
        let extra = if to_evaluator { self.to_evaluator } else { self.to_garbler };
        (self.every_pair + extra).div_ceil(8)
    }

    fn new(n: u64, backend: Backend, sizes: &StageSizes, depth: TreeDepth) -> Self {
        let cot = depth.trees() as u64;
        let bucket = bucket_size(sizes.and_gates);
        let triple = bucket * (3 * cot + 65) + bucket.saturating_sub(1);
        let entering = sizes.input_wires + sizes.soldered_wires;
        // Far more than can run: products stay within 64 bits, however absurd the capacities.
        let gates = sizes.and_gates.min(1 << 48);
        let every_pair =
            gates * triple + entering * (cot + 1) + sizes.input_wires + sizes.output_wires;
        if backend == Backend::Interactive {
            let checks = 1 + gates / BLOCK;
            let layers = 8 * sizes.layer_bytes + 128 * checks;
            return Self { every_pair: every_pair + layers, to_evaluator: 0, to_garbler: 0 };
        }
        let tables = gates * (3 * n).saturating_sub(4) * 128;
        Self {
            // A mask, and the openings of a product.
            every_pair: every_pair + gates * (cot + 2),
            to_evaluator: tables + entering * 128,
            to_garbler: gates.div_ceil(n.max(1)),
        }
    }
}

/// Computation of one member on a machine of its own.
fn compute(parties: PartySet, backend: Backend, sizes: &StageSizes, links: &LinkSnapshot) -> u64 {
    let n = parties.len() as u64;
    let peers = n.saturating_sub(1);
    let leaky = match links.targets.tree_depth {
        TreeDepth::Two => NANOS_AT_DEPTH_2,
        TreeDepth::Four => NANOS_PER_LEAKY_AND_PEER,
        TreeDepth::Eight => NANOS_AT_DEPTH_8,
    };
    let per_peer = NANOS_PER_AND_AND_PEER + bucket_size(sizes.and_gates) * leaky;
    let (tables, layers) = match backend {
        Backend::Garbled => (NANOS_PER_TABLE_BLOCK * (3 * n).saturating_sub(4), 0),
        Backend::Interactive => (0, sizes.depth),
    };
    let gates = sizes.and_gates.saturating_mul(NANOS_PER_AND + peers * per_peer + tables);
    gates.saturating_add(layers * NANOS_PER_LAYER_AND_PEER * peers)
}

fn nanos(
    parties: PartySet,
    backend: Backend,
    sizes: &StageSizes,
    links: &LinkSnapshot,
    cost: &StageCost,
) -> u64 {
    let compute = cost.compute_nanos.saturating_mul(sharing(parties, links));
    let compute = links.on_slowest(parties, compute);
    let transfer =
        cost.bytes.iter().map(|((from, to), bytes)| transfer_nanos(links.link(*from, *to), *bytes));
    let latency = cost.bytes.keys().map(|(from, to)| links.link(*from, *to).latency_us);
    let latency = u64::from(latency.max().unwrap_or(0)) * 1_000;
    let rounds = match backend {
        Backend::Garbled => 2 * sizes.and_gates.div_ceil(WINDOW),
        // Layers, rounds more of wide ones, checks of blocks.
        Backend::Interactive => sizes.depth + 2 * (sizes.and_gates / BLOCK),
    };
    let waiting = (ROUNDS + rounds).saturating_mul(latency).saturating_add(STAGE_NANOS);
    compute.saturating_add(transfer.max().unwrap_or(0)).saturating_add(waiting)
}

/// Most members that share one machine: those that a loopback link connects.
fn sharing(parties: PartySet, links: &LinkSnapshot) -> u64 {
    parties.iter().map(|of| links.beside(of, parties)).max().unwrap_or(0).max(1)
}

fn transfer_nanos(link: Link, bytes: u64) -> u64 {
    bytes.saturating_mul(8_000) / u64::from(link.mbit_per_s.max(1))
}

/// The member that should evaluate a stage: who makes it rank best, the leader among equals. What it
/// decides is which links the tables take, and who pays for sending them.
pub fn best_evaluator(
    parties: PartySet,
    backend: Backend,
    sizes: &StageSizes,
    links: &LinkSnapshot,
) -> Option<PartyId> {
    let alike = links.links.is_empty() && links.targets.egress.is_empty();
    if alike || backend == Backend::Interactive {
        return parties.leader();
    }
    let depth = links.targets.tree_depth;
    let bits = PairBits::new(parties.len() as u64, backend, sizes, depth);
    let rank = |evaluator: PartyId| {
        let (mut nanos, mut money) = (0, 0);
        for from in parties.iter() {
            for to in parties.iter().filter(|to| *to != from) {
                let bytes = bits.bytes(to == evaluator);
                nanos = transfer_nanos(links.link(from, to), bytes).max(nanos);
                money += links.targets.price(from, bytes);
            }
        }
        // Every member receives the tables or sends them: the sum of all bytes is the same.
        links.targets.rank(nanos, 0, money)
    };
    let better =
        |best: (Rank, PartyId), next: (Rank, PartyId)| if next.0 < best.0 { next } else { best };
    parties.iter().map(|party| (rank(party), party)).reduce(better).map(|(_, party)| party)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_sizes_are_those_of_the_protocol() {
        let table = [(370_728, 3), (370_727, 4), (4_096, 4), (4_095, 5), (431, 5), (112, 6)];
        for (triples, bucket) in table {
            assert_eq!(bucket_size(triples), bucket, "{triples}");
        }
        assert_eq!(bucket_size(46), 7);
    }

    #[test]
    fn two_parties_send_less_than_four() {
        let sizes = StageSizes { and_gates: 400_000, ..StageSizes::default() };
        let links = LinkSnapshot::default();
        let cost = |n| {
            let parties = PartySet::first(n);
            let evaluator = best_evaluator(parties, Backend::Garbled, &sizes, &links).unwrap();
            stage_cost(parties, Backend::Garbled, evaluator, &sizes, &links)
        };
        let evaluator = best_evaluator(PartySet::first(4), Backend::Garbled, &sizes, &links);
        assert_eq!(evaluator, PartyId::new(0));
        let per_and = cost(2).sent_by(PartyId::new(1).unwrap()) / 400_000;
        assert!((90..105).contains(&per_and), "{per_and}");
        assert!(cost(4).total_bytes() > 4 * cost(2).total_bytes());
        assert!(cost(4).nanos > cost(2).nanos);
        // All on one machine with two cores: about 1.3, 0.53 and 0.28 million AND gates per second.
        for (n, rate) in [(2, 1_300_000), (3, 530_000), (4, 280_000)] {
            let predicted = 400_000_000_000_000 / cost(n).nanos;
            assert!((rate * 3 / 4..rate * 5 / 4).contains(&predicted), "{n}: {predicted}");
        }
        let setup = setup_cost(PartySet::first(3), &links);
        assert_eq!((setup.total_bytes(), setup.nanos), (67_590, 48_000_000));
    }
}
