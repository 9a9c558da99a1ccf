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

/// first_r ⊕= src_r and second_r ⊕= src_r in one pass. Lengths as in [`xor_into`].
#[inline]
pub fn xor_into_both(first: &mut [Block], second: &mut [Block], src: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if src.len() >= 8 && is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `avx2_both` is compiled for, was detected.
        unsafe { avx2_both(first, second, src) };
        return;
    }
    portable_both(first, second, src);
}

#[inline(always)]
fn portable_both(first: &mut [Block], second: &mut [Block], src: &[Block]) {
    let len = src.len().min(first.len()).min(second.len());
    let (first, second, src) = (&mut first[..len], &mut second[..len], &src[..len]);
    for r in 0..len {
        first[r] ^= src[r];
        second[r] ^= src[r];
    }
}

/// The portable code in 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_both(first: &mut [Block], second: &mut [Block], src: &[Block]) {
    portable_both(first, second, src);
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

    #[test]
    fn both_get_the_sum() {
        for len in LADDER {
            let (mut a, mut b, c) = (noise(12, len), noise(13, len), noise(14, len));
            let (mut x, mut y) = (a.clone(), b.clone());
            xor_into_both(&mut a, &mut b, &c);
            portable(&mut x, &c);
            portable(&mut y, &c);
            assert!(a == x && b == y, "{len}");
        }
    }
}
