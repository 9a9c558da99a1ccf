//! XOR over slices.

use crate::Block;

/// dst_r ⊕= src_r. Both slices have the same length; a longer one's surplus is left alone. The
/// loop has no dependence between elements, so the compiler's vector form is the only one needed.
#[inline]
pub fn xor_into(dst: &mut [Block], src: &[Block]) {
    dst.iter_mut().zip(src).for_each(|(d, s)| *d ^= *s);
}
