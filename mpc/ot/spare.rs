//! Memory of extensions that are done with: fresh pages cost more than filling them.

use senate_block::Block;
use std::cell::RefCell;
use zeroize::{Zeroize, Zeroizing};

/// Buffers kept at most, for all instances of a party together.
const KEPT: usize = 256;

/// Buffers of blocks whose contents do not matter any more; zeroised when the session ends.
#[derive(Default)]
pub(super) struct Spare(RefCell<Vec<Vec<Block>>>);

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spare({} buffers)", self.0.borrow().len())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.get_mut().iter_mut().for_each(Zeroize::zeroize);
    }
}

impl Spare {
    /// `len` blocks, to be overwritten.
    pub(super) fn take(&self, len: usize) -> Zeroizing<Vec<Block>> {
        let mut buffer = self.0.borrow_mut().pop().unwrap_or_default();
        if buffer.is_empty() {
            buffer = bytemuck::allocation::zeroed_vec(len);
        }
        buffer.resize(len, Block::ZERO);
        Zeroizing::new(buffer)
    }

    /// Keeps `buffer`.
    pub(super) fn put(&self, mut buffer: Vec<Block>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT && !buffer.is_empty() {
            kept.push(buffer);
        } else {
            buffer.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_comes_back_at_any_length() {
        let spare = Spare::default();
        for len in [3, 5, 2, 4] {
            let mut buffer = spare.take(len);
            assert_eq!(buffer.len(), len);
            spare.put(std::mem::take(&mut *buffer));
            assert_eq!(spare.0.borrow().len(), 1);
        }
    }
}
