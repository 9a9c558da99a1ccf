//! A plan for people and programs: stages as a tree, what they cost, and what is revealed to whom.

mod dot;
mod json;
mod placed;
mod policy;
mod reveal;
mod text;

pub use dot::dot;
pub use json::json;
pub use reveal::{Revelation, revelations};
pub use text::text;

use crate::catalog::Federation;
use senate_circuit::PartySet;

/// Names of the members, in order.
pub(crate) fn names(federation: &Federation, parties: PartySet) -> Vec<String> {
    parties.iter().map(|party| federation.party_name(party)).collect()
}

/// The digest in hexadecimal.
pub fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
