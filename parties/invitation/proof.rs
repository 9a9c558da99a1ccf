//! What host and guest compute from a code's secret: who knows it, and which words they see.

use crate::identity::{Fingerprint, three_words};

/// Everything that both sides have seen, in fixed positions.
pub(super) struct Transcript<'a> {
    pub(super) secret: &'a [u8; 16],
    pub(super) host: Fingerprint,
    pub(super) guest: Fingerprint,
    pub(super) commitment: [u8; 32],
    pub(super) guest_nonce: [u8; 32],
}

/// The public name of a code.
pub(super) fn code_id(secret: &[u8; 16]) -> [u8; 16] {
    let digest = blake3::derive_key("senate 2026-11 invitation code id", secret);
    digest.first_chunk().copied().unwrap_or_default()
}

/// The host's promise to reveal this number.
pub(super) fn commitment(host_nonce: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("senate 2026-11 invitation commitment", host_nonce)
}

impl Transcript<'_> {
    /// The guest's proof of knowing the secret, on this connection.
    pub(super) fn guest_proof(&self) -> blake3::Hash {
        self.mac("senate 2026-11 invitation guest proof", &[0; 32])
    }

    /// The host's proof.
    pub(super) fn host_proof(&self, host_nonce: &[u8; 32]) -> blake3::Hash {
        self.mac("senate 2026-11 invitation host proof", host_nonce)
    }

    /// The words that people compare.
    pub(super) fn words(&self, host_nonce: &[u8; 32]) -> String {
        three_words(self.mac("senate 2026-11 invitation words", host_nonce).as_bytes())
    }

    fn mac(&self, context: &str, host_nonce: &[u8; 32]) -> blake3::Hash {
        let key = blake3::derive_key(context, self.secret);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        for part in [
            &self.host.bytes(),
            &self.guest.bytes(),
            &self.commitment,
            &self.guest_nonce,
            host_nonce,
        ] {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(secret: &[u8; 16]) -> Transcript<'_> {
        Transcript {
            secret,
            host: Fingerprint::from_bytes([1; 32]),
            guest: Fingerprint::from_bytes([2; 32]),
            commitment: commitment(&[4; 32]),
            guest_nonce: [3; 32],
        }
    }

    #[test]
    fn words_and_proofs_depend_on_everything_that_was_seen() {
        let (secret, other_secret) = ([5; 16], [6; 16]);
        let base = transcript(&secret);
        let same = transcript(&secret);
        assert_eq!(base.words(&[4; 32]), same.words(&[4; 32]));
        let stranger = Fingerprint::from_bytes([9; 32]);
        let others = [
            transcript(&other_secret),
            Transcript { host: stranger, ..transcript(&secret) },
            Transcript { guest: stranger, ..transcript(&secret) },
            Transcript { commitment: [9; 32], ..transcript(&secret) },
            Transcript { guest_nonce: [9; 32], ..transcript(&secret) },
        ];
        for other in &others {
            assert_ne!(other.words(&[4; 32]), base.words(&[4; 32]));
            assert_ne!(other.guest_proof(), base.guest_proof());
            assert_ne!(other.host_proof(&[4; 32]), base.host_proof(&[4; 32]));
        }
        assert_ne!(base.words(&[8; 32]), base.words(&[4; 32]));
        assert_ne!(base.guest_proof(), base.host_proof(&[0; 32]), "a proof is nobody else's");
        assert_ne!(code_id(&secret), code_id(&other_secret));
    }
}
