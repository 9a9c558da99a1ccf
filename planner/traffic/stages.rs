//! A stage's own messages (PROTOCOL.md §6, §7): inputs, soldering, chunks, range checks, outputs.

use super::batches::parties_of;
use super::{BLOCK, DIGEST, Traffic, packed};
use senate_circuit::{
    Backend, Instruction, PartyId, PartySet, PlaneId, Program, Source, Stage, StageId,
};

/// A chunk ends with the instruction that brings it to this many AND gates.
const CHUNK_GATES: u64 = 1 << 14;
/// A block of layers ends with the one that brings it to this many AND gates.
const BLOCK_GATES: u64 = 1 << 17;

/// Gates that may be garbled but not yet evaluated in a stage of so many parties; no chunk has more.
pub fn window_gates(parties: usize) -> u64 {
    match parties {
        0..=4 => 1 << 17,
        5..=8 => 1 << 16,
        9..=16 => 1 << 15,
        _ => CHUNK_GATES,
    }
}

/// What a stage sends, preprocessing not included; its children are among `stages`.
pub fn stage(stage: &Stage, stages: &[Stage]) -> Traffic {
    let mut traffic = Traffic::default();
    let entered = inputs(stage, &mut traffic);
    let soldered = solder(stage, stages, &mut traffic);
    match stage.backend {
        Backend::Garbled => {
            let chunks = chunks(&stage.program, window_gates(stage.parties.len()));
            // Openings for the products, and their MACs.
            chunks.iter().for_each(|gates| traffic.exchange(stage.parties, packed(2 * gates)));
            if !chunks.is_empty() {
                traffic.exchange(stage.parties, BLOCK);
            }
            chunks.iter().for_each(|gates| chunk(stage, *gates, &mut traffic));
            for garbler in stage.parties.without(stage.evaluator).iter() {
                // Labels of what enters, and the share of the gate check.
                traffic.send(garbler, stage.evaluator, (entered + soldered) * BLOCK + BLOCK);
            }
        }
        Backend::Interactive => layers(stage, &mut traffic),
    }
    release(stage, &mut traffic);
    traffic
}

/// Two bits per gate to all, layer by layer, and MACs after every block of layers (PROTOCOL.md §9).
fn layers(stage: &Stage, traffic: &mut Traffic) {
    let (mut bytes, mut unchecked) = (0, 0);
    for gates in stage.program.layers().gates() {
        bytes += packed(2 * gates);
        unchecked += gates;
        if unchecked >= BLOCK_GATES {
            (bytes, unchecked) = (bytes + BLOCK, 0);
        }
    }
    let last = if unchecked > 0 { BLOCK } else { 0 };
    traffic.exchange(stage.parties, bytes + last);
}

/// Bits and MACs of each owner's masks to it, its challenge, its masked input, an echo; the wires.
fn inputs(stage: &Stage, traffic: &mut Traffic) -> u64 {
    let mut all = 0;
    for owner in stage.parties.iter() {
        let own =
            stage.program.inputs.iter().zip(&stage.inputs).filter(
                |(_, source)| matches!(source, Source::Owner { party, .. } if *party == owner),
            );
        let wires: u64 = own.map(|(bundle, _)| stage.program.wires_of(bundle) as u64).sum();
        opened_to(owner, stage.parties, wires, traffic);
        traffic.send_all(owner, stage.parties, packed(wires));
        all += wires;
    }
    if all > 0 {
        traffic.exchange(stage.parties, DIGEST);
    }
    all
}

/// OpenTo: bits and a MAC to `owner`, its challenge to everybody.
fn opened_to(owner: PartyId, set: PartySet, bits: u64, traffic: &mut Traffic) {
    if bits > 0 {
        let others = set.without(owner);
        others.iter().for_each(|from| traffic.send(from, owner, packed(bits) + BLOCK));
        traffic.send_all(owner, set, BLOCK);
    }
}

/// What crosses from earlier stages; the wires that get fresh labels.
fn solder(stage: &Stage, stages: &[Stage], traffic: &mut Traffic) -> u64 {
    let set = stage.parties;
    let (mut crossing, mut relabelled) = (0, 0);
    let mut concerned = PartySet::EMPTY;
    for (bundle, source) in stage.program.inputs.iter().zip(&stage.inputs) {
        let Source::Child { stage: child, .. } = source else { continue };
        let wires = stage.program.wires_of(bundle) as u64;
        match parties_of(*child, stages) {
            Some(members) if members != set => {
                crossing += wires;
                concerned = concerned.union(members);
                // The carried value from its leader, a digest from its other members.
                for member in members.iter() {
                    let leads = members.leader() == Some(member);
                    let bytes = if leads { packed(wires) } else { DIGEST };
                    let outside = set.minus(members);
                    outside.iter().for_each(|to| traffic.send(member, to, bytes));
                }
            }
            _ if garbled_by(*child, stages) != Some(stage.evaluator) => relabelled += wires,
            _ => {}
        }
    }
    if crossing > 0 {
        // The parties' bits and an echo; MACs to everybody who was in an earlier stage.
        traffic.exchange(set, packed(crossing) + DIGEST);
        for to in concerned.iter() {
            set.without(to).iter().for_each(|from| traffic.send(from, to, BLOCK));
        }
    }
    crossing + relabelled
}

/// The evaluator of an earlier stage, if it was garbled.
fn garbled_by(id: StageId, stages: &[Stage]) -> Option<PartyId> {
    let stage = stages.iter().find(|stage| stage.id == id);
    stage.filter(|stage| stage.backend == Backend::Garbled).map(|stage| stage.evaluator)
}

/// Tables, colours, the evaluator's report.
fn chunk(stage: &Stage, gates: u64, traffic: &mut Traffic) {
    let rows = (3 * stage.parties.len() as u64).saturating_sub(4);
    let garblers = stage.parties.without(stage.evaluator);
    for garbler in garblers.iter() {
        traffic.send(garbler, stage.evaluator, gates * rows * BLOCK);
        traffic.send(stage.evaluator, garbler, packed(gates) + BLOCK + DIGEST);
    }
    if let Some(first) = garblers.leader() {
        traffic.send(first, stage.evaluator, packed(gates));
    }
}

/// Range checks to all, outputs to their recipients.
fn release(stage: &Stage, traffic: &mut Traffic) {
    let wires = |bundle: usize| {
        let bundle = stage.program.outputs.get(bundle);
        bundle.map_or(0, |bundle| stage.program.wires_of(bundle) as u64)
    };
    let checks: u64 = stage.ver.iter().map(|ver| wires(ver.bundle)).sum();
    if checks > 0 {
        traffic.exchange(stage.parties, packed(checks) + BLOCK);
    }
    for recipient in stage.parties.iter() {
        let own = stage.reveals.iter().filter(|reveal| reveal.recipients.contains(recipient));
        let bits = own.map(|reveal| wires(reveal.bundle)).sum();
        opened_to(recipient, stage.parties, bits, traffic);
    }
}

/// AND gates of each chunk that has some, of at most `most`: chunks are cut between instructions, wide
/// ones split.
fn chunks(program: &Program, most: u64) -> Vec<u64> {
    let (mut chunks, mut gates) = (Vec::new(), 0);
    for (at, instruction) in (0u32..).zip(&program.instructions) {
        if matches!(instruction, Instruction::And(..)) {
            let mut lanes = program.lanes_of(PlaneId(at)) as u64;
            while lanes > most - gates {
                lanes -= most - gates;
                chunks.push(most);
                gates = 0;
            }
            gates += lanes;
        }
        if gates >= CHUNK_GATES {
            chunks.push(gates);
            gates = 0;
        }
    }
    chunks.extend(Some(gates).filter(|gates| *gates > 0));
    chunks
}
