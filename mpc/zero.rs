//! Shares of zero (PROTOCOL.md §2): every pair holds a seed; a party's share is the XOR of its
//! pairs' streams, so that all shares of a set cancel and any n−1 of them look random.

use crate::domain::Tag;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::mesh::{Channel, Kind};
use crate::party::ByParty;
use senate_block::{Block, Prg};
use senate_circuit::PartySet;
use zeroize::Zeroizing;

const SEED_BYTES: usize = 32;

/// This party's pairwise seeds.
pub struct ZeroShares {
    seeds: ByParty<Zeroizing<[u8; SEED_BYTES]>>,
}

impl std::fmt::Debug for ZeroShares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ZeroShares({} peers)", self.seeds.parties().len())
    }
}

impl ZeroShares {
    /// Agrees on a seed with every peer: both contribute.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn set_up(channel: &Channel, entropy: &Entropy) -> Result<Self, Error> {
        let peers = channel.peers();
        let seeds = ByParty::from_fn(peers, |_| Zeroizing::new(entropy.seed("zero share seed")));
        let payloads = seeds.values().iter().map(|seed| seed.to_vec()).collect();
        let received = channel.exchange_each(Kind::Zseed, payloads, SEED_BYTES).await?;
        let seeds = seeds.map(|party, mut seed| {
            let theirs = received.at(party).map_or(&[][..], Vec::as_slice);
            seed.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine ^= theirs);
            seed
        });
        Ok(Self { seeds })
    }

    /// The stream of shares of `set` under `tag`, which is used for one value only.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a party without a seed.
    pub fn stream(&self, peers: PartySet, tag: &Tag) -> Result<ZeroStream, Error> {
        let digest = tag.digest();
        let prg = |party| {
            let seed =
                self.seeds.at(party).ok_or(Error::Misuse("no zero share with a stranger"))?;
            let key = blake3::keyed_hash(seed, &digest);
            let (half, _) = key.as_bytes().split_at(16);
            Ok(Prg::new(crate::open::to_block(half)))
        };
        Ok(ZeroStream(peers.iter().map(prg).collect::<Result<_, Error>>()?))
    }
}

/// A random-access sequence of this party's shares of zero.
#[derive(Default)]
pub struct ZeroStream(Vec<Prg>);

impl std::fmt::Debug for ZeroStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ZeroStream(..)")
    }
}

impl ZeroStream {
    /// XORs shares number `first`, `first` + 1, … into `out`.
    pub fn xor_into(&self, first: u64, out: &mut [Block]) {
        self.0.iter().for_each(|prg| prg.xor_into(u128::from(first), out));
    }

    /// Share number `index`.
    pub fn block(&self, index: u64) -> Block {
        let mut out = [Block::ZERO];
        self.xor_into(index, &mut out);
        let [block] = out;
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Domain, SessionId};
    use crate::mesh::Lane;
    use crate::sim::Federation;

    #[test]
    fn shares_of_any_subset_cancel() {
        let results = Federation::new(4, 1).run(|mesh, entropy| async move {
            let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
            let zero = ZeroShares::set_up(&channel, &entropy).await?;
            let set = PartySet::first(3);
            let domain = Domain::new(SessionId([0; 32]), set, Lane::SESSION);
            let peers = set.without(mesh.me());
            let stream = zero.stream(peers, &domain.tag("test"))?;
            let mut out = vec![Block::ZERO; 10];
            stream.xor_into(3, &mut out);
            assert!(out[2] == stream.block(5));
            Ok(out)
        });
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        let rows = results[0].iter().zip(&results[1]).zip(&results[2]);
        for ((a, b), c) in rows {
            assert!(*a ^ *b ^ *c == Block::ZERO && *a != Block::ZERO);
        }
    }
}
