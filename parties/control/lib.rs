//! The life of a query over several parties: everybody approves one plan, each stage starts at a
//! party when the completions it waits for are there, and the query finishes at everybody or is
//! aborted together.
//!
//! [`program`] is the dataflow over a cluster of parties. It does no IO: the caller feeds it
//! commands and frames that carry the sender's proven identity, and carries its frames away.
//! [`life`] is the pure transition it runs. Facts only grow, so the order in which messages arrive
//! cannot change the outcome; the one exception is an abort.

// Denied, not forbidden: generated constructors that register the program allow it.
#![deny(unsafe_code)]

#[cfg(stageleft_runtime)]
hydro_lang::setup!();

pub mod life;
pub mod message;
pub mod program;
pub mod spec;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod sim;

pub use life::{Action, Command, Effect, Event, Input, Life, step, take_in};
pub use message::{AbortClass, Digest, Frame, Malformed, Message};
pub use program::{CHANNEL, Party, life_of_query};
pub use spec::{LifeSpec, SpecError, StageSpec};
