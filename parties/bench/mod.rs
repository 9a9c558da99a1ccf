//! `senate bench`: the published figures, each with the limit of this machine in the same run.

pub mod gates;
pub mod limits;
pub mod questions;
pub mod usage;

#[path = "../../benches/federation.rs"]
mod federation;
