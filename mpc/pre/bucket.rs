//! Bucketing (PROTOCOL.md §5): B leaky triples make one whose factor a is secret unless all B
//! leaked.

use super::Triples;
use super::workbench::Workbench;
use crate::auth::{AuthBits, Planes};
use crate::coin::Coins;
use crate::error::Error;
use crate::mesh::Kind;
use crate::open::{Openings, WeightedSums};
use crate::ot::CotSource;
use rayon::prelude::*;
use senate_block::{Block, Prg, Weights, add_selected, xor_into, xor_of};
use senate_circuit::Bits;
use zeroize::Zeroizing;

/// Columns per parallel task.
const TILE: usize = 1 << 12;
/// Columns combined at a time, so that scratch space stays in the first-level cache; divides [`TILE`].
const SPAN: usize = 256;

/// Leaky triples that have passed the zero test.
pub(super) struct Leaky {
    /// B rows of ℓ triples: ⟨a⟩, ⟨b⟩ and, as c, ⟨r⟩.
    pub(super) rows: Vec<Triples>,
    /// This party's share bits of all b, row after row.
    pub(super) b: Bits,
    /// d of all triples, row after row: ⟨ab⟩ = ⟨r⟩ ⊕ d.
    pub(super) d: Bits,
}

/// Combines leaky triples column by column after a coin has shifted rows 2..B in a circle: the first
/// row becomes the triples. All d = b ⊕ b' are opened in one message. Uses one coin.
///
/// # Errors
/// [`Fault::OpenMac`](crate::Fault::OpenMac) when somebody lied about a d, those of the coin and the
/// channel.
pub(super) async fn combine<C: CotSource>(
    bench: &Workbench<C>,
    leaky: Leaky,
    coins: &mut Coins,
) -> Result<Triples, Error> {
    let (channel, member) = (&bench.channel, &bench.member);
    let coin = coins.toss(channel).await?;
    let Leaky { mut rows, b, d } = leaky;
    let rest = rows.split_off(1.min(rows.len()));
    let mut first = rows.pop().ok_or(Error::Misuse("a bucket has at least one triple"))?;
    let len = first.a.len();
    if rest.iter().any(|row| row.a.len() != len) || d.len() != len * (1 + rest.len()) {
        return Err(Error::Misuse("bucketed rows of different lengths"));
    }
    let shifts: Vec<_> = (0..rest.len()).map(|row| shift(coin, row, len)).collect();
    // Bits of row k + 2 as the first row meets them.
    let met = |bits: &Bits, k: usize, shift: usize| {
        let start = (k + 1) * len;
        let mut row = bits.slice(start + shift, len - shift);
        row.extend_from(&bits.slice(start, shift));
        row
    };
    let (own, mut constants) = (b.slice(0, len), d.slice(0, len));
    let mut differences = Bits::default();
    for (k, shift) in shifts.iter().enumerate() {
        let mut difference = met(&b, k, *shift);
        difference.xor_assign(&own);
        differences.extend_from(&difference);
        constants.xor_assign(&met(&d, k, *shift));
    }
    let mut openings = Openings::new(member.clone(), bench.domain, "bucketing");
    if !differences.is_empty() {
        let (opened, weights) = openings.exchange(channel, Kind::BucketBits, differences).await?;
        let columns = Columns { rest: &rest, shifts: &shifts, weights: &weights, len };
        let sums = columns.combine(&mut first, &opened);
        openings.absorb(opened.len(), &sums);
    }
    for Triples { a, b, c } in rest {
        [a, b, c].into_iter().for_each(|shares| bench.cots.reclaim(shares));
    }
    first.c.xor_public(member, &constants);
    openings.check(channel, Kind::BucketMacs).await?;
    Ok(first)
}

/// A uniform shift below `len`: the bias of reducing 128 bits is below 2^-64.
fn shift(coin: Block, row: usize, len: usize) -> usize {
    let mut out = [Block::ZERO];
    Prg::new(coin).fill(row as u128, &mut out);
    (out[0].0 % len.max(1) as u128) as usize
}

/// The rows that the first one absorbs, and how.
struct Columns<'a> {
    rest: &'a [Triples],
    shifts: &'a [usize],
    weights: &'a Weights,
    len: usize,
}

impl Columns<'_> {
    /// One pass over all rows: a ⊕= a', c ⊕= c' ⊕ d·a'. Returns the sums of all b ⊕ b' and of d.
    fn combine(&self, first: &mut Triples, opened: &Bits) -> WeightedSums {
        let planes = first.a.mac_planes().len() + 1;
        let (mut a, mut c) = (first.a.lanes_mut(0, self.len), first.c.lanes_mut(0, self.len));
        let tiles = (0..self.len).step_by(TILE).map(|start| (start, a.take(TILE), c.take(TILE)));
        let tiles: Vec<_> = tiles.collect();
        let b = &first.b;
        let each = |(start, a, c)| self.tile(start, a, b, c, opened);
        let sums = tiles.into_par_iter().map(each).reduce_with(WeightedSums::with);
        sums.unwrap_or_else(|| WeightedSums::zero(planes))
    }

    fn tile(
        &self,
        start: usize,
        mut a: Planes<'_>,
        b: &AuthBits,
        mut c: Planes<'_>,
        opened: &Bits,
    ) -> WeightedSums {
        let planes = a.macs.len() + 1;
        let mut sums = WeightedSums::zero(planes);
        let mut differences = Zeroizing::new(vec![Block::ZERO; planes * SPAN]);
        let end = start + a.len();
        let mut at = start;
        while at < end {
            let span = SPAN.min(end - at);
            let (mut a, mut c) = (a.take(span), c.take(span));
            for (k, (row, shift)) in self.rest.iter().zip(self.shifts).enumerate() {
                let number = k * self.len + at;
                let d = opened.slice(number, span);
                let from = (at + shift) % self.len;
                let sides = (a.each_mut().zip(c.each_mut()))
                    .zip(b.planes().zip(row.a.planes()).zip(row.b.planes().zip(row.c.planes())))
                    .zip(differences.chunks_mut(SPAN));
                for (((a, c), ((b, their_a), (their_b, their_c))), difference) in sides {
                    let difference = &mut difference[..span];
                    let b = &b[at..at + span];
                    circular(difference, their_b, from, |first, x, y| xor_of(x, &b[first..], y));
                    circular(a, their_a, from, |_, x, y| xor_into(x, y));
                    circular(c, their_c, from, |_, x, y| xor_into(x, y));
                    circular(c, their_a, from, |first, x, y| match first {
                        0 => add_selected(x, d.words(), y),
                        _ => add_selected(x, d.slice(first, x.len()).words(), y),
                    });
                }
                let differences: Vec<_> = differences.chunks(SPAN).collect();
                sums.add(self.weights, number, span, &differences, d.words());
            }
            at += span;
        }
        sums
    }
}

/// `add(r, into_r.., from_{(start + r) mod ℓ}..)` for the parts up to the end of `from` and from its
/// beginning on.
#[inline(always)]
fn circular(
    into: &mut [Block],
    from: &[Block],
    start: usize,
    add: impl Fn(usize, &mut [Block], &[Block]),
) {
    let straight = from.get(start..).unwrap_or_default();
    let (head, tail) = into.split_at_mut(straight.len().min(into.len()));
    add(0, head, &straight[..head.len()]);
    if !tail.is_empty() {
        add(head.len(), tail, from);
    }
}
