//! What a party publishes to all others: facts with its seal, and their one encoding.

use senate_circuit::PartyId;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::{Digest, Malformed};

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Topic {
    /// The federation file that the party works with in this epoch.
    Roster,
    /// The version of its program.
    Release,
    /// Its part of the table whose name has this digest.
    Table(Digest),
    /// This version of its policy; the highest one counts.
    Policy(u32),
    /// The plan with this digest, which it approves.
    Approval(Digest),
}

/// A party states that a topic has a digest, as long as the epoch lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fact {
    /// Who states it.
    pub party: PartyId,
    /// The epoch in which it holds.
    pub epoch: u32,
    /// What it is about.
    pub topic: Topic,
    /// Digest of what is published.
    pub digest: Digest,
}

impl Fact {
    /// Length in bytes: party, epoch (little endian), kind, key, digest. A key that a kind does not
    /// fill is zero beyond it.
    pub const BYTES: usize = 70;

    /// The fact's encoding: what its party signs.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let version = |version: u32| {
            let mut key = [0; 32];
            key.iter_mut().zip(version.to_le_bytes()).for_each(|(to, byte)| *to = byte);
            key
        };
        let (kind, key) = match self.topic {
            Topic::Roster => (ROSTER, [0; 32]),
            Topic::Release => (RELEASE, [0; 32]),
            Topic::Table(name) => (TABLE, name.0),
            Topic::Policy(number) => (POLICY, version(number)),
            Topic::Approval(plan) => (APPROVAL, plan.0),
        };
        // A party's index is below 64.
        let party = u8::try_from(self.party.index()).unwrap_or(u8::MAX);
        let head = std::iter::once(party).chain(self.epoch.to_le_bytes()).chain([kind]);
        filled(head.chain(key).chain(self.digest.0))
    }

    /// The one fact that has this encoding.
    ///
    /// # Errors
    /// [`Malformed`] if the length, the party, the kind or a byte that must be zero is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let fact = decode(bytes).ok_or(Malformed)?;
        if fact.to_bytes() == bytes { Ok(fact) } else { Err(Malformed) }
    }
}

fn decode(bytes: &[u8]) -> Option<Fact> {
    let ([party], rest) = bytes.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let ([kind], rest) = rest.split_first_chunk()?;
    let (key, digest) = rest.split_first_chunk::<32>()?;
    let [a, b, c, d, ..] = *key;
    let topic = match *kind {
        ROSTER => Topic::Roster,
        RELEASE => Topic::Release,
        TABLE => Topic::Table(Digest(*key)),
        POLICY => Topic::Policy(u32::from_le_bytes([a, b, c, d])),
        APPROVAL => Topic::Approval(Digest(*key)),
        _ => return None,
    };
    let digest = Digest(digest.try_into().ok()?);
    let party = PartyId::new((*party).into())?;
    Some(Fact { party, epoch: u32::from_le_bytes(*epoch), topic, digest })
}

const ROSTER: u8 = 1;
const RELEASE: u8 = 2;
const TABLE: u8 = 3;
const POLICY: u8 = 4;
const APPROVAL: u8 = 5;

/// The signature of a fact's party, opaque here: whoever hands in a statement has verified it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seal {
    length: u8,
    bytes: [u8; Self::BYTES_MAX],
}

impl Seal {
    /// Longest signature: ECDSA over P-256 in DER.
    pub const BYTES_MAX: usize = 72;

    /// From the signature's bytes; `None` if there are more than [`Self::BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let length = u8::try_from(bytes.len()).ok()?;
        let fits = bytes.len() <= Self::BYTES_MAX;
        fits.then(|| Self { length, bytes: filled(bytes.iter().copied()) })
    }

    /// The signature.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// A fact with its party's seal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Statement {
    /// What is stated.
    pub fact: Fact,
    /// By whom: nobody else could have.
    pub seal: Seal,
}

impl Statement {
    /// Length in bytes: the fact, the seal's length, the seal, zeros.
    pub const BYTES: usize = Fact::BYTES + 1 + Seal::BYTES_MAX;

    /// The statement's encoding.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let seal = std::iter::once(self.seal.length).chain(self.seal.bytes);
        filled(self.fact.to_bytes().into_iter().chain(seal))
    }

    /// The one statement that has this encoding.
    ///
    /// # Errors
    /// [`Malformed`] if the length, the fact or the seal's length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (fact, rest) = bytes.split_first_chunk::<{ Fact::BYTES }>().ok_or(Malformed)?;
        let (length, seal) = rest.split_first().ok_or(Malformed)?;
        let seal = seal.get(..usize::from(*length)).and_then(Seal::new).ok_or(Malformed)?;
        let statement = Self { fact: Fact::from_bytes(fact)?, seal };
        if statement.to_bytes() == bytes { Ok(statement) } else { Err(Malformed) }
    }
}

/// What daemons tell each other about the catalog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Word {
    /// Somebody's statement, the sender's or passed on.
    Statement(Statement),
    /// The sender has told everything that it knew when it met the recipient.
    End,
}

impl Word {
    /// Length in bytes of every word: a kind, and a statement or zeros.
    pub const BYTES: usize = 1 + Statement::BYTES;

    /// The word's encoding.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        match self {
            Self::Statement(statement) => {
                filled(std::iter::once(STATEMENT).chain(statement.to_bytes()))
            }
            Self::End => filled(std::iter::once(END)),
        }
    }

    /// The one word that has this encoding.
    ///
    /// # Errors
    /// [`Malformed`] if the length, the kind or the statement is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let word = match bytes.split_first().ok_or(Malformed)? {
            (&STATEMENT, rest) => Self::Statement(Statement::from_bytes(rest)?),
            (&END, _) => Self::End,
            _ => return Err(Malformed),
        };
        if word.to_bytes() == bytes { Ok(word) } else { Err(Malformed) }
    }
}

const STATEMENT: u8 = 1;
const END: u8 = 2;

/// The bytes in order, then zeros.
fn filled<const N: usize>(bytes: impl Iterator<Item = u8>) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    array
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(Self::BYTES)?;
        self.to_bytes().iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(Self::BYTES, WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} bytes of a word about the catalog", Word::BYTES)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Word, A::Error> {
        let mut bytes = [0; Word::BYTES];
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(position, &self))?;
        }
        Word::from_bytes(&bytes).map_err(A::Error::custom)
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Word::Statement(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Statement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Word::deserialize(deserializer)? {
            Word::Statement(statement) => Ok(statement),
            Word::End => Err(D::Error::custom(Malformed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> impl Strategy<Value = Word> {
        let topic =
            (0..5u8, any::<[u8; 32]>(), any::<u32>()).prop_map(|(kind, key, version)| match kind {
                0 => Topic::Roster,
                1 => Topic::Release,
                2 => Topic::Table(Digest(key)),
                3 => Topic::Policy(version),
                _ => Topic::Approval(Digest(key)),
            });
        let fact = (0..64usize, any::<u32>(), topic, any::<[u8; 32]>());
        let statement = (fact, prop::collection::vec(any::<u8>(), 0..=72));
        let statement = statement.prop_map(|((party, epoch, topic, digest), seal)| {
            let party = PartyId::new(party).unwrap();
            let fact = Fact { party, epoch, topic, digest: Digest(digest) };
            Word::Statement(Statement { fact, seal: Seal::new(&seal).unwrap() })
        });
        prop_oneof![9 => statement, 1 => Just(Word::End)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_word_has_one_encoding(word in words(), at in 0..Word::BYTES, flip in 1u8..) {
            let bytes = word.to_bytes();
            prop_assert_eq!(Word::from_bytes(&bytes), Ok(word));
            let mut other = bytes;
            other[at] ^= flip;
            if let Ok(decoded) = Word::from_bytes(&other) {
                prop_assert_ne!(decoded, word);
                prop_assert_eq!(decoded.to_bytes(), other);
            }
        }

        #[test]
        fn other_lengths_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if bytes.len() != Word::BYTES {
                prop_assert_eq!(Word::from_bytes(&bytes), Err(Malformed));
            }
        }
    }

    #[test]
    fn a_seal_is_no_longer_than_a_signature() {
        assert!(Seal::new(&[0; 73]).is_none());
        assert_eq!(Seal::new(&[7; 71]).unwrap().bytes(), [7; 71]);
    }
}
