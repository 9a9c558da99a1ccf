//! What one meeting carries from one daemon to the other: certificates, then words about the catalog.

use senate_circuit::{PartyId, PartySet};
use senate_control::{TOPICS_MAX, Word};
use std::collections::BTreeMap;

/// Longest certificate, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 8 << 10;

/// Longest transfer among so many parties: everything that they can have published, each topic
/// twice.
pub(crate) fn bytes_max(parties: usize) -> usize {
    let party = 3 + CERTIFICATE_BYTES_MAX + 2 * TOPICS_MAX * Word::BYTES;
    1 + parties.min(PartySet::MAX) * party + Word::BYTES
}

/// Words, with the certificates that their seals are verified with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Transfer {
    /// In DER, by party.
    pub(crate) certificates: BTreeMap<PartyId, Vec<u8>>,
    /// The last one is [`Word::End`], the only one.
    pub(crate) words: Vec<Word>,
}

impl Transfer {
    /// A count of certificates; each as party, length (16 bits, little endian) and bytes; words.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let short = self.certificates.iter().filter(|(_, der)| der.len() <= CERTIFICATE_BYTES_MAX);
        let short: Vec<_> = short.collect();
        // There are at most 64 parties.
        let mut bytes = vec![u8::try_from(short.len()).unwrap_or(u8::MAX)];
        for (party, der) in short {
            bytes.push(u8::try_from(party.index()).unwrap_or(u8::MAX));
            bytes.extend(u16::try_from(der.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(der);
        }
        self.words.iter().for_each(|word| bytes.extend(word.to_bytes()));
        bytes
    }

    /// The transfer with this encoding; `None` for other bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first()?;
        let mut certificates = BTreeMap::new();
        for _ in 0..*count {
            let ([party, low, high], after) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let (der, after) = after.split_at_checked(length)?;
            let fits = length <= CERTIFICATE_BYTES_MAX;
            let party = PartyId::new((*party).into()).filter(|_| fits)?;
            if certificates.insert(party, der.to_vec()).is_some() {
                return None;
            }
            rest = after;
        }
        let words = rest.chunks(Word::BYTES).map(Word::from_bytes);
        let words: Vec<Word> = words.collect::<Result<_, _>>().ok()?;
        let ends = words.iter().filter(|word| **word == Word::End).count();
        let ended = ends == 1 && words.last() == Some(&Word::End);
        ended.then_some(Self { certificates, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use senate_control::{Digest, Fact, Seal, Statement, Topic};

    #[test]
    fn a_transfer_survives_and_anything_else_is_refused() {
        let party = PartyId::new(1).unwrap();
        let fact = Fact { party, epoch: 1, topic: Topic::Roster, digest: Digest([3; 32]) };
        let word = Word::Statement(Statement { fact, seal: Seal::new(&[5; 70]).unwrap() });
        let certificates = BTreeMap::from([(party, vec![7; 400])]);
        let transfer = Transfer { certificates, words: vec![word, Word::End] };
        let bytes = transfer.to_bytes();
        assert_eq!(Transfer::from_bytes(&bytes), Some(transfer.clone()));
        for length in 0..bytes.len() {
            assert_eq!(Transfer::from_bytes(&bytes[..length]), None, "{length}");
        }
        for words in [vec![], vec![word], vec![Word::End, word], vec![Word::End, Word::End]] {
            let bytes = Transfer { words, ..transfer.clone() }.to_bytes();
            assert_eq!(Transfer::from_bytes(&bytes), None);
        }
        let mut twice = bytes.clone();
        twice[0] = 2;
        assert_eq!(Transfer::from_bytes(&twice), None);
    }
}
