//! Commitments, echoes and coins (PROTOCOL.md §1).

use crate::domain::Domain;
use crate::entropy::Entropy;
use crate::error::{Error, Fault};
use crate::mesh::{Channel, Kind};
use crate::party::ByParty;
use senate_block::Block;
use senate_circuit::PartyId;
use subtle::ConstantTimeEq;

const DIGEST_BYTES: usize = 32;
const SALT_BYTES: usize = 32;
const SEED_BYTES: usize = 32;

/// H(domain ‖ committer ‖ purpose ‖ 256-bit random ‖ message): binding, hiding, and useless to
/// anybody but `committer`.
pub fn commitment(
    domain: &Domain,
    committer: PartyId,
    purpose: &str,
    salt: &[u8],
    message: &[u8],
) -> [u8; DIGEST_BYTES] {
    let tag = domain.tag("commitment").party(committer).bytes(purpose.as_bytes());
    tag.bytes(salt).bytes(message).digest()
}

/// The two message kinds of a commit-and-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitKinds {
    /// The commitment.
    pub commit: Kind,
    /// Its opening.
    pub open: Kind,
}

/// Everybody commits to a message of one length, and opens it only after all commitments have
/// arrived. Returns the peers' messages. `purpose` must be fresh within `domain`.
///
/// # Errors
/// [`Fault::Commitment`] by the peer whose opening does not fit, those of the channel.
pub async fn commit_and_open(
    channel: &Channel,
    domain: &Domain,
    purpose: &str,
    kinds: CommitKinds,
    message: &[u8],
    entropy: &Entropy,
) -> Result<ByParty<Vec<u8>>, Error> {
    let mut opening = entropy.seed("salt of a commitment").to_vec();
    let mine = commitment(domain, channel.me(), purpose, &opening, message);
    let commitments = channel.exchange(kinds.commit, &mine).await?;
    opening.extend_from_slice(message);
    let openings = channel.exchange(kinds.open, &opening).await?;
    for (party, opening) in openings.iter() {
        let committed = commitments.at(party).map_or(&[][..], Vec::as_slice);
        verify(domain, party, purpose, committed, opening, kinds.open)?;
    }
    Ok(openings.map(|_, mut opening| opening.split_off(SALT_BYTES)))
}

/// Broadcast with abort: compares everybody's hash of everything received at this point.
///
/// # Errors
/// [`Fault::Echo`] when two parties were told different things, those of the channel.
pub async fn echo(channel: &Channel, kind: Kind, digest: &[u8; DIGEST_BYTES]) -> Result<(), Error> {
    let received = channel.exchange(kind, digest).await?;
    for theirs in received.values() {
        if !bool::from(theirs.as_slice().ct_eq(digest)) {
            return Err(Error::unattributed(Fault::Echo(kind.step())));
        }
    }
    Ok(())
}

/// A list of coins of one conversation: seeds of all parties, committed before any data.
pub struct Coins {
    domain: Domain,
    openings: Vec<Vec<u8>>,
    commitments: ByParty<Vec<u8>>,
    tossed: usize,
}

impl std::fmt::Debug for Coins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Coins({} of {} tossed)", self.tossed, self.openings.len())
    }
}

impl Coins {
    /// Commits to `count` seeds and receives everybody's commitments. Once per domain.
    ///
    /// # Errors
    /// Those of the channel.
    pub async fn commit(
        channel: &Channel,
        domain: Domain,
        count: usize,
        entropy: &Entropy,
    ) -> Result<Self, Error> {
        let openings: Vec<_> = (0..count)
            .map(|_| {
                let mut opening = entropy.seed("salt of a coin").to_vec();
                opening.extend_from_slice(&entropy.seed("seed of a coin"));
                opening
            })
            .collect();
        let mine: Vec<u8> = (openings.iter().enumerate())
            .flat_map(|(index, opening)| {
                let (salt, seed) = opening.split_at(SALT_BYTES);
                commitment(&domain, channel.me(), &coin_purpose(index), salt, seed)
            })
            .collect();
        let commitments = channel.exchange(Kind::Coins, &mine).await?;
        Ok(Self { domain, openings, commitments, tossed: 0 })
    }

    /// What the hashes of the conversation are bound to.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The next coin: XOR of everybody's seeds. The caller has received all data the coin judges
    /// from all parties before; no coin is used twice.
    ///
    /// # Errors
    /// [`Fault::Commitment`] by the peer that opened another seed than it committed to,
    /// [`Error::Misuse`] when the list is used up, those of the channel.
    pub async fn toss(&mut self, channel: &Channel) -> Result<Block, Error> {
        let index = self.tossed;
        let mine = self.openings.get(index).ok_or(Error::Misuse("no committed coin is left"))?;
        self.tossed += 1;
        let purpose = coin_purpose(index);
        let received = channel.exchange(Kind::CoinOpen, mine).await?;
        let mut coin = [0; SEED_BYTES];
        let mut add = |opening: &[u8]| {
            coin.iter_mut().zip(opening.iter().skip(SALT_BYTES)).for_each(|(c, s)| *c ^= s);
        };
        add(mine);
        for (party, opening) in received.iter() {
            let list = self.commitments.at(party).map_or(&[][..], Vec::as_slice);
            let committed = list.chunks(DIGEST_BYTES).nth(index).unwrap_or_default();
            verify(&self.domain, party, &purpose, committed, opening, Kind::CoinOpen)?;
            add(opening);
        }
        Ok(self.domain.tag("coin").number(index as u64).bytes(&coin).key())
    }
}

fn coin_purpose(index: usize) -> String {
    format!("coin {index}")
}

fn verify(
    domain: &Domain,
    party: PartyId,
    purpose: &str,
    committed: &[u8],
    opening: &[u8],
    kind: Kind,
) -> Result<(), Error> {
    let (salt, message) = opening.split_at(SALT_BYTES.min(opening.len()));
    let expected = commitment(domain, party, purpose, salt, message);
    if bool::from(expected.as_slice().ct_eq(committed)) {
        Ok(())
    } else {
        Err(Error::by(party, Fault::Commitment(kind.step())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;
    use crate::mesh::{Lane, Mesh};
    use crate::sim::{Action, Federation, Tampering, Target};
    use senate_circuit::PartySet;

    async fn two_coins(mesh: Mesh, entropy: Entropy) -> Result<[Block; 2], Error> {
        let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
        let domain = Domain::new(SessionId([1; 32]), mesh.parties(), Lane::SESSION);
        let mut coins = Coins::commit(&channel, domain, 2, &entropy).await?;
        let coins_tossed = [coins.toss(&channel).await?, coins.toss(&channel).await?];
        let spent = coins.toss(&channel).await;
        assert!(matches!(spent, Err(Error::Misuse(_))));
        Ok(coins_tossed)
    }

    #[test]
    fn everybody_gets_the_same_fresh_coins() {
        for n in 2..6 {
            let results = Federation::new(n, 3).run(two_coins);
            let coins = results[0].unwrap();
            assert!(coins[0] != coins[1]);
            assert!(results.iter().all(|result| *result == Ok(coins)));
            assert!(Federation::new(n, 4).run(two_coins)[0] != Ok(coins));
        }
    }

    #[test]
    fn a_coin_opened_differently_convicts_its_owner() {
        let from = PartyId::new(1).unwrap();
        let to = PartySet::first(3).without(from);
        for kind in [Kind::Coins, Kind::CoinOpen] {
            for action in [Action::FlipBit(0), Action::FlipBit(300), Action::Random, Action::Zero] {
                let target = Target { from, to, kind, skip: 0 };
                let mut tamper = Tampering::new(target, action);
                let results = Federation::new(3, 3).run_tampered(&mut tamper, two_coins);
                let fault = Error::by(from, Fault::Commitment(Kind::CoinOpen.step()));
                assert!(results.contains(&Err(fault)));
                assert!(to.iter().all(|party| results[party.index()].is_err()));
            }
        }
    }

    #[test]
    fn a_copied_commitment_cannot_be_opened_by_the_copier() {
        let (owner, copier) = (PartyId::new(0).unwrap(), PartyId::new(1).unwrap());
        let domain = Domain::new(SessionId([1; 32]), PartySet::first(2), Lane::SESSION);
        let opening = [7; SALT_BYTES + SEED_BYTES];
        let (salt, seed) = opening.split_at(SALT_BYTES);
        let committed = commitment(&domain, owner, "coin 0", salt, seed);
        let open = |party, domain: &Domain, purpose| {
            verify(domain, party, purpose, &committed, &opening, Kind::CoinOpen)
        };
        let refused = |party| Err(Error::by(party, Fault::Commitment(Kind::CoinOpen.step())));
        let other = Domain::new(SessionId([2; 32]), PartySet::first(2), Lane::SESSION);
        assert_eq!(open(owner, &domain, "coin 0"), Ok(()));
        assert_eq!(open(copier, &domain, "coin 0"), refused(copier));
        assert_eq!(open(owner, &domain, "coin 1"), refused(owner));
        assert_eq!(open(owner, &other, "coin 0"), refused(owner));
    }

    #[test]
    fn telling_two_parties_different_things_fails_the_echo() {
        let from = PartyId::new(0).unwrap();
        let to = PartySet::only(PartyId::new(2).unwrap());
        let mut tamper =
            Tampering::new(Target { from, to, kind: Kind::Sid, skip: 0 }, Action::FlipBit(1));
        let results = Federation::new(3, 3).run_tampered(&mut tamper, |mesh, _| async move {
            let channel = mesh.channel(Lane::SESSION, mesh.parties())?;
            echo(&channel, Kind::Sid, &[9; 32]).await
        });
        assert_eq!(results[2], Err(Error::unattributed(Fault::Echo(Kind::Sid.step()))));
    }
}
