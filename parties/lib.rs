//! The parties of a federation: configuration, tables, transport, the life of a query, commands.
#![forbid(unsafe_code)]

pub mod failure;
pub mod identity;
pub mod tables;
pub mod tls;
pub mod transport;
