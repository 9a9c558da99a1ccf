//! Tampering by a function: what a coalition does that knows its own state.

use senate_circuit::PartyId;
use senate_mpc::Frame;
use senate_mpc::sim::Tamper;

/// Shows every frame, with sender and receiver, to a function that may change it.
pub(crate) struct Rewrite<F>(pub(crate) F);

impl<F: FnMut(PartyId, PartyId, &mut Frame)> Tamper for Rewrite<F> {
    fn on_frame(&mut self, from: PartyId, to: PartyId, mut frame: Frame) -> Vec<Frame> {
        (self.0)(from, to, &mut frame);
        vec![frame]
    }
}
