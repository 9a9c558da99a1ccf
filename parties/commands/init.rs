//! `senate init`: a key and a certificate for one party.

use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::{Identity, write_private};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `senate init`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate init --workspace study --as hospital_a\n\n\
    Writes study/hospital_a/identity.pem and prints its fingerprint, to be pinned in \
    federation.toml at every party.")]
pub struct Options {
    /// The workspace directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// The party
    #[arg(long = "as", value_name = "PARTY")]
    party: String,
}

/// Makes the identity; an existing one is kept and only its fingerprint printed.
///
/// # Errors
/// Usage when files cannot be read or written.
pub fn run(options: &Options) -> Outcome<()> {
    let path = match Workspace::open(&options.workspace) {
        Ok(workspace) => {
            let party = workspace.party(&options.party)?;
            PartyConfig::read(&workspace, party)?.identity
        }
        // The federation file may be written after all fingerprints are known.
        Err(_) if !options.workspace.join(crate::config::FEDERATION_FILE).exists() => {
            options.workspace.join(&options.party).join("identity.pem")
        }
        Err(failure) => return Err(failure),
    };
    let identity = if path.exists() {
        eprintln!("{} exists and is kept", path.display());
        Identity::read(&path)?
    } else {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
        }
        let (identity, pem) = Identity::generate(&options.party)?;
        write_private(&path, &pem)?;
        eprintln!("wrote {}", path.display());
        identity
    };
    println!("fingerprint = \"{}\"", identity.fingerprint());
    Ok(())
}
