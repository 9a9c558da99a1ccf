//! The parties of a federation: configuration, tables, transport, the life of a query, commands.
// Denied, not forbidden: the dataflow generated into `life` reads its own state unchecked.
#![deny(unsafe_code)]

#[macro_use]
mod say;

pub mod agreement;
pub mod ahead;
pub mod approvals;
pub mod audit;
pub mod bench;
mod catalog;
pub mod chunks;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod daemon;
mod defaults;
pub mod doctor;
pub mod draft;
pub mod failure;
mod flight;
pub mod format;
pub mod identity;
pub mod inputs;
pub mod invitation;
mod ipc;
mod lanes;
pub mod life;
pub mod local;
mod member;
mod messages;
pub mod policies;
mod private;
pub mod progress;
mod prompt;
pub mod publish;
#[path = "../queries/generate.rs"]
pub mod queries;
pub mod query;
pub mod reference;
pub mod request;
pub mod roster;
pub mod session;
pub mod shell;
pub mod snapshot;
mod speed;
pub mod tables;
pub mod tls;
pub mod token;
pub mod transport;
pub mod worker;
