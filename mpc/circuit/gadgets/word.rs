//! A column of unsigned integers.

use crate::{BuildError, Builder, Lanes, MapId, PlaneId};

/// One unsigned integer per lane: plane k holds bit k. A word without bits is the integer 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Word {
    /// The planes, least significant first, all of `lanes` lanes.
    pub bits: Vec<PlaneId>,
    /// Lanes of every plane; needed for words without bits.
    pub lanes: Lanes,
}

impl Word {
    /// The word with these planes, least significant first.
    pub fn new(bits: Vec<PlaneId>, lanes: Lanes) -> Self {
        Self { bits, lanes }
    }

    /// The word of one bit.
    pub fn bit(plane: PlaneId, lanes: Lanes) -> Self {
        Self { bits: vec![plane], lanes }
    }

    /// Number of bits.
    pub fn width(&self) -> usize {
        self.bits.len()
    }

    /// `low` followed by `high`: high·2^width(low) + low. Ordering by it is ordering by `high`
    /// first.
    #[must_use]
    pub fn with_high(mut self, high: &Self) -> Self {
        self.bits.extend_from_slice(&high.bits);
        self
    }

    /// The `len` bits from bit `start` on, fewer at the end.
    #[must_use]
    pub fn bits_at(&self, start: usize, len: usize) -> Self {
        Self { bits: self.bits.iter().skip(start).take(len).copied().collect(), lanes: self.lanes }
    }

    pub(crate) fn plane(&self, at: usize) -> Option<PlaneId> {
        self.bits.get(at).copied()
    }
}

impl Builder {
    /// An input bundle of one word.
    pub fn input_word(&mut self, width: usize, lanes: Lanes) -> Word {
        Word::new(self.input(&vec![lanes; width]), lanes)
    }

    /// The same public integer, modulo 2^width, in every lane.
    pub fn constant_word(&mut self, value: u128, width: usize, lanes: Lanes) -> Word {
        let bit = |k: usize| k < 128 && value >> k & 1 == 1;
        Word::new((0..width).map(|k| self.constant(bit(k), lanes)).collect(), lanes)
    }

    /// The word with zero bits added or high bits dropped to make `width`.
    pub fn resize(&mut self, word: &Word, width: usize) -> Word {
        let zero = |b: &mut Self| b.constant(false, word.lanes);
        let bits = (0..width).map(|k| word.plane(k).unwrap_or_else(|| zero(self))).collect();
        Word::new(bits, word.lanes)
    }

    /// Bitwise exclusive or of words of one width. Free.
    pub fn xor_words(&mut self, left: &Word, right: &Word) -> Word {
        self.each_bit(left, right, Self::xor)
    }

    /// Every bit negated: the order of unsigned integers reversed. Free.
    pub fn not_word(&mut self, word: &Word) -> Word {
        Word::new(word.bits.iter().map(|bit| self.not(*bit)).collect(), word.lanes)
    }

    /// Gathers every plane. Free.
    pub fn gather_word(&mut self, word: &Word, map: MapId) -> Word {
        let bits = self.gather_all(&word.bits, map);
        let lanes = self.map_len(map);
        Word::new(bits, lanes)
    }

    /// Gathers every plane. Free.
    pub fn gather_all(&mut self, planes: &[PlaneId], map: MapId) -> Vec<PlaneId> {
        planes.iter().map(|plane| self.gather(*plane, map)).collect()
    }

    /// The lanes of words of one width, one after the other. Free.
    pub fn concat_words(&mut self, parts: &[&Word]) -> Word {
        let width = parts.first().map_or(0, |part| part.width());
        if let Some(other) = parts.iter().find(|part| part.width() != width) {
            self.fail(BuildError::WidthsDiffer { left: width, right: other.width() });
        }
        let lanes = parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.lanes));
        let plane = |b: &mut Self, k: usize| {
            let planes: Vec<_> = parts.iter().filter_map(|part| part.plane(k)).collect();
            b.concat(&planes)
        };
        Word::new((0..width).map(|k| plane(self, k)).collect(), lanes)
    }

    /// A binary operation on words of one width, bit by bit.
    pub(crate) fn each_bit(
        &mut self,
        left: &Word,
        right: &Word,
        mut operation: impl FnMut(&mut Self, PlaneId, PlaneId) -> PlaneId,
    ) -> Word {
        if left.width() != right.width() {
            self.fail(BuildError::WidthsDiffer { left: left.width(), right: right.width() });
        }
        let pairs = left.bits.iter().zip(&right.bits);
        let bits = pairs.map(|(l, r)| operation(self, *l, *r)).collect();
        Word::new(bits, left.lanes)
    }
}
