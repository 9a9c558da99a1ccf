//! Leaky multiplication triples (PROTOCOL.md §5; after [WRK17] Π_LaAND): c = ab, but a cheater may
//! learn whether a guess of somebody's a was right, at the price of being caught half of the time.

use super::Triples;
use super::shares::{CheckedRows, deal};
use super::workbench::{CotSource, Workbench};
use crate::auth::{Member, Planes};
use crate::domain::Domain;
use crate::error::Error;
use crate::mesh::Kind;
use crate::ot::CotRows;
use crate::wire::to_bits;
use crate::zero::ZeroStream;
use rayon::prelude::*;
use senate_block::{Block, Tccr, Tweak, add_low_halves, add_selected_words};
use senate_circuit::{Bits, PartyId};

/// Triples per parallel task, so that a task's rows stay in the second-level cache.
const TILE: usize = 1 << 11;
/// Triples hashed at a time, so that scratch space stays in the first-level cache.
const SPAN: usize = 256;
/// log2 of the triples per epoch of the hash key; tiles never cross an epoch.
const EPOCH_BITS: u32 = 14;
/// Purpose field of this protocol's tweaks.
const PURPOSE: u8 = 1;

/// A leaky AND before its d: share bits of b and the sums s^i, lane by lane.
pub(super) struct Pending {
    pub(super) b: Bits,
    sums: Vec<u64>,
}

/// Multiplies lane by lane: `made` holds 3·len checked rows, for ⟨a⟩, ⟨b⟩ and ⟨r⟩, which become the
/// lanes `first`, `first` + 1, … of the leaky triples filed in `rows` one after the other. `first`
/// also addresses tweaks and the shares of `zero` and must not repeat within the conversation.
/// ⟨r⟩ is filed as c: [`finish`] yields the public d that turns it into ⟨ab⟩.
///
/// # Errors
/// [`Fault::Malformed`](crate::Fault::Malformed), those of the channel.
pub(super) async fn leaky_and<C: CotSource>(
    bench: &Workbench<C>,
    zero: &ZeroStream,
    first: usize,
    made: CheckedRows,
    rows: &mut [Triples],
) -> Result<Pending, Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    let len = made.bits.len() / 3;
    let kernel = Kernel::new(bench, zero, made.cots.values(), len);
    let mut sums = vec![0; len];
    let mut corrections = vec![vec![0; len]; member.peers().len()];
    kernel.run(tiles(rows, first, &mut sums, &mut corrections));
    drop(kernel);
    bench.cots.recycle(made.cots);
    let corrections = corrections.iter().map(|u| bytemuck::cast_slice(u).to_vec()).collect();
    let received = channel.exchange_each(Kind::LaandU, corrections, 8 * len).await?;
    for bytes in received.values() {
        let (words, _) = bytes.as_chunks::<8>();
        add_selected_words(&mut sums, made.bits.words(), words);
    }
    Ok(Pending { b: made.bits.slice(len, len), sums })
}

/// d = ⊕_i bit0(s^i), told to all of S; r masks it, and the zero test catches a wrong one. Returns d
/// and this party's residues t^i = s^i ⊕ d·T(Δ_i ⊕ [i = ℓ(S)]τ_S), 64 bits per triple, which must
/// XOR to zero: the zero test catches what a peer sent wrongly.
///
/// # Errors
/// As [`leaky_and`].
pub(super) async fn finish<C>(
    bench: &Workbench<C>,
    pending: Pending,
) -> Result<(Bits, Vec<u64>), Error> {
    let sums = pending.sums;
    let pack = |word, (t, sum): (usize, &u64)| word | (sum & 1) << t;
    let words = sums.chunks(64).map(|sums| sums.iter().enumerate().fold(0, pack)).collect();
    let mut d = Bits::from_words(words, sums.len());
    let received = bench.channel.exchange(Kind::LaandD, &d.to_bytes()).await?;
    for (party, bytes) in received.iter() {
        d.xor_assign(&to_bits(bytes, sums.len(), party, Kind::LaandD)?);
    }
    let residues = residues(sums, &d, &bench.member);
    Ok((d, residues))
}

/// Consecutive leaky triples of one epoch and one row, being made.
struct Tile<'a> {
    /// Position in the extension.
    at: usize,
    /// Number in the conversation.
    number: u64,
    /// Where ⟨a⟩, ⟨b⟩ and ⟨r⟩ are filed.
    filed: [Planes<'a>; 3],
    /// U^{i→j} by peer j.
    corrections: Vec<&'a mut [u64]>,
    /// s^i.
    sums: &'a mut [u64],
}

/// Cuts what an extension makes, filed from lane `first`, into tiles.
fn tiles<'a>(
    rows: &'a mut [Triples],
    first: usize,
    sums: &'a mut [u64],
    corrections: &'a mut [Vec<u64>],
) -> Vec<Tile<'a>> {
    let mut corrections: Vec<&mut [u64]> = corrections.iter_mut().map(Vec::as_mut_slice).collect();
    let (mut sums, mut at, mut start) = (sums, 0, 0);
    let mut tiles = Vec::new();
    for row in rows {
        let (len, offset) = (row.a.len(), (first + at).saturating_sub(start));
        start += len;
        let room = len.saturating_sub(offset).min(sums.len());
        let mut filed = row.planes_mut().map(|plane| plane.lanes_mut(offset, room));
        let mut left = room;
        while left > 0 {
            let number = (first + at) as u64;
            let len = (TILE - number as usize % TILE).min(left);
            let filed = filed.each_mut().map(|planes| planes.take(len));
            let corrections = corrections.iter_mut().map(|u| cut(u, len)).collect();
            tiles.push(Tile { at, number, filed, corrections, sums: cut(&mut sums, len) });
            (at, left) = (at + len, left - len);
        }
    }
    tiles
}

fn cut<'a>(rest: &mut &'a mut [u64], len: usize) -> &'a mut [u64] {
    let whole = std::mem::take(rest);
    let (head, tail) = whole.split_at_mut(len.min(whole.len()));
    *rest = tail;
    head
}

/// What all tiles of an extension share.
struct Kernel<'a> {
    domain: Domain,
    me: PartyId,
    peers: Vec<PartyId>,
    delta: Block,
    tau: u64,
    zero: &'a ZeroStream,
    cots: &'a [CotRows],
    /// Triples of the extension: rows of b start here.
    len: usize,
}

impl<'a> Kernel<'a> {
    fn new<C>(bench: &Workbench<C>, zero: &'a ZeroStream, cots: &'a [CotRows], len: usize) -> Self {
        let member = &bench.member;
        let (me, peers) = (member.me(), member.peers().iter().collect());
        let (delta, tau) = (member.delta(), member.tau().0 as u64);
        Self { domain: bench.domain, me, peers, delta, tau, zero, cots, len }
    }

    fn run(&self, tiles: Vec<Tile<'_>>) {
        tiles.into_par_iter().for_each(|mut tile| {
            let epoch = tile.number >> EPOCH_BITS;
            let hash = Tccr::new(self.domain.tag("hash of leaky AND").number(epoch).key());
            let mut scratch = [Block::ZERO; SPAN];
            for offset in (0..tile.sums.len()).step_by(SPAN) {
                self.span(&mut tile, offset, &hash, &mut scratch);
            }
        });
    }

    /// Files the shares of up to [`SPAN`] triples and computes their U^{i→j} and the sum
    /// a^iΦ_i ⊕ T(A_i[r]) ⊕ ⊕_j(T H(K_i[a^j]) ⊕ T H(M_j[a^i])).
    fn span(&self, tile: &mut Tile<'_>, offset: usize, hash: &Tccr, scratch: &mut [Block; SPAN]) {
        let Tile { at, number, filed, corrections, sums } = tile;
        let len = SPAN.min(sums.len() - offset);
        let (at, number) = (*at + offset, *number + offset as u64);
        // D_i of a, b and r.
        let mut d = [[Block::ZERO; SPAN]; 3];
        for (part, (filed, d)) in filed.iter_mut().zip(&mut d).enumerate() {
            deal(filed.take(len), self.cots, part * self.len + at, self.delta, &mut d[..len]);
        }
        let [a, b, r] = d.each_ref().map(|d| &d[..len]);
        let mut phi = [0; SPAN];
        let (phi, scratch) = (&mut phi[..len], &mut scratch[..len]);
        self.zero_shares(number, phi, scratch);
        let sums = &mut sums[offset..offset + len];
        self.amplify(b, self.len + at, phi);
        self.amplify(r, 2 * self.len + at, sums);
        for ((sum, phi), a) in sums.iter_mut().zip(phi.iter()).zip(a) {
            *sum ^= phi & mask(a.bit0());
        }
        let (mut pis, mut other) = ([Block::ZERO; SPAN], [Block::ZERO; SPAN]);
        let (pis, other) = (&mut pis[..len], &mut other[..len]);
        for ((peer, rows), u) in self.peers.iter().zip(self.cots).zip(corrections) {
            let u = &mut u[offset..offset + len];
            let (keys, macs) = (&rows.keys[at..at + len], &rows.macs[at..at + len]);
            let (mine, theirs) = (tweak(number, self.me, *peer), tweak(number, *peer, self.me));
            hash.pi(keys, pis);
            hash.finish(pis, mine, scratch);
            add_low_halves(sums, scratch);
            other.iter_mut().zip(keys).for_each(|(x, key)| *x = *key ^ self.delta);
            hash.pi(other, pis);
            hash.finish_into(pis, mine, scratch);
            u.copy_from_slice(phi);
            add_low_halves(u, scratch);
            hash.pi(macs, pis);
            hash.finish(pis, theirs, scratch);
            add_low_halves(sums, scratch);
        }
    }

    /// out_r ⊕= T(A_i[x]) with A_i[x] = D_i[x] ⊕ ⊕_j M_j[x^i] ⊕ x^iτ_S for the rows x from `start`,
    /// whose D_i are `d`.
    fn amplify(&self, d: &[Block], start: usize, out: &mut [u64]) {
        for (out, d) in out.iter_mut().zip(d) {
            *out ^= d.0 as u64 ^ self.tau & mask(d.bit0());
        }
        for rows in self.cots {
            let macs = &rows.macs[start..start + d.len()];
            add_low_halves(out, macs);
        }
    }

    /// Shares of zero of the triples from `number`: triple k takes half k mod 2 of block k/2.
    fn zero_shares(&self, number: u64, phi: &mut [u64], scratch: &mut [Block]) {
        let odd = (number % 2) as usize;
        let pads = &mut scratch[..(odd + phi.len()).div_ceil(2)];
        pads.fill(Block::ZERO);
        self.zero.xor_into(number / 2, pads);
        for (k, phi) in phi.iter_mut().enumerate() {
            let k = k + odd;
            *phi = (pads[k / 2].0 >> (64 * (k % 2))) as u64;
        }
    }
}

fn residues(mut sums: Vec<u64>, d: &Bits, member: &Member) -> Vec<u64> {
    let tau = if member.leads() { member.tau() } else { Block::ZERO };
    let step = (member.delta() ^ tau).0 as u64;
    sums.chunks_mut(64).zip(d.words()).for_each(|(sums, word)| {
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum ^= step & mask(word >> t & 1 == 1);
        }
    });
    sums
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
    use crate::pre::ideal::Dealer;
    use senate_circuit::PartySet;

    #[test]
    fn tiles_file_every_triple_once_within_one_row_and_epoch() {
        let member =
            Dealer::new(1).member(PartySet::first(2).leader().unwrap(), PartySet::first(2));
        let member = member.unwrap();
        let blank = || AuthBits::zeros(&member, 5_000);
        let mut rows: Vec<_> =
            (0..3).map(|_| Triples { a: blank(), b: blank(), c: blank() }).collect();
        let mut covered = 0;
        for (first, len) in [(0, 4_999), (4_999, 2), (5_001, 9_000), (14_001, 999)] {
            let (mut sums, mut corrections) = (vec![0; len], vec![vec![0; len]]);
            let mut at = 0;
            for tile in tiles(&mut rows, first, &mut sums, &mut corrections) {
                let len = tile.sums.len();
                assert_eq!((tile.at, tile.number), (at, (first + at) as u64));
                assert!(tile.filed.iter().all(|planes| planes.len() == len));
                assert!(tile.corrections.iter().all(|u| u.len() == len));
                let last = tile.number + len as u64 - 1;
                assert_eq!(tile.number >> EPOCH_BITS, last >> EPOCH_BITS);
                assert_eq!(tile.number / 5_000, last / 5_000);
                at += len;
            }
            assert_eq!(at, len);
            covered += at;
        }
        assert_eq!(covered, 15_000);
    }
}
