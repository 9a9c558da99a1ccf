//! One side of one instance within an extension ([Roy22]; PROTOCOL.md §3), corrected and challenged:
//! its rows, and the check that its columns belong together.

use super::choices::{Choices, ROWS_PER_BLOCK};
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind};
use crate::wire::{BLOCK_BYTES, block_bytes, read_blocks};
use rayon::prelude::*;
use senate_block::{Block, Forest, Scratch, Weights, dot, dot_columns, transpose, xor_into};
use senate_circuit::PartyId;
use std::ops::Range;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Blocks of a column that are made at a time, at most.
pub(super) const SPAN: usize = Scratch::ROW;
/// Blocks of a column whose corrections lie together, tree by tree.
const STRIP: usize = 16;
/// Blocks of a column whose corrections share one message.
const MESSAGE: usize = 16 * SPAN;
const _: () = assert!(SPAN.is_multiple_of(STRIP));
const DIGEST_BYTES: usize = 32;

/// UHF_χ of each column.
pub(super) type Hashes = [Block; 128];

/// What one extension of one instance is made of.
pub(super) struct Extent<'a> {
    pub(super) forest: &'a Forest,
    /// Bits per tree.
    pub(super) depth: usize,
    /// Blocks per column, segment by segment, each with a mask as its last one.
    pub(super) segments: Vec<usize>,
    /// First counter of the leaf expansions: set in the high half, batch, then 2^32 blocks.
    pub(super) address: u128,
    /// Of the response, with what it is about.
    pub(super) hasher: blake3::Hasher,
}

/// One side of one instance within an extension.
pub struct Half<'a> {
    extent: Extent<'a>,
    peer: PartyId,
    side: Side,
    /// χ per block, 1 for masks.
    weights: Arc<[Block]>,
}

/// What one side adds to what its trees give.
enum Side {
    /// Δ_b d_b to W_b, and nothing to bit 0 of rows, which is cleared. Corrections are dropped when all
    /// rows are made.
    Sender { corrections: Corrections },
    /// u to bit 0 of rows.
    Receiver { u: Choices },
}

impl std::fmt::Debug for Half<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Half(with {}, {:?} blocks)", self.peer, self.extent.segments)
    }
}

impl<'a> Half<'a> {
    /// The side that holds Δ, whose `peer` sends the corrections.
    ///
    /// # Errors
    /// Those of the channel.
    pub(super) async fn sender(
        channel: &Channel,
        extent: Extent<'a>,
        peer: PartyId,
    ) -> Result<Self, Error> {
        let corrections = Corrections::receive(channel, peer, &extent).await?;
        Ok(Self { extent, peer, side: Side::Sender { corrections }, weights: Arc::default() })
    }

    /// The side that sends `peer` corrections toward `u`.
    ///
    /// # Errors
    /// Those of the channel.
    pub(super) async fn receiver(
        channel: &Channel,
        extent: Extent<'a>,
        peer: PartyId,
        u: Choices,
    ) -> Result<Self, Error> {
        extent.correct(channel, peer, u.blocks()).await?;
        Ok(Self { extent, peer, side: Side::Receiver { u }, weights: Arc::default() })
    }

    /// Who holds Δ chooses the challenge, and tells its peer.
    ///
    /// # Errors
    /// Those of the channel.
    pub(super) async fn challenge(
        &mut self,
        channel: &Channel,
        entropy: &Entropy,
    ) -> Result<(), Error> {
        let coin = match self.side {
            Side::Sender { .. } => {
                let own = entropy.block("extension challenge");
                channel.send(self.peer, Kind::Chal, own.to_bytes().to_vec()).await?;
                own
            }
            Side::Receiver { .. } => {
                let mut coin = [Block::ZERO];
                let bytes = channel.recv(self.peer, Kind::Chal, BLOCK_BYTES).await?;
                read_blocks(&bytes, &mut coin);
                coin[0]
            }
        };
        self.weights = self.weights(coin);
        Ok(())
    }

    /// χ of each block as expanded from `coin`.
    pub(super) fn weights(&self, coin: Block) -> Arc<[Block]> {
        let mut weights = vec![Block::ONE; self.blocks()];
        Weights::new(coin).fill(0, &mut weights);
        let mut end = 0;
        for blocks in &self.extent.segments {
            end += blocks;
            weights[end - 1] = Block::ONE;
        }
        weights.into()
    }

    /// Is challenged by these weights.
    pub(super) fn judge_by(&mut self, weights: &Arc<[Block]>) {
        self.weights = Arc::clone(weights);
    }

    /// Blocks per column, masks included.
    fn blocks(&self) -> usize {
        self.extent.segments.iter().sum()
    }

    /// Blocks of each segment, the mask included.
    pub(super) fn segments(&self) -> &[usize] {
        &self.extent.segments
    }

    /// All rows of an extension of this instance alone, checked. `delta` as in [`Half::expand`].
    ///
    /// # Errors
    /// [`Fault::CotConsistency`] by the receiver, and those of the channel.
    pub(super) async fn rows_alone(
        mut self,
        channel: &Channel,
        delta: &Block,
        entropy: &Entropy,
    ) -> Result<Zeroizing<Vec<Block>>, Error> {
        self.challenge(channel, entropy).await?;
        let mut rows = Zeroizing::new(vec![Block::ZERO; self.blocks() * ROWS_PER_BLOCK]);
        let mut hashes = Zeroizing::new([[Block::ZERO; 128]]);
        self.expand(0, delta, &mut Scratch::new(), &mut rows, &mut hashes[0]);
        match self.response(&*hashes) {
            Some(response) => channel.send(self.peer, Kind::Resp, response).await?,
            None => {
                let bytes = self.response_bytes();
                let response = channel.recv(self.peer, Kind::Resp, bytes).await?;
                self.verify(&*hashes, delta, &response)?;
            }
        }
        Ok(rows)
    }

    /// Makes the rows K or M of so many blocks of all columns from number `first` on, and adds UHF_χ of
    /// the columns to `hashes`: block t of column c is at 128 t + c until columns are turned into rows.
    /// `delta` is that of the side that holds it, and nothing to the other one.
    pub(super) fn expand(
        &self,
        first: usize,
        delta: &Block,
        scratch: &mut Scratch,
        rows: &mut [Block],
        hashes: &mut Hashes,
    ) {
        let Extent { forest, depth, address, .. } = &self.extent;
        let len = rows.len() / ROWS_PER_BLOCK;
        let mut row = [Block::ZERO; SPAN];
        for tree in 0..self.extent.trees() {
            let addend = match &self.side {
                Side::Sender { corrections } => {
                    corrections.read(tree, first, &mut row[..len]);
                    Some((&row[..len], (delta.0 >> (tree * depth)) as u8))
                }
                Side::Receiver { .. } => None,
            };
            forest.fold(scratch, tree, address + first as u128, rows, addend);
        }
        dot_columns(&self.weights[first..first + len], rows, hashes);
        // Bit 0 of all rows is column 0.
        for (t, square) in rows.chunks_exact_mut(ROWS_PER_BLOCK).enumerate() {
            square[0] = match &self.side {
                Side::Sender { .. } => Block::ZERO,
                Side::Receiver { u } => u.blocks()[first + t],
            };
        }
        transpose(rows);
    }

    /// The receiver's answer to the challenge: ũ = UHF_χ(u) of each segment, and one hash over `hashes`
    /// of all columns of all segments, which are those of a sender in everything but Δ_j[c]ũ.
    pub(super) fn response(&self, hashes: &[Hashes]) -> Option<Vec<u8>> {
        let Side::Receiver { u } = &self.side else { return None };
        let (mut response, mut start) = (Vec::new(), 0);
        for blocks in self.segments() {
            let segment = start..start + blocks;
            start = segment.end;
            let u_hash = dot(&self.weights[segment.clone()], &u.blocks()[segment]);
            response.extend_from_slice(&u_hash.to_bytes());
        }
        let mut hasher = self.extent.hasher.clone();
        hashes.iter().for_each(|hashes| {
            hasher.update(block_bytes(hashes));
        });
        response.extend_from_slice(hasher.finalize().as_bytes());
        Some(response)
    }

    /// Bytes of a response.
    pub(super) fn response_bytes(&self) -> usize {
        self.segments().len() * BLOCK_BYTES + DIGEST_BYTES
    }

    /// All rows are made: what only they needed goes.
    pub(super) fn made(&mut self) {
        if let Side::Sender { corrections } = &mut self.side {
            corrections.messages.clear();
        }
    }

    /// Whether `response` fits `hashes` of the sender's columns, segment by segment.
    ///
    /// # Errors
    /// [`Fault::CotConsistency`] by the receiver.
    pub(super) fn verify(
        &self,
        hashes: &[Hashes],
        delta: &Block,
        response: &[u8],
    ) -> Result<(), Error> {
        let (u_hashes, digest) = response.split_at(self.segments().len() * BLOCK_BYTES);
        let mut hasher = self.extent.hasher.clone();
        // Next to `hashes`, these would tell Δ.
        let mut expected = Zeroizing::new([Block::ZERO; 128]);
        for (hashes, bytes) in hashes.iter().zip(u_hashes.chunks(BLOCK_BYTES)) {
            let mut u_hash = [Block::ZERO];
            read_blocks(bytes, &mut u_hash);
            for (c, (expected, hash)) in expected.iter_mut().zip(hashes).enumerate() {
                *expected = *hash ^ u_hash[0].times(delta.0 >> c & 1 == 1);
            }
            hasher.update(block_bytes(&*expected));
        }
        if bool::from(hasher.finalize().as_bytes().as_slice().ct_eq(digest)) {
            Ok(())
        } else {
            Err(Error::by(self.peer, Fault::CotConsistency))
        }
    }
}

impl Extent<'_> {
    fn trees(&self) -> usize {
        128 / self.depth
    }

    /// The blocks whose corrections share a message each.
    fn messages(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let blocks: usize = self.segments.iter().sum();
        (0..blocks).step_by(MESSAGE).map(move |start| start..blocks.min(start + MESSAGE))
    }

    /// Sends d_b = u ⊕ u_b, strip by strip and tree by tree.
    ///
    /// # Errors
    /// Those of the channel.
    async fn correct(&self, channel: &Channel, peer: PartyId, u: &[Block]) -> Result<(), Error> {
        for blocks in self.messages() {
            let corrections = self.corrections(blocks.start, &u[blocks]);
            channel.send(peer, Kind::Corr, corrections).await?;
        }
        Ok(())
    }

    /// The corrections of so many blocks from number `first` on.
    fn corrections(&self, first: usize, u: &[Block]) -> Vec<u8> {
        let trees = self.trees();
        let mut bytes = vec![0; u.len() * trees * BLOCK_BYTES];
        let spans = bytes.par_chunks_mut(SPAN * trees * BLOCK_BYTES).zip(u.par_chunks(SPAN));
        spans.enumerate().for_each(|(span, (bytes, u))| {
            let address = self.address + (first + span * SPAN) as u128;
            let mut row = [Block::ZERO; SPAN];
            let row = &mut row[..u.len()];
            for tree in 0..trees {
                self.forest.sum(tree, address, row);
                xor_into(row, u);
                let strips = bytes.chunks_mut(STRIP * trees * BLOCK_BYTES);
                for (strip, row) in strips.zip(row.chunks(STRIP)) {
                    let row = block_bytes(row);
                    strip[tree * row.len()..][..row.len()].copy_from_slice(row);
                }
            }
        });
        bytes
    }
}

/// d_b of all trees, as received.
struct Corrections {
    messages: Vec<Vec<u8>>,
    trees: usize,
}

impl Corrections {
    /// Those of `extent` from `peer`.
    ///
    /// # Errors
    /// Those of the channel.
    async fn receive(channel: &Channel, peer: PartyId, extent: &Extent<'_>) -> Result<Self, Error> {
        let (trees, mut messages) = (extent.trees(), Vec::new());
        for blocks in extent.messages() {
            let bytes = blocks.len() * trees * BLOCK_BYTES;
            messages.push(channel.recv(peer, Kind::Corr, bytes).await?);
        }
        Ok(Self { messages, trees })
    }

    /// Blocks `first`, `first` + 1, … of d_b for `tree` b.
    fn read(&self, tree: usize, mut first: usize, mut row: &mut [Block]) {
        while !row.is_empty() {
            let (message, strip) = (&self.messages[first / MESSAGE], first % MESSAGE / STRIP);
            let strips = &message[strip * STRIP * self.trees * BLOCK_BYTES..];
            // The last strip of all may be shorter.
            let len = STRIP.min(strips.len() / (self.trees * BLOCK_BYTES));
            let skip = first % STRIP;
            let part = &strips[(tree * len + skip) * BLOCK_BYTES..(tree + 1) * len * BLOCK_BYTES];
            let (now, rest) = row.split_at_mut(row.len().min(len - skip));
            read_blocks(part, now);
            (first, row) = (first + now.len(), rest);
        }
    }
}
