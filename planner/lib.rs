//! From SQL to a tree of stages.
#![forbid(unsafe_code)]

pub mod ir;
pub mod types;
