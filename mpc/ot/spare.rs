//! Memory of batches that are done with: fresh pages cost more than filling them.

use senate_block::Block;
use std::cell::RefCell;
use zeroize::Zeroize;

/// Buffers kept at most.
const KEPT: usize = 256;

/// Buffers of blocks whose contents do not matter any more; zeroised when the session ends.
#[derive(Default)]
pub(crate) struct Spare(RefCell<Vec<Vec<Block>>>);

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spare({} buffers)", self.0.borrow().len())
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.get_mut().iter_mut().for_each(|buffer| wipe(buffer));
    }
}

impl Spare {
    /// `len` blocks, to be overwritten, in the smallest buffer that has room for them and not more than
    /// twice as much. Without one, a smaller one of more than half the length makes place: there are
    /// hardly more buffers of one size than were needed at a time. What a shorter use would leave
    /// behind its end is wiped.
    pub(crate) fn take(&self, len: usize) -> Vec<Block> {
        let mut kept = self.0.borrow_mut();
        let sizes = || kept.iter().map(Vec::capacity).enumerate();
        let fits = |size: usize| size >= len && size <= len.saturating_mul(2);
        let fit = sizes().filter(|(_, size)| fits(*size)).min_by_key(|(_, size)| *size);
        if let Some((at, _)) = fit {
            let mut buffer = kept.swap_remove(at);
            if let Some(rest) = buffer.get_mut(len..) {
                rest.zeroize();
            }
            buffer.resize(len, Block::ZERO);
            return buffer;
        }
        if let Some((at, _)) = sizes().find(|(_, size)| *size > len / 2 && *size < len) {
            wipe(&mut kept.swap_remove(at));
        }
        bytemuck::allocation::zeroed_vec(len)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Gives all that is kept back to the system: what comes next needs other sizes, or little.
    pub(crate) fn release(&self) {
        self.0.borrow_mut().drain(..).for_each(|mut buffer| wipe(&mut buffer));
    }

    /// Keeps `buffer`.
    pub(crate) fn put(&self, mut buffer: Vec<Block>) {
        // What was split off or cut off still lies behind the end.
        buffer.resize(buffer.capacity(), Block::ZERO);
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT && !buffer.is_empty() {
            kept.push(buffer);
        } else {
            wipe(&mut buffer);
        }
    }
}

/// Zeroises what is in use, faster than a vector as a whole; [`Spare::put`] leaves nothing behind it.
fn wipe(buffer: &mut [Block]) {
    buffer.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_comes_back_at_any_length_that_it_has_room_for() {
        let spare = Spare::default();
        let sizes = || {
            let mut sizes: Vec<_> = spare.0.borrow().iter().map(Vec::capacity).collect();
            sizes.sort_unstable();
            sizes
        };
        let (small, large) = (spare.take(3), spare.take(50));
        spare.put(large);
        spare.put(small);
        for (len, left) in [(2, [50]), (3, [50]), (25, [3]), (50, [3])] {
            let buffer = spare.take(len);
            assert_eq!((buffer.len(), sizes()), (len, left.to_vec()));
            spare.put(buffer);
            assert_eq!(sizes(), [3, 50]);
        }
        // What is far too large is left where it is.
        assert_eq!((spare.take(4).capacity(), sizes()), (4, vec![50]));
        spare.put(spare.take(3));
        // A longer one takes the place of one of its kind.
        assert_eq!(sizes(), [3, 50]);
        let longer = spare.take(60);
        spare.put(longer);
        assert_eq!(sizes(), [3, 60]);
        spare.put(spare.take(200));
        assert_eq!(sizes(), [3, 60, 200]);
        spare.release();
        assert_eq!(sizes(), []);
    }

    #[test]
    fn nothing_is_left_behind_the_end_of_a_shorter_use() {
        let spare = Spare::default();
        spare.put(vec![Block(7); 50]);
        let shorter = spare.take(30);
        spare.put(shorter);
        let longer = spare.take(50);
        assert!(longer[30..].iter().all(|block| *block == Block::ZERO));
        assert_eq!(longer.len(), 50);
        // A buffer whose rows were split off is whole again, and what they left is overwritten.
        let mut split = vec![Block(7); 50];
        drop(split.split_off(30));
        spare.put(split);
        let kept = spare.0.borrow();
        let last = kept.last().unwrap();
        assert_eq!((last.len(), last.capacity()), (50, 50));
        assert!(last[30..].iter().all(|block| *block == Block::ZERO));
    }
}
