//! Running a gadget in the clear, for the tests.

use crate::{Bits, Builder, Program, Word};
use proptest::prelude::*;

/// A gadget's result in the clear.
pub(crate) struct Run {
    planes: Vec<Vec<bool>>,
    /// AND gates per lane of the input.
    pub(crate) ands: u64,
    pub(crate) total_ands: u64,
}

impl Run {
    pub(crate) fn value(&self, lane: usize) -> u128 {
        self.planes.iter().rev().fold(0, |sum, plane| sum << 1 | u128::from(plane[lane]))
    }
}

/// Two widths and lanes of integers that fit them.
pub(crate) fn words(width_max: usize) -> impl Strategy<Value = (usize, usize, Vec<(u128, u128)>)> {
    (0..=width_max, 0..=width_max, proptest::collection::vec(any::<(u64, u64)>(), 1..70)).prop_map(
        |(w, v, raw)| {
            let cut = |(x, y): (u64, u64)| (u128::from(x) & mask(w), u128::from(y) & mask(v));
            (w, v, raw.into_iter().map(cut).collect())
        },
    )
}

pub(crate) fn mask(width: usize) -> u128 {
    (1 << width) - 1
}

/// Runs `gadget` on one lane per pair; with no pairs only the gates of one lane are counted.
pub(crate) fn binary(
    w: usize,
    v: usize,
    pairs: &[(u128, u128)],
    gadget: impl FnOnce(&mut Builder, &Word, &Word) -> Word,
) -> Run {
    let zeros = [(0, 0)];
    let pairs = if pairs.is_empty() { &zeros } else { pairs };
    let lanes = pairs.len() as u32;
    let mut b = Builder::new();
    let x = b.input_word(w, lanes);
    let y = b.input_word(v, lanes);
    let out = gadget(&mut b, &x, &y);
    b.output(&out.bits);
    let program = b.finish().unwrap();
    let (xs, ys): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let result = program.evaluate(&[pack(&xs, w), pack(&ys, v)]).unwrap();
    let planes = planes(&program, &result[0]);
    Run { planes, ands: program.ands() / u64::from(lanes), total_ands: program.ands() }
}

/// [`binary`] with only the first of each pair.
pub(crate) fn unary(
    w: usize,
    pairs: &[(u128, u128)],
    gadget: impl FnOnce(&mut Builder, &Word) -> Word,
) -> Run {
    let pairs: Vec<_> = pairs.iter().map(|(x, _)| (*x, 0)).collect();
    binary(w, 0, &pairs, |b, x, _| gadget(b, x))
}

/// One input bundle: bit planes of `width` bits, one lane per value.
pub(crate) fn pack(values: &[u128], width: usize) -> Bits {
    (0..width).flat_map(|k| values.iter().map(move |value| value >> k & 1 == 1)).collect()
}

/// The planes of output bundle 0, which may have different lanes.
fn planes(program: &Program, bits: &Bits) -> Vec<Vec<bool>> {
    let mut start = 0;
    let mut next = |lanes: usize| {
        start += lanes;
        bits.slice(start - lanes, lanes).iter().collect()
    };
    program.outputs[0].planes.iter().map(|plane| next(program.lanes_of(*plane))).collect()
}
