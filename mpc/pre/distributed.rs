//! Preprocessing by the parties themselves, batch by batch, shared by all stages of a party set.

use super::batch::{mask_batch, triple_batch};
use super::stock::Stocked;
use super::{Lent, Preprocessing, Triples};
use crate::auth::AuthBits;
use crate::error::Error;
use crate::mesh::Lane;
use crate::ot::CotSource;
use crate::session::Session;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use senate_circuit::{PartySet, Sharing, StageId, masks_per_batch};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

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
        for span in split(masks.saturating_sub(masks_from), masks_per_batch(set.len())) {
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

    async fn triples(&mut self, count: usize) -> Result<Lent, Error> {
        let wanted = claim(&mut self.left.triples, count)?;
        let (mut a, mut b, mut c) = (AuthBits::default(), AuthBits::default(), AuthBits::default());
        for (number, batch) in self.supply.shelf.triples.iter().enumerate() {
            let Some((start, part)) = batch.overlap(&wanted) else { continue };
            let triples = batch.made().await?;
            let shelf = Rc::clone(&self.supply.shelf);
            let back = Back { shelf, number, count: part };
            if part == count {
                let (lanes, back) = (start..start + count, Some(Box::new(back) as _));
                return Ok(Lent { triples, lanes, _back: back });
            }
            // What comes from several batches is copied: the next one needs the memory.
            a.append_lanes(&triples.a, start, part);
            b.append_lanes(&triples.b, start, part);
            c.append_lanes(&triples.c, start, part);
            drop(triples);
            drop(back);
        }
        Ok(Triples { a, b, c }.into())
    }
}

/// Lanes of a batch of triples that are lent: used when this is dropped.
struct Back {
    shelf: Rc<Shelf>,
    number: usize,
    count: usize,
}

impl Drop for Back {
    fn drop(&mut self) {
        if let Some(batch) = self.shelf.triples.get(self.number) {
            batch.used(self.count);
        }
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
