//! Registers of two and of four blocks, for processors with VAES and VPCLMULQDQ. A kernel is written
//! once, over any [`Width`], and compiled for each; [`Lanes`] chooses the widest that the machine has.
//! Values of the widths are made only where their instructions were detected, which is what makes
//! their methods safe.

use crate::Block;
use bytemuck::Pod;
pub(crate) use double::Double;
pub(crate) use quad::Quad;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_loadu_si256, _mm256_storeu_si256,
};

mod double;
mod quad;

/// What a kernel is written over: proof that the machine has registers of this width.
pub(crate) trait Width: Copy {
    /// As many blocks.
    type Blocks: Pod;
    /// So many blocks in a register.
    type Register: Copy;

    /// Zeros.
    fn zero(self) -> Self::Register;
    /// These blocks.
    fn load(self, blocks: &Self::Blocks) -> Self::Register;
    /// Writes the register's blocks.
    fn store(self, blocks: &mut Self::Blocks, x: Self::Register);
    /// One block, everywhere.
    fn repeat(self, block: &Block) -> Self::Register;
    /// a ⊕ b.
    fn xor(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// a ⊕ b ⊕ c.
    fn xor3(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    /// a ⊕ (b ∧ c).
    fn xor_and(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    /// Block t of register r becomes block r of register t, of as many registers as one has blocks;
    /// others are left alone.
    fn turn(self, registers: &mut [Self::Register; 4]);
    /// a + b in each half of each block.
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// A round of AES with this round key.
    fn round(self, x: Self::Register, key: Self::Register) -> Self::Register;
    /// The last round of AES with this round key.
    fn last_round(self, x: Self::Register, key: Self::Register) -> Self::Register;
    /// Adds the carry-less products of the blocks of a and b to `sums`, by as many multiplications as
    /// suit these registers; [`Width::products`] understands them.
    fn multiply_add(self, sums: &mut Products<Self>, a: Self::Register, b: Self::Register);
    /// Low, middle and high part of what [`Width::multiply_add`] has summed up.
    fn products(self, sums: Products<Self>) -> Products<Self>;
    /// Block r if bit r of `bits` is 1, else zero.
    fn choose(self, x: Self::Register, bits: u64) -> Self::Register;

    /// Blocks in a register.
    #[inline(always)]
    fn blocks(self) -> usize {
        size_of::<Self::Blocks>() / size_of::<Block>()
    }

    /// As many full registers of `blocks` as there are.
    #[inline(always)]
    fn split(self, blocks: &[Block]) -> &[Self::Blocks] {
        bytemuck::cast_slice(&blocks[..blocks.len() / self.blocks() * self.blocks()])
    }

    /// As [`Width::split`].
    #[inline(always)]
    fn split_mut(self, blocks: &mut [Block]) -> &mut [Self::Blocks] {
        let full = blocks.len() / self.blocks() * self.blocks();
        bytemuck::cast_slice_mut(&mut blocks[..full])
    }
}

/// Sums of products, block by block: low · 1, middle · X^64, high · X^128.
pub(crate) type Products<W> = [<W as Width>::Register; 3];

/// Work that is compiled for each width. `run` and all that it calls must be `#[inline(always)]`, and
/// closures must not reach code that is not: it would be compiled without these registers.
pub(crate) trait Kernel {
    /// What the work gives.
    type Output;

    /// Does it.
    fn run<W: Width>(self, width: W) -> Self::Output;
}

/// The registers that a machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lanes {
    /// 256 bits.
    Double(Double),
    /// 512 bits.
    Quad(Quad),
}

impl Lanes {
    /// The widest ones, `None` if the machine has neither.
    pub(crate) fn widest() -> Option<Self> {
        Quad::detect().map(Self::Quad).or_else(|| Double::detect().map(Self::Double))
    }

    /// All that the machine has.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let all = [Double::detect().map(Self::Double), Quad::detect().map(Self::Quad)];
        all.into_iter().flatten().collect()
    }

    /// Runs `kernel` in these registers.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: a `Double` or `Quad` exists only where the features were detected that `double` and
        // `quad` are compiled for.
        unsafe {
            match self {
                Self::Double(width) => double(width, kernel),
                Self::Quad(width) => quad(width, kernel),
            }
        }
    }
}

#[target_feature(enable = "avx2,aes,pclmulqdq,vaes,vpclmulqdq")]
fn double<K: Kernel>(width: Double, kernel: K) -> K::Output {
    kernel.run(width)
}

#[target_feature(enable = "avx512f,avx2,aes,pclmulqdq,vaes,vpclmulqdq")]
fn quad<K: Kernel>(width: Quad, kernel: K) -> K::Output {
    kernel.run(width)
}

/// One block.
///
/// # Safety
/// SSE2 must be available, which it is on every x86-64.
#[inline(always)]
unsafe fn load_one(block: &Block) -> __m128i {
    // SAFETY: the pointer comes from a reference to 16 bytes; the load is an unaligned one.
    unsafe { _mm_loadu_si128((&raw const *block).cast()) }
}

/// Both blocks of `two`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load(two: &[Block; 2]) -> __m256i {
    // SAFETY: the pointer comes from a reference to 32 bytes; the load is an unaligned one.
    unsafe { _mm256_loadu_si256(two.as_ptr().cast()) }
}

/// Writes both blocks of `two`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store(two: &mut [Block; 2], x: __m256i) {
    // SAFETY: the pointer comes from a reference to 32 bytes; the store is an unaligned one.
    unsafe { _mm256_storeu_si256(two.as_mut_ptr().cast(), x) };
}
