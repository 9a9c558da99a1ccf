//! GGM trees, their puncturing by OT, and the check of the punctured trees ([Roy22];
//! PROTOCOL.md §3).
//!
//! The COT receiver grows a tree per k bits of Δ, each from its own random root. The COT sender
//! learns every leaf value but the one at its Δ bits. It never uses an index that depends on Δ:
//! its nodes are kept in *relative* order y = x ⊕ Δ_b, so that the hole is always y = 0.

use super::pair::Pair;
use crate::error::{Error, Fault};
use crate::wire::{BLOCK_BYTES, from_blocks, to_blocks};
use senate_block::Block;
use senate_circuit::TreeDepth;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const DIGEST_BYTES: usize = 32;
/// Size of the corrections: two blocks per level and tree.
pub(super) const CORRECTION_BYTES: usize = 128 * 2 * BLOCK_BYTES;

/// Size of the check message: one image per tree and one hash over all.
pub(super) fn check_bytes(depth: TreeDepth) -> usize {
    depth.trees() * 2 * BLOCK_BYTES + DIGEST_BYTES
}

/// The 256-bit image of a leaf.
type Image = [Block; 2];

/// What the COT receiver keeps and sends.
pub(super) struct Grown {
    /// Leaf values, tree by tree in the order of x.
    pub(super) leaves: Zeroizing<Vec<Block>>,
    /// GGM: each level's sums under the base OT keys.
    pub(super) corrections: Vec<u8>,
    /// PPRF: XOR of images per tree, then the hash over all images.
    pub(super) check: Vec<u8>,
}

/// Grows all trees from roots expanded from this party's fresh `seed`. `keys` are both keys of the
/// base OTs, number b·k + t belonging to bit t of the leaf index in tree b.
pub(super) fn grow(pair: &Pair, depth: TreeDepth, keys: &[[Block; 2]], seed: &[u8; 32]) -> Grown {
    let oracle = Oracle::new(pair);
    let mut leaves = Zeroizing::new(Vec::with_capacity(depth.trees() * depth.leaves()));
    let mut corrections = vec![[Block::ZERO; 2]; keys.len()];
    let mut totals = Vec::with_capacity(depth.trees());
    let mut images = oracle.digest();
    for tree in 0..depth.trees() {
        let root = blake3::keyed_hash(seed, &(tree as u64).to_le_bytes());
        let mut nodes = Zeroizing::new(vec![blocks_of(&root)[0]]);
        for level in 0..depth.bits() {
            nodes = Zeroizing::new(
                nodes.iter().flat_map(|node| oracle.children(tree, level, *node)).collect(),
            );
            let bit = tree * depth.bits() + depth.bits() - 1 - level;
            for side in 0..2 {
                corrections[bit][side] = keys[bit][side] ^ sum_of(&nodes, side);
            }
        }
        let mut total = Image::default();
        for node in nodes.iter() {
            let (image, value) = oracle.leaf(tree, *node);
            total = [total[0] ^ image[0], total[1] ^ image[1]];
            images.update(&from_blocks(&image));
            leaves.push(value);
        }
        totals.push(total);
    }
    let mut check = from_blocks(totals.as_flattened());
    check.extend_from_slice(images.finalize().as_bytes());
    Grown { leaves, corrections: from_blocks(corrections.as_flattened()), check }
}

/// The leaf values that the COT sender learns, tree by tree in the order of y = 1, …, 2^k − 1 with
/// x = y ⊕ Δ_b. `keys` are the chosen keys of the base OTs, for the complement of `delta`.
///
/// # Errors
/// [`Fault::Pprf`] when corrections and check are inconsistent with every tree.
pub(super) fn puncture(
    pair: &Pair,
    depth: TreeDepth,
    delta: Block,
    keys: &[Block],
    corrections: &[u8],
    check: &[u8],
) -> Result<Zeroizing<Vec<Block>>, Error> {
    let oracle = Oracle::new(pair);
    let corrections = to_blocks(corrections);
    let (corrections, _) = corrections.as_chunks::<2>();
    let (totals, digest) = check.split_at(check.len().saturating_sub(DIGEST_BYTES));
    let totals = to_blocks(totals);
    let (totals, _) = totals.as_chunks::<2>();
    let mut leaves = Zeroizing::new(Vec::with_capacity(depth.trees() * (depth.leaves() - 1)));
    let mut images = oracle.digest();
    let trees = keys.chunks(depth.bits()).zip(corrections.chunks(depth.bits()));
    for (tree, ((keys, corrections), total)) in trees.zip(totals).enumerate() {
        let point = delta.0 >> (tree * depth.bits());
        let nodes = punctured_nodes(&oracle, tree, point, keys, corrections);
        let mut hole: Image = *total;
        let mut tree_images = Zeroizing::new(vec![Image::default(); nodes.len()]);
        for (y, node) in nodes.iter().enumerate().skip(1) {
            let (image, value) = oracle.leaf(tree, *node);
            hole = [hole[0] ^ image[0], hole[1] ^ image[1]];
            tree_images[y] = image;
            leaves.push(value);
        }
        tree_images[0] = hole;
        to_absolute_order(&mut tree_images, point);
        images.update(&from_blocks(tree_images.as_flattened()));
    }
    if bool::from(images.finalize().as_bytes().as_slice().ct_eq(digest)) {
        Ok(leaves)
    } else {
        Err(Error::by(pair.receiver, Fault::Pprf))
    }
}

/// All nodes of the last level in relative order; entry 0, the hole, is zero.
fn punctured_nodes(
    oracle: &Oracle,
    tree: usize,
    point: u128,
    keys: &[Block],
    corrections: &[[Block; 2]],
) -> Zeroizing<Vec<Block>> {
    let mut nodes = Zeroizing::new(vec![Block::ZERO]);
    for (bit, (key, [left, right])) in keys.iter().zip(corrections).enumerate().rev() {
        let level = keys.len() - 1 - bit;
        let on_path = Block::mask(point >> bit & 1 == 1);
        let mut next = Zeroizing::new(vec![Block::ZERO; 2 * nodes.len()]);
        for (y, node) in nodes.iter().enumerate().skip(1) {
            let [left, right] = oracle.children(tree, level, *node);
            let swap = (left ^ right) & on_path;
            next[2 * y] = left ^ swap;
            next[2 * y + 1] = right ^ swap;
        }
        // The sibling of the path is the only unknown node on the side the OT was chosen for.
        let side_sum = *right ^ ((*left ^ *right) & on_path) ^ *key;
        next[1] = side_sum ^ sum_of(&next, 1);
        nodes = next;
    }
    nodes
}

/// Moves entry y to x = y ⊕ point, without indices that depend on `point`.
fn to_absolute_order(images: &mut [Image], point: u128) {
    let mut distance = 1;
    while distance < images.len() {
        let mask = Block::mask(point & distance as u128 != 0);
        for block in images.chunks_mut(2 * distance) {
            let (lower, upper) = block.split_at_mut(distance);
            for (a, b) in lower.as_flattened_mut().iter_mut().zip(upper.as_flattened_mut()) {
                let swap = (*a ^ *b) & mask;
                *a ^= swap;
                *b ^= swap;
            }
        }
        distance *= 2;
    }
}

/// XOR of the nodes whose last index bit is `side`.
fn sum_of(nodes: &[Block], side: usize) -> Block {
    nodes.iter().skip(side).step_by(2).fold(Block::ZERO, |sum, node| sum ^ *node)
}

fn blocks_of(hash: &blake3::Hash) -> [Block; 2] {
    let (halves, _) = hash.as_bytes().as_chunks::<BLOCK_BYTES>();
    std::array::from_fn(|half| halves.get(half).map_or(Block::ZERO, |b| Block::from_bytes(*b)))
}

/// The length-doubling generator, the leaf expansion and the check's hash of one instance.
struct Oracle {
    nodes: [u8; 32],
    images: [u8; 32],
    values: [u8; 32],
    digest: [u8; 32],
}

impl Oracle {
    fn new(pair: &Pair) -> Self {
        Self {
            nodes: pair.oracle("tree node"),
            images: pair.oracle("leaf image"),
            values: pair.oracle("leaf value"),
            digest: pair.oracle("tree check"),
        }
    }

    fn children(&self, tree: usize, level: usize, node: Block) -> [Block; 2] {
        blocks_of(&blake3::keyed_hash(&self.nodes, &node_bytes(tree, level, node)))
    }

    fn leaf(&self, tree: usize, node: Block) -> (Image, Block) {
        let bytes = node_bytes(tree, usize::from(u8::MAX), node);
        let image = blocks_of(&blake3::keyed_hash(&self.images, &bytes));
        (image, blocks_of(&blake3::keyed_hash(&self.values, &bytes))[0])
    }

    fn digest(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.digest)
    }
}

fn node_bytes(tree: usize, level: usize, node: Block) -> [u8; BLOCK_BYTES + 2] {
    let mut bytes = [0; BLOCK_BYTES + 2];
    bytes[..BLOCK_BYTES].copy_from_slice(&node.to_bytes());
    bytes[BLOCK_BYTES] = tree as u8;
    bytes[BLOCK_BYTES + 1] = level as u8;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;
    use senate_circuit::PartyId;

    fn pair() -> Pair {
        let [sender, receiver] = [0, 1].map(|index| PartyId::new(index).unwrap());
        Pair { session: SessionId([9; 32]), sender, receiver }
    }

    fn keys(delta: Block) -> (Vec<[Block; 2]>, Vec<Block>) {
        let key = |n: u128| Block(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let both: Vec<_> = (1..=128).map(|t| [key(t), key(1_000 * t)]).collect();
        let chosen = (0..128).map(|t| both[t][usize::from(delta.0 >> t & 1 == 0)]).collect();
        (both, chosen)
    }

    #[test]
    fn every_leaf_but_the_point_is_learnt() {
        let delta = Block(0x1357_9bdf_0246_8ace_fedc_ba98_7654_3210);
        let (both, chosen) = keys(delta);
        for depth in [TreeDepth::Two, TreeDepth::Four, TreeDepth::Eight] {
            let grown = grow(&pair(), depth, &both, &[4; 32]);
            assert_eq!(grown.corrections.len(), CORRECTION_BYTES);
            assert_eq!(grown.check.len(), check_bytes(depth));
            let learnt =
                puncture(&pair(), depth, delta, &chosen, &grown.corrections, &grown.check).unwrap();
            for tree in 0..depth.trees() {
                let point = (delta.0 >> (tree * depth.bits())) as usize & (depth.leaves() - 1);
                for y in 1..depth.leaves() {
                    let theirs = grown.leaves[tree * depth.leaves() + (y ^ point)];
                    assert!(learnt[tree * (depth.leaves() - 1) + y - 1] == theirs);
                }
            }
        }
    }

    #[test]
    fn a_wrong_used_correction_or_hash_is_caught() {
        let delta = Block(u128::MAX / 3);
        let (both, chosen) = keys(delta);
        let grown = grow(&pair(), TreeDepth::Four, &both, &[4; 32]);
        let run = |corrections: &[u8], check: &[u8]| {
            puncture(&pair(), TreeDepth::Four, delta, &chosen, corrections, check).map(|_| ())
        };
        let caught = Err(Error::by(pair().receiver, Fault::Pprf));
        for bit in [0, 5, 127] {
            let side = usize::from(delta.0 >> bit & 1 == 0);
            let mut corrections = grown.corrections.clone();
            corrections[(2 * bit + side) * BLOCK_BYTES] ^= 1;
            assert_eq!(run(&corrections, &grown.check), caught);
        }
        for byte in [0, grown.check.len() - 1] {
            let mut check = grown.check.clone();
            check[byte] ^= 1;
            assert_eq!(run(&grown.corrections, &check), caught);
        }
    }
}
