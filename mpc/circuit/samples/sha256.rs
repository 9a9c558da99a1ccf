//! SHA-256's compression function (FIPS 180-4), one block per lane.

use crate::{Builder, Word};

/// The hash value that the first block starts from.
pub const SHA256_START: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// The hash value after one more block of sixteen big-endian words; all words have 32 bits. 22 632
/// ANDs at most.
pub fn sha256_block(b: &mut Builder, hash: &[Word; 8], block: &[Word; 16]) -> [Word; 8] {
    let lanes = hash.first().map_or(0, |word| word.lanes);
    let schedule = schedule(b, block);
    let mut state = hash.clone();
    for (constant, word) in ROUND_CONSTANTS.iter().zip(&schedule) {
        let constant = b.constant_word(u128::from(*constant), 32, lanes);
        let word = b.add(word, &constant);
        state = round(b, &state, &word);
    }
    let mut sums = hash.iter().zip(&state);
    state.clone().map(|word| sums.next().map_or(word, |(old, new)| b.add(old, new)))
}

fn schedule(b: &mut Builder, block: &[Word; 16]) -> Vec<Word> {
    let mut words: Vec<Word> = block.to_vec();
    while let [.., w16, w15, _, _, _, _, _, _, _, w7, _, _, _, _, w2, _] = words.as_slice() {
        if words.len() == 64 {
            break;
        }
        let low = mixed(b, w15, [(7, Cyclic), (18, Cyclic), (3, Shifted)]);
        let high = mixed(b, w2, [(17, Cyclic), (19, Cyclic), (10, Shifted)]);
        let sum = b.add(w16, w7);
        let sum = b.add(&sum, &low);
        words.push(b.add(&sum, &high));
    }
    words
}

fn round(b: &mut Builder, state: &[Word; 8], word: &Word) -> [Word; 8] {
    let [a, bb, c, d, e, f, g, h] = state;
    let sigma = mixed(b, e, [(6, Cyclic), (11, Cyclic), (25, Cyclic)]);
    let choice = choose(b, e, f, g);
    let sum = b.add(h, word);
    let sum = b.add(&sum, &choice);
    let first = b.add(&sum, &sigma);
    let sigma = mixed(b, a, [(2, Cyclic), (13, Cyclic), (22, Cyclic)]);
    let majority = majority(b, a, bb, c);
    let second = b.add(&sigma, &majority);
    let (new_a, new_e) = (b.add(&first, &second), b.add(d, &first));
    [new_a, a.clone(), bb.clone(), c.clone(), new_e, e.clone(), f.clone(), g.clone()]
}

fn choose(b: &mut Builder, condition: &Word, then: &Word, otherwise: &Word) -> Word {
    let differ = b.xor_words(then, otherwise);
    let change = b.each_bit(condition, &differ, Builder::and);
    b.xor_words(otherwise, &change)
}

fn majority(b: &mut Builder, x: &Word, y: &Word, z: &Word) -> Word {
    let (xz, yz) = (b.xor_words(x, z), b.xor_words(y, z));
    let both = b.each_bit(&xz, &yz, Builder::and);
    b.xor_words(z, &both)
}

#[derive(Clone, Copy)]
enum Turn {
    Cyclic,
    Shifted,
}
use Turn::{Cyclic, Shifted};

/// The exclusive or of three turns to the right.
fn mixed(b: &mut Builder, word: &Word, turns: [(usize, Turn); 3]) -> Word {
    let [first, second, third] = turns.map(|(by, turn)| match turn {
        Cyclic => word.bits_at(by, 32).with_high(&word.bits_at(0, by)),
        Shifted => {
            let shifted = word.bits_at(by, 32);
            b.resize(&shifted, 32)
        }
    });
    let two = b.xor_words(&first, &second);
    b.xor_words(&two, &third)
}

const ROUND_CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::check::pack;
    use crate::{Bits, Program};

    fn circuit(lanes: u32) -> Program {
        let mut b = Builder::new();
        let hash = SHA256_START.map(|word| b.constant_word(u128::from(word), 32, lanes));
        let block = [0; 16].map(|_| b.input_word(32, lanes));
        let out = sha256_block(&mut b, &hash, &block);
        let planes: Vec<_> = out.iter().flat_map(|word| word.bits.clone()).collect();
        b.output(&planes);
        b.finish().unwrap()
    }

    /// The padded block of a message below 56 bytes.
    fn padded(message: &[u8]) -> [u32; 16] {
        let mut bytes = [0u8; 64];
        bytes[..message.len()].copy_from_slice(message);
        bytes[message.len()] = 0x80;
        bytes[56..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
        std::array::from_fn(|k| {
            u32::from_be_bytes([bytes[4 * k], bytes[4 * k + 1], bytes[4 * k + 2], bytes[4 * k + 3]])
        })
    }

    /// FIPS 180-4's "abc", and the empty message.
    #[test]
    fn known_answers_of_two_blocks_at_once() {
        let program = circuit(2);
        let blocks = [padded(b"abc"), padded(b"")];
        let word = |k: usize| pack(&[u128::from(blocks[0][k]), u128::from(blocks[1][k])], 32);
        let inputs: Vec<Bits> = (0..16).map(word).collect();
        let out = program.evaluate(&inputs).unwrap().remove(0);
        let value = |at: usize, lane: usize| {
            (0..32)
                .rev()
                .fold(0u32, |sum, k| sum << 1 | u32::from(out.bit((32 * at + k) * 2 + lane)))
        };
        let abc = [
            0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61,
            0xf20015ad,
        ];
        let empty = [
            0xe3b0c442, 0x98fc1c14, 0x9afbf4c8, 0x996fb924, 0x27ae41e4, 0x649b934c, 0xa495991b,
            0x7852b855,
        ];
        for k in 0..8 {
            assert_eq!((value(k, 0), value(k, 1)), (abc[k], empty[k]));
        }
        assert!(program.ands() <= 2 * 22_632);
    }
}
