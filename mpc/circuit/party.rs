//! Parties and sets of parties. A party is never a bare integer.

use std::fmt;

/// A party's position in the federation's list of parties, from 0. At most [`PartySet::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(u8);

impl PartyId {
    /// The party at position `index`, or `None` past [`PartySet::MAX`].
    pub fn new(index: usize) -> Option<Self> {
        if index < PartySet::MAX { u8::try_from(index).ok().map(Self) } else { None }
    }

    /// Position in the federation's list.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.0 + 1)
    }
}

impl fmt::Debug for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of parties, iterated in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartySet(u64);

impl PartySet {
    /// Largest number of parties in a federation.
    pub const MAX: usize = 64;
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The parties 0 .. n.
    pub fn first(n: usize) -> Self {
        (0..n).filter_map(PartyId::new).collect()
    }

    /// The set of one party.
    pub fn only(party: PartyId) -> Self {
        Self(1 << party.0)
    }

    /// The set with these bits, bit i for party i. For encodings and digests.
    pub fn from_mask(mask: u64) -> Self {
        Self(mask)
    }

    /// Bit i is set for party i.
    pub fn mask(self) -> u64 {
        self.0
    }

    /// Number of parties.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// True for the empty set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `party` is a member.
    pub fn contains(self, party: PartyId) -> bool {
        self.0 >> party.0 & 1 == 1
    }

    /// Whether every member is in `other`.
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Members of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Members that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Everybody but `party`.
    #[must_use]
    pub fn without(self, party: PartyId) -> Self {
        self.minus(Self::only(party))
    }

    /// The lowest-numbered member: ℓ(S), the leader of the set.
    pub fn leader(self) -> Option<PartyId> {
        self.iter().next()
    }

    /// Position of `party` among the members in ascending order.
    pub fn rank(self, party: PartyId) -> Option<usize> {
        self.contains(party).then(|| (self.0 & ((1 << party.0) - 1)).count_ones() as usize)
    }

    /// The members in ascending order; the iterator knows how many are left.
    pub fn iter(self) -> impl ExactSizeIterator<Item = PartyId> + Clone {
        let mut left = self.0;
        (0..self.len()).map(move |_| {
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            PartyId(lowest as u8)
        })
    }
}

impl FromIterator<PartyId> for PartySet {
    fn from_iter<I: IntoIterator<Item = PartyId>>(parties: I) -> Self {
        Self(parties.into_iter().fold(0, |mask, party| mask | 1 << party.0))
    }
}

impl fmt::Debug for PartySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for PartySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
