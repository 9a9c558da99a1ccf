//! The specification of Senate as tests: one module per claim.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

mod answers;
mod daemon;
mod leakage;
mod support;
mod tidy;
