//! What every protocol of one batch works with.

use crate::auth::Member;
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::mesh::Channel;
use crate::zero::ZeroShares;
use std::rc::Rc;

/// One party's tools for one conversation of a party set.
pub struct Workbench<C> {
    /// The conversation.
    pub channel: Channel,
    /// This party in S.
    pub member: Member,
    /// What the conversation's hashes are bound to.
    pub domain: Domain,
    /// Shares of zero.
    pub zero: Rc<ZeroShares>,
    /// Correlated OT.
    pub cots: Rc<C>,
    /// Private randomness.
    pub entropy: Rc<Entropy>,
}

impl<C> std::fmt::Debug for Workbench<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workbench({:?})", self.member)
    }
}
