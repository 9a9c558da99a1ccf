//! From SQL to a tree of stages.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod clear;
pub mod cost;
pub mod encode;
pub mod explain;
pub mod expr;
pub mod ir;
pub mod lower;
pub mod memory;
pub mod plan;
pub mod policy;
pub mod render;
mod rules;
pub mod sql;
pub mod targets;
pub mod text;
pub mod traffic;
pub mod types;
