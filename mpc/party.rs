//! Values indexed by party.

use senate_circuit::{PartyId, PartySet};

/// One `T` for each member of a set of parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByParty<T> {
    set: PartySet,
    items: Vec<T>,
}

impl<T> ByParty<T> {
    /// The value of `make` for every member of `set`, in ascending order.
    pub fn from_fn(set: PartySet, make: impl FnMut(PartyId) -> T) -> Self {
        Self { set, items: set.iter().map(make).collect() }
    }

    /// Like [`ByParty::from_fn`], stopping at the first error.
    ///
    /// # Errors
    /// The first error of `make`.
    pub fn try_from_fn<E>(
        set: PartySet,
        make: impl FnMut(PartyId) -> Result<T, E>,
    ) -> Result<Self, E> {
        let items = set.iter().map(make).collect::<Result<_, E>>()?;
        Ok(Self { set, items })
    }

    /// The parties that have a value.
    pub fn parties(&self) -> PartySet {
        self.set
    }

    /// The value of `party`, if it is a member.
    pub fn at(&self, party: PartyId) -> Option<&T> {
        self.set.rank(party).and_then(|rank| self.items.get(rank))
    }

    /// The value of `party`, if it is a member.
    pub fn at_mut(&mut self, party: PartyId) -> Option<&mut T> {
        self.set.rank(party).and_then(|rank| self.items.get_mut(rank))
    }

    /// Party and value, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (PartyId, &T)> {
        self.set.iter().zip(&self.items)
    }

    /// Party and value, in ascending order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PartyId, &mut T)> {
        self.set.iter().zip(&mut self.items)
    }

    /// The values, in ascending order of party.
    pub fn values(&self) -> &[T] {
        &self.items
    }

    /// Applies `change` to every value.
    pub fn map<U>(self, mut change: impl FnMut(PartyId, T) -> U) -> ByParty<U> {
        let set = self.set;
        ByParty { set, items: set.iter().zip(self.items).map(|(p, v)| change(p, v)).collect() }
    }
}

impl<T> IntoIterator for ByParty<T> {
    type Item = (PartyId, T);
    type IntoIter = std::vec::IntoIter<(PartyId, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.set.iter().zip(self.items).collect::<Vec<_>>().into_iter()
    }
}
