//! What parties tell each other, and its one encoding: a frame of fixed length.

use senate_circuit::StageId;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 256-bit digest of public bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

/// Why a query was aborted; all that the other parties ever learn about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum AbortClass {
    /// A policy or a person refused the query.
    Refused,
    /// The parties approved different plans.
    Mismatch,
    /// A party's rows break the declared schema or capacity.
    Input,
    /// A party cannot be reached, or a deadline passed.
    Lost,
    /// A check failed: some party misbehaved.
    CheckFailed,
    /// The query was cancelled.
    Cancelled,
    /// A party failed for reasons of its own.
    Internal,
}

/// A fact that one party states to another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// The sender approves the plan with this digest.
    Approve(Digest),
    /// The sender has finished its part of the stage.
    Completed(StageId),
    /// The sender's digest of the stage's public transcript.
    StageDigest(StageId, Digest),
    /// The sender has finished everything the query asks of it.
    Complete,
    /// The sender has aborted the query.
    Abort(AbortClass),
}

/// Bytes that are not the encoding of any message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a control message")]
pub struct Malformed;

impl Message {
    /// Length in bytes of every message: kind, abort class, stage (little endian), digest. Fields
    /// that a kind does not have are zero.
    pub const BYTES: usize = 38;

    /// The message's encoding.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        match self {
            Self::Approve(digest) => encode(APPROVE, 0, 0, digest.0),
            Self::Completed(stage) => encode(COMPLETED, 0, stage.0, NO_DIGEST),
            Self::StageDigest(stage, digest) => encode(STAGE_DIGEST, 0, stage.0, digest.0),
            Self::Complete => encode(COMPLETE, 0, 0, NO_DIGEST),
            Self::Abort(class) => encode(ABORT, class_code(class), 0, NO_DIGEST),
        }
    }

    /// The one message that has this encoding.
    ///
    /// # Errors
    /// [`Malformed`] if the length, the kind, the class or a field that must be zero is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, class, stage, digest) = decode(bytes).ok_or(Malformed)?;
        let message = match kind {
            APPROVE => Self::Approve(Digest(digest)),
            COMPLETED => Self::Completed(StageId(stage)),
            STAGE_DIGEST => Self::StageDigest(StageId(stage), Digest(digest)),
            COMPLETE => Self::Complete,
            ABORT => Self::Abort(class_of(class).ok_or(Malformed)?),
            _ => return Err(Malformed),
        };
        if message.to_bytes() == bytes { Ok(message) } else { Err(Malformed) }
    }
}

/// What arrives on the channel from one peer, in the order of arrival.
///
/// Only messages cross the network. The transport itself states the other two, in place, so that
/// a channel's end is never seen before what was sent on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Frame {
    /// The peer stated a fact.
    Message(Message),
    /// The peer sent bytes that are no message.
    Malformed,
    /// The channel from the peer has ended.
    Closed,
}

impl Frame {
    /// Parses bytes a peer sent. They can never make a [`Frame::Closed`].
    pub fn from_peer(bytes: &[u8]) -> Self {
        Message::from_bytes(bytes).map_or(Self::Malformed, Self::Message)
    }

    /// The encoding that the dataflow's channel uses: of a message its bytes, and two kinds that
    /// [`Message::from_bytes`] refuses.
    pub fn to_bytes(self) -> [u8; Message::BYTES] {
        match self {
            Self::Message(message) => message.to_bytes(),
            Self::Malformed => encode(MALFORMED, 0, 0, NO_DIGEST),
            Self::Closed => encode(CLOSED, 0, 0, NO_DIGEST),
        }
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(Message::BYTES)?;
        for byte in self.to_bytes() {
            tuple.serialize_element(&byte)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(Message::BYTES, FrameVisitor)
    }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Frame;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} bytes of a control frame", Message::BYTES)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Frame, A::Error> {
        let mut bytes = [0; Message::BYTES];
        for (position, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(position, &self))?;
        }
        match bytes.first() {
            Some(&MALFORMED) => Ok(Frame::Malformed),
            Some(&CLOSED) => Ok(Frame::Closed),
            _ => Message::from_bytes(&bytes).map(Frame::Message).map_err(A::Error::custom),
        }
    }
}

const APPROVE: u8 = 1;
const COMPLETED: u8 = 2;
const STAGE_DIGEST: u8 = 3;
const COMPLETE: u8 = 4;
const ABORT: u8 = 5;
const MALFORMED: u8 = 0xfe;
const CLOSED: u8 = 0xff;
const NO_DIGEST: [u8; 32] = [0; 32];

const CLASSES: [AbortClass; 7] = [
    AbortClass::Refused,
    AbortClass::Mismatch,
    AbortClass::Input,
    AbortClass::Lost,
    AbortClass::CheckFailed,
    AbortClass::Cancelled,
    AbortClass::Internal,
];

fn class_code(class: AbortClass) -> u8 {
    match class {
        AbortClass::Refused => 1,
        AbortClass::Mismatch => 2,
        AbortClass::Input => 3,
        AbortClass::Lost => 4,
        AbortClass::CheckFailed => 5,
        AbortClass::Cancelled => 6,
        AbortClass::Internal => 7,
    }
}

fn class_of(code: u8) -> Option<AbortClass> {
    CLASSES.into_iter().find(|class| class_code(*class) == code)
}

fn encode(kind: u8, class: u8, stage: u32, digest: [u8; 32]) -> [u8; Message::BYTES] {
    let mut bytes = [0; Message::BYTES];
    let fields = [kind, class].into_iter().chain(stage.to_le_bytes()).chain(digest);
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u8, u8, u32, [u8; 32])> {
    let ([kind, class], rest) = bytes.split_first_chunk()?;
    let (stage, digest) = rest.split_first_chunk()?;
    Some((*kind, *class, u32::from_le_bytes(*stage), digest.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages() -> impl Strategy<Value = Message> {
        let digest = any::<[u8; 32]>().prop_map(Digest);
        prop_oneof![
            digest.clone().prop_map(Message::Approve),
            any::<u32>().prop_map(|stage| Message::Completed(StageId(stage))),
            (any::<u32>(), digest).prop_map(|(s, d)| Message::StageDigest(StageId(s), d)),
            Just(Message::Complete),
            prop::sample::select(CLASSES.to_vec()).prop_map(Message::Abort),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_message_has_one_encoding(message in messages(), at in 0..38usize, flip in 1u8..) {
            let bytes = message.to_bytes();
            prop_assert_eq!(Message::from_bytes(&bytes), Ok(message));
            let mut other = bytes;
            other[at] ^= flip;
            prop_assert_ne!(Message::from_bytes(&other), Ok(message));
            if let Ok(decoded) = Message::from_bytes(&other) {
                prop_assert_eq!(decoded.to_bytes(), other);
            }
        }

        #[test]
        fn other_lengths_and_the_transports_own_frames_are_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if bytes.len() != Message::BYTES {
                prop_assert_eq!(Frame::from_peer(&bytes), Frame::Malformed);
            }
            prop_assert_ne!(Frame::from_peer(&bytes), Frame::Closed);
        }
    }

    #[test]
    fn a_peer_cannot_send_the_transports_frames() {
        assert_eq!(Frame::from_peer(&Frame::Closed.to_bytes()), Frame::Malformed);
        assert_eq!(Frame::from_peer(&Frame::Malformed.to_bytes()), Frame::Malformed);
    }
}
