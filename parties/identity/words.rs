//! Bytes as words that people read to each other over the telephone (the BIP 39 English list).

use super::Fingerprint;
use bip39::{Language, Mnemonic};

/// Bits of a word.
const WORD_BITS: u32 = 11;
/// Words of a fingerprint.
const WORDS: usize = 12;

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
        text.parse() == Ok(*self) || phrase(&text) == self.words()
    }

    /// What somebody typed, if it spells any fingerprint, in hexadecimal or in words.
    ///
    /// # Errors
    /// How fingerprints are spelled.
    pub fn checked_spelling(text: &str) -> Result<String, String> {
        let lower = text.trim().to_ascii_lowercase();
        let is_phrase = || {
            Mnemonic::parse_in_normalized(Language::English, &phrase(&lower))
                .is_ok_and(|phrase| phrase.word_count() == WORDS)
        };
        if lower.parse::<Self>().is_ok() || is_phrase() {
            return Ok(text.to_owned());
        }
        Err(format!(
            "a fingerprint is sha256: followed by 64 hexadecimal digits, or its {WORDS} words, as \
             `senate init` prints them"
        ))
    }
}

/// Words between spaces or hyphens, with one space between each.
fn phrase(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '-');
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
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
    fn what_spells_no_fingerprint_is_told_from_what_does() {
        let words = Fingerprint::from_bytes([0x7f; 32]).words();
        for text in [&words.to_uppercase(), &Fingerprint::from_bytes([1; 32]).to_string()] {
            assert_eq!(Fingerprint::checked_spelling(text).as_ref(), Ok(text));
        }
        let miscopied = words.replace("yellow", "zoo");
        let short = words.replace(" yellow", "");
        for text in ["nonsense", "sha256:00", "", &miscopied, &short] {
            assert!(Fingerprint::checked_spelling(text).unwrap_err().contains("sha256:"), "{text}");
        }
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
