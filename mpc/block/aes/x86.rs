//! AES-128 in registers of several blocks, for processors with VAES: what a pass reads and adds goes
//! through registers, where the `aes` crate (which has VAES too, but only where the system saves
//! 512-bit registers) works in place. Tests compare this twin with the crate.

use super::Written;
use crate::Block;
use crate::x86::{Kernel, Lanes, Width};
use std::arch::x86_64::{
    __m128i, _mm_aeskeygenassist_si128, _mm_loadu_si128, _mm_shuffle_epi32, _mm_slli_si128,
    _mm_storeu_si128, _mm_xor_si128,
};
use std::hint::black_box;
use zeroize::Zeroize;

/// Registers in flight: they hide the latency of a round.
pub(crate) const BATCH: usize = 8;
/// As many when there is less to do.
const SHORT: usize = 2;
/// Blocks of a batch at most.
const BLOCKS_MAX: usize = 4 * BATCH;
/// 0, 1, … in the low 64 bits.
const COUNT: [Block; 4] = [Block(0), Block(1), Block(2), Block(3)];
/// Number of the last round, and of its key.
pub(crate) const LAST: usize = 10;

/// The round keys of AES-128; zeroised on drop.
pub(crate) struct RoundKeys([Block; LAST + 1]);

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl RoundKeys {
    /// Expands `key`.
    pub(crate) fn new(_machine: Lanes, key: Block) -> Self {
        // SAFETY: aes and sse2, which `expand` is compiled for, were detected with any `Lanes`.
        unsafe { expand(key) }
    }

    /// This round key, in each block of a register.
    #[inline(always)]
    pub(crate) fn round_key<W: Width>(&self, w: W, round: usize) -> W::Register {
        w.repeat(&self.0[round])
    }

    /// Replaces every block x by π(x).
    #[inline(always)]
    pub(crate) fn encrypt<W: Width, const R: usize>(&self, w: W, state: &mut [W::Register; R]) {
        let key = self.round_key(w, 0);
        for x in state.iter_mut() {
            *x = w.xor(*x, key);
        }
        self.rounds(w, state);
        let key = self.round_key(w, LAST);
        for x in state {
            *x = w.last_round(*x, key);
        }
    }

    /// The rounds between the first key and the last.
    #[inline(always)]
    fn rounds<W: Width, const R: usize>(&self, w: W, state: &mut [W::Register; R]) {
        for round in 1..last_round() {
            let key = self.round_key(w, round);
            for x in state.iter_mut() {
                *x = w.round(*x, key);
            }
        }
    }
}

/// Number of the last round, hidden from the compiler: it would unroll the rounds and run one register
/// after the other through all of them, which leaves the cipher's units idle.
#[inline(always)]
pub(crate) fn last_round() -> usize {
    black_box(LAST)
}

/// AES-128 under one key.
pub(super) struct Wide {
    lanes: Lanes,
    keys: RoundKeys,
}

impl Wide {
    /// Expands `key`, if the machine has these registers.
    pub(super) fn new(key: Block) -> Option<Self> {
        Lanes::widest().map(|lanes| Self::within(lanes, key))
    }

    /// As [`Wide::new`], in these registers.
    pub(super) fn within(lanes: Lanes, key: Block) -> Self {
        Self { lanes, keys: RoundKeys::new(lanes, key) }
    }

    /// The registers and the keys, for other kernels.
    pub(super) fn parts(&self) -> (Lanes, &RoundKeys) {
        (self.lanes, &self.keys)
    }

    /// As [`super::FixedKey::permute`].
    #[inline]
    pub(super) fn permute(&self, blocks: &mut [Block]) {
        let what = Pass { input: Input::Out, first: None, forward: false, add: false };
        self.lanes.run(Passing { keys: &self.keys, what, out: blocks });
    }

    /// As [`super::FixedKey::write`].
    #[inline]
    pub(super) fn write(&self, what: Written<'_>, out: &mut [Block]) {
        let (input, first, forward, add) = match what {
            Written::Permuted(xs) => (Input::Other(xs), None, false, false),
            Written::Counters(first) => (Input::Zero, Some(first), false, false),
            Written::Hashes(xs, first) => (Input::Other(xs), Some(first), true, false),
            Written::Added(xs, first) => (Input::Other(xs), Some(first), true, true),
        };
        let what = Pass { input, first, forward, add };
        self.lanes.run(Passing { keys: &self.keys, what, out });
    }
}

#[target_feature(enable = "aes,sse2")]
fn expand(key: Block) -> RoundKeys {
    let mut keys = [key; LAST + 1];
    macro_rules! round {
        ($r:literal, $constant:literal) => {{
            // SAFETY: the pointer comes from a reference to 16 bytes; the load is an unaligned one.
            let last = unsafe { _mm_loadu_si128((&raw const keys[$r - 1]).cast()) };
            let assist = _mm_aeskeygenassist_si128::<$constant>(last);
            let next = next_key(last, _mm_shuffle_epi32::<0xff>(assist));
            // SAFETY: as above, for a store.
            unsafe { _mm_storeu_si128((&raw mut keys[$r]).cast(), next) };
        }};
    }
    round!(1, 0x01);
    round!(2, 0x02);
    round!(3, 0x04);
    round!(4, 0x08);
    round!(5, 0x10);
    round!(6, 0x20);
    round!(7, 0x40);
    round!(8, 0x80);
    round!(9, 0x1b);
    round!(10, 0x36);
    RoundKeys(keys)
}

/// Each word of the next round key: the sum of all words up to it, and of `word` (FIPS 197, 5.2).
#[target_feature(enable = "sse2")]
fn next_key(last: __m128i, word: __m128i) -> __m128i {
    let sums = _mm_xor_si128(last, _mm_slli_si128::<4>(last));
    let sums = _mm_xor_si128(sums, _mm_slli_si128::<8>(sums));
    _mm_xor_si128(sums, word)
}

/// Where x_r is.
#[derive(Clone, Copy)]
enum Input<'a> {
    /// Nowhere: it is zero.
    Zero,
    /// Where the result goes.
    Out,
    /// Here, as long as the result at least.
    Other(&'a [Block]),
}

/// out_r = π(x_r ⊕ c_r), with c_r = `first` + r in its low 64 bits or zero; `forward` adds x_r, and
/// `add` what was there.
#[derive(Clone, Copy)]
struct Pass<'a> {
    input: Input<'a>,
    first: Option<Block>,
    forward: bool,
    add: bool,
}

/// A pass over `out`.
struct Passing<'a> {
    keys: &'a RoundKeys,
    what: Pass<'a>,
    out: &'a mut [Block],
}

impl Kernel for Passing<'_> {
    type Output = ();

    #[inline(always)]
    fn run<W: Width>(self, w: W) {
        let Self { keys, what, out } = self;
        let mut counters = what.first.map(|first| counters(w, first));
        let blocks = BATCH * w.blocks();
        let full = out.len() / blocks * blocks;
        let (batches, rest) = out.split_at_mut(full);
        for (b, out) in batches.chunks_exact_mut(blocks).enumerate() {
            let what = what.from(b * blocks);
            batch::<W, BATCH>(w, keys, what, counters.as_ref(), w.split_mut(out));
            if let Some(counters) = &mut counters {
                counters.advance(w);
            }
        }
        if rest.is_empty() {
            return;
        }
        let (mut padded, mut xs) = ([Block::ZERO; BLOCKS_MAX], [Block::ZERO; BLOCKS_MAX]);
        padded[..rest.len()].copy_from_slice(rest);
        let mut what = what.from(full);
        if let Input::Other(rest_xs) = what.input {
            xs[..rest.len()].copy_from_slice(&rest_xs[..rest.len()]);
            what.input = Input::Other(&xs);
        }
        if rest.len() <= SHORT * w.blocks() {
            batch::<W, SHORT>(w, keys, what, counters.as_ref(), w.split_mut(&mut padded));
        } else {
            batch::<W, BATCH>(w, keys, what, counters.as_ref(), w.split_mut(&mut padded));
        }
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

impl Pass<'_> {
    /// What is left of it from block `at` on, but for the counters.
    #[inline(always)]
    fn from(self, at: usize) -> Self {
        match self.input {
            Input::Other(xs) => Self { input: Input::Other(&xs[at..]), ..self },
            Input::Zero | Input::Out => self,
        }
    }
}

/// The numbers of the next batch of blocks.
pub(crate) struct Counters<W: Width> {
    pub(crate) next: [W::Register; BATCH],
    step: W::Register,
}

impl<W: Width> Counters<W> {
    /// Those of the batch after it.
    #[inline(always)]
    pub(crate) fn advance(&mut self, w: W) {
        for number in &mut self.next {
            *number = w.add(*number, self.step);
        }
    }
}

/// `first`, `first` + 1, … in the low 64 bits.
#[inline(always)]
pub(crate) fn counters<W: Width>(w: W, first: Block) -> Counters<W> {
    let mut next = [w.add(w.repeat(&first), w.load(&w.split(&COUNT)[0])); BATCH];
    let step = w.repeat(&Block(w.blocks() as u128));
    for r in 1..BATCH {
        next[r] = w.add(next[r - 1], step);
    }
    Counters { next, step: w.repeat(&Block((BATCH * w.blocks()) as u128)) }
}

/// The pass over the first `R` registers of `out`, and of what it reads.
#[inline(always)]
fn batch<W: Width, const R: usize>(
    w: W,
    keys: &RoundKeys,
    what: Pass<'_>,
    counters: Option<&Counters<W>>,
    out: &mut [W::Blocks],
) {
    let Some(out) = out.first_chunk_mut::<R>() else { return };
    let mut state = [keys.round_key(w, 0); R];
    match what.input {
        Input::Zero => (),
        Input::Out => add(w, &mut state, out),
        Input::Other(xs) => add(w, &mut state, w.split(xs)),
    }
    if let Some(counters) = counters {
        for (x, counter) in state.iter_mut().zip(&counters.next) {
            *x = w.xor(*x, *counter);
        }
    }
    keys.rounds(w, &mut state);
    // What is added to the result may as well be added to the last round key.
    let mut added = [keys.round_key(w, LAST); R];
    if let (true, Input::Other(xs)) = (what.forward, what.input) {
        add(w, &mut added, w.split(xs));
    }
    if what.add {
        add(w, &mut added, out);
    }
    for (out, (x, added)) in out.iter_mut().zip(state.into_iter().zip(added)) {
        w.store(out, w.last_round(x, added));
    }
}

#[inline(always)]
fn add<W: Width>(w: W, registers: &mut [W::Register], blocks: &[W::Blocks]) {
    for (register, blocks) in registers.iter_mut().zip(blocks) {
        *register = w.xor(*register, w.load(blocks));
    }
}
