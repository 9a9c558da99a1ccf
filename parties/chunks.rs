//! Bulky public bytes between parties, as a sealed set of indexed chunks: each says to which whole
//! it belongs, of how many it is one, and which. They are gathered in any order and any number of
//! times; what contradicts itself, or is not the whole that was named, is evidence of cheating.

use crate::failure::{Failure, Outcome};
use crate::transport::Connection;
use std::collections::BTreeMap;

/// Bytes of every chunk but the last, which has at least one unless the whole is empty.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Digest, count and index before a chunk's bytes.
const HEAD_BYTES: usize = 32 + 4 + 4;
/// Chunks that may come twice, beside those that are needed.
const REPEATS_MAX: usize = 16;
/// Version tag of the digest.
const DIGEST_CONTEXT: &str = "senate chunk set 1";

/// One chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Digest of the whole.
    pub digest: [u8; 32],
    /// Chunks of the whole.
    pub count: u32,
    /// Position among them.
    pub index: u32,
    /// Its bytes, at most [`CHUNK_BYTES`].
    pub bytes: Vec<u8>,
}

/// Evidence that the sender of a set does not keep to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// Bytes that are no chunk, or a chunk of a wrong length or position.
    #[error("a malformed chunk")]
    Malformed,
    /// The set is larger than what is asked for can be.
    #[error("a set of chunks beyond its bound")]
    Excess,
    /// Two chunks name different wholes, or differ at one position.
    #[error("two chunks that contradict each other")]
    Conflict,
    /// Together they are not what each of them names.
    #[error("chunks whose digest is another one than they name")]
    Digest,
}

impl Chunk {
    /// The chunk's encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (count, index) = (self.count.to_le_bytes(), self.index.to_le_bytes());
        [self.digest.as_slice(), &count, &index, &self.bytes].concat()
    }

    /// The one chunk that has this encoding.
    ///
    /// # Errors
    /// [`Flaw::Malformed`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Flaw> {
        let (head, bytes) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(Flaw::Malformed)?;
        let (digest, rest) = head.split_first_chunk::<32>().ok_or(Flaw::Malformed)?;
        let (count, rest) = rest.split_first_chunk().ok_or(Flaw::Malformed)?;
        let index = rest.try_into().map_err(|_| Flaw::Malformed)?;
        let (count, index) = (u32::from_le_bytes(*count), u32::from_le_bytes(index));
        let is_last = index.checked_add(1) == Some(count);
        let is_full = bytes.len() == CHUNK_BYTES;
        let fits = match is_last {
            true => bytes.len() <= CHUNK_BYTES && (count == 1 || !bytes.is_empty()),
            false => is_full && index < count,
        };
        let chunk = Self { digest: *digest, count, index, bytes: bytes.to_vec() };
        if fits { Ok(chunk) } else { Err(Flaw::Malformed) }
    }
}

/// The digest that names a whole.
pub fn digest(whole: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(DIGEST_CONTEXT).update(whole).finalize().as_bytes()
}

/// The set of a whole, in order; at least one chunk.
///
/// # Errors
/// Unexpected when there would be more chunks than can be counted.
pub fn divided(whole: &[u8]) -> Outcome<Vec<Chunk>> {
    let digest = digest(whole);
    let number = |number: usize| {
        u32::try_from(number).map_err(|_| Failure::unexpected("a whole of too many chunks"))
    };
    let count = number(whole.len().div_ceil(CHUNK_BYTES).max(1))?;
    let pieces = match whole.is_empty() {
        true => vec![whole],
        false => whole.chunks(CHUNK_BYTES).collect(),
    };
    let chunk = |(index, bytes): (usize, &[u8])| {
        Ok(Chunk { digest, count, index: number(index)?, bytes: bytes.to_vec() })
    };
    pieces.into_iter().enumerate().map(chunk).collect()
}

/// A set that is being gathered.
#[derive(Clone, Debug)]
pub struct Gathering {
    bytes_max: usize,
    named: Option<([u8; 32], u32)>,
    pieces: BTreeMap<u32, Vec<u8>>,
    flaw: Option<Flaw>,
}

impl Gathering {
    /// Of a whole of at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, named: None, pieces: BTreeMap::new(), flaw: None }
    }

    /// Takes in a chunk; the same one again has no effect. Gives the whole once all are there.
    ///
    /// # Errors
    /// The first evidence against the sender, from then on always.
    pub fn take(&mut self, chunk: Chunk) -> Result<Option<Vec<u8>>, Flaw> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        self.put(chunk).inspect_err(|flaw| self.flaw = Some(*flaw))
    }

    fn put(&mut self, chunk: Chunk) -> Result<Option<Vec<u8>>, Flaw> {
        let Chunk { digest: name, count, index, bytes } = chunk;
        let most = self.bytes_max.div_ceil(CHUNK_BYTES).max(1);
        if usize::try_from(count).map_or(true, |count| count > most) {
            return Err(Flaw::Excess);
        }
        if *self.named.get_or_insert((name, count)) != (name, count) {
            return Err(Flaw::Conflict);
        }
        if index >= count {
            return Err(Flaw::Malformed);
        }
        if self.pieces.entry(index).or_insert_with(|| bytes.clone()) != &bytes {
            return Err(Flaw::Conflict);
        }
        if u32::try_from(self.pieces.len()).ok() != Some(count) {
            return Ok(None);
        }
        let whole = self.pieces.values().flatten().copied().collect::<Vec<u8>>();
        match (whole.len() <= self.bytes_max, digest(&whole) == name) {
            (false, _) => Err(Flaw::Excess),
            (_, false) => Err(Flaw::Digest),
            _ => Ok(Some(whole)),
        }
    }
}

/// Sends a whole as its set of chunks.
///
/// # Errors
/// Lost when the connection is broken.
pub(crate) async fn send(connection: &mut Connection, whole: &[u8]) -> Outcome<()> {
    for chunk in divided(whole)? {
        connection.send_piece(&chunk.to_bytes()).await?;
    }
    Ok(())
}

/// Gathers a whole of at most `bytes_max` bytes.
///
/// # Errors
/// Lost when the connection breaks; aborted with the evidence against the peer.
pub(crate) async fn receive(connection: &mut Connection, bytes_max: usize) -> Outcome<Vec<u8>> {
    let cheating = |flaw: Flaw| Failure::aborted(format!("a transfer: it sent {flaw}"));
    let mut gathering = Gathering::new(bytes_max);
    for _ in 0..bytes_max.div_ceil(CHUNK_BYTES) + 1 + REPEATS_MAX {
        let chunk = Chunk::from_bytes(&connection.receive_piece().await?).map_err(cheating)?;
        if let Some(whole) = gathering.take(chunk).map_err(cheating)? {
            return Ok(whole);
        }
    }
    Err(cheating(Flaw::Excess))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers chunks in this order, repetitions included.
    fn gathered(chunks: &[Chunk], order: &[usize]) -> Result<Option<Vec<u8>>, Flaw> {
        let mut gathering = Gathering::new(1 << 20);
        let mut whole = None;
        for at in order {
            whole = gathering.take(chunks[at % chunks.len()].clone())?.or(whole);
        }
        Ok(whole)
    }

    /// Orders in which every position comes at least once, out of a small generator.
    fn orders(count: usize) -> impl Iterator<Item = Vec<usize>> {
        (1..40u64).map(move |seed| {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state >> 33).unwrap()
            };
            let mut order: Vec<usize> = (0..count).chain((0..3).map(|at| at % count)).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, next() % (at + 1));
            }
            order
        })
    }

    #[test]
    fn every_order_with_repetitions_gives_the_whole() {
        let sizes = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7];
        for size in sizes {
            let whole: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let chunks = divided(&whole).unwrap();
            assert_eq!(chunks.len(), size.div_ceil(CHUNK_BYTES).max(1));
            for chunk in &chunks {
                assert_eq!(Chunk::from_bytes(&chunk.to_bytes()).as_ref(), Ok(chunk));
            }
            for order in orders(chunks.len()) {
                assert_eq!(gathered(&chunks, &order), Ok(Some(whole.clone())), "{size}");
            }
            assert_eq!(gathered(&chunks, &[0]).unwrap().is_some(), chunks.len() == 1);
        }
    }

    #[test]
    fn a_change_anywhere_is_evidence_in_every_order() {
        let whole = vec![7; 3 * CHUNK_BYTES + 9];
        let good = divided(&whole).unwrap();
        let other = divided(&vec![8; 3 * CHUNK_BYTES + 9]).unwrap();
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at].bytes[3] ^= 1;
            let mut both = good.clone();
            both.push(changed[at].clone());
            let mut mixed = good.clone();
            mixed[at] = other[at].clone();
            for order in orders(good.len()) {
                assert_eq!(gathered(&changed, &order), Err(Flaw::Digest));
                assert_eq!(gathered(&mixed, &order), Err(Flaw::Conflict));
            }
            for order in orders(both.len()) {
                let flaw = gathered(&both, &order).unwrap_err();
                assert!(matches!(flaw, Flaw::Conflict | Flaw::Digest), "{flaw}");
            }
        }
    }

    #[test]
    fn evidence_stays_and_bounds_hold() {
        let chunks = divided(&vec![7; 2 * CHUNK_BYTES]).unwrap();
        let mut gathering = Gathering::new(2 * CHUNK_BYTES);
        let strange = Chunk { index: 2, ..chunks[1].clone() };
        assert_eq!(gathering.take(strange), Err(Flaw::Malformed));
        assert_eq!(gathering.take(chunks[0].clone()), Err(Flaw::Malformed));
        let mut small = Gathering::new(CHUNK_BYTES);
        assert_eq!(small.take(chunks[0].clone()), Err(Flaw::Excess));
        let mut tight = Gathering::new(2 * CHUNK_BYTES - 1);
        assert_eq!(tight.take(chunks[0].clone()), Ok(None));
        assert_eq!(tight.take(chunks[1].clone()), Err(Flaw::Excess));
    }

    #[test]
    fn bytes_that_are_no_chunk_are_refused() {
        let chunks = divided(&vec![7; CHUNK_BYTES + 5]).unwrap();
        let [full, last] = [&chunks[0], &chunks[1]].map(Chunk::to_bytes);
        let mut behind = full.clone();
        behind[36..40].copy_from_slice(&u32::MAX.to_le_bytes());
        let bad = [&[][..], &full[..39], &full[..full.len() - 1], &last[..HEAD_BYTES], &behind];
        for bytes in bad {
            assert_eq!(Chunk::from_bytes(bytes), Err(Flaw::Malformed), "{}", bytes.len());
        }
    }
}
