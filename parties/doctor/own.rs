//! This party's own side: identity, signatures, sources.

use super::{Report, State, note_failure};
use crate::config::{Otherwise, PartyConfig, Workspace};
use crate::failure::Cause;
use crate::identity::Identity;
use crate::roster::{self, Standing};
use crate::tables;
use senate_circuit::PartyId;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// A certificate that ends earlier than this is worth a word.
const SOON_S: i64 = 30 * 24 * 3600;

/// Checks everything that needs nobody else; gives the identity where there is a good one.
pub async fn examine(workspace: &Workspace, me: PartyId) -> (Report, Option<Identity>) {
    let mut report = Report::new(&workspace.federation.party_name(me));
    let config = match PartyConfig::read(workspace, me) {
        Ok(config) => {
            report.good("party.toml", "readable");
            config
        }
        Err(failure) => {
            note_failure(&mut report, "party.toml", failure);
            return (report, None);
        }
    };
    let identity = match config.identity(workspace, me) {
        Ok(identity) => {
            let path = config.identity.display();
            report.good("identity", format!("{path} is the pinned one"));
            certificate(&mut report, &identity);
            Some(identity)
        }
        Err(failure) => {
            note_failure(&mut report, "identity", failure);
            None
        }
    };
    match roster::check(workspace) {
        Ok(Standing::Signed) => report.good("federation", "signed by every party"),
        Ok(Standing::ByHand) => report.good("federation", "kept by hand, without signatures"),
        Err(failure) => note_failure(&mut report, "federation", failure),
    }
    match &config.policy {
        Some(policy) => {
            let tables: Vec<&str> = policy.tables.keys().map(String::as_str).collect();
            let recipients: Vec<&str> = policy.recipients.iter().map(String::as_str).collect();
            let (tables, recipients) = (tables.join(", "), recipients.join(", "));
            report.good("policy", format!("answers made of {tables} may go to {recipients}"));
        }
        None => report.good(
            "policy",
            "none: nobody else's question can use this party's rows (senate publish --allow)",
        ),
    }
    report.good("accept", accepted(workspace, &config));
    for table in workspace.tables_of(me) {
        let rows = match config.source(&table.name) {
            Ok(source) => tables::load(&table, &source).await.map(|_| source),
            Err(failure) => Err(failure),
        };
        match rows {
            Ok(source) => {
                let detail = format!("{source}: readable, within its declaration");
                report.good(&format!("table {}", table.name), detail);
            }
            Err(failure) => note_failure(&mut report, &format!("table {}", table.name), failure),
        }
    }
    (report, identity)
}

/// Whose questions run without asking, and what becomes of the others'.
fn accepted(workspace: &Workspace, config: &PartyConfig) -> String {
    let names = config.accept.iter().map(|party| workspace.federation.party_name(*party));
    let names: Vec<String> = names.collect();
    let whose = match names.as_slice() {
        [] => "nobody else's questions run without asking".to_owned(),
        names => format!("questions of {} run without asking", names.join(", ")),
    };
    let others = match config.otherwise {
        Otherwise::Refuse => "others are refused until `senate approve`",
        Otherwise::Hold => "others wait for `senate approve`",
    };
    format!("{whose}; {others}")
}

/// Parties go by the pinned fingerprint whatever the date; other clients do not.
fn certificate(report: &mut Report, identity: &Identity) {
    let der = identity.certificate();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return report.bad(
            "certificate",
            State::Failed(Cause::Usage),
            "unreadable",
            "restore the identity file from a backup",
        );
    };
    let (validity, now) = (parsed.validity(), ASN1Time::now());
    let (from, until) = (validity.not_before, validity.not_after);
    let day = |time: ASN1Time| time.to_datetime().date();
    let (first, last) = (day(from), day(until));
    let remedy = "make a new identity and have it pinned at every party: senate invite";
    if now < from || now > until {
        let detail = format!("valid from {first} to {last}, by this machine's clock not now");
        report.bad("certificate", State::Warning, detail, remedy);
    } else if until.timestamp() - now.timestamp() < SOON_S {
        report.bad("certificate", State::Warning, format!("valid until {last}"), remedy);
    } else {
        report.good("certificate", format!("valid until {last}"));
    }
}
