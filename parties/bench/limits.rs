//! What this machine can do at most: the rates that every other figure is held against.

use crate::speed;
use senate_block::Tile;
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long each kernel is measured.
const WINDOW: Duration = Duration::from_millis(250);

/// Rates of one core, measured one after the other, and of all cores at once where it says so.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// AES-128 blocks per second under one key.
    pub aes_blocks_per_second: f64,
    /// TCCR hashes per second, both permutations counted.
    pub tccr_hashes_per_second: f64,
    /// GF(2^128) multiply-accumulate operations per second.
    pub gf128_products_per_second: f64,
    /// Columns of 128 bits transposed per second.
    pub transposed_columns_per_second: f64,
    /// Blocks hashed, multiplied and transposed, by all cores at once: what predicted times are scaled by.
    pub mixed_blocks_per_second: f64,
    /// Bytes copied per second between buffers larger than the caches.
    pub memcpy_bytes_per_second: f64,
    /// Bytes per second of memory that is touched for the first time: what the system, and below a
    /// virtual machine its host, needs to provide it.
    pub fresh_bytes_per_second: f64,
    /// Cores this process may use.
    pub cores: usize,
}

/// Bytes of fresh memory that are touched.
const FRESH_BYTES: usize = 256 << 20;
/// One byte of each page is enough.
const PAGE_BYTES: usize = 4096;

/// Measures all kernels on this core.
pub fn measure() -> Limits {
    let fresh_bytes_per_second = fresh();
    let mut tile = Tile::default();
    let mut big = vec![0u8; 64 << 20];
    let source = vec![1u8; 64 << 20];
    Limits {
        aes_blocks_per_second: rate(Tile::BLOCKS, || tile.permute()),
        tccr_hashes_per_second: rate(Tile::BLOCKS, || tile.hash()),
        gf128_products_per_second: rate(Tile::BLOCKS, || tile.dot()),
        transposed_columns_per_second: rate(Tile::BLOCKS, || tile.transpose()),
        mixed_blocks_per_second: speed::mixed_blocks_per_second(WINDOW),
        memcpy_bytes_per_second: rate(big.len(), || {
            black_box(&mut big).copy_from_slice(black_box(&source));
        }),
        fresh_bytes_per_second,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn fresh() -> f64 {
    let mut memory = vec![0u8; FRESH_BYTES];
    let start = Instant::now();
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *black_box(byte) = 1);
    FRESH_BYTES as f64 / start.elapsed().as_secs_f64()
}

/// Items per second of `work`, which handles `items` per call.
fn rate(items: usize, mut work: impl FnMut()) -> f64 {
    work();
    let start = Instant::now();
    let mut calls = 0u64;
    while start.elapsed() < WINDOW {
        work();
        calls += 1;
    }
    calls as f64 * items as f64 / start.elapsed().as_secs_f64()
}
