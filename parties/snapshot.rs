//! The links and machines that a query is placed by, as its asking party tells all participants.
//!
//! Participants take it as it is, within its bounds: it is public, part of the agreed digest and
//! shown by `explain`, and it decides who works how much, never who learns what.

use crate::config::Workspace;
use crate::failure::{Failure, Outcome};
use senate_planner::cost::{Link, LinkSnapshot, SPEED};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest one-way delay, about half a minute.
const LATENCY_US_MAX: u32 = 1 << 25;
/// Speeds that are told apart, in percent.
const SPEEDS: [u32; 5] = [25, 50, 100, 200, 400];

/// What was measured, rounded so that two measurements agree. What it leaves out is as on one
/// machine.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Links, each direction on its own.
    pub links: Vec<LinkEntry>,
    /// Machines.
    pub speeds: Vec<SpeedEntry>,
}

/// One direction of a link.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// One-way delay, a power of two.
    pub latency_us: u32,
    /// Throughput, a power of two.
    pub mbit_per_s: u32,
}

/// A party's machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedEntry {
    /// The party.
    pub party: String,
    /// Speed against the machine that predictions are calibrated on: 25, 50, 100, 200 or 400.
    pub percent: u32,
}

/// The nearest speed that is told apart.
pub(crate) fn quantised_speed(percent: f64) -> u32 {
    let apart = |speed: &&u32| (f64::from(**speed).log2() - percent.max(1.0).log2()).abs();
    let nearest = SPEEDS.iter().min_by(|a, b| apart(a).total_cmp(&apart(b)));
    nearest.copied().unwrap_or(SPEED)
}

impl Snapshot {
    /// As the planner takes it.
    ///
    /// # Errors
    /// Usage for unknown parties, repetitions, and figures that are not rounded or out of bounds.
    pub fn checked(&self, workspace: &Workspace) -> Outcome<LinkSnapshot> {
        let wrong = |what: &str| Failure::usage(format!("the query's snapshot of links: {what}"));
        let (mut links, mut speeds) = (BTreeMap::new(), BTreeMap::new());
        for entry in &self.links {
            let pair = (workspace.party(&entry.from)?, workspace.party(&entry.to)?);
            let LinkEntry { latency_us, mbit_per_s, .. } = *entry;
            let link = Link { latency_us, mbit_per_s };
            if pair.0 == pair.1 || links.insert(pair, link).is_some() {
                return Err(wrong("a link to oneself, or twice"));
            }
            if link != Link::quantised(latency_us, mbit_per_s) || latency_us > LATENCY_US_MAX {
                return Err(wrong("figures that are no powers of two, or too large"));
            }
        }
        for SpeedEntry { party, percent } in &self.speeds {
            if speeds.insert(workspace.party(party)?, *percent).is_some() {
                return Err(wrong("a machine twice"));
            }
            if !SPEEDS.contains(percent) {
                return Err(wrong("a speed that is not told apart from others"));
            }
        }
        Ok(LinkSnapshot { links, speeds, ..LinkSnapshot::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::Agreement;
    use crate::request::{BackendChoice, Request, Stages};

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let text = "name = \"s\"\n[[party]]\nname = \"a\"\naddress = \"h:1\"\n[[party]]\n\
            name = \"b\"\naddress = \"h:2\"\n[[table]]\nname = \"t\"\ncolumns = [ { name = \"v\", \
            type = \"INT\", min = 0, max = 9 } ]\nheld_by = [ { party = \"a\", capacity = 8 }, \
            { party = \"b\", capacity = 8 } ]\n";
        std::fs::write(folder.path().join("federation.toml"), text).unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        (folder, workspace)
    }

    fn link(from: &str, to: &str, latency_us: u32, mbit_per_s: u32) -> LinkEntry {
        LinkEntry { from: from.to_owned(), to: to.to_owned(), latency_us, mbit_per_s }
    }

    fn speed(party: &str, percent: u32) -> SpeedEntry {
        SpeedEntry { party: party.to_owned(), percent }
    }

    #[test]
    fn participants_take_a_snapshot_only_within_its_bounds() {
        let (_folder, workspace) = workspace();
        let good = Snapshot {
            links: vec![link("a", "b", 1024, 64), link("b", "a", 1, 1)],
            speeds: vec![speed("b", 50)],
        };
        assert_eq!(good.checked(&workspace).unwrap().links.len(), 2);
        for links in [
            vec![link("a", "c", 1024, 64)],
            vec![link("a", "a", 1024, 64)],
            vec![link("a", "b", 1024, 64), link("a", "b", 1024, 64)],
            vec![link("a", "b", 1000, 64)],
            vec![link("a", "b", 1 << 26, 64)],
            vec![link("a", "b", 1024, 0)],
        ] {
            let bad = Snapshot { links, ..Snapshot::default() };
            assert_eq!(bad.checked(&workspace).unwrap_err().cause.exit_code(), 2);
        }
        for speeds in [vec![speed("b", 60)], vec![speed("b", 50), speed("b", 50)]] {
            let bad = Snapshot { speeds, ..Snapshot::default() };
            assert!(bad.checked(&workspace).is_err());
        }
    }

    #[test]
    fn all_parties_plan_the_same_from_one_snapshot_and_not_from_another() {
        let (_folder, workspace) = workspace();
        let digest = |snapshot: Snapshot| {
            let request = Request {
                sql: "SELECT v, COUNT(*) AS n FROM t GROUP BY v".to_owned(),
                asker: "a".to_owned(),
                recipients: vec!["a".to_owned()],
                bounds: Vec::new(),
                stages: Stages::Decomposed,
                backend: BackendChoice::Garbled,
                timeout_s: 60,
                snapshot,
            };
            let told = serde_json::to_string(&request).unwrap();
            let request: Request = serde_json::from_str(&told).unwrap();
            Agreement::reach(&workspace, request).unwrap().plan.digest
        };
        let slow = |to| Snapshot {
            links: vec![link(if to == "a" { "b" } else { "a" }, to, 64, 1)],
            speeds: Vec::new(),
        };
        assert_eq!(digest(slow("a")), digest(slow("a")));
        assert_ne!(digest(slow("a")), digest(slow("b")));
        assert_ne!(digest(slow("a")), digest(Snapshot::default()));
    }

    #[test]
    fn speeds_are_rounded_by_their_ratio() {
        let rounded = [1.0, 30.0, 80.0, 130.0, 150.0, 290.0, 9e9].map(quantised_speed);
        assert_eq!(rounded, [25, 25, 100, 100, 200, 400, 400]);
    }
}
