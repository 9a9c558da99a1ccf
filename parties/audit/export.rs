//! A log for other programs.

use super::entry::Entry;
use crate::failure::{Failure, Outcome};
use clap::ValueEnum;
use std::io::{ErrorKind, Write};

/// How a log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ExportFormat {
    /// An array of objects.
    #[default]
    Json,
    /// One line per entry, RFC 4180.
    Csv,
}

/// Writes the entries.
///
/// # Errors
/// Usage when they cannot be written.
pub fn export(entries: &[Entry], format: ExportFormat, to: &mut impl Write) -> Outcome<()> {
    let written = match format {
        ExportFormat::Json => serde_json::to_writer_pretty(&mut *to, entries)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(to)),
        ExportFormat::Csv => csv(entries, to),
    };
    match written {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::usage(format!("writing the log: {error}"))),
        Ok(()) => Ok(()),
    }
}

const HEADER: &str = "seq,time,event,query,asker,user,recipients,participants,approvals,digest,policies,\
                      template,sizes,outcome,suspicions,sql";

fn csv(entries: &[Entry], to: &mut impl Write) -> std::io::Result<()> {
    writeln!(to, "{HEADER}")?;
    for Entry { seq, time, event, subject } in entries {
        let sizes = subject.sizes.iter().map(|(what, size)| format!("{what}={size}"));
        let fields = [
            seq.to_string(),
            time.clone(),
            event.name().to_owned(),
            subject.query.clone(),
            subject.asker.clone(),
            subject.user.clone(),
            subject.recipients.join(" "),
            subject.participants.join(" "),
            subject.approvals.join(" "),
            subject.digest.clone(),
            subject.policies.clone(),
            subject.template.clone(),
            sizes.collect::<Vec<_>>().join(" "),
            subject.outcome.clone(),
            subject.suspicions.join("; "),
            subject.sql.clone(),
        ];
        let quoted: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        writeln!(to, "{}", quoted.join(","))?;
    }
    Ok(())
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
