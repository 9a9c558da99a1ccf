//! The fixed-key AES-128 permutation over slices.

use crate::Block;
use aes::Aes128Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, consts::U16};

/// Blocks per call at which the widest backend of the `aes` crate runs at full speed.
pub(crate) const BATCH: usize = 64;
/// Below this many left-over blocks, one at a time is cheaper than a padded batch.
const SINGLES_MAX: usize = 8;

/// π_k: AES-128 under one key, expanded once. Round keys are zeroised on drop.
pub struct FixedKey(Aes128Enc);

impl FixedKey {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        Self(Aes128Enc::new(&Array::from(key.to_bytes())))
    }

    /// Replaces every block x by π_k(x).
    pub fn permute(&self, blocks: &mut [Block]) {
        let (batches, tail) = blocks.split_at_mut(blocks.len() / BATCH * BATCH);
        if !batches.is_empty() {
            self.0.encrypt_blocks(as_arrays(batches));
        }
        if tail.len() > SINGLES_MAX {
            let mut padded = [Block::ZERO; BATCH];
            padded[..tail.len()].copy_from_slice(tail);
            self.0.encrypt_blocks(as_arrays(&mut padded));
            tail.copy_from_slice(&padded[..tail.len()]);
        } else if !tail.is_empty() {
            self.0.encrypt_blocks(as_arrays(tail));
        }
    }
}

fn as_arrays(blocks: &mut [Block]) -> &mut [Array<u8, U16>] {
    Array::cast_slice_from_core_mut(bytemuck::cast_slice_mut::<Block, [u8; 16]>(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    #[test]
    fn known_answer_of_fips_197() {
        let key = Block::from_bytes(std::array::from_fn(|i| i as u8));
        let mut block = [Block::from_bytes(std::array::from_fn(|i| (i * 0x11) as u8))];
        FixedKey::new(key).permute(&mut block);
        let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128;
        assert_eq!(block[0].to_bytes(), expected.to_be_bytes());
    }

    #[test]
    fn batches_agree_with_single_blocks() {
        let pi = FixedKey::new(Block(7));
        for len in LADDER {
            let mut batch = noise(1, len);
            let mut single = batch.clone();
            pi.permute(&mut batch);
            single.chunks_mut(1).for_each(|block| pi.permute(block));
            assert!(batch == single, "{len}");
        }
    }
}
