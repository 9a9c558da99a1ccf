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
    async fn triples(&mut self, count: usize) -> Result<Triples, Error>;
}

#[cfg(test)]
mod cheats;
#[cfg(test)]
mod tests;
