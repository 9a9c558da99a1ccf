//! The specification of Senate as tests: one module per claim.

mod answers;
mod daemon;
mod support;
mod tidy;
