//! Dot products by VPCLMULQDQ in registers of several blocks, and by PCLMULQDQ.

use super::Product;
use crate::Block;
use crate::x86::{Kernel, Lanes, Products, Width};
use std::arch::x86_64::{
    __m128i, _mm_clmulepi64_si128, _mm_loadu_si128, _mm_setzero_si128, _mm_xor_si128,
};

/// From so many elements on, wide registers pay.
const WIDE_MIN: usize = 4;
/// Registers that one block of a square of columns takes at most.
const PER_ROW: usize = 64;

/// The unreduced dot product by the widest available backend, `None` without any. Both slices have
/// the same length.
pub(super) fn dot(a: &[Block], b: &[Block]) -> Option<Product> {
    if a.len() >= WIDE_MIN
        && let Some(lanes) = Lanes::widest()
    {
        return Some(lanes.run(Dot { a, b }));
    }
    // SAFETY: pclmulqdq, which `dot_narrow` is compiled for, was detected.
    has_narrow().then(|| unsafe { dot_narrow(a, b) })
}

fn has_narrow() -> bool {
    is_x86_feature_detected!("pclmulqdq")
}

/// The dot product of a and b.
struct Dot<'a> {
    a: &'a [Block],
    b: &'a [Block],
}

impl Kernel for Dot<'_> {
    type Output = Product;

    #[inline(always)]
    fn run<W: Width>(self, w: W) -> Product {
        let Self { a, b } = self;
        let mut sums = [w.zero(); 3];
        for (a, b) in w.split(a).iter().zip(w.split(b)) {
            w.multiply_add(&mut sums, w.load(a), w.load(b));
        }
        let full = a.len() / w.blocks() * w.blocks();
        let mut sum = total(w, sums);
        for (a, b) in a[full..].iter().zip(&b[full..]) {
            let mut sums = [w.zero(); 3];
            let mut one = [[Block::ZERO; 4]; 2];
            (one[0][0], one[1][0]) = (*a, *b);
            w.multiply_add(&mut sums, w.load(&w.split(&one[0])[0]), w.load(&w.split(&one[1])[0]));
            sum = sum.plus(total(w, sums));
        }
        sum
    }
}

/// The sum of all blocks of `sums`.
#[inline(always)]
pub(crate) fn total<W: Width>(w: W, sums: Products<W>) -> Product {
    each(w, sums).into_iter().take(w.blocks()).fold(Product::default(), Product::plus)
}

/// The products in each block of `sums`; as many as a register has blocks count.
#[inline(always)]
fn each<W: Width>(w: W, sums: Products<W>) -> [Product; 4] {
    let mut parts = [[Block::ZERO; 4]; 3];
    for (blocks, x) in parts.iter_mut().zip(w.products(sums)) {
        w.store(&mut w.split_mut(blocks)[0], x);
    }
    let [low, middle, high] = parts;
    std::array::from_fn(|r| assemble(low[r].0, middle[r].0, high[r].0))
}

/// The sums over columns, if the machine has wide products.
pub(super) fn dot_columns(
    weights: &[Block],
    squares: &[[Block; 128]],
    sums: &mut [Block; 128],
) -> bool {
    let lanes = Lanes::widest();
    lanes.is_some_and(|lanes| {
        lanes.run(Columns { weights, squares, sums });
        true
    })
}

/// Squares are read once, in order; the unreduced sums of all columns fit into the first-level cache.
struct Columns<'a> {
    weights: &'a [Block],
    squares: &'a [[Block; 128]],
    sums: &'a mut [Block; 128],
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<W: Width>(self, w: W) {
        let mut parts = [[w.zero(); 3]; PER_ROW];
        for (weight, square) in self.weights.iter().zip(self.squares) {
            let weight = w.repeat(weight);
            for (x, part) in w.split(square).iter().zip(&mut parts) {
                w.multiply_add(part, weight, w.load(x));
            }
        }
        for (sums, part) in self.sums.chunks_exact_mut(w.blocks()).zip(parts) {
            for (sum, product) in sums.iter_mut().zip(each(w, part)) {
                *sum ^= super::reduce(product);
            }
        }
    }
}

#[target_feature(enable = "pclmulqdq,sse2")]
fn dot_narrow(a: &[Block], b: &[Block]) -> Product {
    let zero = _mm_setzero_si128();
    let (mut low, mut middle, mut high) = (zero, zero, zero);
    for (a, b) in a.iter().zip(b) {
        // SAFETY: both pointers come from references to 16 bytes; the loads are unaligned ones.
        let (a, b) = unsafe { (load(a), load(b)) };
        low = _mm_xor_si128(low, _mm_clmulepi64_si128(a, b, 0x00));
        high = _mm_xor_si128(high, _mm_clmulepi64_si128(a, b, 0x11));
        middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(a, b, 0x01));
        middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(a, b, 0x10));
    }
    assemble(bits(low), bits(middle), bits(high))
}

#[inline(always)]
fn assemble(low: u128, middle: u128, high: u128) -> Product {
    Product { low: low ^ middle << 64, high: high ^ middle >> 64 }
}

/// # Safety
/// SSE2 must be available, which it is on every x86-64.
#[inline(always)]
unsafe fn load(block: &Block) -> __m128i {
    // SAFETY: the reference covers the 16 bytes that are read, without alignment.
    unsafe { _mm_loadu_si128(std::ptr::from_ref(block).cast()) }
}

fn bits(register: __m128i) -> u128 {
    // SAFETY: both types are 16 bytes of plain bits.
    unsafe { std::mem::transmute::<__m128i, u128>(register) }
}

/// Calls `check` with the result of every backend this machine has.
#[cfg(test)]
pub(super) fn each_backend(a: &[Block], b: &[Block], check: impl Fn(Product)) {
    if has_narrow() {
        // SAFETY: pclmulqdq was detected.
        check(unsafe { dot_narrow(a, b) });
    }
    Lanes::all().into_iter().for_each(|lanes| check(lanes.run(Dot { a, b })));
}

/// Adds to the sums of all columns in every width, into copies that `check` gets.
#[cfg(test)]
pub(super) fn each_columns(
    weights: &[Block],
    squares: &[[Block; 128]],
    sums: &[Block; 128],
    check: impl Fn(&[Block; 128]),
) {
    for lanes in Lanes::all() {
        let mut sums = *sums;
        lanes.run(Columns { weights, squares, sums: &mut sums });
        check(&sums);
    }
}
