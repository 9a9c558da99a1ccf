//! The canonical bytes of a program, which parties hash to agree on a circuit.

use crate::{Bundle, Instruction, Program};

impl Program {
    /// Feeds the canonical encoding to `sink` piece by piece, for a hash. Injective: two programs
    /// with the same bytes are equal. All numbers are little-endian; lists are length-prefixed.
    pub fn encode(&self, mut sink: impl FnMut(&[u8])) {
        sink(b"senate circuit 1");
        put_len(&mut sink, self.instructions.len());
        for instruction in &self.instructions {
            put_instruction(&mut sink, instruction);
        }
        put_words(&mut sink, &self.lanes);
        put_len(&mut sink, self.maps.len());
        self.maps.iter().for_each(|map| put_words(&mut sink, map));
        put_bundles(&mut sink, &self.inputs);
        put_bundles(&mut sink, &self.outputs);
    }

    /// The canonical encoding as one vector.
    pub fn digest_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(|piece| bytes.extend_from_slice(piece));
        bytes
    }
}

fn put_instruction(sink: &mut impl FnMut(&[u8]), instruction: &Instruction) {
    let mut put = |kind: u8, a: u32, b: u32| {
        let mut bytes = [kind; 9];
        let (numbers, low) = (&mut bytes[1..], a.to_le_bytes());
        numbers
            .iter_mut()
            .zip(low.iter().chain(&b.to_le_bytes()))
            .for_each(|(to, from)| *to = *from);
        sink(&bytes);
    };
    match instruction {
        Instruction::Input => put(0, 0, 0),
        Instruction::Constant(bit) => put(1, u32::from(*bit), 0),
        Instruction::Xor(left, right) => put(2, left.0, right.0),
        Instruction::And(left, right) => put(3, left.0, right.0),
        Instruction::Not(plane) => put(4, plane.0, 0),
        Instruction::Gather(plane, map) => put(5, plane.0, map.0),
        Instruction::Concat(parts) => {
            put(6, 0, 0);
            put_len(sink, parts.len());
            parts.iter().for_each(|part| sink(&part.0.to_le_bytes()));
        }
    }
}

fn put_len(sink: &mut impl FnMut(&[u8]), len: usize) {
    sink(&(len as u64).to_le_bytes());
}

fn put_words(sink: &mut impl FnMut(&[u8]), words: &[u32]) {
    put_len(sink, words.len());
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    sink(&bytes);
}

fn put_bundles(sink: &mut impl FnMut(&[u8]), bundles: &[Bundle]) {
    put_len(sink, bundles.len());
    for bundle in bundles {
        let planes: Vec<u32> = bundle.planes.iter().map(|plane| plane.0).collect();
        put_words(sink, &planes);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Program};

    fn circuit(second: bool) -> Program {
        let mut b = Builder::new();
        let x = b.input(&[3, 3]);
        let map = b.map(vec![2, 0]);
        let a = b.and(x[0], x[1]);
        let picked = b.gather(if second { x[1] } else { a }, map);
        let joined = b.concat(&[picked, x[0]]);
        b.output(&[joined]);
        b.finish().unwrap()
    }

    #[test]
    fn equal_calls_give_equal_bytes_and_others_differ() {
        assert_eq!(circuit(false).digest_bytes(), circuit(false).digest_bytes());
        assert_ne!(circuit(false).digest_bytes(), circuit(true).digest_bytes());
    }

    #[test]
    fn lanes_and_bundles_are_bound() {
        let program = circuit(false);
        let mut other = program.clone();
        other.outputs.push(Default::default());
        assert_ne!(program.digest_bytes(), other.digest_bytes());
        other = program.clone();
        other.maps[0].swap(0, 1);
        assert_ne!(program.digest_bytes(), other.digest_bytes());
    }
}
