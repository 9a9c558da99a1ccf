//! Authenticated shares of bits (PROTOCOL.md §4), one flat plane per component.

use crate::error::Error;
use senate_block::{Block, add_where, low_bits, xor_into};
use senate_circuit::{Bits, PartyId, PartySet};
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use zeroize::Zeroize;

/// Δ_i: this party's global key of the session, bit 0 set. Not `Clone`, printed without its value, zeroised on
/// drop and when the session fails; share it by reference count inside the party's thread.
pub struct Delta(Cell<Block>);

impl Delta {
    /// A key from 128 random bits: bit 0 is forced to 1.
    pub fn from_random(block: Block) -> Self {
        Self(Cell::new(block.with_bit0(true)))
    }

    /// The key itself, for kernels.
    pub fn block(&self) -> Block {
        self.0.get()
    }

    /// Zeroises the key wherever it is shared. Only for a session that can send nothing any more.
    pub(crate) fn wipe(&self) {
        self.0.set(Block::ZERO);
    }
}

impl std::fmt::Debug for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delta(..)")
    }
}

impl Drop for Delta {
    fn drop(&mut self) {
        self.0.get_mut().zeroize();
    }
}

/// One party's view of a party set S: who it is, its Δ, and the public offsets that S implies.
#[derive(Clone)]
pub struct Member {
    me: PartyId,
    set: PartySet,
    rank: usize,
    delta: Rc<Delta>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Member({} of {})", self.me, self.set)
    }
}

impl Member {
    /// `me` as a member of `set`.
    ///
    /// # Errors
    /// [`Error::Misuse`] when `me` is not a member or is alone.
    pub fn new(me: PartyId, set: PartySet, delta: Rc<Delta>) -> Result<Self, Error> {
        match set.rank(me) {
            Some(rank) if set.len() >= 2 => Ok(Self { me, set, rank, delta }),
            _ => Err(Error::Misuse("a stage has at least two parties, this one among them")),
        }
    }

    /// This party.
    pub fn me(&self) -> PartyId {
        self.me
    }

    /// S.
    pub fn set(&self) -> PartySet {
        self.set
    }

    /// S without this party, ascending: the order of the MAC planes of [`AuthBits`].
    pub fn peers(&self) -> PartySet {
        self.set.without(self.me)
    }

    /// Position of this party in S.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Whether this party is ℓ(S).
    pub fn leads(&self) -> bool {
        self.rank == 0
    }

    /// Δ_i.
    pub fn delta(&self) -> Block {
        self.delta.block()
    }

    /// τ_S: e_0 if |S| is even, else 0 (PROTOCOL.md §5).
    pub fn tau(&self) -> Block {
        if self.set.len().is_multiple_of(2) { Block::ONE } else { Block::ZERO }
    }

    /// Position of `peer` among [`Member::peers`].
    ///
    /// # Errors
    /// [`Error::Misuse`] for a stranger or this party itself.
    pub fn peer_rank(&self, peer: PartyId) -> Result<usize, Error> {
        self.peers().rank(peer).ok_or(Error::Misuse("not a peer in this party set"))
    }
}

/// One party's part of ⟨x⟩_S for a vector of bits x: D_i and, per peer j ascending, M_j[x^i].
/// The share bit x^i is bit 0 of D_i and of every M_j.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthBits {
    d: Vec<Block>,
    macs: Vec<Vec<Block>>,
}

impl std::fmt::Debug for AuthBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthBits({} bits, {} peers)", self.d.len(), self.macs.len())
    }
}

impl Drop for AuthBits {
    fn drop(&mut self) {
        self.planes_mut().for_each(|plane| plane.as_mut_slice().zeroize());
    }
}

impl AuthBits {
    /// From the planes D_i and M_j (one per peer, ascending).
    ///
    /// # Errors
    /// [`Error::Misuse`] when lengths differ.
    pub fn from_planes(d: Vec<Block>, macs: Vec<Vec<Block>>) -> Result<Self, Error> {
        if macs.iter().any(|plane| plane.len() != d.len()) {
            return Err(Error::Misuse("share planes of different lengths"));
        }
        Ok(Self { d, macs })
    }

    /// `len` shares of the public constant 0.
    pub fn zeros(member: &Member, len: usize) -> Self {
        let macs = member.peers().iter().map(|_| vec![Block::ZERO; len]).collect();
        Self { d: vec![Block::ZERO; len], macs }
    }

    /// No bits yet, with room for `lanes`.
    pub(crate) fn with_room(member: &Member, lanes: usize) -> Self {
        Self::blank(member, || Vec::with_capacity(lanes))
    }

    /// Shares whose planes are what `plane` makes, to be written before they are read.
    pub(crate) fn blank(member: &Member, mut plane: impl FnMut() -> Vec<Block>) -> Self {
        Self { d: plane(), macs: member.peers().iter().map(|_| plane()).collect() }
    }

    /// The lanes `start .. start + len` of all planes, for writing.
    pub(crate) fn lanes_mut(&mut self, start: usize, len: usize) -> Planes<'_> {
        let mut planes =
            Planes { d: &mut self.d, macs: self.macs.iter_mut().map(Vec::as_mut_slice).collect() };
        planes.take(start);
        planes.take(len)
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.d.len()
    }

    /// True for no bits.
    pub fn is_empty(&self) -> bool {
        self.d.is_empty()
    }

    /// D_i.
    pub fn d(&self) -> &[Block] {
        &self.d
    }

    /// M_j for the peer of this rank among [`Member::peers`].
    pub fn macs(&self, peer_rank: usize) -> &[Block] {
        self.macs.get(peer_rank).map_or(&[], Vec::as_slice)
    }

    /// All MAC planes, by peer ascending.
    pub fn mac_planes(&self) -> &[Vec<Block>] {
        &self.macs
    }

    /// D_i, then every M_j, for kernels that treat all components alike.
    pub(crate) fn planes(&self) -> impl Iterator<Item = &Vec<Block>> {
        std::iter::once(&self.d).chain(&self.macs)
    }

    /// As [`AuthBits::planes`], of some lanes.
    pub(crate) fn lanes(&self, lanes: &Range<usize>) -> impl Iterator<Item = &[Block]> {
        self.planes().map(|plane| plane.get(lanes.clone()).unwrap_or_default())
    }

    /// As [`AuthBits::planes`]. The caller keeps all planes of one length.
    pub(crate) fn planes_mut(&mut self) -> impl Iterator<Item = &mut Vec<Block>> {
        std::iter::once(&mut self.d).chain(&mut self.macs)
    }

    /// x^i: this party's share bits.
    pub fn share_bits(&self) -> Bits {
        self.share_bits_of(&(0..self.len()))
    }

    /// As [`AuthBits::share_bits`], of some lanes.
    pub(crate) fn share_bits_of(&self, lanes: &Range<usize>) -> Bits {
        let d = self.d.get(lanes.clone()).unwrap_or_default();
        Bits::from_words(low_bits(d), d.len())
    }

    /// ⟨x⟩ ⊕= ⟨y⟩.
    pub fn xor_assign(&mut self, other: &Self) {
        xor_into(&mut self.d, &other.d);
        for (mine, theirs) in self.macs.iter_mut().zip(&other.macs) {
            xor_into(mine, theirs);
        }
    }

    /// ⟨x⟩ ⊕= c for public bits c: the leader D ⊕= cΔ, M ⊕= c·e_0; others D ⊕= c(Δ ⊕ e_0).
    pub fn xor_public(&mut self, member: &Member, c: &Bits) {
        self.lanes_mut(0, self.len()).xor_public(member, c);
    }

    /// c·⟨x⟩ for public bits c, lane by lane.
    #[must_use]
    pub fn times_public(&self, c: &Bits) -> Self {
        let scale = |plane: &Vec<Block>| -> Vec<Block> {
            plane.iter().zip(c.iter()).map(|(block, bit)| block.times(bit)).collect()
        };
        Self { d: scale(&self.d), macs: self.macs.iter().map(scale).collect() }
    }

    /// Lane i of the result is lane `map[i]`; entries past the end give a share of 0.
    #[must_use]
    pub fn gather(&self, map: &[u32]) -> Self {
        let pick = |plane: &Vec<Block>| -> Vec<Block> {
            map.iter().map(|i| plane.get(*i as usize).copied().unwrap_or_default()).collect()
        };
        Self { d: pick(&self.d), macs: self.macs.iter().map(pick).collect() }
    }

    /// Appends the lanes of `other`.
    pub fn append(&mut self, other: &Self) {
        self.append_lanes(other, 0, other.len());
    }

    /// Appends the lanes `start .. start + count` of `other`.
    pub(crate) fn append_lanes(&mut self, other: &Self, start: usize, count: usize) {
        if self.macs.is_empty() {
            self.macs = vec![Vec::new(); other.macs.len()];
        }
        for (mine, theirs) in self.planes_mut().zip(other.planes()) {
            let lanes = theirs.get(start..).unwrap_or_default();
            mine.extend_from_slice(lanes.get(..count).unwrap_or(lanes));
        }
    }

    /// Removes and returns the first `count` lanes (all, when there are fewer).
    #[must_use]
    pub fn take_front(&mut self, count: usize) -> Self {
        let take = |plane: &mut Vec<Block>| -> Vec<Block> {
            let rest = plane.split_off(count.min(plane.len()));
            std::mem::replace(plane, rest)
        };
        Self { d: take(&mut self.d), macs: self.macs.iter_mut().map(take).collect() }
    }

    /// The lanes `start .. start + count`.
    #[must_use]
    pub fn slice(&self, start: usize, count: usize) -> Self {
        let cut = |plane: &Vec<Block>| -> Vec<Block> {
            let lanes = plane.get(start..).unwrap_or_default();
            lanes.get(..count).unwrap_or(lanes).to_vec()
        };
        Self { d: cut(&self.d), macs: self.macs.iter().map(cut).collect() }
    }
}

/// Some lanes of all planes of [`AuthBits`], being written.
#[derive(Default)]
pub(crate) struct Planes<'a> {
    /// D_i.
    pub(crate) d: &'a mut [Block],
    /// M_j per peer, ascending.
    pub(crate) macs: Vec<&'a mut [Block]>,
}

impl<'a> Planes<'a> {
    /// Splits off the first `len` lanes (all, when there are fewer).
    pub(crate) fn take(&mut self, len: usize) -> Planes<'a> {
        fn cut<'a>(plane: &mut &'a mut [Block], len: usize) -> &'a mut [Block] {
            let whole = std::mem::take(plane);
            let (head, tail) = whole.split_at_mut(len.min(whole.len()));
            *plane = tail;
            head
        }
        Planes {
            d: cut(&mut self.d, len),
            macs: self.macs.iter_mut().map(|plane| cut(plane, len)).collect(),
        }
    }

    /// As [`AuthBits::xor_public`].
    pub(crate) fn xor_public(&mut self, member: &Member, c: &Bits) {
        let step = if member.leads() { member.delta() } else { member.delta() ^ Block::ONE };
        add_where(self.d, c.words(), step);
        if member.leads() {
            self.macs.iter_mut().for_each(|plane| add_where(plane, c.words(), Block::ONE));
        }
    }

    /// Number of lanes.
    pub(crate) fn len(&self) -> usize {
        self.d.len()
    }

    /// D_i, then every M_j, for kernels that treat all components alike.
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = &mut [Block]> {
        std::iter::once(&mut *self.d).chain(self.macs.iter_mut().map(|plane| &mut **plane))
    }
}
