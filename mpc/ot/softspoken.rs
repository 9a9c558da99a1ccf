//! SoftSpokenOT ([Roy22]; PROTOCOL.md §3): correlated OT from small-field VOLE.
//!
//! Tree b gives the receiver u_b = ⊕_x r_x and V_b = ⊕_x x·r_x, the sender W_b = V_b ⊕ Δ_b u_b, r_x
//! being the expansion of leaf x at the extension's address. The correction d_b = u ⊕ u_b turns all
//! u_b into one u; the check at the end, one per bit column, convicts a receiver that corrected
//! toward different u.
//!
//! Between two parties one instance begins with base OTs by public keys, and the other one takes its
//! base OTs from a first extension of that: PROTOCOL.md §3 has the former for every ordered pair, at
//! twice the processor time. A tree needs keys of which its chooser knows the one of a bit that it
//! keeps to itself. P_i chooses u = ¬Δ_i in 128 rows that serve nothing else; P_j takes H(K), H(K ⊕ Δ_j)
//! as keys, and P_i H(M), after the check of the extension, H being a random oracle bound to the new
//! instance and the row. The extension hides u, whatever challenge P_j chooses: ũ is masked by bits of
//! its own, and column hashes follow from W, Δ_j and ũ. P_i has at most one of two keys, as the inputs of
//! H differ by all of Δ_j: what it may guess of Δ_j in this extension, and be caught, it may guess in any
//! other one, and a guess of the rest costs it a query to H for each value. Wrong corrections of trees tell
//! P_j as much of Δ_i as they would after other base OTs.

use super::choices::Choices;
use super::half::{Extent, Half};
use super::pair::Pair;
use super::{base, ggm};
use crate::auth::Delta;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Channel, Kind};
use crate::open::to_block;
use crate::wire::BLOCK_BYTES;
use senate_block::{Block, Forest};
use senate_circuit::{PartySet, TreeDepth};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use zeroize::Zeroizing;

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
    /// [`crate::Fault::BasePoint`] or [`crate::Fault::Pprf`] by the receiver, and those of the channel.
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

    /// Begins an extension at address (parties of the channel, `batch`): receives the corrections of so
    /// many blocks per segment. Keys K have bit 0 cleared.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a repeated address, and those of the channel.
    pub async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        segments: &[usize],
    ) -> Result<Holder<'_>, Error> {
        let extent = self.instance.extent(&self.forest, channel.set(), batch, segments)?;
        let half = Half::sender(channel, extent, self.instance.pair.receiver).await?;
        Ok(Holder { half, delta: Rc::clone(&self.delta) })
    }
}

/// The side of an extension that holds Δ.
#[derive(Debug)]
pub struct Holder<'a> {
    pub(super) half: Half<'a>,
    pub(super) delta: Rc<Delta>,
}

/// The address of the extension that base OTs are taken from, which no batch has.
const BASE_EXTENSION: u32 = u32::MAX - 1;
/// Its blocks: 128 rows and their mask.
const BASE_SEGMENTS: [usize; 1] = [2];

impl CotSender {
    /// Both keys of the base OTs of `pair`, the other direction.
    ///
    /// # Errors
    /// Those of an extension.
    async fn base_keys(
        &self,
        channel: &Channel,
        pair: Pair,
        entropy: &Entropy,
    ) -> Result<base::KeyPairs, Error> {
        let Holder { half, delta } = self.begin(channel, BASE_EXTENSION, &BASE_SEGMENTS).await?;
        let delta = Zeroizing::new(delta.block());
        let rows = half.rows_alone(channel, &delta, entropy).await?;
        let oracle = pair.oracle("base keys from rows");
        let keys = |(t, key): (usize, &Block)| [*key, *key ^ *delta].map(|x| hash(&oracle, t, x));
        Ok(Zeroizing::new(rows.iter().take(128).enumerate().map(keys).collect()))
    }

    /// As [`CotSender::set_up`], with base OTs from rows of `other`, the other direction.
    ///
    /// # Errors
    /// As [`CotSender::set_up`], and those of an extension.
    pub(super) async fn after(
        channel: &Channel,
        other: &CotReceiver,
        pair: Pair,
        delta: Rc<Delta>,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let chosen = Zeroizing::new(Block(!delta.block().0));
        let keys = other.base_choices(channel, pair, &chosen, entropy).await?;
        Self::puncture(channel, Instance::new(pair, other.instance.depth), delta, &keys).await
    }
}

/// Key of base OT number `t` from a row.
fn hash(oracle: &[u8; 32], t: usize, row: Block) -> Block {
    let mut hasher = blake3::Hasher::new_keyed(oracle);
    hasher.update(&(t as u64).to_le_bytes()).update(&row.to_bytes());
    let digest = hasher.finalize();
    let (half, _) = digest.as_bytes().split_at(BLOCK_BYTES);
    to_block(half)
}

impl CotReceiver {
    /// The keys of the base OTs of `pair`, the other direction, that `chosen` chooses.
    ///
    /// # Errors
    /// Those of an extension.
    async fn base_choices(
        &self,
        channel: &Channel,
        pair: Pair,
        chosen: &Block,
        entropy: &Entropy,
    ) -> Result<Zeroizing<Vec<Block>>, Error> {
        let choices = Choices::of_block(*chosen, entropy);
        let half = self.begin(channel, BASE_EXTENSION, &choices).await?;
        let rows = half.rows_alone(channel, &Block::ZERO, entropy).await?;
        let oracle = pair.oracle("base keys from rows");
        let keys = rows.iter().take(128).enumerate().map(|(t, row)| hash(&oracle, t, *row));
        Ok(Zeroizing::new(keys.collect()))
    }

    /// As [`CotReceiver::set_up`], with base OTs from rows of `other`, the other direction.
    ///
    /// # Errors
    /// Those of an extension.
    pub(super) async fn after(
        channel: &Channel,
        other: &CotSender,
        pair: Pair,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let keys = other.base_keys(channel, pair, entropy).await?;
        Self::grow(channel, Instance::new(pair, other.instance.depth), &keys, entropy).await
    }

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

    /// Begins an extension at address (parties of the channel, `batch`), by one MAC M = K ⊕ uΔ_j per
    /// bit u of `choices`, with bit0(M) = u: sends the corrections. The sender learns nothing about
    /// `choices`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a repeated address, and those of the channel.
    pub async fn begin(
        &self,
        channel: &Channel,
        batch: u32,
        choices: &Choices,
    ) -> Result<Half<'_>, Error> {
        let (set, segments) = (channel.set(), choices.segments());
        let extent = self.instance.extent(&self.forest, set, batch, segments)?;
        Half::receiver(channel, extent, self.instance.pair.sender, choices.clone()).await
    }
}

/// What both sides of an instance share.
struct Instance {
    pair: Pair,
    depth: TreeDepth,
    used: RefCell<BTreeSet<(PartySet, u32)>>,
}

impl Instance {
    fn new(pair: Pair, depth: TreeDepth) -> Self {
        Self { pair, depth, used: RefCell::default() }
    }

    /// Claims an address, which serves once: leaves expanded twice at one address would correlate
    /// two batches.
    fn extent<'a>(
        &self,
        forest: &'a Forest,
        set: PartySet,
        batch: u32,
        segments: &[usize],
    ) -> Result<Extent<'a>, Error> {
        if segments.contains(&0) || u32::try_from(segments.iter().sum::<usize>()).is_err() {
            return Err(Error::Misuse("too many rows for one extension"));
        }
        if !self.used.borrow_mut().insert((set, batch)) {
            return Err(Error::Misuse("an extension's address serves once"));
        }
        let address = u128::from(set.mask()) << 64 | u128::from(batch) << 32;
        let mut hasher = blake3::Hasher::new_keyed(&self.pair.oracle("extension response"));
        hasher.update(&address.to_le_bytes());
        segments.iter().for_each(|blocks| {
            hasher.update(&(*blocks as u64).to_le_bytes());
        });
        let (depth, segments) = (self.depth.bits(), segments.to_vec());
        Ok(Extent { forest, depth, segments, address, hasher })
    }
}
