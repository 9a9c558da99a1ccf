//! The preprocessing functionality of PROTOCOL.md §§4–5 with a trusted dealer. Tests only.

use super::{Lent, Preprocessing, Triples};
use crate::auth::{AuthBits, Delta, Member};
use crate::error::Error;
use senate_block::{Block, Prg};
use senate_circuit::{Bits, PartyId, PartySet, StageId};
use std::rc::Rc;

/// Knows everybody's Δ and deals consistent shares. Every party of a test makes the same dealer
/// from the same seed and takes its own part of what is dealt.
#[derive(Clone, Copy, Debug)]
pub struct Dealer {
    seed: u64,
}

impl Dealer {
    /// The dealer of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Δ of `party`.
    pub fn delta(&self, party: PartyId) -> Delta {
        Delta::from_random(self.stream(&[0, party.index() as u64], 1)[0])
    }

    /// `me` in `set` with its dealt Δ.
    ///
    /// # Errors
    /// As [`Member::new`].
    pub fn member(&self, me: PartyId, set: PartySet) -> Result<Member, Error> {
        Member::new(me, set, Rc::new(self.delta(me)))
    }

    /// This party's share of the bits `value`; `label` must be fresh per value.
    pub fn share(&self, member: &Member, label: u64, value: &Bits) -> AuthBits {
        self.deal(member, &[1, label], value)
    }

    /// Ideal preprocessing of one stage for `member`.
    pub fn stage(&self, member: &Member, stage: StageId) -> Ideal {
        Ideal { dealer: *self, member: member.clone(), stage, draws: 0 }
    }

    fn deal(&self, member: &Member, path: &[u64], value: &Bits) -> AuthBits {
        let (me, set, len) = (member.me(), member.set(), value.len());
        let address = |what: u64, of: PartyId, at: PartyId| {
            let mut address = path.to_vec();
            address.extend([what, set.mask(), of.index() as u64, at.index() as u64]);
            self.stream(&address, len)
        };
        let share_of = |party: PartyId| -> Vec<bool> {
            if set.leader() != Some(party) {
                return address(1, party, party).iter().map(|block| block.bit0()).collect();
            }
            let mut bits: Vec<bool> = value.iter().collect();
            for other in set.without(party).iter() {
                let blocks = address(1, other, other);
                bits.iter_mut().zip(blocks).for_each(|(bit, block)| *bit ^= block.bit0());
            }
            bits
        };
        let key = |of: PartyId, at: PartyId| {
            address(2, of, at).into_iter().map(|block| block.with_bit0(false))
        };
        let mine = share_of(me);
        let mut d: Vec<_> = mine.iter().map(|bit| member.delta().times(*bit)).collect();
        let mut macs = Vec::new();
        for peer in member.peers().iter() {
            d.iter_mut().zip(key(peer, me)).for_each(|(d, k)| *d ^= k);
            let delta = self.delta(peer).block();
            macs.push(key(me, peer).zip(&mine).map(|(k, bit)| k ^ delta.times(*bit)).collect());
        }
        AuthBits::from_planes(d, macs).unwrap_or_default()
    }

    fn stream(&self, address: &[u64], len: usize) -> Vec<Block> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        address.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        let mut out = vec![Block::ZERO; len];
        Prg::new(Block::from_bytes(key)).fill(0, &mut out);
        out
    }
}

/// One party's view of the dealer for one stage.
#[derive(Debug)]
pub struct Ideal {
    dealer: Dealer,
    member: Member,
    stage: StageId,
    draws: u64,
}

impl Ideal {
    fn random(&mut self, count: usize) -> (Bits, u64) {
        self.draws += 1;
        let address = [2, u64::from(self.stage.0), self.member.set().mask(), self.draws];
        (self.dealer.stream(&address, count).iter().map(|b| b.bit0()).collect(), self.draws)
    }

    fn deal(&self, draw: u64, value: &Bits) -> AuthBits {
        self.dealer.deal(&self.member, &[3, u64::from(self.stage.0), draw], value)
    }
}

impl Preprocessing for Ideal {
    async fn masks(&mut self, count: usize) -> Result<AuthBits, Error> {
        let (value, draw) = self.random(count);
        Ok(self.deal(draw, &value))
    }

    async fn triples(&mut self, count: usize) -> Result<Lent, Error> {
        let ((a, first), (b, second)) = (self.random(count), self.random(count));
        let c: Bits = a.iter().zip(b.iter()).map(|(a, b)| a & b).collect();
        let (_, third) = self.random(0);
        let [a, b] = [self.deal(first, &a), self.deal(second, &b)];
        Ok(Triples { a, b, c: self.deal(third, &c) }.into())
    }
}
