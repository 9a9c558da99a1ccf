//! `senate join`: answers an invitation.

use crate::cli::Own;
use crate::draft::begin_private;
use crate::failure::Outcome;
use crate::identity::Fingerprint;
use crate::invitation::{Code, Guest, join};
use clap::Args;

/// Arguments of `senate join`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  senate join --workspace study --as hospital_b senate-AQAAA…\n\n\
    Connects to the party that gave out the code, shows three words to compare with those seen \
    there, \
    then the whole federation.toml to sign. Publish tables before, so that they are part of it.\n\
    Scripts: --yes-if FINGERPRINT (of the inviting party, as `senate init` prints it there) \
    asks nothing."
)]
pub struct Options {
    /// The code that `senate invite` printed
    #[arg(value_name = "CODE")]
    code: String,
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// Do not ask if the inviting party's certificate is this one
    #[arg(long, value_name = "FINGERPRINT", value_parser = Fingerprint::checked_spelling)]
    yes_if: Option<String>,
}

/// Joins.
///
/// # Errors
/// As [`join`]'s.
pub async fn run(options: Options) -> Outcome<()> {
    let code = Code::parse(&options.code)?;
    let yes_if = options.yes_if.into_iter().collect();
    let Own { workspace: folder, party } = options.own;
    let guest = Guest { folder, party, yes_if };
    join(&guest, &code).await?;
    begin_private(&guest.folder, &guest.party)
}
