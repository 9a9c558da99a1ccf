//! Recording what crosses the links.

use senate_circuit::PartyId;
use senate_mpc::sim::Tamper;
use senate_mpc::{Frame, Kind, Lane};

/// One frame: sender, receiver, conversation, kind, contents.
pub(crate) type Sent = (PartyId, PartyId, Lane, Kind, Vec<u8>);

/// Every frame in the order in which it crossed.
#[derive(Default)]
pub(crate) struct Transcript(pub(crate) Vec<Sent>);

impl Tamper for Transcript {
    fn on_frame(&mut self, from: PartyId, to: PartyId, frame: Frame) -> Vec<Frame> {
        self.0.push((from, to, frame.lane, frame.kind, frame.payload.clone()));
        vec![frame]
    }
}

impl Transcript {
    /// A hash over all frames of each conversation in order; independent of how conversations
    /// interleave, which is the schedule's business.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut frames: Vec<&Sent> = self.0.iter().collect();
        frames.sort_by_key(|(from, to, lane, kind, _)| (*from, *to, *lane, *kind));
        let mut hasher = blake3::Hasher::new();
        for (from, to, lane, kind, payload) in frames {
            hasher.update(&[from.index() as u8, to.index() as u8, kind.code()]);
            hasher.update(&lane.code().to_le_bytes());
            hasher.update(&(payload.len() as u64).to_le_bytes()).update(payload);
        }
        *hasher.finalize().as_bytes()
    }

    /// Sender, receiver, conversation, kind and size of every frame, in order.
    pub(crate) fn shape(&self) -> Vec<(PartyId, PartyId, Lane, Kind, usize)> {
        let sizes = self.0.iter();
        sizes
            .map(|(from, to, lane, kind, payload)| (*from, *to, *lane, *kind, payload.len()))
            .collect()
    }

    /// The payloads of `kind` from `from` to `to`.
    pub(crate) fn payloads(&self, kind: Kind) -> impl Iterator<Item = (PartyId, PartyId, &[u8])> {
        let frames = self.0.iter().filter(move |frame| frame.3 == kind);
        frames.map(|(from, to, _, _, payload)| (*from, *to, payload.as_slice()))
    }
}
