//! Bearer tokens of a party's analysts: random, shown once, and kept only as hashes, with an expiry.
//! Whoever holds one may ask in the party's name through Flight SQL.

use crate::config::PartyConfig;
use crate::failure::{Failure, Outcome};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const FILE: &str = "tokens.json";
const LOCK: &str = "tokens.lock";
/// What is hashed is random, so one hash is enough.
const HASH_CONTEXT: &str = "senate 2026-11 bearer token";
const PREFIX: &str = "senate";
const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 6;
/// Most tokens of one party, expired ones not counted.
const TOKENS_MAX: usize = 1000;
const NAME_MAX: usize = 64;

/// The tokens of one party.
#[derive(Clone, Debug)]
pub struct Tokens {
    folder: PathBuf,
}

/// A token as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names the token, for `revoke`.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// Hash of the secret part, in hexadecimal.
    hash: String,
    /// Seconds since 1970.
    pub created_unix_s: u64,
    /// Seconds since 1970, by this machine's clock.
    pub expires_unix_s: u64,
}

impl Token {
    /// Whether it is no longer good.
    pub fn has_expired(&self) -> bool {
        now() >= self.expires_unix_s
    }

    fn is_made_of(&self, secret: &[u8]) -> bool {
        // The comparison takes the same time wherever the hashes differ.
        blake3::Hash::from_hex(&self.hash).is_ok_and(|kept| kept == hash(secret))
    }
}

impl Tokens {
    /// Of the party with this configuration.
    pub fn of(config: &PartyConfig) -> Self {
        Self { folder: config.folder.clone() }
    }

    /// A new token for `user`, which this returns and nobody can read again.
    ///
    /// # Errors
    /// Usage for a malformed name, too many tokens, or files that cannot be written.
    pub fn create(&self, user: &str, valid: Duration) -> Outcome<(Token, String)> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-@".contains(letter);
        if user.is_empty() || user.len() > NAME_MAX || !user.chars().all(is_plain) {
            let why = "a name consists of up to 64 letters, digits and . _ - @";
            return Err(Failure::usage(why));
        }
        let (id, secret) = (random::<ID_BYTES>()?, random::<SECRET_BYTES>()?);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{PREFIX}_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
        let created_unix_s = now();
        let token = Token {
            id,
            user: user.to_owned(),
            hash: hash(&secret).to_hex().to_string(),
            created_unix_s,
            expires_unix_s: created_unix_s.saturating_add(valid.as_secs()),
        };
        self.change(|tokens| {
            tokens.retain(|token| !token.has_expired());
            if tokens.len() >= TOKENS_MAX {
                let why = format!("there are {TOKENS_MAX} tokens already");
                return Err(Failure::usage(why).with_remedy("revoke some"));
            }
            tokens.push(token.clone());
            Ok(())
        })?;
        Ok((token, text))
    }

    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// Usage when the file cannot be read.
    pub fn list(&self) -> Outcome<Vec<Token>> {
        let path = self.folder.join(FILE);
        let failed = |why: String| Failure::usage(format!("{}: {why}", path.display()));
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Takes a token back: the next call with it is refused.
    ///
    /// # Errors
    /// Usage when there is no such token.
    pub fn revoke(&self, id: &str) -> Outcome<()> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.id != id);
            if tokens.len() == before {
                let why = "there is no token of this id";
                return Err(Failure::usage(why).with_remedy("`senate token list` shows them"));
            }
            Ok(())
        })
    }

    /// Whose token this is, if it is one, has not expired and has not been revoked.
    ///
    /// # Errors
    /// Usage when the file cannot be read.
    pub fn user_of(&self, text: &str) -> Outcome<Option<String>> {
        let mut parts = text.splitn(3, '_');
        let (Some(PREFIX), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        let Ok(secret) = URL_SAFE_NO_PAD.decode(secret) else { return Ok(None) };
        let tokens = self.list()?;
        let token = tokens.into_iter().find(|token| token.id == id && token.is_made_of(&secret));
        Ok(token.filter(|token| !token.has_expired()).map(|token| token.user))
    }

    /// Changes the file as a whole, one process at a time.
    fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> Outcome<()>) -> Outcome<()> {
        let failed = |error: std::io::Error| {
            Failure::usage(format!("{}: {error}", self.folder.join(FILE).display()))
        };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let lock = File::create(self.folder.join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut tokens = self.list()?;
        change(&mut tokens)?;
        let text = serde_json::to_vec_pretty(&tokens)
            .map_err(|error| Failure::unexpected(error.to_string()))?;
        let path = self.folder.join(FILE);
        crate::private::replace(&path, crate::private::MODE, |file| {
            file.write_all(&text).map_err(failed)
        })
    }
}

fn hash(secret: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(secret).finalize()
}

fn random<const N: usize>() -> Outcome<[u8; N]> {
    use rand::TryRngCore;
    let mut bytes = [0; N];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
    Ok(bytes)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn tokens() -> (tempfile::TempDir, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens { folder: folder.path().to_owned() };
        (folder, tokens)
    }

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked() {
        let (_folder, tokens) = tokens();
        let (ann, text) = tokens.create("ann", DAY).unwrap();
        let (_, short) = tokens.create("bob", Duration::ZERO).unwrap();
        assert_eq!(tokens.user_of(&text).unwrap().as_deref(), Some("ann"));
        assert_eq!(tokens.user_of(&short).unwrap(), None);
        tokens.revoke(&ann.id).unwrap();
        assert_eq!(tokens.user_of(&text).unwrap(), None);
        assert_eq!(tokens.revoke(&ann.id).unwrap_err().cause.exit_code(), 2);
    }

    #[test]
    fn only_hashes_are_written_and_only_the_owner_reads_them() {
        let (folder, tokens) = tokens();
        let (_, text) = tokens.create("ann", DAY).unwrap();
        let kept = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!kept.contains(text.rsplit('_').next().unwrap()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_not_a_token_is_nobody_s() {
        let (_folder, tokens) = tokens();
        let (ann, text) = tokens.create("ann", DAY).unwrap();
        let (bob, _) = tokens.create("bob", DAY).unwrap();
        let other = text.replace(&ann.id, &bob.id);
        for wrong in
            ["", "senate", "senate__", "senate_x_y", &other, &text[1..], &text.to_uppercase()]
        {
            assert_eq!(tokens.user_of(wrong).unwrap(), None, "{wrong}");
        }
        for name in ["", "two words", "x\"y", &"n".repeat(65)] {
            assert!(tokens.create(name, DAY).is_err(), "{name}");
        }
    }

    #[test]
    fn tokens_made_at_once_are_all_kept() {
        let (_folder, tokens) = tokens();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| drop(tokens.create("ann", DAY).unwrap())));
            }
        });
        assert_eq!(tokens.list().unwrap().len(), 20);
    }
}
