//! A party's identity: a private key and a self-signed certificate, pinned by fingerprint.

mod signature;
mod words;

pub use signature::Signature;
pub use words::three_words;

use crate::failure::{Failure, Outcome};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

const VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600 + 2 * 24 * 3600);
const PREFIX: &str = "sha256:";

/// SHA-256 of a certificate in DER: what federation.toml pins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate.as_ref());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// From the digest itself.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest itself.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not sha256: followed by 64 hexadecimal digits");
        let digits = text.strip_prefix(PREFIX).ok_or_else(malformed)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (position, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * position..2 * position + 2).ok_or_else(malformed)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| malformed())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A private key with its certificate. Never printed.
pub struct Identity {
    key: PrivateKeyDer<'static>,
    certificate: CertificateDer<'static>,
}

impl Identity {
    /// A new key and a certificate valid for ten years, for use on this machine.
    ///
    /// # Errors
    /// Unexpected when the machine has no randomness.
    pub fn generate(party: &str) -> Outcome<(Self, String)> {
        Self::generate_at(party, None)
    }

    /// A new key and a certificate valid for ten years, that names the loopback interface and
    /// `host`, a DNS name or an IP address. Parties go by the fingerprint alone; clients of other
    /// make also compare names.
    ///
    /// # Errors
    /// Unexpected when the machine has no randomness; usage for a malformed host.
    pub fn generate_at(party: &str, host: Option<&str>) -> Outcome<(Self, String)> {
        let failed = |error: rcgen::Error| Failure::unexpected(format!("new identity: {error}"));
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        names.extend(host.filter(|host| !names.iter().any(|name| name == host)).map(str::to_owned));
        let mut parameters = rcgen::CertificateParams::new(names)
            .map_err(|error| Failure::usage(format!("{}: {error}", host.unwrap_or_default())))?;
        parameters.distinguished_name.push(rcgen::DnType::CommonName, party);
        let now = SystemTime::now();
        parameters.not_before = now.into();
        parameters.not_after = (now + VALIDITY).into();
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        Ok((Self::parse(&pem)?, pem))
    }

    /// Reads an identity file: a PKCS#8 private key and a certificate, both PEM.
    ///
    /// # Errors
    /// Usage when the file is missing or holds something else, or when others than its owner can
    /// read it.
    pub fn read(path: &Path) -> Outcome<Self> {
        let pem = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("identity {}: {error}", path.display())).with_remedy(
                "a party's commands run where its key is; a new party makes one with `senate init \
                 --workspace DIR --as PARTY`",
            )
        })?;
        if !is_private(path) {
            let path = path.display();
            return Err(Failure::usage(format!(
                "identity {path}: others than its owner can read the private key"
            ))
            .with_remedy(format!("chmod 600 {path}; if others had access, make a new one")));
        }
        Self::parse(&pem).map_err(|failure| failure.at(path.display()))
    }

    /// The certificate's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A copy of the private key for a TLS configuration.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// The certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    fn parse(pem: &str) -> Outcome<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unreadable("private key", &error))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unreadable("certificate", &error))?;
        Ok(Self { key, certificate })
    }
}

fn unreadable(what: &str, why: &dyn fmt::Display) -> Failure {
    Failure::usage(format!("unreadable {what}: {why}"))
        .with_remedy("restore the file from a copy; a new identity has to be pinned by all parties")
}

/// Writes an identity file that only its owner can read; an existing file is never replaced.
///
/// # Errors
/// Usage when the file exists or cannot be written.
pub fn write_private(path: &Path, pem: &str) -> Outcome<()> {
    use std::io::Write;
    crate::private::options()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(pem.as_bytes()))
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Whether only its owner can read the file or, of a file of root's, which another user cannot own
/// where it is mounted as a secret, nobody but root and its group.
pub fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    std::fs::metadata(path)
        .is_ok_and(|found| is_private_mode(found.permissions().mode(), found.uid()))
}

/// As PostgreSQL judges keys.
fn is_private_mode(mode: u32, owner: u32) -> bool {
    let others = if owner == 0 { 0o037 } else { 0o077 };
    mode & others == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_survives_its_text_form() {
        let (identity, _) = Identity::generate("a").unwrap();
        let text = identity.fingerprint().to_string();
        assert_eq!(text.parse::<Fingerprint>().unwrap(), identity.fingerprint());
        assert!("sha256:00".parse::<Fingerprint>().is_err());
        assert!(text.replace("sha256", "md5").parse::<Fingerprint>().is_err());
    }

    #[test]
    fn an_identity_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.pem");
        let (identity, pem) = Identity::generate("a").unwrap();
        write_private(&path, &pem).unwrap();
        assert_eq!(Identity::read(&path).unwrap().fingerprint(), identity.fingerprint());
        assert!(write_private(&path, &pem).is_err());
        assert!(is_private(&path));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, mode).unwrap();
        assert!(!is_private(&path));
        let failure = Identity::read(&path).err().unwrap();
        assert_eq!(failure.cause.exit_code(), 2);
        assert!(failure.remedy.unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_key_is_its_owners_or_roots_and_one_groups() {
        for (mode, owner, is_one) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o440, 1000, false),
            (0o440, 0, true),
            (0o640, 0, true),
            (0o660, 0, false),
            (0o444, 0, false),
            (0o604, 1000, false),
        ] {
            assert_eq!(is_private_mode(0o100_000 | mode, owner), is_one, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn an_unreadable_identity_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.pem");
        write_private(&path, "nothing").unwrap();
        let failure = Identity::read(&path).err().unwrap();
        assert!(failure.message.contains("unreadable private key"), "{failure}");
        assert_eq!(failure.cause.exit_code(), 2);
    }
}
