//! The protocol's specification as tests: one module per claim. They run the real protocol in the
//! one-thread simulator and never link the planner or the daemon.

mod adversary;
mod agreement;
mod determinism;
mod leakage;
mod plans;
mod runs;
mod transcript;
mod vectors;
