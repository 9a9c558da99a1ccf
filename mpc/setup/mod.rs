//! Checks that a session passes once, before any other use of its keys.

pub mod delta_check;
