//! The guest's side: finds the host by its code, compares words, says what it publishes, signs.

use super::proof::{Transcript, code_id, commitment};
use super::{
    Claim, Code, Completion, Consent, Greeting, NEXT, Offer, Proposal, Submission, Written,
    expected, harmless,
};
use crate::config::{FEDERATION_FILE, identity_path};
use crate::draft::{Draft, Member, Part};
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use crate::messages::{VERSION, Version};
use crate::prompt::confirmed;
use crate::roster;
use crate::transport::Connection;
use futures_util::stream;
use rand::TryRngCore;
use std::path::PathBuf;
use tokio::time::timeout;

/// Who answers an invitation.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its workspace.
    pub folder: PathBuf,
    /// Its name.
    pub party: String,
    /// Certificates of the host that need no comparing of words.
    pub yes_if: Vec<String>,
}

/// What the guest knows before it connects.
struct Own {
    identity: Identity,
    member: Member,
    members: Vec<Member>,
    parts: Vec<Part>,
}

/// Answers an invitation; at the end the workspace has the federation.toml that all have signed.
///
/// # Errors
/// Usage for a wrong code or workspace; lost when the host cannot be reached or goes away; refused
/// when it refuses or somebody declines; aborted when it misbehaves.
pub async fn join(guest: &Guest, code: &Code) -> Outcome<()> {
    let own = Own::read(guest)?;
    let remaining = code.remaining().ok_or_else(|| {
        Failure::refused("this code has expired").with_remedy("ask for a new one: senate invite")
    })?;
    let round = timeout(remaining, converse(guest, &own, code)).await;
    round.unwrap_or_else(|_| Err(Failure::lost("the code expired before all had signed")))
}

impl Own {
    fn read(guest: &Guest) -> Outcome<Self> {
        let draft = Draft::read(&guest.folder)?.ok_or_else(|| {
            let party = &guest.party;
            Failure::usage(format!("{} has no {FEDERATION_FILE}", guest.folder.display()))
                .with_remedy(format!("begin one: senate init --as {party} --address HOST:PORT"))
        })?;
        let identity = Identity::read(&identity_path(&guest.folder, &guest.party)?)?;
        let member = draft.member(&guest.party)?;
        if member.fingerprint != identity.fingerprint().to_string() {
            return Err(Failure::usage(format!(
                "{FEDERATION_FILE} pins another identity for {}",
                guest.party
            ))
            .with_remedy("write it again: senate init --as PARTY --address HOST:PORT"));
        }
        let parts = draft.parts_of(&guest.party)?;
        Ok(Self { identity, member, members: draft.members()?, parts })
    }
}

async fn converse(guest: &Guest, own: &Own, code: &Code) -> Outcome<()> {
    let (mut connection, words) = greet(own, code).await?;
    eprintln!("Compare these words with those that the inviting party sees: {words}");
    let is_known = expected(&guest.yes_if, code.fingerprint())?;
    if !is_known {
        let asking = confirmed("Are they the same?");
        if !connection.alive_while(asking, stream::pending::<()>()).await?? {
            return Err(Failure::refused("not joined: the words were not confirmed"));
        }
    }
    let submission = Submission { member: own.member.clone(), parts: own.parts.clone() };
    connection.send(&submission).await?;
    eprintln!("waiting for the other parties");
    let gone = |failure: Failure| failure.at("the inviting party");
    let text = match connection.receive().await.map_err(gone)? {
        Proposal::File(text) => text,
        Proposal::None => {
            return Err(Failure::refused(
                "the inviting party ended the round; nothing was written",
            )
            .with_remedy(
                "ask what `senate invite` said there: a name or an address that another party has, \
                 tables that contradict each other, or a no",
            ));
        }
    };
    let members = inspect(own, code, &text)?;
    eprintln!("---- {FEDERATION_FILE}\n{}\n----", harmless(&text));
    if own.members.len() > 1 {
        let path = guest.folder.join(FEDERATION_FILE);
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        eprintln!("what differs from {}:\n{}", path.display(), harmless(&changes(&known, &text)));
    }
    if !is_known {
        let asking = confirmed("Do you sign this federation?");
        if !connection.alive_while(asking, stream::pending::<()>()).await?? {
            connection.send(&Consent::Declined).await?;
            return Err(Failure::refused("not joined: the federation was not signed"));
        }
    }
    let signature = roster::sign(&own.identity, &text)?;
    connection.send(&Consent::Signed(signature)).await?;
    let Completion(signed) = connection.receive().await.map_err(gone)?;
    roster::verify(&members, blake3::hash(text.as_bytes()).as_bytes(), &signed).map_err(|why| {
        Failure::aborted(format!("the inviting party's signatures do not hold: {why}"))
    })?;
    roster::write(&guest.folder, &text, &signed)?;
    connection.send(&Written).await?;
    eprintln!("joined; {} parties have signed {FEDERATION_FILE}; {NEXT}", members.len());
    Ok(())
}

/// The lines that one text has and the other has not.
fn changes(before: &str, after: &str) -> String {
    let only = |sign: char, these: &str, those: &str| {
        let mut others: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !line.trim().is_empty());
        let missing = lines.filter(|line| {
            let found = others.iter().position(|other| other == line);
            found.map(|at| others.swap_remove(at)).is_none()
        });
        missing.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    let all = only('-', before, after) + &only('+', after, before);
    if all.is_empty() { "nothing".to_owned() } else { all.trim_end().to_owned() }
}

/// Connects to the code's certificate, proves to know the code, and has it proved.
async fn greet(own: &Own, code: &Code) -> Outcome<(Connection, String)> {
    let host = code.fingerprint();
    let mut connection =
        Connection::dial(&own.identity, code.address(), host).await.map_err(|failure| {
            failure.with_remedy(
                "an invitation is answered while `senate invite` runs there; see that the port is \
                 reachable and that the code is from that very party",
            )
        })?;
    let Offer { version, commitment: promised } = connection.receive().await?;
    let mut guest_nonce = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut guest_nonce)
        .map_err(|error| Failure::unexpected(format!("randomness: {error}")))?;
    let transcript = Transcript {
        secret: code.secret(),
        host,
        guest: own.identity.fingerprint(),
        commitment: promised,
        guest_nonce,
    };
    let claim = Claim {
        version: Version::own(),
        code: code_id(code.secret()),
        nonce: guest_nonce,
        proof: *transcript.guest_proof().as_bytes(),
    };
    connection.send(&claim).await?;
    match connection.receive().await? {
        Greeting::Refused(refusal) => Err(refusal.failure()),
        Greeting::Welcome { nonce, proof } => {
            let is_proof = blake3::Hash::from_bytes(proof) == transcript.host_proof(&nonce);
            if !is_proof || commitment(&nonce) != promised {
                return Err(Failure::aborted("the inviting party does not keep its promise")
                    .with_remedy("somebody may stand between you; do not use this code again"));
            }
            if version != Version::own() {
                return Err(Failure::refused(format!(
                    "the inviting party runs version {version} of senate instead of {VERSION}"
                )));
            }
            Ok((connection, transcript.words(&nonce)))
        }
    }
}

/// The proposal says of this party what it said itself, of the host what the code says, and changes
/// nobody that was known.
fn inspect(own: &Own, code: &Code, text: &str) -> Outcome<Vec<Member>> {
    let cheat = |why: String| {
        Failure::aborted(format!("the proposed {FEDERATION_FILE} {why}"))
            .with_remedy("nothing was signed; ask the inviting party")
    };
    let draft = Draft::parse(text).map_err(|failure| cheat(format!("is none: {failure}")))?;
    let members = draft.members()?;
    for known in &own.members {
        if !members.contains(known) {
            return Err(cheat(format!("changes or drops party {}", known.name)));
        }
    }
    let fingerprint = code.fingerprint().to_string();
    let is_host =
        |member: &Member| member.fingerprint == fingerprint && member.name != own.member.name;
    if !members.iter().any(is_host) {
        return Err(cheat("does not have the party that has sent it".to_owned()));
    }
    let proposed = draft.parts_of(&own.member.name)?;
    for part in &proposed {
        let same = own.parts.iter().find(|own| own.table == part.table);
        let is_mine = same.is_some_and(|own| {
            let names = |part: &Part| -> Vec<String> {
                let mut names: Vec<String> =
                    part.columns.iter().map(|column| column.name.clone()).collect();
                names.sort();
                names
            };
            own.capacity == part.capacity && names(own) == names(part)
        });
        if !is_mine {
            return Err(cheat(format!("declares table {} otherwise than this party", part.table)));
        }
    }
    if proposed.len() != own.parts.len() {
        return Err(cheat("leaves out a table of this party".to_owned()));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, fill: &str) -> Member {
        let fingerprint = format!("sha256:{}", fill.repeat(32));
        Member { name: name.to_owned(), address: format!("{name}:1"), fingerprint }
    }

    #[test]
    fn a_proposal_must_say_what_this_party_said() {
        let (identity, _) = Identity::generate("b").unwrap();
        let me = Member { fingerprint: identity.fingerprint().to_string(), ..member("b", "00") };
        let mut mine = Draft::new("study", &me).unwrap();
        let column = "name = \"study\"\n[[party]]\nname = \"x\"\naddress = \"h:1\"\n[[table]]\n\
            name = \"t\"\ncolumns = [{ name = \"x\", type = \"INT\" }]\n\
            held_by = [{ party = \"x\", capacity = 64 }]\n";
        let part = Draft::parse(column).unwrap().parts_of("x").unwrap().remove(0);
        mine.put_part("b", &part).unwrap();
        let own =
            Own { identity, member: me.clone(), members: vec![me.clone()], parts: vec![part] };
        let host = member("a", "ab");
        let code = Code::fresh(
            host.fingerprint.parse().unwrap(),
            "h:1",
            std::time::Duration::from_secs(9),
        )
        .unwrap();
        let mut good = Draft::new("study", &host).unwrap();
        good.put_party(&me).unwrap();
        good.put_part("b", &own.parts[0]).unwrap();
        assert_eq!(inspect(&own, &code, &good.text()).unwrap(), [host.clone(), me.clone()]);
        let bad = [
            (good.text().replace("capacity = 64", "capacity = 65"), "declares table t otherwise"),
            (good.text().replace("\"x\"", "\"y\""), "declares table t otherwise"),
            (good.text().replace(&host.fingerprint, &me.fingerprint), "has sent it"),
            (good.text().replace(&me.fingerprint, &host.fingerprint), "changes or drops party b"),
            (good.text().split("[[table]]").next().unwrap().to_owned(), "leaves out a table"),
            ("name = 1".to_owned(), "is none"),
        ];
        for (text, why) in bad {
            let failure = inspect(&own, &code, &text).unwrap_err();
            assert!(failure.message.contains(why), "{failure}");
            assert_eq!(failure.cause.exit_code(), 5);
        }
    }
}
