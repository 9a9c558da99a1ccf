//! Everybody's signatures under federation.toml, kept beside it.

use crate::config::{FEDERATION_FILE, Workspace};
use crate::draft::{Member, replace};
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity, Signature};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file with the signatures.
pub const SIGNATURES_FILE: &str = "federation.sig";
/// What the signatures are about.
const CONTEXT: &str = "federation";

/// A party's signature under the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The party.
    pub party: String,
    /// Its signature.
    pub signature: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturesFile {
    signed: Vec<Signed>,
}

/// Who stands behind a federation.toml.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Every party has signed it.
    Signed,
    /// It was written by hand: whoever starts a daemon with it has checked it.
    ByHand,
}

/// Signs the text of a federation.toml.
///
/// # Errors
/// As [`Identity::sign`].
pub fn sign(identity: &Identity, text: &str) -> Outcome<Signature> {
    identity.sign(CONTEXT, blake3::hash(text.as_bytes()).as_bytes())
}

/// Checks that exactly these members have signed the file with this digest.
///
/// # Errors
/// Whose signature is missing or wrong.
pub fn verify(members: &[Member], digest: &[u8; 32], signed: &[Signed]) -> Result<(), String> {
    if let Some(stranger) =
        signed.iter().find(|signed| members.iter().all(|member| member.name != signed.party))
    {
        return Err(format!("{:?} has signed and is no party", stranger.party));
    }
    for member in members {
        let mut own = signed.iter().filter(|signed| signed.party == member.name);
        let (Some(only), None) = (own.next(), own.next()) else {
            return Err(format!("{} has not signed it exactly once", member.name));
        };
        let pinned: Fingerprint = member.fingerprint.parse()?;
        let verified = only.signature.verify(pinned, CONTEXT, digest);
        verified.map_err(|why| format!("{}: {why}", member.name))?;
    }
    Ok(())
}

/// Checks the signatures of a workspace, where it has any.
///
/// # Errors
/// Usage when they are not under this very federation.toml.
pub fn check(workspace: &Workspace) -> Outcome<Standing> {
    let path = workspace.folder.join(SIGNATURES_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Standing::ByHand),
        Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
    };
    let file: SignaturesFile = toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let member = |party: &senate_planner::catalog::Party| Member {
        name: party.name.clone(),
        address: party.address.clone(),
        fingerprint: party.fingerprint.clone().unwrap_or_default(),
    };
    let members: Vec<Member> = workspace.federation.parties.iter().map(member).collect();
    match verify(&members, &workspace.federation.digest, &file.signed) {
        Ok(()) => Ok(Standing::Signed),
        Err(why) => Err(Failure::usage(format!(
            "{} is not what all parties have signed: {why}",
            workspace.folder.join(FEDERATION_FILE).display()
        ))
        .with_remedy(
            "have it signed again: senate invite --members (a file kept by hand has no \
             federation.sig beside it)",
        )),
    }
}

/// Writes a federation.toml and the signatures under it.
///
/// # Errors
/// Usage when a file cannot be written.
pub fn write(folder: &Path, text: &str, signed: &[Signed]) -> Outcome<()> {
    let file = SignaturesFile { signed: signed.to_vec() };
    let signatures = toml::to_string(&file)
        .map_err(|error| Failure::unexpected(format!("writing signatures: {error}")))?;
    replace(&folder.join(FEDERATION_FILE), text)?;
    replace(&folder.join(SIGNATURES_FILE), &signatures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sign_the_very_file_and_nobody_else_does() {
        let identities = ["a", "b"].map(|name| Identity::generate(name).unwrap().0);
        let member = |(name, identity): (&&str, &Identity)| Member {
            name: (*name).to_owned(),
            address: "h:1".to_owned(),
            fingerprint: identity.fingerprint().to_string(),
        };
        let members: Vec<Member> = ["a", "b"].iter().zip(&identities).map(member).collect();
        let text = "name = \"study\"\n";
        let signed = |(party, identity): (&&str, &Identity)| Signed {
            party: (*party).to_owned(),
            signature: sign(identity, text).unwrap(),
        };
        let all: Vec<Signed> = ["a", "b"].iter().zip(&identities).map(signed).collect();
        let digest = blake3::hash(text.as_bytes());
        assert_eq!(verify(&members, digest.as_bytes(), &all), Ok(()));
        let other = blake3::hash(b"name = \"other\"\n");
        assert!(verify(&members, other.as_bytes(), &all).unwrap_err().contains("not over this"));
        assert!(verify(&members, digest.as_bytes(), &all[..1]).unwrap_err().starts_with("b has"));
        let twice = [all[0].clone(), all[0].clone()];
        assert!(verify(&members, digest.as_bytes(), &twice).is_err());
        assert!(verify(&members[..1], digest.as_bytes(), &all).unwrap_err().contains("no party"));
    }
}
