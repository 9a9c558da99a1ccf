//! The commands of the binary, one per file.

pub mod audit;
pub mod bench;
pub mod decisions;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod invite;
pub mod jobs;
pub mod join;
pub mod publish;
pub mod query;
pub mod serve;
pub mod shell;
pub mod token;
pub mod worker;
