//! Crossing a stage boundary (PROTOCOL.md §7, [Senate] §4): wires of an earlier stage of C ⊆ S enter
//! a stage of S under fresh masks, without anybody learning a bit of them.

use crate::auth::AuthBits;
use crate::coin::echo;
use crate::error::{Error, Fault};
use crate::join::try_join_all;
use crate::mesh::Kind;
use crate::open::to_block;
use crate::pre::Preprocessing;
use crate::stage::{Child, Run, Wires, child_sources, fresh_labels};
use crate::wire::{BLOCK_BYTES, bit_bytes, to_bits};
use futures_util::future::try_join;
use senate_block::{Block, Weights, mul};
use senate_circuit::{Backend, Bits, PartyId, PartySet};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// One bundle that gets fresh masks: C is a proper subset of S. Its wires are
/// `start .. start + wires` of all that cross.
struct Crossing {
    bundle: usize,
    parties: PartySet,
    start: usize,
    wires: usize,
    /// ⟨λ_v⟩_C and Λ_v, at members of C.
    child: Option<Wires>,
}

/// The check of step 3, whose message is received at the end of the stage: before any release.
#[derive(Debug, Default)]
pub(crate) struct SolderMacs {
    expected: Option<Block>,
}

/// Enters all bundles of earlier stages; returns them by input bundle, and the check that is due.
///
/// # Errors
/// [`Error::Misuse`] when `children` does not fit the stage, [`Fault::Echo`] when somebody told
/// two parties different things or a member of C does not vouch for Λ_v.
pub(crate) async fn cross<P: Preprocessing>(
    run: &Run<'_>,
    pre: &mut P,
    mut children: BTreeMap<usize, Child>,
) -> Result<(BTreeMap<usize, Wires>, SolderMacs), Error> {
    let mut entered = BTreeMap::new();
    let (mut crossings, mut relabelled) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (bundle, _, _) in child_sources(run.stage) {
        let child = children.remove(&bundle).ok_or(Error::Misuse("an earlier stage is missing"))?;
        let wires = fit(run, bundle, &child)?;
        if child.parties != run.stage.parties {
            let (parties, child) = (child.parties, child.wires);
            crossings.push(Crossing { bundle, parties, start, wires, child });
            start += wires;
        } else if let Some(kept) = child.wires {
            // What a FinishedStage carries has passed all checks, so Λ may choose labels.
            match (run.stage.backend, child.backend) {
                (Backend::Interactive, _) => {
                    entered.insert(bundle, kept.without_labels());
                }
                (_, Backend::Garbled) if child.evaluator == run.evaluator() => {
                    entered.insert(bundle, kept);
                }
                _ => relabelled.push((bundle, kept)),
            }
        }
    }
    let (mut all, macs) = remask(run, pre, &crossings, start).await?;
    relabelled.iter().for_each(|(_, wires)| {
        all.masks.append(&wires.masks);
        all.masked.extend_from(&wires.masked);
    });
    // One message of labels for all wires, each under a fresh L_0.
    all.labels = match all.is_empty() {
        true => Wires::empty(run).take_labels(),
        false => fresh_labels(run, Kind::SolderLabels, &all.masked).await?,
    };
    for crossing in &crossings {
        entered.insert(crossing.bundle, all.slice(crossing.start, crossing.wires));
    }
    for (bundle, wires) in &relabelled {
        entered.insert(*bundle, all.slice(start, wires.len()));
        start += wires.len();
    }
    Ok((entered, macs))
}

impl SolderMacs {
    /// Step 3 at a member of C: the peers' sums against ⟨λ_v⟩, ⟨λ_u⟩ and the opened bits.
    ///
    /// # Errors
    /// [`Fault::OpenMac`] when some opened bit was wrong.
    pub(crate) async fn check(self, run: &Run<'_>) -> Result<(), Error> {
        let Some(expected) = self.expected else { return Ok(()) };
        let macs = run.channel.recv_all(Kind::SolderMacs, BLOCK_BYTES).await?;
        let sum = macs.values().iter().fold(expected, |sum, mac| sum ^ to_block(mac));
        match bool::from(sum.ct_eq(&Block::ZERO)) {
            true => Ok(()),
            false => Err(Error::unattributed(Fault::OpenMac(Kind::SolderMacs.step()))),
        }
    }
}

/// Number of wires of a child bundle, once it is known to fit.
fn fit(run: &Run<'_>, bundle: usize, child: &Child) -> Result<usize, Error> {
    let program = &run.stage.program;
    let wires = program.inputs.get(bundle).map_or(0, |bundle| program.wires_of(bundle));
    let member = child.parties.contains(run.member.me());
    let peers = child.parties.without(run.member.me()).len();
    let fits = |held: &Wires| {
        let macs = held.masks.mac_planes().len();
        held.len() == wires && held.masks.len() == wires && (macs == peers || wires == 0)
    };
    let right = match &child.wires {
        Some(held) => member && fits(held),
        None => !member,
    };
    match right && child.parties.is_subset(run.stage.parties) {
        true => Ok(wires),
        false => Err(Error::Misuse("an earlier stage's bundle does not fit")),
    }
}

/// Steps 1 to 3: fresh masks and Λ_u of everything that crosses. The labels are still missing.
async fn remask<P: Preprocessing>(
    run: &Run<'_>,
    pre: &mut P,
    crossings: &[Crossing],
    count: usize,
) -> Result<(Wires, SolderMacs), Error> {
    if count == 0 {
        return Ok((Wires::empty(run), SolderMacs::default()));
    }
    let masks = pre.masks(count).await?;
    let mut mine = masks.share_bits();
    for crossing in crossings {
        if let Some(child) = &crossing.child {
            mine.xor_assign(&placed(&child.masks.share_bits(), crossing.start, count));
        }
    }
    // Step 1: the parties' bits, and Λ_v to those who lack it.
    let received = run.channel.exchange(Kind::SolderBits, &mine.to_bytes()).await?;
    let carried = carry(run, crossings).await?;
    let mut opened = mine.clone();
    let mut tag = run.domain.tag("soldering");
    for party in run.stage.parties.iter() {
        let bits = match received.at(party) {
            Some(bytes) => {
                let bits = to_bits(bytes, count, party, Kind::SolderBits)?;
                opened.xor_assign(&bits);
                bits
            }
            None => mine.clone(),
        };
        tag = tag.bytes(&bits.to_bytes());
    }
    tag = tag.bytes(&carried.to_bytes());
    // Step 2: everybody saw the same bits and the same Λ_v.
    echo(&run.channel, Kind::SolderEcho, &tag.clone().number(0).digest()).await?;
    let mut masked = carried;
    masked.xor_assign(&opened);
    // Step 3: weights fixed by everything that was opened.
    let weights = Weights::new(tag.number(1).key());
    let macs = send_macs(run, crossings, &masks, &opened, &weights).await?;
    let labels = Wires::empty(run).take_labels();
    Ok((Wires { masks, masked, labels }, macs))
}

/// Λ_v of everything that crosses: the leader of C sends it to S∖C, the other members vouch.
async fn carry(run: &Run<'_>, crossings: &[Crossing]) -> Result<Bits, Error> {
    let send = async {
        for crossing in crossings {
            offer(run, crossing).await?;
        }
        Ok(())
    };
    let receive = async {
        let mut carried = Bits::default();
        for crossing in crossings {
            carried.extend_from(&accept(run, crossing).await?);
        }
        Ok(carried)
    };
    let ((), carried) = try_join(send, receive).await?;
    Ok(carried)
}

fn vouch(run: &Run<'_>, crossing: &Crossing, masked: &Bits) -> [u8; blake3::OUT_LEN] {
    let tag = run.domain.tag("carried value").number(crossing.bundle as u64);
    tag.bytes(&masked.to_bytes()).digest()
}

async fn offer(run: &Run<'_>, crossing: &Crossing) -> Result<(), Error> {
    let Some(child) = &crossing.child else { return Ok(()) };
    let (kind, payload) = match crossing.parties.leader() == Some(run.member.me()) {
        true => (Kind::Lambda, child.masked.to_bytes()),
        false => (Kind::LambdaHash, vouch(run, crossing, &child.masked).to_vec()),
    };
    let outsiders = run.stage.parties.minus(crossing.parties);
    let sends = outsiders.iter().map(|to| run.channel.send(to, kind, payload.clone()));
    try_join_all(sends).await?;
    Ok(())
}

async fn accept(run: &Run<'_>, crossing: &Crossing) -> Result<Bits, Error> {
    if let Some(child) = &crossing.child {
        return Ok(child.masked.clone());
    }
    let leader = crossing.parties.leader().ok_or(Error::Misuse("an earlier stage has parties"))?;
    let bytes = run.channel.recv(leader, Kind::Lambda, bit_bytes(crossing.wires)).await?;
    let masked = to_bits(&bytes, crossing.wires, leader, Kind::Lambda)?;
    let digest = vouch(run, crossing, &masked);
    for member in crossing.parties.without(leader).iter() {
        let vouched = run.channel.recv(member, Kind::LambdaHash, digest.len()).await?;
        if !bool::from(vouched.as_slice().ct_eq(&digest)) {
            return Err(Error::unattributed(Fault::Echo(Kind::LambdaHash.step())));
        }
    }
    Ok(masked)
}

/// Sends Σχ(M_j[λ_v^i] ⊕ M_j[λ_u^i]) to every j of every C (without the first term outside C) and
/// notes what the peers' sums must add up to here.
async fn send_macs(
    run: &Run<'_>,
    crossings: &[Crossing],
    masks: &AuthBits,
    opened: &Bits,
    weights: &Weights,
) -> Result<SolderMacs, Error> {
    let me = run.member.me();
    for (rank, j) in run.member.peers().iter().enumerate() {
        let concerned = crossings.iter().filter(|crossing| crossing.parties.contains(j));
        let mut sum = None;
        for crossing in concerned {
            let fresh = crossing.part(weights, masks.macs(rank));
            *sum.get_or_insert(Block::ZERO) ^= fresh ^ crossing.child_macs(weights, me, j);
        }
        if let Some(sum) = sum {
            run.channel.send(j, Kind::SolderMacs, sum.to_bytes().to_vec()).await?;
        }
    }
    let mut expected = None;
    for crossing in crossings.iter().filter(|crossing| crossing.parties.contains(me)) {
        let bits = opened.slice(crossing.start, crossing.wires);
        let start = crossing.start as u64;
        let mut sum = crossing.part(weights, masks.d());
        sum ^= mul(weights.select(start, bits.words(), bits.len()), run.member.delta());
        if let Some(child) = &crossing.child {
            sum ^= weights.dot(start, child.masks.d());
        }
        *expected.get_or_insert(Block::ZERO) ^= sum;
    }
    Ok(SolderMacs { expected })
}

impl Crossing {
    /// Σχ over this crossing's part of a plane of fresh masks.
    fn part(&self, weights: &Weights, plane: &[Block]) -> Block {
        let part = plane.get(self.start..self.start + self.wires).unwrap_or_default();
        weights.dot(self.start as u64, part)
    }

    /// Σχ M_j[λ_v^i], zero outside C.
    fn child_macs(&self, weights: &Weights, me: PartyId, j: PartyId) -> Block {
        let rank = self.parties.without(me).rank(j);
        match (&self.child, rank) {
            (Some(child), Some(rank)) => weights.dot(self.start as u64, child.masks.macs(rank)),
            _ => Block::ZERO,
        }
    }
}

/// `bits` from position `start` on, among `len`.
fn placed(bits: &Bits, start: usize, len: usize) -> Bits {
    let mut all = Bits::zeros(start);
    all.extend_from(bits);
    all.slice(0, len)
}
