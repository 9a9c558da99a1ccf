//! Encodings of message payloads. All are of fixed length for a given number of items.

use crate::error::{Error, Fault};
use crate::mesh::Kind;
use senate_block::Block;
use senate_circuit::{Bits, PartyId};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 16;

/// Little-endian bytes of `blocks`, which is how they lie in memory.
pub fn block_bytes(blocks: &[Block]) -> &[u8] {
    bytemuck::cast_slice(blocks)
}

/// As [`block_bytes`], in memory of their own.
pub fn from_blocks(blocks: &[Block]) -> Vec<u8> {
    block_bytes(blocks).to_vec()
}

/// The blocks in `bytes`; a partial last block is dropped (the channel has checked the length).
pub fn to_blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    append_blocks(&mut blocks, bytes);
    blocks
}

/// Appends the blocks in `bytes`, as [`to_blocks`].
pub fn append_blocks(blocks: &mut Vec<Block>, bytes: &[u8]) {
    let (chunks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    blocks.extend(chunks.iter().map(|chunk| Block::from_bytes(*chunk)));
}

/// Writes as many blocks as `blocks` has from `bytes`.
pub fn read_blocks(bytes: &[u8], blocks: &mut [Block]) {
    let (chunks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    blocks.iter_mut().zip(chunks).for_each(|(block, chunk)| *block = Block::from_bytes(*chunk));
}

/// `len` bits sent by `party` in a message of `kind`.
///
/// # Errors
/// [`Fault::Malformed`] when spare bits are set or the size is wrong.
pub fn to_bits(bytes: &[u8], len: usize, party: PartyId, kind: Kind) -> Result<Bits, Error> {
    Bits::from_bytes(bytes, len).ok_or_else(|| Error::by(party, Fault::Malformed(kind)))
}

/// Bytes of `len` packed bits.
pub fn bit_bytes(len: usize) -> usize {
    len.div_ceil(8)
}
