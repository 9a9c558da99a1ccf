//! The 128-bit block: labels, MACs, keys and elements of GF(2^128).

use bytemuck::{Pod, Zeroable};
use std::ops::{BitAnd, BitXor, BitXorAssign};
use subtle::{Choice, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

/// 128 bits. Bit t is the coefficient of X^t when read as an element of GF(2^128).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Block(pub u128);

impl DefaultIsZeroes for Block {}

/// Never prints contents: blocks are keys and labels.
impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Block(..)")
    }
}

impl Block {
    /// All zero.
    pub const ZERO: Self = Self(0);
    /// e_0: only bit 0 set.
    pub const ONE: Self = Self(1);

    /// Bit 0, the share bit of a normalised MAC.
    #[inline]
    pub fn bit0(self) -> bool {
        self.0 & 1 == 1
    }

    /// All ones if `bit`, else all zero: the branch-free factor `bit · x = mask(bit) & x`.
    #[inline]
    pub fn mask(bit: bool) -> Self {
        Self(0u128.wrapping_sub(u128::from(bit)))
    }

    /// This block if `bit`, else zero, without a branch.
    #[inline]
    #[must_use]
    pub fn times(self, bit: bool) -> Self {
        self & Self::mask(bit)
    }

    /// The block with bit 0 set to `bit`.
    #[inline]
    #[must_use]
    pub fn with_bit0(self, bit: bool) -> Self {
        Self(self.0 & !1 | u128::from(bit))
    }

    /// Little-endian bytes.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From little-endian bytes.
    #[inline]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

impl BitXor for Block {
    type Output = Self;
    #[inline]
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl BitXorAssign for Block {
    #[inline]
    fn bitxor_assign(&mut self, other: Self) {
        self.0 ^= other.0;
    }
}

impl BitAnd for Block {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl ConstantTimeEq for Block {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.to_bytes().ct_eq(&other.to_bytes())
    }
}
