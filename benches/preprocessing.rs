//! `cargo bench -p senate-mpc --bench preprocessing`: session set-up, correlated OTs and triples per
//! second, all checks included, all parties on this machine.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first failure")]

#[expect(dead_code, reason = "shared with the gates bench")]
mod federation;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use federation::Tuning;
use senate_circuit::{PartySet, Sharing, StageId};
use senate_mpc::ot::{Challenge, Choices, Keeper, TAKEN_MAX};
use senate_mpc::pre::distributed::{Need, Supply};
use senate_mpc::{ByParty, Lane};
use std::time::Instant;

/// Triples of each measurement: past the size from which three leaky triples make one.
const TRIPLES: usize = 400_000;
/// Correlated OTs per direction of a pair.
const ROWS: usize = 1 << 21;

fn main() {
    for parties in [2, 3, 4] {
        let set = PartySet::first(parties);
        let start = Instant::now();
        federation::each(set, async |mesh| {
            federation::open(&mesh, [1; 32], Tuning::default()).await.map(drop)
        })
        .unwrap();
        let set_up = start.elapsed().as_secs_f64();
        let start = Instant::now();
        federation::each(set, async |mesh| {
            let session = federation::open(&mesh, [1; 32], Tuning::default()).await?;
            let need = Need { stage: StageId(0), masks: 0, triples: TRIPLES };
            let sharing = Sharing::new(session.params().rho_bits(), [(set.len(), TRIPLES)]);
            Supply::new(&session, set, 0, &[need], sharing)?.make_ahead().await
        })
        .unwrap();
        let triples = start.elapsed().as_secs_f64() - set_up;
        println!(
            "n={parties} set-up={:.0}ms triples/s={:.0}",
            set_up * 1e3,
            TRIPLES as f64 / triples
        );
    }
    let set = PartySet::first(2);
    let seconds = federation::each(set, async |mesh| {
        let session = federation::open(&mesh, [1; 32], Tuning::default()).await?;
        let bench = session.workbench(set, Lane::supply(0, 0))?;
        let random = |_| Choices::random(ROWS, &bench.entropy);
        let choices = ByParty::from_fn(bench.channel.peers(), random);
        let mut kept: Vec<_> = (0..ROWS / TAKEN_MAX).map(|_| Keeper::new(1, TAKEN_MAX)).collect();
        let start = Instant::now();
        let challenge = Challenge::Own(&bench.entropy);
        let mut run = bench.cots.begin(&bench.channel, 0, &choices, challenge).await?;
        run.expand(&mut kept);
        run.prove(&bench.channel).await?;
        Ok(start.elapsed().as_secs_f64())
    })
    .unwrap();
    let slowest = seconds.values().iter().copied().fold(0.0, f64::max);
    println!("n=2 COT/s (both directions of the pair)={:.0}", 2.0 * ROWS as f64 / slowest);
}
