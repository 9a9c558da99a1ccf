//! Cutting the gates of one instruction into tiles that stay in the first-level cache.

use super::Gates;
use rayon::prelude::*;

/// Most gates in a tile; divides an epoch, so that a tile has one key.
pub(super) const TILE: usize = 256;
/// Fewer tiles than this are not worth waking another thread for.
const TILES_PER_TASK: usize = 4;

/// Consecutive gates of one epoch: lanes `lane .. lane + len` of the instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// Number of the first gate in the stage.
    pub(super) gate: u64,
    /// Number of the first gate in the chunk.
    pub(super) offset: usize,
    /// First lane of the instruction.
    pub(super) lane: usize,
    /// How many, at most [`TILE`].
    pub(super) len: usize,
}

/// The tiles of `gates`, in order, cut where the gate number is a multiple of [`TILE`].
pub(super) fn tiles(gates: Gates) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(gates.len / TILE + 2);
    let mut lane = 0;
    while lane < gates.len {
        let gate = gates.gate + lane as u64;
        let len = (TILE - (gate % TILE as u64) as usize).min(gates.len - lane);
        tiles.push(Tile { gate, offset: gates.offset + lane, lane, len });
        lane += len;
    }
    tiles
}

/// Runs `work` on every job, on the current rayon pool when there are enough.
pub(super) fn each<J: Send>(jobs: Vec<J>, work: impl Fn(J) + Sync + Send) {
    if jobs.len() < 2 * TILES_PER_TASK {
        jobs.into_iter().for_each(work);
    } else {
        jobs.into_par_iter().with_min_len(TILES_PER_TASK).for_each(work);
    }
}

/// Splits the first `len` elements off `rest`; all of them when there are fewer.
pub(super) fn cut<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let whole = std::mem::take(rest);
    let (head, tail) = whole.split_at_mut(len.min(whole.len()));
    *rest = tail;
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::garble::hash::EPOCH_GATES;

    #[test]
    fn tiles_cover_all_gates_once_within_one_epoch() {
        for (gate, len) in [(0, 0), (0, 1), (255, 2), (4000, 5000), (3, 256)] {
            let mut next = 0;
            for tile in tiles(Gates { gate, offset: 9, len }) {
                assert_eq!((tile.lane, tile.offset), (next, next + 9));
                assert_eq!(tile.gate, gate + next as u64);
                let last = tile.gate + tile.len as u64 - 1;
                assert_eq!(tile.gate / EPOCH_GATES, last / EPOCH_GATES);
                assert!(tile.len <= TILE);
                next += tile.len;
            }
            assert_eq!(next, len);
        }
    }
}
