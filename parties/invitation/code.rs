//! A code: address and certificate of the host, a secret, and until when it counts.

use crate::failure::{Failure, Outcome};
use crate::identity::Fingerprint;
use data_encoding::BASE64URL_NOPAD;
use rand::TryRngCore;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

const PREFIX: &str = "senate-";
/// Of the code's layout.
const LAYOUT: u8 = 1;
const SECRET_BYTES: usize = 16;
const CHECK_BYTES: usize = 4;
/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 255;

/// What a guest needs to find the host, to recognise it, and to be let in. Not printed by `Debug`.
pub struct Code {
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    fingerprint: Fingerprint,
    expires: u64,
    address: String,
}

impl Code {
    /// A fresh code of the host with this certificate, for so long.
    ///
    /// # Errors
    /// Unexpected when the machine has no randomness; usage for an address that is too long.
    pub fn fresh(fingerprint: Fingerprint, address: &str, lasts: Duration) -> Outcome<Self> {
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(Failure::usage(format!(
                "an address of more than {ADDRESS_BYTES_MAX} bytes"
            )));
        }
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::rngs::OsRng
            .try_fill_bytes(secret.as_mut())
            .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
        let expires = now() + lasts.as_secs();
        Ok(Self { secret, fingerprint, expires, address: address.to_owned() })
    }

    /// Reads a code as it was typed or pasted.
    ///
    /// # Errors
    /// Usage when it is none, or not whole.
    pub fn parse(text: &str) -> Outcome<Self> {
        let wrong = || {
            Failure::usage("this is no invitation code, or not a whole one")
                .with_remedy("copy all of what `senate invite` printed, from senate- to its end")
        };
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let body = compact.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| wrong())?;
        let bytes = Zeroizing::new(bytes);
        let (content, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(wrong)?;
        if check_sum(content) != *check {
            return Err(wrong());
        }
        let (layout, rest) = content.split_first().ok_or_else(wrong)?;
        if *layout != LAYOUT {
            return Err(Failure::usage("a code of another version of senate")
                .with_remedy("install one version at all parties"));
        }
        let (expires, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (secret, rest) = rest.split_first_chunk::<SECRET_BYTES>().ok_or_else(wrong)?;
        let (fingerprint, address) = rest.split_first_chunk::<32>().ok_or_else(wrong)?;
        let address = std::str::from_utf8(address).map_err(|_| wrong())?;
        if address.len() > ADDRESS_BYTES_MAX || address.chars().any(char::is_control) {
            return Err(wrong());
        }
        Ok(Self {
            secret: Zeroizing::new(*secret),
            fingerprint: Fingerprint::from_bytes(*fingerprint),
            expires: u64::from_be_bytes(*expires),
            address: address.to_owned(),
        })
    }

    /// The code as text. Whoever has it can answer the invitation once.
    pub fn reveal(&self) -> String {
        let mut content = Zeroizing::new(vec![LAYOUT]);
        content.extend(self.expires.to_be_bytes());
        content.extend(self.secret.as_slice());
        content.extend(self.fingerprint.bytes());
        content.extend(self.address.bytes());
        let check = check_sum(&content);
        content.extend(check);
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&content))
    }

    /// How long it still counts; `None` when it does no more.
    pub fn remaining(&self) -> Option<Duration> {
        self.expires.checked_sub(now()).filter(|rest| *rest > 0).map(Duration::from_secs)
    }

    /// Where the host listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The host's certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }
}

fn check_sum(content: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = blake3::derive_key("senate 2026-11 invitation code check sum", content);
    digest.first_chunk().copied().unwrap_or_default()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(lasts_s: u64) -> Code {
        let fingerprint = Fingerprint::from_bytes([7; 32]);
        Code::fresh(fingerprint, "a.example.org:7401", Duration::from_secs(lasts_s)).unwrap()
    }

    #[test]
    fn a_code_survives_its_text_form_and_line_breaks() {
        let code = code(60);
        let text = code.reveal();
        let (head, tail) = text.split_at(40);
        let again = Code::parse(&format!(" {head}\n{tail} ")).unwrap();
        assert_eq!(again.secret(), code.secret());
        assert_eq!((again.address(), again.fingerprint()), (code.address(), code.fingerprint()));
        assert!(again.remaining().is_some_and(|rest| rest <= Duration::from_secs(60)));
        assert!(self::code(0).remaining().is_none());
    }

    #[test]
    fn codes_with_a_wrong_letter_or_cut_off_are_refused() {
        let text = code(60).reveal();
        for position in [8, 30, text.len() - 1] {
            let mut letters: Vec<char> = text.chars().collect();
            letters[position] = if letters[position] == 'A' { 'B' } else { 'A' };
            let failure = Code::parse(&letters.into_iter().collect::<String>()).err().unwrap();
            assert_eq!(failure.cause.exit_code(), 2);
        }
        for cut in [0, 7, 20, text.len() - 2] {
            assert!(Code::parse(&text[..cut]).is_err(), "{cut}");
        }
    }
}
