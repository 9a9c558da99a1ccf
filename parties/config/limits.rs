//! What a daemon may use, and the ports that it opens beside the federation's.

use crate::failure::{Failure, Outcome};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where the machine's memory cannot be found out.
const MEMORY_UNKNOWN: Bytes = Bytes(4 << 30);

/// What the queries that run at once may use together, and how much is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of the queries that run, as their plans predict it.
    pub memory: Bytes,
    /// AND triples of the queries that run.
    pub triples: u64,
    /// Queries that run.
    pub running: usize,
    /// Queries that wait for room.
    pub queued: usize,
    /// Answers that are kept for whoever asked.
    pub results: Bytes,
    /// Seconds for which an answer is kept.
    pub results_kept_s: u64,
}

impl Default for Limits {
    /// Three quarters of the machine's memory; the other limits are far above what fits there.
    fn default() -> Self {
        Self {
            memory: machine_memory().map_or(MEMORY_UNKNOWN, |bytes| Bytes(bytes / 4 * 3)),
            triples: 4_000_000_000,
            running: 16,
            queued: 64,
            results: Bytes(256 << 20),
            results_kept_s: 3600,
        }
    }
}

impl Limits {
    /// How long an answer is kept.
    pub fn results_kept(&self) -> Duration {
        Duration::from_secs(self.results_kept_s)
    }

    /// Limits under which something can run.
    pub(super) fn checked(self) -> Outcome<Self> {
        if self.memory.0 == 0 || self.triples == 0 || self.running == 0 {
            return Err(Failure::usage("memory, triples and running must not be 0"));
        }
        Ok(self)
    }
}

/// A size in bytes, written as a number or as "512MB", "2GB".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Bytes(pub u64);

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let factor = match unit.trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1 << 10,
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size: bytes, or a text such as \"512MB\"")]
        enum Spelling {
            Number(u64),
            Text(String),
        }
        match Spelling::deserialize(deserializer)? {
            Spelling::Number(bytes) => Ok(Self(bytes)),
            Spelling::Text(text) => Self::parse(&text).ok_or_else(|| {
                D::Error::invalid_value(Unexpected::Str(&text), &"a size such as \"512MB\"")
            }),
        }
    }
}

/// Ports of a daemon beside the one that federation.toml names. Closed unless they are given.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// Where other parties and this party's users are heard, instead of the address in
    /// federation.toml: a further daemon of a party, or one behind another address.
    #[serde(deserialize_with = "port")]
    pub mesh: Option<SocketAddr>,
    /// Arrow Flight SQL.
    #[serde(deserialize_with = "port")]
    pub flight: Option<SocketAddr>,
    /// Health and metrics over HTTP, without any authentication.
    #[serde(deserialize_with = "port")]
    pub console: Option<SocketAddr>,
}

/// A number is a port on the loopback interface; anything else has to be said in full.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a port up to 65535, or an address with one: \"0.0.0.0:7501\"")]
    enum Spelling {
        Number(u16),
        Address(SocketAddr),
    }
    Ok(Some(match Spelling::deserialize(deserializer)? {
        Spelling::Number(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Spelling::Address(address) => address,
    }))
}

/// Bytes of memory that this machine has, where the kernel says so (Linux).
pub(crate) fn machine_memory() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_ports_are_local_unless_they_say_otherwise() {
        let limits: Limits = toml::from_str("memory = \"2GB\"\nresults = 100\n").unwrap();
        assert_eq!((limits.memory, limits.results), (Bytes(2 << 30), Bytes(100)));
        assert_eq!(limits.running, Limits::default().running);
        let ports: Ports = toml::from_str("flight = 7501\nconsole = \"0.0.0.0:9401\"\n").unwrap();
        assert_eq!(ports.flight, Some("127.0.0.1:7501".parse().unwrap()));
        assert_eq!(ports.console, Some("0.0.0.0:9401".parse().unwrap()));
        assert_eq!(toml::from_str::<Ports>("").unwrap(), Ports::default());
    }

    #[test]
    fn limits_that_mean_nothing_are_refused() {
        for text in ["memory = \"2 apples\"", "memory = -1", "seats = 3", "triples = \"9GB\""] {
            assert!(toml::from_str::<Limits>(text).is_err(), "{text}");
        }
        assert!(toml::from_str::<Limits>("running = 0").unwrap().checked().is_err());
        for text in ["flight = \"localhost\"", "flight = 99999"] {
            let error = toml::from_str::<Ports>(text).unwrap_err().to_string();
            assert!(error.contains("a port up to 65535"), "{error}");
        }
        assert!(Limits::default().memory > Bytes(0));
    }
}
