//! Base OTs: the endemic OT of Masny and Rindal (CCS 2019) over ristretto255, 128 per instance.
//!
//! The COT sender P_j is the *chooser* here. For choice b it sends (r_0, r_1) with r_{1−b} a random
//! element and r_b = xG − H_b(r_{1−b}); the other side answers A = yG and knows both keys
//! k_c = KDF(y(r_c + H_c(r_{1−c}))), the chooser only k_b = KDF(xA). H_c is bound to session,
//! pair, index and c, KDF to both messages too. Each OT has its own x. One y, fresh per instance, serves all 128:
//! the answer does not depend on the offers, so the endemic OT's sender message is the same for every
//! receiver message it meets, and what a simulator needs to answer KDF queries (whether a queried
//! point is yP for a P of the transcript: gap Diffie–Hellman) it needs for one OT already.
//!
//! Points are encoded in batches, which share an inversion and give the encodings of doubled points:
//! exponents, decoys and values of H are therefore drawn as halves (the group's order is odd).

use super::pair::Pair;
use crate::error::{Error, Fault};
use crate::wire::BLOCK_BYTES;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoBasepointTable, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rayon::prelude::*;
use senate_block::Block;
use senate_circuit::PartyId;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

/// OTs per instance: one per bit of Δ.
const COUNT: usize = 128;
const POINT_BYTES: usize = 32;
/// OTs per parallel task; divides [`COUNT`].
const BATCH: usize = 8;
/// Size of the chooser's message.
pub(super) const OFFER_BYTES: usize = COUNT * 2 * POINT_BYTES;
/// Size of the answer.
pub(super) const ANSWER_BYTES: usize = POINT_BYTES;

/// (r_0, r_1) of one OT, encoded.
type Offer = [[u8; POINT_BYTES]; 2];

/// k_0 and k_1 of every OT.
pub(super) type KeyPairs = Zeroizing<Vec<[Block; 2]>>;

/// The chooser's state between its message and the answer.
pub(super) struct Chooser {
    oracle: Oracle,
    choices: Block,
    /// x/2.
    halves: Vec<Scalar>,
    offers: Vec<Offer>,
}

impl Drop for Chooser {
    fn drop(&mut self) {
        self.choices.zeroize();
        self.halves.zeroize();
    }
}

impl Chooser {
    /// Chooses k_b in OT number t, b being bit t of `choices`; `seed` is this party's fresh
    /// randomness.
    pub(super) fn new(pair: &Pair, choices: Block, seed: &[u8; 32]) -> Self {
        let oracle = Oracle::new(pair);
        let batches = (0..COUNT).into_par_iter().step_by(BATCH).map(|first| {
            let batch = first..first + BATCH;
            let decoy = |index| RistrettoPoint::from_uniform_bytes(&expand(seed, "decoy", index));
            let decoys = encode_doubled(batch.clone().map(decoy));
            let half = |index| random_scalar(seed, "half of an exponent", index);
            let halves: Vec<_> = batch.clone().map(half).collect();
            let rows = batch.clone().zip(decoys.iter()).zip(&halves);
            let chosen = encode_doubled(rows.map(|((index, decoy), half)| {
                let slot = (choices.0 >> index & 1) as u8;
                RistrettoPoint::mul_base(half) - oracle.half_point(index, slot, decoy)
            }));
            let pairs =
                batch.zip(chosen.iter().zip(decoys.iter())).map(|(index, (chosen, decoy))| {
                    let b = Choice::from((choices.0 >> index & 1) as u8);
                    [select(chosen, decoy, b), select(decoy, chosen, b)]
                });
            (halves, pairs.collect::<Vec<Offer>>())
        });
        let (halves, offers): (Vec<_>, Vec<_>) = batches.unzip();
        let (halves, offers) = (Zeroizing::new(halves), offers.concat());
        Self { oracle, choices, halves: halves.concat(), offers }
    }

    /// The message to the other side, [`OFFER_BYTES`] long.
    pub(super) fn offer(&self) -> Vec<u8> {
        self.offers.as_flattened().as_flattened().to_vec()
    }

    /// The chosen keys, given the answer of `from`.
    ///
    /// # Errors
    /// [`Fault::BasePoint`] for an encoding that is not canonical or is the identity.
    pub(super) fn keys(
        &self,
        answer: &[u8],
        from: PartyId,
    ) -> Result<Zeroizing<Vec<Block>>, Error> {
        let multiples = RistrettoBasepointTable::create(&decode(answer, from)?);
        let work = self.halves.par_chunks(BATCH).zip(self.offers.par_chunks(BATCH)).enumerate();
        let keys = work.map(|(batch, (halves, offers))| {
            let shared = encode_doubled(halves.iter().map(|half| &multiples * half));
            let rows = (batch * BATCH..).zip(offers.iter().zip(shared.iter()));
            let key = |(index, (offer, shared))| {
                let slot = (self.choices.0 >> index & 1) as u8;
                self.oracle.key(index, slot, offer, answer, shared)
            };
            rows.map(key).collect::<Vec<_>>()
        });
        let keys = Zeroizing::new(keys.collect::<Vec<_>>());
        Ok(Zeroizing::new(keys.concat()))
    }
}

/// Both keys of every OT and the answer to the offers of `from`; `seed` is this party's fresh
/// randomness.
///
/// # Errors
/// [`Fault::BasePoint`] for an encoding that is not canonical or is the identity.
pub(super) fn answer(
    pair: &Pair,
    offers: &[u8],
    from: PartyId,
    seed: &[u8; 32],
) -> Result<(KeyPairs, Vec<u8>), Error> {
    let oracle = Oracle::new(pair);
    let (points, _) = offers.as_chunks::<POINT_BYTES>();
    let (offers, _) = points.as_chunks::<2>();
    let half = Zeroizing::new(random_scalar(seed, "half of an exponent", 0));
    let answer = RistrettoPoint::mul_base(&half);
    let answer = (answer + answer).compress().to_bytes();
    let batches = offers.par_chunks(BATCH).enumerate().map(|(batch, offers)| {
        let mut shared = Zeroizing::new(Vec::with_capacity(2 * BATCH));
        for (index, offer) in (batch * BATCH..).zip(offers) {
            let points = [decode(&offer[0], from)?, decode(&offer[1], from)?];
            for (slot, point) in points.iter().enumerate() {
                let mask = oracle.half_point(index, slot as u8, &offer[1 - slot]);
                shared.push((point + mask + mask) * *half);
            }
        }
        let shared = encode_doubled(shared.iter().copied());
        let (shared, _) = shared.as_chunks::<2>();
        let rows = (batch * BATCH..).zip(offers.iter().zip(shared));
        let keys = rows.map(|(index, (offer, [zero, one]))| {
            [(0, zero), (1, one)].map(|(slot, at)| oracle.key(index, slot, offer, &answer, at))
        });
        Ok(keys.collect::<Vec<_>>())
    });
    let keys = Zeroizing::new(batches.collect::<Result<Vec<_>, Error>>()?);
    Ok((Zeroizing::new(keys.concat()), answer.to_vec()))
}

/// Both keys of every OT as a dealer would hand them out, public to all. Tests only.
#[cfg(any(test, feature = "sim"))]
pub(super) fn dealt_keys(pair: &Pair) -> KeyPairs {
    let oracle = pair.oracle("dealt base keys");
    let key = |index: usize, slot: usize| {
        let digest = blake3::keyed_hash(&oracle, &[index as u8, slot as u8]);
        let (half, _) = digest.as_bytes().split_at(BLOCK_BYTES);
        crate::open::to_block(half)
    };
    Zeroizing::new((0..COUNT).map(|index| [key(index, 0), key(index, 1)]).collect())
}

/// The dealt keys that the bits of `choices` choose. Tests only.
#[cfg(any(test, feature = "sim"))]
pub(super) fn dealt_choices(pair: &Pair, choices: Block) -> Zeroizing<Vec<Block>> {
    let keys = dealt_keys(pair);
    let chosen = keys.iter().enumerate();
    let chosen = chosen
        .map(|(index, [zero, one])| *zero ^ (*zero ^ *one).times(choices.0 >> index & 1 == 1));
    Zeroizing::new(chosen.collect())
}

fn decode(bytes: &[u8], from: PartyId) -> Result<RistrettoPoint, Error> {
    let point = CompressedRistretto::from_slice(bytes).ok().and_then(|point| point.decompress());
    point.filter(|point| !point.is_identity()).ok_or(Error::by(from, Fault::BasePoint))
}

/// The encodings of 2P for all P in `halves`. The curve library's own scratch space is out of reach.
fn encode_doubled(
    halves: impl IntoIterator<Item = RistrettoPoint>,
) -> Zeroizing<Vec<[u8; POINT_BYTES]>> {
    let halves = Zeroizing::new(halves.into_iter().collect::<Vec<_>>());
    let doubled = Zeroizing::new(RistrettoPoint::double_and_compress_batch(halves.iter()));
    Zeroizing::new(doubled.iter().map(CompressedRistretto::to_bytes).collect())
}

/// `zero` if the bit is 0, else `one`, without a branch.
fn select(zero: &[u8; POINT_BYTES], one: &[u8; POINT_BYTES], bit: Choice) -> [u8; POINT_BYTES] {
    std::array::from_fn(|n| u8::conditional_select(&zero[n], &one[n], bit))
}

fn expand(seed: &[u8; 32], purpose: &'static str, index: usize) -> [u8; 64] {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(&(index as u64).to_le_bytes()).update(purpose.as_bytes());
    let mut bytes = [0; 64];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn random_scalar(seed: &[u8; 32], purpose: &'static str, index: usize) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&expand(seed, purpose, index))
}

/// The random oracles of one instance.
struct Oracle {
    points: [u8; 32],
    keys: [u8; 32],
}

impl Oracle {
    fn new(pair: &Pair) -> Self {
        Self { points: pair.oracle("base point"), keys: pair.oracle("base key") }
    }

    /// Half of H_slot(other) of OT number `index`.
    fn half_point(&self, index: usize, slot: u8, other: &[u8; POINT_BYTES]) -> RistrettoPoint {
        let mut hasher = blake3::Hasher::new_keyed(&self.points);
        hasher.update(&[index as u8, slot]).update(other);
        let mut uniform = [0; 64];
        hasher.finalize_xof().fill(&mut uniform);
        RistrettoPoint::from_uniform_bytes(&uniform)
    }

    fn key(
        &self,
        index: usize,
        slot: u8,
        offer: &Offer,
        answer: &[u8],
        shared: &[u8; POINT_BYTES],
    ) -> Block {
        let mut hasher = blake3::Hasher::new_keyed(&self.keys);
        hasher.update(&[index as u8, slot]).update(offer.as_flattened()).update(answer);
        hasher.update(shared);
        let mut key = [0; BLOCK_BYTES];
        hasher.finalize_xof().fill(&mut key);
        Block::from_bytes(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;
    use std::collections::HashSet;

    #[test]
    fn the_chooser_gets_exactly_the_chosen_key() {
        let [sender, receiver] = [0, 1].map(|index| PartyId::new(index).unwrap());
        let pair = Pair { session: SessionId([3; 32]), sender, receiver };
        let choices = Block(0x0123_4567_89ab_cdef_1122_3344_5566_7788_u128);
        let chooser = Chooser::new(&pair, choices, &[1; 32]);
        let (both, message) = answer(&pair, &chooser.offer(), sender, &[2; 32]).unwrap();
        assert_eq!((chooser.offer().len(), message.len()), (OFFER_BYTES, ANSWER_BYTES));
        let chosen = chooser.keys(&message, receiver).unwrap();
        for (index, (both, chosen)) in both.iter().zip(chosen.iter()).enumerate() {
            let b = (choices.0 >> index & 1) as usize;
            assert!(both[b] == *chosen && both[1 - b] != *chosen);
        }
    }

    /// With one y for all, a chooser that makes one offer again and again must not make keys repeat:
    /// each of index, slot, offer, answer and pair separates them, in H and in KDF by itself.
    #[test]
    fn an_offer_made_again_and_again_opens_nothing() {
        let [a, b] = [0, 1].map(|index| PartyId::new(index).unwrap());
        let pair = |sender, receiver| Pair { session: SessionId([3; 32]), sender, receiver };
        let offers = Chooser::new(&pair(a, b), Block(5), &[1; 32]).offer();
        let again = offers[..2 * POINT_BYTES].repeat(COUNT);
        let mut keys = HashSet::new();
        for pair in [pair(a, b), pair(b, a)] {
            let (both, _) = answer(&pair, &again, a, &[2; 32]).unwrap();
            keys.extend(both.iter().flatten().map(|key| key.0));
        }
        assert_eq!(keys.len(), 2 * 2 * COUNT);
        let oracle = Oracle::new(&pair(a, b));
        let point = |index, slot, other: u8| {
            oracle.half_point(index, slot, &[other; POINT_BYTES]).compress().to_bytes()
        };
        let points = [point(0, 0, 0), point(1, 0, 0), point(0, 1, 0), point(0, 0, 1)];
        assert_eq!(points.iter().collect::<HashSet<_>>().len(), points.len());
        let key = |index, slot, [offer, answer, shared]: [u8; 3]| {
            let offer = [[offer; POINT_BYTES], [9; POINT_BYTES]];
            oracle.key(index, slot, &offer, &[answer; POINT_BYTES], &[shared; POINT_BYTES]).0
        };
        let keys = [
            key(0, 0, [0; 3]),
            key(1, 0, [0; 3]),
            key(0, 1, [0; 3]),
            key(0, 0, [1, 0, 0]),
            key(0, 0, [0, 1, 0]),
            key(0, 0, [0, 0, 1]),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    }
}
