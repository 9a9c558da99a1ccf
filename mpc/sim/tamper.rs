//! What a corrupted party can do to its messages, mechanically (PROTOCOL.md §11).

use crate::mesh::{Frame, Kind};
use senate_circuit::{PartyId, PartySet};

/// Sees every frame between two parties and decides what arrives.
pub trait Tamper {
    /// The frames that reach `to` instead of `frame`.
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame>;
}

/// Everybody follows the protocol.
#[derive(Clone, Copy, Debug)]
pub struct Honest;

impl Tamper for Honest {
    fn on_frame(&mut self, _: PartyId, _: PartyId, frame: Frame) -> Vec<Frame> {
        vec![frame]
    }
}

/// A change to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Flips bit `.0` modulo the message's length.
    FlipBit(usize),
    /// Overwrites with zeros.
    Zero,
    /// Overwrites with pseudorandom bytes.
    Random,
    /// Drops the last byte.
    Truncate,
    /// Appends a zero byte.
    Extend,
    /// Never arrives.
    Drop,
    /// Arrives twice.
    Duplicate,
    /// Arrives after the next message of its kind.
    SwapWithNext,
    /// Replaced by the previous message of its kind on this link (by nothing new if none).
    Replay,
}

impl Action {
    /// Every action, with one representative bit.
    pub const ALL: [Self; 9] = [
        Self::FlipBit(0),
        Self::Zero,
        Self::Random,
        Self::Truncate,
        Self::Extend,
        Self::Drop,
        Self::Duplicate,
        Self::SwapWithNext,
        Self::Replay,
    ];
}

/// Which messages are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The corrupted sender.
    pub from: PartyId,
    /// Receivers that get the changed message; others get the original.
    pub to: PartySet,
    /// The kind of message.
    pub kind: Kind,
    /// How many messages of that kind on the link pass unchanged first.
    pub skip: usize,
}

/// Applies one action to one message on each targeted link.
#[derive(Debug)]
pub struct Tampering {
    target: Target,
    action: Action,
    links: Vec<LinkState>,
    /// How many messages were really changed.
    pub hits: usize,
}

#[derive(Debug)]
struct LinkState {
    to: PartyId,
    seen: usize,
    previous: Option<Vec<u8>>,
    held: Option<Frame>,
}

impl Tampering {
    /// `action` on the messages of `target`.
    pub fn new(target: Target, action: Action) -> Self {
        let links = target.to.iter();
        let links = links.map(|to| LinkState { to, seen: 0, previous: None, held: None }).collect();
        Self { target, action, links, hits: 0 }
    }
}

impl Tamper for Tampering {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        if from != self.target.from || frame.kind != self.target.kind {
            return vec![frame];
        }
        let Some(link) = self.links.iter_mut().find(|link| link.to == to) else {
            return vec![frame];
        };
        link.seen += 1;
        if let Some(held) = link.held.take() {
            return vec![frame, held];
        }
        let original = frame.payload.clone();
        let previous = link.previous.replace(original.clone());
        if link.seen != self.target.skip + 1 {
            return vec![frame];
        }
        let arriving = match self.action {
            Action::Drop => vec![],
            Action::Duplicate => vec![frame.clone(), frame],
            Action::SwapWithNext => {
                link.held = Some(frame);
                vec![]
            }
            action => vec![Frame { payload: change(action, frame.payload, previous), ..frame }],
        };
        let same = arriving.len() == 1 && arriving.iter().all(|frame| frame.payload == original);
        self.hits += usize::from(!same);
        arriving
    }
}

fn change(action: Action, mut payload: Vec<u8>, previous: Option<Vec<u8>>) -> Vec<u8> {
    match action {
        Action::FlipBit(bit) => {
            let bits = payload.len() * 8;
            if bits > 0 {
                payload[bit % bits / 8] ^= 1 << (bit % 8);
            }
        }
        Action::Zero => payload.fill(0),
        Action::Random => {
            let mut stream = blake3::Hasher::new();
            stream.update(&payload).finalize_xof().fill(&mut payload);
        }
        Action::Truncate => {
            payload.pop();
        }
        Action::Extend => payload.push(0),
        Action::Replay => return previous.unwrap_or(payload),
        Action::Drop | Action::Duplicate | Action::SwapWithNext => {}
    }
    payload
}
