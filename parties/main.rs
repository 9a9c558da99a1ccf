//! The `senate` binary.
#![forbid(unsafe_code)]

fn main() {}
