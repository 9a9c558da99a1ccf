//! Weighted sums whose weights never leave the registers: AES and the multiplier work side by side.

use super::Sums;
use crate::Block;
use crate::aes::{BATCH, RoundKeys, counters};
use crate::gf128::{reduce, x86::total};
use crate::x86::{Kernel, Products, Width};

/// Blocks of a batch at most.
const BLOCKS_MAX: usize = 4 * BATCH;

/// The sums under the weights that these keys make.
pub(super) struct Weighing<'a, 'b> {
    pub(super) keys: &'a RoundKeys,
    pub(super) of: Sums<'a, 'b>,
    pub(super) sums: &'a mut [Block],
}

impl Kernel for Weighing<'_, '_> {
    /// That of the bits.
    type Output = Block;

    #[inline(always)]
    fn run<W: Width>(self, w: W) -> Block {
        let Self { keys, of, sums } = self;
        let mut numbers = counters(w, Block(of.start.into()));
        let blocks = BATCH * w.blocks();
        let mut parts = vec![[w.zero(); 3]; of.planes.len()];
        let mut chosen = w.zero();
        for first in (0..of.len).step_by(blocks) {
            let mut weights = numbers.next;
            keys.encrypt(w, &mut weights);
            let len = blocks.min(of.len - first);
            for (part, plane) in parts.iter_mut().zip(of.planes) {
                let plane = &plane[first..first + len];
                if len == blocks {
                    add(w, part, &weights, plane);
                } else {
                    let mut padded = [Block::ZERO; BLOCKS_MAX];
                    padded[..len].copy_from_slice(plane);
                    add(w, part, &weights, &padded);
                }
            }
            if let Some(word) = of.bits.get(first / 64) {
                let word = word >> (first % 64) & u64::MAX >> (64 - len);
                for (r, weight) in weights.iter().enumerate() {
                    chosen = w.xor(chosen, w.choose(*weight, word >> (r * w.blocks())));
                }
            }
            numbers.advance(w);
        }
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum ^= reduce(total(w, part));
        }
        let mut blocks = [Block::ZERO; 4];
        w.store(&mut w.split_mut(&mut blocks)[0], chosen);
        blocks.into_iter().fold(Block::ZERO, |sum, block| sum ^ block)
    }
}

/// Adds the products of a batch.
#[inline(always)]
fn add<W: Width>(w: W, part: &mut Products<W>, weights: &[W::Register; BATCH], plane: &[Block]) {
    let mut sums = *part;
    for (weight, x) in weights.iter().zip(w.split(plane)) {
        w.multiply_add(&mut sums, *weight, w.load(x));
    }
    *part = sums;
}
