//! Domain separation (PROTOCOL.md §1): every hash, commitment, coin, key and tweak is bound to
//! (session, S, conversation, purpose, …) through one injective encoding.

use crate::mesh::Lane;
use senate_block::Block;
use senate_circuit::{PartyId, PartySet};

/// The session's identifier; after binding it covers everything the session is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionId(pub [u8; 32]);

/// What one conversation's hashes have in common: session, S and lane (stage or batch).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Domain {
    session: SessionId,
    set: PartySet,
    lane: Lane,
}

impl Domain {
    /// The domain of `set`'s conversation on `lane`.
    pub fn new(session: SessionId, set: PartySet, lane: Lane) -> Self {
        Self { session, set, lane }
    }

    /// S.
    pub fn set(&self) -> PartySet {
        self.set
    }

    /// A tag of this domain for `purpose`, to which more fields can be added.
    pub fn tag(&self, purpose: &str) -> Tag {
        let mut hasher = blake3::Hasher::new_derive_key("senate 2026-11 protocol tag");
        hasher.update(&self.session.0);
        hasher.update(&self.set.mask().to_le_bytes());
        hasher.update(&self.lane.code().to_le_bytes());
        Tag(hasher).bytes(purpose.as_bytes())
    }
}

/// A hash under construction; every field has a fixed or a prefixed length.
#[derive(Clone, Debug)]
pub struct Tag(blake3::Hasher);

impl Tag {
    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// Adds a party.
    #[must_use]
    pub fn party(self, party: PartyId) -> Self {
        self.number(party.index() as u64)
    }

    /// Adds a byte string and its length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The hash.
    pub fn digest(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }

    /// The hash as a key or seed of one block.
    pub fn key(&self) -> Block {
        let mut out = [0; 16];
        self.0.finalize_xof().fill(&mut out);
        Block::from_bytes(out)
    }
}
