//! Sample circuits for tests and benches: well-known functions with known answers, built with the
//! same builder and gadgets as queries. Nothing in a query uses them.

mod aes;
mod sha256;

pub use aes::aes128;
pub use sha256::{SHA256_START, sha256_block};
