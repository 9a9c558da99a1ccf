//! How fast this machine computes what the engine computes: what predicted times are scaled by.

use senate_block::Tile;
use std::time::{Duration, Instant};

/// Blocks per second that all cores, at once, hash, multiply and transpose: threads of one core share
/// it, so one alone would promise too much.
pub(crate) fn mixed_blocks_per_second(window: Duration) -> f64 {
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, move || rate(window)).ok();
        let others: Vec<_> = (1..cores).filter_map(spawn).collect();
        let own = rate(window);
        own + others.into_iter().filter_map(|thread| thread.join().ok()).sum::<f64>()
    })
}

fn rate(window: Duration) -> f64 {
    let mut tile = Tile::default();
    tile.mix();
    let (start, mut passes) = (Instant::now(), 0u32);
    while start.elapsed() < window {
        tile.mix();
        passes += 1;
    }
    f64::from(passes) * Tile::BLOCKS as f64 / start.elapsed().as_secs_f64()
}
