//! Openings of authenticated bits (PROTOCOL.md §4, OpenAll and OpenTo).
//!
//! A value that [`Openings::open`] returns is not yet checked: whoever acts on it irrevocably
//! calls [`Openings::check`] first.

use crate::auth::{AuthBits, Member};
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind};
use crate::party::ByParty;
use crate::wire::{BLOCK_BYTES, bit_bytes, to_bits};
use futures_util::future::try_join;
use rayon::prelude::*;
use senate_block::{Block, Sums, Weights, mul, xor_into};
use senate_circuit::{Bits, PartyId};
use subtle::ConstantTimeEq;

/// Lanes per parallel task of a weighted sum; a multiple of 64.
const SUM_LANES: usize = 1 << 13;

/// A sequence of OpenAlls of one party set, checked in batches. Every bit opened here contains a
/// fresh pad that occurs in no other opening.
#[derive(Debug)]
pub struct Openings {
    member: Member,
    domain: Domain,
    purpose: &'static str,
    sequence: u64,
    unchecked: usize,
    /// Per peer j: Σ χ_k M_j[x^i_k].
    macs: Vec<Block>,
    /// Σ χ_k (D_i[x_k] ⊕ x_k Δ_i).
    expected: Block,
}

impl Openings {
    /// No openings yet; `purpose` separates this sequence from others of the same conversation.
    pub fn new(member: Member, domain: Domain, purpose: &'static str) -> Self {
        let macs = vec![Block::ZERO; member.peers().len()];
        let (sequence, unchecked, expected) = (0, 0, Block::ZERO);
        Self { member, domain, purpose, sequence, unchecked, macs, expected }
    }

    /// Opens every bit of `shares` to all of S: one message of `kind` per ordered pair. The MACs
    /// are accumulated with weights that depend on all bits of all parties and are compared by
    /// the next [`Openings::check`].
    ///
    /// # Errors
    /// Those of the channel, [`Fault::Malformed`].
    pub async fn open(
        &mut self,
        channel: &Channel,
        kind: Kind,
        shares: &AuthBits,
    ) -> Result<Bits, Error> {
        if shares.is_empty() {
            return Ok(Bits::default());
        }
        let (bits, weights) = self.exchange(channel, kind, shares.share_bits()).await?;
        let sums = weighted_sums(&weights, &bits, shares.planes().map(Vec::as_slice));
        self.absorb(bits.len(), &sums);
        Ok(bits)
    }

    /// The bits whose shares are `mine` here, and the weights with which the caller sums D_i and
    /// every M_j of them for [`Openings::absorb`].
    ///
    /// # Errors
    /// As [`Openings::open`].
    pub(crate) async fn exchange(
        &mut self,
        channel: &Channel,
        kind: Kind,
        mine: Bits,
    ) -> Result<(Bits, Weights), Error> {
        let bytes = mine.to_bytes();
        let (_, opened) =
            try_join(channel.send_all(kind, &bytes), self.hear(channel, kind, mine)).await?;
        Ok(opened)
    }

    /// As [`Openings::exchange`] when `mine` has been sent already, in the order of these calls.
    ///
    /// # Errors
    /// As [`Openings::open`].
    pub(crate) async fn hear(
        &mut self,
        channel: &Channel,
        kind: Kind,
        mine: Bits,
    ) -> Result<(Bits, Weights), Error> {
        require_members(channel, &self.member)?;
        let mine_bytes = mine.to_bytes();
        let received = channel.recv_all(kind, mine_bytes.len()).await?;
        let mut tag = self.domain.tag("opening").bytes(self.purpose.as_bytes());
        tag = tag.number(self.sequence).number(mine.len() as u64);
        for party in self.member.set().iter() {
            tag = tag.bytes(received.at(party).map_or(&mine_bytes[..], Vec::as_slice));
        }
        self.sequence += 1;
        Ok((sum_of_bits(mine, &received, kind)?, Weights::new(tag.key())))
    }

    /// Exchanges and compares the MAC sums of everything opened since the last check.
    ///
    /// # Errors
    /// [`Fault::OpenMac`] when some opened bit was wrong; nobody in particular is blamed, because
    /// the comparison is of a sum over all parties.
    pub async fn check(&mut self, channel: &Channel, kind: Kind) -> Result<(), Error> {
        require_members(channel, &self.member)?;
        if self.unchecked == 0 {
            return Ok(());
        }
        let macs = self.macs.iter().map(|mac| mac.to_bytes().to_vec()).collect();
        let received = channel.exchange_each(kind, macs, BLOCK_BYTES).await?;
        let equal = sum_of_blocks(&received).ct_eq(&self.expected);
        self.macs.fill(Block::ZERO);
        self.expected = Block::ZERO;
        self.unchecked = 0;
        accept(equal, kind)
    }

    /// Notes `count` bits that [`Openings::exchange`] opened for the next check.
    pub(crate) fn absorb(&mut self, count: usize, sums: &WeightedSums) {
        let Some((d, macs)) = sums.planes.split_first() else { return };
        self.macs.iter_mut().zip(macs).for_each(|(sum, mac)| *sum ^= *mac);
        self.expected ^= *d ^ mul(sums.bits, self.member.delta());
        self.unchecked += count;
    }
}

/// The three message kinds of one use of OpenTo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenToKinds {
    /// Share bits, to the owner.
    pub bits: Kind,
    /// The owner's challenge.
    pub chi: Kind,
    /// MAC sums, to the owner.
    pub macs: Kind,
}

impl OpenToKinds {
    /// Input masks, to the owner of the input.
    pub const INPUT: Self =
        Self { bits: Kind::InputBits, chi: Kind::InputChi, macs: Kind::InputMacs };
    /// Output masks, to a recipient.
    pub const OUTPUT: Self =
        Self { bits: Kind::OutputBits, chi: Kind::OutputChi, macs: Kind::OutputMacs };
}

/// OpenTo: only `owner` learns the bits and gets `Some`, after its own check with its own
/// challenge; everybody else gets `None`.
///
/// # Errors
/// [`Fault::OpenMac`] at the owner, [`Fault::Malformed`], those of the channel.
pub async fn open_to(
    channel: &Channel,
    member: &Member,
    owner: PartyId,
    kinds: OpenToKinds,
    shares: &AuthBits,
    entropy: &Entropy,
) -> Result<Option<Bits>, Error> {
    require_members(channel, member)?;
    if member.me() != owner {
        let rank = member.peer_rank(owner)?;
        if !shares.is_empty() {
            let bits = shares.share_bits();
            channel.send(owner, kinds.bits, bits.to_bytes()).await?;
            let chi = to_block(&channel.recv(owner, kinds.chi, BLOCK_BYTES).await?);
            let sum = weighted_sum(&Weights::new(chi), shares.macs(rank));
            channel.send(owner, kinds.macs, sum.to_bytes().to_vec()).await?;
        }
        return Ok(None);
    }
    if shares.is_empty() {
        return Ok(Some(Bits::default()));
    }
    let received = channel.recv_all(kinds.bits, bit_bytes(shares.len())).await?;
    let bits = sum_of_bits(shares.share_bits(), &received, kinds.bits)?;
    // The challenge is drawn after everybody's bits have arrived.
    let chi = entropy.block("challenge of an opening");
    channel.send_all(kinds.chi, &chi.to_bytes()).await?;
    let macs = channel.recv_all(kinds.macs, BLOCK_BYTES).await?;
    let expected = expected_sum(&Weights::new(chi), &bits, shares, member);
    accept(sum_of_blocks(&macs).ct_eq(&expected), kinds.macs)?;
    Ok(Some(bits))
}

/// Σ_r χ_r · values_r, in parallel; independent of the number of threads.
pub(crate) fn weighted_sum(weights: &Weights, values: &[Block]) -> Block {
    let tiles = values.par_chunks(SUM_LANES).enumerate();
    tiles
        .map(|(tile, values)| weights.dot((tile * SUM_LANES) as u64, values))
        .reduce(|| Block::ZERO, |a, b| a ^ b)
}

/// Sums under the weights of one check; sums of parts add up.
#[derive(Debug, Default)]
pub(crate) struct WeightedSums {
    /// Σ_r χ_r · x_r over public or own bits x.
    pub(crate) bits: Block,
    /// Σ_r χ_r · planes_p[r].
    pub(crate) planes: Vec<Block>,
}

impl WeightedSums {
    /// Sums of nothing over so many planes.
    pub(crate) fn zero(planes: usize) -> Self {
        Self { bits: Block::ZERO, planes: vec![Block::ZERO; planes] }
    }

    /// Adds χ_start.. times the `len` values of each of `planes` and bits of `bits`.
    pub(crate) fn add(
        &mut self,
        weights: &Weights,
        start: usize,
        len: usize,
        planes: &[&[Block]],
        bits: &[u64],
    ) {
        let of = Sums { start: start as u64, len, planes, bits };
        self.bits ^= weights.sums(of, &mut self.planes);
    }

    /// The sums of this part and another.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.bits ^= other.bits;
        xor_into(&mut self.planes, &other.planes);
        self
    }
}

/// The sums over planes of as many values as `bits`, in parallel, weights expanded once.
pub(crate) fn weighted_sums<'a>(
    weights: &Weights,
    bits: &Bits,
    planes: impl Iterator<Item = &'a [Block]>,
) -> WeightedSums {
    let planes: Vec<_> = planes.collect();
    let tile = |(tile, words): (usize, &[u64])| {
        let first = tile * SUM_LANES;
        let len = SUM_LANES.min(bits.len() - first);
        let parts: Vec<_> = planes.iter().map(|plane| &plane[first..first + len]).collect();
        let mut sums = WeightedSums::zero(planes.len());
        sums.add(weights, first, len, &parts, words);
        sums
    };
    let tiles = bits.words().par_chunks(SUM_LANES / 64).enumerate();
    tiles
        .map(tile)
        .reduce_with(WeightedSums::with)
        .unwrap_or_else(|| WeightedSums::zero(planes.len()))
}

/// Σ_r χ_r · bit_r, in parallel.
pub(crate) fn weighted_bits(weights: &Weights, bits: &Bits) -> Block {
    let tiles = bits.words().par_chunks(SUM_LANES / 64).enumerate();
    tiles
        .map(|(tile, words)| {
            let first = tile * SUM_LANES;
            weights.select(first as u64, words, SUM_LANES.min(bits.len() - first))
        })
        .reduce(|| Block::ZERO, |a, b| a ^ b)
}

/// The block in a message whose length the channel has checked.
pub(crate) fn to_block(bytes: &[u8]) -> Block {
    let mut out = [0; BLOCK_BYTES];
    out.iter_mut().zip(bytes).for_each(|(o, b)| *o = *b);
    Block::from_bytes(out)
}

/// XOR of one block from every peer.
pub(crate) fn sum_of_blocks(received: &ByParty<Vec<u8>>) -> Block {
    received.values().iter().fold(Block::ZERO, |sum, bytes| sum ^ to_block(bytes))
}

fn sum_of_bits(mut mine: Bits, received: &ByParty<Vec<u8>>, kind: Kind) -> Result<Bits, Error> {
    for (party, bytes) in received.iter() {
        mine.xor_assign(&to_bits(bytes, mine.len(), party, kind)?);
    }
    Ok(mine)
}

fn expected_sum(weights: &Weights, bits: &Bits, shares: &AuthBits, member: &Member) -> Block {
    weighted_sum(weights, shares.d()) ^ mul(weighted_bits(weights, bits), member.delta())
}

fn accept(equal: subtle::Choice, kind: Kind) -> Result<(), Error> {
    if bool::from(equal) { Ok(()) } else { Err(Error::unattributed(Fault::OpenMac(kind.step()))) }
}

fn require_members(channel: &Channel, member: &Member) -> Result<(), Error> {
    if channel.set() == member.set() && channel.me() == member.me() {
        Ok(())
    } else {
        Err(Error::Misuse("an opening runs in a conversation of its own party set"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;
    use crate::mesh::{Lane, Mesh};
    use crate::pre::ideal::Dealer;
    use crate::sim::{Action, Federation, Tampering, Target};
    use senate_circuit::PartySet;

    const BITS: usize = 304;

    fn secret() -> Bits {
        (0..BITS).map(|i| i * i % 11 < 5).collect()
    }

    async fn open_all(mesh: Mesh) -> Result<Bits, Error> {
        let member = Dealer::new(5).member(mesh.me(), mesh.parties())?;
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let domain = Domain::new(SessionId([7; 32]), mesh.parties(), Lane::SESSION);
        let shares = Dealer::new(5).share(&member, 1, &secret());
        let mut openings = Openings::new(member, domain, "test");
        let mut bits = openings.open(&channel, Kind::BeaverBits, &shares.slice(0, 104)).await?;
        let rest = shares.slice(104, BITS - 104);
        bits.extend_from(&openings.open(&channel, Kind::BeaverBits, &rest).await?);
        openings.check(&channel, Kind::BeaverMacs).await?;
        Ok(bits)
    }

    async fn open_to_second(mesh: Mesh, entropy: Entropy) -> Result<Option<Bits>, Error> {
        let member = Dealer::new(5).member(mesh.me(), mesh.parties())?;
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let shares = Dealer::new(5).share(&member, 1, &secret());
        let owner = PartyId::new(1).unwrap();
        open_to(&channel, &member, owner, OpenToKinds::INPUT, &shares, &entropy).await
    }

    #[test]
    fn everybody_learns_what_was_shared() {
        for n in 2..6 {
            let results = Federation::new(n, 1).run(|mesh, _| open_all(mesh));
            assert!(results.iter().all(|result| result.as_ref().ok() == Some(&secret())));
        }
    }

    #[test]
    fn only_the_owner_learns_what_is_opened_to_it() {
        for n in 2..6 {
            let results = Federation::new(n, 1).run(open_to_second);
            for (index, result) in results.into_iter().enumerate() {
                assert_eq!(result.unwrap(), (index == 1).then(secret));
            }
        }
    }

    #[test]
    fn a_lie_in_an_opening_fails_its_mac_check() {
        for (n, from) in [(2, 0), (2, 1), (3, 0), (3, 2), (5, 3)] {
            let from = PartyId::new(from).unwrap();
            for kind in [Kind::BeaverBits, Kind::BeaverMacs] {
                let to = PartySet::first(n).without(from);
                let target = Target { from, to, kind, skip: 0 };
                for action in [Action::FlipBit(3), Action::Random] {
                    let mut tamper = Tampering::new(target, action);
                    let federation = Federation::new(n, 2);
                    let results = federation.run_tampered(&mut tamper, |mesh, _| open_all(mesh));
                    assert!(tamper.hits > 0);
                    let fault = Err(Error::unattributed(Fault::OpenMac(kind.step())));
                    let honest: Vec<_> = to.iter().map(|party| &results[party.index()]).collect();
                    assert!(honest.iter().any(|result| **result == fault));
                    assert!(honest.iter().all(|result| result.is_err()));
                }
            }
        }
    }

    #[test]
    fn a_lie_to_the_owner_fails_its_mac_check() {
        let (from, owner) = (PartyId::new(2).unwrap(), PartyId::new(1).unwrap());
        for kind in [Kind::InputBits, Kind::InputMacs] {
            let target = Target { from, to: PartySet::only(owner), kind, skip: 0 };
            let mut tamper = Tampering::new(target, Action::FlipBit(9));
            let results = Federation::new(3, 2).run_tampered(&mut tamper, open_to_second);
            let fault = Fault::OpenMac(Kind::InputMacs.step());
            assert_eq!(results[1], Err(Error::unattributed(fault)));
        }
    }
}
