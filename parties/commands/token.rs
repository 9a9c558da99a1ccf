//! `senate token`: who may ask through Flight SQL in a party's name.

use crate::cli::Own;
use crate::config::PartyConfig;
use crate::failure::{Failure, Outcome};
use crate::token::{Token, Tokens};
use clap::{Args, ValueEnum};
use std::time::{Duration, SystemTime};

const DAY_S: u64 = 86_400;

/// Arguments of `senate token`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate token create ann --days 30 --workspace study --as hospital_a\n  \
    senate token list --workspace study --as hospital_a\n  \
    senate token revoke 3f2a9c01b7d4 --workspace study --as hospital_a\n\n\
    A token is printed once, when it is made; hospital_a/tokens.json has only its hash. Clients of \
    Flight SQL send it as a bearer token, or as the password of its user.")]
pub struct Options {
    /// What to do
    #[arg(value_enum)]
    action: TokenAction,
    /// The user (create) or the token's id (revoke)
    #[arg(value_name = "USER|ID")]
    name: Option<String>,
    /// Days for which a new token is good
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=366))]
    days: u64,
    /// Whose.
    #[command(flatten)]
    own: Own,
}

/// What can be done with tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum TokenAction {
    /// Make a token for a user and print it
    Create,
    /// Ids, users and expiry of all tokens
    List,
    /// Take a token back at once
    Revoke,
}

/// Makes, lists or takes back tokens.
///
/// # Errors
/// Usage for a wrong party, name or id, or files that cannot be written.
pub fn run(options: &Options) -> Outcome<()> {
    let (workspace, party) = options.own.open()?;
    let config = PartyConfig::read(&workspace, party)?;
    let tokens = Tokens::of(&config);
    let name = || {
        let name = options.name.as_deref();
        name.ok_or_else(|| Failure::usage("no USER or ID given"))
    };
    match options.action {
        TokenAction::Create => {
            let valid = Duration::from_secs(options.days * DAY_S);
            let (token, text) = tokens.create(name()?, valid)?;
            say!("{text}");
            let (id, user, days) = (token.id, token.user, options.days);
            eprintln!("token {id} of {user}, good for {days} days; it is not shown again");
            if config.ports.flight.is_none() {
                let file = config.folder.join("party.toml");
                eprintln!("no Flight SQL port is open yet: [ports] flight in {}", file.display());
            }
        }
        TokenAction::List => tokens.list()?.iter().for_each(|token| say!("{}", row(token))),
        TokenAction::Revoke => {
            tokens.revoke(name()?)?;
            eprintln!("revoked");
        }
    }
    Ok(())
}

fn row(token: &Token) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = token.expires_unix_s.saturating_sub(now.as_secs());
    let state = match token.has_expired() {
        true => "expired".to_owned(),
        false => format!("{} days left", left.div_ceil(DAY_S)),
    };
    format!("{}  {}  {state}", token.id, token.user)
}
