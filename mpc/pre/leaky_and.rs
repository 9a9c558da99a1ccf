//! Leaky AND triples (PROTOCOL.md §5): products that are right (the zero test sees to it) but
//! whose factor a may leak to a cheater at even odds of being caught.

use super::Triples;
use super::shares::{Keys, rows_with};
use super::workbench::Workbench;
use crate::auth::{AuthBits, Member};
use crate::domain::Domain;
use crate::error::Error;
use crate::mesh::Kind;
use crate::wire::to_bits;
use crate::zero::ZeroStream;
use rayon::prelude::*;
use senate_block::{Block, Tccr, Tweak};
use senate_circuit::{Bits, PartyId};

/// Triples per parallel task.
const TILE: usize = 1 << 12;
/// Triples hashed at a time, so that scratch space stays in the first-level cache.
const SPAN: usize = 256;
/// log2 of the triples per epoch of the hash key.
const EPOCH_BITS: u32 = 14;
/// Purpose field of this protocol's tweaks.
const PURPOSE: u8 = 1;

/// Authenticated bits ⟨a⟩, ⟨b⟩ and ⟨r⟩ that go into a leaky AND, of one length.
#[derive(Debug)]
pub struct Factors {
    /// Left factor.
    pub a: AuthBits,
    /// Right factor.
    pub b: AuthBits,
    /// Mask of the product.
    pub r: AuthBits,
    /// K_i[a^j] per peer j.
    pub keys: Keys,
}

/// Multiplies lane by lane. `first` is the number of the first triple within the conversation: it
/// addresses tweaks and zero shares and must not repeat. Returns the leaky triples and this party's
/// residues t^i, 64 bits per triple, which must XOR to zero: the zero test catches what a peer
/// sends wrongly here.
///
/// # Errors
/// [`Fault::Malformed`](crate::Fault::Malformed), those of the channel.
pub async fn leaky_and<C>(
    bench: &Workbench<C>,
    first: usize,
    factors: Factors,
) -> Result<(Triples, Vec<u64>), Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    let len = factors.a.len();
    let tag = bench.domain.tag("zero shares of leaky AND");
    let zero = bench.zero.stream(member.peers(), &tag)?;
    let (me, delta, tau) = (member.me(), member.delta(), member.tau().0 as u64);
    let kernel = Kernel { domain: bench.domain, me, delta, tau, first, factors: &factors };
    let (phi, mut sums) = kernel.products(&zero);
    let mut corrections = Vec::new();
    for (rank, peer) in member.peers().iter().enumerate() {
        let u = kernel.corrections(peer, rank, &phi, &mut sums)?;
        corrections.push(bytemuck::cast_slice(&u).to_vec());
    }
    let received = channel.exchange_each(Kind::LaandU, corrections, 8 * len).await?;
    for bytes in received.values() {
        add_selected(&mut sums, factors.a.d(), bytes);
    }
    let d = open_low_bits(bench, &sums).await?;
    let residues = residues(sums, &d, member);
    let Factors { a, b, mut r, .. } = factors;
    r.xor_public(member, &d);
    Ok((Triples { a, b, c: r }, residues))
}

/// The kernels over one batch of factors.
struct Kernel<'a> {
    domain: Domain,
    me: PartyId,
    delta: Block,
    tau: u64,
    first: usize,
    factors: &'a Factors,
}

impl Kernel<'_> {
    /// Φ_i = T(A_i[b]) ⊕ zero share, and a^iΦ_i ⊕ T(A_i[r]), the start of s^i.
    fn products(&self, zero: &ZeroStream) -> (Vec<u64>, Vec<u64>) {
        let len = self.factors.a.len();
        let (mut phi, mut sums) = (vec![0; len], vec![0; len]);
        let Factors { a, b, r, .. } = self.factors;
        let global = self.first as u64;
        let tiles = phi.par_chunks_mut(TILE).zip(sums.par_chunks_mut(TILE)).enumerate();
        tiles.for_each(|(tile, (phi, sums))| {
            let start = tile * TILE;
            let mut pads = vec![Block::ZERO; phi.len()];
            zero.xor_into(global + start as u64, &mut pads);
            amplified(b, start, self.tau, phi);
            amplified(r, start, self.tau, sums);
            let a = a.d().get(start..).unwrap_or_default();
            for (((phi, sum), pad), a) in phi.iter_mut().zip(sums).zip(&pads).zip(a) {
                *phi ^= pad.0 as u64;
                *sum ^= *phi & mask(a.bit0());
            }
        });
        (phi, sums)
    }

    /// U^{i→j} = T(H(K_i[a^j]) ⊕ H(K_i[a^j] ⊕ Δ_i)) ⊕ Φ_i; adds T H(K_i[a^j]) ⊕ T H(M_j[a^i]) to
    /// the sums.
    fn corrections(
        &self,
        peer: PartyId,
        rank: usize,
        phi: &[u64],
        sums: &mut [u64],
    ) -> Result<Vec<u64>, Error> {
        let keys = rows_with(&self.factors.keys, peer)?;
        let macs = self.factors.a.macs(rank);
        if keys.len() != phi.len() || macs.len() != phi.len() {
            return Err(Error::Misuse("keys and MACs of every factor"));
        }
        let mut u = phi.to_vec();
        let tiles = u.par_chunks_mut(SPAN).zip(sums.par_chunks_mut(SPAN));
        let rows = keys.par_chunks(SPAN).zip(macs.par_chunks(SPAN));
        tiles.zip(rows).enumerate().with_min_len(TILE / SPAN).for_each_init(
            || (None, [Block::ZERO; SPAN]),
            |(hash, scratch), (span, ((u, sums), (keys, macs)))| {
                let first = (self.first + span * SPAN) as u64;
                let h = self.hash(first >> EPOCH_BITS, hash);
                self.span(h, peer, first, (keys, macs), scratch, (u, sums));
            },
        );
        Ok(u)
    }

    fn span(
        &self,
        h: &Tccr,
        peer: PartyId,
        first: u64,
        (keys, macs): (&[Block], &[Block]),
        scratch: &mut [Block; SPAN],
        (u, sums): (&mut [u64], &mut [u64]),
    ) {
        let (me, delta) = (self.me, self.delta);
        let mine = |r: usize| tweak(first + r as u64, me, peer);
        let theirs = |r: usize| tweak(first + r as u64, peer, me);
        let Some(scratch) = scratch.get_mut(..keys.len()) else { return };
        scratch.copy_from_slice(keys);
        h.hash(scratch, mine);
        for ((u, sum), hash) in u.iter_mut().zip(sums.iter_mut()).zip(scratch.iter()) {
            *u ^= hash.0 as u64;
            *sum ^= hash.0 as u64;
        }
        scratch.iter_mut().zip(keys).for_each(|(x, key)| *x = *key ^ delta);
        h.hash(scratch, mine);
        u.iter_mut().zip(scratch.iter()).for_each(|(u, hash)| *u ^= hash.0 as u64);
        scratch.copy_from_slice(macs);
        h.hash(scratch, theirs);
        sums.iter_mut().zip(scratch.iter()).for_each(|(sum, hash)| *sum ^= hash.0 as u64);
    }

    /// H under the key of `epoch`, kept while the epoch lasts.
    fn hash<'h>(&self, epoch: u64, kept: &'h mut Option<(u64, Tccr)>) -> &'h Tccr {
        if kept.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *kept = None;
        }
        let key = || self.domain.tag("hash of leaky AND").number(epoch).key();
        &kept.get_or_insert_with(|| (epoch, Tccr::new(key()))).1
    }
}

/// out_r = T(A_i[x_r]) with A_i[x] = D_i[x] ⊕ ⊕_j M_j[x^i] ⊕ x^iτ_S.
fn amplified(x: &AuthBits, start: usize, tau: u64, out: &mut [u64]) {
    let d = x.d().get(start..).unwrap_or_default();
    for (out, d) in out.iter_mut().zip(d) {
        *out = d.0 as u64 ^ tau & mask(d.bit0());
    }
    for plane in x.mac_planes() {
        let plane = plane.get(start..).unwrap_or_default();
        out.iter_mut().zip(plane).for_each(|(out, mac)| *out ^= mac.0 as u64);
    }
}

/// s_r ⊕= a^i_r · U_r for the little-endian words U in `bytes`.
fn add_selected(sums: &mut [u64], a: &[Block], bytes: &[u8]) {
    let (words, _) = bytes.as_chunks::<8>();
    for ((sum, a), word) in sums.iter_mut().zip(a).zip(words) {
        *sum ^= u64::from_le_bytes(*word) & mask(a.bit0());
    }
}

/// d = ⊕_i bit0(s^i), told to all of S; r masks it, and the zero test catches a wrong one.
async fn open_low_bits<C>(bench: &Workbench<C>, sums: &[u64]) -> Result<Bits, Error> {
    let pack = |word, (t, sum): (usize, &u64)| word | (sum & 1) << t;
    let words = sums.chunks(64).map(|sums| sums.iter().enumerate().fold(0, pack)).collect();
    let mut d = Bits::from_words(words, sums.len());
    let received = bench.channel.exchange(Kind::LaandD, &d.to_bytes()).await?;
    for (party, bytes) in received.iter() {
        d.xor_assign(&to_bits(bytes, sums.len(), party, Kind::LaandD)?);
    }
    Ok(d)
}

/// t^i = s^i ⊕ d·T(Δ_i ⊕ [i = ℓ(S)]τ_S).
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

/// The tweak of triple `index` for a key of `holder` on a bit of `chooser`.
fn tweak(index: u64, holder: PartyId, chooser: PartyId) -> Block {
    let (i, j) = (holder.index() as u8, chooser.index() as u8);
    Tweak { purpose: PURPOSE, index, i, j, half: 0 }.block()
}

fn mask(bit: bool) -> u64 {
    0u64.wrapping_sub(u64::from(bit))
}
