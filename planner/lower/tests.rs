//! Stages against the row-based reference, ranges by brute force, and the shape of stage trees.

mod backends;
mod harness;
mod inverses;
mod operators;
mod padding;
mod queries;
mod ranges;
mod reference;
mod scattered;
mod trees;
