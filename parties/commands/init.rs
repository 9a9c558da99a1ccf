//! `senate init`: a key and a certificate for one party, and its entry in federation.toml.

use crate::cli::Own;
use crate::config::{FEDERATION_FILE, Workspace, identity_path};
use crate::draft::{Draft, Member, begin_private};
use crate::failure::{Failure, Outcome};
use crate::identity::{Identity, write_private};
use clap::Args;
use std::path::Path;

/// Arguments of `senate init`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate init --workspace study --as hospital_a --address \
    a.example.org:7401\n\n\
    Makes the key and the ten-year certificate study/hospital_a/identity.pem, prints its \
    fingerprint, \
    and begins study/hospital_a/party.toml, in which nothing is allowed yet, and \
    study/federation.toml with this party. Without --address, federation.toml is \
    left to you: the fingerprint is to be pinned there at every party.")]
pub struct Options {
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// Where other parties reach this one; begins or changes federation.toml
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The federation's name, where there is no federation.toml yet; by default the directory's
    #[arg(long, value_name = "NAME", requires = "address")]
    federation: Option<String>,
}

/// Makes the identity; an existing one is kept and only its fingerprint printed.
///
/// # Errors
/// Usage when files cannot be read or written.
pub fn run(options: &Options) -> Outcome<()> {
    let Options { own: Own { workspace: folder, party }, address, .. } = options;
    let draft = Draft::read(folder)?;
    let host = address.as_deref().map(host_of).transpose()?;
    if let (Some(draft), None) = (&draft, address) {
        // Somebody has written the file; the party's name is in it.
        let federation = draft.federation()?;
        Workspace { folder: folder.clone(), federation }.party(party)?;
    }
    let path = identity_path(folder, party)?;
    let identity = if path.exists() {
        eprintln!("{} exists and is kept", path.display());
        Identity::read(&path)?
    } else {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
        }
        let (identity, pem) = Identity::generate_at(party, host)?;
        write_private(&path, &pem)?;
        eprintln!("wrote {}", path.display());
        identity
    };
    begin_private(folder, party)?;
    if let Some(address) = address {
        let member = Member {
            name: party.clone(),
            address: address.clone(),
            fingerprint: identity.fingerprint().to_string(),
        };
        let draft = match draft {
            None => Draft::new(&federation_name(options)?, &member)?,
            Some(mut draft) => {
                draft.put_party(&member)?;
                draft.federation()?;
                draft
            }
        };
        draft.write(folder)?;
        eprintln!("wrote {}", folder.join(FEDERATION_FILE).display());
    }
    eprintln!("in words: {}", identity.fingerprint().words());
    say!("fingerprint = \"{}\"", identity.fingerprint());
    if address.is_some() {
        eprintln!(
            "next: `senate publish` for each table, then `senate invite`, or `senate join` with a \
             code from a party that invites"
        );
    }
    Ok(())
}

/// The host in an address; a malformed one is told before anything is written.
fn host_of(address: &str) -> Outcome<&str> {
    let wrong = || {
        Failure::usage(format!("--address {address:?} is no HOST:PORT"))
            .with_remedy("as in --address a.example.org:7401")
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_good = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_good { Ok(host) } else { Err(wrong()) }
}

fn federation_name(options: &Options) -> Outcome<String> {
    if let Some(name) = &options.federation {
        return Ok(name.clone());
    }
    let named = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = std::path::absolute(&options.own.workspace)
        .map_err(|error| Failure::usage(format!("{}: {error}", options.own.workspace.display())))?;
    named(&folder).ok_or_else(|| {
        Failure::usage("the federation needs a name").with_remedy("give it: --federation NAME")
    })
}
