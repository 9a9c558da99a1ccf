//! Preprocessing by the parties themselves, batch by batch, shared by all stages of a party set.

use super::batch::{mask_batch, triple_batch};
use super::bucket::{BatchShape, smallest_batch};
use super::stock::Stocked;
use super::workbench::CotSource;
use super::{Preprocessing, Triples};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::mesh::Lane;
use crate::session::Session;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use senate_circuit::{PartySet, StageId};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Fewest triples of a batch that is not a set's last; more than 370 728, from where three leaky
/// triples make one at 40 bits.
const BATCH_TRIPLES: usize = 1 << 19;
/// Most triples of a batch: bounds the memory of leaky ones.
const BATCH_TRIPLES_MAX: usize = 1 << 20;
/// Largest set whose batches are so large. A leaky triple takes 48·n bytes at each party, so batches
/// of larger sets have 2^17 triples, made of four leaky ones each, …
const PARTIES_OF_LARGE: usize = 10;
/// … and those of sets that are larger than this 2^16.
const PARTIES_OF_MANY: usize = 32;
/// Triples of a batch made ahead of a query: small, so that a party can pause between batches.
const BATCH_TRIPLES_AHEAD: usize = 1 << 16;
/// Masks per batch.
const BATCH_MASKS: usize = 1 << 19;

/// How the triples of a whole session are cut into batches, so that its statistical security holds
/// for all of them together: a cheater who is caught in one batch may have attacked others that run
/// beside it, so the bounds of all batches of all party sets add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// ρ plus the logarithm of the number of batches: what each batch must give.
    rho_bits: u32,
    /// Triples per batch.
    batch: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// For all sets.
    Same(usize),
    /// For sets of at most [`PARTIES_OF_LARGE`]; smaller for larger sets.
    UpTo(usize),
}

impl Size {
    fn of(self, parties: usize) -> usize {
        match (self, parties) {
            (Self::Same(batch), _) | (Self::UpTo(batch), ..=PARTIES_OF_LARGE) => batch,
            (Self::UpTo(_), ..=PARTIES_OF_MANY) => 1 << 17,
            (Self::UpTo(_), _) => 1 << 16,
        }
    }

    /// Batches of these sets.
    fn batches(self, sets: impl IntoIterator<Item = (usize, usize)>) -> usize {
        let batches = sets.into_iter().map(|(parties, triples)| triples.div_ceil(self.of(parties)));
        batches.sum::<usize>().max(1)
    }
}

impl Sharing {
    /// For a session with security `rho_bits` whose party sets, of so many parties each, need so many
    /// triples, those of sets that this party is not in included: all parties take the same numbers.
    pub fn new(rho_bits: u32, sets: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let batches = Size::UpTo(BATCH_TRIPLES).batches(sets);
        let rho_bits = rho_bits + batches.next_power_of_two().trailing_zeros();
        // Larger batches are never more of them: buckets stay small where memory allows.
        let batch = match smallest_batch(3, rho_bits) {
            len if len <= BATCH_TRIPLES_MAX => len.max(BATCH_TRIPLES),
            _ => BATCH_TRIPLES,
        };
        Self { rho_bits, batch: Size::UpTo(batch) }
    }

    /// For what a session makes ahead of its query: half of the allowance of a session with security
    /// `rho_bits`, whatever its query will need.
    pub fn ahead(rho_bits: u32, sets: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let batch = Size::Same(BATCH_TRIPLES_AHEAD);
        let batches = batch.batches(sets);
        Self { rho_bits: rho_bits + 1 + batches.next_power_of_two().trailing_zeros(), batch }
    }

    /// Batches of this size, for tests.
    #[cfg(test)]
    pub(super) fn small(batch: usize) -> Self {
        Self { rho_bits: 40, batch: Size::Same(batch) }
    }

    /// For what the plan of such a session needs beyond it: the other half.
    pub fn after(rho_bits: u32, sets: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self::new(rho_bits + 1, sets)
    }

    /// The shapes of the batches of a set of `parties` that needs `triples`, in order, with what each
    /// serves.
    pub fn batches(
        self,
        parties: usize,
        triples: usize,
    ) -> impl Iterator<Item = (Range<usize>, BatchShape)> {
        split(triples, self.batch.of(parties)).map(move |span| {
            let shape = BatchShape::cheapest(span.len(), self.rho_bits);
            (span, shape)
        })
    }
}

/// What one stage will ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The stage.
    pub stage: StageId,
    /// Authenticated random bits.
    pub masks: usize,
    /// Triples.
    pub triples: usize,
}

/// All preprocessing of one party set: a public sequence of batches, each made when some stage
/// first asks for part of it and gone when used up: its memory then serves the next batch, and is
/// wiped and given back when the last one is there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supply {
    shelf: Rc<Shelf>,
}

/// Lanes of the shared sequences that belong to one stage.
#[derive(Debug)]
struct Part {
    masks: Range<usize>,
    triples: Range<usize>,
}

#[derive(Debug)]
struct Shelf {
    /// Masks and triples of the stages that have not claimed their part yet.
    parts: RefCell<BTreeMap<StageId, Part>>,
    masks: Vec<Batch<AuthBits>>,
    triples: Vec<Batch<Triples>>,
}

impl Supply {
    /// The supply of `set`, party set number `set_index` of the plan. All members pass the same
    /// arguments, `needs` in the same order, all before or all after [`Session::bind`]; each set has
    /// one supply per session. A batch that fails ends the session.
    ///
    /// # Errors
    /// [`Error::Misuse`] when a stage occurs twice, or as [`Session::member`].
    pub fn new(
        session: &Session,
        set: PartySet,
        set_index: u16,
        needs: &[Need],
        sharing: Sharing,
    ) -> Result<Self, Error> {
        Self::stocked(session, set, set_index, needs, sharing, Stocked::default())
    }

    /// As [`Supply::new`], beginning with what the session has made ahead; `sharing` is for the
    /// rest. What the plan does not need of the stock is dropped.
    pub(crate) fn stocked(
        session: &Session,
        set: PartySet,
        set_index: u16,
        needs: &[Need],
        sharing: Sharing,
        stocked: Stocked,
    ) -> Result<Self, Error> {
        session.member(set)?;
        let (mut parts, mut masks, mut triples) = (BTreeMap::new(), 0, 0);
        for need in needs {
            let part =
                Part { masks: masks..masks + need.masks, triples: triples..triples + need.triples };
            (masks, triples) = (part.masks.end, part.triples.end);
            if parts.insert(need.stage, part).is_some() {
                return Err(Error::Misuse("a stage states its needs once"));
            }
        }
        // Batch numbers are extension addresses of the set: those of the stock are used up.
        let mut number = stocked.numbers..;
        let mut bench = || {
            let number = number.next().unwrap_or(u32::MAX);
            let lane = Lane::supply(set_index, number);
            Ok::<_, Error>((number, session.workbench(set, lane)?))
        };
        let (mut masks_made, masks_from) = taken(stocked.masks, masks);
        for span in split(masks.saturating_sub(masks_from), BATCH_MASKS) {
            let (number, bench) = bench()?;
            let len = span.len();
            let mesh = session.mesh().clone();
            let make = async move { mesh.or_fail(mask_batch(&bench, number, len)).await };
            masks_made.push(Batch::new(after(span, masks_from), make, drop));
        }
        let (mut triples_made, triples_from) = taken(stocked.triples, triples);
        let rest = triples.saturating_sub(triples_from);
        // Memory is kept from batch to batch of one set only: another set's stage needs the room.
        let complete = Rc::new(Cell::new(false));
        for (span, shape) in sharing.batches(set.len(), rest) {
            let (number, bench) = bench()?;
            let mesh = session.mesh().clone();
            let cots = bench.cots.clone();
            let (last, now_complete) = (span.end == rest, complete.clone());
            let make = async move {
                let made = mesh.or_fail(triple_batch(&bench, number, shape)).await?;
                if last {
                    now_complete.set(true);
                    bench.cots.spare().release();
                }
                Ok(made)
            };
            let complete = complete.clone();
            let reclaim = move |Triples { a, b, c }| {
                if !complete.get() {
                    [a, b, c].into_iter().for_each(|shares| cots.reclaim(shares));
                }
            };
            triples_made.push(Batch::new(after(span, triples_from), make, reclaim));
        }
        let parts = RefCell::new(parts);
        Ok(Self { shelf: Rc::new(Shelf { parts, masks: masks_made, triples: triples_made }) })
    }

    /// The part of `stage`. A second call for one stage is refused: nothing is used twice.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a stage that stated no needs or has its part already.
    pub fn stage(&self, stage: StageId) -> Result<Distributed, Error> {
        let part = self.shelf.parts.borrow_mut().remove(&stage);
        let part = part.ok_or(Error::Misuse("no needs stated, or served already"))?;
        Ok(Distributed { supply: self.clone(), left: part })
    }

    /// Makes every batch that is not made or used up yet, in order: ahead of the query, or beside
    /// its stages. What is made stays in memory until it is used.
    ///
    /// # Errors
    /// Those of the protocols that make it.
    pub async fn make_ahead(&self) -> Result<(), Error> {
        for batch in &self.shelf.masks {
            batch.make().await?;
        }
        for batch in &self.shelf.triples {
            batch.make().await?;
        }
        Ok(())
    }
}

/// Preprocessing of one stage, made by the parties.
#[derive(Debug)]
pub struct Distributed {
    supply: Supply,
    left: Part,
}

impl Preprocessing for Distributed {
    async fn masks(&mut self, count: usize) -> Result<AuthBits, Error> {
        let wanted = claim(&mut self.left.masks, count)?;
        let mut out = AuthBits::default();
        for batch in &self.supply.shelf.masks {
            if let Some((start, count)) = batch.overlap(&wanted) {
                out.append_lanes(&*batch.made().await?, start, count);
                batch.used(count);
            }
        }
        Ok(out)
    }

    async fn triples(&mut self, count: usize) -> Result<Triples, Error> {
        let wanted = claim(&mut self.left.triples, count)?;
        let (mut a, mut b, mut c) = (AuthBits::default(), AuthBits::default(), AuthBits::default());
        for batch in &self.supply.shelf.triples {
            if let Some((start, count)) = batch.overlap(&wanted) {
                let made = batch.made().await?;
                a.append_lanes(&made.a, start, count);
                b.append_lanes(&made.b, start, count);
                c.append_lanes(&made.c, start, count);
                drop(made);
                batch.used(count);
            }
        }
        Ok(Triples { a, b, c })
    }
}

/// Takes the first `count` of what is left of a stage's share.
fn claim(left: &mut Range<usize>, count: usize) -> Result<Range<usize>, Error> {
    if count > left.len() {
        return Err(Error::Misuse("a stage asks for more than it stated"));
    }
    let wanted = left.start..left.start + count;
    left.start = wanted.end;
    Ok(wanted)
}

/// The made batches that serve 0..total, and where what they all serve ends.
fn taken<T: 'static>(made: Vec<(Range<usize>, T)>, total: usize) -> (Vec<Batch<T>>, usize) {
    let end = made.last().map_or(0, |(span, _)| span.end);
    let needed = made.into_iter().filter(|(span, _)| span.start < total);
    (needed.map(|(span, batch)| Batch::made_ahead(span, batch, total)).collect(), end)
}

fn after(span: Range<usize>, start: usize) -> Range<usize> {
    span.start + start..span.end + start
}

/// The batches that cover 0..total.
pub(super) fn split(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..total).step_by(most).map(move |start| start..total.min(start + most))
}

type Making<T> = Shared<LocalBoxFuture<'static, Result<Rc<T>, Error>>>;

type Reclaim<T> = Box<dyn FnOnce(T)>;

/// A batch that is made once, by whoever awaits it first; the others wait with it.
struct Batch<T> {
    span: Range<usize>,
    left: Cell<usize>,
    making: RefCell<Option<Making<T>>>,
    /// Takes the memory back, once.
    reclaim: RefCell<Option<Reclaim<T>>>,
}

impl<T> std::fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({:?}, {} left)", self.span, self.left.get())
    }
}

impl<T: 'static> Batch<T> {
    fn new(
        span: Range<usize>,
        make: impl Future<Output = Result<T, Error>> + 'static,
        reclaim: impl FnOnce(T) + 'static,
    ) -> Self {
        let making = async move { make.await.map(Rc::new) }.boxed_local().shared();
        let (left, making) = (Cell::new(span.len()), RefCell::new(Some(making)));
        Self { left, span, making, reclaim: RefCell::new(Some(Box::new(reclaim))) }
    }

    /// A batch that is there, of which only what lies below `total` will be used.
    fn made_ahead(span: Range<usize>, batch: T, total: usize) -> Self {
        let making = std::future::ready(Ok(Rc::new(batch))).boxed_local().shared();
        let left = Cell::new(span.end.min(total).saturating_sub(span.start));
        let (making, reclaim) = (RefCell::new(Some(making)), RefCell::default());
        Self { left, span, making, reclaim }
    }

    /// Start and length, within this batch, of its part of `wanted`.
    fn overlap(&self, wanted: &Range<usize>) -> Option<(usize, usize)> {
        let start = wanted.start.max(self.span.start);
        let end = wanted.end.min(self.span.end);
        (start < end).then(|| (start - self.span.start, end - start))
    }

    async fn made(&self) -> Result<Rc<T>, Error> {
        let making = self.making.borrow().clone();
        making.ok_or(Error::Misuse("a used-up batch"))?.await
    }

    async fn make(&self) -> Result<(), Error> {
        let making = self.making.borrow().clone();
        match making {
            Some(making) => making.await.map(drop),
            None => Ok(()),
        }
    }

    /// Counts lanes as used; with the last one the batch's memory goes to the next.
    fn used(&self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count));
        if self.left.get() > 0 {
            return;
        }
        let made = self.making.take().and_then(|making| making.peek().cloned());
        let reclaim = self.reclaim.take();
        if let Some(Ok(made)) = made
            && let (Some(made), Some(reclaim)) = (Rc::into_inner(made), reclaim)
        {
            reclaim(made);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// log2 of the bound on the leakage of one batch.
    fn leakage(shape: BatchShape) -> f64 {
        let bucket = shape.bucket as f64;
        -bucket - (bucket - 1.0) * (shape.triples as f64).log2()
    }

    /// Sets of two, eleven and forty parties in turn.
    fn sets(counts: &[usize]) -> impl Iterator<Item = (usize, usize)> + Clone {
        [2, 11, 40].into_iter().cycle().zip(counts.iter().copied())
    }

    #[test]
    fn the_leakage_of_all_batches_of_a_session_together_is_bounded() {
        let big = 3 * BATCH_TRIPLES + 1;
        let plans: [&[usize]; 8] = [
            &[],
            &[5],
            &[400_000],
            &[1, 1, 1],
            &[big],
            &[big, 1 << 24, 7],
            &[100; 1000],
            &[1 << 19, 1 << 19, 1 << 19, 1 << 20],
        ];
        for (rho, plan) in plans.iter().flat_map(|plan| [(40, plan), (62, plan)]) {
            let sharing = Sharing::new(rho, sets(plan));
            let shapes = sets(plan).flat_map(|(n, triples)| sharing.batches(n, triples));
            let total: f64 = shapes.map(|(_, shape)| leakage(shape).exp2()).sum();
            assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {plan:?}");
        }
    }

    #[test]
    fn what_is_made_ahead_and_what_a_plan_needs_beyond_it_share_the_bound() {
        let stocks: [&[usize]; 4] = [&[1], &[300_000, 9], &[1 << 20; 5], &[40; 64]];
        let rests: [&[usize]; 4] = [&[0], &[5, 700_000], &[1 << 22, 1], &[100; 300]];
        for (stock, rest) in stocks.iter().flat_map(|stock| rests.map(|rest| (*stock, rest))) {
            for rho in [40, 62] {
                let (ahead, after) =
                    (Sharing::ahead(rho, sets(stock)), Sharing::after(rho, sets(rest)));
                let made = sets(stock).flat_map(|(n, triples)| ahead.batches(n, triples));
                let more = sets(rest).flat_map(|(n, triples)| after.batches(n, triples));
                let total: f64 = made.chain(more).map(|(_, s)| leakage(s).exp2()).sum();
                assert!(total <= (1.0 + 1e-9) * (-f64::from(rho)).exp2(), "{rho} {stock:?}");
            }
        }
    }

    #[test]
    fn batches_serve_every_lane_once_and_buckets_stay_small() {
        let sharing = Sharing::new(40, [(2, BATCH_TRIPLES * 7)]);
        let mut next = 0;
        for (span, shape) in sharing.batches(2, BATCH_TRIPLES * 7) {
            assert_eq!(span.start, next);
            assert!(span.len() <= BATCH_TRIPLES_MAX && shape.triples >= span.len());
            assert!(shape.bucket == 3 || span.len() < BATCH_TRIPLES_MAX);
            next = span.end;
        }
        assert_eq!(next, BATCH_TRIPLES * 7);
        let one = Sharing::new(40, [(10, 400_000)]).batches(10, 400_000).collect::<Vec<_>>();
        assert_eq!(one, [(0..400_000, BatchShape { triples: 400_000, bucket: 3 })]);
    }

    #[test]
    fn leaky_triples_of_large_sets_take_a_gigabyte_at_most() {
        for parties in 2..=PartySet::MAX {
            let sharing = Sharing::new(40, [(parties, 1 << 24)]);
            for (_, shape) in sharing.batches(parties, 1 << 24) {
                let most = if parties <= PARTIES_OF_LARGE { 2 << 30 } else { 1 << 30 };
                assert!(shape.leaky() * (48 * parties + 8) <= most, "{parties}: {shape:?}");
                assert!(shape.bucket <= 4);
            }
        }
    }
}
