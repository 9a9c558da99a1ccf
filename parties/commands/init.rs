//! `senate init`: a key and a certificate for one party, and its entry in federation.toml.

use crate::cli::Own;
use crate::config::{FEDERATION_FILE, Workspace, identity_path};
use crate::draft::{Draft, Member, begin_private};
use crate::failure::{Failure, Outcome};
use crate::identity::{Identity, write_private};
use clap::Args;
use senate_planner::catalog::{check_name, host_of};
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
    check_name(party).map_err(|why| {
        Failure::usage(format!("--as {party:?}: {why}")).with_remedy("as in --as hospital_a")
    })?;
    let host = address
        .as_deref()
        .map(|address| host_of(address).map_err(|why| Failure::usage(format!("--{why}"))));
    let host = host.transpose()?;
    let draft = Draft::read(folder)?;
    if let (Some(draft), None) = (&draft, address) {
        // Somebody has written the file; the party's name is in it.
        let federation = draft.federation()?;
        Workspace { folder: folder.clone(), federation }.party(party)?;
    }
    let path = identity_path(folder, party)?;
    let is_known = path.exists();
    let (identity, pem) = match is_known {
        true => (Identity::read(&path)?, String::new()),
        false => Identity::generate_at(party, host)?,
    };
    // Whatever is wrong is told before anything is written.
    let draft = match address {
        None => None,
        Some(address) => Some(drafted(options, draft, address, &identity)?),
    };
    if is_known {
        eprintln!("{} exists and is kept", path.display());
    } else {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
        }
        write_private(&path, &pem)?;
        eprintln!("wrote {}", path.display());
    }
    begin_private(folder, party)?;
    if let Some(draft) = draft {
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

/// federation.toml with this party.
fn drafted(
    options: &Options,
    draft: Option<Draft>,
    address: &str,
    identity: &Identity,
) -> Outcome<Draft> {
    let member = Member {
        name: options.own.party.clone(),
        address: address.to_owned(),
        fingerprint: identity.fingerprint().to_string(),
    };
    let Some(mut draft) = draft else {
        return Draft::new(&federation_name(options)?, &member);
    };
    draft.put_party(&member)?;
    draft.federation().map(|_| draft)
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
