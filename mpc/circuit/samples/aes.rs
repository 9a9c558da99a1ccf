//! AES-128 (FIPS 197), byte-parallel: 6400 ANDs a block with its key schedule, 32 per S-box.

use crate::{Bits, Builder, Lanes, MapId, PlaneId, Word};
use Gate::{And, Xor};

const ROUNDS: usize = 10;

/// Encrypts `block` under `key`: words of 8 bits in which lane 16·n + i is byte i of block n, each
/// block with its own key.
pub fn aes128(b: &mut Builder, key: &Word, block: &Word) -> Word {
    let layout = Layout::new(b, block.lanes / 16);
    let mut key = key.clone();
    let mut state = b.xor_words(block, &key);
    for round in 1..=ROUNDS {
        key = layout.next_key(b, &key, round);
        let substituted = s_box(b, &state);
        let shifted = b.gather_word(&substituted, layout.shift_rows);
        let mixed = if round < ROUNDS { layout.mix_columns(b, &shifted) } else { shifted };
        state = b.xor_words(&mixed, &key);
    }
    state
}

/// The index maps for a number of blocks.
struct Layout {
    blocks: Lanes,
    shift_rows: MapId,
    /// Byte r of each column becomes byte r + 1, r + 2, r + 3 of it.
    rotations: [MapId; 3],
    /// The last column of each key, rotated by one byte.
    last_column: MapId,
    /// Each of four bytes, in all four columns.
    spread: MapId,
    /// Each column from 1, 2, 3 columns before; the lane past the end where there is none.
    columns_before: [MapId; 3],
}

impl Layout {
    fn new(b: &mut Builder, blocks: Lanes) -> Self {
        let mut map = |per_block: Lanes, source: &dyn Fn(Lanes, Lanes) -> Lanes| {
            let lanes = (0..blocks * per_block).map(|i| source(i / per_block, i % per_block));
            b.map(lanes.collect())
        };
        let shift_rows = map(16, &|n, i| 16 * n + (4 * (i / 4 + i % 4) + i % 4) % 16);
        let rotations = [1, 2, 3].map(|r| map(16, &|n, i| 16 * n + i / 4 * 4 + (i + r) % 4));
        let last_column = map(4, &|n, i| 16 * n + 12 + (i + 1) % 4);
        let spread = map(16, &|n, i| 4 * n + i % 4);
        let columns_before = [1, 2, 3]
            .map(|c| map(16, &|n, i| if i >= 4 * c { 16 * n + i - 4 * c } else { 16 * blocks }));
        Self { blocks, shift_rows, rotations, last_column, spread, columns_before }
    }

    fn mix_columns(&self, b: &mut Builder, state: &Word) -> Word {
        let [one, two, three] = self.rotations.map(|map| b.gather_word(state, map));
        let pair = b.xor_words(state, &one);
        let mut mixed = times_x(b, &pair);
        for term in [&one, &two, &three] {
            mixed = b.xor_words(&mixed, term);
        }
        mixed
    }

    fn next_key(&self, b: &mut Builder, key: &Word, round: usize) -> Word {
        let rotated = b.gather_word(key, self.last_column);
        let substituted = s_box(b, &rotated);
        // x^(round − 1) modulo x^8 + x^4 + x^3 + x + 1, in the first byte of each column.
        let power = (1..round).fold(1u8, |power, _| (power << 1) ^ ((power >> 7) * 0x1b));
        let first: Bits = (0..4 * self.blocks).map(|i| i % 4 == 0).collect();
        let first = b.public(&first);
        let mut added = substituted;
        for (at, bit) in added.bits.iter_mut().enumerate() {
            if power >> at & 1 == 1 {
                *bit = b.xor(*bit, first);
            }
        }
        let mut next = b.gather_word(&added, self.spread);
        next = b.xor_words(&next, key);
        let zero = b.constant_word(0, 8, 1);
        let padded = b.concat_words(&[key, &zero]);
        for map in self.columns_before {
            let earlier = b.gather_word(&padded, map);
            next = b.xor_words(&next, &earlier);
        }
        next
    }
}

/// Times x in GF(2^8).
fn times_x(b: &mut Builder, word: &Word) -> Word {
    let Some((top, low)) = word.bits.split_last() else { return word.clone() };
    let mut bits = vec![*top];
    for (at, bit) in low.iter().enumerate() {
        // The result's bits 1, 3 and 4 take the reduction.
        bits.push(if [0, 2, 3].contains(&at) { b.xor(*bit, *top) } else { *bit });
    }
    Word::new(bits, word.lanes)
}

/// The S-box by its straight-line program.
fn s_box(b: &mut Builder, word: &Word) -> Word {
    let mut wires: Vec<PlaneId> = word.bits.iter().rev().copied().collect();
    let wire = |wires: &[PlaneId], at: u8| {
        wires.get(usize::from(at)).copied().unwrap_or(PlaneId(u32::MAX))
    };
    for gate in &GATES {
        let next = match *gate {
            Xor(left, right) => b.xor(wire(&wires, left), wire(&wires, right)),
            And(left, right) => b.and(wire(&wires, left), wire(&wires, right)),
        };
        wires.push(next);
    }
    let mut bits: Vec<_> = OUTPUTS.iter().rev().map(|at| wire(&wires, *at)).collect();
    for (at, bit) in bits.iter_mut().enumerate() {
        if 0x63 >> at & 1 == 1 {
            *bit = b.not(*bit);
        }
    }
    Word::new(bits, word.lanes)
}

enum Gate {
    Xor(u8, u8),
    And(u8, u8),
}

/// Wires of the result without its constant 0x63, most significant first.
const OUTPUTS: [u8; 8] = [114, 121, 122, 118, 119, 120, 115, 116];

/// Boyar and Peralta, "A depth-16 circuit for the AES S-box" (2011), 32 ANDs. Wires 0 to 7 are the
/// input, most significant first; gate k drives wire 8 + k.
const GATES: [Gate; 115] = [
    Xor(3, 5),
    Xor(0, 6),
    Xor(0, 3),
    Xor(0, 5),
    Xor(1, 2),
    Xor(12, 7),
    Xor(13, 3),
    Xor(9, 8),
    Xor(13, 0),
    Xor(13, 6),
    Xor(17, 11),
    Xor(4, 15),
    Xor(19, 5),
    Xor(19, 1),
    Xor(20, 7),
    Xor(20, 12),
    Xor(21, 10),
    Xor(7, 24),
    Xor(23, 24),
    Xor(23, 11),
    Xor(12, 24),
    Xor(9, 28),
    Xor(0, 28),
    And(15, 20),
    And(18, 22),
    Xor(32, 31),
    And(14, 7),
    Xor(34, 31),
    And(9, 28),
    And(17, 13),
    Xor(37, 36),
    And(16, 25),
    Xor(39, 36),
    And(10, 24),
    And(8, 26),
    Xor(42, 41),
    And(11, 23),
    Xor(44, 41),
    Xor(33, 43),
    Xor(35, 45),
    Xor(38, 43),
    Xor(40, 45),
    Xor(46, 21),
    Xor(47, 27),
    Xor(48, 29),
    Xor(49, 30),
    Xor(50, 51),
    And(50, 52),
    Xor(53, 55),
    And(54, 56),
    Xor(57, 51),
    Xor(52, 53),
    Xor(51, 55),
    And(60, 59),
    Xor(61, 53),
    Xor(52, 62),
    Xor(56, 62),
    And(53, 64),
    Xor(65, 63),
    Xor(56, 65),
    And(58, 67),
    Xor(54, 68),
    Xor(69, 66),
    Xor(58, 62),
    Xor(58, 69),
    Xor(62, 66),
    Xor(71, 70),
    And(73, 20),
    And(66, 22),
    And(62, 7),
    And(72, 28),
    And(69, 13),
    And(58, 25),
    And(71, 24),
    And(74, 26),
    And(70, 23),
    And(73, 15),
    And(66, 18),
    And(62, 14),
    And(72, 9),
    And(69, 17),
    And(58, 16),
    And(71, 10),
    And(74, 8),
    And(70, 11),
    Xor(90, 91),
    Xor(85, 86),
    Xor(80, 88),
    Xor(84, 85),
    Xor(77, 87),
    Xor(77, 80),
    Xor(82, 83),
    Xor(75, 78),
    Xor(81, 82),
    Xor(91, 92),
    Xor(87, 95),
    Xor(97, 100),
    Xor(79, 93),
    Xor(78, 101),
    Xor(93, 104),
    Xor(89, 104),
    Xor(99, 105),
    Xor(96, 105),
    Xor(79, 106),
    Xor(108, 109),
    Xor(76, 110),
    Xor(106, 110),
    Xor(103, 109),
    Xor(95, 107),
    Xor(111, 112),
    Xor(100, 113),
    Xor(98, 113),
    Xor(94, 112),
    Xor(111, 118),
    Xor(102, 117),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(blocks: &[u128]) -> Bits {
        let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.to_be_bytes()).collect();
        (0..8).flat_map(|k| bytes.iter().map(move |byte| byte >> k & 1 == 1)).collect()
    }

    /// FIPS 197, appendices B and C.1.
    #[test]
    fn known_answers_of_two_blocks_at_once() {
        let keys = [0x2b7e151628aed2a6abf7158809cf4f3c, 0x000102030405060708090a0b0c0d0e0f];
        let blocks = [0x3243f6a8885a308d313198a2e0370734, 0x00112233445566778899aabbccddeeff];
        let answers = [0x3925841d02dc09fbdc118597196a0b32, 0x69c4e0d86a7b0430d8cdb78070b4c55a];
        let mut b = Builder::new();
        let (key, block) = (b.input_word(8, 32), b.input_word(8, 32));
        let out = aes128(&mut b, &key, &block);
        b.output(&out.bits);
        let program = b.finish().unwrap();
        assert_eq!(
            program.evaluate(&[bundle(&keys), bundle(&blocks)]).unwrap()[0],
            bundle(&answers)
        );
        assert_eq!(program.ands(), 2 * 6400);
    }
}
