//! The kernels of SoftSpokenOT (PROTOCOL.md §3): from the leaves of a tree to their sum, and to their
//! bit-weighted sums, which are columns of the matrix of correlations.

use crate::{Block, Prg};
use stack::add_selected;

pub use stack::Scratch;

mod stack;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Rows of a square of planes: block t of column c is number 128·t + c.
const SQUARE: usize = 128;

/// Trees of 2^k leaves each, every leaf a generator.
pub struct Forest {
    depth: usize,
    leaves: Leaves,
    /// Whether leaf 0 of each tree is missing, and its row zero.
    punctured: bool,
}

enum Leaves {
    Each(Vec<Prg>),
    #[cfg(target_arch = "x86_64")]
    Wide(x86::Leaves),
}

impl std::fmt::Debug for Forest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forest(depth {})", self.depth)
    }
}

impl Forest {
    /// Trees of `depth` k = 2, 4 or 8 with these seeds, tree by tree: 2^k of each, or without the
    /// first where trees are `punctured`.
    pub fn new(depth: usize, punctured: bool, seeds: &[Block]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = crate::x86::Lanes::widest() {
            let leaves = Leaves::Wide(x86::Leaves::new(lanes, seeds));
            return Self { depth, leaves, punctured };
        }
        Self { depth, leaves: Leaves::each(seeds), punctured }
    }

    /// `sum` = ⊕_x r_x, r_x being the row of so many blocks that leaf x of `tree` gives from `address`
    /// on; a missing leaf's row counts as zero.
    pub fn sum(&self, tree: usize, address: u128, sum: &mut [Block]) {
        let leaves = self.leaves_of(tree);
        match &self.leaves {
            Leaves::Each(all) => {
                sum.fill(Block::ZERO);
                all[leaves].iter().for_each(|leaf| leaf.xor_into(address, sum));
            }
            #[cfg(target_arch = "x86_64")]
            Leaves::Wide(all) => all.sum(leaves, address, sum),
        }
    }

    /// Column k·`tree` + t of `planes` = ⊕_{x: bit t of x is 1} r_x with rows as in [`Forest::sum`] of
    /// at most [`Scratch::ROW`] blocks, plus `addend`'s row if bit t of its word is 1. No branch depends
    /// on that word.
    pub fn fold(
        &self,
        scratch: &mut Scratch,
        tree: usize,
        address: u128,
        planes: &mut [Block],
        addend: Option<(&[Block], u8)>,
    ) {
        let leaves = self.leaves_of(tree);
        let first = self.depth * tree;
        match &self.leaves {
            Leaves::Each(all) => {
                let leaf = |x: usize, out: &mut [Block]| match x.checked_sub(self.punctured.into())
                {
                    Some(known) => all[leaves.start + known].fill(address, out),
                    None => out.fill(Block::ZERO),
                };
                let columns = scratch.fold(self.depth, planes.len() / SQUARE, leaf);
                if let Some((row, word)) = addend {
                    add_selected(columns, row, word);
                }
                stack::scatter(columns, first, planes);
            }
            #[cfg(target_arch = "x86_64")]
            Leaves::Wide(all) => {
                let (depth, punctured) = (self.depth, self.punctured);
                let tree = x86::Tree { depth, punctured, address, addend };
                all.fold(leaves, tree, planes, first);
            }
        }
    }

    /// The leaves of `tree` among all of them.
    fn leaves_of(&self, tree: usize) -> std::ops::Range<usize> {
        let per_tree = (1 << self.depth) - usize::from(self.punctured);
        tree * per_tree..(tree + 1) * per_tree
    }
}

impl Leaves {
    fn each(seeds: &[Block]) -> Self {
        Self::Each(seeds.iter().map(|seed| Prg::new(*seed)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise;

    #[test]
    fn twins_agree() {
        for (depth, punctured) in [(2, false), (4, true), (4, false), (8, true), (8, false)] {
            let per_tree = (1 << depth) - usize::from(punctured);
            let seeds = noise(20, 3 * per_tree);
            let slow = Forest { depth, leaves: Leaves::each(&seeds), punctured };
            for fast in each_backend(depth, punctured, &seeds) {
                for len in [1, 3, 4, 5, 15, 16, 17, 63, 64] {
                    let (mut scratch, row) = (Scratch::new(), noise(21, len));
                    for addend in [None, Some((&row[..], 0b1010_0110))] {
                        let made = [&fast, &slow].map(|forest| {
                            let (mut sum, mut planes) = (noise(22, len), noise(23, len * SQUARE));
                            // Past 2^64, and a counter that carries across it.
                            let address = (7 << 64) - 2;
                            forest.sum(2, address, &mut sum);
                            forest.fold(&mut scratch, 2, address, &mut planes, addend);
                            (sum, planes)
                        });
                        assert!(made[0] == made[1], "{depth} {punctured} {len}");
                    }
                }
            }
        }
    }

    /// In all registers that this machine has.
    fn each_backend(depth: usize, punctured: bool, seeds: &[Block]) -> Vec<Forest> {
        #[cfg(target_arch = "x86_64")]
        return (crate::x86::Lanes::all().into_iter())
            .map(|lanes| Leaves::Wide(x86::Leaves::new(lanes, seeds)))
            .map(|leaves| Forest { depth, leaves, punctured })
            .collect();
        #[cfg(not(target_arch = "x86_64"))]
        vec![Forest::new(depth, punctured, seeds)]
    }

    #[test]
    fn columns_are_where_they_belong() {
        let seeds = noise(24, 8);
        let forest = Forest::new(2, false, &seeds);
        let (mut sum, mut planes) = (vec![Block::ZERO; 5], vec![Block::ZERO; 5 * SQUARE]);
        forest.sum(1, 9, &mut sum);
        forest.fold(&mut Scratch::new(), 1, 9, &mut planes, None);
        let rows: Vec<_> = seeds[4..].iter().map(|seed| Prg::new(*seed).blocks(9, 5)).collect();
        for t in 0..5 {
            let square = &planes[t * SQUARE..(t + 1) * SQUARE];
            assert!(sum[t] == rows[0][t] ^ rows[1][t] ^ rows[2][t] ^ rows[3][t]);
            assert!(square[2] == rows[1][t] ^ rows[3][t] && square[3] == rows[2][t] ^ rows[3][t]);
            let rest = square.iter().enumerate().filter(|(c, _)| !(2..4).contains(c));
            assert!(rest.map(|(_, block)| *block).eq([Block::ZERO; SQUARE - 2]));
        }
    }
}
