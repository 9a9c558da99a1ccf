//! Packed bit vectors: the lanes of one plane in the clear, and bit strings on the wire.

/// A vector of bits, packed little-endian into 64-bit words; bits past `len` are zero.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

/// Never prints contents: a `Bits` may hold somebody's data.
impl std::fmt::Debug for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bits({} bits)", self.len)
    }
}

impl Bits {
    /// `len` copies of `bit`.
    pub fn repeat(bit: bool, len: usize) -> Self {
        let fill = if bit { u64::MAX } else { 0 };
        let mut bits = Self { words: vec![fill; len.div_ceil(64)], len };
        bits.clear_tail();
        bits
    }

    /// `len` zero bits.
    pub fn zeros(len: usize) -> Self {
        Self::repeat(false, len)
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`; false past the end.
    pub fn bit(&self, index: usize) -> bool {
        match self.words.get(index / 64) {
            Some(word) => word >> (index % 64) & 1 == 1,
            None => false,
        }
    }

    /// Sets bit `index`; out of range is ignored.
    pub fn set(&mut self, index: usize, bit: bool) {
        if index < self.len
            && let Some(word) = self.words.get_mut(index / 64)
        {
            let mask = 1u64 << (index % 64);
            *word = (*word & !mask) | (u64::from(bit) << (index % 64));
        }
    }

    /// Appends one bit.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        let last = self.len - 1;
        self.set(last, bit);
    }

    /// Appends all bits of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        let shift = self.len % 64;
        if shift == 0 {
            self.words.extend_from_slice(&other.words);
        } else {
            for &word in &other.words {
                if let Some(last) = self.words.last_mut() {
                    *last |= word << shift;
                }
                self.words.push(word >> (64 - shift));
            }
        }
        self.len += other.len;
        self.words.resize(self.len.div_ceil(64), 0);
        self.clear_tail();
    }

    /// The bits `start .. start + len`, zero-padded past the end.
    pub fn slice(&self, start: usize, len: usize) -> Self {
        let (first, shift) = (start / 64, start % 64);
        let word = |k: usize| self.words.get(k).copied().unwrap_or(0);
        let words = (0..len.div_ceil(64))
            .map(|k| {
                let low = word(first + k) >> shift;
                if shift == 0 { low } else { low | word(first + k + 1) << (64 - shift) }
            })
            .collect();
        let mut bits = Self { words, len };
        bits.clear_tail();
        bits
    }

    /// The bits in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        let bits = |word: &u64| {
            let word = *word;
            (0..64).map(move |t| word >> t & 1 == 1)
        };
        self.words.iter().flat_map(bits).take(self.len)
    }

    /// The packed words, little-endian.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// From packed words; missing words are zero, spare bits are cleared.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        let mut bits = Self { words, len };
        bits.clear_tail();
        bits
    }

    /// `⌈len/8⌉` bytes, little-endian within and across bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// Inverse of [`Bits::to_bytes`]: `None` unless `bytes` has exactly `⌈len/8⌉` bytes and zero
    /// spare bits, so that one bit string has one encoding.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0u8; 8];
                word.iter_mut().zip(chunk).for_each(|(w, b)| *w = *b);
                u64::from_le_bytes(word)
            })
            .collect();
        let bits = Self { words, len };
        let mut canonical = bits.clone();
        canonical.clear_tail();
        (canonical == bits).then_some(bits)
    }

    /// XOR of another vector of the same length into this one.
    pub fn xor_assign(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a ^= b);
        self.clear_tail();
    }

    /// Number of ones.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= u64::MAX >> (64 - self.len % 64);
        }
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut bits = bits.into_iter();
        let mut out = Self::default();
        loop {
            let (mut word, mut len) = (0, 0);
            for bit in bits.by_ref().take(64) {
                word |= u64::from(bit) << len;
                len += 1;
            }
            if len > 0 {
                out.words.push(word);
                out.len += len;
            }
            if len < 64 {
                return out;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_around_word_borders() {
        for len in [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000] {
            let bits: Bits = (0..len).map(|i| i * i % 7 < 3).collect();
            assert_eq!(Bits::from_bytes(&bits.to_bytes(), len), Some(bits.clone()));
            assert_eq!(bits.count_ones(), bits.iter().filter(|b| *b).count());
        }
    }

    #[test]
    fn spare_bits_are_refused() {
        assert_eq!(Bits::from_bytes(&[0b1000_0000], 7), None);
        assert_eq!(Bits::from_bytes(&[0, 0], 7), None);
    }

    #[test]
    fn extend_and_slice_agree_with_iteration() {
        for (a, b) in [(0, 5), (3, 64), (64, 64), (65, 130), (127, 1)] {
            let x: Bits = (0..a).map(|i| i % 3 == 0).collect();
            let y: Bits = (0..b).map(|i| i % 5 < 2).collect();
            let mut both = x.clone();
            both.extend_from(&y);
            assert_eq!(both, x.iter().chain(y.iter()).collect());
            assert_eq!(both.slice(a, b), y);
        }
    }
}
