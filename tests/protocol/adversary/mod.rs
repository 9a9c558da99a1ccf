//! Parties that deviate (PROTOCOL.md §§11, 12): every message kind under every mechanical change,
//! and named strategies. Nobody honest ever accepts a wrong answer, waits for ever or panics.

mod chunks;
mod control;
mod equivocation;
mod oracle;
mod parallel;
mod rewrite;
mod rounds;
mod scenario;
mod shares;
mod strategies;
mod sweep;
