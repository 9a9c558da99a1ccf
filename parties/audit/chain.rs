//! Links of the hash chain.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::fmt;

/// H(all entries up to one), through the link before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link([u8; 32]);

/// Where a log ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of the last entry; the first is 1, an empty log ends at 0.
    pub seq: u64,
    /// Its link.
    pub link: Link,
}

impl Link {
    const CONTEXT: &str = "senate audit link 1";

    /// Before the first entry of `party`'s log.
    pub fn first(party: &str) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("senate audit log 1");
        hash.update(party.as_bytes());
        Self(*hash.finalize().as_bytes())
    }

    /// The link of entry `seq` with this hash, after `self`.
    #[must_use]
    pub fn then(self, seq: u64, entry: &[u8; 32]) -> Self {
        let mut hash = blake3::Hasher::new_derive_key(Self::CONTEXT);
        hash.update(&self.0).update(&seq.to_le_bytes()).update(entry);
        Self(*hash.finalize().as_bytes())
    }

    /// What is signed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.to_string()
    }
}

impl TryFrom<String> for Link {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| "not hexadecimal")?;
        bytes.try_into().map(Self).map_err(|_| "not 32 bytes")
    }
}

/// Whether the heads, in any order, all lie on the chain of `party`'s entries with these hashes.
///
/// # Errors
/// The first head that does not.
pub fn follows(party: &str, entries: &[[u8; 32]], heads: &[Head]) -> Result<(), Head> {
    let mut heads = heads.to_vec();
    heads.sort_by_key(|head| head.seq);
    let mut waiting = heads.into_iter().peekable();
    let (mut link, mut seq) = (Link::first(party), 0);
    loop {
        while let Some(head) = waiting.next_if(|head| head.seq <= seq) {
            if head != (Head { seq, link }) {
                return Err(head);
            }
        }
        let at = usize::try_from(seq).ok();
        let Some(entry) = at.and_then(|at| entries.get(at)) else { break };
        seq += 1;
        link = link.then(seq, entry);
    }
    waiting.next().map_or(Ok(()), Err)
}
