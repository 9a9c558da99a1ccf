//! Encodings of message payloads. All are of fixed length for a given number of items.

use crate::error::{Error, Fault};
use crate::mesh::Kind;
use senate_block::Block;
use senate_circuit::{Bits, PartyId};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 16;

/// Little-endian bytes of `blocks`.
pub fn from_blocks(blocks: &[Block]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice(blocks).to_vec()
    } else {
        blocks.iter().flat_map(|block| block.to_bytes()).collect()
    }
}

/// The blocks in `bytes`; a partial last block is dropped (the channel has checked the length).
pub fn to_blocks(bytes: &[u8]) -> Vec<Block> {
    let (chunks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    chunks.iter().map(|chunk| Block::from_bytes(*chunk)).collect()
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
