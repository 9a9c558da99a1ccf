//! What this daemon has measured of its links and machine, and what others tell of theirs: the
//! snapshot that its queries are placed by.

use super::Daemon;
use crate::failure::Outcome;
use crate::messages::{Check, Condition, Echo, LinkTold, Links, PROBE_BYTES, Purpose, Taken};
use crate::snapshot::{LinkEntry, Snapshot, SpeedEntry, quantised_speed};
use crate::speed::mixed_blocks_per_second;
use senate_circuit::{PartyId, PartySet};
use senate_planner::catalog::Federation;
use senate_planner::cost::{Link, SPEED, SPEED_BLOCKS};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// After this time a link is measured again.
const FRESH: Duration = Duration::from_secs(300);
/// What is older than this is not used.
const AGE_MAX: Duration = Duration::from_secs(900);
/// Echoes of which the fastest counts.
const ECHOES: usize = 3;
/// How long is measured.
const WINDOW: Duration = Duration::from_millis(20);

/// Measured and told figures.
#[derive(Default)]
pub(super) struct Measured {
    /// From this party to others.
    own: Mutex<BTreeMap<PartyId, (Link, Instant)>>,
    /// From others.
    told: Mutex<BTreeMap<PartyId, (Links, Instant)>>,
    speed: OnceLock<u32>,
}

impl Measured {
    /// What this party tells others.
    pub(super) fn own(&self) -> Links {
        let own = lock(&self.own);
        let fresh = own.iter().filter(|(_, (_, at))| at.elapsed() < AGE_MAX);
        let link = |(to, (link, _)): (&PartyId, &(Link, Instant))| LinkTold {
            to: u8::try_from(to.index()).unwrap_or(u8::MAX),
            latency_us: link.latency_us,
            mbit_per_s: link.mbit_per_s,
        };
        Links { links: fresh.map(link).collect(), percent: self.speed() }
    }

    /// What another party tells.
    pub(super) fn told(&self, by: PartyId, mut links: Links) {
        links.links.truncate(PartySet::MAX);
        lock(&self.told).insert(by, (links, Instant::now()));
    }

    fn is_due(&self, to: PartyId) -> bool {
        lock(&self.own).get(&to).is_none_or(|(_, at)| at.elapsed() >= FRESH)
    }

    fn put(&self, to: PartyId, link: Link) {
        lock(&self.own).insert(to, (link, Instant::now()));
    }

    /// Everything that is known, as one snapshot. Parties that are on one machine with all others
    /// do not appear.
    pub(super) fn snapshot(&self, me: PartyId, federation: &Federation) -> Snapshot {
        let mut told = lock(&self.told).clone();
        told.retain(|_, (_, at)| at.elapsed() < AGE_MAX);
        told.insert(me, (self.own(), Instant::now()));
        let mut snapshot = Snapshot::default();
        for (from, (Links { links, percent }, _)) in told {
            let party = federation.party_name(from);
            let mut to_all: BTreeMap<PartyId, Link> = BTreeMap::new();
            for LinkTold { to, latency_us, mbit_per_s } in links {
                let to = PartyId::new(to.into())
                    .filter(|to| *to != from && to.index() < federation.parties.len());
                if let Some(to) = to {
                    to_all.insert(to, Link::quantised(latency_us.min(1 << 25), mbit_per_s));
                }
            }
            to_all.retain(|_, link| *link != Link::LOOPBACK);
            if !to_all.is_empty() && quantised_speed(percent.into()) != SPEED {
                let percent = quantised_speed(percent.into());
                snapshot.speeds.push(SpeedEntry { party: party.clone(), percent });
            }
            let entry = |(to, link): (PartyId, Link)| LinkEntry {
                from: party.clone(),
                to: federation.party_name(to),
                latency_us: link.latency_us,
                mbit_per_s: link.mbit_per_s,
            };
            snapshot.links.extend(to_all.into_iter().map(entry));
        }
        snapshot
    }

    /// Against the machine that predictions are calibrated on, in percent. Measured once.
    fn speed(&self) -> u32 {
        *self.speed.get_or_init(|| {
            quantised_speed(100.0 * mixed_blocks_per_second(WINDOW) / SPEED_BLOCKS as f64)
        })
    }
}

impl Daemon {
    /// Measures the link to a peer; tells whether that was due. Peers on this machine are not
    /// measured.
    pub(super) async fn measure(&self, to: PartyId, is_here: bool) -> Outcome<Taken> {
        if !self.measured.is_due(to) {
            return Ok(Taken::No);
        }
        if is_here {
            self.measured.put(to, Link::LOOPBACK);
            return Ok(Taken::Yes);
        }
        let mut connection = self.member.dial(to, Purpose::Probe).await?;
        let _: Condition = connection.receive().await?;
        let mut fastest = Duration::MAX;
        for _ in 0..ECHOES {
            let start = Instant::now();
            connection.send(&Check::Echo).await?;
            let Echo = connection.receive().await?;
            fastest = fastest.min(start.elapsed());
        }
        let start = Instant::now();
        connection.send(&Check::Upload).await?;
        connection.send_bytes(&vec![0; PROBE_BYTES]).await?;
        let Echo = connection.receive().await?;
        let uploading = start.elapsed().saturating_sub(fastest).max(Duration::from_micros(1));
        self.measured.put(to, link(fastest, uploading));
        Ok(Taken::Yes)
    }
}

/// The link with this round trip, on which the probe's bytes took so long.
fn link(round_trip: Duration, uploading: Duration) -> Link {
    let latency_us = u32::try_from(round_trip.as_micros() / 2).unwrap_or(u32::MAX).min(1 << 25);
    // Bits per microsecond.
    let megabits = 8 * PROBE_BYTES as u128 / uploading.as_micros().max(1);
    Link::quantised(latency_us, u32::try_from(megabits).unwrap_or(u32::MAX).min(1 << 20))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(index: usize) -> PartyId {
        PartyId::new(index).unwrap()
    }

    fn federation() -> Federation {
        let party = |name| format!("[[party]]\nname = \"{name}\"\naddress = \"{name}:1\"\n");
        let text = format!("name = \"s\"\n{}{}{}", party("a"), party("b"), party("c"));
        Federation::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn measurements_are_rounded_to_powers_of_two() {
        let measured = link(Duration::from_millis(30), Duration::from_millis(350));
        assert_eq!(measured, Link { latency_us: 1 << 14, mbit_per_s: 128 });
        let instant = link(Duration::ZERO, Duration::ZERO);
        assert_eq!(instant, Link { latency_us: 1, mbit_per_s: 1 << 20 });
    }

    #[test]
    fn the_snapshot_joins_what_was_measured_and_told() {
        let measured = Measured::default();
        let slow = Link { latency_us: 1024, mbit_per_s: 16 };
        measured.put(party(1), slow);
        measured.put(party(2), Link::LOOPBACK);
        let told = |to, latency_us| LinkTold { to, latency_us, mbit_per_s: 60 };
        let links = vec![told(0, 1000), told(2, u32::MAX), told(1, 5), told(9, 5)];
        measured.told(party(1), Links { links, percent: 190 });
        let snapshot = measured.snapshot(party(0), &federation());
        let links: Vec<_> = snapshot
            .links
            .iter()
            .map(|link| (link.from.as_str(), link.to.as_str(), link.latency_us, link.mbit_per_s))
            .collect();
        let expected = [("a", "b", 1024, 16), ("b", "a", 1024, 64), ("b", "c", 1 << 25, 64)];
        assert_eq!(links, expected);
        assert!(snapshot.speeds.iter().any(|speed| speed.party == "b" && speed.percent == 200));
    }

    #[test]
    fn parties_of_one_machine_leave_the_snapshot_empty() {
        let measured = Measured::default();
        measured.put(party(1), Link::LOOPBACK);
        assert_eq!(measured.snapshot(party(0), &federation()), Snapshot::default());
    }
}
