//! What parties coordinate, as two dataflows over a cluster of parties. The life of a query:
//! everybody approves one plan, each stage starts at a party when the completions it waits for are
//! there, and the query finishes at everybody or is aborted together. And the catalog: what every
//! party has published, gossiped until all know it.
//!
//! [`program`] holds both. It does no IO: the caller feeds it commands and frames that carry the
//! sender's proven identity, and carries its frames away. [`life`] and [`gossip`] are the pure
//! transitions. Facts only grow, so the order in which messages arrive cannot change the outcome;
//! the one exception is an abort. The catalog's facts, [`fact`], merge in [`catalog`].

// Denied, not forbidden: generated constructors that register the program allow it.
#![deny(unsafe_code)]

#[cfg(stageleft_runtime)]
hydro_lang::setup!();

pub mod catalog;
pub mod fact;
pub mod gossip;
pub mod life;
pub mod message;
pub mod program;
pub mod spec;

#[cfg(test)]
mod catalog_properties;
#[cfg(test)]
mod gossip_sim;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sim;

pub use catalog::{Catalog, Fault, Faulty, TOPICS_MAX};
pub use fact::{Fact, Seal, Statement, Topic, Word};
pub use gossip::{Gossip, GossipSpec, Heard, Notice, Observation};
pub use life::{Action, Command, Effect, Event, Input, Life, step, take_in};
pub use message::{AbortClass, Digest, Frame, Malformed, Message};
pub use program::{CHANNEL, GOSSIP_CHANNEL, Party, gossip_about_catalog, life_of_query};
pub use spec::{LifeSpec, SpecError, StageSpec};
