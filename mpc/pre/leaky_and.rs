//! Leaky multiplication triples (PROTOCOL.md §5; after [WRK17] Π_LaAND): c = ab, but a cheater may
//! learn whether a guess of somebody's a was right, at the price of being caught half of the time.

use super::Triples;
use super::shares::{Dealt, Extension};
use super::workbench::Workbench;
use crate::auth::{Member, Planes};
use crate::domain::Domain;
use crate::error::Error;
use crate::mesh::Kind;
use crate::ot::{CotRows, CotRun, CotSource, Keeper, Part, Rows, TAKEN_MAX, Taker};
use crate::party::ByParty;
use crate::wire::to_bits;
use crate::zero::ZeroStream;
use senate_block::{Block, Tccr, Tweak, add_low_halves, add_selected_words, stream};
use senate_circuit::{Bits, PartyId};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// Triples per parallel task, so that their rows with one peer stay in the second-level cache.
pub(super) const TILE: usize = 1 << 11;
const _: () = assert!(PARTS * TILE <= TAKEN_MAX);
/// Triples hashed at a time, so that scratch space stays in the first-level cache.
const SPAN: usize = 256;
/// log2 of the triples per epoch of the hash key; tiles never cross an epoch.
const EPOCH_BITS: u32 = 14;
/// Purpose field of this protocol's tweaks.
const PURPOSE: u8 = 1;

/// Leaky ANDs of one extension that is still to be checked: nothing of them has been sent.
pub(super) struct Multiplied<R> {
    bits: Bits,
    run: R,
    /// U^{i→j} by peer j.
    corrections: Vec<Zeroizing<Vec<u64>>>,
    /// s^i but for what the peers' corrections add to it.
    sums: Zeroizing<Vec<u64>>,
    /// The pair-specific rows, by peer.
    specific: Vec<CotRows>,
}

/// A leaky AND before its d: share bits of b and the sums s^i, lane by lane.
pub(super) struct Pending {
    pub(super) b: Bits,
    sums: Zeroizing<Vec<u64>>,
}

/// Multiplies `len` times: rows of `extension` for ⟨b⟩, ⟨r⟩ and ⟨a⟩ become the lanes `first`,
/// `first` + 1, … of the leaky triples filed in `rows` one after the other, ⟨r⟩ as c: [`finish`] yields
/// the public d that turns it into ⟨ab⟩. `first` also addresses tweaks and the shares of `zero` and must
/// not repeat within the conversation. Keeps so many pair-specific rows.
///
/// PROTOCOL.md §2 has H applied to rows only once their extension is checked. They are hashed here
/// before, while the cache holds them; what comes of it stays at this party until [`tell`] has made the
/// check, and is dropped if that fails.
pub(super) fn multiply<'a, C: CotSource>(
    bench: &Workbench<C>,
    zero: &ZeroStream,
    (first, len): (usize, usize),
    extension: Extension<C::Run<'a>>,
    rows: &mut [Triples],
    specific: usize,
) -> Multiplied<C::Run<'a>> {
    let member = &bench.member;
    let kernel = Kernel {
        domain: bench.domain,
        me: member.me(),
        peers: member.peers().iter().collect(),
        delta: Zeroizing::new(member.delta()),
        tau: member.tau().0 as u64,
        zero,
    };
    let Extension { bits, mut run } = extension;
    let zeros = || Zeroizing::new(vec![0; len]);
    let (mut sums, mut corrections) = (zeros(), Vec::with_capacity(kernel.peers.len()));
    corrections.resize_with(kernel.peers.len(), zeros);
    run.expand(&mut tiles(&kernel, rows, first, &mut sums, &mut corrections));
    let mut kept = Keeper::new(kernel.peers.len(), specific);
    if specific > 0 {
        run.expand(std::slice::from_mut(&mut kept));
    }
    Multiplied { bits, run, corrections, sums, specific: kept.into_rows() }
}

/// Rows of an extension for `len` leaky ANDs from a multiple of [`TILE`] on.
pub(super) fn rows_taken(len: usize) -> usize {
    PARTS * len.next_multiple_of(128)
}

/// Checks the rows, and then tells each peer its corrections. Also returns the pair-specific rows.
///
/// # Errors
/// Those of the check and of the channel.
pub(super) async fn tell<C: CotSource>(
    bench: &Workbench<C>,
    multiplied: Multiplied<C::Run<'_>>,
) -> Result<(Pending, ByParty<CotRows>), Error> {
    let Multiplied { bits, run, corrections, mut sums, specific } = multiplied;
    let channel = &bench.channel;
    run.prove(channel).await?;
    let corrections = corrections.iter().map(|u| bytemuck::cast_slice(u).to_vec()).collect();
    let received = channel.exchange_each(Kind::LaandU, corrections, 8 * sums.len()).await?;
    let [b, _, a] = parts(&bits, sums.len());
    for bytes in received.values() {
        let (words, _) = bytes.as_chunks::<8>();
        add_selected_words(&mut sums, a.words(), words);
    }
    let mut specific = specific.into_iter();
    let specific = ByParty::from_fn(channel.peers(), |_| specific.next().unwrap_or_default());
    Ok((Pending { b, sums }, specific))
}

/// Share bits of b, r and a of `len` leaky ANDs, in their order.
fn parts(bits: &Bits, len: usize) -> [Bits; PARTS] {
    let mut parts = <[Bits; PARTS]>::default();
    let mut at = 0;
    for start in (0..len).step_by(TILE) {
        let len = TILE.min(len - start);
        for part in &mut parts {
            part.extend_from(&bits.slice(at, len));
            at += len.next_multiple_of(128);
        }
    }
    parts
}

/// d = ⊕_i bit0(s^i), told to all of S; r masks it, and the zero test catches a wrong one. Returns d
/// and this party's residues t^i = s^i ⊕ d·T(Δ_i ⊕ [i = ℓ(S)]τ_S), 64 bits per triple, which must
/// XOR to zero: the zero test catches what a peer sent wrongly.
///
/// # Errors
/// Those of the channel.
pub(super) async fn finish<C>(
    bench: &Workbench<C>,
    pending: Pending,
) -> Result<(Bits, Zeroizing<Vec<u64>>), Error> {
    let mut sums = pending.sums;
    let pack = |word, (t, sum): (usize, &u64)| word | (sum & 1) << t;
    let words = sums.chunks(64).map(|sums| sums.iter().enumerate().fold(0, pack)).collect();
    let mut d = Bits::from_words(words, sums.len());
    let received = bench.channel.exchange(Kind::LaandD, &d.to_bytes()).await?;
    for (party, bytes) in received.iter() {
        d.xor_assign(&to_bits(bytes, sums.len(), party, Kind::LaandD)?);
    }
    residues(&mut sums, &d, &bench.member);
    Ok((d, sums))
}

/// Parts of a tile: rows of b, of r and of a, each from a multiple of 128 on.
const PARTS: usize = 3;

/// Consecutive leaky triples of one epoch, being made.
struct Tile<'a> {
    kernel: &'a Kernel<'a>,
    /// Number in the conversation.
    number: u64,
    hash: Tccr,
    /// Where ⟨b⟩, ⟨r⟩ and ⟨a⟩ are filed, piece by piece.
    filed: Vec<[Planes<'a>; PARTS]>,
    dealt: Dealt<'a>,
    /// Φ_i.
    phi: Zeroizing<Vec<u64>>,
    /// U^{i→j} by peer j.
    corrections: Vec<&'a mut [u64]>,
    /// s^i.
    sums: &'a mut [u64],
}

/// Cuts `sums` of leaky triples that are filed from lane `first` of `rows` into tiles.
fn tiles<'a>(
    kernel: &'a Kernel<'a>,
    rows: &'a mut [Triples],
    first: usize,
    sums: &'a mut [u64],
    corrections: &'a mut [Zeroizing<Vec<u64>>],
) -> Vec<Tile<'a>> {
    let (mut skip, mut number, mut sums) = (first, first as u64, sums);
    let mut corrections: Vec<&mut [u64]> =
        corrections.iter_mut().map(|u| u.as_mut_slice()).collect();
    let mut lanes: VecDeque<[Planes<'a>; PARTS]> = VecDeque::new();
    for Triples { a, b, c } in rows {
        let len = a.len();
        let skipped = skip.min(len);
        skip -= skipped;
        lanes.push_back([b, c, a].map(|plane| plane.lanes_mut(skipped, len - skipped)));
    }
    let mut tiles = Vec::new();
    while !sums.is_empty() {
        let len = TILE.min(sums.len());
        let (mut filed, mut left) = (Vec::new(), len);
        while left > 0
            && let Some(front) = lanes.front_mut()
        {
            let piece = front.each_mut().map(|planes| planes.take(left));
            left -= piece[0].len();
            if piece[0].len() > 0 {
                filed.push(piece);
            }
            if front[0].len() == 0 {
                lanes.pop_front();
            }
        }
        let corrections = corrections.iter_mut().map(|u| cut(u, len)).collect();
        let (dealt, phi) = (Dealt::new(&kernel.delta), Zeroizing::new(vec![0; len]));
        let sums = cut(&mut sums, len);
        let hash = kernel.hash(number);
        tiles.push(Tile { kernel, number, hash, filed, dealt, phi, corrections, sums });
        number += len as u64;
    }
    tiles
}

fn cut<'a>(rest: &mut &'a mut [u64], len: usize) -> &'a mut [u64] {
    let whole = std::mem::take(rest);
    let (head, tail) = whole.split_at_mut(len.min(whole.len()));
    *rest = tail;
    head
}

impl Taker for Tile<'_> {
    fn rows(&self) -> usize {
        rows_taken(self.sums.len())
    }

    /// Adds what is linear in rows.
    fn take(&mut self, rows: Rows<'_>) {
        self.dealt.take(rows);
        let len = self.sums.len();
        let ([b, r, a], kernel) = (split(rows.blocks, len), self.kernel);
        let Some(peer) = kernel.peers.get(rows.rank) else { return };
        match rows.part {
            Part::Macs => {
                file(&mut self.filed, [b, r, a], |planes| planes.macs.get_mut(rows.rank));
                add_low_halves(&mut self.phi, b);
                add_low_halves(self.sums, r);
                kernel.hash_macs(&self.hash, self.number, *peer, a, self.sums);
            }
            Part::Keys => {
                let Some(u) = self.corrections.get_mut(rows.rank) else { return };
                kernel.hash_keys(&self.hash, self.number, *peer, a, u, self.sums);
            }
        }
    }

    fn finish(&mut self) {
        let d = self.dealt.finish();
        let [b, r, a] = split(&d, self.sums.len());
        file(&mut self.filed, [b, r, a], |planes| Some(&mut planes.d));
        self.kernel.amplify(b, &mut self.phi);
        self.kernel.amplify(r, self.sums);
        self.kernel.add_zero_shares(self.number, &mut self.phi);
        for ((sum, phi), a) in self.sums.iter_mut().zip(self.phi.iter()).zip(a) {
            *sum ^= phi & mask(a.bit0());
        }
        for u in &mut self.corrections {
            u.iter_mut().zip(self.phi.iter()).for_each(|(u, phi)| *u ^= phi);
        }
    }
}

/// The parts of a tile of `len` triples.
fn split(rows: &[Block], len: usize) -> [&[Block]; PARTS] {
    let part = |part: usize| {
        let start = part * rows_taken(len) / PARTS;
        &rows[start..start + len]
    };
    [part(0), part(1), part(2)]
}

/// Writes `parts` to one plane each of ⟨b⟩, ⟨r⟩ and ⟨a⟩, past the caches: buckets and stages come for
/// them much later.
fn file<'a>(
    filed: &mut [[Planes<'a>; PARTS]],
    parts: [&[Block]; PARTS],
    plane: impl for<'p> Fn(&'p mut Planes<'a>) -> Option<&'p mut &'a mut [Block]>,
) {
    let mut start = 0;
    for piece in filed {
        let end = start + piece[0].len();
        for (planes, part) in piece.iter_mut().zip(parts) {
            if let Some(plane) = plane(planes) {
                stream(plane, &part[start..end]);
            }
        }
        start = end;
    }
}

/// What all tiles of an extension share.
struct Kernel<'a> {
    domain: Domain,
    me: PartyId,
    peers: Vec<PartyId>,
    delta: Zeroizing<Block>,
    tau: u64,
    zero: &'a ZeroStream,
}

impl Kernel<'_> {
    /// Of the triples from `number` to the end of their epoch.
    fn hash(&self, number: u64) -> Tccr {
        let epoch = number >> EPOCH_BITS;
        Tccr::new(self.domain.tag("hash of leaky AND").number(epoch).key())
    }

    /// Adds T H(M_j[a^i]) to `sums`, for the triples from `number` on.
    fn hash_macs(&self, hash: &Tccr, number: u64, peer: PartyId, macs: &[Block], sums: &mut [u64]) {
        let mut scratch = Zeroizing::new([[Block::ZERO; SPAN]; 2]);
        for (span, (macs, sums)) in macs.chunks(SPAN).zip(sums.chunks_mut(SPAN)).enumerate() {
            let [pis, out] = scratch.each_mut().map(|blocks| &mut blocks[..macs.len()]);
            hash.pi(macs, pis);
            hash.finish(pis, tweak(number + (span * SPAN) as u64, peer, self.me), out);
            add_low_halves(sums, out);
        }
    }

    /// Adds T H(K_i[a^j]) to `sums` and T(H(K_i[a^j]) ⊕ H(K_i[a^j] ⊕ Δ_i)) to `u`, for the triples from
    /// `number` on.
    fn hash_keys(
        &self,
        hash: &Tccr,
        number: u64,
        peer: PartyId,
        keys: &[Block],
        u: &mut [u64],
        sums: &mut [u64],
    ) {
        let mut scratch = Zeroizing::new([[Block::ZERO; SPAN]; 3]);
        let spans = keys.chunks(SPAN).zip(u.chunks_mut(SPAN)).zip(sums.chunks_mut(SPAN));
        for (span, ((keys, u), sums)) in spans.enumerate() {
            let tweak = tweak(number + (span * SPAN) as u64, self.me, peer);
            let [pis, other, out] = scratch.each_mut().map(|blocks| &mut blocks[..keys.len()]);
            hash.pi(keys, pis);
            hash.finish(pis, tweak, out);
            add_low_halves(sums, out);
            other.iter_mut().zip(keys).for_each(|(other, key)| *other = *key ^ *self.delta);
            hash.pi(other, pis);
            hash.finish_into(pis, tweak, out);
            add_low_halves(u, out);
        }
    }

    /// out_r ⊕= T(D_i[x] ⊕ x^iτ_S), `d` being D_i[x]: T(A_i[x]) but for the MACs in it.
    fn amplify(&self, d: &[Block], out: &mut [u64]) {
        for (out, d) in out.iter_mut().zip(d) {
            *out ^= d.0 as u64 ^ self.tau & mask(d.bit0());
        }
    }

    /// Adds shares of zero of the triples from `number`, which is even: triple k takes half k mod 2 of
    /// block k/2.
    fn add_zero_shares(&self, number: u64, phi: &mut [u64]) {
        let mut pads = Zeroizing::new(vec![Block::ZERO; phi.len().div_ceil(2)]);
        self.zero.xor_into(number / 2, &mut pads);
        for (phi, pad) in phi.chunks_mut(2).zip(pads.iter()) {
            let halves = [pad.0 as u64, (pad.0 >> 64) as u64];
            phi.iter_mut().zip(halves).for_each(|(phi, half)| *phi ^= half);
        }
    }
}

fn residues(sums: &mut [u64], d: &Bits, member: &Member) {
    let tau = if member.leads() { member.tau() } else { Block::ZERO };
    let step = (member.delta() ^ tau).0 as u64;
    sums.chunks_mut(64).zip(d.words()).for_each(|(sums, word)| {
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum ^= step & mask(word >> t & 1 == 1);
        }
    });
}

/// The tweak of triple `number` for keys of `holder` on bits of `chooser`; the next ones follow it.
fn tweak(number: u64, holder: PartyId, chooser: PartyId) -> Tweak {
    let (i, j) = (holder.index() as u8, chooser.index() as u8);
    Tweak { purpose: PURPOSE, index: number, i, j, half: 0 }
}

fn mask(bit: bool) -> u64 {
    0u64.wrapping_sub(u64::from(bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthBits;
    use crate::domain::SessionId;
    use crate::mesh::Lane;
    use crate::pre::ideal::Dealer;
    use senate_circuit::PartySet;

    #[test]
    fn tiles_file_every_triple_once_within_one_epoch() {
        let set = PartySet::first(2);
        let member = Dealer::new(1).member(set.leader().unwrap(), set).unwrap();
        let zero = ZeroStream::default();
        let kernel = Kernel {
            domain: Domain::new(SessionId([7; 32]), set, Lane::SESSION),
            me: member.me(),
            peers: member.peers().iter().collect(),
            delta: Zeroizing::new(member.delta()),
            tau: 0,
            zero: &zero,
        };
        let blank = || AuthBits::zeros(&member, 5_000);
        let mut rows: Vec<_> =
            (0..3).map(|_| Triples { a: blank(), b: blank(), c: blank() }).collect();
        let mut covered = 0;
        for (first, len) in [(0, 2 * TILE), (2 * TILE, 5 * TILE), (7 * TILE, 15_000 - 7 * TILE)] {
            let (mut sums, mut corrections) = (vec![0; len], vec![Zeroizing::new(vec![0; len])]);
            let mut at = first as u64;
            for tile in tiles(&kernel, &mut rows, first, &mut sums, &mut corrections) {
                assert_eq!(tile.number, at);
                at += tile.sums.len() as u64;
                assert_eq!(tile.number >> EPOCH_BITS, at.saturating_sub(1) >> EPOCH_BITS);
                let filed = |part: usize| tile.filed.iter().map(move |piece| piece[part].len());
                let rest = |at: usize| 5_000 - at % 5_000;
                assert_eq!(filed(0).next(), Some(rest(tile.number as usize).min(tile.sums.len())));
                assert!((0..PARTS).all(|part| filed(part).sum::<usize>() == tile.sums.len()));
                assert!(tile.corrections.iter().all(|u| u.len() == tile.sums.len()));
                covered += tile.sums.len();
            }
        }
        assert_eq!(covered, 15_000);
    }
}
