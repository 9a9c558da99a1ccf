//! Session set-up, correlated OTs and triples per second, all checks included.

use super::federation::{Tuning, each, open};
use super::limits::{self, Limits};
use super::usage;
use crate::failure::{Failure, Outcome};
use senate_circuit::{PartySet, Sharing, StageId};
use senate_mpc::ot::{Challenge, Choices, Rows, Taker};
use senate_mpc::pre::distributed::{Need, Supply};
use senate_mpc::{ByParty, Error, Lane};
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// All parties on this machine, links in memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Preprocessing {
    /// n.
    pub parties: usize,
    /// Wall time of opening a session: base OTs, trees, Δ check.
    pub set_up_seconds: f64,
    /// Processor time of it, per ordered pair of parties.
    pub set_up_cpu_seconds_per_ordered_pair: f64,
    /// Triples made.
    pub triples: usize,
    /// Per second of wall time, all cores busy.
    pub triples_per_second: f64,
    /// AES blocks that one core could compute in the wall time of one triple.
    pub aes_blocks_per_triple: f64,
    /// Correlated OTs of extensions between two parties, both directions counted, per second and core.
    pub cots_per_second_and_core: f64,
    /// AES blocks that one core could compute in the time of one correlated OT on one core.
    pub aes_blocks_per_cot: f64,
    /// What one core can do at most, measured in this run.
    pub limits: Limits,
}

/// Sessions opened one after the other.
const SET_UPS: usize = 8;
/// Extensions one after the other, …
const EXTENSIONS: u32 = 24;
/// … of so many rows in each direction, as a batch of triples makes them.
const ROWS: usize = 3 << 15;
/// Tiles of these, as large as leaky AND's.
const TAKERS: usize = 16;

/// Measures `parties` parties that make `triples`.
///
/// # Errors
/// Usage for sizes that make no sense, otherwise what the engine reports.
pub(crate) fn measure(parties: usize, triples: usize, tuning: Tuning) -> Outcome<Preprocessing> {
    if !(2..=PartySet::MAX).contains(&parties) || triples == 0 {
        let usage = "bench preprocessing takes --parties 2..64 and --triples of at least 1";
        return Err(Failure::usage(usage));
    }
    let limits = limits::measure();
    let set = PartySet::first(parties);
    let failed = |error: Error| Failure::unexpected(error.to_string());
    let set_up =
        || each(set, async |mesh| open(&mesh, [1; 32], tuning).await.map(drop)).map_err(failed);
    // Threads and tables come with the first.
    set_up()?;
    let (start, cpu) = (Instant::now(), usage::cpu_seconds());
    (0..SET_UPS).try_for_each(|_| set_up().map(drop))?;
    let per_session = |all: f64| all / SET_UPS as f64;
    let set_up_seconds = per_session(start.elapsed().as_secs_f64());
    let set_up_cpu_seconds = per_session(usage::cpu_seconds() - cpu);
    let seconds = each(set, async |mesh| {
        let session = open(&mesh, [1; 32], tuning).await?;
        let start = Instant::now();
        let need = Need { stage: StageId(0), masks: 0, triples };
        let sharing =
            Sharing::within(session.params().rho_bits(), tuning.leaky_bytes, [(parties, triples)]);
        Supply::new(&session, set, 0, &[need], sharing)?.make_ahead().await?;
        Ok(start.elapsed().as_secs_f64())
    });
    let seconds = slowest(&seconds.map_err(failed)?);
    let cots = extension(tuning).map_err(failed)? * limits.cores.min(2) as f64;
    let pairs = (parties * (parties - 1)) as f64;
    Ok(Preprocessing {
        parties,
        set_up_seconds,
        set_up_cpu_seconds_per_ordered_pair: set_up_cpu_seconds / pairs,
        triples,
        triples_per_second: triples as f64 / seconds,
        aes_blocks_per_triple: limits.aes_blocks_per_second * seconds / triples as f64,
        cots_per_second_and_core: 1.0 / cots,
        aes_blocks_per_cot: limits.aes_blocks_per_second * cots,
        limits,
    })
}

/// Sees rows while the cache holds them, as whoever uses them does.
struct Seen;

impl Taker for Seen {
    fn rows(&self) -> usize {
        ROWS / TAKERS
    }

    fn take(&mut self, rows: Rows<'_>) {
        black_box(rows.blocks);
    }
}

/// Wall time per correlated OT of two parties that extend both ways, checks included.
fn extension(tuning: Tuning) -> Result<f64, Error> {
    let set = PartySet::first(2);
    let seconds = each(set, async |mesh| {
        let session = open(&mesh, [1; 32], tuning).await?;
        let bench = session.workbench(set, Lane::supply(0, 0))?;
        let random = |_| Choices::random(ROWS, &bench.entropy);
        let choices = ByParty::from_fn(bench.channel.peers(), random);
        let mut start = Instant::now();
        for number in 0..=EXTENSIONS {
            let (channel, entropy) = (&bench.channel, &bench.entropy);
            let challenge = Challenge::Own(entropy);
            let mut run = bench.cots.begin(channel, number, &choices, challenge).await?;
            run.expand(&mut [const { Seen }; TAKERS]);
            run.prove(channel).await?;
            if number == 0 {
                // From now on there is memory.
                start = Instant::now();
            }
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    Ok(slowest(&seconds) / (2 * ROWS * EXTENSIONS as usize) as f64)
}

fn slowest(seconds: &ByParty<f64>) -> f64 {
    seconds.values().iter().copied().fold(0.0, f64::max)
}
