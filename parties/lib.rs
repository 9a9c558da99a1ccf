//! The parties of a federation: configuration, tables, transport, the life of a query, commands.
// Denied, not forbidden: the dataflow generated into `life` reads its own state unchecked.
#![deny(unsafe_code)]

pub mod config;
pub mod failure;
pub mod format;
pub mod identity;
pub mod life;
pub mod local;
#[path = "../queries/generate.rs"]
pub mod queries;
pub mod tables;
pub mod tls;
pub mod transport;
