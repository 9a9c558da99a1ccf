//! Statements signed with a party's identity and checked against the certificate that is pinned.

use super::{Fingerprint, Identity};
use crate::failure::{Failure, Outcome};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Longest certificate that is looked at, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 8 << 10;
/// Longest ECDSA signature over P-256 in DER, in bytes.
const SIGNATURE_BYTES_MAX: usize = 72;

/// A signature with the certificate that it is checked with, both in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    certificate: String,
    signature: String,
}

impl Identity {
    /// Signs `statement` under `context`, which says what kind of statement it is; a signature
    /// counts under no other context.
    ///
    /// # Errors
    /// Usage when the key is none of P-256.
    pub fn sign(&self, context: &'static str, statement: &[u8]) -> Outcome<Signature> {
        let wrong = || Failure::usage("the identity's key is no ECDSA key over P-256");
        let PrivateKeyDer::Pkcs8(key) = &self.key else { return Err(wrong()) };
        let random = SystemRandom::new();
        let suite = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(suite, key.secret_pkcs8_der(), &random);
        let signature = key
            .map_err(|_| wrong())?
            .sign(&random, &framed(context, statement))
            .map_err(|_| Failure::unexpected("signing: no randomness"))?;
        let hexadecimal = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        Ok(Signature {
            certificate: hexadecimal(&self.certificate),
            signature: hexadecimal(signature.as_ref()),
        })
    }
}

impl Signature {
    /// From a certificate in DER and a signature by its key, both unchecked.
    pub fn of_parts(certificate: &[u8], signature: &[u8]) -> Self {
        let [certificate, signature] =
            [certificate, signature].map(|bytes| data_encoding::HEXLOWER.encode(bytes));
        Self { certificate, signature }
    }

    /// The signature itself; nothing if it is malformed.
    pub fn signature_bytes(&self) -> Vec<u8> {
        bytes(&self.signature, SIGNATURE_BYTES_MAX).unwrap_or_default()
    }

    /// Checks that the holder of the pinned certificate signed `statement` under `context`.
    ///
    /// # Errors
    /// Why it did not.
    pub fn verify(
        &self,
        pinned: Fingerprint,
        context: &'static str,
        statement: &[u8],
    ) -> Result<(), String> {
        let certificate = bytes(&self.certificate, CERTIFICATE_BYTES_MAX)
            .ok_or("a malformed certificate in the signature")?;
        let signature =
            bytes(&self.signature, SIGNATURE_BYTES_MAX).ok_or("a malformed signature")?;
        if Fingerprint::of(&CertificateDer::from(certificate.as_slice())) != pinned {
            return Err("signed with another certificate than the pinned one".to_owned());
        }
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| "an unreadable certificate in the signature")?;
        let key = parsed.tbs_certificate.subject_pki.subject_public_key.data;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(&framed(context, statement), &signature)
            .map_err(|_| "the signature is not over this".to_owned())
    }
}

/// What is signed: no statement is one of another context.
fn framed(context: &str, statement: &[u8]) -> Vec<u8> {
    [b"senate signature 1\0", context.as_bytes(), b"\0", statement].concat()
}

fn bytes(text: &str, bytes_max: usize) -> Option<Vec<u8>> {
    let short = text.len() <= 2 * bytes_max;
    short.then(|| data_encoding::HEXLOWER.decode(text.as_bytes()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_its_signer_context_and_statement_only() {
        let [a, b] = ["a", "b"].map(|party| Identity::generate(party).unwrap().0);
        let signature = a.sign("roster", b"file").unwrap();
        assert_eq!(signature.verify(a.fingerprint(), "roster", b"file"), Ok(()));
        assert!(signature.verify(b.fingerprint(), "roster", b"file").is_err());
        assert!(signature.verify(a.fingerprint(), "audit", b"file").is_err());
        assert!(signature.verify(a.fingerprint(), "roster", b"filf").is_err());
        let other = b.sign("roster", b"file").unwrap();
        let mixed = Signature { certificate: signature.certificate, ..other };
        assert!(mixed.verify(a.fingerprint(), "roster", b"file").is_err());
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let (identity, _) = Identity::generate("a").unwrap();
        let good = identity.sign("roster", b"file").unwrap();
        for bad in ["", "zz", "00", &"00".repeat(100)] {
            let signature = Signature { signature: bad.to_owned(), ..good.clone() };
            assert!(signature.verify(identity.fingerprint(), "roster", b"file").is_err());
            let certificate = Signature { certificate: bad.to_owned(), ..good.clone() };
            assert!(certificate.verify(identity.fingerprint(), "roster", b"file").is_err());
        }
    }
}
