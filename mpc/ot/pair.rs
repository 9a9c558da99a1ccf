//! What names an instance and its hashes.

use crate::domain::{Domain, SessionId};
use crate::mesh::Lane;
use senate_circuit::PartyId;

/// An ordered pair of parties in a session: one instance of correlated OT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The session's id.
    pub session: SessionId,
    /// P_j, the holder of Δ_j.
    pub sender: PartyId,
    /// P_i, the holder of the choice bits.
    pub receiver: PartyId,
}

impl Pair {
    /// The key of this instance's random oracle for `purpose`.
    pub(super) fn oracle(&self, purpose: &'static str) -> [u8; 32] {
        let both = [self.sender, self.receiver].into_iter().collect();
        let tag = Domain::new(self.session, both, Lane::SESSION).tag("correlated OT");
        tag.party(self.sender).party(self.receiver).bytes(purpose.as_bytes()).digest()
    }
}
