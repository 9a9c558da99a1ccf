//! Walking a program plane by plane. Shares of masks, zero labels, active labels and masked values
//! all follow XOR, NOT, gathers and concatenations locally; only AND needs more. A walk holds live
//! planes only: a plane is dropped after its last reader.

use super::evaluator::Active;
use crate::auth::{AuthBits, Member};
use crate::error::Error;
use crate::stage::Lanes;
use senate_block::Block;
use senate_circuit::{Bits, Drops, Instruction, PlaneId, Program};
use std::rc::Rc;
use zeroize::Zeroize;

/// How one kind of wire value follows the instructions that cost nothing.
pub(crate) trait Algebra {
    /// The values of all lanes of a plane.
    type Plane;
    /// A public bit in every lane.
    fn constant(&self, bit: bool, lanes: usize) -> Self::Plane;
    /// Lane-wise exclusive or.
    fn xor(&self, left: &Self::Plane, right: &Self::Plane) -> Self::Plane;
    /// Lane-wise negation.
    fn not(&self, plane: &Rc<Self::Plane>) -> Rc<Self::Plane>;
    /// Lane i of the result is lane `map[i]`.
    fn gather(&self, plane: &Self::Plane, map: &[u32]) -> Self::Plane;
    /// All lanes of all parts.
    fn concat(&self, parts: &[Rc<Self::Plane>]) -> Self::Plane;
    /// The lanes `start .. start + len`.
    fn slice(&self, plane: &Self::Plane, start: usize, len: usize) -> Self::Plane;
    /// Zeroises a plane that nobody holds any more.
    fn wipe(plane: &mut Self::Plane);
}

/// The live planes of one kind of value while a program is walked.
pub(crate) struct Walk<A: Algebra> {
    algebra: A,
    planes: Vec<Option<Rc<A::Plane>>>,
    /// The first lanes of the one plane that is made in several parts.
    parts: Vec<Option<Rc<A::Plane>>>,
}

impl<A: Algebra> Walk<A> {
    /// Before the first instruction of `program`.
    pub(crate) fn new(algebra: A, program: &Program) -> Self {
        let planes = program.instructions.iter().map(|_| None).collect();
        Self { algebra, planes, parts: Vec::new() }
    }

    /// Gives the planes of input bundle `bundle` their values, concatenated in `wires`.
    pub(crate) fn enter(&mut self, program: &Program, bundle: usize, wires: &A::Plane) {
        let mut start = 0;
        for plane in program.inputs.get(bundle).into_iter().flat_map(|bundle| &bundle.planes) {
            let lanes = program.lanes_of(*plane);
            self.set(*plane, Rc::new(self.algebra.slice(wires, start, lanes)));
            start += lanes;
        }
    }

    /// Sets the value of a plane.
    pub(crate) fn set(&mut self, plane: PlaneId, value: Rc<A::Plane>) {
        self.planes.get_mut(plane.0 as usize).into_iter().for_each(|s| *s = Some(value.clone()));
    }

    /// Sets some lanes of a plane, which come in order; the plane is live with the last of them.
    pub(crate) fn put(&mut self, plane: PlaneId, lanes: Lanes, value: A::Plane) {
        if lanes.whole() {
            self.set(plane, Rc::new(value));
            return;
        }
        self.parts.push(Some(Rc::new(value)));
        if lanes.last() {
            let parts: Vec<_> = self.parts.iter().flatten().cloned().collect();
            self.set(plane, Rc::new(self.algebra.concat(&parts)));
            drop(parts);
            self.parts.iter_mut().for_each(wipe::<A>);
            self.parts.clear();
        }
    }

    /// Some lanes of a live plane.
    ///
    /// # Errors
    /// As [`Walk::at`].
    pub(crate) fn part(&self, plane: PlaneId, lanes: Lanes) -> Result<Rc<A::Plane>, Error> {
        let all = self.at(plane)?;
        match lanes.whole() {
            true => Ok(all),
            false => Ok(Rc::new(self.algebra.slice(&all, lanes.start, lanes.len))),
        }
    }

    /// The value of a live plane.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the plane is not live: the program is malformed.
    pub(crate) fn at(&self, plane: PlaneId) -> Result<Rc<A::Plane>, Error> {
        let live = self.planes.get(plane.0 as usize).and_then(Option::as_ref);
        live.cloned().ok_or(Error::Misuse("the program reads a plane that does not exist yet"))
    }

    /// Performs instruction `at` unless it is an input or an AND, whose values the caller sets.
    ///
    /// # Errors
    /// As [`Walk::at`].
    pub(crate) fn step(&mut self, program: &Program, at: usize) -> Result<(), Error> {
        let plane = PlaneId(at as u32);
        let value = match program.instructions.get(at) {
            None | Some(Instruction::Input | Instruction::And(..)) => return Ok(()),
            Some(Instruction::Constant(bit)) => {
                Rc::new(self.algebra.constant(*bit, program.lanes_of(plane)))
            }
            Some(Instruction::Xor(a, b)) => {
                Rc::new(self.algebra.xor(&*self.at(*a)?, &*self.at(*b)?))
            }
            Some(Instruction::Not(a)) => self.algebra.not(&self.at(*a)?),
            Some(Instruction::Gather(a, map)) => {
                let map = program.maps.get(map.0 as usize).map(Vec::as_slice).unwrap_or_default();
                Rc::new(self.algebra.gather(&*self.at(*a)?, map))
            }
            Some(Instruction::Concat(parts)) => {
                let parts = parts.iter().map(|part| self.at(*part)).collect::<Result<Vec<_>, _>>();
                Rc::new(self.algebra.concat(&parts?))
            }
        };
        self.set(plane, value);
        Ok(())
    }

    /// Forgets the planes that nobody reads after instruction `at`.
    pub(crate) fn drop_after(&mut self, drops: &Drops, at: usize) {
        for plane in drops.after(at) {
            self.planes.get_mut(plane.0 as usize).into_iter().for_each(wipe::<A>);
        }
    }

    /// The wires of output bundle `bundle`, concatenated.
    ///
    /// # Errors
    /// As [`Walk::at`].
    pub(crate) fn output(&self, program: &Program, bundle: usize) -> Result<A::Plane, Error> {
        let planes = program.outputs.get(bundle).into_iter().flat_map(|bundle| &bundle.planes);
        let planes = planes.map(|plane| self.at(*plane)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.algebra.concat(&planes))
    }
}

impl<A: Algebra> Drop for Walk<A> {
    fn drop(&mut self) {
        self.planes.iter_mut().chain(&mut self.parts).for_each(wipe::<A>);
    }
}

fn wipe<A: Algebra>(slot: &mut Option<Rc<A::Plane>>) {
    if let Some(mut plane) = slot.take()
        && let Some(plane) = Rc::get_mut(&mut plane)
    {
        A::wipe(plane);
    }
}

/// ⟨λ⟩: a constant has λ = 0, NOT leaves λ alone (it changes Λ and L_0).
pub(crate) struct Masks(pub(crate) Member);

impl Algebra for Masks {
    type Plane = AuthBits;

    fn constant(&self, _: bool, lanes: usize) -> AuthBits {
        AuthBits::zeros(&self.0, lanes)
    }

    fn xor(&self, left: &AuthBits, right: &AuthBits) -> AuthBits {
        let mut sum = left.clone();
        sum.xor_assign(right);
        sum
    }

    fn not(&self, plane: &Rc<AuthBits>) -> Rc<AuthBits> {
        plane.clone()
    }

    fn gather(&self, plane: &AuthBits, map: &[u32]) -> AuthBits {
        plane.gather(map)
    }

    fn concat(&self, parts: &[Rc<AuthBits>]) -> AuthBits {
        let lanes = parts.iter().map(|part| part.len()).sum();
        let mut all = AuthBits::with_room(&self.0, lanes);
        parts.iter().for_each(|part| all.append(part));
        all
    }

    fn slice(&self, plane: &AuthBits, start: usize, len: usize) -> AuthBits {
        plane.slice(start, len)
    }

    fn wipe(plane: &mut AuthBits) {
        plane.planes_mut().for_each(Zeroize::zeroize);
    }
}

/// L_0 of a garbler with this Δ: the constant 0 has L_0 = 0, NOT adds Δ. So the active label of a
/// constant is always 0.
pub(crate) struct ZeroLabels(pub(crate) Block);

impl Algebra for ZeroLabels {
    type Plane = Vec<Block>;

    fn constant(&self, bit: bool, lanes: usize) -> Vec<Block> {
        vec![self.0.times(bit); lanes]
    }

    fn xor(&self, left: &Vec<Block>, right: &Vec<Block>) -> Vec<Block> {
        xor(left, right)
    }

    fn not(&self, plane: &Rc<Vec<Block>>) -> Rc<Vec<Block>> {
        Rc::new(plane.iter().map(|label| *label ^ self.0).collect())
    }

    fn gather(&self, plane: &Vec<Block>, map: &[u32]) -> Vec<Block> {
        gather(plane, map)
    }

    fn concat(&self, parts: &[Rc<Vec<Block>>]) -> Vec<Block> {
        parts.iter().flat_map(|part| part.iter().copied()).collect()
    }

    fn slice(&self, plane: &Vec<Block>, start: usize, len: usize) -> Vec<Block> {
        slice(plane, start, len)
    }

    fn wipe(plane: &mut Vec<Block>) {
        plane.zeroize();
    }
}

/// Active labels of this many garblers: constants have the label 0, NOT changes nothing.
pub(crate) struct ActiveLabels(pub(crate) usize);

impl Algebra for ActiveLabels {
    type Plane = Active;

    fn constant(&self, _: bool, lanes: usize) -> Active {
        vec![vec![Block::ZERO; lanes]; self.0]
    }

    fn xor(&self, left: &Active, right: &Active) -> Active {
        left.iter().zip(right).map(|(left, right)| xor(left, right)).collect()
    }

    fn not(&self, plane: &Rc<Active>) -> Rc<Active> {
        plane.clone()
    }

    fn gather(&self, plane: &Active, map: &[u32]) -> Active {
        plane.iter().map(|labels| gather(labels, map)).collect()
    }

    fn concat(&self, parts: &[Rc<Active>]) -> Active {
        let of = |rank: usize| parts.iter().filter_map(move |part| part.get(rank)).flatten();
        (0..self.0).map(|rank| of(rank).copied().collect()).collect()
    }

    fn slice(&self, plane: &Active, start: usize, len: usize) -> Active {
        plane.iter().map(|labels| slice(labels, start, len)).collect()
    }

    fn wipe(plane: &mut Active) {
        plane.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Λ, public in the stage and nothing to wipe: a constant is its own Λ, NOT negates.
pub(crate) struct Masked;

impl Algebra for Masked {
    type Plane = Bits;

    fn constant(&self, bit: bool, lanes: usize) -> Bits {
        Bits::repeat(bit, lanes)
    }

    fn xor(&self, left: &Bits, right: &Bits) -> Bits {
        let mut sum = left.clone();
        sum.xor_assign(right);
        sum
    }

    fn not(&self, plane: &Rc<Bits>) -> Rc<Bits> {
        let words = plane.words().iter().map(|word| !word).collect();
        Rc::new(Bits::from_words(words, plane.len()))
    }

    fn gather(&self, plane: &Bits, map: &[u32]) -> Bits {
        let word = |lanes: &[u32]| {
            lanes
                .iter()
                .rev()
                .fold(0, |word, lane| word << 1 | u64::from(plane.bit(*lane as usize)))
        };
        Bits::from_words(map.chunks(64).map(word).collect(), map.len())
    }

    fn concat(&self, parts: &[Rc<Bits>]) -> Bits {
        let mut all = Bits::default();
        parts.iter().for_each(|part| all.extend_from(part));
        all
    }

    fn slice(&self, plane: &Bits, start: usize, len: usize) -> Bits {
        plane.slice(start, len)
    }

    fn wipe(_: &mut Bits) {}
}

fn xor(left: &[Block], right: &[Block]) -> Vec<Block> {
    left.iter().zip(right).map(|(left, right)| *left ^ *right).collect()
}

fn slice(plane: &[Block], start: usize, len: usize) -> Vec<Block> {
    let lanes = plane.get(start..).unwrap_or_default();
    lanes.get(..len).unwrap_or(lanes).to_vec()
}

fn gather(plane: &[Block], map: &[u32]) -> Vec<Block> {
    map.iter().map(|lane| plane.get(*lane as usize).copied().unwrap_or_default()).collect()
}
