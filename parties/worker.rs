//! Session workers: processes of a party beside its daemon, in each of which one session lives at a
//! time. The daemon is then the party's gateway: it decides, keeps the logs, reads the tables and
//! talks to users and other parties; a worker has the labels, Δ and triples of its session, which no
//! other process ever sees, and the processor time that goes into them.
//!
//! A worker dials its gateway with the party's own identity and offers itself, [`process`]; the
//! gateway takes free workers out of a [`pool`], which starts more on its own machine ([`local`]).
//! What the two say is in [`duty`]; the end of their connection is the end of the session at this
//! party. Other parties see one address: their lanes have names by which the gateway passes them on
//! unopened (transport/route.rs).

mod duty;
mod local;
mod pool;
mod process;

pub(crate) use duty::{Duty, Order, Word};
pub use pool::WorkersEntry;
pub(crate) use pool::{Seat, Worker, Workers};
pub(crate) use process::Process;
