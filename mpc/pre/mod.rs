//! Preprocessing: authenticated random bits and multiplication triples of one party set.

pub mod batch;
pub mod bucket;
pub mod distributed;
pub mod leaky_and;
pub mod shares;
pub mod stock;
pub mod workbench;
pub mod zero_test;

#[cfg(any(test, feature = "sim"))]
pub mod ideal;

use crate::auth::AuthBits;
use crate::error::Error;
use senate_block::Block;
use senate_circuit::Bits;
use std::any::Any;
use std::ops::Range;
use std::rc::Rc;

/// Triples ⟨a⟩, ⟨b⟩, ⟨c⟩ with c = ab, lane by lane. Consumed by value: each serves one gate.
#[derive(Debug)]
pub struct Triples {
    /// Left factor.
    pub a: AuthBits,
    /// Right factor.
    pub b: AuthBits,
    /// Product.
    pub c: AuthBits,
}

/// Some triples of a batch, which stay where they are. Each serves one gate: whoever holds them uses
/// none twice.
pub struct Lent {
    triples: Rc<Triples>,
    lanes: Range<usize>,
    /// Dropped after the triples: the batch takes note.
    _back: Option<Box<dyn Any>>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({:?})", self.lanes)
    }
}

impl From<Triples> for Lent {
    fn from(triples: Triples) -> Self {
        let Triples { a, b, c } = &triples;
        let lanes = 0..a.len().min(b.len()).min(c.len());
        Self { triples: Rc::new(triples), lanes, _back: None }
    }
}

impl Lent {
    /// The number of triples.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// ⟨a⟩ and ⟨b⟩ of some of them: D_i, then every M_j.
    pub(crate) fn factors(&self, which: Range<usize>) -> [Vec<&[Block]>; 2] {
        let lanes = self.lanes_of(which);
        [&self.triples.a, &self.triples.b].map(|shares| shares.lanes(&lanes).collect())
    }

    /// This party's share bits of a and of b of some of them.
    pub(crate) fn share_bits(&self, which: Range<usize>) -> [Bits; 2] {
        let lanes = self.lanes_of(which);
        [&self.triples.a, &self.triples.b].map(|shares| shares.share_bits_of(&lanes))
    }

    /// ⟨c⟩ of some of them, to be added to.
    pub(crate) fn product(&self, which: Range<usize>) -> AuthBits {
        let lanes = self.lanes_of(which);
        self.triples.c.slice(lanes.start, lanes.len())
    }

    fn lanes_of(&self, which: Range<usize>) -> Range<usize> {
        let lane = |at: usize| (self.lanes.start + at).min(self.lanes.end);
        lane(which.start)..lane(which.end)
    }

    /// The triples, in memory of their own.
    #[must_use]
    pub fn into_owned(self) -> Triples {
        let Triples { a, b, c } = &*self.triples;
        let [a, b, c] = [a, b, c].map(|x| x.slice(self.lanes.start, self.lanes.len()));
        Triples { a, b, c }
    }
}

/// A source of preprocessing for one stage. All parties of the stage ask for the same counts in
/// the same order.
#[expect(async_fn_in_trait, reason = "a session's futures stay on one thread")]
pub trait Preprocessing {
    /// `count` fresh authenticated random bits.
    ///
    /// # Errors
    /// Those of the protocol that makes them.
    async fn masks(&mut self, count: usize) -> Result<AuthBits, Error>;

    /// `count` fresh triples.
    ///
    /// # Errors
    /// Those of the protocol that makes them.
    async fn triples(&mut self, count: usize) -> Result<Lent, Error>;
}

#[cfg(test)]
mod cheats;
#[cfg(test)]
mod tests;
