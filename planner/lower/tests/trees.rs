//! Stage trees: proper subsets, children before parents, cheaper than one circuit.
