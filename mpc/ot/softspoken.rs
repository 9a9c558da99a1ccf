//! SoftSpokenOT ([Roy22]; PROTOCOL.md §3): correlated OT from small-field VOLE.
//!
//! Tree b gives the receiver u_b = ⊕_x r_x and V_b = ⊕_x x·r_x, the sender W_b = V_b ⊕ Δ_b u_b, r_x
//! being the expansion of leaf x at the extension's address. The correction d_b = u ⊕ u_b turns all
//! u_b into one u; the check at the end, one per bit column, convicts a receiver that corrected
//! toward different u. Planes are columns until they are hashed: block t of column c at 128 t + c.

use super::pair::{Pair, TreeDepth};
use super::spare::Spare;
use super::{base, ggm};
use crate::auth::Delta;
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind};
use crate::wire::{BLOCK_BYTES, append_blocks, from_blocks, to_blocks};
use rayon::prelude::*;
use senate_block::{
    Block, Forest, Scratch, Weights, dot, dot_columns, stream, transpose, xor_into,
};
use senate_circuit::{Bits, PartySet};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Blocks of a column per parallel task.
const TILE: usize = Scratch::ROW;
/// Tiles that share scratch space, at least.
const TILES_PER_TASK: usize = 3;
/// Bits of a column in one block.
const ROWS_PER_BLOCK: usize = 128;
/// Blocks of a column whose corrections share one message.
const GROUP: usize = 16 * TILE;
const DIGEST_BYTES: usize = 32;
/// ũ and the hash over the columns.
const RESPONSE_BYTES: usize = BLOCK_BYTES + DIGEST_BYTES;

/// The side of P_j, which holds Δ_j and gets keys K.
pub struct CotSender {
    instance: Instance,
    delta: Rc<Delta>,
    /// In relative order: the missing leaf is the first.
    forest: Forest,
}

/// The side of P_i, which chooses u and gets M = K ⊕ uΔ_j.
pub struct CotReceiver {
    instance: Instance,
    forest: Forest,
}

impl std::fmt::Debug for CotSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CotSender(to {})", self.instance.pair.receiver)
    }
}

impl std::fmt::Debug for CotReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CotReceiver(from {})", self.instance.pair.sender)
    }
}

impl CotSender {
    /// Base OTs as their chooser, then the punctured trees and their check.
    ///
    /// # Errors
    /// [`Fault::BasePoint`] or [`Fault::Pprf`] by the receiver, and those of the channel.
    pub async fn set_up(
        channel: &Channel,
        pair: Pair,
        depth: TreeDepth,
        delta: Rc<Delta>,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let peer = pair.receiver;
        let complement = Block(!delta.block().0);
        let chooser = base::Chooser::new(&pair, complement, &Zeroizing::new(entropy.seed("base")));
        channel.send(peer, Kind::BaseReceiver, chooser.offer()).await?;
        let answer = channel.recv(peer, Kind::BaseSender, base::ANSWER_BYTES).await?;
        let keys = chooser.keys(&answer, peer)?;
        Self::puncture(channel, Instance::new(pair, depth), delta, &keys).await
    }

    /// As [`CotSender::set_up`] after base OTs that a dealer has done.
    ///
    /// # Errors
    /// As [`CotSender::set_up`].
    #[cfg(any(test, feature = "sim"))]
    pub async fn set_up_dealt(
        channel: &Channel,
        pair: Pair,
        depth: TreeDepth,
        delta: Rc<Delta>,
    ) -> Result<Self, Error> {
        let keys = base::dealt_choices(&pair, Block(!delta.block().0));
        Self::puncture(channel, Instance::new(pair, depth), delta, &keys).await
    }

    /// The punctured trees and their check, given the chosen keys of the base OTs.
    async fn puncture(
        channel: &Channel,
        instance: Instance,
        delta: Rc<Delta>,
        keys: &[Block],
    ) -> Result<Self, Error> {
        let Instance { pair, depth, .. } = &instance;
        let (depth, peer) = (*depth, pair.receiver);
        let corrections = channel.recv(peer, Kind::Ggm, ggm::CORRECTION_BYTES).await?;
        let check = channel.recv(peer, Kind::Pprf, ggm::check_bytes(depth)).await?;
        let values = ggm::puncture(pair, depth, delta.block(), keys, &corrections, &check)?;
        let forest = Forest::new(depth.bits(), true, &values);
        Ok(Self { instance, delta, forest })
    }

    /// This instance, using the memory that `spare` has.
    pub(super) fn with_spare(mut self, spare: &Rc<Spare>) -> Self {
        self.instance.spare = Rc::clone(spare);
        self
    }

    /// `rows` fresh keys K with bit 0 cleared, at address (parties of the channel, `batch`). The
    /// keys are returned only after the consistency check has passed.
    ///
    /// # Errors
    /// [`Fault::CotConsistency`] by the receiver, [`Error::Misuse`] for a repeated address, and
    /// those of the channel.
    pub async fn extend(
        &self,
        channel: &Channel,
        batch: u32,
        rows: usize,
        entropy: &Entropy,
    ) -> Result<Vec<Block>, Error> {
        let peer = self.instance.pair.receiver;
        let run = self.instance.begin(channel.set(), batch, rows)?;
        let trees = self.instance.depth.trees();
        let mut corrections = Vec::with_capacity(run.blocks * trees);
        for blocks in run.groups() {
            let bytes = blocks.len() * trees * BLOCK_BYTES;
            append_blocks(&mut corrections, &channel.recv(peer, Kind::Corr, bytes).await?);
        }
        let coin = entropy.block("extension challenge");
        channel.send(peer, Kind::Chal, coin.to_bytes().to_vec()).await?;
        let delta = self.delta.block().0;
        let side = Side::Sender { corrections: &corrections, delta };
        let (made, mut hashes) = self.instance.expand(&run, &self.forest, &run.weights(coin), side);
        let response = channel.recv(peer, Kind::Resp, RESPONSE_BYTES).await?;
        let (u_hash, digest) = response.split_at(BLOCK_BYTES);
        let u_hash = to_blocks(u_hash).first().copied().unwrap_or_default();
        for (c, hash) in hashes.iter_mut().enumerate() {
            *hash ^= u_hash.times(delta >> c & 1 == 1);
        }
        if !bool::from(run.digest(&hashes).as_slice().ct_eq(digest)) {
            return Err(Error::by(peer, Fault::CotConsistency));
        }
        Ok(first(made, rows))
    }
}

impl CotReceiver {
    /// Base OTs as their sender, then the trees and their check.
    ///
    /// # Errors
    /// [`Fault::BasePoint`] by the sender, and those of the channel.
    pub async fn set_up(
        channel: &Channel,
        pair: Pair,
        depth: TreeDepth,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let peer = pair.sender;
        let offer = channel.recv(peer, Kind::BaseReceiver, base::OFFER_BYTES).await?;
        let seed = Zeroizing::new(entropy.seed("base"));
        let (keys, answer) = base::answer(&pair, &offer, peer, &seed)?;
        channel.send(peer, Kind::BaseSender, answer).await?;
        Self::grow(channel, Instance::new(pair, depth), &keys, entropy).await
    }

    /// As [`CotReceiver::set_up`] after base OTs that a dealer has done.
    ///
    /// # Errors
    /// Those of the channel.
    #[cfg(any(test, feature = "sim"))]
    pub async fn set_up_dealt(
        channel: &Channel,
        pair: Pair,
        depth: TreeDepth,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let keys = base::dealt_keys(&pair);
        Self::grow(channel, Instance::new(pair, depth), &keys, entropy).await
    }

    /// The trees and their check, given both keys of the base OTs.
    async fn grow(
        channel: &Channel,
        instance: Instance,
        keys: &[[Block; 2]],
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let Instance { pair, depth, .. } = &instance;
        let (depth, peer) = (*depth, pair.sender);
        let grown = ggm::grow(pair, depth, keys, &Zeroizing::new(entropy.seed("tree roots")));
        channel.send(peer, Kind::Ggm, grown.corrections).await?;
        channel.send(peer, Kind::Pprf, grown.check).await?;
        let forest = Forest::new(depth.bits(), false, &grown.leaves);
        Ok(Self { instance, forest })
    }

    /// This instance, using the memory that `spare` has.
    pub(super) fn with_spare(mut self, spare: &Rc<Spare>) -> Self {
        self.instance.spare = Rc::clone(spare);
        self
    }

    /// One MAC M = K ⊕ uΔ_j per bit u of `choices`, with bit0(M) = u, at address (parties of the
    /// channel, `batch`). The sender learns nothing about `choices`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a repeated address, and those of the channel.
    pub async fn extend(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &Bits,
        entropy: &Entropy,
    ) -> Result<Vec<Block>, Error> {
        let peer = self.instance.pair.sender;
        let run = self.instance.begin(channel.set(), batch, choices.len())?;
        let u = padded_choices(choices, run.blocks, entropy);
        for blocks in run.groups() {
            let corrections = self.corrections(&run, blocks.start, &u[blocks]);
            channel.send(peer, Kind::Corr, from_blocks(&corrections)).await?;
        }
        let coin = to_blocks(&channel.recv(peer, Kind::Chal, BLOCK_BYTES).await?);
        let weights = run.weights(coin.first().copied().unwrap_or_default());
        let side = Side::Receiver { u: &u };
        let (made, hashes) = self.instance.expand(&run, &self.forest, &weights, side);
        let mut response = dot(&weights, &u).to_bytes().to_vec();
        response.extend_from_slice(&run.digest(&hashes));
        channel.send(peer, Kind::Resp, response).await?;
        Ok(first(made, choices.len()))
    }

    /// d_b = u ⊕ u_b of one group of blocks, the first being number `first` of the extension, tile by
    /// tile and tree by tree.
    fn corrections(&self, run: &Run, first: usize, u: &[Block]) -> Vec<Block> {
        let (forest, trees) = (&self.forest, self.instance.depth.trees());
        let mut corrections = vec![Block::ZERO; u.len() * trees];
        let tiles = corrections.par_chunks_mut(TILE * trees).zip(u.par_chunks(TILE));
        tiles.enumerate().for_each(|(tile, (corrections, u))| {
            let address = run.address + (first + tile * TILE) as u128;
            for (tree, correction) in corrections.chunks_mut(u.len()).enumerate() {
                forest.sum(tree, address, correction);
                xor_into(correction, u);
            }
        });
        corrections
    }
}

/// What one side adds to what its trees give.
#[derive(Clone, Copy)]
enum Side<'a> {
    /// Δ_b d_b to W_b, and nothing to bit 0 of rows, which is cleared.
    Sender { corrections: &'a [Block], delta: u128 },
    /// u to bit 0 of rows.
    Receiver { u: &'a [Block] },
}

/// What both sides of an instance share.
struct Instance {
    pair: Pair,
    depth: TreeDepth,
    used: RefCell<BTreeSet<(PartySet, u32)>>,
    spare: Rc<Spare>,
}

impl Instance {
    fn new(pair: Pair, depth: TreeDepth) -> Self {
        Self { pair, depth, used: RefCell::default(), spare: Rc::default() }
    }

    /// Rows K or M of an extension, those behind the asked-for ones included, and UHF_χ of each column
    /// of the matrix before it is turned into rows. Tile by tile: columns are filled, hashed and
    /// transposed in the second-level cache and leave it as rows, which takes less time than writing
    /// them before χ is there, even though the receiver expands its leaves twice for it.
    fn expand(
        &self,
        run: &Run,
        forest: &Forest,
        weights: &[Block],
        side: Side<'_>,
    ) -> (Zeroizing<Vec<Block>>, [Block; 128]) {
        let depth = self.depth;
        let mut rows = Zeroizing::new(self.spare.take(run.blocks * ROWS_PER_BLOCK));
        let tiles = rows.par_chunks_mut(TILE * ROWS_PER_BLOCK).zip(weights.par_chunks(TILE));
        let tiles = tiles.with_min_len(TILES_PER_TASK).enumerate();
        let scratch = || (Scratch::new(), Zeroizing::new(vec![Block::ZERO; TILE * ROWS_PER_BLOCK]));
        let sums = tiles.map_init(scratch, |(scratch, planes), (tile, (rows, weights))| {
            let (start, len) = (tile * TILE, weights.len());
            let (address, planes) = (run.address + start as u128, &mut planes[..rows.len()]);
            for tree in 0..depth.trees() {
                let addend = match side {
                    Side::Sender { corrections, delta } => {
                        let at = start * depth.trees() + tree * len;
                        let word = (delta >> (tree * depth.bits())) as u8;
                        Some((&corrections[at..at + len], word))
                    }
                    Side::Receiver { .. } => None,
                };
                forest.fold(scratch, tree, address, planes, addend);
            }
            let mut sums = [Block::ZERO; 128];
            dot_columns(weights, planes, &mut sums);
            // Bit 0 of all rows is column 0.
            for (t, square) in planes.chunks_exact_mut(ROWS_PER_BLOCK).enumerate() {
                square[0] = match side {
                    Side::Sender { .. } => Block::ZERO,
                    Side::Receiver { u } => u[start + t],
                };
            }
            transpose(planes);
            stream(rows, planes);
            sums
        });
        let added = |mut a: [Block; 128], b: [Block; 128]| {
            xor_into(&mut a, &b);
            a
        };
        let sums = sums.reduce(|| [Block::ZERO; 128], added);
        (rows, sums)
    }

    /// Claims an address, which serves once: leaves expanded twice at one address would correlate
    /// two batches.
    fn begin(&self, set: PartySet, batch: u32, rows: usize) -> Result<Run, Error> {
        let blocks = rows.div_ceil(ROWS_PER_BLOCK) + 1;
        if u32::try_from(blocks).is_err() {
            return Err(Error::Misuse("too many rows for one extension"));
        }
        if !self.used.borrow_mut().insert((set, batch)) {
            return Err(Error::Misuse("an extension's address serves once"));
        }
        let address = u128::from(set.mask()) << 64 | u128::from(batch) << 32;
        let mut hasher = blake3::Hasher::new_keyed(&self.pair.oracle("extension response"));
        hasher.update(&address.to_le_bytes()).update(&(rows as u64).to_le_bytes());
        Ok(Run { blocks, address, hasher })
    }
}

/// One extension.
struct Run {
    /// Blocks per column, the last one being the mask.
    blocks: usize,
    /// First counter of the leaf expansions: set in the high half, batch, then 2^32 blocks.
    address: u128,
    hasher: blake3::Hasher,
}

impl Run {
    /// The blocks whose corrections share a message each.
    fn groups(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let blocks = self.blocks;
        (0..blocks).step_by(GROUP).map(move |start| start..blocks.min(start + GROUP))
    }

    /// UHF_χ weights of a column's blocks; the mask block has weight 1.
    fn weights(&self, coin: Block) -> Vec<Block> {
        let mut weights = vec![Block::ONE; self.blocks];
        Weights::new(coin).fill(0, &mut weights[..self.blocks - 1]);
        weights
    }

    fn digest(&self, hashes: &[Block; 128]) -> [u8; DIGEST_BYTES] {
        *self.hasher.clone().update(&from_blocks(hashes)).finalize().as_bytes()
    }
}

/// u in blocks: the choices, then fresh random bits up to the block border and the mask block.
fn padded_choices(choices: &Bits, blocks: usize, entropy: &Entropy) -> Zeroizing<Vec<Block>> {
    let mut u = Zeroizing::new(vec![Block::ZERO; blocks]);
    for (block, words) in u.iter_mut().zip(choices.words().chunks(2)) {
        let word = |half: usize| u128::from(words.get(half).copied().unwrap_or(0));
        *block = Block(word(0) | word(1) << 64);
    }
    if let [.., last, mask] = u.as_mut_slice() {
        let spare = (choices.len() % ROWS_PER_BLOCK) as u32;
        if spare != 0 {
            *last ^= Block(entropy.block("spare choice bits").0 << spare);
        }
        *mask = entropy.block("mask row bits");
    } else if let [mask] = u.as_mut_slice() {
        *mask = entropy.block("mask row bits");
    }
    u
}

/// The first `len` rows of checked ones; the others are wiped.
fn first(mut rows: Zeroizing<Vec<Block>>, len: usize) -> Vec<Block> {
    let mut rows = std::mem::take(&mut *rows);
    rows[len..].zeroize();
    rows.truncate(len);
    rows
}
