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

/// out_r = a_r ⊕ b_r. Surplus elements of longer slices are left alone.
#[inline]
pub fn xor_of(out: &mut [Block], a: &[Block], b: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if out.len() >= 8 && is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `avx2_of` is compiled for, was detected.
        unsafe { avx2_of(out, a, b) };
        return;
    }
    portable_of(out, a, b);
}

#[inline(always)]
fn portable_of(out: &mut [Block], a: &[Block], b: &[Block]) {
    out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = *a ^ *b);
}

/// The portable code in 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_of(out: &mut [Block], a: &[Block], b: &[Block]) {
    portable_of(out, a, b);
}

/// first_r ⊕= src_r and second_r ⊕= src_r in one pass. Lengths as in [`xor_into`].
#[inline]
pub(crate) fn xor_into_both(first: &mut [Block], second: &mut [Block], src: &[Block]) {
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

/// With rows r_0..r_3: r_0 ⊕= r_1 ⊕ r_2 ⊕ r_3, columns_0 ⊕= r_1 ⊕ r_3, columns_1 ⊕= r_2 ⊕ r_3 in one
/// pass. Lengths as in [`xor_into`].
#[inline]
pub(crate) fn xor_four(r0: &mut [Block], rest: [&[Block]; 3], columns: [&mut [Block]; 2]) {
    #[cfg(target_arch = "x86_64")]
    if r0.len() >= 8 && is_x86_feature_detected!("avx2") {
        // SAFETY: avx2, which `avx2_four` is compiled for, was detected.
        unsafe { avx2_four(r0, rest, columns) };
        return;
    }
    portable_four(r0, rest, columns);
}

#[inline(always)]
fn portable_four(r0: &mut [Block], [r1, r2, r3]: [&[Block]; 3], [c0, c1]: [&mut [Block]; 2]) {
    let columns = c0.iter_mut().zip(c1);
    let rows = r0.iter_mut().zip(r1).zip(r2).zip(r3);
    for ((((r0, r1), r2), r3), (c0, c1)) in rows.zip(columns) {
        let (odd, upper) = (*r1 ^ *r3, *r2 ^ *r3);
        *r0 ^= *r1 ^ upper;
        *c0 ^= odd;
        *c1 ^= upper;
    }
}

/// The portable code in 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_four(r0: &mut [Block], rest: [&[Block]; 3], columns: [&mut [Block]; 2]) {
    portable_four(r0, rest, columns);
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
            let (mut of, mut slow_of) = (noise(15, len), noise(15, len));
            xor_of(&mut of, &fast, &b);
            portable_of(&mut slow_of, &fast, &b);
            assert!(of == slow && of == slow_of, "{len}");
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

    #[test]
    fn four_rows_make_three_sums() {
        for len in LADDER {
            let [mut r0, r1, r2, r3, mut c0, mut c1] =
                [1, 2, 3, 4, 5, 6].map(|seed| noise(seed, len));
            let sum = |rows: &[&Vec<Block>]| -> Vec<Block> {
                (0..len).map(|r| rows.iter().fold(Block::ZERO, |x, y| x ^ y[r])).collect()
            };
            let expected =
                [sum(&[&r0, &r1, &r2, &r3]), sum(&[&c0, &r1, &r3]), sum(&[&c1, &r2, &r3])];
            xor_four(&mut r0, [&r1, &r2, &r3], [&mut c0, &mut c1]);
            assert!([r0, c0, c1] == expected, "{len}");
        }
    }
}
