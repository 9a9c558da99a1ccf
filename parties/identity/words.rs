//! Bytes as words that people read to each other over the telephone (the BIP 39 English list).

use super::Fingerprint;
use bip39::{Language, Mnemonic};

/// Bits of a word.
const WORD_BITS: u32 = 11;

impl Fingerprint {
    /// Its first 128 bits as twelve words; the last one also carries a check sum. Enough to
    /// recognise a certificate: finding another one with the same words is as hard as breaking it.
    pub fn words(&self) -> String {
        let bytes = self.0.first_chunk::<16>().copied().unwrap_or_default();
        let words = Mnemonic::from_entropy(&bytes).map(|phrase| phrase.words().collect::<Vec<_>>());
        words.unwrap_or_default().join(" ")
    }

    /// Whether `text` is this fingerprint, in hexadecimal or in words, as somebody typed it.
    pub fn is_spelled(&self, text: &str) -> bool {
        let text = text.trim().to_ascii_lowercase();
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == '-').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        text.parse() == Ok(*self) || words.join(" ") == self.words()
    }
}

/// Three words out of the first 33 bits.
pub fn three_words(digest: &[u8; 32]) -> String {
    let bytes = digest.first_chunk::<8>().copied().unwrap_or_default();
    let bits = u64::from_be_bytes(bytes);
    let word = |position: u32| {
        let index = (bits >> (u64::BITS - WORD_BITS * (position + 1))) & ((1 << WORD_BITS) - 1);
        let list = Language::English.word_list();
        usize::try_from(index).ok().and_then(|index| list.get(index)).copied().unwrap_or_default()
    };
    (0..3).map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_twelve_words_and_is_recognised_in_either_form() {
        let fingerprint = Fingerprint([0x7f; 32]);
        // The BIP's own test vector for sixteen bytes 7f.
        let words = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        assert_eq!(fingerprint.words(), words);
        assert!(fingerprint.is_spelled(words));
        assert!(fingerprint.is_spelled(&words.to_uppercase().replace(' ', "-")));
        assert!(fingerprint.is_spelled(&fingerprint.to_string()));
        assert!(!fingerprint.is_spelled(&words.replace("yellow", "zoo")));
        assert!(!fingerprint.is_spelled(""));
    }

    #[test]
    fn three_words_show_the_first_33_bits() {
        assert_eq!(three_words(&[0; 32]), "abandon abandon abandon");
        assert_eq!(three_words(&[255; 32]), "zoo zoo zoo");
        let mut digest = [0; 32];
        digest[4] = 0x80;
        assert_eq!(three_words(&digest), "abandon abandon ability");
        digest[4] = 0x7f;
        assert_eq!(three_words(&digest), "abandon abandon abandon");
    }
}
