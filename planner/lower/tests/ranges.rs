//! Ver accepts exactly an operator's range (PROTOCOL.md §8), by brute force on real circuits.
