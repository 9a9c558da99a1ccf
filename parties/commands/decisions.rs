//! `senate inbox`, `approve` and `deny`: what this party's operator lets other parties ask.

use crate::approvals::{Approvals, Decision, Matter, Ruling, Scope, Waiting, now, until};
use crate::audit;
use crate::cli::Own;
use crate::config::{PartyConfig, Workspace};
use crate::failure::{Failure, Outcome};
use crate::identity::Identity;
use crate::say::printable;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Arguments of `senate inbox`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  senate inbox --workspace study --as hospital_a")]
pub struct InboxOptions {
    /// Whose.
    #[command(flatten)]
    own: Own,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: InboxFormat,
}

/// How the inbox is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum InboxFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Which query a decision is about, and how long it counts.
#[derive(Args, Debug)]
pub struct Choice {
    /// Identifier in the inbox, or its beginning; that of a decision, to decide otherwise
    #[arg(value_name = "ID")]
    id: String,
    /// Decide on all queries that differ from it in constants only
    #[arg(long)]
    template: bool,
    /// Until when: 12h, 7d, 2w, 2027-01-31, or a time; by default for good
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Whose.
    #[command(flatten)]
    own: Own,
}

/// Arguments of `senate approve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    senate approve 3f2a90c417d86b5e --workspace study --as hospital_a\n  \
    senate approve 3f2a --template --until 30d --times 100 --workspace study --as hospital_a")]
pub struct ApproveOptions {
    /// What.
    #[command(flatten)]
    choice: Choice,
    /// How often; by default once, with --template as often as asked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    times: Option<u32>,
}

/// Arguments of `senate deny`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    senate deny 3f2a90c417d86b5e --workspace study --as hospital_a")]
pub struct DenyOptions {
    /// What.
    #[command(flatten)]
    choice: Choice,
}

/// The operator at work.
struct Desk {
    workspace: Workspace,
    folder: PathBuf,
    identity: Identity,
    approvals: Approvals,
}

impl Desk {
    fn of(own: &Own) -> Outcome<Self> {
        let (workspace, party) = own.open()?;
        let config = PartyConfig::read(&workspace, party)?;
        let identity = config.identity(&workspace, party)?;
        let approvals = Approvals::of(&config.folder);
        Ok(Self { workspace, folder: config.folder, identity, approvals })
    }
}

/// Lists what waits and what has been decided.
///
/// # Errors
/// Usage when files cannot be read; aborted when a decision is not this party's.
pub fn inbox(options: &InboxOptions) -> Outcome<()> {
    let desk = Desk::of(&options.own)?;
    let waiting = desk.approvals.waiting()?;
    let decided = desk.approvals.all(desk.identity.fingerprint())?;
    let uses = audit::uses(&desk.folder)?;
    let used = |id: &str, decision: &Decision| uses.get(&decision.use_of(id)).copied().unwrap_or(0);
    if options.format == InboxFormat::Json {
        let waiting = waiting.iter().map(|(id, waiting)| {
            json!({
                "id": id, "asker": waiting.request.asker, "recipients": waiting.request.recipients,
                "sql": waiting.request.sql, "bounds": waiting.request.bounds,
                "asked": moment(waiting.asked),
            })
        });
        let decided = decided.iter().map(|(id, decision)| {
            json!({
                "id": id, "ruling": decision.ruling, "scope": decision.matter.scope,
                "asker": decision.matter.asker, "recipients": decision.matter.recipients,
                "sql": decision.matter.sql, "until": decision.until.map(moment),
                "times": decision.times, "used": used(id, decision), "made": moment(decision.made),
            })
        });
        let (waiting, decided): (Vec<_>, Vec<_>) = (waiting.collect(), decided.collect());
        say!("{:#}", json!({ "waiting": waiting, "decided": decided }));
        return Ok(());
    }
    say!("waiting: {}", waiting.len());
    waiting.iter().for_each(|(id, waiting)| show_waiting(id, waiting));
    say!("decided: {}", decided.len());
    decided.iter().for_each(|(id, decision)| show_decision(id, decision, used(id, decision)));
    Ok(())
}

fn show_waiting(id: &str, waiting: &Waiting) {
    let request = &waiting.request;
    say!("  {id}  asked by {} at {}", request.asker, moment(waiting.asked));
    say!("    answer to {}", printable(&request.recipients.join(", ")));
    if !request.bounds.is_empty() {
        say!("    bounds {}", printable(&request.bounds.join(", ")));
    }
    request.sql.trim().lines().for_each(|line| say!("    {}", printable(line)));
}

fn show_decision(id: &str, decision: &Decision, used: usize) {
    let Decision { matter, ruling, until, times, made } = decision;
    let ruling = match ruling {
        Ruling::Approved => "approved",
        Ruling::Denied => "denied",
    };
    let scope = match matter.scope {
        Scope::Query => "query",
        Scope::Template => "template",
    };
    let until = until.map_or_else(String::new, |until| format!(", until {}", moment(until)));
    let times = match (times, used) {
        (Some(1), 0) => ", once".to_owned(),
        (Some(1), _) => ", once, and used up".to_owned(),
        (Some(times), _) if used >= *times as usize => format!(", {times} times, and used up"),
        (Some(times), _) => format!(", {times} times, used {used}"),
        (None, 0) => String::new(),
        (None, _) => format!(", used {used}"),
    };
    say!("  {id}  {scope} {ruling} at {}{until}{times}", moment(*made));
    say!("    asked by {}, answer to {}", matter.asker, matter.recipients.join(", "));
    say!("    {}", printable(&matter.sql));
}

fn moment(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

/// Lets a query run.
///
/// # Errors
/// Usage for an unknown identifier or a wrong time.
pub fn approve(options: &ApproveOptions) -> Outcome<()> {
    let ApproveOptions { choice, times } = options;
    let once = if choice.template { None } else { Some(1) };
    decide(choice, Ruling::Approved, times.or(once))
}

/// Forbids a query, or withdraws its approval.
///
/// # Errors
/// As [`approve`].
pub fn deny(options: &DenyOptions) -> Outcome<()> {
    decide(&options.choice, Ruling::Denied, None)
}

fn decide(choice: &Choice, ruling: Ruling, times: Option<u32>) -> Outcome<()> {
    let Choice { id, template, until: when, own } = choice;
    let scope = if *template { Scope::Template } else { Scope::Query };
    let until = when.as_deref().map(until).transpose()?;
    let desk = Desk::of(own)?;
    let waiting = desk.approvals.waiting()?;
    let decided = desk.approvals.all(desk.identity.fingerprint())?;
    let named = |known: &str| !id.is_empty() && known.starts_with(id.as_str());
    let waits: Vec<_> = waiting.into_iter().filter(|(known, _)| named(known)).collect();
    let was: Vec<_> = decided.into_iter().filter(|(known, _)| named(known)).collect();
    let (matter, settled) = match (waits.as_slice(), was.as_slice()) {
        ([(known, waiting)], []) => {
            (Matter::of(&waiting.request, scope, &desk.workspace)?, Some(known.clone()))
        }
        ([], [(_, Decision { matter, .. })]) if *template && matter.scope == Scope::Query => {
            (matter.generalised()?, None)
        }
        ([], [(_, decision)]) => (decision.matter.clone(), None),
        ([(known, waiting)], [(other, _)]) if known == other => {
            (Matter::of(&waiting.request, scope, &desk.workspace)?, Some(known.clone()))
        }
        ([], []) => {
            return Err(Failure::usage(format!("no query {id} in the inbox"))
                .with_remedy("`senate inbox` lists those that wait"));
        }
        _ => {
            return Err(Failure::usage(format!("several queries begin with {id}"))
                .with_remedy("write more of the identifier"));
        }
    };
    let decision = Decision { matter, ruling, until, times, made: now() };
    let id = desk.approvals.decide(&desk.identity, decision.clone())?;
    if let Some(settled) = settled {
        desk.approvals.settle(&settled);
    }
    show_decision(&id, &decision, 0);
    Ok(())
}
