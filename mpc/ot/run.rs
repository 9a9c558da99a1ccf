//! An extension with all peers at once: rows are made where they are used and leave the second-level
//! cache only as what a taker makes of them.
//!
//! Challenged by a coin of all, the extension's own check (PROTOCOL.md §3) also proves that the choice
//! bits of the first segment are the same toward every peer, which §4 asks of shares: ũ = UHF_χ(u) ⊕
//! u_mask is the same for all, everybody echoes what it was told, and each P_j's check binds ũ to the u
//! that P_j's columns hold. Two different (u, u_mask), both fixed by corrections before the coin, have
//! one ũ with 2^-128. A cheater that guesses bits of Δ_j can have the check accept any u that one tree at
//! least was corrected toward. It accepts no other without a guess of the k bits of Δ_j (of the first
//! tree k − 1: one bit is public) for every tree, 2^-127 in all. That are n_c² ≤ 2^12 pairs of u toward
//! two honest peers, hence 2^-116 for each two of them and each extension. To the peers ũ tells nothing:
//! the mask is uniform and used once, and columns follow from W, Δ_j and ũ.

use super::CotRows;
use super::choices::ROWS_PER_BLOCK;
use super::half::{Half, Hashes, SPAN};
use super::softspoken::Holder;
use crate::auth::Delta;
use crate::coin::{Coins, echo};
use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::join::try_join_all;
use crate::mesh::{Channel, Kind};
use crate::party::ByParty;
use crate::wire::BLOCK_BYTES;
use rayon::prelude::*;
use senate_block::{Block, Scratch, xor_into};
use std::rc::Rc;
use zeroize::Zeroizing;

/// Rows that a taker takes, at most.
pub const TAKEN_MAX: usize = SPAN * ROWS_PER_BLOCK;

/// Who challenges the choosers of an extension, once their choice bits are fixed.
#[derive(Debug)]
pub enum Challenge<'a> {
    /// Each holder of Δ its peer.
    Own(&'a Entropy),
    /// All of them everybody, by the next coin: then the bits of the first segment are the same toward
    /// every peer.
    Coin(&'a mut Coins),
}

/// Takes consecutive rows of an extension.
pub trait Taker: Send {
    /// How many: a multiple of 128, at most [`TAKEN_MAX`].
    fn rows(&self) -> usize;

    /// The rows with one peer. What is made of them leaves this party only after the run has proved
    /// right.
    fn take(&mut self, rows: Rows<'_>);

    /// After the rows with all peers.
    fn finish(&mut self) {}
}

/// Consecutive rows with one peer j.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// j's place among the peers.
    pub rank: usize,
    /// What they are: keys come after the MACs with the same peer, peers in ascending order.
    pub part: Part,
    /// One block each.
    pub blocks: &'a [Block],
}

/// What rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// M_j.
    Macs,
    /// K_i[j].
    Keys,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} {:?} of {})", self.blocks.len(), self.part, self.rank)
    }
}

/// One extension with every peer of a conversation: corrections and challenges are exchanged; nothing
/// is made or proved yet.
#[derive(Debug)]
pub struct Run<'a> {
    /// By peer: this party's sides as holder of Δ, and as chooser.
    halves: ByParty<[Half<'a>; 2]>,
    /// Δ toward each peer.
    deltas: Vec<Rc<Delta>>,
    /// The coin that judges all, with what its conversation's hashes are bound to.
    coin: Option<(Block, Domain)>,
    /// UHF_χ of the columns, by half, segment by segment.
    hashes: Vec<Zeroizing<Vec<Hashes>>>,
    /// Blocks of the columns made so far.
    made: usize,
    /// Whether every segment was made whole.
    whole: bool,
}

impl<'a> Run<'a> {
    /// Exchanges challenges once everybody's corrections are there: [`CotSender::begin`] and
    /// [`CotReceiver::begin`] with each peer.
    ///
    /// # Errors
    /// [`Error::Misuse`] when they are not of the same segments; those of the coin and of the channel.
    ///
    /// [`CotSender::begin`]: super::CotSender::begin
    /// [`CotReceiver::begin`]: super::CotReceiver::begin
    pub async fn new(
        channel: &Channel,
        sides: ByParty<(Holder<'a>, Half<'a>)>,
        challenge: Challenge<'_>,
    ) -> Result<Self, Error> {
        let mut deltas = Vec::with_capacity(sides.values().len());
        let mut halves = sides.map(|_, (Holder { half, delta }, other)| {
            deltas.push(delta);
            [half, other]
        });
        let mut segments = halves.values().iter().flatten().map(Half::segments);
        if let Some(first) = segments.next()
            && segments.any(|segments| segments != first)
        {
            return Err(Error::Misuse("sides of an extension differ in their segments"));
        }
        let coin = match challenge {
            Challenge::Own(entropy) => {
                let halves = halves.iter_mut().flat_map(|(_, halves)| halves);
                try_join_all(halves.map(|half| half.challenge(channel, entropy))).await?;
                None
            }
            Challenge::Coin(coins) => {
                let coin = coins.toss(channel).await?;
                let weights = halves.values().first().map(|[half, _]| half.weights(coin));
                for half in halves.iter_mut().flat_map(|(_, halves)| halves) {
                    weights.iter().for_each(|weights| half.judge_by(weights));
                }
                Some((coin, *coins.domain()))
            }
        };
        let hashes = halves.values().iter().flatten().map(|half| {
            // Room for all: what grows leaves copies.
            Zeroizing::new(Vec::with_capacity(half.segments().len()))
        });
        let hashes = hashes.collect();
        Ok(Self { halves, deltas, coin, hashes, made: 0, whole: true })
    }

    /// Makes the rows of the next segment, for one taker after the other, in parallel. Takers of other
    /// rows than it has get none, and nothing is proved.
    pub fn expand<T: Taker>(&mut self, takers: &mut [T]) {
        let number = self.hashes.first().map_or(0, |segments| segments.len());
        let fits = |taker: &T| taker.rows().is_multiple_of(128) && taker.rows() <= TAKEN_MAX;
        let blocks = takers.iter().map(|taker| taker.rows() / ROWS_PER_BLOCK).sum::<usize>() + 1;
        let mut segments = self.halves.values().iter().flatten().map(Half::segments);
        let segment = segments.next().and_then(|segments| segments.get(number));
        if segment != Some(&blocks) || !takers.iter().all(fits) {
            self.whole = false;
            return;
        }
        let deltas = self.deltas();
        let mut at = self.made;
        let places = takers.iter().map(|taker| {
            let start = at;
            at += taker.rows() / ROWS_PER_BLOCK;
            start
        });
        let places: Vec<_> = places.collect();
        let each = takers.par_iter_mut().zip(places);
        let work = each.fold(
            || Work::new(self.halves.values(), &deltas),
            |mut work, (taker, start)| {
                work.make(start, taker);
                work
            },
        );
        // The mask is nobody's.
        let mut last = Work::new(self.halves.values(), &deltas);
        last.make(at, &mut Nobody);
        let mut sums = last.hashes;
        let made = work.map(|work| work.hashes).reduce_with(|mut sums, hashes| {
            add(&mut sums, &hashes);
            sums
        });
        made.iter().for_each(|hashes| add(&mut sums, hashes));
        self.hashes.iter_mut().zip(sums.iter()).for_each(|(segments, sum)| segments.push(*sum));
        self.made = at + 1;
        if self.is_made() {
            self.halves.iter_mut().flat_map(|(_, halves)| halves).for_each(Half::made);
        }
    }

    /// Δ toward each peer, for as long as rows are made or checked.
    fn deltas(&self) -> Zeroizing<Vec<Block>> {
        Zeroizing::new(self.deltas.iter().map(|delta| delta.block()).collect())
    }

    fn is_made(&self) -> bool {
        let all = |half: &Half<'_>| half.segments().iter().sum::<usize>();
        self.whole && self.halves.values().iter().flatten().all(|half| all(half) == self.made)
    }

    /// Proves to every peer that this party chose consistently, and checks that of all of them.
    ///
    /// # Errors
    /// [`Fault::CotConsistency`](crate::Fault::CotConsistency) by the peer whose choice bits were
    /// inconsistent; [`Fault::Echo`](crate::Fault::Echo) when somebody challenged by a coin did not
    /// tell all the same; [`Error::Misuse`] when rows were not made; those of the channel.
    pub async fn prove(self, channel: &Channel) -> Result<(), Error> {
        if !self.is_made() {
            return Err(Error::Misuse("all rows of an extension are made before it is proved"));
        }
        let pairs = self.halves.values().iter().zip(self.hashes.as_chunks::<2>().0);
        let responses = pairs.clone().filter_map(|([_, macs], [_, hashes])| macs.response(hashes));
        let responses: Vec<_> = responses.collect();
        let own = responses.first().cloned().unwrap_or_default();
        let bytes = self.halves.values().first().map_or(0, |[keys, _]| keys.response_bytes());
        let received = channel.exchange_each(Kind::Resp, responses, bytes).await?;
        if let Some((coin, domain)) = &self.coin {
            // The coin is echoed too: whoever equivocated it would make honest responses look wrong.
            let mut tag = domain.tag("combinations of choice bits").bytes(&coin.to_bytes());
            for party in channel.set().iter() {
                let response = received.at(party).unwrap_or(&own);
                tag = tag.bytes(response.get(..BLOCK_BYTES).unwrap_or_default());
            }
            echo(channel, Kind::ShareEcho, &tag.digest()).await?;
        }
        // A session that another conversation has ended has no Δ to judge anybody by.
        channel.alive()?;
        let deltas = self.deltas();
        let checks = pairs.zip(deltas.iter()).zip(received.values());
        for ((([keys, _], [hashes, _]), delta), response) in checks {
            keys.verify(hashes, delta, response)?;
        }
        Ok(())
    }
}

fn add(sums: &mut [Hashes], hashes: &[Hashes]) {
    sums.iter_mut().zip(hashes).for_each(|(sum, hash)| xor_into(sum, hash));
}

/// Where one task makes rows.
struct Work<'a, 'b> {
    halves: &'a [[Half<'b>; 2]],
    deltas: &'a [Block],
    scratch: Scratch,
    rows: Zeroizing<Vec<Block>>,
    hashes: Zeroizing<Vec<Hashes>>,
}

impl<'a, 'b> Work<'a, 'b> {
    fn new(halves: &'a [[Half<'b>; 2]], deltas: &'a [Block]) -> Self {
        let hashes = Zeroizing::new(vec![[Block::ZERO; 128]; 2 * halves.len()]);
        Self { halves, deltas, scratch: Scratch::new(), rows: Zeroizing::default(), hashes }
    }

    /// Makes rows from block `first` on for `taker`.
    fn make(&mut self, first: usize, taker: &mut impl Taker) {
        let len = taker.rows();
        if self.rows.len() < len {
            self.rows = Zeroizing::new(vec![Block::ZERO; len]);
        }
        let rows = &mut self.rows[..len];
        let (hashes, _) = self.hashes.as_chunks_mut::<2>();
        let peers = self.halves.iter().zip(hashes).zip(self.deltas).enumerate();
        for (rank, (([keys, macs], [of_keys, of_macs]), delta)) in peers {
            for (part, half, hashes) in [(Part::Macs, macs, of_macs), (Part::Keys, keys, of_keys)] {
                half.expand(first, delta, &mut self.scratch, rows, hashes);
                taker.take(Rows { rank, part, blocks: rows });
            }
        }
        taker.finish();
    }
}

struct Nobody;

impl Taker for Nobody {
    fn rows(&self) -> usize {
        ROWS_PER_BLOCK
    }

    fn take(&mut self, _rows: Rows<'_>) {}
}

/// Keeps rows as they are.
pub struct Keeper {
    kept: Vec<CotRows>,
    len: usize,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({} rows)", self.len)
    }
}

impl Keeper {
    /// `len` rows with so many peers; `len` as [`Taker::rows`].
    pub fn new(peers: usize, len: usize) -> Self {
        Self { kept: (0..peers).map(|_| CotRows::default()).collect(), len }
    }

    /// What was taken, by peer.
    pub fn into_rows(self) -> Vec<CotRows> {
        self.kept
    }
}

impl Taker for Keeper {
    fn rows(&self) -> usize {
        self.len
    }

    fn take(&mut self, rows: Rows<'_>) {
        if let Some(kept) = self.kept.get_mut(rows.rank) {
            match rows.part {
                Part::Macs => kept.macs = rows.blocks.to_vec(),
                Part::Keys => kept.keys = rows.blocks.to_vec(),
            }
        }
    }
}
