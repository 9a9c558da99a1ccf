//! The sections of a federation file that are about how queries run: availability, consistency,
//! targets.

use super::{CatalogError, Party, parse::invalid};
use crate::targets::{Availability, Minimise, Targets};
use senate_circuit::{PartyId, TreeDepth};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AvailabilityEntry {
    deadline_s: Option<u64>,
    retry_s: Option<u64>,
}

/// What every query has whatever the file says: naming anything else is refused.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyEntry {
    snapshot: Option<String>,
    invariants: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetsEntry {
    minimise: Option<String>,
    #[serde(default)]
    egress_per_gb: BTreeMap<String, toml::Value>,
    batch_memory_mb: Option<usize>,
    softspoken_k: Option<usize>,
}

/// What the leaky triples of a batch may be allowed at each party.
const BATCH_MEMORY_MB: RangeInclusive<usize> = 128..=65_536;
/// Most that a GB may cost.
const PRICE_MAX: f64 = 1e6;

impl AvailabilityEntry {
    pub(super) fn checked(self) -> Result<Availability, CatalogError> {
        let otherwise = Availability::default();
        let deadline_s = self.deadline_s.unwrap_or(otherwise.deadline_s);
        let retry_s = self.retry_s.unwrap_or(otherwise.retry_s);
        let (longest, most) = (Availability::DEADLINE_S_MAX, Availability::RETRY_S_MAX);
        if !(1..=longest).contains(&deadline_s) {
            return Err(invalid("availability, deadline_s", &format!("is not in 1..{longest}")));
        }
        if retry_s > most {
            return Err(invalid("availability, retry_s", &format!("is more than {most}")));
        }
        Ok(Availability { deadline_s, retry_s })
    }
}

impl ConsistencyEntry {
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        let only = |key: &str, found: &Option<String>, legal: &str| match found {
            Some(found) if found != legal => {
                let problem = format!("{found:?} is not supported; it is {legal:?}");
                Err(invalid(&format!("consistency, {key}"), &problem))
            }
            _ => Ok(()),
        };
        only("snapshot", &self.snapshot, "table")?;
        only("invariants", &self.invariants, "before release")
    }
}

impl TargetsEntry {
    pub(super) fn checked(self, parties: &[Party]) -> Result<Targets, CatalogError> {
        let minimise = self.minimise.as_deref().unwrap_or(Minimise::Time.name());
        let minimise = Minimise::named(minimise).ok_or_else(|| {
            let problem = format!("{minimise:?} is none of time, bytes, money");
            invalid("targets, minimise", &problem)
        })?;
        let mut egress = BTreeMap::new();
        for (name, value) in self.egress_per_gb {
            let place = format!("targets, egress_per_gb, {name}");
            let party = parties.iter().position(|party| party.name == name);
            let party = party.and_then(PartyId::new).ok_or_else(|| invalid(&place, "no party"))?;
            egress.insert(party, millionths(&place, &value)?);
        }
        if minimise == Minimise::Money && egress.values().all(|price| *price == 0) {
            let problem = "money is to be small, but nothing has a price: name egress_per_gb";
            return Err(invalid("targets, minimise", problem));
        }
        let megabytes = self.batch_memory_mb.unwrap_or(Targets::default().batch_bytes >> 20);
        if !BATCH_MEMORY_MB.contains(&megabytes) {
            let (least, most) = (BATCH_MEMORY_MB.start(), BATCH_MEMORY_MB.end());
            let problem = format!("is not in {least}..{most}");
            return Err(invalid("targets, batch_memory_mb", &problem));
        }
        let tree_depth = match self.softspoken_k {
            Some(k) => TreeDepth::ALL.into_iter().find(|depth| depth.bits() == k),
            None => Some(TreeDepth::default()),
        };
        let tree_depth =
            tree_depth.ok_or_else(|| invalid("targets, softspoken_k", "is none of 2, 4 and 8"))?;
        Ok(Targets { minimise, egress, batch_bytes: megabytes << 20, tree_depth })
    }
}

/// A price as an integer, so that every party computes with the same.
fn millionths(place: &str, value: &toml::Value) -> Result<u64, CatalogError> {
    let price = match value {
        toml::Value::Integer(price) => *price as f64,
        toml::Value::Float(price) => *price,
        _ => return Err(invalid(place, "is no number")),
    };
    if !(0.0..=PRICE_MAX).contains(&price) {
        return Err(invalid(place, &format!("{price} is not in 0..{PRICE_MAX}")));
    }
    Ok((price * 1e6).round() as u64)
}
