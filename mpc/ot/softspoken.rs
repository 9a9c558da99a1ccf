//! SoftSpokenOT ([Roy22]; PROTOCOL.md §3): correlated OT from small-field VOLE.
//!
//! Tree b gives the receiver u_b = ⊕_x r_x and V_b = ⊕_x x·r_x, the sender W_b = V_b ⊕ Δ_b u_b, r_x
//! being the expansion of leaf x at the extension's address. The correction d_b = u ⊕ u_b turns all
//! u_b into one u; the check at the end, one per bit column, convicts a receiver that corrected
//! toward different u. Until the check has passed, planes are columns: block t of column c at 128 t + c.

use super::pair::{Pair, TreeDepth};
use super::spare::Spare;
use super::{base, ggm};
use crate::auth::Delta;
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind};
use crate::wire::{BLOCK_BYTES, from_blocks, to_blocks};
use rayon::prelude::*;
use senate_block::{Block, Forest, Scratch, Weights, dot, dot_columns, transpose, xor_into};
use senate_circuit::{Bits, PartySet};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Blocks of a column per parallel task.
const TILE: usize = Scratch::ROW;
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
        let planes = self.instance.spare.take(run.blocks * ROWS_PER_BLOCK);
        let mut planes = Zeroizing::new(planes);
        let groups = planes.chunks_mut(GROUP * ROWS_PER_BLOCK).enumerate();
        for (group, planes) in groups {
            let blocks = planes.len() / ROWS_PER_BLOCK;
            let bytes = blocks * self.instance.depth.trees() * BLOCK_BYTES;
            let corrections = to_blocks(&channel.recv(peer, Kind::Corr, bytes).await?);
            self.expand(&run, group * GROUP, planes, &corrections);
        }
        let coin = entropy.block("extension challenge");
        channel.send(peer, Kind::Chal, coin.to_bytes().to_vec()).await?;
        let response = channel.recv(peer, Kind::Resp, RESPONSE_BYTES).await?;
        let (u_hash, digest) = response.split_at(BLOCK_BYTES);
        let u_hash = to_blocks(u_hash).first().copied().unwrap_or_default();
        let mut columns = hash_columns(&planes, &run.weights(coin));
        for (c, column) in columns.iter_mut().enumerate() {
            *column ^= u_hash.times(self.delta.block().0 >> c & 1 == 1);
        }
        if !bool::from(run.digest(&columns).as_slice().ct_eq(digest)) {
            return Err(Error::by(peer, Fault::CotConsistency));
        }
        Ok(rows_of(planes, rows, &[]))
    }

    /// Keys' columns W of one group of blocks, the first being number `first` of the extension.
    fn expand(&self, run: &Run, first: usize, planes: &mut [Block], corrections: &[Block]) {
        let (forest, depth) = (&self.forest, self.instance.depth);
        let delta = self.delta.block().0;
        let tiles = planes
            .par_chunks_mut(TILE * ROWS_PER_BLOCK)
            .zip(corrections.par_chunks(TILE * depth.trees()));
        tiles.enumerate().for_each_init(Scratch::new, |scratch, (tile, (planes, corrections))| {
            let len = planes.len() / ROWS_PER_BLOCK;
            let address = run.address + (first + tile * TILE) as u128;
            let mut sum = [Block::ZERO; TILE];
            for (tree, correction) in corrections.chunks(len).enumerate() {
                let addend = Some((correction, (delta >> (tree * depth.bits())) as u8));
                forest.fold(scratch, tree, address, &mut sum[..len], planes, addend);
            }
        });
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
        let planes = self.instance.spare.take(run.blocks * ROWS_PER_BLOCK);
        let mut planes = Zeroizing::new(planes);
        let groups = planes.chunks_mut(GROUP * ROWS_PER_BLOCK).zip(u.chunks(GROUP)).enumerate();
        for (group, (planes, u)) in groups {
            let corrections = self.expand(&run, group * GROUP, planes, u);
            channel.send(peer, Kind::Corr, from_blocks(&corrections)).await?;
        }
        let coin = to_blocks(&channel.recv(peer, Kind::Chal, BLOCK_BYTES).await?);
        let weights = run.weights(coin.first().copied().unwrap_or_default());
        let mut response = dot(&weights, &u).to_bytes().to_vec();
        response.extend_from_slice(&run.digest(&hash_columns(&planes, &weights)));
        channel.send(peer, Kind::Resp, response).await?;
        Ok(rows_of(planes, choices.len(), &u))
    }

    /// MACs' columns V of one group of blocks, the first being number `first` of the extension;
    /// returns the corrections, tile by tile and tree by tree.
    fn expand(&self, run: &Run, first: usize, planes: &mut [Block], u: &[Block]) -> Vec<Block> {
        let (forest, depth) = (&self.forest, self.instance.depth);
        let mut corrections = vec![Block::ZERO; u.len() * depth.trees()];
        let tiles = planes
            .par_chunks_mut(TILE * ROWS_PER_BLOCK)
            .zip(corrections.par_chunks_mut(TILE * depth.trees()))
            .zip(u.par_chunks(TILE))
            .enumerate();
        tiles.for_each_init(Scratch::new, |scratch, (tile, ((planes, corrections), u))| {
            let address = run.address + (first + tile * TILE) as u128;
            for (tree, correction) in corrections.chunks_mut(u.len()).enumerate() {
                forest.fold(scratch, tree, address, correction, planes, None);
                xor_into(correction, u);
            }
        });
        corrections
    }
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
    /// UHF_χ weights of a column's blocks; the mask block has weight 1.
    fn weights(&self, coin: Block) -> Vec<Block> {
        let mut weights = vec![Block::ONE; self.blocks];
        Weights::new(coin).fill(0, &mut weights[..self.blocks - 1]);
        weights
    }

    fn digest(&self, columns: &[Block; 128]) -> [u8; DIGEST_BYTES] {
        *self.hasher.clone().update(&from_blocks(columns)).finalize().as_bytes()
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

/// Σ_t weight_t · block t of each of the 128 columns.
fn hash_columns(planes: &[Block], weights: &[Block]) -> [Block; 128] {
    let tiles = planes.par_chunks(TILE * ROWS_PER_BLOCK).zip(weights.par_chunks(TILE));
    let sums = tiles.map(|(planes, weights)| {
        let mut sums = [Block::ZERO; 128];
        dot_columns(weights, planes, &mut sums);
        sums
    });
    sums.reduce(
        || [Block::ZERO; 128],
        |mut a, b| {
            xor_into(&mut a, &b);
            a
        },
    )
}

/// The first `rows` rows of checked planes, bit 0 of row r being bit r of `bit0`, zero where there is
/// none; mask and spare rows are wiped.
fn rows_of(mut planes: Zeroizing<Vec<Block>>, rows: usize, bit0: &[Block]) -> Vec<Block> {
    let squares = planes.par_chunks_exact_mut(ROWS_PER_BLOCK).with_min_len(TILE).enumerate();
    squares.for_each(|(t, square)| {
        // Bit 0 of all rows is column 0.
        square[0] = bit0.get(t).copied().unwrap_or_default();
        transpose(square);
    });
    let mut planes = std::mem::take(&mut *planes);
    planes[rows..].zeroize();
    planes.truncate(rows);
    planes
}
