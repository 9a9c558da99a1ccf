//! `senate invite`: gives out codes and has federation.toml signed by all.

use crate::cli::Own;
use crate::config::{FEDERATION_FILE, identity_path};
use crate::draft::Draft;
use crate::failure::{Failure, Outcome};
use crate::identity::{Fingerprint, Identity};
use crate::invitation::{Host, host};
use clap::Args;
use std::time::Duration;

/// Most minutes that a code counts.
const EXPIRES_MAX_MIN: u64 = 7 * 24 * 60;
/// As many as a set of parties can have, but for the host.
const GUESTS_MAX: u64 = 31;

/// Arguments of `senate invite`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate invite --workspace study --as hospital_a\n\n\
    Prints a code for each new party (and, where the federation has members already, one for \
    each of \
    them, because all sign it again) and waits until all have run `senate join CODE`. A code \
    counts \
    once. Give it to the other party by a way that you trust; then compare the three words that \
    both sides see.\n\
    Scripts: --yes-if FINGERPRINT (of each guest, as `senate init` prints it there) asks nothing.")]
pub struct Options {
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// How many parties are new
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=GUESTS_MAX))]
    guests: u64,
    /// Nobody is new: the members sign what has changed
    #[arg(long, conflicts_with = "guests")]
    members: bool,
    /// How long the codes count
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=EXPIRES_MAX_MIN))]
    expires: u64,
    /// Do not ask if each guest's certificate is one of these
    #[arg(long, value_name = "FINGERPRINT", value_parser = Fingerprint::checked_spelling)]
    yes_if: Vec<String>,
}

/// Holds a round.
///
/// # Errors
/// As [`host`]'s.
pub async fn run(options: Options) -> Outcome<()> {
    let Own { workspace: folder, party } = options.own;
    let draft = Draft::read(&folder)?.ok_or_else(|| {
        Failure::usage(format!("{} has no {FEDERATION_FILE}", folder.display()))
            .with_remedy(format!("begin one: senate init --as {party} --address HOST:PORT"))
    })?;
    let member = draft.member(&party)?;
    let identity = Identity::read(&identity_path(&folder, &party)?)?;
    if member.fingerprint != identity.fingerprint().to_string() {
        return Err(Failure::usage(format!("{FEDERATION_FILE} pins another identity for {party}"))
            .with_remedy("write it again: senate init --as PARTY --address HOST:PORT"));
    }
    let newcomers = if options.members { 0 } else { usize::try_from(options.guests).unwrap_or(1) };
    if newcomers == 0 && draft.members()?.len() < 2 {
        return Err(Failure::usage("the federation has no other member yet"));
    }
    let fingerprint = identity.fingerprint();
    eprintln!("this party's certificate is {fingerprint} ({})", fingerprint.words());
    let lasts = Duration::from_secs(60 * options.expires);
    let yes_if = options.yes_if;
    let round = Host { folder, identity, member, draft, newcomers, lasts, yes_if };
    host(round, |member, code| match member {
        Some(member) => {
            eprintln!("{member} runs: senate join CODE");
            say!("{member} {}", code.reveal());
        }
        None => {
            eprintln!("the new party runs: senate join --workspace DIR --as NAME CODE");
            say!("{}", code.reveal());
        }
    })
    .await
}
