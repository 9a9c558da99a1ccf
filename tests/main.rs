//! The specification of Senate as tests: one module per claim.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

mod ahead;
mod answers;
mod daemon;
mod flight;
mod gossip;
mod governance;
mod hosts;
mod jobs;
mod leakage;
mod onboarding;
mod shell;
mod sources;
mod support;
mod tidy;
mod traffic;
mod workers;
