//! XOR over slices.

use crate::Block;

/// dst_r ⊕= src_r. Both slices have the same length; a longer one's surplus is left alone.
#[inline]
pub fn xor_into(dst: &mut [Block], src: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if dst.len() >= 8 && is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `avx2` is compiled for, was detected.
        unsafe { avx2(dst, src) };
        return;
    }
    portable(dst, src);
}

/// No element depends on another, so the compiler vectorises this for whatever it may use.
#[inline(always)]
fn portable(dst: &mut [Block], src: &[Block]) {
    dst.iter_mut().zip(src).for_each(|(d, s)| *d ^= *s);
}

/// The portable code in 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(dst: &mut [Block], src: &[Block]) {
    portable(dst, src);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LADDER, noise};

    #[test]
    fn twins_agree() {
        for len in LADDER {
            let (a, b) = (noise(12, len), noise(13, len));
            let (mut fast, mut slow) = (a.clone(), a);
            xor_into(&mut fast, &b);
            portable(&mut slow, &b);
            assert!(fast == slow, "{len}");
        }
    }
}
