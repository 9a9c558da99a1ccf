//! SIMD kernels under the protocols, and the heap's habits: the only crate with `unsafe`.
//!
//! Every kernel that has a vector backend also has a portable twin; the backend is chosen at run
//! time (`is_x86_feature_detected!` caches its answer) and tests compare the twins. AES comes from
//! the `aes` crate, which chooses between AES-NI, ARMv8 and constant-time software itself; for
//! processors with VAES there are twins of our own, in 256 and 512 bits, which do what comes before
//! and after in the same registers.
#![deny(clippy::undocumented_unsafe_blocks)]

mod aes;
mod bits;
mod block;
mod forest;
mod gf128;
mod heap;
mod prg;
mod stream;
mod tccr;
mod tile;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod x86;
mod xor;

pub use aes::FixedKey;
pub use bits::{
    add_low_halves, add_selected, add_selected_words, add_where, add_where_low, low_bits,
};
pub use block::Block;
pub use forest::{Forest, Scratch};
pub use gf128::{combine_bits, dot, dot_columns, mul, select};
pub use heap::keep_freed;
pub use prg::{Prg, Sums, Weights};
pub use stream::stream;
pub use tccr::{Tccr, Tweak};
pub use tile::Tile;
pub use transpose::transpose;
use xor::{xor_four, xor_into_both};
pub use xor::{xor_into, xor_of};

#[cfg(target_endian = "big")]
compile_error!("blocks are laid out little-endian in memory; big-endian targets are not supported");

/// Lengths around every register, word and batch border, for comparing twins.
#[cfg(test)]
pub(crate) const LADDER: [usize; 15] = [0, 1, 2, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 257, 1000];

/// A fixed sequence of blocks without structure, for tests.
#[cfg(test)]
pub(crate) fn noise(seed: u128, len: usize) -> Vec<Block> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let step = |_| {
        state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(0x6d);
        Block(state ^ state >> 61)
    };
    (0..len).map(step).collect()
}
