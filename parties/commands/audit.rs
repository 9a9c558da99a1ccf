//! `senate audit`: this party's log, checked, exported, or compared with what a peer shows.

use crate::audit::{ExportFormat, HEAD_FILE, Head, LOG_FILE, export, follows, read};
use crate::chunks;
use crate::cli::Own;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use crate::messages::{Answer, Chain, Hello, Purpose, VERSION};
use crate::private;
use crate::tls;
use crate::transport::Connection;
use clap::{Args, Subcommand};
use senate_circuit::PartyId;
use std::path::{Path, PathBuf};

/// Longest list of hashes that is taken from a peer, in bytes.
const HASHES_BYTES_MAX: usize = 1 << 30;

/// Arguments of `senate audit`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate audit verify --workspace study --as hospital_a\n  \
    senate audit verify --peer hospital_b --workspace study --as hospital_a\n  \
    senate audit export --format csv -o log.csv --workspace study --as hospital_a")]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Check every link and signature of the log
    Verify(VerifyOptions),
    /// Write the log, checked, for other programs
    Export(ExportOptions),
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate audit verify --workspace study --as hospital_a")]
struct VerifyOptions {
    /// Also compare what PARTY showed of its log in each query with the log that it has now
    #[arg(long, value_name = "PARTY")]
    peer: Option<String>,
    #[command(flatten)]
    own: Own,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate audit export --workspace study --as hospital_a")]
struct ExportOptions {
    /// How to write the log
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
    /// Write to FILE
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    own: Own,
}

/// Verifies or exports.
///
/// # Errors
/// Aborted for a log that is not what was written; usage when it cannot be read.
pub async fn run(options: Options) -> Outcome<()> {
    match options.action {
        Action::Verify(options) => verify(&options).await,
        Action::Export(options) => {
            let (workspace, me, config) = opened(&options.own)?;
            let pinned = workspace.fingerprint(me)?;
            let history = read(&config.folder, &options.own.party, pinned)?;
            match &options.output {
                Some(path) if is_part_of_log(path, &config.folder) => {
                    Err(Failure::usage(format!("{} is the log itself", path.display()))
                        .with_remedy("export it to another file"))
                }
                // Questions are in it: as private as the log.
                Some(path) => private::replace(path, private::MODE, |file| {
                    export(&history.entries, options.format, file)
                }),
                None => export(&history.entries, options.format, &mut std::io::stdout()),
            }
        }
    }
}

/// Whether `path` leads to the log or to its head in a party's `folder`.
fn is_part_of_log(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let named = real(path);
    let is = |file| named.is_some() && named == real(&folder.join(file));
    is(LOG_FILE) || is(HEAD_FILE)
}

fn opened(own: &Own) -> Outcome<(Workspace, PartyId, PartyConfig)> {
    let (workspace, me) = own.open()?;
    let config = PartyConfig::read(&workspace, me)?;
    Ok((workspace, me, config))
}

async fn verify(options: &VerifyOptions) -> Outcome<()> {
    let (workspace, me, config) = opened(&options.own)?;
    let party = &options.own.party;
    let history = read(&config.folder, party, workspace.fingerprint(me)?)?;
    let own = format!("{party}: {} entries, ends in {}", history.head.seq, history.head.link);
    let Some(peer) = &options.peer else {
        say!("{own}");
        return Ok(());
    };
    let shown: Vec<(u64, Head)> = history
        .entries
        .iter()
        .filter_map(|entry| Some((entry.seq, *entry.subject.heads.get(peer)?)))
        .collect();
    let other = workspace.party(peer)?;
    let other_has_replicas = workspace
        .federation
        .parties
        .get(other.index())
        .is_some_and(|party| !party.replicas.is_empty());
    let hashes = ask(&workspace, &config.identity(&workspace, me)?, other).await?;
    let heads: Vec<Head> = shown.iter().map(|(_, head)| *head).collect();
    follows(peer, &hashes, &heads).map_err(|head| {
        let at = shown.iter().find(|(_, other)| *other == head).map_or(0, |(seq, _)| *seq);
        Failure::aborted(format!(
            "the audit log of party {peer} has changed its past: what it showed as the end of its \
             log at this party's entry {at} (its entry {}) is not in the log it has now, of {} \
             entries",
            head.seq,
            hashes.len()
        ))
        .with_remedy(match other_has_replicas {
            false => format!("ask the operator of {peer} for the log's copies"),
            true => format!(
                "{peer} has replicas, each with a log of its own, and one of them has answered: ask \
                 its operator for all of them"
            ),
        })
    })?;
    say!("{own}");
    say!("{peer}: {} entries, which hold all {} ends it has shown", hashes.len(), heads.len());
    Ok(())
}

/// Hashes of the entries of a peer's log.
async fn ask(workspace: &Workspace, identity: &Identity, peer: PartyId) -> Outcome<Vec<[u8; 32]>> {
    let name = workspace.federation.party_name(peer);
    let at = |failure: Failure| failure.at(format!("party {name}"));
    let (addresses, pinned) = (workspace.addresses(peer)?, workspace.fingerprint(peer)?);
    let mut connection =
        Connection::dial_any(identity, addresses, pinned, &tls::no_name()).await.map_err(at)?;
    let (federation, purpose) = (workspace.federation.digest, Purpose::History);
    let hello = Hello { version: VERSION.to_owned(), federation, purpose };
    connection.send(&hello).await.map_err(at)?;
    let entries = match connection.receive::<Answer<Chain>>().await.map_err(at)? {
        Answer::Given(Chain { entries }) => entries,
        Answer::Refused(reason) => return Err(reason.failure(&name)),
    };
    let bytes = chunks::receive(&mut connection, HASHES_BYTES_MAX).await.map_err(at)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() as u64 != entries {
        return Err(Failure::aborted(format!("party {name}: a malformed history")));
    }
    Ok(hashes.to_vec())
}
