//! Maliciously secure n-party computation of a tree of circuits, as mpc/PROTOCOL.md states it.
#![forbid(unsafe_code)]
