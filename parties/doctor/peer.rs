//! The way to a peer's daemon, step by step.

use super::{REACHED, Report, State, note_failure};
use crate::catalog::CatalogReport;
use crate::config::Workspace;
use crate::daemon::unix_ms;
use crate::failure::{Cause, Outcome};
use crate::identity::Identity;
use crate::messages::{
    Check, Condition, Echo, Hello, PROBE_BYTES, Purpose, VERSION, Version, short,
};
use crate::transport::{Connection, Hop, Reached, Unreached, reach};
use futures_util::future::join_all;
use senate_circuit::PartyId;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a look at one peer may take.
const LOOK_MAX: Duration = Duration::from_secs(45);
/// Echoes of which the fastest counts.
const ECHOES: usize = 5;
/// Clocks further apart than this deserve a word, in ms.
const SKEW_MAX_MS: u64 = 30_000;

/// Looks at a peer's daemons, or at this party's own: a report for each of their addresses. Where one
/// of them can be reached, another that cannot is no more than worth a word.
pub async fn examine(
    workspace: &Workspace,
    identity: &Identity,
    peer: PartyId,
    is_own: bool,
) -> Vec<Report> {
    let name = workspace.federation.party_name(peer);
    let title = if is_own { format!("{name} (this party's daemon)") } else { name };
    let addresses = match workspace.addresses(peer) {
        Ok(addresses) => addresses,
        Err(failure) => {
            let mut report = Report::new(&title);
            note_failure(&mut report, "name", failure);
            return vec![report];
        }
    };
    let is_one = addresses.len() == 1;
    let looks = addresses.iter().map(|address| {
        let title = if is_one { title.clone() } else { format!("{title} at {address}") };
        examine_at(workspace, identity, (peer, address), title)
    });
    let mut reports = join_all(looks).await;
    if reports.iter().any(Report::is_reached) {
        reports.iter_mut().filter(|report| !report.is_reached()).for_each(Report::soften);
    }
    reports
}

/// Looks at one of a peer's daemons.
async fn examine_at(
    workspace: &Workspace,
    identity: &Identity,
    at: (PartyId, &str),
    title: String,
) -> Report {
    let mut report = Report::new(&title);
    let looking = look(workspace, identity, at, &mut report);
    match timeout(LOOK_MAX, looking).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            let remedy = failure.remedy.unwrap_or_else(|| "see the daemon's log there".to_owned());
            report.bad("daemon", State::Failed(failure.cause), failure.message, remedy);
        }
        Err(_) => report.bad(
            "daemon",
            State::Failed(Cause::Lost),
            format!("no answer within {} s", LOOK_MAX.as_secs()),
            "see the load and the log of the daemon there",
        ),
    }
    report
}

async fn look(
    workspace: &Workspace,
    identity: &Identity,
    (peer, address): (PartyId, &str),
    report: &mut Report,
) -> Outcome<()> {
    let pinned = workspace.fingerprint(peer)?;
    let name = workspace.federation.party_name(peer);
    let Reached { addresses, connection } = reach(identity, address, pinned).await?;
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let mut connection = match connection {
        Ok(connection) => {
            report.good("name", listed.join(", "));
            report.good("port", format!("{address} is open"));
            report.good(REACHED, format!("{pinned}"));
            connection
        }
        Err(broken) => {
            if broken.hop != Hop::Name {
                report.good("name", listed.join(", "));
            }
            unreached(report, &broken, address, &name);
            return Ok(());
        }
    };
    let federation = workspace.federation.digest;
    let hello = Hello { version: VERSION.to_owned(), federation, purpose: Purpose::Probe };
    let greeted = async {
        connection.send(&hello).await?;
        let asked = Instant::now();
        let condition: Condition = connection.receive().await?;
        Ok((condition, asked.elapsed()))
    };
    let greeted: Outcome<(Condition, Duration)> = greeted.await;
    let Ok((condition, waited)) = greeted else {
        report.bad(
            "admission",
            State::Failed(Cause::Refused),
            "the daemon ends the connection without a word",
            "its federation.toml pins another certificate for this party, or it runs a version of \
             senate without doctor: compare both",
        );
        return Ok(());
    };
    compare(report, &condition, waited, &federation, &name);
    if condition.version == Version::own() && condition.federation == federation {
        catalog(report, &mut connection).await?;
    }
    measure(report, &mut connection).await
}

/// Which hop fails, and what to do there.
fn unreached(report: &mut Report, broken: &Unreached, address: &str, name: &str) {
    let lost = State::Failed(Cause::Lost);
    let why = &broken.why;
    match (broken.hop, broken.met) {
        (Hop::Name, _) => report.bad(
            "name",
            lost,
            format!("{address}: {why}"),
            "correct the address in federation.toml, or the name service",
        ),
        (Hop::Port, _) => report.bad(
            "port",
            lost,
            format!("{address}: {why}"),
            format!(
                "start the daemon there (senate serve --as {name}), and see that no firewall is \
                 between"
            ),
        ),
        (Hop::Tls, Some(met)) => report.bad(
            REACHED,
            State::Failed(Cause::Refused),
            format!("{address} is held by another certificate, {met}"),
            "if the party has a new identity, have it signed by all: senate invite",
        ),
        (Hop::Tls, None) => report.bad(
            REACHED,
            lost,
            why,
            "see that a daemon of senate, and no proxy, answers at this address",
        ),
    }
}

fn compare(
    report: &mut Report,
    condition: &Condition,
    waited: Duration,
    federation: &[u8; 32],
    name: &str,
) {
    let half = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) / 2;
    let apart = unix_ms().abs_diff(condition.unix_ms.saturating_add(half));
    let detail = format!("{:.1} s apart", Duration::from_millis(apart).as_secs_f64());
    if apart > SKEW_MAX_MS {
        report.bad(
            "clock",
            State::Warning,
            detail,
            "set both clocks by NTP: approvals and codes expire",
        );
    } else {
        report.good("clock", detail);
    }
    if condition.version == Version::own() {
        report.good("version", VERSION);
    } else {
        report.bad(
            "version",
            State::Failed(Cause::Refused),
            format!("{} there, {VERSION} here", condition.version),
            "install one version at all parties",
        );
    }
    if condition.federation == *federation {
        report.good("federation", format!("digest {}", short(federation)));
    } else {
        report.bad(
            "federation",
            State::Failed(Cause::Refused),
            format!("digest {} there, {} here", short(&condition.federation), short(federation)),
            format!(
                "have one file signed by all (senate invite --members), then restart the daemon of \
                 {name}"
            ),
        );
    }
    if condition.is_draining {
        report.bad(
            "daemon",
            State::Warning,
            "is shutting down",
            "start it again when it has ended",
        );
    }
}

/// What the daemon knows of everybody.
async fn catalog(report: &mut Report, connection: &mut Connection) -> Outcome<()> {
    connection.send(&Check::Catalog).await?;
    let known: CatalogReport = connection.receive().await?;
    let silent = known.silent();
    if silent.is_empty() {
        report.good("catalog", known.summary());
    } else {
        let detail = format!("{}; nothing heard of {}", known.summary(), silent.join(", "));
        let remedy = "start the daemons there; parties that serve meet every half minute";
        report.bad("catalog", State::Warning, detail, remedy);
    }
    for fault in &known.faults {
        let remedy = "ask its operator; then have an epoch with a higher number signed by all";
        report.bad("catalog", State::Failed(Cause::Aborted), fault, remedy);
    }
    for note in &known.notes {
        report.bad("catalog", State::Warning, note, "have one file and one version everywhere");
    }
    Ok(())
}

async fn measure(report: &mut Report, connection: &mut Connection) -> Outcome<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..ECHOES {
        let start = Instant::now();
        connection.send(&Check::Echo).await?;
        let Echo = connection.receive().await?;
        fastest = fastest.min(start.elapsed());
    }
    report.good("round trip", format!("{:.2} ms", fastest.as_secs_f64() * 1e3));
    let bytes = vec![0; PROBE_BYTES];
    let start = Instant::now();
    connection.send(&Check::Upload).await?;
    connection.send_bytes(&bytes).await?;
    let Echo = connection.receive().await?;
    let up = megabits(start.elapsed().saturating_sub(fastest));
    let start = Instant::now();
    connection.send(&Check::Download).await?;
    connection.receive_bytes(PROBE_BYTES).await?;
    let down = megabits(start.elapsed().saturating_sub(fastest));
    report.good("bandwidth", format!("{up:.0} Mbit/s there, {down:.0} Mbit/s back"));
    Ok(())
}

/// Of the probe's bytes within this time.
fn megabits(elapsed: Duration) -> f64 {
    let megabits = 8.0 * PROBE_BYTES as f64 / 1e6;
    megabits / elapsed.as_secs_f64().max(1e-6)
}
