//! `senate bench`: the published figures, each with the limits of this machine in the same run.

pub mod calibrate;
pub mod circuits;
mod engine;
pub mod gates;
pub mod limits;
pub mod online;
pub mod preprocessing;
pub mod questions;
pub mod scale;
pub mod sort;
pub mod usage;

#[expect(dead_code, reason = "shared with the benches")]
#[path = "../../benches/federation.rs"]
mod federation;

pub(crate) use federation::Tuning;
