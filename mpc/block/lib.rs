//! SIMD kernels under the protocols, the only crate with `unsafe`.

mod block;
pub use block::Block;
