//! Maliciously secure n-party computation of a tree of circuits, as mpc/PROTOCOL.md states it.
//!
//! Scripts (one `async fn` per figure) await only a [`mesh::Channel`]; kernels are synchronous
//! functions over slices; drivers (TLS transport, one-thread simulator) live outside and inside
//! [`sim`]. This crate cannot name a socket, a clock, a global random generator or SQL.
#![forbid(unsafe_code)]

pub mod auth;
pub mod coin;
pub mod domain;
pub mod entropy;
pub mod error;
mod garble;
mod input;
mod join;
pub mod mesh;
pub mod open;
pub mod ot;
pub mod party;
pub mod pre;
pub mod release;
pub mod session;
pub mod setup;
mod solder;
pub mod stage;
pub mod wire;
pub mod zero;

#[cfg(any(test, feature = "sim"))]
pub mod sim;

// Part of this crate's own tests, so that no build of anything else ever has the simulator.
#[cfg(test)]
extern crate self as senate_mpc;
#[cfg(test)]
#[path = "../tests/protocol/mod.rs"]
mod protocol;

pub use auth::{AuthBits, Delta, Member};
pub use domain::{Domain, SessionId, Tag};
pub use entropy::Entropy;
pub use error::{AbortClass, Error, Fault, Step};
pub use mesh::{Channel, Frame, Kind, Lane, Link, Mesh};
pub use open::{OpenToKinds, Openings, open_to};
pub use party::ByParty;
pub use release::Outputs;
pub use session::{Params, Session};
pub use stage::{Execution, SessionHost, execute};
